import Kernel
import Synchronization

/// What every role may do as of a mark of the policy (decision 15). Whoever finds the same mark again need not read it again.
final class KnownRoles: Sendable {
    let mark: String
    private let roles: [String: [RolePermission]]
    /// By what somebody holds: people hold few sets of roles.
    private let unions = Mutex<[Set<String>: Permissions]>([:])
    private static let limit = 100

    private init(mark: String, _ roles: [String: [RolePermission]]) {
        self.mark = mark
        self.roles = roles
    }

    private static let newest = Mutex<KnownRoles?>(nil)

    /// What this process read last. Marks are random, so that those of two databases are never the same.
    static var last: KnownRoles? { newest.withLock { $0 } }

    /// - Parameter rows: what `RolePermission.all` answered.
    static func of(_ rows: [Row]) throws -> KnownRoles {
        guard let mark = try rows.first?.string("mark") else { throw StoreError.shape(column: "mark") }
        let cells = try rows.filter { $0["id"] != .null }.map(RolePermission.init)
        let read = KnownRoles(mark: mark, Dictionary(grouping: cells, by: \.role))
        newest.withLock { $0 = read }
        return read
    }

    func union(_ held: Set<String>) -> Permissions {
        unions.withLock { unions in
            if let known = unions[held] { return known }
            let permissions = Self.union(held.flatMap { roles[$0] ?? [] })
            if unions.count >= Self.limit { unions = [:] }
            unions[held] = permissions
            return permissions
        }
    }

    static func union(_ held: [RolePermission]) -> Permissions {
        Permissions(
            union: held.map { ($0.permission, Seeds.effective($0.limits, of: $0.role, on: $0.permission)) })
    }
}
