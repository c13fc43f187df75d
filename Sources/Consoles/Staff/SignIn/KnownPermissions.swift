import Kernel
import Synchronization

/// What sets of role permissions come to. They are read for every request, as text; this saves making sense of the same
/// text again. Another text is another key, so a change can't be missed.
final class KnownPermissions: Sendable {
    private let sets = Mutex<[[String]: Permissions]>([:])
    private static let limit = 100

    /// - Parameter lists: one for each role, as `SignInQueries.grants` answers them.
    func union(_ lists: [String]) throws -> Permissions {
        if let known = sets.withLock({ $0[lists] }) { return known }
        let permissions = Permissions(try StaffSignIn.union(lists))
        sets.withLock { sets in
            if sets.count >= Self.limit { sets = [:] }
            sets[lists] = permissions
        }
        return permissions
    }
}
