import Kernel

/// Leaders chosen by an advisory lock that lives as long as a connection of its own.
public struct PostgresLeadership: Leadership {
    private let settings: PostgresDatabase.Settings

    public init(url: String) { self.init(PostgresDatabase.Settings(url: url)) }
    public init(_ settings: PostgresDatabase.Settings) { self.settings = settings }

    public func acquire(_ name: String) async throws -> (any Lease)? {
        var own = settings
        own.connections = 1
        let session = PostgresSession(own)
        do {
            let held = try await session.run { connection in
                try connection.ensureConnected()
                // Another seed than a transaction's named locks use.
                let result = try connection.run([
                    Statement("SELECT pg_try_advisory_lock(hashtextextended($1, 1)) AS held", [.text(name)])
                ])
                return try result.first?.rows.first?.bool("held") == true ? connection.generation : nil
            }
            if let held { return PostgresLease(session, generation: held) }
            await session.close()
            return nil
        } catch let error as PostgresFailure {
            await session.close()
            throw error.storeError(committing: false)
        }
    }
}

/// One connection with a thread of its own, outside any pool.
struct PostgresSession: Sendable {
    private let pool: ConnectionPool

    init(_ settings: PostgresDatabase.Settings) {
        var settings = settings
        settings.isForTransactions = false
        pool = ConnectionPool(settings, connections: 1)
    }

    func run<T: Sendable>(_ body: @escaping @Sendable (PostgresConnection) throws -> T) async throws -> T {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<T, any Error>) in
            let accepted = pool.submit { connection, _ in continuation.resume(with: Result { try body(connection) }) }
            if !accepted { continuation.resume(throwing: PostgresFailure(lost: "The session is closed.")) }
        }
    }

    func close() async { await pool.close() }
}

struct PostgresLease: Lease {
    private let session: PostgresSession
    private let generation: Int

    init(_ session: PostgresSession, generation: Int) {
        self.session = session
        self.generation = generation
    }

    func isHeld() async -> Bool {
        let generation = generation
        let answer = try? await session.run { connection in
            // The lock went with the connection it was taken on.
            guard connection.generation == generation else { return false }
            _ = try connection.run([Statement("SELECT 1")])
            return true
        }
        return answer ?? false
    }

    func release() async { await session.close() }
}

extension PostgresDatabase {
    /// Runs statements that allow no transaction around them, such as `CREATE DATABASE`, on a connection of their own.
    /// - Throws: `StoreError`.
    public static func administer(url: String, _ statements: [String], timeout: Span = .seconds(60)) async throws {
        var settings = Settings(url: url)
        settings.statementTimeout = timeout
        let session = PostgresSession(settings)
        do {
            for statement in statements {
                try await session.run { connection in
                    try connection.ensureConnected()
                    _ = try connection.run([Statement(statement)])
                }
            }
            await session.close()
        } catch let error as PostgresFailure {
            await session.close()
            throw error.storeError(committing: false)
        }
    }
}
