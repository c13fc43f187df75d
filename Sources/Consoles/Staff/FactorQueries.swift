import Kernel

extension Factor {
    public static let columns = "id, version, staff_id, kind, label, secret, credential, status, created_at"

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

    /// The newest that are sealed under the master key, those of about ten people: ids are in the order of time.
    static let newestSealed = Statement(
        """
        SELECT \(columns) FROM factors WHERE kind IN ('password', 'totp') AND status = 'active' ORDER BY id DESC LIMIT 20
        """)

    public init(_ row: Row) throws {
        guard let kind = FactorKind(rawValue: try row.string("kind")) else { throw StoreError.shape(column: "kind") }
        guard let status = Status(rawValue: try row.string("status")) else { throw StoreError.shape(column: "status") }
        self.init(
            id: try row.string("id"), version: try row.int("version"), staffID: try row.string("staff_id"), kind: kind,
            label: try row.string("label"), secret: try row.string("secret"),
            credential: try row.optionalString("credential"), status: status,
            createdAt: try row.instant("created_at"))
    }

    public var values: [Value] {
        [
            .text(id), .int(version), .text(staffID), .text(kind.rawValue), .text(label), .text(secret),
            Value(credential), .text(status.rawValue), Value(createdAt),
        ]
    }
}
