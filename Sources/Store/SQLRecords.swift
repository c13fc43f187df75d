import Kernel
import Synchronization

/// The kernel's own rows in SQL.
public struct SQLRecords: Records {
    public init() {}

    // MARK: Events

    public func insert(_ event: SealedEvent) -> [Statement] { insert([event]) }

    public func insert(_ events: [SealedEvent]) -> [Statement] {
        // One by one: which columns are NULL differs, and with it the plan.
        var statements = events.map { Statement(Self.insertEvent, Self.values(of: $0)) }
        let named = events.map { (event: $0, names: Self.names(of: $0)) }
        statements += Self.insert(
            "event_entity (event_id, type, id)",
            named.flatMap { event, names in names.map { [.text(event.id), .text($0.type), .text($0.id)] } })
        for (event, names) in named {
            statements += Self.insert(
                "entity_head (type, id, event_id)", names.map { [.text($0.type), .text($0.id), .text(event.id)] },
                "ON CONFLICT (type, id) DO UPDATE SET event_id = excluded.event_id")
        }
        statements += Self.insert(
            "sealed (event_id, members)",
            events.filter { !$0.members.isEmpty }.map { [.text($0.id), .text($0.sealedText)] })
        statements += Self.insert(
            "sealed_subject (subject, event_id, member)",
            events.flatMap { event in
                event.members.flatMap { member in
                    Set(member.subjects).sorted().map { [.text($0), .text(event.id), .text(member.name)] }
                }
            })
        statements += Self.insert("log_pending (event_id)", events.map { [.text($0.id)] })
        statements += Self.insert(
            "inbox_pending (event_id)", events.filter { $0.draft.mayConcernPeople }.map { [.text($0.id)] })
        return statements
    }

    private static let insertEvent = """
        INSERT INTO events (id, at, class, action, outcome, actor_type, actor_id, tenant_id, target_type, target_id, request_id,
            operation_id, approval_id, linked, retention_class, leaf)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
        """

    /// The values of the event's own row.
    static func values(of event: SealedEvent) -> [Value] {
        let draft = event.draft
        return [
            .text(event.id), .int(draft.at.microseconds), .text(draft.eventClass.rawValue), .text(draft.action),
            .text(draft.outcome.rawValue), .text(draft.actor.kind.rawValue), .text(draft.actor.id),
            Value(draft.tenant), Value(draft.target?.type), Value(draft.target?.id), Value(draft.requestID),
            Value(draft.operationID), Value(draft.approvalID), Value(draft.linked),
            .text(draft.retention.rawValue), .bytes(event.leaf),
        ]
    }

    /// The governed rows an event names, each once; sorted, so that two events about the same rows take their locks in the
    /// same order.
    static func names(of event: SealedEvent) -> [EntityName] {
        Set(event.entities.map { EntityName(type: $0.type, id: $0.id) }).sorted()
    }

    public func event(_ id: String) -> Statement {
        Statement(
            """
            SELECT id, at, class, action, outcome, actor_type, actor_id, tenant_id, target_type, target_id, request_id,
                operation_id, approval_id, linked, retention_class, leaf
            FROM events WHERE id = $1
            """, [.text(id)])
    }

    public func sealedMembers(event: String) -> Statement {
        Statement("SELECT members FROM sealed WHERE event_id = $1", [.text(event)])
    }

    public func head(type: String, id: String) -> Statement {
        Statement("SELECT event_id FROM entity_head WHERE type = $1 AND id = $2", [.text(type), .text(id)])
    }

    /// Through `events_actor`, for the person and for each account `service_accounts_owner` finds.
    public func denials(person: String, since: Instant) -> Statement {
        Statement(
            """
            SELECT count(*) AS count FROM (
                SELECT 1 AS one FROM events WHERE actor_id = $1 AND at >= $2 AND action = 'authz.denied'
                UNION ALL
                SELECT 1 AS one FROM service_accounts a JOIN events e ON e.actor_id = a.id
                WHERE a.owner_id = $1 AND e.at >= $2 AND e.action = 'authz.denied' LIMIT 1000
            ) AS recent
            """, [.text(person), Value(since)])
    }

    // MARK: Idempotency

    public func idempotency(person: String, key: String) -> Statement {
        Statement(
            "SELECT operation, fingerprint, event_id, body, created_at FROM idempotency WHERE person = $1 AND key = $2",
            [.text(person), .text(key)])
    }

    public func storedOutcome(_ row: Row) throws -> StoredOutcome {
        StoredOutcome(
            operation: try row.string("operation"), fingerprint: try row.bytes("fingerprint"),
            eventID: try row.string("event_id"), body: try row.json("body"), storedAt: try row.instant("created_at"))
    }

    public func storeOutcome(_ outcome: StoredOutcome, person: String, key: String, at: Instant) -> [Statement] {
        [
            Statement(
                """
                INSERT INTO idempotency (person, key, operation, fingerprint, event_id, body, created_at)
                VALUES ($1, $2, $3, $4, $5, $6, $7)
                """,
                [
                    .text(person), .text(key), .text(outcome.operation), .bytes(outcome.fingerprint),
                    .text(outcome.eventID), Value(outcome.body), Value(at),
                ])
        ]
    }

