import Kernel

/// Counts for Home. Each reads one index and stops at a bound, so that a busy day doesn't make the page slow.
enum HomeQueries {
    /// Beyond this a count is said as "at least".
    static let bound: Int64 = 100_000

    /// Changes per hour since `start` (whole hours from it).
    static func changesPerHour(since start: Instant) -> Statement {
        Statement(
            """
            SELECT hour, COUNT(*) AS count FROM (
                SELECT (at - $1) / 3600000000 AS hour FROM events
                WHERE class = 'mutation' AND at >= $2 ORDER BY at DESC, id DESC LIMIT \(bound)
            ) AS recent GROUP BY hour ORDER BY hour
            """, [Value(start), Value(start)])
    }

    static func denied(since start: Instant) -> Statement {
        Statement(
            """
            SELECT COUNT(*) AS count FROM (
                SELECT id FROM events WHERE outcome = 'denied' AND at >= $1 ORDER BY at DESC, id DESC LIMIT \(bound)
            ) AS recent
            """, [Value(start)])
    }

    /// Effects that have not arrived yet: not distributed, waiting, or given up.
    static let undelivered = Statement(
        """
        SELECT COUNT(*) AS count FROM (
            SELECT one FROM (
                SELECT 1 AS one FROM outbox_pending
                UNION ALL SELECT 1 AS one FROM deliveries WHERE state IN ('pending', 'dead')
            ) AS everything LIMIT \(bound)
        ) AS waiting
        """)

    /// Events the log has not taken in yet.
    static let unsequenced = Statement(
        "SELECT COUNT(*) AS count FROM (SELECT seq FROM log_pending LIMIT \(bound)) AS waiting")
}
