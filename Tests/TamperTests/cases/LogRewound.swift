import Foundation
import Kernel
import Store
import StorePostgres
import StoreSQLite
import TestSupport
import Testing

@Suite struct `Attack: the log is rewound by a restored backup` {
    /// A copy of the database as it is now, made with the database's own tools; restored by the second closure.
    private func backUp(_ log: LogFixture) throws -> (restore: () throws -> any Database, remove: () -> Void) {
        switch log.db.kind {
        case .sqlite:
            let copy = log.folder + "/backup.db"
            let result = try Shell.run("sqlite3", [log.db.location, ".backup '\(copy)'"])
            try #require(result.status == 0, "\(result.output)")
            return ({ try SQLiteDatabase(path: copy) }, {})
        case .postgres:
            let dump = log.folder + "/backup.sql"
            let result = try Shell.run("pg_dump", ["--no-owner", "-f", dump, log.db.location])
            try #require(result.status == 0, "\(result.output)")
            let (base, name) = (log.db.location, "log_rewound_\(SecureRandom.bytes(6).hex)")
            let url =
                base.prefix { $0 != "?" }.split(separator: "/").dropLast().joined(separator: "/")
                .replacing("postgres:/", with: "postgres://") + "/" + name
            return (
                {
                    for arguments in [
                        [base, "-c", "CREATE DATABASE \(name) TEMPLATE template0"], [url, "-q", "-f", dump],
                    ] {
                        let result = try Shell.run("psql", ["-X", "-v", "ON_ERROR_STOP=1"] + arguments)
                        try #require(result.status == 0, "\(result.output)")
                    }
                    return PostgresDatabase(url: url)
                }, { _ = try? Shell.run("psql", ["-X", base, "-c", "DROP DATABASE IF EXISTS \(name) WITH (FORCE)"]) }
            )
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the server refuses, verify names both sizes, and a successor log goes on`(kind: TestDatabase.Kind)
        async throws
    {
        try await LogFixture.with(kind) { log in
            _ = try await log.fill(5)
            let backup = try backUp(log)
            defer { backup.remove() }
            try await log.record(3)
            try await log.sequencer.turn()
            await log.sequencer.stepDown()

            let restored = try backup.restore()
            let sequencer = log.another(database: restored)
            try await sequencer.turn()
            guard case .refused(let reason) = sequencer.health else {
                Issue.record("went on with \(sequencer.health)")
                return
            }
            #expect(
                reason.contains("8 entries") && reason.contains("only 5") && reason.contains("postern audit successor"))
            let verifier = Verifier(
                database: restored, store: log.store, catalog: log.catalog, key: log.key.verifier, file: log.file)
            let report = try await verifier.run()
            #expect(report.kinds == [.logRewound])
            #expect(
                report.findings.first?.detail.contains("8") == true
                    && report.findings.first?.detail.contains("5") == true)

            // The way out: a new log that says openly where the old one ended.
            let newKey = try LogKey.generate(name: LogFixture.origin + "/2")
            let leadership = LogFixture.leadership(log.db)
            let note = try await Succession.open(
                database: restored, store: log.store, records: log.records, leadership: leadership, file: log.file,
                oldKey: log.key, newKey: newKey, clock: log.db.clock.clock)
            let record = try Succession(note: note)
            #expect(record.lastKnown.size == 8 && record.begins.size == 5)
            let successor = log.another(key: newKey, database: restored)
            try await successor.turn()
            #expect(successor.health == .healthy)
            let published = PublishedLog(database: restored, store: log.store, key: newKey.verifier)
            let checkpoint = try Checkpoint(note: try #require(try await published.checkpoint()), key: newKey.verifier)
            #expect(checkpoint.size == 6)
            let after = try await Verifier(
                database: restored, store: log.store, catalog: log.catalog, key: newKey.verifier, file: log.file
            ).run()
            #expect(after.isClean, "\(after.findings)")
            await successor.stop()
            await restored.close()
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an empty database in place of the log is refused`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            _ = try await log.fill(5)
            await log.sequencer.stepDown()
            try await LogFixture.with(kind) { empty in
                let sequencer = empty.another(key: log.key, file: log.file)
                try await empty.record(1)
                try await sequencer.turn()
                guard case .refused = sequencer.health else {
                    Issue.record("went on with \(sequencer.health)")
                    return
                }
                await sequencer.stop()
            }
        }
    }
}
