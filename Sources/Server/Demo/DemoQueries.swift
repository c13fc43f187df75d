import Kernel
import Store

/// Looks into a database that may be anybody's.
enum DemoQueries {
    enum Content: Sendable, Equatable {
        case empty
        /// A Postern database with a log of this name.
        case log(String)
        /// A Postern database whose log has no name yet.
        case unnamed
        /// Tables that are not Postern's.
        case foreign
    }

    static func content(of database: any Database) async throws -> Content {
        try await database.read { reader in
            let names = try reader.query(tables(reader.dialect)).map { try $0.string("name") }
            if names.isEmpty { return .empty }
            guard names.contains("schema_migrations"), names.contains("log_state") else { return .foreign }
            return try SQLLogStore().state(reader).map { .log($0.origin) } ?? .unnamed
        }
    }

    private static func tables(_ dialect: Dialect) -> Statement {
        switch dialect {
        case .sqlite: Statement("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name LIMIT 1000")
        case .postgres:
            Statement(
                "SELECT tablename::text AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename LIMIT 1000"
            )
        }
    }
}
