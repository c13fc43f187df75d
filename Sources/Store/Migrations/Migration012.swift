import Kernel

/// What staff may set while the servers run.
enum Migration012 {
    static let tables = """
        -- Governed
        CREATE TABLE settings (
            id {text} PRIMARY KEY,
            version BIGINT NOT NULL,
            value BIGINT NOT NULL,
            updated_at BIGINT NOT NULL
        );
        """

    static let governed: [(table: String, type: String)] = [("settings", "setting")]

    @Sendable static func special(_ dialect: Dialect) -> [String] { Migration011.marking("settings", dialect) }
}
