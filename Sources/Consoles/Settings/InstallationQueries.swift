import Kernel

/// What the database says of itself.
enum InstallationQueries {
    /// The newest event of an action.
    static func last(_ action: String) -> Statement {
        Statement("SELECT leaf FROM events WHERE action = $1 ORDER BY at DESC, id DESC LIMIT 1", [.text(action)])
    }

    static func engine(_ dialect: Dialect) -> Statement {
        switch dialect {
        case .sqlite: Statement("SELECT sqlite_version() AS version")
        case .postgres: Statement("SELECT split_part(current_setting('server_version'), ' ', 1) AS version")
        }
    }

    static func size(_ dialect: Dialect) -> Statement {
        switch dialect {
        case .sqlite: Statement("SELECT page_count * page_size AS bytes FROM pragma_page_count, pragma_page_size")
        case .postgres: Statement("SELECT pg_database_size(current_database()) AS bytes")
        }
    }

    /// The newest step of the schema.
    static let schema = Statement(
        "SELECT number, name, applied_at FROM schema_migrations ORDER BY number DESC LIMIT 1")

    static let log = Statement("SELECT origin, size FROM log_state WHERE id = 1")

    /// One row, `count`: tokens that work.
    static func runtimeTokens(at now: Instant) -> Statement {
        Statement(
            """
            SELECT COUNT(*) AS count FROM runtime_tokens
            WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $1)
            """, [Value(now)])
    }
}
