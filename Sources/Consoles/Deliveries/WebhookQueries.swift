import Kernel

extension Webhook {
    public static let columns = """
        id, version, url, events, status, disabled_for, secret, previous_secret, previous_until, created_at, updated_at
        """

    public init(_ row: Row) throws {
        guard let status = Status(rawValue: try row.string("status")) else { throw StoreError.shape(column: "status") }
        guard let events = try row.json("events").array?.compactMap(\.string) else {
            throw StoreError.shape(column: "events")
        }
        self.init(
            id: try row.string("id"), version: try row.int("version"), url: try row.string("url"), events: events,
            status: status, disabledFor: try row.optionalString("disabled_for"), secret: try row.string("secret"),
            previousSecret: try row.optionalString("previous_secret"),
            previousUntil: try row.optionalInstant("previous_until"), createdAt: try row.instant("created_at"),
            updatedAt: try row.instant("updated_at"))
    }

    public var values: [Value] {
        [
            .text(id), .int(version), .text(url), Value(.array(events.map(JSON.string))), .text(status.rawValue),
            Value(disabledFor), .text(secret), Value(previousSecret), Value(previousUntil), Value(createdAt),
            Value(updatedAt),
        ]
    }

    /// How many endpoints may be active: each event is looked up among them.
    static let most = 100

    static let active = Statement(
        "SELECT \(columns) FROM webhooks WHERE status = 'active' ORDER BY id LIMIT \(most)")

    /// What the endpoints that are in use ask for, and since when they are there.
    static let subscriptions = Statement(
        "SELECT events, created_at FROM webhooks WHERE status = 'active' ORDER BY id LIMIT \(most)")

    static let activeCount = Statement(
        "SELECT count(*) AS count FROM (SELECT id FROM webhooks WHERE status = 'active' LIMIT 1000) AS found")

    /// Their secrets are sealed under the master key; ids are in the order of time.
    static let newest = Statement("SELECT \(columns) FROM webhooks ORDER BY id DESC LIMIT 10")

    /// Nothing of its lanes is due any more. An attempt that is under way keeps its lease.
    static func holdLanes(_ id: String) -> Statement {
        Statement("UPDATE delivery_lanes SET due_at = NULL WHERE webhook_id = $1 AND lease IS NULL", [.text(id)])
    }

    /// What waited in its lanes is due now; a lane in which nothing waits rests.
    static func releaseLanes(_ id: String, at now: Instant) -> Statement {
        Statement(
            """
            UPDATE delivery_lanes SET due_at = $1 WHERE webhook_id = $2 AND due_at IS NULL
            AND EXISTS (SELECT 1 FROM delivery_queue q WHERE q.lane = delivery_lanes.id)
            """, [Value(now), .text(id)])
    }

    /// How many deliveries are in each state, up to a bound.
    static func waitingCount(_ id: String) -> Statement {
        Statement(
            """
            SELECT count(*) AS count FROM (
                SELECT id FROM deliveries WHERE webhook_id = $1 AND urgency > 0 LIMIT 1000
            ) AS found
            """, [.text(id)])
    }
}
