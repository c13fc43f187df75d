/// What the kernel keeps for itself, in semantic terms; the SQL is in the `Store` target.
public protocol Records: Sendable {
    /// Inserts an event with its sealed members, subjects, named entities, heads and pending leaf.
    func insert(_ event: SealedEvent) -> [Statement]
    /// The same for several events, in as few statements as may be. Their order is that of the list.
    func insert(_ events: [SealedEvent]) -> [Statement]

    // Idempotency: one row per (person, key).
    func idempotency(person: String, key: String) -> Statement
    func storedOutcome(_ row: Row) throws -> StoredOutcome
    func storeOutcome(_ outcome: StoredOutcome, person: String, key: String, at: Instant) -> [Statement]

    // Approvals
    /// Every rule, each with the `mark` it was read under.
    func rules() -> Statement
    func rule(_ row: Row) throws -> ApprovalRule
    /// One row: `version` grows with every change of anything that decides (roles, permissions, rules, settings) and is
    /// recorded as `policy_version`; `mark` is another after each of them; `undo_hours` is what the deployment has set, or
    /// null.
    func policy() -> Statement
    /// The live request for an operation on a target; its window may be over.
    func liveApproval(operation: String, target: String) -> Statement
    /// One row with `count`: requests of a person that wait for signatures or for their time.
    func openApprovals(requester: String, at now: Instant) -> Statement
    /// Every signature on a request, of all rounds, oldest first.
    func signatures(approval: String) -> Statement
    /// `id` of requests to carry out by now, the longest due first.
    func dueApprovals(at now: Instant, limit: Int) -> Statement
    /// `id` of requests whose window is over and whose state does not say so yet.
    func expiredApprovals(at now: Instant, limit: Int) -> Statement
    /// Makes what is kept beside a request agree with it: whom it still asks, and the money it holds back.
    func follow(_ request: ApprovalRequest) -> [Statement]
    /// Keeps what an approved operation answered, sealed, for its requester to see once.
    func keepReveal(_ sealed: String, approval: String, until: Instant) -> Statement
    /// `sealed` of what was kept and has not run out; the row is gone with it.
    func takeReveal(approval: String, at now: Instant) -> Statement

    // Money
    /// `id` and `micros` of every currency the policy has a rate for.
    func rates() -> Statement
    /// `currency` and `amount` moved to a tenant since a time without a signature, or waiting for one.
    /// - Parameter approval: a request that is left out of the sum.
    func spent(tenant: String, since: Instant, without approval: String?) -> Statement
    /// `currency` and `amount` moved by a person since a time without a signature.
    func spent(person: String, since: Instant) -> Statement
    /// The same of some operations only; they are named.
    func spent(person: String, by operations: [String], since: Instant) -> Statement
    /// - Parameter approval: the request it waits for.
    func spend(_ spending: Spending, event: String, approval: String?, at: Instant) -> Statement

    // Denials
    /// One row with `count`: denials of a person since a time, those of their service accounts and assistants too.
    func denials(person: String, since: Instant) -> Statement

    // Outbox
    /// Queues effects in the order of the list, in as few statements as may be; none for none.
    func enqueue(_ effects: [QueuedEffect]) -> [Statement]

    // Erasure
    /// Removes the sealed values of whoever an erasure's event names as its target, those of events of this transaction too, and
    /// inserts that event, which says what it removed.
    func erase(by draft: EventDraft, in writer: any Writer) throws

    // Events, for undo
    func event(_ id: String) -> Statement
    func sealedMembers(event: String) -> Statement
    func head(type: String, id: String) -> Statement
}

extension Records {
    /// Queues one effect.
    public func enqueue(
        _ effect: Effect, id: String, event: String, operationID: String, tenantVersion: Int64?, at: Instant
    ) -> [Statement] {
        enqueue([
            QueuedEffect(
                effect, id: id, event: event, operationID: operationID, tenantVersion: tenantVersion, at: at)
        ])
    }
}

/// An effect on its way into the outbox.
public struct QueuedEffect: Sendable {
    public let effect: Effect
    /// The effect's payload, with the version of the row it tells of.
    public let payload: JSON
    /// `out_…`
    public let id: String
    /// The event that tells of what is announced.
    public let event: String
    /// Empty where no operation did it.
    public let operationID: String
    /// The version of the tenant it is about; `nil` where it is about none.
    public let tenantVersion: Int64?
    public let at: Instant

    /// - Parameter version: that of the effect's row from now on, where it names one.
    public init(
        _ effect: Effect, version: Int64? = nil, id: String, event: String, operationID: String, tenantVersion: Int64?,
        at: Instant
    ) {
        self.effect = effect
        if let version, case .object(var members) = effect.payload {
            members["version"] = .int(version)
            payload = .object(members)
        } else {
            payload = effect.payload
        }
        self.id = id
        self.event = event
        self.operationID = operationID
        self.tenantVersion = tenantVersion
        self.at = at
    }
}

/// The transaction that queued effects.
public struct Queuing: Sendable, Hashable {
    /// When they were queued.
    public let at: Instant
    /// The event they were queued with.
    public let event: String

    public init(at: Instant, event: String) {
        self.at = at
        self.event = event
    }
}

/// A committed outcome kept for replay (24–48 h). Sealed data is held by reference: `before` and `after` are read again
/// from the event's sealed members.
public struct StoredOutcome: Sendable, Hashable {
    public let operation: String
    /// SHA-256 of the canonical {operation, target id, body, If-Match}.
    public let fingerprint: [UInt8]
    /// Empty where nothing was changed.
    public let eventID: String
    /// `applied`, `pending` or `unchanged`, with ids, versions and deadlines; no sealed data.
    public let body: JSON
    /// When it was stored; `nil` until it is.
    public let storedAt: Instant?

    public init(operation: String, fingerprint: [UInt8], eventID: String, body: JSON, storedAt: Instant? = nil) {
        self.storedAt = storedAt
        self.operation = operation
        self.fingerprint = fingerprint
        self.eventID = eventID
        self.body = body
    }
}
