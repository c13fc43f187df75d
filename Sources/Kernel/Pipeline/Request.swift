/// What a client asks: an operation, its target and its fields, not yet parsed.
public struct OperationRequest: Sendable {
    public var operation: String
    public var target: String?
    /// The operation's own fields as a JSON object.
    public var input: JSON
    public var reasonCode: String?
    public var justification: String?
    public var ticket: String?
    /// The version the client saw (strong ETag), when it sent one.
    public var ifMatch: Int64?
    public var idempotencyKey: String?
    /// The event this request takes back, when it is an undo.
    public var undoes: String?
    /// Should it need approval, it is not carried out before this.
    public var notBefore: Instant?
    /// What the client sent, where something else is carried out: the key stands for this.
    public var sent: JSON?
    /// What the client is told beside the result, kept with it under the key. Never anybody's data.
    public var answer: JSON?
    /// What the person signed with a passkey to ask for this, verified. No part of what makes two requests the same.
    public var intent: SignedIntent?
    /// Carried out with others at one press of a button. A passkey signs one action, and nobody touches it two hundred times:
    /// here a fresh factor does, which is the passkey for whoever has one, and the record says so.
    public var isOneOfSeveral = false

    /// In characters, as `TextRule` counts them.
    public static let longestJustification = 4000
    public static let longestTicket = 100
    /// How far ahead something may be put off.
    public static let longestDelay = Span.days(30)

    public init(
        operation: String, target: String? = nil, input: JSON = .object([:]), reasonCode: String? = nil,
        justification: String? = nil, ticket: String? = nil, ifMatch: Int64? = nil, idempotencyKey: String? = nil,
        undoes: String? = nil, notBefore: Instant? = nil
    ) {
        self.operation = operation
        self.target = target
        self.input = input
        self.reasonCode = reasonCode
        self.justification = justification
        self.ticket = ticket
        self.ifMatch = ifMatch
        self.idempotencyKey = idempotencyKey
        self.undoes = undoes
        self.notBefore = notBefore
    }
}

/// One rule's demand, as shown to the person who asks.
public struct ApprovalNeed: Sendable, Hashable {
    public let rule: String
    /// The rule's version when it was evaluated.
    public let version: Int64
    public let summary: String
    public let demand: Demand
    public let window: Span
    public let cooldown: Span?
    init(rule: String, version: Int64, summary: String, demand: Demand, window: Span, cooldown: Span?) {
        self.version = version
        self.rule = rule
        self.summary = summary
        self.demand = demand
        self.window = window
        self.cooldown = cooldown
    }
    public init(_ rule: ApprovalRule) {
        self.rule = rule.id
        self.version = rule.version
        self.summary = rule.summary
        self.demand = rule.demand
        self.window = rule.window
        self.cooldown = rule.cooldown
    }
    /// What every proposal of an assistant needs: somebody else than its owner who may do it themself (spec: access §5). It is
    /// no row of the policy, so nobody can change it.
    init(proposing spec: OperationSpec) {
        self.init(
            rule: Self.assistantRule, version: 1, summary: "Proposed by an assistant",
            demand: .permission(spec.permission), window: .hours(24), cooldown: nil)
    }
    static let assistantRule = "assistant"

    /// Of whoever looks after the tenant, that it is this person.
    func asking(manager person: String) -> ApprovalNeed {
        ApprovalNeed(
            rule: rule, version: version, summary: summary, demand: demand.asking(manager: person), window: window,
            cooldown: cooldown)
    }

    public var json: JSON {
        JSON.members([
            ("rule", .string(rule)), ("version", .int(version)), ("summary", .string(summary)), ("demand", demand.json),
            ("sentence", .string(demand.sentence)), ("window_seconds", .int(window.seconds)),
            ("cooldown_seconds", cooldown.map { .int($0.seconds) }),
        ])
    }
}

/// Before and after of one entity, for people and for the API.
public struct EntityChange: Sendable {
    public let type: String
    public let id: String
    public let name: String
    public let before: JSON?
    public let after: JSON?
    public init(_ change: Change) {
        type = change.type
        id = change.id
        name = (change.before ?? change.after).displayName
        before = change.before?.document
        after = change.after.document
    }
    public var json: JSON {
        JSON.members([("type", .string(type)), ("id", .string(id)), ("before", before), ("after", after)])
    }
}

/// What an operation would do, answered by a dry run.
public struct Preview: Sendable {
    public let operation: String
    public let target: String?
    /// Whether the caller may do it now.
    public let allowed: Bool
    /// Why not, one sentence each.
    public let reasons: [String]
    /// Those of the reasons that are about a field, with where it stands.
    public var errors: [FieldError] = []
    public let consequence: String?
    /// The target's change first.
    public let changes: [EntityChange]
    public let effects: [Effect]
    public let approvals: [ApprovalNeed]
    /// "Can be undone for 24 h by Restore tenant." or why it can't.
    public let reversibility: String
    public let undoOperation: String?
    /// The version the preview looked at.
    public let version: Int64?
    /// What is sent at once where others must agree: it calls those who could.
    public var calls: [Effect] = []
    /// What of `changes` comes out otherwise when it is carried out, by their places; nothing where that was not asked for.
    public var anew = MadeAnew()

    public init(
        operation: String, target: String?, allowed: Bool, reasons: [String], consequence: String?,
        changes: [EntityChange], effects: [Effect], approvals: [ApprovalNeed], reversibility: String,
        undoOperation: String?, version: Int64?
    ) {
        self.operation = operation
        self.target = target
        self.allowed = allowed
        self.reasons = reasons
        self.consequence = consequence
        self.changes = changes
        self.effects = effects
        self.approvals = approvals
        self.reversibility = reversibility
        self.undoOperation = undoOperation
        self.version = version
    }

