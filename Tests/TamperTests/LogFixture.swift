import Foundation
import Kernel
import Store
import StorePostgres
import StoreSQLite
import TestSupport
import Testing

/// The smallest governed entity: a role.
struct TestRole: Entity, Equatable {
    static let type = "role"
    static let idPrefix = "role"
    static let table = "roles"

    var id: String
    var version: Int64
    var title: String
    var summary: String
    var tenantID: String? { nil }
    var subjects: [String] { [] }
    var displayName: String { title }
    var document: JSON {
        ["id": .string(id), "version": .int(version), "title": .string(title), "summary": .string(summary)]
    }

    init(_ id: String, title: String) { (self.id, version, self.title, summary) = (id, 1, title, "For tests.") }
    init(_ row: Row) throws {
        id = try row.string("id")
        version = try row.int("version")
        title = try row.string("title")
        summary = try row.string("summary")
    }

    static let columns = "id, version, title, summary"
    var values: [Value] { [.text(id), .int(version), .text(title), .text(summary)] }
}

/// A database with a log, a sequencer that is turned by hand, and everything needed to look at it.
final class LogFixture: Sendable {
    static let origin = "postern.test/log"

    let db: TestDatabase
    let store = SQLLogStore()
    let records = SQLRecords()
    let key: LogKey
    let folder: String
    let file: CheckpointFile
    let sequencer: Sequencer
    let catalog = Catalog(operations: [], reads: [], entities: [AnyEntityType(TestRole.self)])

    var database: any Database { db.database }
    var published: PublishedLog { PublishedLog(database: database, store: store, key: key.verifier) }

    private init(_ db: TestDatabase) throws {
        self.db = db
        folder = NSTemporaryDirectory() + "postern-log-\(SecureRandom.bytes(8).hex)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        key = try LogKey.generate(name: Self.origin)
        file = CheckpointFile(path: folder + "/checkpoints.log")
        sequencer = Sequencer(
            database: db.database, store: store, leadership: Self.leadership(db), key: key, file: file,
            clock: db.clock.clock)
    }

    static func leadership(_ db: TestDatabase) -> any Leadership {
        db.kind == .sqlite ? SQLiteLeadership(path: db.location) : PostgresLeadership(url: db.url)
    }

    static func with(_ kind: TestDatabase.Kind, _ body: (LogFixture) async throws -> Void) async throws {
        try await TestDatabase.with(kind) { db in
            let fixture = try LogFixture(db)
            defer { try? FileManager.default.removeItem(atPath: fixture.folder) }
            do {
                try await body(fixture)
                await fixture.sequencer.stop()
            } catch {
                await fixture.sequencer.stop()
                throw error
            }
        }
    }

    /// Another sequencer on the same database, as another process would run one.
    func another(key: LogKey? = nil, file: CheckpointFile? = nil, database: (any Database)? = nil) -> Sequencer {
        Sequencer(
            database: database ?? self.database, store: store, leadership: Self.leadership(db), key: key ?? self.key,
            file: file ?? self.file, clock: db.clock.clock)
    }

    // MARK: Events

    static func draft(_ action: String = "test.happened") -> EventDraft {
        var draft = EventDraft(at: TestDatabase.start, .mutation, action, actor: Actor(.staff, "stf_1"))
        draft.tenant = "ten_1"
        draft.target = ("role", "support")
        draft.requestID = "req_1"
        draft.sealed["justification"] = .init("They asked for it on the phone.", subjects: ["usr_1", "stf_1"])
        draft.sealed["actor_ip"] = .init("203.0.113.7", subjects: ["stf_1"])
        return draft
    }

    /// Commits `count` events without changes, in one transaction.
    @discardableResult func record(_ count: Int) async throws -> [SealedEvent] {
        let events = (0..<count).map { _ in SealedEvent(Self.draft()) }
        let records = records
        try await database.write { writer in for event in events { writer.enqueue(records.insert(event)) } }
        return events
    }

