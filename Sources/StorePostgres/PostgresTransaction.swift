import Foundation
import Kernel

/// One transaction on a connection. The first error ends it: whatever the body does afterwards, it is rolled back.
final class PostgresTransaction: Writer {
    enum Mode {
        /// A snapshot that any number of exchanges look at.
        case read
        /// What is sent at once is the whole transaction, and needs no word to begin and end it. Whoever asks again is told by
        /// `isMoreNeeded`, and has to be run anew as a `read`.
        case singleRead
        case write
    }

    private let connection: PostgresConnection
    private var mode: Mode
    private let singles: SingleReads
    private let clock: Clock?
    private var hasBegun = false
    private var isOver = false
    private var waiting: [Statement] = []
    private var instant: Instant?
    private var failure: (any Error)?
    private var foreseen: [Statement] = []
    /// Rows of foreseen statements that nobody has asked for yet.
    private var known: [Statement: [Row]] = [:]
    /// How often something was sent.
    private var exchanges = 0
    /// A single read was asked for more than it can give.
    private(set) var isMoreNeeded = false
    /// The first statement of a read: what is learned of reads is known by it.
    private var firstText: String?

    private static let microseconds = "(extract(epoch FROM transaction_timestamp()) * 1000000)::bigint AS now"
    private static let time = Statement("SELECT " + microseconds)
    /// Tells the time too: it is the first statement of nearly every mutation.
    private static let claimLock =
        "SELECT postern_claim(pg_try_advisory_xact_lock(hashtextextended($1, 0))), " + microseconds
    private static let beginRead = Statement("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    private static let beginWrite = Statement("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
    private static let end = Statement("COMMIT")

    init(_ connection: PostgresConnection, _ mode: Mode, _ singles: SingleReads, clock: Clock?) {
        self.connection = connection
        self.mode = mode
        self.singles = singles
        self.clock = clock
        instant = clock?.now
    }

    var dialect: Dialect { .postgres }

    var now: Instant {
        if instant == nil {
            // What waits travels along. A failure here is kept and thrown by the next call and by the commit.
            _ = try? query([])
        }
        return instant ?? Instant(microseconds: 0)
    }

    func query(_ statements: [Statement]) throws -> [[Row]] {
        try rethrow()
        if !known.isEmpty {
            if waiting.isEmpty, !statements.isEmpty, statements.allSatisfy({ known[$0] != nil }) {
                return statements.map { known[$0] ?? [] }
            }
            // What was read before a write or a wait for a lock may be otherwise now. A reader has one snapshot.
            if mode == .write, !waiting.isEmpty || !statements.allSatisfy(Self.isPlainRead) { known = [:] }
        }
        if mode != .write, firstText == nil { begin(with: statements) }
        let enqueued = waiting
        let ahead = foreseen.filter { !statements.contains($0) }
        waiting = []
        foreseen = []
        let results = try send(enqueued + statements + ahead, committing: false)
        for (statement, result) in zip(ahead, results.suffix(ahead.count)) { known[statement] = result.rows }
        return results[enqueued.count..<enqueued.count + statements.count].map(\.rows)
    }

    func foresee(_ statements: [Statement]) { foreseen += statements }

    /// Whether the read can be a single one is decided when its first statement is known, and no later.
    private func begin(with statements: [Statement]) {
        let text = statements.first?.text ?? ""
        firstText = text
        if mode == .singleRead, !singles.mayBeSingle(text) { mode = .read }
    }

    /// A result that comes row by row needs a transaction that lasts.
    private func beginWhole() throws {
        if mode == .singleRead, exchanges == 0 { mode = .read } else { try checkSingle() }
        exchanges += 1
    }

    /// - Throws: when a single read has sent what it sends.
    private func checkSingle() throws {
        guard mode == .singleRead, exchanges > 0 else { return }
        isMoreNeeded = true
        throw fail(StoreError.retry("More is read than was sent at once."), committing: false)
    }

    /// Keeps for other reads like this one whether it was over with one answer.
    func learn() {
        guard mode != .write, let firstText, exchanges > 0 else { return }
        singles.learn(firstText, askedAgain: isMoreNeeded || exchanges > 1)
    }

    private static func isPlainRead(_ statement: Statement) -> Bool {
        statement.text.hasPrefix("SELECT ") && !statement.text.hasSuffix(Dialect.postgres.forUpdate)
    }

    /// The whole of a read transaction in one round trip, and without a word to begin and end it: what is sent at once is one
    /// transaction, and a connection's own settings make it one that reads one snapshot and can't write.
    func readAll(_ statements: [Statement]) throws -> Snapshot {
        isOver = true
        do {
            let results = try sendFirst((clock == nil ? [Self.time] : []) + statements, committing: false)
            guard let now = try clock?.now ?? results[0].rows.first?.instant("now") else {
                throw StoreError.shape(column: "now")
            }
            return Snapshot(now: now, rows: results.suffix(statements.count).map(\.rows))
        } catch {
            throw fail(error, committing: false)
        }
    }

    func forEach(_ statement: Statement, _ body: (Row) throws -> Void) throws {
        try beginWhole()
        // Begins the transaction and sends what was enqueued before.
        _ = try query([])
        var failureOfBody: (any Error)?
        do {
            try connection.forEach(statement) { row in
                do { try body(row) } catch {
                    failureOfBody = error
                    throw error
                }
            }
        } catch {
            if let failureOfBody { throw failureOfBody }
            throw fail(error, committing: false)
        }
    }

    func scan(_ statement: Statement, _ body: ([RawValue]) throws -> Void) throws {
        try beginWhole()
        // Begins the transaction and sends what was enqueued before.
        _ = try query([])
        var failureOfBody: (any Error)?
        do {
            try connection.scan(statement) { columns in
                do { try body(columns) } catch {
                    failureOfBody = error
                    throw error
                }
            }
        } catch {
            if let failureOfBody { throw failureOfBody }
            throw fail(error, committing: false)
        }
    }

    func enqueue(_ statements: [Statement]) { waiting += statements }

    func load(_ rows: RowLoad) throws {
        // Begins the transaction and sends what was enqueued before.
        _ = try query([])
        known = [:]
        guard rows.count > 0 else { return }
        do { try connection.copy(rows) } catch { throw fail(error, committing: false) }
    }

    func lock(_ names: [String]) throws {
        try rethrow()
        // Sent with the next query, before it; each statement sees what was committed before it began, so what is
        // read after the lock is read under it.
        for name in names {
            waiting.append(Statement("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", [.text(name)]))
        }
    }

    func tryLock(_ name: String) throws -> Bool {
        known = [:]
        let row = try first(
            Statement("SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0)) AS held", [.text(name)]))
        return try row?.bool("held") ?? false
    }

    func claim(_ name: String, unless taken: Statement) throws {
        try rethrow()
        known = [:]
        // Two statements: what the second sees was committed before it began, and so before the lock was given up.
        waiting.append(Statement(Self.claimLock, [.text(name)]))
        waiting.append(Statement("SELECT postern_claim(NOT EXISTS (\(taken.text)))", taken.values))
    }

    /// Throws what went wrong earlier, even if the body swallowed it.
    func rethrow() throws { if let failure { throw failure } }

    func commit() throws {
        try rethrow()
        let statements = waiting.map(checkedByServer)
        waiting = []
        if !hasBegun, statements.isEmpty {
            isOver = true
            return
        }
        let results = try send(statements, committing: true)
        isOver = true
        guard results.last?.tag == "COMMIT" else {
            throw fail(StoreError.retry("The database rolled the transaction back."), committing: false)
        }
    }

    /// Rolls back what is still open.
    func abandon() {
        guard hasBegun, !isOver else { return }
        isOver = true
        do { _ = try connection.run([Statement("ROLLBACK")]) } catch { connection.disconnect() }
    }

    /// Answers of `statements` only, without those of BEGIN and COMMIT (the COMMIT's is last when committing).
    private func send(_ statements: [Statement], committing: Bool) throws -> [PostgresConnection.Result] {
        try rethrow()
        try checkSingle()
        var opening: [Statement] = []
        // Nobody has asked what time it is before everything is sent at once.
        let tellsTime = clock == nil && !committing
        if !hasBegun {
            switch mode {
            case .read: opening = [Self.beginRead]
            case .singleRead: opening = []
            case .write: opening = [Self.beginWrite]
            }
            if tellsTime, statements.first?.text != Self.claimLock { opening.append(Self.time) }
        }
        let list = opening + statements + (committing ? [Self.end] : [])
        guard !list.isEmpty else { return [] }
        exchanges += 1
        let results: [PostgresConnection.Result]
        do {
            if hasBegun {
                results = try connection.run(list)
            } else {
                results = try sendFirst(list, committing: committing)
            }
        } catch {
            throw fail(error, committing: committing && mode == .write)
        }
        if !hasBegun {
            hasBegun = true
            // A single read is over with its answer.
            if mode == .singleRead { isOver = true }
            // Of the statement behind BEGIN.
            if tellsTime { instant = try results[mode == .singleRead ? 0 : 1].rows.first?.instant("now") }
        }
        let own = Array(results.dropFirst(opening.count))
        for (statement, result) in zip(statements, own) {
            guard let expected = statement.expectedRows else { continue }
            let wrote = result.rows.isEmpty ? result.affected : result.rows.count
            if wrote != expected { throw fail(StoreError.rowCount(expected: expected), committing: false) }
        }
        return own
    }

    /// The first exchange may meet a connection that died while idle. As long as no COMMIT was sent nothing can have
    /// been kept, so it is tried once more on a new connection.
    private func sendFirst(_ list: [Statement], committing: Bool) throws -> [PostgresConnection.Result] {
        do { try connection.ensureConnected() } catch { throw UnsentFailure(cause: error) }
        hasBegunOnServer = true
        do {
            return try connection.run(list)
        } catch let error as PostgresFailure
            where error.isConnectionLost && !error.isSilent && !(committing && mode == .write)
        {
            do { try connection.ensureConnected() } catch { throw UnsentFailure(cause: error) }
            return try connection.run(list)
        }
    }
    private var hasBegunOnServer = false

    private struct UnsentFailure: Error { let cause: any Error }

    private func fail(_ error: any Error, committing: Bool) -> any Error {
        let mapped: any Error
        switch error {
        case let error as PostgresFailure:
            mapped = error.storeError(committing: committing)
            if error.isConnectionLost { isOver = true }
        case let error as UnsentFailure:
            mapped = (error.cause as? PostgresFailure)?.storeError(committing: false) ?? error.cause
            isOver = true
        default:
            mapped = error
        }
        if failure == nil { failure = mapped }
        // An error inside the first exchange leaves a transaction to roll back.
        if hasBegunOnServer { hasBegun = true }
        if mode == .singleRead { isOver = true }
        return mapped
    }

    // MARK: Row counts

    /// With the commit in the same round trip only the server can stop it.
    private func checkedByServer(_ statement: Statement) -> Statement {
        guard let expected = statement.expectedRows else { return statement }
        return Statement(connection.checked(statement.text, expecting: expected), statement.values)
    }
}
