/// A value bound to, or read from, a column. Times are microseconds (`int`), documents JSON text, hashes bytes.
public enum Value: Sendable, Hashable {
    case null
    case int(Int64)
    case text(String)
    case bytes([UInt8])

    public init(_ value: String?) { self = value.map(Value.text) ?? .null }
    public init(_ value: Int64?) { self = value.map(Value.int) ?? .null }
    public init(_ value: Instant?) { self = value.map { .int($0.microseconds) } ?? .null }
    public init(_ value: [UInt8]?) { self = value.map(Value.bytes) ?? .null }
    public init(_ value: Bool) { self = .int(value ? 1 : 0) }
    public init(_ value: JSON) { self = .text(value.canonicalText) }
}

/// One statement in the SQL both databases understand: `$1`… parameters, `ON CONFLICT`, `RETURNING`, row-value keyset
/// comparison, CTEs. The few differences are behind `Dialect`.
public struct Statement: Sendable, Hashable {
    public let text: String
    public let values: [Value]
    /// When set, the driver MUST fail with `StoreError.rowCount` (and so roll the transaction back) unless exactly this
    /// many rows were written. It holds even when the statement travels in one round trip with the commit.
    public let expectedRows: Int?

    public init(_ text: String, _ values: [Value] = [], expectedRows: Int? = nil) {
        self.text = text
        self.values = values
        self.expectedRows = expectedRows
    }
}

/// One row of a result. Columns are found by name; the typed accessors throw `StoreError.shape` when the column is
/// missing, NULL or of another type.
public struct Row: Sendable {
    public let columns: ColumnIndex
    public let values: [Value]
    public init(columns: ColumnIndex, values: [Value]) {
        self.columns = columns
        self.values = values
    }

    public subscript(name: String) -> Value {
        guard let index = columns.positions[name] else { return .null }
        return values[index]
    }

    public func string(_ name: String) throws -> String {
        guard case .text(let value) = self[name] else { throw StoreError.shape(column: name) }
        return value
    }
    public func optionalString(_ name: String) throws -> String? {
        switch self[name] {
        case .null: return nil
        case .text(let value): return value
        default: throw StoreError.shape(column: name)
        }
    }
    public func int(_ name: String) throws -> Int64 {
        guard case .int(let value) = self[name] else { throw StoreError.shape(column: name) }
        return value
    }
    public func optionalInt(_ name: String) throws -> Int64? {
        switch self[name] {
        case .null: return nil
        case .int(let value): return value
        default: throw StoreError.shape(column: name)
        }
    }
    public func bool(_ name: String) throws -> Bool { try int(name) != 0 }
    public func instant(_ name: String) throws -> Instant { Instant(microseconds: try int(name)) }
    public func optionalInstant(_ name: String) throws -> Instant? {
        try optionalInt(name).map(Instant.init(microseconds:))
    }
    public func bytes(_ name: String) throws -> [UInt8] {
        guard case .bytes(let value) = self[name] else { throw StoreError.shape(column: name) }
        return value
    }
    public func optionalBytes(_ name: String) throws -> [UInt8]? {
        switch self[name] {
        case .null: return nil
        case .bytes(let value): return value
        default: throw StoreError.shape(column: name)
        }
    }
    public func json(_ name: String) throws -> JSON {
        guard let value = try? JSON(parsing: try string(name)) else { throw StoreError.shape(column: name) }
        return value
    }
}

/// Column names of a result and where they stand; shared by all its rows.
public final class ColumnIndex: Sendable {
    public let positions: [String: Int]
    public init(_ names: [String]) {
        positions = Dictionary(zip(names, names.indices), uniquingKeysWith: { first, _ in first })
    }
}

/// The databases Postern runs on.
public enum Dialect: String, Sendable, CaseIterable {
    case sqlite, postgres

    /// Appended to a `SELECT` that must lock its rows until commit. The embedded database has one writer and needs none.
    public var forUpdate: String { self == .postgres ? " FOR UPDATE" : "" }
    /// As `forUpdate`, for work queues: rows another process has in hand are left out.
    public var forUpdateSkippingLocked: String { self == .postgres ? " FOR UPDATE SKIP LOCKED" : "" }
}

/// Reads inside one transaction. The body of a transaction is synchronous and runs on the thread that owns the
/// connection, so a value can never be read on one side of an `await` and written on the other.
public protocol Reader: AnyObject {
    var dialect: Dialect { get }
    /// The database's clock at the start of this transaction; every deadline compares with it.
    var now: Instant { get }
    /// Runs statements in order and returns their rows, in one round trip where the driver can.
    func query(_ statements: [Statement]) throws -> [[Row]]
    /// Says which plain reads will soon be asked for. A driver whose database is a round trip away sends them behind the
    /// next statements and answers from that, as long as nothing but plain reads came in between. Never needed for
    /// correctness.
    func foresee(_ statements: [Statement])
    /// Calls `body` for each row of a large result without holding it in memory.
    func forEach(_ statement: Statement, _ body: (Row) throws -> Void) throws
    /// Calls `body` for each row of a large result, one by one, with its columns as the driver holds them: nothing is copied or
    /// looked up by name, and nothing of it may be kept. For integers, text and bytes only.
    func scan(_ statement: Statement, _ body: (_ columns: [RawValue]) throws -> Void) throws
}

extension Reader {
    public func foresee(_ statements: [Statement]) {}
    public func query(_ statement: Statement) throws -> [Row] { try query([statement])[0] }
    public func first(_ statement: Statement) throws -> Row? { try query(statement).first }
}

