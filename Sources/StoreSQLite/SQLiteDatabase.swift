import GRDB
import Kernel
import Synchronization

/// Postern's data in one file.
///
/// Writes are committed in groups: what arrives while a commit waits for the disk shares the next one. Each job runs in
/// a savepoint of its own, so that one's failure leaves its neighbours alone; nobody is answered before the commit.
public final class SQLiteDatabase: Kernel.Database {
    private typealias Job = @Sendable (GRDB.Database) -> Finish
    /// Called once the group's fate is known: `nil` when it is committed.
    private typealias Finish = @Sendable (StoreError?) -> Void

    private struct State {
        var jobs: [(run: Job, fail: @Sendable (StoreError) -> Void)] = []
        var isDraining = false
        var isClosed = false
        var waitingForEnd: [CheckedContinuation<Void, Never>] = []
    }

    public let path: String
    private let pool: DatabasePool
    private let clock: Clock
    private let readTimeout: Duration
    private let scope = WriteScope()
    private let state = Mutex(State())

    /// Jobs that share one commit at most.
    private static let groupLimit = 64

    /// Opens the file, creating it if need be.
    /// - Parameters:
    ///   - clock: what `now` is read from; never goes back by itself.
    ///   - readTimeout: how long a read may take to its next row.
    /// - Throws: `StoreError.unavailable` when it can't be opened.
    public init(path: String, clock: Clock = .monotone(), readTimeout: Duration = .seconds(10)) throws {
        self.path = path
        self.readTimeout = readTimeout
        self.clock = clock
        var configuration = Configuration()
        configuration.label = "postern"
        configuration.foreignKeysEnabled = true
        configuration.busyMode = .timeout(10)
        configuration.maximumReaderCount = 8
        configuration.prepareDatabase { [scope] database in
            // Triggers call our functions, which SQLite allows only in a trusted schema.
            try database.execute(sql: "PRAGMA trusted_schema = ON")
            // INSERT OR REPLACE then fires the delete triggers of the row it replaces.
            try database.execute(sql: "PRAGMA recursive_triggers = ON")
            // Erased values must not survive in free pages.
            try database.execute(sql: "PRAGMA secure_delete = ON")
            scope.install(on: database)
        }
        do {
            pool = try DatabasePool(path: path, configuration: configuration)
            // The pool chooses NORMAL for WAL, which may lose the last commits when the power fails.
            try pool.writeWithoutTransaction { try $0.execute(sql: "PRAGMA synchronous = FULL") }
        } catch {
            throw SQLiteFailure.storeError(error, nil, isReadOnly: false)
        }
    }

    public var dialect: Dialect { .sqlite }

    public func read<T: Sendable>(_ body: @escaping @Sendable (any Reader) throws -> T) async throws -> T {
        try failIfClosed()
        let (clock, readTimeout) = (clock, readTimeout)
        do {
            return try await pool.read { database in
                let deadline = ReadDeadline(readTimeout)
                return try deadline.watching(database.sqliteConnection) {
                    let transaction = SQLiteTransaction(database, isReadOnly: true, now: clock.now, deadline: deadline)
                    let value = try body(transaction)
                    try transaction.rethrow()
                    return value
                }
            }
        } catch let error as DatabaseError {
            throw SQLiteFailure.storeError(error, nil, isReadOnly: true)
        }
    }

