/// A request that waits for signatures: the frozen action, what it would do, and how far it has come
/// (spec: access §3, "Life of a request").
///
///     pending ──▶ approved ──▶ executed        every leaf signed, nothing to wait for
///       │  ▲  └─▶ scheduled ─▶ executed        the same, with a cooldown or an earliest start
///       │  │           │  └──▶ failed          the operation refuses when its time has come
///       │  └───────────┤                       a signature no longer counts: its leaf is open again
///       │              └─────▶ stale ─▶ …      it would do something else by now: signed anew, from nothing
///       └─▶ rejected, expired, cancelled       nothing ran, and nothing will
public struct ApprovalRequest: Sendable {
    public enum State: String, Sendable, CaseIterable {
        case pending, approved, scheduled, executed, rejected, expired, cancelled, stale, failed

        /// Waits for signatures.
        public var isOpen: Bool { self == .pending || self == .stale }
        /// Signed, and not carried out yet.
        public var isDue: Bool { self == .approved || self == .scheduled }
        /// Whether anything may still come of it.
        public var isLive: Bool { isOpen || isDue }
    }

    public var id: String
    public var version: Int64
    public var operation: String
    public var targetType: String?
    public var targetID: String?
    /// The tenant it is about, when it is about one.
    public var aboutTenant: String?
    /// The person who asked, or the part of Postern that did.
    public var requester: String
    /// The service account or the assistant that asked in their name.
    public var account: String?
    public var state: State
    /// The operation's canonical JSON; sealed members stand as commitments, their values are with `eventID`.
    public var action: JSON { didSet { actionText = nil } }
    /// Hex SHA-256 of a salt and the plan as `PlanDigest` reduces it; salt and plan are sealed with `planEventID`.
    public var planDigest: String
    /// `ApprovalNeed`s as JSON.
    public var demands: JSON {
        didSet {
            demandsText = nil
            needs = Self.needs(demands)
        }
    }
    /// What each rule demands, as frozen with the plan.
    public private(set) var needs: [ApprovalNeed]
    /// As they were read, so that a turn of the request does not write them out anew.
    private var actionText: String?
    private var demandsText: String?
    /// The `requested` event: it seals the fields, the justification and the ticket.
    public var eventID: String
    /// The event that seals the plan as it now stands: `eventID` until the plan was found stale.
    public var planEventID: String
    /// The time the plan was made with.
    public var plannedAt: Instant
    /// Raised when it goes back to the approvers with another plan: earlier signatures count no more.
    public var round: Int64
    public var createdAt: Instant
    /// Until when it can be signed; after that it is dead, whether or not anything says so yet.
    public var expiresAt: Instant
    /// The requester does not want it earlier.
    public var notBefore: Instant?
    /// When the last leaf was signed, or it was rejected, cancelled or found expired.
    public var decidedAt: Instant?
    /// When it is carried out; set once every leaf is signed.
    public var executeAt: Instant?
    /// The event that ended it: what the operation recorded, or why there was none.
    public var outcomeEventID: String?

    public init(
        id: String, version: Int64 = 1, operation: String, targetType: String?, targetID: String?,
        aboutTenant: String?, requester: String, state: State = .pending, action: JSON, planDigest: String,
        demands: JSON, eventID: String, planEventID: String? = nil, plannedAt: Instant? = nil, round: Int64 = 1,
        createdAt: Instant, expiresAt: Instant, notBefore: Instant? = nil, decidedAt: Instant? = nil,
        executeAt: Instant? = nil, outcomeEventID: String? = nil, account: String? = nil
    ) {
        self.account = account
        self.id = id
        self.version = version
        self.operation = operation
        self.targetType = targetType
        self.targetID = targetID
        self.aboutTenant = aboutTenant
        self.requester = requester
        self.state = state
        self.action = action
        self.planDigest = planDigest
        self.demands = demands
        needs = Self.needs(demands)
        self.eventID = eventID
        self.planEventID = planEventID ?? eventID
        self.plannedAt = plannedAt ?? createdAt
        self.round = round
        self.createdAt = createdAt
        self.expiresAt = expiresAt
        self.notBefore = notBefore
        self.decidedAt = decidedAt
        self.executeAt = executeAt
        self.outcomeEventID = outcomeEventID
    }

