import Kernel

extension User {
    public static let columns = "id, version, external_id, email, email_local, name, status, created_at, last_login_at"

    public var values: [Value] {
        [
            .text(id), .int(version), .text(externalID), .text(email), .text(emailLocal), .text(name),
            .text(status.rawValue), Value(createdAt), Value(lastLoginAt),
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
    /// The users who have `text` as their id or external id, or `email`.
    static func users(exactly text: String, email: String) -> Statement {
        Statement(
            "SELECT \(User.columns) FROM users WHERE id = $1 OR external_id = $1 OR email = $2",
            [.text(text), .text(email)])
    }

    enum UniqueColumn: String {
        case id, email
        case externalID = "external_id"
    }
}
