import Kernel

/// What access policy consists of, read whole: it is small.
enum PolicyQueries {
    static let roles = Statement("SELECT id FROM roles ORDER BY id LIMIT 1000")

    static let cells = Statement(
        "SELECT \(RolePermission.columns) FROM role_permissions WHERE revoked = 0 ORDER BY id LIMIT 20000")

    static let rules = Statement(
        "SELECT \(ApprovalRuleRow.columns) FROM approval_rules WHERE retired = 0 ORDER BY id LIMIT 2000")

    /// Everybody who can sign in, as ids.
    static let staff = Statement("SELECT id FROM staff WHERE status = 'active' ORDER BY id LIMIT 5000")

    /// The newest events of an operation since a time, with what they sealed; looks at its preview are none. Through
    /// `events_action`.
    static func asked(_ operation: String, since: Instant, limit: Int) -> Statement {
        Statement(
            """
            SELECT e.id, e.at, e.action, e.outcome, e.actor_type, e.actor_id, e.tenant_id, e.target_type, e.target_id, e.approval_id,
                s.members FROM events e
            LEFT JOIN sealed s ON s.event_id = e.id
            WHERE e.action = $1 AND e.at >= $2 AND e.class IN ('mutation', 'approval') ORDER BY e.at DESC, e.id DESC LIMIT \(limit)
            """, [.text(operation), Value(since)])
    }
}

extension PolicyState {
    /// As it is in the transaction that asks.
    public static func load(from reader: any Reader) throws -> PolicyState {
        let rows = try reader.query([
            PolicyQueries.roles, PolicyQueries.cells, PolicyQueries.rules, PolicyQueries.staff,
            RoleSeparation.selectAll(after: "", limit: 1000), ServiceAccount.allLive(at: reader.now),
        ])
        let ids = try rows[3].map { try $0.string("id") }
        let directory = StaffDirectory(ignoresLocks: true)
        let standings =
            ids.isEmpty
            ? [:] : try directory.standings(of: ids).read(from: reader)
        return PolicyState(
            roles: try rows[0].map { try $0.string("id") }, cells: try rows[1].map(RolePermission.init),
            rules: try rows[2].map { try ApprovalRuleRow($0).rule },
            people: standings.values.sorted { $0.person < $1.person },
            separations: try rows[4].map(RoleSeparation.init),
            accounts: try rows[5].map { row in
                let account = try ServiceAccount(row)
                return PolicyState.Account(
                    id: account.id, name: account.name, owner: account.ownerID, scopes: account.scopes)
            })
    }
}
