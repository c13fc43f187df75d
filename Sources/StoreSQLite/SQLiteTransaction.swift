import GRDB
import GRDBSQLite
import Kernel

/// One read transaction, or one job's savepoint inside the writer's transaction. The first error ends it: whatever the
/// body does afterwards, it is rolled back.
final class SQLiteTransaction: Kernel.Writer {
    private let database: GRDB.Database
    private let isReadOnly: Bool
    let now: Instant
    private var waiting: [Kernel.Statement] = []
    private var failure: (any Error)?
    private let deadline: ReadDeadline?

    init(_ database: GRDB.Database, isReadOnly: Bool, now: Instant, deadline: ReadDeadline? = nil) {
        self.deadline = deadline
        self.database = database
        self.isReadOnly = isReadOnly
        self.now = now
    }

    var dialect: Dialect { .sqlite }

    func query(_ statements: [Kernel.Statement]) throws -> [[Kernel.Row]] {
        try flush()
        return try statements.map { statement in
            var rows: [Kernel.Row] = []
            try run(statement) { rows.append($0) }
            return rows
        }
    }

    func forEach(_ statement: Kernel.Statement, _ body: (Kernel.Row) throws -> Void) throws {
        try flush()
        try run(statement, body)
    }

    func enqueue(_ statements: [Kernel.Statement]) { waiting += statements }

    // One writer: while this runs nobody else writes, so every lock is ours.
    func lock(_ names: [String]) throws { try rethrow() }
    func tryLock(_ name: String) throws -> Bool {
        try rethrow()
        return true
    }

    /// Runs what is still enqueued.
    func flush() throws {
        try rethrow()
        let statements = waiting
        waiting = []
        for statement in statements { try run(statement) { _ in } }
    }

    /// Throws what went wrong earlier, even if the body swallowed it.
    func rethrow() throws { if let failure { throw failure } }

    private func fail(_ error: StoreError) -> StoreError {
        if failure == nil { failure = error }
        return error
    }

    func scan(_ statement: Kernel.Statement, _ body: ([RawValue]) throws -> Void) throws {
        try flush()
        var columns: [RawValue] = []
        _ = try step(statement) { handle, width in
            columns.removeAll(keepingCapacity: true)
            for column in 0..<width { columns.append(Self.raw(handle, column)) }
            try body(columns)
        }
    }

    private func run(_ statement: Kernel.Statement, _ body: (Kernel.Row) throws -> Void) throws {
        var columns: ColumnIndex?
        let (width, count) = try step(statement) { handle, width in
            let index: ColumnIndex
            if let columns {
                index = columns
            } else {
                // Read after the first step, which prepares again when the schema has changed.
                index = ColumnIndex((0..<width).map { String(cString: sqlite3_column_name(handle, $0)) })
                columns = index
            }
            try body(Kernel.Row(columns: index, values: (0..<width).map { Self.value(handle, $0) }))
        }
        if let expected = statement.expectedRows {
            let wrote = width > 0 ? count : Int(sqlite3_changes(database.sqliteConnection))
            if wrote != expected { throw fail(.rowCount(expected: expected)) }
        }
    }

    /// Steps through the rows of a statement; answers how many columns and rows there were.
    private func step(
        _ statement: Kernel.Statement, _ body: (_ handle: OpaquePointer, _ width: Int32) throws -> Void
    ) throws -> (width: Int32, count: Int) {
        let prepared: GRDB.Statement
        do {
            // Texts with very many values come in odd lengths and are not worth keeping.
            prepared =
                statement.values.count <= 96
                ? try database.cachedStatement(sql: statement.text) : try database.makeStatement(sql: statement.text)
        } catch {
            throw fail(SQLiteFailure.storeError(error, database, isReadOnly: isReadOnly))
        }
        if isReadOnly, !prepared.isReadonly { throw fail(.other("A read transaction can't write.")) }
        let handle = prepared.sqliteStatement
        defer {
            sqlite3_reset(handle)
            sqlite3_clear_bindings(handle)
        }
        do { try bind(statement, to: handle) } catch { throw fail(error) }

        let width = sqlite3_column_count(handle)
        var count = 0
        while true {
            deadline?.restart()
            let code = sqlite3_step(handle)
            if code == SQLITE_ROW {
                count += 1
                try body(handle, width)
            } else if code == SQLITE_DONE {
                return (width, count)
            } else if deadline?.hasPassed == true {
                throw fail(
                    .unavailable("A read took too long and was stopped. Ask for less.", mayHaveCommitted: false))
            } else {
                throw fail(SQLiteFailure.storeError(database.sqliteConnection, isReadOnly: isReadOnly))
            }
        }
    }

