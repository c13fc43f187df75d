import Kernel

/// Brings a database to the schema this program expects.
public enum Migrator {
    /// A step that was applied.
    public struct Applied: Sendable, Hashable {
        public let number: Int64
        public let name: String
    }

    /// Why a database can't be migrated or served.
    public enum Problem: Error, Sendable, Equatable, CustomStringConvertible {
        /// The database was migrated by a newer program.
        case newerSchema(number: Int64)
        /// A step was applied in another form than this program knows.
        case changedStep(number: Int64, name: String)

        public var description: String {
            switch self {
            case .newerSchema(let number):
                "The database has step \(number) of the schema, which this program does not know. "
                    + "Run the newer program, or restore the backup taken before it."
            case .changedStep(let number, let name):
                "Step \(number) (\(name)) of the schema was applied in another form than this program knows. "
                    + "Run the program that applied it, or restore a backup."
            }
        }
    }

    private static let table = """
        CREATE TABLE IF NOT EXISTS schema_migrations (
            number BIGINT PRIMARY KEY,
            name {text} NOT NULL,
            applied_at BIGINT NOT NULL,
            checksum {text} NOT NULL
        )
        """

    /// Applies every pending step in one transaction, under a lock; other migrators wait. Returns what was applied.
    /// - Throws: `Problem`, `StoreError`.
    @discardableResult
    public static func migrate(
        _ database: any Database, steps: [Migration] = Migration.all
    ) async throws -> [Applied] {
        try await database.write { writer in
            try writer.lock(["postern.migrations"])
            let dialect = writer.dialect
            for statement in SQLScript(table, dialect: dialect).statements { try writer.execute(Statement(statement)) }
            let pending = try pending(among: steps, reader: writer)
            for step in pending {
                for statement in step.statements(dialect) { try writer.execute(Statement(statement)) }
                writer.enqueue(
                    Statement(
                        "INSERT INTO schema_migrations (number, name, applied_at, checksum) VALUES ($1, $2, $3, $4)",
                        [
                            .int(step.number), .text(step.name), .int(writer.now.microseconds),
                            .text(step.checksum(dialect)),
                        ]))
            }
            return pending.map { Applied(number: $0.number, name: $0.name) }
        }
    }

    /// The steps that are still to be applied.
    /// - Throws: `Problem`, `StoreError`.
    public static func pending(
        _ database: any Database, steps: [Migration] = Migration.all
    ) async throws -> [Applied] {
        try await database.read { reader in
            let exists = try reader.first(Statement(existenceQuery(reader.dialect))) != nil
            let pending = exists ? try pending(among: steps, reader: reader) : steps
            return pending.map { Applied(number: $0.number, name: $0.name) }
        }
    }

    private static func existenceQuery(_ dialect: Dialect) -> String {
        switch dialect {
        case .sqlite: "SELECT 1 AS found FROM sqlite_master WHERE type = 'table' AND name = 'schema_migrations'"
        case .postgres: "SELECT 1 AS found WHERE to_regclass('schema_migrations') IS NOT NULL"
        }
    }

    private static func pending(among steps: [Migration], reader: any Reader) throws -> [Migration] {
        let rows = try reader.query(Statement("SELECT number, checksum FROM schema_migrations ORDER BY number"))
        var applied: [Int64: String] = [:]
        for row in rows { applied[try row.int("number")] = try row.string("checksum") }
        let known = Set(steps.map(\.number))
        if let unknown = applied.keys.filter({ !known.contains($0) }).max() {
            throw Problem.newerSchema(number: unknown)
        }
        return try steps.filter { step in
            guard let checksum = applied[step.number] else { return true }
            guard checksum == step.checksum(reader.dialect) else {
                throw Problem.changedStep(number: step.number, name: step.name)
            }
            return false
        }
    }
}
