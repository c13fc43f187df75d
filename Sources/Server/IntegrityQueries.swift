import Kernel

/// The database's own check of its file, which covers what the log can't: indexes and free pages.
enum IntegrityQueries {
    /// What is wrong, a line each; `nil` on PostgreSQL, whose checks are an administrator's (`pg_amcheck`).
    static func damage(in database: any Database) async throws -> [String]? {
        guard database.dialect == .sqlite else { return nil }
        return try await database.read { reader in
            try reader.query(Statement("PRAGMA integrity_check(20)"))
                .map { try $0.string("integrity_check") }.filter { $0 != "ok" }
        }
    }

    /// How many tables a PostgreSQL database has.
    static func tableCount(_ database: any Database) async throws -> Int64 {
        try await database.read { reader in
            try reader.first(Statement("SELECT count(*) AS n FROM pg_tables WHERE schemaname = 'public'"))?.int("n")
                ?? 0
        }
    }
}