    /// Before `consequence`, which stands in the present tense: nothing of it has happened.
    /// - Parameter isAllowed: it can be done now.
    public static func preface(isAllowed: Bool) -> String {
        isAllowed ? "Nothing has been changed yet. This would happen:" : "If it could be done, this would happen:"
    }

    /// The shape of `interfaces.md`.
    public var json: JSON {
        .object([
            "preview": true, "operation": .string(operation), "allowed": .bool(allowed),
            "reasons": .array(reasons.map(JSON.string)), "before": changes.first?.before ?? .null,
            "after": changes.first?.after ?? .null, "also": .array(changes.dropFirst().map(\.json)),
            "effects": .array(
                effects.map { ["kind": .string($0.kind), "name": .string($0.name), "summary": .string($0.summary)] }),
            "approvals": .array(approvals.map(\.json)), "consequence": JSON(consequence),
            "reversibility": .string(reversibility),
        ])
    }
}

/// An operation that was done.
public struct Applied: Sendable {
    public let operation: String
    public let operationID: String
    public let eventID: String
    public let target: String?
    public let before: JSON?
    public let after: JSON?
    public let consequence: String
    public let undo: (operation: String, until: Instant)?
    /// Shown once, never stored.
    public let reveal: [String: String]
    /// The target's new version (ETag).
    public let version: Int64?
    /// True when the operation made its target (201 + Location).
    public let created: Bool
    /// What was queued with it, whether or not anybody asks for it; `nil` where that is not known any more: what came by another way than the console keeps none of it.
    public var sent: [Effect]?

    public init(
        operation: String, operationID: String, eventID: String, target: String?, before: JSON?, after: JSON?,
        consequence: String, undo: (operation: String, until: Instant)?, reveal: [String: String], version: Int64?,
        created: Bool
    ) {
        self.operation = operation
        self.operationID = operationID
        self.eventID = eventID
        self.target = target
        self.before = before
        self.after = after
        self.consequence = consequence
        self.undo = undo
        self.reveal = reveal
        self.version = version
        self.created = created
    }

    public var json: JSON {
        var members: [String: JSON] = [
            "operation": .string(operation), "operation_id": .string(operationID), "event_id": .string(eventID),
            "before": before ?? .null, "after": after ?? .null, "consequence": .string(consequence),
            "undo": undo.map { ["operation": .string($0.operation), "until": .string($0.until.rfc3339)] } ?? .null,
        ]
        if !reveal.isEmpty { members["reveal"] = .object(reveal.mapValues(JSON.string)) }
        return .object(members)
    }
}

/// An operation that waits for other people.
public struct PendingApproval: Sendable {
    public let approvalID: String
    public let operation: String
    public let operationID: String
    public let eventID: String
    public let needs: [ApprovalNeed]
    public let expiresAt: Instant
    public init(
        approvalID: String, operation: String, operationID: String, eventID: String, needs: [ApprovalNeed],
        expiresAt: Instant
    ) {
        self.approvalID = approvalID
        self.operation = operation
        self.operationID = operationID
        self.eventID = eventID
        self.needs = needs
        self.expiresAt = expiresAt
    }
    public var json: JSON {
        .object([
            "approval_id": .string(approvalID), "status": "pending", "operation": .string(operation),
            "operation_id": .string(operationID), "event_id": .string(eventID),
            "demands": .array(needs.map(\.json)), "expires_at": .string(expiresAt.rfc3339),
        ])
    }
}

/// How a request that was accepted ended.
public struct Outcome: Sendable {
    public enum Result: Sendable {
        case applied(Applied)
        case pending(PendingApproval)
    }
    public let result: Result
    /// True when a stored outcome was answered again (`Idempotency-Replayed: true`).
    public let replayed: Bool
    /// What became of the request that this decision completed, when it was carried out at once.
    public var execution: Execution?
    /// What the client was told beside the result, the first time.
    public var answer: JSON?
    /// When a stored outcome was; `nil` of a new one.
    public var storedAt: Instant?
    /// The request that can be carried out now.
    var isReady: String?
    public init(_ result: Result, replayed: Bool) {
        self.result = result
        self.replayed = replayed
    }
}

/// Everything a request can fail with. Mapped once to HTTP and once to exit codes.
public enum OperationError: Error, Sendable {
    case unknownOperation(String)
    /// 401: no session.
    case unauthenticated
    /// 401 (RFC 9470): a factor must be used again within `maxAge`.
    case stepUpRequired(maxAge: Span)
    /// 403
    case forbidden(permission: String, detail: String)
    /// 403: a request that no role or permission of theirs is asked to sign.
    case notAsked(String)
    /// 403: over a limit that no rule covers.
    case overLimit(String)
    /// 422
    case invalid([FieldError])
    /// 409
    case conflict(String, legal: [String]?)
    /// 423
    case locked(String)
    /// 404
    case notFound(String)
    /// 412
    case preconditionFailed(current: Int64)
    /// 428
    case preconditionRequired
    /// 400
    case keyMissing
    case keyMalformed(String)
    /// 409 with `Retry-After`
    case keyRunning
    /// 422
    case keyReused
    /// 429
    case tooManyRequests(retryAfter: Span)
    /// 503 with `Retry-After`
    case unavailable(String)
    /// 500: a defect; the detail goes to the log only.
    case internalError(String)

    /// 429: to be asked again once this is over, a second at least.
    public static func wait(_ span: Span) -> OperationError {
        .tooManyRequests(retryAfter: Span(microseconds: max(span.microseconds, 1_000_000)))
    }
}