    /// Who was shown the token by which it was asked for: they could have asked themselves (spec: access §3, "One person
    /// can't be two").
    public var holder: String? { action["holder"]?.string }

    /// Whoever asked, and whoever was shown the token that did.
    public var askers: [String] { [requester] + [holder].compactMap(\.self) }

    /// Whether this person is one of them.
    public func comes(from person: String) -> Bool { askers.contains(person) }

    private static func needs(_ demands: JSON) -> [ApprovalNeed] {
        (demands.array ?? []).compactMap { try? ApprovalNeed(json: $0) }
    }

    /// Who must agree, in words.
    public var wanted: String { Demand.sentence(of: needs.map(\.demand)) }

    /// Whom it is about, and who sign nothing for it.
    public var barred: [String] { (action["barred"]?.array ?? []).compactMap(\.string) }

    /// The part of a plan that signatures are bound to.
    public static func bound(_ plan: JSON) -> JSON { PlanDigest.reduced(plan) }

    /// Whether this is the plan its signatures are bound to.
    /// - Parameter salt: of the sealed details that hold the plan.
    public func commits(to plan: JSON, salt: [UInt8]) -> Bool { PlanDigest.hex(plan, salt: salt) == planDigest }

    /// Every leaf of its demands in short: `role:security`, `permission:tenant.suspend`; sorted.
    public var leaves: [String] {
        Set(
            needs.flatMap { $0.demand.alternatives.joined() }.flatMap { leaf -> [String] in
                switch leaf {
                case .role(let roles): roles.map { "role:\($0)" }
                case .permission(let code): ["permission:\(code)"]
                case .allOf, .anyOf, .count: []
                }
            }
        ).sorted()
    }

    /// The leaves a person could fill, in the same short form.
    public static func leaves(of caller: Caller) -> [String] {
        (caller.signingRoles.map { "role:\($0)" } + caller.permissions.granted.keys.map { "permission:\($0)" }).sorted()
    }

    /// Whether it still takes signatures at `now`.
    public func isOpen(at now: Instant) -> Bool { state.isOpen && now < expiresAt }

    /// Whether it was asked for by them. What a person asked for is theirs, also by a program of theirs; a program's own is what
    /// it asked for itself, and not what its owner did.
    public func isOwn(of caller: Caller) -> Bool {
        caller.isAccount ? account == caller.actor.id : comes(from: caller.person)
    }

    /// What whoever sees everybody's requests holds.
    public static let overview = "approval.view"

    /// Whether this person or program may look at it: who asked, who could sign or could have, and who may see all of them.
    public func isOpen(to caller: Caller) -> Bool {
        isOwn(of: caller) || caller.permissions.contains(Self.overview)
            || needs.contains { $0.demand.isOpen(to: caller) }
    }

    /// Refuses whoever may not look at it, on whatever page it would be shown.
    public func checkOpen(to caller: Caller) throws(OperationError) {
        guard !isOpen(to: caller) else { return }
        let wanted = needs.map(\.demand.sentence).joined(separator: "; ")
        throw .forbidden(
            permission: Self.overview,
            detail: "This is somebody else’s request, and none of your roles signs it. It needs \(wanted).")
    }
}

extension ApprovalRequest: Entity {
    public static let type = "approval"
    public static let idPrefix = "apr"
    public static let table = "approvals"

    public var tenantID: String? { aboutTenant }
    public var subjects: [String] { [] }
    public var displayName: String { "\(operation) \(targetID ?? "")" }