    public func write<T: Sendable>(_ body: @escaping @Sendable (any Writer) throws -> T) async throws -> T {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<T, any Error>) in
            enqueue(
                { [self] database in
                    let result = Result { try inSavepoint(database, body) }
                    return { failure in
                        switch (failure, result) {
                        // The job's own error is the better answer, committed or not.
                        case (_, .failure(let error)): continuation.resume(throwing: error)
                        case (let failure?, .success): continuation.resume(throwing: failure)
                        case (nil, .success(let value)): continuation.resume(returning: value)
                        }
                    }
                },
                fail: { continuation.resume(throwing: $0) })
        }
    }

    public func close() async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let isDone = state.withLock { state in
                state.isClosed = true
                if state.isDraining { state.waitingForEnd.append(continuation) }
                return !state.isDraining
            }
            if isDone { continuation.resume() }
        }
        // Closing alone leaves the log beside the file when readers are closed last: the file by itself is then not all there is.
        try? await pool.writeWithoutTransaction { try $0.execute(sql: "PRAGMA wal_checkpoint(TRUNCATE)") }
        try? pool.close()
    }

    private func failIfClosed() throws(StoreError) {
        if state.withLock({ $0.isClosed }) { throw .unavailable("The database is closed.", mayHaveCommitted: false) }
    }

    // MARK: Group commit

    private func enqueue(_ job: @escaping Job, fail: @escaping @Sendable (StoreError) -> Void) {
        enum Answer { case closed, queued, start }
        let answer: Answer = state.withLock { state in
            guard !state.isClosed else { return .closed }
            state.jobs.append((job, fail))
            guard !state.isDraining else { return .queued }
            state.isDraining = true
            return .start
        }
        switch answer {
        case .closed: fail(.unavailable("The database is closed.", mayHaveCommitted: false))
        case .queued: break
        case .start: pool.asyncWriteWithoutTransaction { [self] database in drain(database) }
        }
    }

    private func drain(_ database: GRDB.Database) {
        while true {
            let (group, ended):
                ([(run: Job, fail: @Sendable (StoreError) -> Void)], [CheckedContinuation<Void, Never>]) =
                    state.withLock { state in
                        let group = Array(state.jobs.prefix(Self.groupLimit))
                        state.jobs.removeFirst(group.count)
                        guard group.isEmpty else { return (group, []) }
                        state.isDraining = false
                        let ended = state.waitingForEnd
                        state.waitingForEnd = []
                        return ([], ended)
                    }
            if group.isEmpty {
                for continuation in ended { continuation.resume() }
                return
            }
            commit(group, database)
        }
    }

    private func commit(_ group: [(run: Job, fail: @Sendable (StoreError) -> Void)], _ database: GRDB.Database) {
        do {
            try database.execute(sql: "BEGIN IMMEDIATE")
        } catch {
            let failure = SQLiteFailure.storeError(error, database, isReadOnly: false)
            for job in group { job.fail(failure) }
            return
        }
        var finishes: [Finish] = []
        var failure: StoreError?
        for job in group {
            guard failure == nil else {
                job.fail(.retry("A neighbour's failure rolled this transaction back."))
                continue
            }
            finishes.append(job.run(database))
            // A full disk can make SQLite roll everything back by itself.
            if !database.isInsideTransaction { failure = .full("The database rolled the transaction back.") }
        }
        if failure == nil {
            do {
                try database.execute(sql: "COMMIT")
            } catch {
                failure = SQLiteFailure.storeError(error, database, isReadOnly: false)
                // What was written to the log before the disk failed may be recovered at the next start.
                if case .unavailable(let detail, _) = failure {
                    failure = .unavailable(detail, mayHaveCommitted: true)
                }
                if database.isInsideTransaction { try? database.execute(sql: "ROLLBACK") }
            }
        }
        for finish in finishes { finish(failure) }
    }

    private func inSavepoint<T>(_ database: GRDB.Database, _ body: (any Writer) throws -> T) throws -> T {
        do {
            try database.execute(sql: "SAVEPOINT job")
        } catch {
            throw SQLiteFailure.storeError(error, database, isReadOnly: false)
        }
        scope.open()
        defer { scope.close() }
        do {
            let transaction = SQLiteTransaction(database, isReadOnly: false, now: clock.now)
            let value = try body(transaction)
            try transaction.flush()
            if let row = scope.ungoverned {
                throw StoreError.ungoverned("\(row.type) \(row.id) was written without an event that names it")
            }
            try database.execute(sql: "RELEASE job")
            return value
        } catch {
            if database.isInsideTransaction {
                try? database.execute(sql: "ROLLBACK TO job")
                try? database.execute(sql: "RELEASE job")
            }
            if error is DatabaseError { throw SQLiteFailure.storeError(error, database, isReadOnly: false) }
            throw error
        }
    }
}
