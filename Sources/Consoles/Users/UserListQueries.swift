import Kernel

/// Pages of users by keyset: newest first by id, or addresses from A to Z.
enum UserListQueries {
    /// How many users a page looks at when a filter is tested on the way.
    static let reach = 20_000
    /// As many tenants as a page tells of each user.
    static let mostPlaces = 20
    /// As many as an export reads of a user at once.
    static let portion = 1000

    private struct Bound {
        var values: [Value] = []
        mutating func add(_ value: Value) -> String {
            values.append(value)
            return "$\(values.count)"
        }
    }

    /// - Parameters:
    ///   - after: the id or address of the last user of the page before.
    ///   - end: the last id or address to look at.
    static func page(_ filter: UserFilter, after: String?, end: String?, limit: Int) -> Statement {
        var bound = Bound()
        if let tenant = filter.tenant {
            var conditions = ["m.tenant_id = \(bound.add(.text(tenant)))", "m.status <> 'revoked'"]
            if let after { conditions.append("m.user_id < \(bound.add(.text(after)))") }
            if let end { conditions.append("m.user_id >= \(bound.add(.text(end)))") }
            conditions += range(filter, "u.email", &bound) + status(filter, "u.status", &bound)
            let columns = User.columns.split(separator: ",").map { "u." + $0.drop { $0 == " " } }
            return Statement(
                """
                SELECT \(columns.joined(separator: ", ")) FROM memberships m JOIN users u ON u.id = m.user_id \
                WHERE \(conditions.joined(separator: " AND ")) \
                ORDER BY m.user_id DESC LIMIT \(bound.add(.int(Int64(limit))))
                """, bound.values)
        }
        if filter.isByEmail {
            var conditions = range(filter, "email", &bound) + status(filter, "status", &bound)
            if let after { conditions.append("email > \(bound.add(.text(after)))") }
            if let end { conditions.append("email <= \(bound.add(.text(end)))") }
            return Statement(
                """
                SELECT \(User.columns) FROM users WHERE \(conditions.joined(separator: " AND ")) \
                ORDER BY email LIMIT \(bound.add(.int(Int64(limit))))
                """, bound.values)
        }
        let position = after.map { "id < \(bound.add(.text($0)))" }
        let most = bound.add(.int(Int64(limit)))
        func branch(_ conditions: [String]) -> String {
            let condition = conditions.isEmpty ? "" : "WHERE \(conditions.joined(separator: " AND ")) "
            return "SELECT \(User.columns) FROM users \(condition)ORDER BY id DESC LIMIT \(most)"
        }
        let shared = [position].compactMap { $0 }
        let branches = filter.status.map { branch(["status = \(bound.add(.text($0.rawValue)))"] + shared) }
        switch branches.count {
        case 0: return Statement(branch(shared), bound.values)
        case 1: return Statement(branches[0], bound.values)
        default:
            let union = branches.enumerated().map { "SELECT * FROM (\($1)) AS b\($0)" }.joined(separator: " UNION ALL ")
            return Statement("SELECT * FROM (\(union)) AS pages ORDER BY id DESC LIMIT \(most)", bound.values)
        }
    }

    /// Where a page has to stop that tests a filter on the way; `nil` when it tests none.
    static func end(_ filter: UserFilter, after: String?, reach: Int) -> Statement? {
        var bound = Bound()
        if let tenant = filter.tenant {
            guard !filter.status.isEmpty || filter.beginning != nil else { return nil }
            var conditions = ["tenant_id = \(bound.add(.text(tenant)))"]
            if let after { conditions.append("user_id < \(bound.add(.text(after)))") }
            return Statement(
                """
                SELECT user_id AS key FROM memberships WHERE \(conditions.joined(separator: " AND ")) \
                ORDER BY user_id DESC LIMIT 1 OFFSET \(bound.add(.int(Int64(reach - 1))))
                """, bound.values)
        }
        guard filter.isByEmail, !filter.status.isEmpty else { return nil }
        var conditions = range(filter, "email", &bound)
        if let after { conditions.append("email > \(bound.add(.text(after)))") }
        return Statement(
            """
            SELECT email AS key FROM users WHERE \(conditions.joined(separator: " AND ")) \
            ORDER BY email LIMIT 1 OFFSET \(bound.add(.int(Int64(reach - 1))))
            """, bound.values)
    }

    private static func range(_ filter: UserFilter, _ column: String, _ bound: inout Bound) -> [String] {
        guard let beginning = filter.beginning else { return [] }
        var conditions = ["\(column) >= \(bound.add(.text(beginning)))"]
        if let successor = NameKey.successor(of: beginning) {
            conditions.append("\(column) < \(bound.add(.text(successor)))")
        }
        return conditions
    }

    private static func status(_ filter: UserFilter, _ column: String, _ bound: inout Bound) -> [String] {
        guard !filter.status.isEmpty else { return [] }
        return ["\(column) IN (\(filter.status.map { bound.add(.text($0.rawValue)) }.joined(separator: ", ")))"]
    }

    /// The first tenants that each of these users is a member of, with the `total` of each user. `users` MUST NOT be empty.
    static func places(of users: [String]) -> Statement {
        Statement(
            """
            SELECT p.user_id AS user_id, p.total AS total, t.id AS id, t.name AS name FROM (\
            SELECT user_id, tenant_id, ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY tenant_id) AS place, \
            COUNT(*) OVER (PARTITION BY user_id) AS total \
            FROM memberships WHERE user_id IN (\(placeholders(users.count))) AND status <> 'revoked') AS p \
            JOIN tenants t ON t.id = p.tenant_id WHERE p.place <= \(mostPlaces) ORDER BY p.user_id, p.tenant_id
            """, users.map(Value.text))
    }

    /// Further tenants of one user.
    /// - Parameter tenant: the last of those before.
    static func places(of user: String, after tenant: String) -> Statement {
        Statement(
            """
            SELECT t.id AS id, t.name AS name FROM memberships m JOIN tenants t ON t.id = m.tenant_id \
            WHERE m.user_id = $1 AND m.tenant_id > $2 AND m.status <> 'revoked' ORDER BY m.tenant_id LIMIT \(portion)
            """, [.text(user), .text(tenant)])
    }

    /// Events about a user, newest first: whatever names the row, and whatever was done to or looked at of them.
    /// `before` is the last of the page before.
    static func activity(of user: String, before: (at: Instant, id: String)?, limit: Int) -> Statement {
        let columns = "id, at, class, action, outcome, actor_type, actor_id"
        let named = columns.split(separator: ",").map { "e." + $0.drop { $0 == " " } }.joined(separator: ", ")
        var values: [Value] = [.text(user), .int(Int64(limit))]
        var position = ("", "")
        if let before {
            values += [Value(before.at), .text(before.id)]
            position = ("AND (at, id) < ($3, $4) ", "AND (e.at, e.id) < ($3, $4) ")
        }
        return Statement(
            TenantQueries.named(
                """
                SELECT \(columns) FROM (\
                SELECT * FROM (SELECT \(columns) FROM events WHERE target_id = $1 \(position.0)\
                ORDER BY at DESC, id DESC LIMIT $2) AS aimed \
                UNION SELECT * FROM (SELECT \(named) FROM event_entity n JOIN events e ON e.id = n.event_id \
                WHERE n.type = 'user' AND n.id = $1 \(position.1)ORDER BY e.at DESC, e.id DESC LIMIT $2) AS named\
                ) AS about ORDER BY at DESC, id DESC LIMIT $2
                """), values)
    }
}
