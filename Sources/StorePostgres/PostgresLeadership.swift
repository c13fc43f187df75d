import Foundation
import Kernel
import Synchronization

/// Leaders chosen by an advisory lock that lives as long as a connection of its own.
///
///     waiting:  one connection, asked again and again: pg_try_advisory_lock
///     leading:  the same connection; a heartbeat every two seconds
///     silence:  the server ends a session it has not heard of for ten seconds, and the lock with it
///
/// So a leader whose process is stopped, or whose network swallows everything, is replaced in time, and not when a
/// connection that nobody closed is found dead hours later.
public struct PostgresLeadership: Leadership {
    /// How often a leader tells the server that it is there.
    static let heartbeat = Duration.seconds(2)
    /// After this much silence the server ends the session.
    static let silence = Span.seconds(10)
    /// How long an answer may take before the lease counts as lost.
    static let patience = Span.seconds(4)

    private let settings: PostgresDatabase.Settings
    private let waiting = WaitingSessions()

    public init(url: String) { self.init(PostgresDatabase.Settings(url: url)) }
    public init(_ settings: PostgresDatabase.Settings) {
        var own = settings
        own.connections = 1
        own.statementTimeout = Self.patience
        own.connectTimeout = min(settings.connectTimeout, Self.patience)
        own.idleTimeout = Self.silence
        self.settings = own
    }

    public func acquire(_ name: String) async throws -> (any Lease)? {
        let session = waiting.take(name) ?? PostgresSession(named(name))
        do {
            let held = try await session.run { connection in
                try connection.ensureConnected()
                // Another seed than a transaction's named locks use.
                let result = try connection.run([
                    Statement("SELECT pg_try_advisory_lock(hashtextextended($1, 1)) AS held", [.text(name)])
                ])
                return try result.first?.rows.first?.bool("held") == true ? connection.generation : nil
            }
            if let held { return PostgresLease(name, session, generation: held) }
            waiting.keep(session, for: name)
            return nil
        } catch let error as PostgresFailure {
            await session.close()
            throw error.storeError(committing: false)
        }
    }

    /// The session says in `pg_stat_activity` what it is for and where its process runs.
    private func named(_ name: String) -> PostgresDatabase.Settings {
        var own = settings
        own.applicationName = "\(Self.mark)\(name) \(ProcessInfo.processInfo.processIdentifier) \(Self.host)"
        return own
    }

    /// What the names of these sessions begin with.
    static let mark = "postern "
    private static let host = ProcessInfo.processInfo.hostName.split(separator: ".").first.map(String.init) ?? ""

    /// Who leads what, as the database sees it.
    public struct Leader: Sendable, Hashable {
        public let name: String
        public let process: String
        public let host: String
    }

    /// All leaders of the database, by name.
    /// - Throws: `StoreError`.
    public static func leaders(in database: any Database) async throws -> [Leader] {
        try await database.read { reader in
            try reader.query(
                Statement(
                    """
                    SELECT DISTINCT a.application_name::text AS name FROM pg_locks l
                    JOIN pg_stat_activity a ON a.pid = l.pid
                    WHERE l.locktype = 'advisory' AND l.granted AND a.datname = current_database()
                        AND a.application_name LIKE $1
                    ORDER BY name
                    """, [.text(mark + "%")])
            ).compactMap { row in
                let words = try row.string("name").split(separator: " ").map(String.init)
                guard words.count >= 3 else { return nil }
                return Leader(name: words[1], process: words[2], host: words.count > 3 ? words[3] : "")
            }
        }
    }
}

/// Connections of those who do not lead, kept so that asking again costs one round trip.
private final class WaitingSessions: Sendable {
    private let sessions = Mutex<[String: PostgresSession]>([:])

    func take(_ name: String) -> PostgresSession? { sessions.withLock { $0.removeValue(forKey: name) } }

    func keep(_ session: PostgresSession, for name: String) {
        let other = sessions.withLock { sessions in
            defer { sessions[name] = session }
            return sessions[name]
        }
        if let other { Task { await other.close() } }
    }

    deinit {
        let left = sessions.withLock { Array($0.values) }
        guard !left.isEmpty else { return }
        Task { for session in left { await session.close() } }
    }
}

/// One connection with a thread of its own, outside any pool.
struct PostgresSession: Sendable {
    private let pool: ConnectionPool

    init(_ settings: PostgresDatabase.Settings) {
        var settings = settings
        settings.isForTransactions = false
        settings.connections = 1
        pool = ConnectionPool(settings)
    }

    func run<T: Sendable>(_ body: @escaping @Sendable (PostgresConnection) throws -> T) async throws -> T {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<T, any Error>) in
            let accepted = pool.submit { connection in
                continuation.resume(
                    with: Result {
                        guard let connection else { throw PostgresFailure(lost: "The session is busy.") }
                        return try body(connection)
                    })
            }
            if !accepted { continuation.resume(throwing: PostgresFailure(lost: "The session is closed.")) }
        }
    }

    func close() async { await pool.close() }
}

final class PostgresLease: Lease {
    private let name: String
    private let session: PostgresSession
    private let generation: Int
    private let heartbeat: Task<Void, Never>

    init(_ name: String, _ session: PostgresSession, generation: Int) {
        self.name = name
        self.session = session
        self.generation = generation
        heartbeat = Task {
            repeat {
                try? await Task.sleep(for: PostgresLeadership.heartbeat)
                if Task.isCancelled { return }
            } while await Self.isHeld(session, generation)
        }
    }

    deinit { heartbeat.cancel() }

    func isHeld() async -> Bool { await Self.isHeld(session, generation) }

    private static func isHeld(_ session: PostgresSession, _ generation: Int) async -> Bool {
        let answer = try? await session.run { connection in
            // The lock went with the connection it was taken on.
            guard connection.generation == generation else { return false }
            _ = try connection.run([Statement("SELECT 1")])
            return true
        }
        return answer ?? false
    }

    func release() async {
        heartbeat.cancel()
        let (name, generation) = (name, generation)
        // Answered before this returns: who waits has it from then on, and not when the server has noticed the farewell.
        _ = try? await session.run { connection in
            guard connection.generation == generation else { return }
            _ = try connection.run([
                Statement("SELECT pg_advisory_unlock(hashtextextended($1, 1)) AS freed", [.text(name)])
            ])
        }
        await session.close()
    }
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
