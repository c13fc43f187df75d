import Kernel

extension Role {
    public static let columns = "id, version, title, summary"

    public init(_ row: Row) throws {
        self.init(
            id: try row.string("id"), version: try row.int("version"), title: try row.string("title"),
            summary: try row.string("summary"))
    }

    public var values: [Value] { [.text(id), .int(version), .text(title), .text(summary)] }
}

extension RolePermission {
    public static let columns = "id, version, role_id, permission, limits, revoked"

    public init(_ row: Row) throws {
        var limits: [Limit]?
        if row["limits"] != .null {
            guard let read = Self.limits(try row.json("limits")) else { throw StoreError.shape(column: "limits") }
            limits = read
        }
        self.init(
            role: try row.string("role_id"), permission: try row.string("permission"), limits: limits,
            version: try row.int("version"), isRevoked: try row.int("revoked") != 0)
        id = try row.string("id")
    }

    public var values: [Value] {
        [
            .text(id), .int(version), .text(role), .text(permission),
            Value(limits.map { Self.json($0).canonicalText }), .int(isRevoked ? 1 : 0),
        ]
    }
}

extension RolePermission {
    /// What every role holds, in each row with the policy's mark.
    static let all = Statement(
        """
        SELECT s.mark, \(columns(of: "r")) FROM policy_state s
        LEFT JOIN role_permissions r ON r.revoked = 0 WHERE s.id = 1
        """)
}

extension RolePermission {
    /// What these roles hold. Through `role_permissions_pair`.
    static func held(byRoles roles: [String]) -> Statement {
        Statement(
            "SELECT \(columns) FROM role_permissions WHERE role_id IN (\(placeholders(roles.count)))",
            roles.map(Value.text))
    }
}

extension Grant {
    public static let columns = """
        id, version, staff_id, role_id, granted_by, granted_at, expires_at, revoked_at, source, token_holder
        """

    /// Every grant of some people, revoked ones too. Through `grants_staff`.
    static func of(_ staff: [String]) -> Statement {
        let list = staff.indices.map { "$\($0 + 1)" }.joined(separator: ", ")
        return Statement(
            "SELECT \(columns) FROM grants WHERE staff_id IN (\(list)) ORDER BY staff_id, granted_at, id",
            staff.map(Value.text))
    }

    /// How long somebody who held a role counts as one who could be asked, so that nobody is free to go alone by sending the
    /// others away.
    private static let lately = Span.days(30)

    /// `id` of everybody who enrolled and holds one of some roles, or one with one of some permissions, or held it lately, whether they are still here or not. Whom the
    /// identity provider brings back is invited anew: that they have enrolled is read from their factors, those that ended too.
    /// Through `factors_staff`.
    static func holders(of roles: [String], or permissions: [String] = [], at now: Instant) -> Statement {
        // An empty list is no SQL; '' is no role.
        let named = roles.isEmpty ? "''" : placeholders(roles.count, from: 2)
        let granted = permissions.isEmpty ? "''" : placeholders(permissions.count, from: 2 + roles.count)
        return Statement(
            """
            SELECT DISTINCT s.id FROM staff s JOIN grants g ON g.staff_id = s.id
            WHERE (g.revoked_at IS NULL OR g.revoked_at > $1) AND (g.expires_at IS NULL OR g.expires_at > $1)
                AND (s.status = 'active' OR EXISTS (SELECT 1 FROM factors f WHERE f.staff_id = s.id))
                AND (g.role_id IN (\(named)) OR g.role_id IN (
                    SELECT role_id FROM role_permissions WHERE permission IN (\(granted)) AND revoked = 0))
            """, [Value(now - lately)] + roles.map(Value.text) + permissions.map(Value.text))
    }

    /// One row, `count`: active people who hold a role without an end, beside one. Whoever is locked until a break-glass is reviewed
    /// keeps nothing going.
    static func keepers(of role: String, besides staff: String) -> Statement {
        Statement(
            """
            SELECT COUNT(*) AS count FROM staff s JOIN grants g ON g.staff_id = s.id
            WHERE s.status = 'active' AND g.role_id = $1 AND g.revoked_at IS NULL AND g.expires_at IS NULL AND s.id <> $2
                AND NOT EXISTS (
                    SELECT 1 FROM breakglass_sessions b WHERE b.person = s.id AND b.solo = 1 AND b.state <> 'reviewed')
            """, [.text(role), .text(staff)])
    }

    /// `id` of each active person who holds one of some roles at `now`, and whether they can sign in (`is_able`).
    static func people(holding roles: [String], at now: Instant) -> Statement {
        Statement(
            """
            SELECT DISTINCT s.id, CASE WHEN EXISTS (
                SELECT 1 FROM factors f WHERE f.staff_id = s.id AND f.kind <> 'password' AND f.status = 'active'
            ) THEN 1 ELSE 0 END AS is_able
            FROM staff s JOIN grants g ON g.staff_id = s.id
            WHERE s.status = 'active' AND g.revoked_at IS NULL AND (g.expires_at IS NULL OR g.expires_at > $1)
                AND g.role_id IN (\(placeholders(roles.count, from: 2)))
            ORDER BY s.id
            """, [Value(now)] + roles.map(Value.text))
    }

    public init(_ row: Row) throws {
        self.init(
            id: try row.string("id"), version: try row.int("version"), staffID: try row.string("staff_id"),
            role: try row.string("role_id"), grantedBy: try row.string("granted_by"),
            grantedAt: try row.instant("granted_at"), expiresAt: try row.optionalInstant("expires_at"),
            revokedAt: try row.optionalInstant("revoked_at"), source: try row.optionalString("source"),
            tokenHolder: try row.optionalString("token_holder"))
    }

    public var values: [Value] {
        [
            .text(id), .int(version), .text(staffID), .text(role), .text(grantedBy), Value(grantedAt),
            Value(expiresAt), Value(revokedAt), Value(source), Value(tokenHolder),
        ]
    }
}