    /// Commits a change of a role with its event.
    @discardableResult func change(_ before: TestRole?, _ after: TestRole) async throws -> SealedEvent {
        var draft = Self.draft(before == nil ? "role.create" : "role.update")
        draft.changes = [
            .init(
                type: "role", id: after.id, before: before.map { .init($0.document, subjects: []) },
                after: .init(after.document, subjects: []))
        ]
        let event = SealedEvent(draft)
        let records = records
        try await database.write { writer in
            writer.enqueue(records.insert(event))
            writer.enqueue(before.map { after.update(expecting: $0.version) } ?? after.insert())
        }
        return event
    }

    /// A log of `count` events with a role in the middle, sequenced and published.
    func fill(_ count: Int = 5) async throws -> [SealedEvent] {
        var events = try await record(count / 2)
        events.append(try await change(nil, TestRole("support", title: "Support")))
        events += try await record(count - count / 2 - 1)
        try await sequencer.turn()
        return events
    }

    // MARK: Looking

    func verify(against: [String] = [], file: CheckpointFile? = nil) async throws -> VerificationReport {
        try await Verifier(
            database: database, store: store, catalog: catalog, key: key.verifier, file: file ?? self.file
        ).run(against: against)
    }

    /// The log is whole: what an attack then changes is found because of the attack.
    func expectClean() async throws {
        let report = try await verify()
        #expect(report.isClean, "\(report.findings)")
    }

    /// Writes an export to a file and answers its path.
    func export(_ filter: EventFilter = EventFilter(), as format: ExportFormat = .jsonl) async throws -> String {
        let path = folder + "/export-\(SecureRandom.bytes(4).hex).\(format.rawValue)"
        try Data().write(to: URL(fileURLWithPath: path))
        try await published.export(filter, as: format) { bytes, _ in
            let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
            try handle.seekToEnd()
            try handle.write(contentsOf: Data(bytes))
            try handle.close()
        }
        return path
    }

    // MARK: Attacking

    /// A copy of an export with some lines changed.
    func edit(_ path: String, _ change: (String) throws -> String) throws -> String {
        let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map {
            try change(String($0))
        }
        let copy = path + ".changed"
        try (lines.joined(separator: "\n") + "\n").write(toFile: copy, atomically: true, encoding: .utf8)
        return copy
    }

    /// Runs SQL the way somebody with the file, or a superuser with psql, would: in the database's own program, with
    /// every trigger and foreign key out of the way.
    func attack(_ sql: String...) throws {
        let result: (status: Int32, output: String)
        switch db.kind {
        case .sqlite:
            let triggers = try Shell.run(
                "sqlite3", [db.location, "SELECT name FROM sqlite_master WHERE type = 'trigger'"])
            let drops = triggers.output.split(separator: "\n").map { "DROP TRIGGER \"\($0)\";" }
            result = try Shell.run(
                "sqlite3", ["-bail", db.location, (drops + sql.map { $0 + ";" }).joined(separator: "\n")])
        case .postgres:
            let script = ["SET session_replication_role = replica"] + sql
            result = try Shell.run(
                "psql", ["-X", "-q", "-v", "ON_ERROR_STOP=1", db.location, "-c", script.joined(separator: "; ")])
        }
        try #require(result.status == 0, "\(result.output)")
    }

    /// A bytes literal.
    func bytes(_ bytes: [UInt8]) -> String { db.kind == .sqlite ? "x'\(bytes.hex)'" : "'\\x\(bytes.hex)'::bytea" }
}

/// Programs that are not ours.
enum Shell {
    /// A script of `e2e/`.
    static func script(_ name: String) -> String {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("e2e/\(name)").path
    }

    static func run(_ program: String, _ arguments: [String], input: String? = nil) throws -> (
        status: Int32, output: String
    ) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [program] + arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        if let input {
            let feed = Pipe()
            process.standardInput = feed
            try process.run()
            feed.fileHandleForWriting.write(Data(input.utf8))
            try feed.fileHandleForWriting.close()
        } else {
            process.standardInput = FileHandle.nullDevice
            try process.run()
        }
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: output, as: UTF8.self))
    }
}

extension VerificationReport {
    /// The kinds found, each once.
    var kinds: Set<Finding.Kind> { Set(findings.map(\.kind)) }
}
