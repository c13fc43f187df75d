import Kernel

extension Delivery {
    public static let columns = """
        id, version, outbox_id, webhook_id, event_id, name, tenant_id, tenant_version, state, urgency, created_at, \
        settled_at
        """

    public init(_ row: Row) throws {
        guard let state = State(rawValue: try row.string("state")) else { throw StoreError.shape(column: "state") }
        self.init(
            id: try row.string("id"), version: try row.int("version"), outboxID: try row.string("outbox_id"),
            webhookID: try row.string("webhook_id"), eventID: try row.string("event_id"), name: try row.string("name"),
            tenantID: try row.optionalString("tenant_id"), tenantVersion: try row.optionalInt("tenant_version"),
            state: state, createdAt: try row.instant("created_at"), settledAt: try row.optionalInstant("settled_at"))
    }

    public var values: [Value] {
        [
            .text(id), .int(version), .text(outboxID), .text(webhookID), .text(eventID), .text(name), Value(tenantID),
            Value(tenantVersion), .text(state.rawValue), .int(state.urgency), Value(createdAt), Value(settledAt),
        ]
    }
}

/// The list of deliveries and what stands on their pages.
enum DeliveryQueries {
    struct Position: Sendable {
        let urgency: Int64
        let at: Instant
        let id: String
    }

    /// A page: dead ones first, then those that wait, then the rest; the newest first within each.
    static func page(
        state: Delivery.State?, webhook: String?, tenant: String?, after position: Position?, limit: Int
    ) -> Statement {
        var values: [Value] = []
        var conditions: [String] = []
        for (column, value) in [("state", state?.rawValue), ("webhook_id", webhook), ("tenant_id", tenant)] {
            guard let value else { continue }
            values.append(.text(value))
            conditions.append("\(column) = $\(values.count)")
        }
        if let position {
            values += [.int(position.urgency), Value(position.at), .text(position.id)]
            conditions.append("(urgency, created_at, id) < (\(placeholders(3, from: values.count - 2)))")
        }
        let clause = conditions.isEmpty ? "" : "WHERE " + conditions.joined(separator: " AND ")
        return Statement(
            """
            SELECT \(Delivery.columns) FROM deliveries \(clause)
            ORDER BY urgency DESC, created_at DESC, id DESC LIMIT \(limit)
            """, values)
    }

    static func attempts(of delivery: String) -> Statement {
        Statement(
            """
            SELECT number, at, took, http_status, note FROM delivery_attempts WHERE delivery_id = $1
            ORDER BY number DESC LIMIT 100
            """, [.text(delivery)])
    }

    /// When the next attempt of a waiting delivery is due, and whether something stands before it.
    static func turn(of delivery: Delivery) -> Statement {
        Statement(
            """
            SELECT l.due_at, l.lease, CASE WHEN EXISTS (
                SELECT 1 FROM delivery_queue e
                WHERE e.lane = q.lane AND (e.position, e.delivery_id) < (q.position, q.delivery_id)
            ) THEN 1 ELSE 0 END AS is_behind
            FROM delivery_queue q JOIN delivery_lanes l ON l.id = q.lane WHERE q.delivery_id = $1
            """, [.text(delivery.id)])
    }

    static func webhookURLs(_ ids: [String]) -> Statement {
        Statement(
            "SELECT id, url FROM webhooks WHERE id IN (\(ids.isEmpty ? "''" : placeholders(ids.count)))",
            ids.map(Value.text))
    }

    static func tenantNames(_ ids: [String]) -> Statement {
        Statement(
            "SELECT id, name FROM tenants WHERE id IN (\(ids.isEmpty ? "''" : placeholders(ids.count)))",
            ids.map(Value.text))
    }

    /// What was told, while it is kept. `rows` MUST NOT be empty.
    static func payloads(_ rows: [String]) -> Statement {
        Statement("SELECT id, payload FROM outbox WHERE id IN (\(placeholders(rows.count)))", rows.map(Value.text))
    }

    /// What happened in an event.
    static func action(of event: String) -> Statement {
        Statement("SELECT action FROM events WHERE id = $1", [.text(event)])
    }

    /// More than these are not counted.
    static let mostCounted: Int64 = 1000

    /// How many wait, or were given up, up to one more than `mostCounted`.
    static func count(_ state: Delivery.State, webhook: String?, tenant: String?) -> Statement {
        var values: [Value] = [.int(state.urgency)]
        var conditions = ["urgency = $1"]
        for (column, value) in [("webhook_id", webhook), ("tenant_id", tenant)] {
            guard let value else { continue }
            values.append(.text(value))
            conditions.append("\(column) = $\(values.count)")
        }
        return Statement(
            """
            SELECT count(*) AS count FROM (
                SELECT id FROM deliveries WHERE \(conditions.joined(separator: " AND ")) LIMIT \(mostCounted + 1)
            ) AS found
            """, values)
    }

    static func tenant(slug: String) -> Statement {
        Statement("SELECT id FROM tenants WHERE slug = $1", [.text(slug)])
    }
}
