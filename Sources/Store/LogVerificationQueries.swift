import Kernel

/// The SQL of verification and export.
extension SQLLogStore {
    public func entries(_ range: Range<Int64>, _ reader: any Reader, _ body: (StoredEntry) throws -> Void) throws {
        let statement = Statement(
            """
            SELECT l.idx AS idx, l.event_id AS event_id, l.hash AS hash, s.members AS members, \(Self.eventColumns)
            FROM log_leaf l LEFT JOIN events e ON e.id = l.event_id LEFT JOIN sealed s ON s.event_id = l.event_id
            WHERE l.idx >= $1 AND l.idx < $2 ORDER BY l.idx
            """, [.int(range.lowerBound), .int(range.upperBound)])
        var places: StoredEvent.Places?
        try reader.forEach(statement) { try body(try entry($0, &places)) }
    }

    /// - Parameter places: those of the row before; they are the same for all rows of an answer.
    func entry(_ row: Row, _ places: inout StoredEvent.Places?) throws -> StoredEntry {
        let known = try places.flatMap { $0.columns === row.columns ? $0 : nil } ?? StoredEvent.Places(row.columns)
        places = known
        return StoredEntry(
            index: try row.int("idx"), eventID: try row.string("event_id"), hash: try row.bytes("hash"),
            event: row["id"] == .null ? nil : try StoredEvent(row, known), sealed: try row.optionalString("members"))
    }

    public func events(_ ids: [String], _ reader: any Reader) throws -> [String: StoredEvent] {
        let sql = "SELECT \(Self.eventColumns) FROM events e WHERE e.id IN ({list})"
        var out: [String: StoredEvent] = [:]
        for row in try Self.rows(sql, ids, reader, { [.text($0)] }) {
            let event = try StoredEvent(row)
            out[event.id] = event
        }
        return out
    }

    public func eventCount(_ reader: any Reader) throws -> Int64 {
        try reader.first(Statement("SELECT count(*) AS n FROM events"))?.int("n") ?? 0
    }

    public func unsequenced(_ reader: any Reader, _ body: (String) throws -> Void) throws {
        let statement = Statement(
            """
            SELECT e.id AS id FROM events e
            LEFT JOIN log_leaf l ON l.event_id = e.id LEFT JOIN log_pending p ON p.event_id = e.id
            WHERE l.event_id IS NULL AND p.event_id IS NULL ORDER BY e.id
            """)
        try reader.forEach(statement) { try body(try $0.string("id")) }
    }

    public func namings(_ reader: any Reader, _ body: (EntityNaming) throws -> Void) throws {
        try reader.forEach(Statement("SELECT type, id, event_id FROM event_entity ORDER BY type, id, event_id")) {
            try body(
                EntityNaming(type: try $0.string("type"), id: try $0.string("id"), eventID: try $0.string("event_id")))
        }
    }

    public func namings(_ wanted: [EntityNaming], _ reader: any Reader) throws -> Set<EntityNaming> {
        let sql = """
            WITH v (a, b, c) AS (VALUES {list})
            SELECT n.type AS type, n.id AS id, n.event_id AS event_id FROM v
            JOIN event_entity n ON n.type = v.a AND n.id = v.b AND n.event_id = v.c
            """
        let rows = try Self.rows(sql, wanted, columns: 3, reader) { [.text($0.type), .text($0.id), .text($0.eventID)] }
        return Set(
            try rows.map {
                EntityNaming(type: try $0.string("type"), id: try $0.string("id"), eventID: try $0.string("event_id"))
            })
    }

    public func namings(
        type: String, after: String, upTo: String?, _ reader: any Reader, _ body: (EntityNaming) throws -> Void
    ) throws {
        let statement = Statement(
            """
            SELECT n.id AS id, n.event_id AS event_id, l.idx AS idx, p.seq AS seq FROM event_entity n
            LEFT JOIN log_leaf l ON l.event_id = n.event_id LEFT JOIN log_pending p ON p.event_id = n.event_id
            WHERE n.type = $1 AND n.id > $2\(upTo == nil ? "" : " AND n.id <= $3") ORDER BY n.id
            """, [.text(type), .text(after)] + (upTo.map { [.text($0)] } ?? []))
        try reader.forEach(statement) {
            try body(
                EntityNaming(
                    type: type, id: try $0.string("id"), eventID: try $0.string("event_id"),
                    index: try $0.optionalInt("idx"),
                    queued: try $0.optionalInt("seq")))
        }
    }

