import Kernel

/// The SQL of retention: what is due, what left, and the one door through which it leaves (spec: audit-log §1).
extension SQLLogStore {
    public func pruned(_ range: Range<Int64>, _ reader: any Reader) throws -> [Int64: String] {
        let rows = try reader.query(
            Statement(
                "SELECT idx, pruned_by FROM log_pruned WHERE idx >= $1 AND idx < $2",
                [.int(range.lowerBound), .int(range.upperBound)]))
        return Dictionary(uniqueKeysWithValues: try rows.map { (try $0.int("idx"), try $0.string("pruned_by")) })
    }

    public func pruned(event id: String, _ reader: any Reader) throws -> (index: Int64, by: String)? {
        try reader.first(
            Statement(
                """
                SELECT l.idx AS idx, p.pruned_by AS pruned_by FROM log_leaf l JOIN log_pruned p ON p.idx = l.idx
                WHERE l.event_id = $1
                """, [.text(id)])
        ).map { (try $0.int("idx"), try $0.string("pruned_by")) }
    }

    public func lastPruned(_ reader: any Reader) throws -> Int64? {
        try reader.first(Statement("SELECT idx FROM log_pruned ORDER BY idx DESC LIMIT 1"))?.int("idx")
    }

    public func prunedCount(_ reader: any Reader) throws -> Int64 {
        try reader.first(Statement("SELECT count(*) AS n FROM log_pruned"))?.int("n") ?? 0
    }

    public func prunable(
        _ eventClass: EventClass, before cutoffs: [RetentionClass: Instant], after cursor: (at: Int64, id: String)?,
        limit: Int, below size: Int64, _ reader: any Reader
    ) throws -> [StoredEntry] {
        guard let latest = cutoffs.values.max() else { return [] }
        var values: [Value] = [.text(eventClass.rawValue), Value(latest), .int(size)]
        // As many terms as there are classes, so that one text serves all.
        let due = RetentionClass.allCases.map { retention in
            values += [.text(retention.rawValue), .int(cutoffs[retention]?.microseconds ?? Int64.min)]
            return "e.retention_class = $\(values.count - 1) AND e.at < $\(values.count)"
        }
        values += [.int(cursor?.at ?? Int64.min), .text(cursor?.id ?? ""), .int(Int64(limit))]
        let statement = Statement(
            """
            SELECT l.idx AS idx, l.event_id AS event_id, l.hash AS hash, s.members AS members, \(Self.eventColumns)
            FROM events e JOIN log_leaf l ON l.event_id = e.id LEFT JOIN sealed s ON s.event_id = e.id
            WHERE e.class = $1 AND e.at < $2 AND l.idx < $3 AND (\(due.joined(separator: " OR ")))
                AND e.action <> '\(RetentionClass.pruned)' AND NOT e.action LIKE 'erasure.%'
                AND (e.at, e.id) > ($\(values.count - 2), $\(values.count - 1))
            ORDER BY e.at, e.id LIMIT $\(values.count)
            """, values)
        var places: StoredEvent.Places?
        return try reader.query(statement).map { try entry($0, &places) }
    }

    public func heads(_ wanted: [EntityNaming], _ reader: any Reader) throws -> Set<EntityNaming> {
        let sql = """
            WITH v (a, b, c) AS (VALUES {list})
            SELECT h.type AS type, h.id AS id, h.event_id AS event_id FROM v
            JOIN entity_head h ON h.type = v.a AND h.id = v.b AND h.event_id = v.c
            """
        return Set(
            try Self.rows(sql, wanted, columns: 3, reader) {
                [.text($0.type), .text($0.id), .text($0.eventID)]
            }.map {
                EntityNaming(type: try $0.string("type"), id: try $0.string("id"), eventID: try $0.string("event_id"))
            })
    }

    public func prune(
        _ events: [StoredEvent], naming names: [EntityNaming], by event: SealedEvent, _ writer: any Writer
    ) throws {
        writer.enqueue(SQLRecords().insert(event))
        switch writer.dialect {
        case .postgres:
            // The function finds the named rows itself.
            let ids = JSON.array(events.map { .string($0.id) })
            let removed = try writer.first(
                Statement("SELECT postern_prune($1, $2) AS n", [.text(event.id), Value(ids)]))?.int("n")
            guard removed == Int64(events.count) else {
                throw StoreError.ungoverned("\(removed ?? 0) of \(events.count) events could leave")
            }
        case .sqlite: try pruneInScope(events, names, by: event.id, writer)
        }
    }

    private func pruneInScope(
        _ events: [StoredEvent], _ names: [EntityNaming], by event: String, _ writer: any Writer
    ) throws {
        try writer.execute(Statement("SELECT postern_prune_under($1) AS open", [.text(event)]))
        guard try heads(names, writer).isEmpty else {
            throw StoreError.ungoverned("an event is the last about a row")
        }
        for part in Self.parts(names) {
            var values: [Value] = []
            let list = part.map { naming in
                values += [.text(naming.type), .text(naming.id), .text(naming.eventID)]
                return "($\(values.count - 2), $\(values.count - 1), $\(values.count))"
            }
            writer.enqueue(
                Statement(
                    "DELETE FROM event_entity WHERE (type, id, event_id) IN (VALUES \(list.joined(separator: ", ")))",
                    values))
        }
        for part in Self.parts(events) {
            let ids = part.map { Value.text($0.id) }
            let list = ids.indices.map { "$\($0 + 1)" }.joined(separator: ", ")
            guard try Self.due(list, ids, writer) == ids.count else {
                throw StoreError.ungoverned("an event must be kept")
            }
            writer.enqueue(
                Statement(
                    """
                    INSERT INTO log_pruned (idx, pruned_by)
                    SELECT idx, $\(ids.count + 1) FROM log_leaf WHERE event_id IN (\(list))
                    """, ids + [.text(event)], expectedRows: ids.count))
            for table in ["sealed_subject", "sealed"] {
                writer.enqueue(Statement("DELETE FROM \(table) WHERE event_id IN (\(list))", ids))
            }
            writer.enqueue(Statement("DELETE FROM events WHERE id IN (\(list))", ids, expectedRows: ids.count))
        }
        // Sends what was enqueued while the door is open, then closes it.
        try writer.execute(Statement("SELECT postern_prune_under(NULL) AS open"))
    }

    /// How many of these events are in the tree and may leave by now.
    private static func due(_ list: String, _ ids: [Value], _ writer: any Writer) throws -> Int64 {
        var values = ids
        let due = RetentionClass.allCases.compactMap { retention in
            retention.days.map { days in
                values += [.text(retention.rawValue), Value(writer.now - .days(days))]
                return "e.retention_class = $\(values.count - 1) AND e.at < $\(values.count)"
            }
        }
        return try writer.first(
            Statement(
                """
                SELECT count(*) AS n FROM events e JOIN log_leaf l ON l.event_id = e.id
                WHERE e.id IN (\(list)) AND (\(due.joined(separator: " OR ")))
                    AND e.action <> '\(RetentionClass.pruned)' AND NOT e.action LIKE 'erasure.%'
                """, values))?.int("n") ?? 0
    }

    /// Portions of at most 200.
    private static func parts<T>(_ all: [T]) -> [ArraySlice<T>] {
        stride(from: 0, to: all.count, by: 200).map { all[$0..<min($0 + 200, all.count)] }
    }
}
