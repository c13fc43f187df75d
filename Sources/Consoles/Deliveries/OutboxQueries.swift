import Kernel

/// What the worker reads and writes beside the governed rows.
enum OutboxQueries {
    // MARK: Distributing

    static func isWaiting(_ channel: DeliveryChannel) -> Statement {
        Statement(
            "SELECT seq FROM outbox_pending WHERE kind = $1 ORDER BY seq LIMIT 1", [.text(channel.rawValue)])
    }

    /// The oldest effects of a channel whose deliveries are not there yet; `seq` is the order of their commits.
    static func waiting(_ channel: DeliveryChannel, limit: Int) -> Statement {
        Statement(
            """
            SELECT p.seq, o.id, o.event_id, o.operation_id, o.name, o.tenant_id, o.tenant_version, o.payload,
                o.created_at
            FROM (SELECT seq, outbox_id FROM outbox_pending WHERE kind = $1 ORDER BY seq LIMIT \(limit)) AS p
            JOIN outbox o ON o.id = p.outbox_id
            """, [.text(channel.rawValue)])
    }

    static func distributed(_ ids: [String]) -> [Statement] {
        guard !ids.isEmpty else { return [] }
        let values = filled(ids).map(Value.text)
        return [
            Statement("UPDATE outbox SET state = 'done' WHERE id IN (\(placeholders(values.count)))", values),
            Statement("DELETE FROM outbox_pending WHERE outbox_id IN (\(placeholders(values.count)))", values),
        ]
    }

    /// Of the effects of a channel whose deliveries are not there yet, when the first in line was queued.
    static func oldest(_ channel: DeliveryChannel) -> Statement {
        Statement(
            """
            SELECT o.created_at
            FROM (SELECT seq, outbox_id FROM outbox_pending WHERE kind = $1 ORDER BY seq LIMIT 1) AS p
            JOIN outbox o ON o.id = p.outbox_id
            """, [.text(channel.rawValue)])
    }

    /// More effects of one event are not gone through.
    static let mostQueued = 1000

    /// What the log says of effects that were queued with an event and found somebody, one row for each.
    ///
    /// A CASE, because the event is what narrows: an index of actions would lead through the whole log.
    static func queued(with event: String) -> Statement {
        Statement(
            """
            SELECT e.leaf FROM events e
            WHERE e.linked = $1 AND CASE WHEN e.action = 'delivery.queued' THEN 1 ELSE 0 END = 1 LIMIT \(mostQueued)
            """, [.text(event)])
    }

    /// Opens a lane or finds it, and locks it: whoever settles its attempt waits. An idle lane becomes due.
    static func openLane(_ lane: String, webhook: String, at now: Instant) -> Statement {
        Statement(
            """
            INSERT INTO delivery_lanes (id, webhook_id, due_at, lease) VALUES ($1, $2, $3, NULL)
            ON CONFLICT (id) DO UPDATE SET due_at = COALESCE(delivery_lanes.due_at, excluded.due_at)
            RETURNING due_at, lease
            """, [.text(lane), .text(webhook), Value(now)])
    }

    /// Waiting ones of a lane with this name, in its order.
    static func waiting(in lane: String, named name: String) -> Statement {
        Statement(
            """
            SELECT d.id, d.version, d.outbox_id, d.webhook_id, d.event_id, d.name, d.tenant_id, d.tenant_version,
                d.state, d.urgency, d.created_at, d.settled_at
            FROM delivery_queue q JOIN deliveries d ON d.id = q.delivery_id
            WHERE q.lane = $1 AND d.name = $2 ORDER BY q.position, q.delivery_id
            """, [.text(lane), .text(name)])
    }

    static func enqueue(_ delivery: String, lane: String, position: Int64) -> Statement {
        Statement(
            """
            INSERT INTO delivery_queue (delivery_id, lane, position, failures, tried_at) VALUES ($1, $2, $3, 0, NULL)
            """, [.text(delivery), .text(lane), .int(position)])
    }

    /// Behind everything that waits in the lane now.
    static func enqueueLast(_ delivery: String, lane: String) -> Statement {
        Statement(
            """
            INSERT INTO delivery_queue (delivery_id, lane, position, failures, tried_at)
            SELECT $1, $2, COALESCE(MAX(position), 0) + 1, 0, NULL FROM delivery_queue WHERE lane = $3
            """, [.text(delivery), .text(lane), .text(lane)])
    }

    static func dequeue(_ delivery: String) -> Statement {
        Statement("DELETE FROM delivery_queue WHERE delivery_id = $1", [.text(delivery)])
    }

    // MARK: Claiming

    /// When the first lane is due that has something to send.
    static func firstDue(without channels: Set<DeliveryChannel> = []) -> Statement {
        Statement(
            """
            SELECT due_at FROM delivery_lanes WHERE due_at IS NOT NULL \(leavingOut(channels)) ORDER BY due_at LIMIT 1
            """)
    }

