import Foundation
import Kernel
import Store
import StoreSQLite
import TestSupport
import Testing

@Suite struct SQLiteTests {
    @Test func `commits wait for the disk and the schema is trusted`() async throws {
        try await TestDatabase.with(.sqlite) { store in
            let settings = try await store.database.write { writer in
                try writer.query([
                    Statement("PRAGMA synchronous"), Statement("PRAGMA journal_mode"), Statement("PRAGMA foreign_keys"),
                    Statement("PRAGMA trusted_schema"), Statement("PRAGMA secure_delete"),
                    Statement("PRAGMA recursive_triggers"),
                ]).map { $0[0].values[0] }
            }
            #expect(settings == [.int(2), .text("wal"), .int(1), .int(1), .int(1), .int(1)])
        }
    }

    @Test func `a full disk fails the write, and later ones succeed`() async throws {
        try await TestDatabase.with(.sqlite) { store in
            // SQLite's own limit on the file's pages answers as a full disk does.
            let pages = try await store.database.write { writer in
                let pages = try writer.query(Statement("PRAGMA page_count"))[0].values[0]
                guard case .int(let count) = pages else { throw StoreError.shape(column: "page_count") }
                _ = try writer.query(Statement("PRAGMA max_page_count = \(count + 4)"))
                return count
            }
            #expect(pages > 0)
            let long = String(repeating: "x", count: 200_000)
            let failure = await store.failure([Fixture.note("before"), Fixture.note(long)])
            guard case .full = failure else {
                Issue.record("\(String(describing: failure))")
                return
            }
            try await store.expect(0, in: "throttle")
            try await store.write([Fixture.note("small")])
            try await store.expect(1, in: "throttle")
        }
    }

    @Test func `a file that can't be opened is reported`() throws {
        // Below a device there are no files, whoever asks.
        #expect(throws: StoreError.self) { try SQLiteDatabase(path: "/dev/null/postern.db") }
    }

    @Test func `a file whose writer ended in the middle of a transaction can be looked at`() throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "postern-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let shell = Process()
        shell.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        shell.arguments = ["sqlite3", "-bail", "whole.db"]
        shell.currentDirectoryURL = directory
        let input = Pipe()
        shell.standardInput = input
        shell.standardOutput = FileHandle.nullDevice
        try shell.run()
        // What does not fit into one page of cache is in the file before it is committed, and the journal beside it.
        let script = """
            PRAGMA journal_mode = DELETE; CREATE TABLE kept (x); PRAGMA cache_size = 1;
            BEGIN; CREATE TABLE unfinished (x);
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
            INSERT INTO kept SELECT randomblob(500) FROM n;
            .shell cp whole.db cut.db; cp whole.db-journal cut.db-journal
            """
        try input.fileHandleForWriting.write(contentsOf: Data((script + "\n").utf8))
        try input.fileHandleForWriting.close()
        shell.waitUntilExit()
        let path = directory.appending(path: "cut.db").path
        #expect(FileManager.default.fileExists(atPath: path + "-journal"))
        #expect(try SQLiteFile.tables(at: path) == ["kept"])
        #expect(try SQLiteFile.damage(at: path) == [])
    }

    @Test func `an erased value is not left in the file`() async throws {
        try await TestDatabase.with(.sqlite) { store in
            let secret = "Marker-\(SecureRandom.bytes(12).hex)"
            let event = Fixture.event(sealed: ["details": .init(.string(secret), subjects: ["usr_1"])])
            try await store.write(Fixture.records.insert(event))
            try await store.database.write { writer in
                var draft = EventDraft(at: writer.now, .complianceConsole, "erasure.execute", actor: .system("erasure"))
                draft.target = ("user", "usr_1")
                _ = try ErasureDoor.erase(by: draft, in: writer)
            }
            await store.database.close()
            var bytes = Data()
            for suffix in ["", "-wal"] {
                if let part = FileManager.default.contents(atPath: store.location + suffix) { bytes += part }
            }
            #expect(!bytes.isEmpty)
            #expect(bytes.range(of: Data(secret.utf8)) == nil)
        }
    }

    @Test func `one process leads until it lets go`() async throws {
        try await TestDatabase.with(.sqlite) { store in
            let leadership = SQLiteLeadership(path: store.location)
            let first = try #require(try await leadership.acquire("sequencer"))
            #expect(try await leadership.acquire("sequencer") == nil)
            #expect(await first.isHeld())
            await first.release()
            #expect(await !first.isHeld())
            let second = try #require(try await leadership.acquire("sequencer"))
            try FileManager.default.removeItem(atPath: store.location + ".sequencer.lock")
            // Whoever removed the file could lock a new one.
            #expect(await !second.isHeld())
            await second.release()
        }
    }
}
