import Kernel

extension User {
    static let columns = "id, version, external_id, email, name, status, created_at, last_login_at"

    public static func select(_ ids: [String], lock: Bool, _ dialect: Dialect) -> Statement {
        Statement(
            "SELECT \(columns) FROM users WHERE id IN (\(placeholders(ids.count))) ORDER BY id\(lock ? dialect.forUpdate : "")",
            ids.map(Value.text))
    }

    public static func selectAll(after cursor: String, limit: Int) -> Statement {
        Statement(
            "SELECT \(columns) FROM users WHERE id > $1 ORDER BY id LIMIT $2", [.text(cursor), .int(Int64(limit))])
    }

    public func insert() -> [Statement] {
        [
            Statement(
                """
                INSERT INTO users (id, version, external_id, email, email_local, name, status, created_at, \
                last_login_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
                """,
                [
                    .text(id), .int(version), .text(externalID), .text(email), .text(emailLocal), .text(name),
                    .text(status.rawValue), .int(createdAt.microseconds), Value(lastLoginAt),
                ], expectedRows: 1)
        ]
    }

    public func update(expecting version: Int64) -> [Statement] {
        [
            Statement(
                """
                UPDATE users SET version = $1, external_id = $2, email = $3, email_local = $4, name = $5, status = $6, \
                last_login_at = $7 WHERE id = $8 AND version = $9
                """,
                [
                    .int(self.version), .text(externalID), .text(email), .text(emailLocal), .text(name),
                    .text(status.rawValue), Value(lastLoginAt), .text(id), .int(version),
                ], expectedRows: 1)
        ]
    }
}

enum UserQueries {
    /// Users by e-mail or by external id. `values` MUST NOT be empty.
    static func users(by column: UniqueColumn, _ values: [String]) -> Statement {
        Statement(
            "SELECT \(User.columns) FROM users WHERE \(column.rawValue) IN (\(placeholders(values.count)))",
            values.map(Value.text))
    }
    enum UniqueColumn: String {
        case id, email
        case externalID = "external_id"
    }
}
