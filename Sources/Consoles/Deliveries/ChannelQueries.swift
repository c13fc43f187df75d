import Kernel

/// How the staff channel and mail fare.
enum ChannelQueries {
    static let all = Statement(
        "SELECT id, is_on, next_idx, root_day, sent_at, failed_at, error FROM delivery_channels ORDER BY id")

    /// One channel's row, locked where there are several writers.
    static func find(_ id: String, lock: Bool, _ dialect: Dialect) -> Statement {
        Statement(
            """
            SELECT id, is_on, next_idx, root_day, sent_at, failed_at, error FROM delivery_channels
            WHERE id = $1\(lock ? dialect.forUpdate : "")
            """, [.text(id)])
    }

    static func insert(_ id: String, isOn: Bool, next: Int64) -> Statement {
        Statement(
            """
            INSERT INTO delivery_channels (id, is_on, next_idx, root_day) VALUES ($1, $2, $3, 0)
            ON CONFLICT (id) DO NOTHING
            """, [.text(id), Value(isOn), .int(next)])
    }

    static func turn(_ id: String, on: Bool, next: Int64) -> Statement {
        Statement(
            "UPDATE delivery_channels SET is_on = $1, next_idx = $2 WHERE id = $3",
            [Value(on), .int(next), .text(id)], expectedRows: 1)
    }

    static func advance(_ id: String, to next: Int64) -> Statement {
        Statement(
            "UPDATE delivery_channels SET next_idx = $1 WHERE id = $2", [.int(next), .text(id)], expectedRows: 1)
    }

    static func rootTold(_ id: String, day: Int64) -> Statement {
        Statement(
            "UPDATE delivery_channels SET root_day = $1 WHERE id = $2", [.int(day), .text(id)], expectedRows: 1)
    }

    static func sent(_ id: String, at now: Instant) -> Statement {
        Statement("UPDATE delivery_channels SET sent_at = $1, error = NULL WHERE id = $2", [Value(now), .text(id)])
    }

    static func failed(_ id: String, at now: Instant, note: String) -> Statement {
        Statement(
            "UPDATE delivery_channels SET failed_at = $1, error = $2 WHERE id = $3",
            [Value(now), .text(note), .text(id)])
    }

    // MARK: The log

    static let logSize = Statement("SELECT size FROM log_state WHERE id = 1")

    static let newestCheckpoint = Statement("SELECT size, note FROM log_checkpoint ORDER BY size DESC LIMIT 1")

    static func event(at index: Int64) -> Statement {
        Statement("SELECT event_id FROM log_leaf WHERE idx = $1", [.int(index)])
    }

    /// Entries that the staff channel hears of (spec: audit-log §6): what changed something or was to, and what somebody
    /// should look at. A refused change is told when there are many (`authz.denial_burst`), an import once, when it has ended
    /// (`registry.finish_import`).
    ///
    /// A CASE, because the range is what narrows: an index of classes or actions would lead through the whole log.
    private static let told = """
        CASE WHEN e.action IN ('authz.denial_burst', 'audit.export', 'tenant.export', 'user.export', 'access_review.export')
                THEN 1
            WHEN e.class = 'mutation' AND e.outcome = 'denied' THEN 0
            WHEN e.action = 'registry.import_batch' THEN 0
            WHEN e.actor_type = 'system' AND e.actor_id = 'import' AND e.action <> 'registry.finish_import' THEN 0
            WHEN e.class IN ('mutation', 'approval', 'impersonation', 'bulk', 'agent', 'incident', 'compliance_console')
                THEN 1
            ELSE 0 END = 1
        """

    /// The last entry to tell in a range of the log.
    static func last(in range: Range<Int64>) -> Statement {
        Statement(
            """
            SELECT l.idx, e.id FROM log_leaf l JOIN events e ON e.id = l.event_id
            WHERE l.idx >= $1 AND l.idx < $2 AND \(told) ORDER BY l.idx DESC LIMIT 1
            """, [.int(range.lowerBound), .int(range.upperBound)])
    }

    /// How many there are of each kind; a range is a few thousand entries at most.
    static func counts(in range: Range<Int64>) -> Statement {
        Statement(
            """
            SELECT e.action, e.class, e.outcome, COUNT(*) AS count, MIN(e.at) AS first_at, MAX(e.at) AS last_at
            FROM log_leaf l JOIN events e ON e.id = l.event_id
            WHERE l.idx >= $1 AND l.idx < $2 AND \(told) GROUP BY e.action, e.class, e.outcome
            """, [.int(range.lowerBound), .int(range.upperBound)])
    }

    /// What a line says of an event; the leaf only where it names a row.
    private static let shown = """
        e.id, e.at, e.action, e.class, e.outcome, e.actor_type, e.target_type, e.target_id,
            CASE WHEN e.target_type = 'discrepancy' THEN e.leaf END AS leaf
        """

