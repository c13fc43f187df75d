import Kernel

/// Reads of the log and of what names its rows. Every filter has its index, each of them in (at, id) order.
enum EventQueries {
    private static let columns = """
        e.id, e.at, e.class, e.action, e.outcome, e.actor_type, e.actor_id, e.tenant_id, e.target_type, e.target_id, \
        e.request_id, e.operation_id, e.approval_id, e.linked, e.retention_class
        """

    enum Direction: Sendable { case older, newer }

    /// A page of events: `older` than the position and newest first, or `newer` and oldest first. Where several filters must
    /// match, it looks at the next `EventFilter.Walk.window` that match the first; `windowEnd` says where they end.
    static func page(
        _ filter: EventFilter, from position: (at: Instant, id: String)?, _ direction: Direction, limit: Int
    ) -> Statement {
        let walk = filter.walk
        var (clause, values) = reached(filter, from: position, direction)
        let order = direction == .older ? "DESC" : "ASC"
        guard !walk.others.isEmpty else {
            return Statement(
                "SELECT \(columns) FROM events e \(clause) ORDER BY e.at \(order), e.id \(order) LIMIT \(limit)", values
            )
        }
        var conditions: [String] = []
        for (column, value) in walk.others {
            values.append(.text(value))
            conditions.append("e.\(column) = $\(values.count)")
        }
        return Statement(
            """
            SELECT \(columns) FROM (
                SELECT \(columns) FROM events e \(clause)
                ORDER BY e.at \(order), e.id \(order) LIMIT \(EventFilter.Walk.window)) AS e
            WHERE \(conditions.joined(separator: " AND ")) ORDER BY e.at \(order), e.id \(order) LIMIT \(limit)
            """, values)
    }

    /// The last event that a page with several filters looks at; no row when there are fewer.
    static func windowEnd(
        _ filter: EventFilter, from position: (at: Instant, id: String)?, _ direction: Direction
    ) -> Statement {
        let (clause, values) = reached(filter, from: position, direction)
        let order = direction == .older ? "DESC" : "ASC"
        return Statement(
            """
            SELECT e.at, e.id FROM events e \(clause)
            ORDER BY e.at \(order), e.id \(order) LIMIT 1 OFFSET \(EventFilter.Walk.window - 1)
            """, values)
    }

    /// What an index alone decides.
    private static func reached(
        _ filter: EventFilter, from position: (at: Instant, id: String)?, _ direction: Direction
    ) -> (clause: String, values: [Value]) {
        var values: [Value] = []
        var conditions: [String] = []
        func add(_ condition: (String) -> String, _ value: Value) {
            values.append(value)
            conditions.append(condition("$\(values.count)"))
        }
        if let lead = filter.walk.lead { add({ "e.\(lead.column) = \($0)" }, .text(lead.value)) }
        if let from = filter.from { add({ "e.at >= \($0)" }, Value(from)) }
        if let until = filter.until { add({ "e.at < \($0)" }, Value(until)) }
        if let position {
            values += [Value(position.at), .text(position.id)]
            let sign = direction == .older ? "<" : ">"
            conditions.append("(e.at, e.id) \(sign) ($\(values.count - 1), $\(values.count))")
        }
        return (conditions.isEmpty ? "" : "WHERE " + conditions.joined(separator: " AND "), values)
    }

    /// The same page with index and names.
    static func namedPage(
        _ filter: EventFilter, from position: (at: Instant, id: String)?, _ direction: Direction, limit: Int
    ) -> Statement {
        let page = page(filter, from: position, direction, limit: limit)
        let order = direction == .older ? "DESC" : "ASC"
        return Statement(
            """
            SELECT p.*, l.idx AS idx, a.name AS actor_name, COALESCE(s.name, t.name) AS target_name FROM (\(page.text)) AS p
            LEFT JOIN log_leaf l ON l.event_id = p.id
            LEFT JOIN staff a ON p.actor_type = 'staff' AND a.id = p.actor_id
            LEFT JOIN staff s ON p.target_type = 'staff' AND s.id = p.target_id
            LEFT JOIN tenants t ON p.target_type = 'tenant' AND t.id = p.target_id
            ORDER BY p.at \(order), p.id \(order)
            """, page.values)
    }