    public var document: JSON {
        JSON.members([
            ("id", .string(id)), ("version", .int(version)), ("operation", .string(operation)),
            ("target_type", targetType.map(JSON.string)), ("target_id", targetID.map(JSON.string)),
            ("tenant_id", aboutTenant.map(JSON.string)), ("requester", .string(requester)),
            ("state", .string(state.rawValue)), ("action", action), ("plan_digest", .string(planDigest)),
            ("demands", demands), ("event_id", .string(eventID)), ("plan_event_id", .string(planEventID)),
            ("planned_at", .string(plannedAt.rfc3339)), ("round", .int(round)),
            ("created_at", .string(createdAt.rfc3339)), ("expires_at", .string(expiresAt.rfc3339)),
            ("not_before", notBefore.map { .string($0.rfc3339) }),
            ("decided_at", decidedAt.map { .string($0.rfc3339) }),
            ("execute_at", executeAt.map { .string($0.rfc3339) }),
            ("outcome_event_id", outcomeEventID.map(JSON.string)), ("account_id", account.map(JSON.string)),
        ])
    }

    public static let columns = """
        id, version, operation, target_type, target_id, tenant_id, requester, state, action, plan_digest, demands, \
        event_id, plan_event_id, planned_at, round, created_at, expires_at, not_before, decided_at, execute_at, \
        outcome_event_id, account_id
        """

    public init(_ row: Row) throws {
        guard let state = State(rawValue: try row.string("state")) else { throw StoreError.shape(column: "state") }
        self.init(
            id: try row.string("id"), version: try row.int("version"), operation: try row.string("operation"),
            targetType: try row.optionalString("target_type"), targetID: try row.optionalString("target_id"),
            aboutTenant: try row.optionalString("tenant_id"), requester: try row.string("requester"), state: state,
            action: try row.json("action"), planDigest: try row.string("plan_digest"),
            demands: try row.json("demands"), eventID: try row.string("event_id"),
            planEventID: try row.string("plan_event_id"), plannedAt: try row.instant("planned_at"),
            round: try row.int("round"), createdAt: try row.instant("created_at"),
            expiresAt: try row.instant("expires_at"), notBefore: try row.optionalInstant("not_before"),
            decidedAt: try row.optionalInstant("decided_at"), executeAt: try row.optionalInstant("execute_at"),
            outcomeEventID: try row.optionalString("outcome_event_id"), account: try row.optionalString("account_id"))
        actionText = try row.string("action")
        demandsText = try row.string("demands")
    }

    public var values: [Value] { values(action: Value(action), demands: Value(demands)) }

    public var valuesAsRead: [Value] {
        values(
            action: actionText.map(Value.text) ?? Value(action), demands: demandsText.map(Value.text) ?? Value(demands))
    }

    private func values(action: Value, demands: Value) -> [Value] {
        [
            .text(id), .int(version), .text(operation), Value(targetType), Value(targetID), Value(aboutTenant),
            .text(requester), .text(state.rawValue), action, .text(planDigest),
            demands,
            .text(eventID), .text(planEventID), Value(plannedAt), .int(round), Value(createdAt), Value(expiresAt),
            Value(notBefore), Value(decidedAt), Value(executeAt), Value(outcomeEventID), Value(account),
        ]
    }
}

extension ApprovalRequest {
    /// Mail that tells whoever asked of the turn their request took; `nil` for turns that are no news. By whom and why is said
    /// behind the sign-in alone (decision 35).
    var news: Effect? {
        let said: String
        switch state {
        case .approved: return nil
        case .pending: said = "reopened"
        case .scheduled, .executed, .rejected, .expired, .cancelled, .failed, .stale: said = state.rawValue
        }
        return Effect(
            kind: "mail", name: "mail.request_\(said)", summary: "Mail to whoever asked",
            payload: ["to": .string(requester), "request": .string(id), "operation": .string(operation)], tenant: nil)
    }
}
