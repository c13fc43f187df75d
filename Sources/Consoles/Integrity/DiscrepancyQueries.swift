import Kernel

extension Discrepancy {
    public static let columns = "id, version, row_type, row_id, kind, state, urgency, found_at, settled_at"

    public init(_ row: Row) throws {
        guard let kind = Kind(rawValue: try row.string("kind")) else { throw StoreError.shape(column: "kind") }
        guard let state = State(rawValue: try row.string("state")) else { throw StoreError.shape(column: "state") }
        self.init(
            id: try row.string("id"), version: try row.int("version"), rowType: try row.string("row_type"),
            rowID: try row.string("row_id"), kind: kind, state: state, foundAt: try row.instant("found_at"),
            settledAt: try row.optionalInstant("settled_at"))
    }

    public var values: [Value] {
        [
            .text(id), .int(version), .text(rowType), .text(rowID), .text(kind.rawValue), .text(state.rawValue),
            .int(state.urgency), Value(foundAt), Value(settledAt),
        ]
    }
}

/// The list of discrepancies, and what the log knows of a row.
public enum DiscrepancyQueries {
    struct Position: Sendable {
        let urgency: Int64
        let at: Instant
        let id: String
    }

    /// Open ones first, the newest first within each.
    static func page(state: Discrepancy.State?, after position: Position?, limit: Int) -> Statement {
        var values: [Value] = []
        var conditions: [String] = []
        if let state {
            values.append(.text(state.rawValue))
            conditions.append("state = $1")
        }
        if let position {
            values += [.int(position.urgency), Value(position.at), .text(position.id)]
            conditions.append("(urgency, found_at, id) < (\(placeholders(3, from: values.count - 2)))")
        }
        let clause = conditions.isEmpty ? "" : "WHERE " + conditions.joined(separator: " AND ")
        return Statement(
            """
            SELECT \(Discrepancy.columns) FROM discrepancies \(clause)
            ORDER BY urgency DESC, found_at DESC, id DESC LIMIT \(limit)
            """, values)
    }

    /// At most `limit`.
    static func open(limit: Int) -> Statement {
        Statement("SELECT \(Discrepancy.columns) FROM discrepancies WHERE state = 'open' LIMIT \(limit)")
    }

    /// Those found since then, at most `limit`.
    static func open(since: Instant, limit: Int) -> Statement {
        Statement(
            """
            SELECT id FROM discrepancies
            WHERE state = 'open' AND urgency = \(Discrepancy.State.open.urgency) AND found_at >= $1 LIMIT \(limit)
            """, [Value(since)])
    }

    static func open(_ type: String, _ id: String) -> Statement {
        Statement(
            "SELECT \(Discrepancy.columns) FROM discrepancies WHERE row_type = $1 AND row_id = $2 AND state = 'open'",
            [.text(type), .text(id)])
    }

    /// The newest event that names a row, with its hash in the tree and the sealed values that are left. Which it is says the
    /// log, not the pointer: one that waits is newer than all in the tree.
    static func newestEvent(_ type: String, _ id: String) -> Statement {
        Statement(
            """
            SELECT e.id AS event_id, e.leaf AS leaf, l.hash AS hash, s.members AS members, h.event_id AS head
            FROM event_entity n JOIN events e ON e.id = n.event_id
            LEFT JOIN log_leaf l ON l.event_id = n.event_id LEFT JOIN log_pending p ON p.event_id = n.event_id
            LEFT JOIN sealed s ON s.event_id = n.event_id LEFT JOIN entity_head h ON h.type = n.type AND h.id = n.id
            WHERE n.type = $1 AND n.id = $2
            ORDER BY CASE WHEN l.idx IS NULL THEN 1 ELSE 0 END DESC, p.seq DESC, l.idx DESC LIMIT 1
            """, [.text(type), .text(id)])
    }

    /// `member`: what was erased of an event.
    static func erased(_ event: String) -> Statement {
        Statement("SELECT member FROM sealed_erasure WHERE event_id = $1", [.text(event)])
    }
}
