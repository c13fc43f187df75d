import Kernel

extension Factor {
    static let columns = "id, version, staff_id, kind, label, secret, status, created_at"

    public static func select(_ ids: [String], lock: Bool, _ dialect: Dialect) -> Statement {
        StaffSQL.byID("factors", columns, ids, lock: lock, dialect)
    }

    public static func selectAll(after cursor: String, limit: Int) -> Statement {
        Statement("SELECT \(columns) FROM factors WHERE id > $1 ORDER BY id LIMIT \(limit)", [.text(cursor)])
    }

    /// Active factors of a person, oldest first.
    static func active(of staff: String) -> Statement {
        Statement(
            "SELECT \(columns) FROM factors WHERE staff_id = $1 AND status = 'active' ORDER BY created_at, id",
            [.text(staff)])
    }

    /// The newest active factor of one kind, locked until commit when it is to be changed.
    static func active(_ kind: FactorKind, of staff: String, lock: Bool, _ dialect: Dialect) -> Statement {
        Statement(
            """
            SELECT \(columns) FROM factors WHERE staff_id = $1 AND kind = $2 AND status = 'active'
            ORDER BY created_at DESC, id DESC LIMIT 1\(lock ? dialect.forUpdate : "")
            """, [.text(staff), .text(kind.rawValue)])
    }

    public init(_ row: Row) throws {
        guard let kind = FactorKind(rawValue: try row.string("kind")) else { throw StoreError.shape(column: "kind") }
        guard let status = Status(rawValue: try row.string("status")) else { throw StoreError.shape(column: "status") }
        self.init(
            id: try row.string("id"), version: try row.int("version"), staffID: try row.string("staff_id"), kind: kind,
            label: try row.string("label"), secret: try row.string("secret"), status: status,
            createdAt: try row.instant("created_at"))
    }

    private var values: [Value] {
        [
            .text(id), .int(version), .text(staffID), .text(kind.rawValue), .text(label), .text(secret),
            .text(status.rawValue), Value(createdAt),
        ]
    }

    public func insert() -> [Statement] {
        [Statement("INSERT INTO factors (\(Self.columns)) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)", values)]
    }

    public func update(expecting version: Int64) -> [Statement] {
        [
            Statement(
                """
                UPDATE factors SET version = $2, staff_id = $3, kind = $4, label = $5, secret = $6, status = $7,
                    created_at = $8
                WHERE id = $1 AND version = $9
                """, values + [.int(version)], expectedRows: 1)
        ]
    }
}
