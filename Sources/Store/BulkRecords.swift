import Kernel

/// Events and leaves as rows to be loaded, for large data that is made at once. What they say is what `SQLRecords.insert` and the
/// sequencer write one by one.
public enum BulkRecords {
    /// The rows of events in the tables that name and seal them; not the heads of the rows they name, and not the queue.
    public static func rows(of events: [SealedEvent]) -> [RowLoad] {
        var main = RowLoad("events", columns: eventColumns, reserving: events.count)
        var named = RowLoad("event_entity", columns: "event_id, type, id")
        var sealed = RowLoad("sealed", columns: "event_id, members", reserving: events.count)
        var subjects = RowLoad("sealed_subject", columns: "subject, event_id, member", reserving: events.count * 6)
        for event in events {
            main.append(SQLRecords.values(of: event))
            let id = Value.text(event.id)
            for entity in SQLRecords.names(of: event) { named.append([id, .text(entity.type), .text(entity.id)]) }
            if !event.members.isEmpty { sealed.append([id, .text(event.sealedText)]) }
            for member in event.members {
                for subject in Set(member.subjects).sorted() {
                    subjects.append([.text(subject), id, .text(member.name)])
                }
            }
        }
        return [main, named, sealed, subjects]
    }

    static let eventColumns = """
        id, at, class, action, outcome, actor_type, actor_id, tenant_id, target_type, target_id, request_id, operation_id, \
        approval_id, linked, retention_class, leaf
        """

    /// Points the heads of rows that no event named before to their first event.
    public static func newHeads(_ heads: [(type: String, id: String, event: String)]) -> RowLoad {
        var rows = RowLoad("entity_head", columns: "type, id, event_id", reserving: heads.count)
        for head in heads { rows.append([.text(head.type), .text(head.id), .text(head.event)]) }
        return rows
    }

    /// Points heads to newer events.
    public static func heads(_ heads: [(type: String, id: String, event: String)]) -> [Statement] {
        SQLRecords.insert(
            "entity_head (type, id, event_id)", heads.map { [.text($0.type), .text($0.id), .text($0.event)] },
            "ON CONFLICT (type, id) DO UPDATE SET event_id = excluded.event_id")
    }

    /// Leaves that go into the tree with their events.
    public static func rows(of leaves: [SequencedLeaf]) -> RowLoad {
        var rows = RowLoad("log_leaf", columns: "idx, event_id, hash", reserving: leaves.count)
        for leaf in leaves { rows.append([.int(leaf.index), .text(leaf.eventID), .bytes(leaf.hash.bytes)]) }
        return rows
    }

    /// True when the event is there.
    public static func contains(_ event: String, _ reader: any Reader) throws -> Bool {
        try reader.first(Statement("SELECT 1 AS found FROM events WHERE id = $1", [.text(event)])) != nil
    }
}