    public func heads(
        type: String, after: String, upTo: String?, _ reader: any Reader,
        _ body: (_ id: String, _ event: String) throws -> Void
    ) throws {
        let statement = Statement(
            """
            SELECT id, event_id FROM entity_head
            WHERE type = $1 AND id > $2\(upTo == nil ? "" : " AND id <= $3") ORDER BY id
            """, [.text(type), .text(after)] + (upTo.map { [.text($0)] } ?? []))
        try reader.forEach(statement) { try body(try $0.string("id"), try $0.string("event_id")) }
    }

    public func headTypes(_ reader: any Reader) throws -> [String] {
        // A loose index scan: as many steps as there are types, not rows.
        try reader.query(
            Statement(
                """
                WITH RECURSIVE t (type) AS (
                    SELECT min(type) FROM entity_head
                    UNION ALL
                    SELECT (SELECT min(h.type) FROM entity_head h WHERE h.type > t.type) FROM t WHERE t.type IS NOT NULL)
                SELECT type FROM t WHERE type IS NOT NULL
                """)
        ).map { try $0.string("type") }
    }

    /// What an export takes of an entry, in the order of `ExportRows`.
    private static let exported = """
        l.idx AS idx, l.event_id AS event_id, l.hash AS hash, e.at AS at, e.leaf AS leaf, s.members AS members,
        CASE WHEN EXISTS (SELECT 1 FROM sealed_erasure x WHERE x.event_id = l.event_id) THEN 1 END AS erased
        """

    public func take(
        _ range: Range<Int64>, limit: Int, into rows: inout ExportRows, _ reader: any Reader
    ) throws {
        // The limit, and not a narrow range, is what lets PostgreSQL walk the index instead of sorting every portion.
        try Self.take(
            Statement(
                """
                SELECT \(Self.exported)
                FROM log_leaf l LEFT JOIN events e ON e.id = l.event_id LEFT JOIN sealed s ON s.event_id = l.event_id
                WHERE l.idx >= $1 AND l.idx < $2 ORDER BY l.idx LIMIT $3
                """, [.int(range.lowerBound), .int(range.upperBound), .int(Int64(limit))]), into: &rows, reader)
    }

    private static func take(_ statement: Statement, into rows: inout ExportRows, _ reader: any Reader) throws {
        do {
            try reader.scan(statement) { columns in
                guard !rows.isFull else { throw Full() }
                try rows.append(columns)
            }
        } catch is Full {}
    }

    private struct Full: Error {}

    public func take(
        _ filter: EventFilter, after cursor: (at: Int64, id: String)?, limit: Int, below size: Int64,
        into rows: inout ExportRows, _ reader: any Reader
    ) throws -> (at: Int64, id: String)? {
        var reached: [String] = []
        var values: [Value] = []
        func condition(_ text: (String) -> String, _ value: Value) -> String {
            values.append(value)
            return text("$\(values.count)")
        }
        let walk = filter.walk
        if let lead = walk.lead { reached.append(condition({ "e.\(lead.column) = \($0)" }, .text(lead.value))) }
        if let from = filter.from { reached.append(condition({ "e.at >= \($0)" }, .int(from.microseconds))) }
        if let until = filter.until { reached.append(condition({ "e.at < \($0)" }, .int(until.microseconds))) }
        if let cursor {
            values += [.int(cursor.at), .text(cursor.id)]
            reached.append("(e.at, e.id) > ($\(values.count - 1), $\(values.count))")
        }
        let clause = reached.isEmpty ? "" : "WHERE " + reached.joined(separator: " AND ")
        let isWindow = !walk.others.isEmpty
        let end =
            isWindow
            ? try reader.first(
                Statement(
                    """
                    SELECT e.at AS at, e.id AS id FROM events e \(clause)
                    ORDER BY e.at, e.id LIMIT 1 OFFSET \(EventFilter.Walk.window - 1)
                    """, values)
            ).map { (at: try $0.int("at"), id: try $0.string("id")) } : nil
        var others = walk.others.map { other in condition({ "e.\(other.column) = \($0)" }, .text(other.value)) }
        others.append(condition({ "l.idx < \($0)" }, .int(size)))
        let events =
            isWindow
            ? "(SELECT * FROM events e \(clause) ORDER BY e.at, e.id LIMIT \(EventFilter.Walk.window))" : "events"
        try Self.take(
            Statement(
                """
                SELECT \(Self.exported)
                FROM \(events) AS e JOIN log_leaf l ON l.event_id = e.id LEFT JOIN sealed s ON s.event_id = e.id
                WHERE \((isWindow ? others : reached + others).joined(separator: " AND "))
                ORDER BY e.at, e.id LIMIT \(limit)
                """, values), into: &rows, reader)
        return end
    }
}