    private func bind(_ statement: Kernel.Statement, to handle: OpaquePointer) throws(StoreError) {
        let values = statement.values
        for (index, number) in try ParameterOrder.of(statement.text, handle).enumerated() {
            guard number <= values.count else { throw .other("The statement has no value for $\(number).") }
            try Self.bind(values[number - 1], to: handle, at: Int32(index + 1))
        }
    }

    private static func bind(_ value: Value, to handle: OpaquePointer, at position: Int32) throws(StoreError) {
        let code: Int32
        switch value {
        case .null: code = sqlite3_bind_null(handle, position)
        case .int(let value): code = sqlite3_bind_int64(handle, position, value)
        case .text(var text):
            if text.utf8.contains(0) { throw .constraint("Text can't hold the character U+0000.") }
            code = text.withUTF8 { bytes in
                bytes.withMemoryRebound(to: CChar.self) { characters in
                    characters.isEmpty
                        ? sqlite3_bind_text(handle, position, "", 0, transient)
                        : sqlite3_bind_text(
                            handle, position, characters.baseAddress, Int32(characters.count), transient)
                }
            }
        case .bytes(let bytes):
            code =
                bytes.isEmpty
                ? sqlite3_bind_zeroblob(handle, position, 0)
                : bytes.withUnsafeBytes {
                    sqlite3_bind_blob(handle, position, $0.baseAddress, Int32($0.count), transient)
                }
        }
        if code != SQLITE_OK { throw .other("A value can't be bound: code \(code).") }
    }

    /// One statement, prepared once and run for each row.
    func load(_ rows: RowLoad) throws {
        try flush()
        guard !isReadOnly else { throw fail(.other("A read transaction can't write.")) }
        let text = "INSERT INTO \(rows.table) (\(rows.columns)) VALUES (\(placeholders(rows.width)))"
        let handle: OpaquePointer
        do {
            handle = try database.cachedStatement(sql: text).sqliteStatement
        } catch {
            throw fail(SQLiteFailure.storeError(error, database, isReadOnly: false))
        }
        defer {
            sqlite3_reset(handle)
            sqlite3_clear_bindings(handle)
        }
        let values = rows.values
        for start in stride(from: 0, to: values.count, by: rows.width) {
            for column in 0..<rows.width {
                do { try Self.bind(values[start + column], to: handle, at: Int32(column + 1)) } catch {
                    throw fail(error)
                }
            }
            guard sqlite3_step(handle) == SQLITE_DONE else {
                throw fail(SQLiteFailure.storeError(database.sqliteConnection, isReadOnly: false))
            }
            sqlite3_reset(handle)
        }
    }

    /// SQLite copies the value.
    private static let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)

    private static func value(_ handle: OpaquePointer, _ column: Int32) -> Value {
        switch sqlite3_column_type(handle, column) {
        case SQLITE_NULL: return .null
        case SQLITE_INTEGER: return .int(sqlite3_column_int64(handle, column))
        case SQLITE_BLOB:
            let bytes = UnsafeRawBufferPointer(
                start: sqlite3_column_blob(handle, column), count: Int(sqlite3_column_bytes(handle, column)))
            return .bytes(Array(bytes))
        default:
            let text = sqlite3_column_text(handle, column)
            let bytes = UnsafeBufferPointer(start: text, count: Int(sqlite3_column_bytes(handle, column)))
            return .text(String(decoding: bytes, as: UTF8.self))
        }
    }

    private static func raw(_ handle: OpaquePointer, _ column: Int32) -> RawValue {
        switch sqlite3_column_type(handle, column) {
        case SQLITE_NULL: .null
        case SQLITE_INTEGER: .int(sqlite3_column_int64(handle, column))
        case SQLITE_BLOB:
            .bytes(
                UnsafeRawBufferPointer(
                    start: sqlite3_column_blob(handle, column), count: Int(sqlite3_column_bytes(handle, column))))
        default:
            .bytes(
                UnsafeRawBufferPointer(
                    start: sqlite3_column_text(handle, column), count: Int(sqlite3_column_bytes(handle, column))))
        }
    }
}
