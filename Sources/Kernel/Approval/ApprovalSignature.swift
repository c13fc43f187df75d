/// What one person decided about a request, and how they showed that it was them.
public struct ApprovalSignature: Sendable, Hashable {
    public enum Decision: String, Sendable, CaseIterable {
        case approve, reject
    }

    public var id: String
    public var version: Int64
    public var approvalID: String
    /// The request's round it belongs to; in a later round it counts no more.
    public var round: Int64
    public var person: String
    public var decision: Decision
    /// What was agreed to, in canonical form: request, round, decision, digests, rules with their versions, expiry.
    public var statement: JSON
    /// The passkey that signed it, or else the factor that was used last before it.
    public var method: FactorKind
    public var factorAt: Instant
    /// The event that recorded it.
    public var eventID: String
    public var createdAt: Instant

    public init(
        id: String, version: Int64 = 1, approvalID: String, round: Int64, person: String, decision: Decision,
        statement: JSON, method: FactorKind, factorAt: Instant, eventID: String, createdAt: Instant
    ) {
        self.id = id
        self.version = version
        self.approvalID = approvalID
        self.round = round
        self.person = person
        self.decision = decision
        self.statement = statement
        self.method = method
        self.factorAt = factorAt
        self.eventID = eventID
        self.createdAt = createdAt
    }

    /// What a decision about a request is bound to: nobody can read another action, another plan or another rule into it.
    public static func statement(_ decision: Decision, of person: String, on request: ApprovalRequest) -> JSON {
        [
            "approval": .string(request.id), "round": .int(request.round), "decision": .string(decision.rawValue),
            "person": .string(person), "action_sha256": .string(sha256(request.action.canonical).hex),
            "plan_digest": .string(request.planDigest),
            "demands_sha256": .string(sha256(request.demands.canonical).hex),
            "expires_at": .string(request.expiresAt.rfc3339),
        ]
    }

    /// Whether a passkey signed the statement itself; the proof is sealed with the event, as `intent`.
    public var isSigned: Bool { statement["intent"] != nil }

    /// Whether it agrees to the request as it now stands.
    func agrees(to request: ApprovalRequest) -> Bool {
        decision == .approve && round == request.round && statement["plan_digest"] == .string(request.planDigest)
            && statement["action_sha256"] == .string(sha256(request.action.canonical).hex)
    }
}

extension ApprovalSignature: Entity {
    public static let type = "approval_signature"
    public static let idPrefix = "sig"
    public static let table = "approval_signatures"

    public var tenantID: String? { nil }
    public var subjects: [String] { [] }
    public var displayName: String { "\(decision.rawValue) \(approvalID)" }

    public var document: JSON {
        [
            "id": .string(id), "version": .int(version), "approval_id": .string(approvalID), "round": .int(round),
            "person": .string(person), "decision": .string(decision.rawValue), "statement": statement,
            "method": .string(method.rawValue), "factor_at": JSON(factorAt), "event_id": .string(eventID),
            "created_at": JSON(createdAt),
        ]
    }

    public static let columns =
        "id, version, approval_id, round, person, decision, statement, method, factor_at, event_id, created_at"

    public init(_ row: Row) throws {
        guard let decision = Decision(rawValue: try row.string("decision")) else {
            throw StoreError.shape(column: "decision")
        }
        guard let method = FactorKind(rawValue: try row.string("method")) else {
            throw StoreError.shape(column: "method")
        }
        self.init(
            id: try row.string("id"), version: try row.int("version"), approvalID: try row.string("approval_id"),
            round: try row.int("round"), person: try row.string("person"), decision: decision,
            statement: try row.json("statement"), method: method, factorAt: try row.instant("factor_at"),
            eventID: try row.string("event_id"), createdAt: try row.instant("created_at"))
    }

    public var values: [Value] {
        [
            .text(id), .int(version), .text(approvalID), .int(round), .text(person), .text(decision.rawValue),
            Value(statement), .text(method.rawValue), Value(factorAt), .text(eventID), Value(createdAt),
        ]
    }
}
