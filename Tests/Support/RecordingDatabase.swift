import Kernel
import Synchronization

/// Keeps one of every text that is sent to a database, with the values it was sent with.
public final class StatementRecorder: Sendable {
    private let known = Mutex<[String: Statement]>([:])

    public init() {}

    public var statements: [Statement] { known.withLock { $0.values.sorted { $0.text < $1.text } } }

    fileprivate func hear(_ statements: [Statement]) {
        known.withLock { known in for statement in statements { known[statement.text] = statement } }
    }
}

/// A database that tells a recorder what it is asked.
struct RecordingDatabase: Database {
    private let database: any Database
    private let recorder: StatementRecorder

    init(_ database: any Database, _ recorder: StatementRecorder) {
        self.database = database
        self.recorder = recorder
    }

    var dialect: Dialect { database.dialect }

    func read<T: Sendable>(_ body: @escaping @Sendable (any Reader) throws -> T) async throws -> T {
        try await database.read { [recorder] reader in try body(RecordingReader(reader, recorder)) }
    }

    func snapshot(_ statements: [Statement]) async throws -> Snapshot {
        recorder.hear(statements)
        return try await database.snapshot(statements)
    }

    func write<T: Sendable>(_ body: @escaping @Sendable (any Writer) throws -> T) async throws -> T {
        try await database.write { [recorder] writer in try body(RecordingWriter(writer, recorder)) }
    }

    func close() async { await database.close() }
}

private class RecordingReader: Reader {
    private let reader: any Reader
    let recorder: StatementRecorder

    init(_ reader: any Reader, _ recorder: StatementRecorder) {
        self.reader = reader
        self.recorder = recorder
    }

    var dialect: Dialect { reader.dialect }
    var now: Instant { reader.now }

    func query(_ statements: [Statement]) throws -> [[Row]] {
        recorder.hear(statements)
        return try reader.query(statements)
    }

    func foresee(_ statements: [Statement]) { reader.foresee(statements) }

    func forEach(_ statement: Statement, _ body: (Row) throws -> Void) throws {
        recorder.hear([statement])
        try reader.forEach(statement, body)
    }

    func scan(_ statement: Statement, _ body: ([RawValue]) throws -> Void) throws {
        recorder.hear([statement])
        try reader.scan(statement, body)
    }
}

private final class RecordingWriter: RecordingReader, Writer {
    private let writer: any Writer

    init(_ writer: any Writer, _ recorder: StatementRecorder) {
        self.writer = writer
        super.init(writer, recorder)
    }

    func enqueue(_ statements: [Statement]) {
        recorder.hear(statements)
        writer.enqueue(statements)
    }

    func load(_ rows: RowLoad) throws { try writer.load(rows) }
    func lock(_ names: [String]) throws { try writer.lock(names) }
    func tryLock(_ name: String) throws -> Bool { try writer.tryLock(name) }

    func claim(_ name: String, unless taken: Statement) throws {
        recorder.hear([taken])
        try writer.claim(name, unless: taken)
    }
}
