import Kernel
import Store
import StorePostgres
import TestSupport
import Testing

@Suite struct ContractTests {
    @Test(arguments: TestDatabase.Kind.allCases)
    func `a written row is read back`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            try await store.database.write { writer in
                writer.enqueue(
                    Statement(
                        "INSERT INTO throttle (key, failures, blocked_until, updated_at) VALUES ($1, $2, $3, $4)",
                        [.text("a"), .int(1), .int(.max), .int(.min)], expectedRows: 1))
            }
            let row = try await store.database.read { reader in
                try reader.first(Statement("SELECT * FROM throttle WHERE key = $1", [.text("a")]))
            }
            #expect(try row?.int("blocked_until") == .max)
            #expect(try row?.int("updated_at") == .min)
        }
    }
}
