import Kernel

extension Staff {
    static let columns = "id, version, email, name, status, invited_by, created_at, updated_at"

    public static func select(_ ids: [String], lock: Bool, _ dialect: Dialect) -> Statement {
        StaffSQL.byID("staff", columns, ids, lock: lock, dialect)
    }

    public static func selectAll(after cursor: String, limit: Int) -> Statement {
        Statement("SELECT \(columns) FROM staff WHERE id > $1 ORDER BY id LIMIT \(limit)", [.text(cursor)])
    }

    /// The one with this address, or nothing.
    static func withEmail(_ email: String) -> Statement {
        Statement("SELECT \(columns) FROM staff WHERE email = $1", [.text(email)])
    }

    /// One row when anybody exists at all.
    static let anybody = Statement("SELECT id FROM staff ORDER BY id LIMIT 1")

    public init(_ row: Row) throws {
        guard let status = Status(rawValue: try row.string("status")) else { throw StoreError.shape(column: "status") }
        self.init(
            id: try row.string("id"), version: try row.int("version"), email: try row.string("email"),
            name: try row.string("name"), status: status, invitedBy: try row.optionalString("invited_by"),
            createdAt: try row.instant("created_at"), updatedAt: try row.instant("updated_at"))
    }

    private var values: [Value] {
        [
            .text(id), .int(version), .text(email), .text(name), .text(status.rawValue), Value(invitedBy),
            Value(createdAt), Value(updatedAt),
        ]
    }

    public func insert() -> [Statement] {
        [Statement("INSERT INTO staff (\(Self.columns)) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)", values)]
    }

    public func update(expecting version: Int64) -> [Statement] {
        [
            Statement(
                """
                UPDATE staff SET version = $2, email = $3, name = $4, status = $5, invited_by = $6, created_at = $7,
                    updated_at = $8
                WHERE id = $1 AND version = $9
                """, values + [.int(version)], expectedRows: 1)
        ]
    }
}

enum StaffSQL {
    static func byID(_ table: String, _ columns: String, _ ids: [String], lock: Bool, _ dialect: Dialect) -> Statement {
        let list = ids.indices.map { "$\($0 + 1)" }.joined(separator: ", ")
        return Statement(
            "SELECT \(columns) FROM \(table) WHERE id IN (\(list)) ORDER BY id\(lock ? dialect.forUpdate : "")",
            ids.map(Value.text))
    }
}