    static func first(_ limit: Int, in range: Range<Int64>) -> Statement {
        Statement(
            """
            SELECT \(shown) FROM log_leaf l JOIN events e ON e.id = l.event_id
            WHERE l.idx >= $1 AND l.idx < $2 AND \(told) ORDER BY l.idx LIMIT \(limit)
            """, [.int(range.lowerBound), .int(range.upperBound)])
    }

    /// Those of some actions, however much else there is before them.
    static func first(_ limit: Int, of actions: [String], in range: Range<Int64>) -> Statement {
        Statement(
            """
            SELECT \(shown) FROM log_leaf l JOIN events e ON e.id = l.event_id
            WHERE l.idx >= $1 AND l.idx < $2 AND \(told)
                AND CASE WHEN e.action IN (\(placeholders(actions.count, from: 3))) THEN 1 ELSE 0 END = 1
            ORDER BY l.idx LIMIT \(limit)
            """, [.int(range.lowerBound), .int(range.upperBound)] + actions.map(Value.text))
    }

    // MARK: Deliveries of the kernel's own making

    /// A row of the outbox whose delivery is made with it.
    static func outboxRow(
        _ id: String, event: String, kind: DeliveryChannel, name: String, payload: JSON, at now: Instant
    ) -> Statement {
        Statement(
            """
            INSERT INTO outbox (id, event_id, operation_id, kind, name, tenant_id, tenant_version, payload, state,
                created_at)
            VALUES ($1, $2, '', $3, $4, NULL, NULL, $5, 'done', $6)
            """, [.text(id), .text(event), .text(kind.rawValue), .text(name), Value(payload), Value(now)])
    }

    static func isWaiting(in lane: String) -> Statement {
        Statement("SELECT delivery_id FROM delivery_queue WHERE lane = $1 LIMIT 1", [.text(lane)])
    }

    /// The newest to an endpoint that arrived.
    static func newestDelivered(to endpoint: String) -> Statement {
        Statement(
            """
            SELECT \(Delivery.columns) FROM deliveries WHERE webhook_id = $1 AND urgency = 0
            ORDER BY created_at DESC, id DESC LIMIT 1
            """, [.text(endpoint)])
    }

    // MARK: Mail

    /// `email`, `name` and `status` of somebody.
    static func person(_ id: String) -> Statement {
        Statement("SELECT id, email, name, status, invited_by FROM staff WHERE id = $1", [.text(id)])
    }

    /// `id` and `email` of active people who hold one of these roles now.
    static func holders(of roles: [String], at now: Instant) -> Statement {
        Statement(
            """
            SELECT DISTINCT s.id, s.email FROM grants g JOIN staff s ON s.id = g.staff_id
            WHERE g.role_id IN (\(placeholders(roles.count, from: 2))) AND g.revoked_at IS NULL
                AND (g.expires_at IS NULL OR g.expires_at > $1) AND s.status = 'active'
            ORDER BY s.id LIMIT 200
            """, [Value(now)] + roles.map(Value.text))
    }

    static func event(_ id: String) -> Statement {
        Statement(
            """
            SELECT e.at, s.members FROM events e LEFT JOIN sealed s ON s.event_id = e.id WHERE e.id = $1
            """, [.text(id)])
    }

    // MARK: Housekeeping

    /// Rows of the outbox that are old and whose deliveries need nothing any more.
    static func finished(before time: Instant, limit: Int) -> Statement {
        Statement(
            """
            SELECT o.id FROM outbox o WHERE o.state = 'done' AND o.created_at < $1 AND NOT EXISTS (
                SELECT 1 FROM deliveries d WHERE d.outbox_id = o.id AND d.urgency > 0)
            ORDER BY o.created_at, o.id LIMIT \(limit)
            """, [Value(time)])
    }

    static func deliveries(of outbox: [String]) -> Statement {
        Statement(
            """
            SELECT id, webhook_id, tenant_id, settled_at FROM deliveries WHERE outbox_id IN (\(placeholders(outbox.count)))
            """, outbox.map(Value.text))
    }

    static func forgetAttempts(of deliveries: [String]) -> Statement {
        Statement(
            "DELETE FROM delivery_attempts WHERE delivery_id IN (\(placeholders(deliveries.count)))",
            deliveries.map(Value.text))
    }

    static func forgetOutbox(_ ids: [String]) -> Statement {
        Statement("DELETE FROM outbox WHERE id IN (\(placeholders(ids.count)))", ids.map(Value.text))
    }

    /// Lanes in which nothing waits and nothing is under way. One that is opened meanwhile is due, and stays.
    static func forgetIdle(_ lanes: [String]) -> Statement {
        Statement(
            """
            DELETE FROM delivery_lanes WHERE id IN (\(placeholders(lanes.count))) AND due_at IS NULL AND lease IS NULL
                AND NOT EXISTS (SELECT 1 FROM delivery_queue q WHERE q.lane = delivery_lanes.id)
            """, lanes.map(Value.text))
    }

    /// Whether what a delivery tells is still kept.
    static func outboxRow(_ id: String) -> Statement {
        Statement("SELECT id FROM outbox WHERE id = $1", [.text(id)])
    }
}
