import Foundation
import Kernel
import Store
import StorePostgres
import StoreSQLite
import TestSupport
import Testing

@Suite struct MigrationTests {
    @Test(arguments: TestDatabase.Kind.allCases)
    func `migrating again does nothing`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            #expect(try await Migrator.pending(store.database).isEmpty)
            let applied = try await store.asOwner { writer in
                try writer.query(Statement("SELECT number, name FROM schema_migrations")).map { try $0.int("number") }
            }
            #expect(applied == Migration.all.map(\.number))
        }
        try await TestDatabase.with(.sqlite) { store in
            let again = try await Migrator.migrate(store.database)
            #expect(again.isEmpty)
        }
    }

    @Test func `an empty database has every step pending`() async throws {
        let path = NSTemporaryDirectory() + "postern-test-\(SecureRandom.bytes(8).hex).db"
        let database = try SQLiteDatabase(path: path)
        #expect(try await Migrator.pending(database).map(\.number) == Migration.all.map(\.number))
        #expect(try await Migrator.migrate(database).map(\.number) == Migration.all.map(\.number))
        #expect(try await Migrator.pending(database).isEmpty)
        await database.close()
        for suffix in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + suffix) }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a newer or edited schema is refused`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            try await store.tamper([
                Statement(
                    "INSERT INTO schema_migrations (number, name, applied_at, checksum) VALUES (999, 'later', 0, '')")
            ])
            await #expect(throws: Migrator.Problem.newerSchema(number: 999)) {
                try await Migrator.pending(store.database)
            }
            try await store.tamper([
                Statement("DELETE FROM schema_migrations WHERE number = 999"),
                Statement("UPDATE schema_migrations SET checksum = 'edited' WHERE number = 1"),
            ])
            await #expect(throws: Migrator.Problem.changedStep(number: 1, name: "foundation")) {
                try await Migrator.pending(store.database)
            }
        }
    }

    @Test func `every governed table has its guards`() async throws {
        for kind in TestDatabase.Kind.allCases {
            try await TestDatabase.with(kind) { store in
                for (table, _) in Migration.governedTables {
                    let count = try await store.database.read { reader in
                        let sql =
                            kind == .sqlite
                            ? "SELECT count(*) AS n FROM sqlite_master WHERE type = 'trigger' AND tbl_name = $1 AND name LIKE 'governed%'"
                            : """
                            SELECT count(*) AS n FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
                            WHERE c.relname = $1 AND NOT t.tgisinternal AND t.tgname LIKE 'governed%'
                            """
                        return try reader.query(Statement(sql, [.text(table)]))[0].int("n")
                    }
                    #expect(count == (kind == .sqlite ? 3 : 2), "\(table)")
                }
            }
        }
    }
}
