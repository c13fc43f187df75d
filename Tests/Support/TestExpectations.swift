import Kernel
import Testing

extension TestDatabase {
    /// Expects a number of rows in a table, or in `table WHERE …`.
    public func expect(_ rows: Int64, in table: String, sourceLocation: SourceLocation = #_sourceLocation) async throws
    {
        let found = try await database.read { reader in
            try reader.query(Statement("SELECT count(*) AS n FROM \(table)"))[0].int("n")
        }
        #expect(found == rows, sourceLocation: sourceLocation)
    }

    /// What a transaction fails with; `nil` when it succeeds.
    public func failure(_ body: @escaping @Sendable (any Writer) throws -> Void) async -> StoreError? {
        do {
            try await database.write(body)
            return nil
        } catch {
            return error as? StoreError ?? .other(String(describing: error))
        }
    }

    public func failure(_ statements: [Statement]) async -> StoreError? {
        await failure { $0.enqueue(statements) }
    }
}