    /// Removes up to 500 outcomes stored before a time; answers a row for each.
    public func forgetOutcomes(storedBefore time: Instant) -> Statement {
        Statement(
            """
            DELETE FROM idempotency WHERE (person, key) IN (
                SELECT person, key FROM idempotency WHERE created_at < $1 ORDER BY created_at LIMIT 500)
            RETURNING key
            """, [Value(time)])
    }

    // MARK: Approvals

    // Unbounded on purpose: leaving a rule out would let something pass unsigned.
    public func rules() -> Statement {
        Statement(
            """
            SELECT id, version, operation, condition, demand, window_seconds, cooldown_seconds, summary,
                (SELECT mark FROM policy_state WHERE id = 1) AS mark
            FROM approval_rules WHERE retired = 0 ORDER BY id
            """)
    }

    public func rule(_ row: Row) throws -> ApprovalRule {
        guard let condition = Condition(try row.json("condition")) else { throw StoreError.shape(column: "condition") }
        guard let demand = Demand(try row.json("demand")) else { throw StoreError.shape(column: "demand") }
        return ApprovalRule(
            id: try row.string("id"), operation: try row.string("operation"), condition: condition, demand: demand,
            window: .seconds(try row.int("window_seconds")),
            cooldown: try row.optionalInt("cooldown_seconds").map(Span.seconds), version: try row.int("version"),
            summary: try row.string("summary"))
    }

    public func policy() -> Statement {
        Statement(
            """
            SELECT version, mark, (SELECT value FROM settings WHERE id = 'undo_hours') AS undo_hours
            FROM policy_state WHERE id = 1
            """)
    }

    private static let live = "state IN ('pending', 'stale', 'approved', 'scheduled')"

    public func liveApproval(operation: String, target: String) -> Statement {
        Statement(
            """
            SELECT \(ApprovalRequest.columns) FROM approvals
            WHERE operation = $1 AND target_id = $2 AND \(Self.live) LIMIT 1
            """, [.text(operation), .text(target)])
    }

    public func openApprovals(requester: String, at now: Instant) -> Statement {
        Statement(
            """
            SELECT count(*) AS count FROM approvals
            WHERE requester = $1 AND \(Self.live) AND (expires_at > $2 OR execute_at IS NOT NULL)
            """, [.text(requester), Value(now)])
    }

    public func signatures(approval: String) -> Statement {
        Statement(
            """
            SELECT \(ApprovalSignature.columns) FROM approval_signatures WHERE approval_id = $1
            ORDER BY round, created_at, id
            """, [.text(approval)])
    }

    public func dueApprovals(at now: Instant, limit: Int) -> Statement {
        Statement(
            """
            SELECT id FROM approvals WHERE state IN ('approved', 'scheduled') AND execute_at <= $1
            ORDER BY execute_at, id LIMIT \(limit)
            """, [Value(now)])
    }

    public func expiredApprovals(at now: Instant, limit: Int) -> Statement {
        Statement(
            """
            SELECT id FROM approvals WHERE state IN ('pending', 'stale') AND expires_at <= $1
            ORDER BY expires_at, id LIMIT \(limit)
            """, [Value(now)])
    }

    public func follow(_ request: ApprovalRequest) -> [Statement] {
        var statements = [
            Statement("DELETE FROM approval_leaves WHERE approval_id = $1", [.text(request.id)])
        ]
        if request.state.isOpen {
            // A token signs nothing: whoever was shown it is the one who is not asked.
            let asker = request.holder ?? request.requester
            statements += Self.insert(
                "approval_leaves (leaf, expires_at, approval_id, requester)",
                request.leaves.map { [.text($0), Value(request.expiresAt), .text(request.id), .text(asker)] })
        }
        // What it held back counts no more: it was signed, or comes to nothing.
        if !request.state.isLive {
            statements.append(Statement("DELETE FROM spending WHERE approval_id = $1", [.text(request.id)]))
        }
        return statements
    }

    public func keepReveal(_ sealed: String, approval: String, until: Instant) -> Statement {
        Statement(
            "INSERT INTO approval_reveals (approval_id, sealed, expires_at) VALUES ($1, $2, $3)",
            [.text(approval), .text(sealed), Value(until)])
    }

    public func takeReveal(approval: String, at now: Instant) -> Statement {
        Statement(
            "DELETE FROM approval_reveals WHERE approval_id = $1 AND expires_at > $2 RETURNING sealed",
            [.text(approval), Value(now)])
    }

    // MARK: Money

    public func rates() -> Statement { Statement("SELECT id, micros FROM exchange_rates WHERE micros > 0") }

