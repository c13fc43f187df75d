import Kernel
import Synchronization

/// What roles may do, as it was last read. While the policy's mark is the same it need not be read again.
final class KnownPermissions: Sendable {
    private struct State {
        var mark: String?
        /// By role, as `SignInQueries.permissions` answers them.
        var lists: [String: String] = [:]
        /// By what somebody holds: people hold few sets of roles.
        var unions: [Set<String>: Permissions] = [:]
    }
    private let state = Mutex(State())
    private static let limit = 100

    /// What whoever holds these roles may do, as of a mark; `nil` when what roles may do is to be read first.
    /// - Parameter rows: what `SignInQueries.permissions` answered in the snapshot that had this mark.
    func union(_ roles: Set<String>, at mark: String, reading rows: [Row]?) throws -> Permissions? {
        var read: [String: String]?
        if let rows {
            read = Dictionary(
                uniqueKeysWithValues: try rows.map { (try $0.string("role_id"), try $0.string("permissions")) })
        }
        return try state.withLock { state in
            if state.mark != mark {
                guard let read else { return nil }
                state = State(mark: mark, lists: read)
            }
            if let known = state.unions[roles] { return known }
            let permissions = try StaffSignIn.union(state.lists.filter { roles.contains($0.key) })
            if state.unions.count >= Self.limit { state.unions = [:] }
            state.unions[roles] = permissions
            return permissions
        }
    }
}
