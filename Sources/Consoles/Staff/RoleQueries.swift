import Kernel

extension Role {
    static let columns = "id, version, title, summary"

    public static func select(_ ids: [String], lock: Bool, _ dialect: Dialect) -> Statement {
        StaffSQL.byID("roles", columns, ids, lock: lock, dialect)
    }

    public static func selectAll(after cursor: String, limit: Int) -> Statement {
        Statement("SELECT \(columns) FROM roles WHERE id > $1 ORDER BY id LIMIT \(limit)", [.text(cursor)])
    }

    public init(_ row: Row) throws {
        self.init(
            id: try row.string("id"), version: try row.int("version"), title: try row.string("title"),
            summary: try row.string("summary"))
    }

    private var values: [Value] { [.text(id), .int(version), .text(title), .text(summary)] }

    public func insert() -> [Statement] {
        [Statement("INSERT INTO roles (\(Self.columns)) VALUES ($1, $2, $3, $4)", values)]
    }

    public func update(expecting version: Int64) -> [Statement] {
        [
            Statement(
                "UPDATE roles SET version = $2, title = $3, summary = $4 WHERE id = $1 AND version = $5",
                values + [.int(version)], expectedRows: 1)
        ]
    }
}

extension RolePermission {
    static let columns = "id, version, role_id, permission, limits"

    public static func select(_ ids: [String], lock: Bool, _ dialect: Dialect) -> Statement {
        StaffSQL.byID("role_permissions", columns, ids, lock: lock, dialect)
    }

    public static func selectAll(after cursor: String, limit: Int) -> Statement {
        Statement("SELECT \(columns) FROM role_permissions WHERE id > $1 ORDER BY id LIMIT \(limit)", [.text(cursor)])
    }

    public init(_ row: Row) throws {
        var limits: [Limit]?
        if row["limits"] != .null {
            guard let read = Self.limits(try row.json("limits")) else { throw StoreError.shape(column: "limits") }
            limits = read
        }
        self.init(
            role: try row.string("role_id"), permission: try row.string("permission"), limits: limits,
            version: try row.int("version"))
        id = try row.string("id")
    }

    private var values: [Value] {
        [
            .text(id), .int(version), .text(role), .text(permission),
            Value(limits.map { Self.json($0).canonicalText }),
        ]
    }

    public func insert() -> [Statement] {
        [Statement("INSERT INTO role_permissions (\(Self.columns)) VALUES ($1, $2, $3, $4, $5)", values)]
    }

    public func update(expecting version: Int64) -> [Statement] {
        [
            Statement(
                """
                UPDATE role_permissions SET version = $2, role_id = $3, permission = $4, limits = $5
                WHERE id = $1 AND version = $6
                """, values + [.int(version)], expectedRows: 1)
        ]
    }
}

extension Grant {
    static let columns = "id, version, staff_id, role_id, granted_by, granted_at, expires_at, revoked_at"

    public static func select(_ ids: [String], lock: Bool, _ dialect: Dialect) -> Statement {
        StaffSQL.byID("grants", columns, ids, lock: lock, dialect)
    }

    public static func selectAll(after cursor: String, limit: Int) -> Statement {
        Statement("SELECT \(columns) FROM grants WHERE id > $1 ORDER BY id LIMIT \(limit)", [.text(cursor)])
    }

    /// Every grant of some people, revoked ones too. Through `grants_staff`.
    static func of(_ staff: [String]) -> Statement {
        let list = staff.indices.map { "$\($0 + 1)" }.joined(separator: ", ")
        return Statement(
            "SELECT \(columns) FROM grants WHERE staff_id IN (\(list)) ORDER BY staff_id, granted_at, id",
            staff.map(Value.text))
    }

    /// One row, `count`: active people who hold a role at `now`.
    static func activeHolders(of role: String, at now: Instant) -> Statement {
        Statement(
            """
            SELECT COUNT(*) AS count FROM staff s JOIN grants g ON g.staff_id = s.id
            WHERE s.status = 'active' AND g.role_id = $1 AND g.revoked_at IS NULL
                AND (g.expires_at IS NULL OR g.expires_at > $2)
            """, [.text(role), Value(now)])
    }

    public init(_ row: Row) throws {
        self.init(
            id: try row.string("id"), version: try row.int("version"), staffID: try row.string("staff_id"),
            role: try row.string("role_id"), grantedBy: try row.string("granted_by"),
            grantedAt: try row.instant("granted_at"), expiresAt: try row.optionalInstant("expires_at"),
            revokedAt: try row.optionalInstant("revoked_at"))
    }

    private var values: [Value] {
        [
            .text(id), .int(version), .text(staffID), .text(role), .text(grantedBy), Value(grantedAt),
            Value(expiresAt), Value(revokedAt),
        ]
    }

    public func insert() -> [Statement] {
        [Statement("INSERT INTO grants (\(Self.columns)) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)", values)]
    }

    public func update(expecting version: Int64) -> [Statement] {
        [
            Statement(
                """
                UPDATE grants SET version = $2, staff_id = $3, role_id = $4, granted_by = $5, granted_at = $6,
                    expires_at = $7, revoked_at = $8
                WHERE id = $1 AND version = $9
                """, values + [.int(version)], expectedRows: 1)
        ]
    }
}
