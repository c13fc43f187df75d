import Foundation
import Kernel

/// Postern's data in PostgreSQL.
///
/// `BEGIN` travels with the first query, enqueued statements with the commit, foreseen reads with the query before.
public final class PostgresDatabase: Database {
    public struct Settings: Sendable {
        /// `postgres://user:password@host:port/database`, or libpq's `key=value` form.
        public var url: String
        /// Connections at most; they are opened as they are needed.
        public var connections = 16
        /// Transactions that run side by side, beside those that take long: one for each core of this machine and one more, three at
        /// least. More of them only wait for each other's turn on the processor, and each of them longer (decision 41).
        public var concurrency = max(3, ProcessInfo.processInfo.activeProcessorCount + 1)
        public var connectTimeout: Span = .seconds(5)
        /// A statement that takes longer is ended by the server.
        public var statementTimeout: Span = .seconds(10)
        /// A transaction in which nothing is asked for longer than this is ended by the server, so that it holds nobody up.
        public var transactionIdle: Span = .seconds(20)
        /// A statement that waits longer for a lock is ended by the server.
        public var lockTimeout: Span = .seconds(8)
        /// A transaction that waits longer for a connection fails.
        public var queueTimeout: Span = .seconds(10)
        /// The server ends a session that is idle for so long; 0: never.
        public var idleTimeout: Span = .seconds(0)
        /// What the session is called in `pg_stat_activity`, instead of what the URL says.
        public var applicationName: String?
        /// When set, `now` is read from here instead of from the server: tests travel in time with it.
        public var clock: Clock?

        /// Whether everything runs in a transaction that says what it is, as here; not on a connection of its own.
        var isForTransactions = true

        public init(url: String) { self.url = url }

        /// How long to wait for the next answer of a server that may have gone silent.
        var answerTimeout: Span { Span(microseconds: statementTimeout.microseconds + 2_000_000) }
    }

    let settings: Settings
    private let pool: ConnectionPool
    private let singles = SingleReads()

    /// Connects lazily: the first transaction opens the first connection.
    public init(_ settings: Settings) {
        self.settings = settings
        pool = ConnectionPool(settings)
    }

    public convenience init(url: String) { self.init(Settings(url: url)) }

    public var dialect: Dialect { .postgres }

    public func read<T: Sendable>(_ body: @escaping @Sendable (any Reader) throws -> T) async throws -> T {
        try await submit { connection, resume in
            func run(_ transaction: PostgresTransaction) -> Result<T, any Error> {
                Result {
                    let value = try body(transaction)
                    try transaction.rethrow()
                    return value
                }
            }
            let single = PostgresTransaction(connection, .singleRead, self.singles, clock: self.settings.clock)
            let result = run(single)
            guard single.isMoreNeeded else {
                resume(result)
                // Nothing depends on how a read ends, so the caller does not wait for it.
                single.abandon()
                single.learn()
                return
            }
            single.learn()
            let whole = PostgresTransaction(connection, .read, self.singles, clock: self.settings.clock)
            resume(run(whole))
            whole.abandon()
        }
    }

    public func snapshot(_ statements: [Statement]) async throws -> Snapshot {
        try await submit { connection, resume in
            let transaction = PostgresTransaction(connection, .read, self.singles, clock: self.settings.clock)
            do {
                resume(.success(try transaction.readAll(statements)))
            } catch {
                transaction.abandon()
                resume(.failure(error))
            }
        }
    }

    public func write<T: Sendable>(_ body: @escaping @Sendable (any Writer) throws -> T) async throws -> T {
        try await submit { connection, resume in
            let transaction = PostgresTransaction(connection, .write, self.singles, clock: self.settings.clock)
            do {
                let value = try body(transaction)
                try transaction.commit()
                resume(.success(value))
            } catch {
                // Rolled back before the caller hears of it: its locks are free then.
                transaction.abandon()
                resume(.failure(error))
            }
        }
    }

    public func close() async { await pool.close() }

    private func submit<T: Sendable>(
        _ work: @escaping @Sendable (PostgresConnection, (Result<T, any Error>) -> Void) -> Void
    ) async throws -> T {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<T, any Error>) in
            let limit = settings.queueTimeout
            let accepted = pool.submit(within: limit) { connection in
                guard let connection else {
                    continuation.resume(
                        throwing: StoreError.unavailable("All connections are busy.", mayHaveCommitted: false))
                    return
                }
                work(connection) { continuation.resume(with: $0) }
            }
            if !accepted {
                continuation.resume(
                    throwing: StoreError.unavailable("The database is closed.", mayHaveCommitted: false))
            }
        }
    }
}