/// A column of a row that is being scanned, as long as `body` runs.
public enum RawValue {
    case null
    case int(Int64)
    /// Text in UTF-8, or bytes.
    case bytes(UnsafeRawBufferPointer)

    public func int(_ name: String) throws -> Int64 {
        guard case .int(let value) = self else { throw StoreError.shape(column: name) }
        return value
    }
    public func bytes(_ name: String) throws -> UnsafeRawBufferPointer {
        guard case .bytes(let value) = self else { throw StoreError.shape(column: name) }
        return value
    }
    /// `nil` for NULL.
    public var optionalBytes: UnsafeRawBufferPointer? {
        guard case .bytes(let value) = self else { return nil }
        return value
    }
}

/// Reads and writes inside one transaction (PostgreSQL `READ COMMITTED`, SQLite `IMMEDIATE`).
public protocol Writer: Reader {
    /// Adds statements that MUST run before the transaction commits, in order. They travel with the next `query` or with
    /// the commit itself. An error in any of them, or an unmet `expectedRows`, MUST roll the whole transaction back.
    func enqueue(_ statements: [Statement])
    /// Inserts many rows into one table by the fastest way the database has, behind what is enqueued. Triggers, constraints
    /// and rights MUST hold for them as for every other insert.
    func load(_ rows: RowLoad) throws
    /// Takes named locks until the end of the transaction, in the order given (callers sort them).
    func lock(_ names: [String]) throws
    /// Takes a named lock without waiting; false when another transaction holds it.
    func tryLock(_ name: String) throws -> Bool
    /// Takes a named lock without waiting, and then makes sure that `taken` finds no row; both before everything that follows.
    /// Whether it did MAY come out only with the next query or the commit: that throws `StoreError.claimed` otherwise, and
    /// nothing behind the claim is run.
    func claim(_ name: String, unless taken: Statement) throws
}

extension Writer {
    public func claim(_ name: String, unless taken: Statement) throws {
        guard try tryLock(name), try first(taken) == nil else { throw StoreError.claimed }
    }
    public func enqueue(_ statement: Statement) { enqueue([statement]) }
    /// Runs a statement now and returns its rows.
    @discardableResult public func execute(_ statement: Statement) throws -> [Row] { try query(statement) }
}

/// Many rows for one table, to be inserted at once.
public struct RowLoad: Sendable {
    public let table: String
    /// By commas.
    public let columns: String
    /// How many columns there are.
    public let width: Int
    /// Row after row.
    public private(set) var values: [Value] = []

    public init(_ table: String, columns: String, reserving rows: Int = 0) {
        self.table = table
        self.columns = columns
        width = columns.utf8.count { $0 == UInt8(ascii: ",") } + 1
        values.reserveCapacity(rows * width)
    }

    public var count: Int { values.count / width }

    /// `row` MUST have a value for every column.
    public mutating func append(_ row: [Value]) {
        precondition(row.count == width, "a row of \(table) has \(width) values")
        values.append(contentsOf: row)
    }
}

/// What a store can refuse or fail with.
public enum StoreError: Error, Sendable, Equatable {
    /// The database can't be reached, or did not answer before the deadline. Nothing is known to be committed unless
    /// `mayHaveCommitted`.
    case unavailable(String, mayHaveCommitted: Bool)
    /// A unique rule was violated; `constraint` is the index's name on both databases.
    case unique(constraint: String)
    /// A foreign key, check or not-null rule was violated.
    case constraint(String)
    /// `expectedRows` was not met: somebody changed the row since it was read.
    case rowCount(expected: Int)
    /// What a transaction claimed is another's already (`Writer.claim`).
    case claimed
    /// A governed row was written without an event that names it (spec: audit-log §5).
    case ungoverned(String)
    /// Serialisation failure or deadlock: the whole transaction may be run again.
    case retry(String)
    /// The disk is full or the database refuses writes.
    case full(String)
    case shape(column: String)
    case other(String)
}

/// What statements answered in one snapshot, and the transaction's time.
public struct Snapshot: Sendable {
    public let now: Instant
    public let rows: [[Row]]
    public init(now: Instant, rows: [[Row]]) {
        self.now = now
        self.rows = rows
    }
}

/// A database. Both implementations MUST pass the one conformance suite.
public protocol Database: Sendable {
    var dialect: Dialect { get }
    /// Runs `body` in a READ ONLY transaction with one consistent snapshot (PostgreSQL `REPEATABLE READ READ ONLY`). It MAY be run
    /// a second time from its beginning, on another snapshot; then only what the second run answers or throws counts.
    func read<T: Sendable>(_ body: @escaping @Sendable (any Reader) throws -> T) async throws -> T
    /// Runs statements that are known beforehand in a READ ONLY transaction of their own, in one round trip where the driver
    /// can.
    func snapshot(_ statements: [Statement]) async throws -> Snapshot
    /// Runs `body` in a transaction and commits. A thrown error rolls everything back and is rethrown. The result is
    /// returned only after the commit is durable.
    func write<T: Sendable>(_ body: @escaping @Sendable (any Writer) throws -> T) async throws -> T
    /// Pending transactions finish, connections close. Idempotent.
    func close() async
}

extension Database {
    public func snapshot(_ statements: [Statement]) async throws -> Snapshot {
        try await read { reader in Snapshot(now: reader.now, rows: try reader.query(statements)) }
    }
}