    public func spent(tenant: String, since: Instant, without approval: String?) -> Statement {
        Statement(
            """
            SELECT currency, CAST(SUM(amount) AS BIGINT) AS amount FROM spending WHERE tenant_id = $1 AND at > $2
                AND (approval_id IS NULL OR approval_id <> $3)
            GROUP BY currency
            """, [.text(tenant), Value(since), .text(approval ?? "")])
    }

    public func spent(person: String, since: Instant) -> Statement {
        Statement(
            """
            SELECT currency, CAST(SUM(amount) AS BIGINT) AS amount FROM spending
            WHERE person = $1 AND at > $2 AND approval_id IS NULL
            GROUP BY currency
            """, [.text(person), Value(since)])
    }

    public func spent(person: String, by operations: [String], since: Instant) -> Statement {
        // Asked of each event by its id, so that the day is read and never all that these operations ever did.
        Statement(
            """
            SELECT s.currency, CAST(SUM(s.amount) AS BIGINT) AS amount FROM spending s
            WHERE s.person = $1 AND s.at > $2 AND s.approval_id IS NULL
                AND (SELECT e.action FROM events e WHERE e.id = s.event_id) IN (\(placeholders(operations.count, from: 3)))
            GROUP BY s.currency
            """, [.text(person), Value(since)] + operations.map(Value.text))
    }

    public func spend(_ spending: Spending, event: String, approval: String?, at: Instant) -> Statement {
        Statement(
            """
            INSERT INTO spending (event_id, approval_id, tenant_id, person, amount, currency, at)
            VALUES ($1, $2, $3, $4, $5, $6, $7)
            """,
            [
                .text(event), Value(approval), .text(spending.tenant), .text(spending.person), .int(spending.amount),
                .text(spending.currency), Value(at),
            ])
    }

    /// Removes what no sum looks at any more, and answers nobody fetched in time.
    public func forgetSpending(at now: Instant) -> [Statement] {
        [
            Statement("DELETE FROM spending WHERE at < $1 AND approval_id IS NULL", [Value(now - .hours(48))]),
            Statement("DELETE FROM approval_reveals WHERE expires_at < $1", [Value(now)]),
        ]
    }

    // MARK: Outbox

    public func enqueue(_ effects: [QueuedEffect]) -> [Statement] {
        // One by one, as events: which columns are NULL differs. Places are given in the order the rows stand in.
        effects.map { queued in
            Statement(
                """
                INSERT INTO outbox (id, event_id, operation_id, kind, name, tenant_id, tenant_version, payload, state,
                    created_at)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'pending', $9)
                """,
                [
                    .text(queued.id), .text(queued.event), .text(queued.operationID), .text(queued.effect.kind),
                    .text(queued.effect.name), Value(queued.effect.tenant), Value(queued.tenantVersion),
                    Value(queued.payload), Value(queued.at),
                ])
        } + Self.insert("outbox_pending (outbox_id, kind)", effects.map { [.text($0.id), .text($0.effect.kind)] })
    }

    // MARK: Erasure

    public func erase(by draft: EventDraft, in writer: any Writer) throws {
        _ = try ErasureDoor.erase(by: draft, in: writer)
    }

    // MARK: Many rows in one statement

    struct EntityName: Hashable, Comparable {
        let type: String
        let id: String
        static func < (a: EntityName, b: EntityName) -> Bool { (a.type, a.id) < (b.type, b.id) }
    }

    /// Inserts all rows with few statements; none when there are no rows.
    ///
    /// Up to eight rows at once, more in portions of powers of two: there are few texts then, and each is prepared once. SQLite
    /// looks each parameter up in a list of all, so that the time grows with their square; 32 rows are also what a prepared
    /// statement's values are kept for.
    static func insert(_ head: String, _ rows: [[Value]], _ tail: String = "") -> [Statement] {
        var statements: [Statement] = []
        var start = 0
        while start < rows.count {
            let left = rows.count - start
            let count = left >= 32 ? 32 : left <= 8 ? left : 1 << (Int.bitWidth - 1 - left.leadingZeroBitCount)
            let part = rows[start..<start + count]
            statements.append(
                Statement(texts.text(head, rows: count, width: rows[start].count, tail), part.flatMap { $0 }))
            start += count
        }
        return statements
    }

    private static let texts = InsertTexts()
}

/// The texts of inserts of many rows, each made once.
private final class InsertTexts: Sendable {
    private struct Key: Hashable {
        let head: String
        let rows: Int
        let tail: String
    }
    private let made = Mutex<[Key: String]>([:])

    func text(_ head: String, rows: Int, width: Int, _ tail: String) -> String {
        let key = Key(head: head, rows: rows, tail: tail)
        return made.withLock { made in
            if let known = made[key] { return known }
            let tuples = (0..<rows).map { row in
                "(" + (1...width).map { "$\(row * width + $0)" }.joined(separator: ", ") + ")"
            }
            let text = "INSERT INTO \(head) VALUES \(tuples.joined(separator: ", "))" + (tail.isEmpty ? "" : " " + tail)
            // Heads are few, and written in the source.
            made[key] = text
            return text
        }
    }
}
