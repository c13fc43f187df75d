import Kernel

/// What an erasure did to the sealed members of one subject.
public struct ErasureOutcome: Sendable, Hashable {
    /// A member that stays, and the retention class that keeps it: `legal_hold`, `financial_7y`.
    public struct Retained: Sendable, Hashable {
        public let event: String
        public let member: String
        public let ground: String
        public init(event: String, member: String, ground: String) {
            self.event = event
            self.member = member
            self.ground = ground
        }
    }

    /// Value and salt are gone; the commitment in the leaf stays.
    public var erased = ErasedMembers()
    public var retained: [Retained] = []
}

/// The only way sealed values are removed (spec: audit-log §3).
public enum ErasureDoor {
    /// Removes value and salt of every sealed member of a subject, except what a legal hold or financial retention keeps.
    /// Repeating it erases nothing twice.
    /// - Parameter draft: the erasure's event; its action begins with `erasure.` and its target is the subject. What it
    ///   removes, and how much stays on which ground, is added to its facts, and it is inserted here.
    /// - Throws: `StoreError.ungoverned` for another event, `.retry` when something of the subject was written meanwhile.
    public static func erase(
        by draft: EventDraft, in writer: any Writer
    ) throws -> (event: SealedEvent, outcome: ErasureOutcome) {
        guard let subject = draft.target?.id else {
            throw StoreError.ungoverned("an erasure's event names whose data it removes")
        }
        let planned = try members(of: subject, writer)
        var draft = draft
        draft.facts.merge(planned.erased.facts) { _, own in own }
        for (ground, kept) in Dictionary(grouping: planned.retained, by: \.ground) {
            draft.facts["kept_by_\(ground)"] = .int(Int64(kept.count))
        }
        let event = SealedEvent(draft)
        writer.enqueue(SQLRecords().insert(event))
        let outcome = try open(subject: subject, event: event.id, planned, in: writer)
        guard outcome == planned else { throw StoreError.retry("Something of \(subject) was written meanwhile.") }
        return (event, outcome)
    }

    private static func open(
        subject: String, event: String, _ planned: ErasureOutcome, in writer: any Writer
    ) throws -> ErasureOutcome {
        switch writer.dialect {
        case .postgres: return try eraseByFunction(subject, event, writer)
        case .sqlite:
            try eraseInScope(planned.erased, event, writer)
            return planned
        }
    }

    /// What an erasure would remove and keep.
    private static func members(of subject: String, _ reader: any Reader) throws -> ErasureOutcome {
        var outcome = ErasureOutcome()
        var last: (event: String, member: String) = ("", "")
        while true {
            let rows = try reader.query(planned(of: subject, after: last))
            for row in rows { try add(row, to: &outcome) }
            guard rows.count == portion, let row = rows.last else { return outcome }
            last = (try row.string("event_id"), try row.string("member"))
        }
    }

    /// Members that are read at once: none of these meets the limit of a statement.
    private static let portion = 1000
    /// Events whose members are read together where the server itself removes them.
    private static let eventsAtOnce = 200

    private static func planned(of subject: String, after last: (event: String, member: String)) -> Statement {
        Statement(
            """
            SELECT s.event_id AS event_id, s.member AS member,
                CASE WHEN e.retention_class IN ('legal_hold', 'financial_7y') THEN e.retention_class END AS ground
            FROM sealed_subject s JOIN events e ON e.id = s.event_id
            WHERE s.subject = $1 AND (s.event_id, s.member) > ($2, $3) AND NOT EXISTS (
                SELECT 1 FROM sealed_erasure x WHERE x.event_id = s.event_id AND x.member = s.member)
            ORDER BY s.event_id, s.member LIMIT \(portion)
            """, [.text(subject), .text(last.event), .text(last.member)])
    }

    private static func eraseByFunction(_ subject: String, _ event: String, _ writer: any Writer) throws
        -> ErasureOutcome
    {
        var outcome = ErasureOutcome()
        var last = ""
        while true {
            let rows = try writer.query(
                Statement(
                    "SELECT event_id, member, ground FROM postern_erase($1, $2, $3)",
                    [.text(subject), .text(event), .text(last)]))
            for row in rows { try add(row, to: &outcome) }
            // In the order of events; the last answer is the one that left some of its room.
            guard Set(try rows.map { try $0.string("event_id") }).count == Migration028.portion, let row = rows.last
            else { break }
            last = try row.string("event_id")
        }
        outcome.retained.sort { ($0.event, $0.member) < ($1.event, $1.member) }
        return outcome
    }

    private static func eraseInScope(_ erased: ErasedMembers, _ event: String, _ writer: any Writer) throws {
        try writer.execute(Statement("SELECT postern_erase_under($1) AS open", [.text(event)]))
        let members = Dictionary(grouping: erased.members, by: \.event)
        let ids = members.keys.sorted()
        for start in stride(from: 0, to: ids.count, by: eventsAtOnce) {
            let part = ids[start..<min(start + eventsAtOnce, ids.count)]
            let rows = try writer.query(
                Statement(
                    "SELECT event_id, members FROM sealed WHERE event_id IN (\(placeholders(part.count)))",
                    part.map(Value.text)))
            guard rows.count == part.count else { throw StoreError.shape(column: "members") }
            for row in rows {
                let id = try row.string("event_id")
                guard case .object(var document) = try row.json("members") else {
                    throw StoreError.shape(column: "members")
                }
                for member in members[id, default: []] { document[member.member] = nil }
                writer.enqueue(
                    Statement(
                        "UPDATE sealed SET members = $1 WHERE event_id = $2",
                        [Value(JSON.object(document)), .text(id)], expectedRows: 1))
            }
            let gone = part.flatMap { members[$0, default: []] }
            writer.enqueue(
                SQLRecords.insert(
                    "sealed_erasure (event_id, member, erased_by)",
                    gone.map { [.text($0.event), .text($0.member), .text(event)] }))
        }
        // Sends what was enqueued while the door is open, then closes it.
        try writer.execute(Statement("SELECT postern_erase_under(NULL) AS open"))
    }

    private static func add(_ row: Row, to outcome: inout ErasureOutcome) throws {
        let event = try row.string("event_id")
        let member = try row.string("member")
        if let ground = try row.optionalString("ground") {
            outcome.retained.append(.init(event: event, member: member, ground: ground))
        } else {
            outcome.erased.insert(.init(event: event, member: member))
        }
    }
}