    /// Lanes whose first delivery may be tried, those of these endpoints and channels left out; locked, and those others hold
    /// skipped.
    static func dueLanes(
        at now: Instant, leavingOut endpoints: [String], without channels: Set<DeliveryChannel> = [], limit: Int,
        _ dialect: Dialect
    ) -> Statement {
        let others =
            endpoints.isEmpty ? "" : "AND webhook_id NOT IN (\(placeholders(endpoints.count, from: 2)))"
        return Statement(
            """
            SELECT id, webhook_id FROM delivery_lanes WHERE due_at <= $1 \(others) \(leavingOut(channels))
            ORDER BY due_at, id LIMIT \(limit)\(dialect.forUpdateSkippingLocked)
            """, [Value(now)] + endpoints.map(Value.text))
    }

    private static func leavingOut(_ channels: Set<DeliveryChannel>) -> String {
        channels.sorted { $0.rawValue < $1.rawValue }.map { channel in
            switch channel {
            case .slack: "AND webhook_id <> 'slack'"
            case .mail: "AND webhook_id NOT LIKE 'mail:%'"
            case .webhook: "AND webhook_id NOT LIKE 'whk%'"
            }
        }.joined(separator: " ")
    }

    /// The first delivery of a lane with everything a notice is made of.
    static func first(of lane: String) -> Statement {
        Statement(
            """
            SELECT q.delivery_id, d.webhook_id, d.event_id, d.name, d.tenant_id, d.tenant_version, d.outbox_id,
                o.payload, o.operation_id, o.created_at, t.external_id,
                (SELECT COALESCE(MAX(a.number), 0) + 1 FROM delivery_attempts a WHERE a.delivery_id = q.delivery_id)
                    AS attempt
            FROM delivery_queue q
            JOIN deliveries d ON d.id = q.delivery_id
            JOIN outbox o ON o.id = d.outbox_id
            LEFT JOIN tenants t ON t.id = d.tenant_id
            WHERE q.lane = $1 ORDER BY q.position, q.delivery_id LIMIT 1
            """, [.text(lane)])
    }

    static func lease(_ lane: String, _ lease: String, until: Instant) -> Statement {
        Statement(
            "UPDATE delivery_lanes SET due_at = $1, lease = $2 WHERE id = $3",
            [Value(until), .text(lease), .text(lane)],
            expectedRows: 1)
    }

    static func rest(_ lane: String) -> Statement {
        Statement("UPDATE delivery_lanes SET due_at = NULL, lease = NULL WHERE id = $1", [.text(lane)])
    }

    static func begin(_ delivery: String, attempt: Int64, at now: Instant) -> [Statement] {
        [
            Statement(
                "INSERT INTO delivery_attempts (delivery_id, number, at) VALUES ($1, $2, $3)",
                [.text(delivery), .int(attempt), Value(now)]),
            Statement(
                "UPDATE delivery_queue SET tried_at = COALESCE(tried_at, $1) WHERE delivery_id = $2",
                [Value(now), .text(delivery)]),
        ]
    }

    // MARK: Settling

    /// Answers a row when the lease still stands; the lane is locked then.
    static func giveBack(_ lane: String, _ lease: String) -> Statement {
        Statement(
            "UPDATE delivery_lanes SET lease = NULL WHERE id = $1 AND lease = $2 RETURNING id",
            [.text(lane), .text(lease)])
    }

    static func finish(
        _ delivery: String, attempt: Int64, took: Span, status: Int64?, note: String
    ) -> Statement {
        Statement(
            """
            UPDATE delivery_attempts SET took = $1, http_status = $2, note = $3 WHERE delivery_id = $4 AND number = $5
            """, [.int(took.microseconds), Value(status), .text(note), .text(delivery), .int(attempt)])
    }

    static func tries(of delivery: String) -> Statement {
        Statement("SELECT failures, tried_at FROM delivery_queue WHERE delivery_id = $1", [.text(delivery)])
    }

    static func failed(_ delivery: String, lane: String, retryAt: Instant) -> [Statement] {
        [
            Statement(
                "UPDATE delivery_queue SET failures = failures + 1 WHERE delivery_id = $1", [.text(delivery)]),
            due(lane, at: retryAt),
        ]
    }

    static func due(_ lane: String, at time: Instant) -> Statement {
        Statement("UPDATE delivery_lanes SET due_at = $1 WHERE id = $2", [Value(time), .text(lane)])
    }

    /// Lanes of mail that wait for another attempt, the soonest first; locked, and those others hold skipped.
    static func retriedMail(
        besides lane: String, after now: Instant, until end: Instant, limit: Int, _ dialect: Dialect
    ) -> Statement {
        Statement(
            """
            SELECT id FROM delivery_lanes WHERE due_at > $1 AND due_at <= $2 AND lease IS NULL AND id LIKE 'mail:%'
                AND id <> $3
            ORDER BY due_at, id LIMIT \(limit)\(dialect.forUpdateSkippingLocked)
            """, [Value(now), Value(end), .text(lane)])
    }

    /// The next delivery of the lane is due now; a lane without one rests.
    static func advance(_ lane: String, at now: Instant) -> Statement {
        Statement(
            """
            UPDATE delivery_lanes SET due_at = CASE
                WHEN EXISTS (SELECT 1 FROM delivery_queue q WHERE q.lane = delivery_lanes.id) THEN CAST($1 AS BIGINT) END
            WHERE id = $2
            """, [Value(now), .text(lane)])
    }
}
