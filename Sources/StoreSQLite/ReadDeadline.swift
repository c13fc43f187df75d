import GRDBSQLite

/// Stops a read whose next row takes too long, so that no question can keep a connection for itself. PostgreSQL has its
/// `statement_timeout` for this.
///
/// SQLite asks it every few thousand steps of its virtual machine; quick statements never look at a clock.
final class ReadDeadline {
    private let limit: Duration
    private var began: ContinuousClock.Instant?
    private(set) var hasPassed = false

    init(_ limit: Duration) { self.limit = limit }

    /// The time begins anew: another statement, another row.
    func restart() { began = nil }

    /// Watches the connection while `body` runs on it.
    func watching<T>(_ connection: OpaquePointer?, _ body: () throws -> T) rethrows -> T {
        sqlite3_progress_handler(
            connection, 5_000, { Unmanaged<ReadDeadline>.fromOpaque($0!).takeUnretainedValue().check() },
            Unmanaged.passUnretained(self).toOpaque())
        defer { sqlite3_progress_handler(connection, 0, nil, nil) }
        return try withExtendedLifetime(self, body)
    }

    /// Not 0 stops the statement.
    private func check() -> Int32 {
        let now = ContinuousClock.now
        guard let began else {
            began = now
            return 0
        }
        hasPassed = now - began > limit
        return hasPassed ? 1 : 0
    }
}
