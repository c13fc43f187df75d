import Kernel
import Synchronization

/// What roles may do and how long sessions are, as it was last read. While the policy's mark is the same it need not be read again.
final class KnownPermissions: Sendable {
    private struct State {
        var mark: String?
        /// By role, as `SignInQueries.permissions` answers them.
        var lists: [String: String] = [:]
        var limits = SessionLimits()
        /// By what somebody holds: people hold few sets of roles.
        var unions: [Set<String>: Permissions] = [:]
    }
    private let state = Mutex(State())
    private static let limit = 100

    /// What whoever holds these roles may do, and how long a session is, as of a mark; `nil` when that is to be read first.
    /// - Parameter rows: what `SignInQueries.permissions` and `SignInQueries.limits` answered in the snapshot that had this mark.
    func known(
        of roles: Set<String>, at mark: String, reading rows: ArraySlice<[Row]>
    ) throws -> (permissions: Permissions, limits: SessionLimits)? {
        var read: State?
        if let lists = rows.first, let limits = rows.last?.first {
            read = State(
                mark: mark,
                lists: Dictionary(
                    uniqueKeysWithValues: try lists.map { (try $0.string("role_id"), try $0.string("permissions")) }),
                limits: try SessionLimits(limits))
        }
        return try state.withLock { state in
            if state.mark != mark {
                guard let read else { return nil }
                state = read
            }
            if let known = state.unions[roles] { return (known, state.limits) }
            let permissions = try StaffSignIn.union(state.lists.filter { roles.contains($0.key) })
            if state.unions.count >= Self.limit { state.unions = [:] }
            state.unions[roles] = permissions
            return (permissions, state.limits)
        }
    }
}