    static func event(_ id: String) -> Statement {
        Statement(
            """
            SELECT \(columns), e.leaf, l.idx, l.hash FROM events e LEFT JOIN log_leaf l ON l.event_id = e.id
            WHERE e.id = $1
            """, [.text(id)])
    }

    /// Where an event stands that left for the archive, and the event of retention that says so.
    static func archived(_ id: String) -> Statement {
        Statement(
            """
            SELECT l.idx AS idx, p.pruned_by AS pruned_by FROM log_leaf l JOIN log_pruned p ON p.idx = l.idx
            WHERE l.event_id = $1
            """, [.text(id)])
    }

    static func sealed(_ id: String) -> Statement {
        Statement("SELECT members FROM sealed WHERE event_id = $1", [.text(id)])
    }

    /// `event_id` and `members`: what some events sealed.
    static func sealed(_ ids: [String]) -> Statement {
        Statement("SELECT event_id, members FROM sealed WHERE event_id IN (\(list(ids)))", ids.map(Value.text))
    }

    /// `id` and `leaf`: what some events committed to.
    static func leaves(_ ids: [String]) -> Statement {
        Statement("SELECT id, leaf FROM events WHERE id IN (\(list(ids)))", ids.map(Value.text))
    }

    static func erasures(_ id: String) -> Statement {
        Statement("SELECT member, erased_by FROM sealed_erasure WHERE event_id = $1 ORDER BY member", [.text(id)])
    }

    /// Events that belong to this one: effects, undos.
    static func linked(to id: String) -> Statement {
        Statement(
            "SELECT \(columns) FROM events e WHERE e.linked = $1 ORDER BY e.at, e.id LIMIT 20", [.text(id)])
    }

    /// The last event that wrote a governed row.
    static func head(type: String, id: String) -> Statement {
        Statement("SELECT event_id FROM entity_head WHERE type = $1 AND id = $2", [.text(type), .text(id)])
    }

    /// The events beside an index of the log.
    static func neighbours(of index: Int64) -> Statement {
        Statement(
            "SELECT idx, event_id FROM log_leaf WHERE idx IN ($1, $2) ORDER BY idx", [.int(index - 1), .int(index + 1)])
    }

    static func indexes(_ ids: [String]) -> Statement {
        Statement("SELECT event_id, idx FROM log_leaf WHERE event_id IN (\(list(ids)))", ids.map(Value.text))
    }

    static func staffNames(_ ids: [String]) -> Statement {
        Statement("SELECT id, name FROM staff WHERE id IN (\(list(ids)))", ids.map(Value.text))
    }

    static func accountNames(_ ids: [String]) -> Statement {
        Statement("SELECT id, name FROM service_accounts WHERE id IN (\(list(ids)))", ids.map(Value.text))
    }

    static func tenantNames(_ ids: [String]) -> Statement {
        Statement("SELECT id, name FROM tenants WHERE id IN (\(list(ids)))", ids.map(Value.text))
    }

    static func staff(email: String) -> Statement {
        Statement("SELECT id FROM staff WHERE email = $1", [.text(email)])
    }

    static func tenant(slug: String) -> Statement {
        Statement("SELECT id FROM tenants WHERE slug = $1", [.text(slug)])
    }

    /// The newest signed checkpoint.
    static let checkpoint = Statement("SELECT size, at FROM log_checkpoint ORDER BY size DESC LIMIT 1")

    // An empty list is no SQL; '' is no id.
    private static func list(_ ids: [String]) -> String {
        ids.isEmpty ? "''" : ids.indices.map { "$\($0 + 1)" }.joined(separator: ", ")
    }
}
