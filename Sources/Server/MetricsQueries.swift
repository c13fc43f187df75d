import Kernel

/// What a scrape of `/metrics` reads. Every one is answered from an index; counts end at a limit, so that the worst day costs
/// no more than others.
enum MetricsQueries {
    static let most = 10_000

    static let log = Statement("SELECT size FROM log_state WHERE id = 1")
    static let published = Statement("SELECT size FROM log_checkpoint ORDER BY size DESC LIMIT 1")
    static let unsequenced = Statement("SELECT count(*) AS n FROM (SELECT 1 FROM log_pending LIMIT \(most)) AS found")
    static let oldestUnsequenced = Statement(
        "SELECT e.at AS at FROM log_pending p JOIN events e ON e.id = p.event_id ORDER BY p.seq LIMIT 1")

    static let undistributed = Statement(
        """
        SELECT count(*) AS n FROM (SELECT 1 FROM outbox_pending LIMIT \(most)) AS found
        """)
    static let oldestUndistributed = Statement(
        """
        SELECT o.created_at AS at FROM outbox_pending p JOIN outbox o ON o.id = p.outbox_id ORDER BY p.seq LIMIT 1
        """)
    static func deliveries(in state: String) -> Statement {
        Statement(
            "SELECT count(*) AS n FROM (SELECT 1 FROM deliveries WHERE state = $1 LIMIT \(most)) AS found",
            [.text(state)])
    }
    static let mostOverdue = Statement(
        "SELECT due_at AS at FROM delivery_lanes WHERE due_at IS NOT NULL ORDER BY due_at LIMIT 1")

    static let channels = Statement(
        "SELECT id, is_on, next_idx, sent_at, failed_at, error FROM delivery_channels ORDER BY id")
    static let discrepancies = Statement(
        "SELECT count(*) AS n FROM (SELECT 1 FROM discrepancies WHERE state = 'open' LIMIT \(most)) AS found")

    static let all = [
        log, published, unsequenced, oldestUnsequenced, undistributed, oldestUndistributed, deliveries(in: "pending"),
        deliveries(in: "dead"), mostOverdue, channels, discrepancies,
    ]
}
