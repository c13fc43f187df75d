import Kernel

/// A declared emergency: for half an hour one person may act on one tenant where its consent or its policies would stop them,
/// before the eyes of everybody with a say (spec: access §7).
///
///     open ── 30 min, by hand, stopped, role lost ──▶ ended ── by somebody else, within 48 h ──▶ reviewed
///                                                       └──▶ (escalated, once, and still owed)
public struct BreakGlass: Entity, Hashable {
    public static let type = "breakglass"
    public static let idPrefix = "brk"
    public static let table = "breakglass_sessions"

    public enum State: String, Sendable, CaseIterable {
        case open
        /// Over; its review is owed.
        case ended
        case reviewed
    }

    public enum EndReason: String, Sendable, CaseIterable {
        /// The opener was done.
        case manual
        case expiry
        /// Somebody else stopped it, or ended the opener's sessions.
        case killSwitch = "kill_switch"
        /// The opener left, or may not open one any more.
        case roleLost = "role_lost"
    }

    /// What whoever reviewed it found.
    public enum Verdict: String, ParamChoice {
        case justified
        /// It was right to open it, and something about it is to be mended.
        case findings
        case unjustified
    }

    /// From the last signature on; there is no longer one.
    public static let length = Span.minutes(30)
    /// How long after its end it is to be reviewed.
    public static let reviewTime = Span.hours(48)

    public var id: String
    public var version: Int64
    public var tenant: String
    /// Who opened it.
    public var person: String
    /// Opened without a second person, because nobody could be reached.
    public var isSolo: Bool
    public var reasonCode: String
    /// Whom the opener tried to reach; only of one that was opened alone.
    public var tried: String?
    public var state: State
    public var openedAt: Instant
    public var endsAt: Instant
    /// The event that opened it.
    public var eventID: String
    public var endedAt: Instant?
    /// Who ended it, or the part of Postern that did.
    public var endedBy: String?
    public var endReason: EndReason?
    public var reviewDueAt: Instant?
    /// When it was said that the review is overdue.
    public var escalatedAt: Instant?
    public var reviewedAt: Instant?
    public var reviewedBy: String?
    public var verdict: Verdict?
    public var findings: String?
    /// The ticket for what is to be mended.
    public var followUp: String?

    public init(
        id: String, version: Int64 = 1, tenant: String, person: String, isSolo: Bool, reasonCode: String,
        tried: String? = nil, state: State = .open, openedAt: Instant, endsAt: Instant? = nil, eventID: String,
        endedAt: Instant? = nil, endedBy: String? = nil, endReason: EndReason? = nil, reviewDueAt: Instant? = nil,
        escalatedAt: Instant? = nil, reviewedAt: Instant? = nil, reviewedBy: String? = nil, verdict: Verdict? = nil,
        findings: String? = nil, followUp: String? = nil
    ) {
        self.id = id
        self.version = version
        self.tenant = tenant
        self.person = person
        self.isSolo = isSolo
        self.reasonCode = reasonCode
        self.tried = tried
        self.state = state
        self.openedAt = openedAt
        self.endsAt = endsAt ?? openedAt + Self.length
        self.eventID = eventID
        self.endedAt = endedAt
        self.endedBy = endedBy
        self.endReason = endReason
        self.reviewDueAt = reviewDueAt
        self.escalatedAt = escalatedAt
        self.reviewedAt = reviewedAt
        self.reviewedBy = reviewedBy
        self.verdict = verdict
        self.findings = findings
        self.followUp = followUp
    }

    public var tenantID: String? { tenant }
    /// One whose text went with the tenant says nothing of it any more: it is nobody's but the opener's.
    public var subjects: [String] { isErased ? [person] : [person, tenant] }
    public var isErased: Bool { state == .reviewed && findings == nil }
    public var displayName: String { "Break-glass \(id)" }

    public var document: JSON {
        [
            "id": .string(id), "version": .int(version), "tenant_id": .string(tenant), "person": .string(person),
            "solo": .bool(isSolo), "reason_code": .string(reasonCode), "tried": JSON(tried),
            "state": .string(state.rawValue), "opened_at": JSON(openedAt), "ends_at": JSON(endsAt),
            "event_id": .string(eventID), "ended_at": JSON(endedAt), "ended_by": JSON(endedBy),
            "end_reason": JSON(endReason?.rawValue), "review_due_at": JSON(reviewDueAt),
            "escalated_at": JSON(escalatedAt), "reviewed_at": JSON(reviewedAt), "reviewed_by": JSON(reviewedBy),
            "verdict": JSON(verdict?.rawValue), "findings": JSON(findings), "follow_up": JSON(followUp),
        ]
    }

    /// Whether it gives anything at `now`: its time is over by itself, whether or not anything says so yet.
    public func isOn(at now: Instant) -> Bool { state == .open && now < endsAt }

    /// Whether whoever should have reviewed it is late.
    public func isOverdue(at now: Instant) -> Bool { state == .ended && (reviewDueAt.map { $0 <= now } ?? false) }

    /// - Parameter time: when it ended, which is not later than it would have by itself.
    func ended(_ reason: EndReason, by person: String, at time: Instant) -> BreakGlass {
        var after = self
        let end = min(time, endsAt)
        after.state = .ended
        after.endedAt = end
        after.endedBy = person
        after.endReason = reason
        after.reviewDueAt = end + Self.reviewTime
        return after
    }

    /// Without what people wrote, once the tenant is deleted for good; `nil` where there is nothing to leave out. Only of one that
    /// is reviewed: nothing is written into it any more.
    func cleared() -> BreakGlass? {
        guard state == .reviewed, !isErased else { return nil }
        var after = self
        after.tried = nil
        after.findings = nil
        after.followUp = nil
        return after
    }

    static let schema: JSON = [
        "type": "object",
        "required": [
            "id", "version", "tenant_id", "person", "solo", "reason_code", "state", "opened_at", "ends_at", "event_id",
        ],
        "properties": [
            "id": ["type": "string"], "version": ["type": "integer"], "tenant_id": ["type": "string"],
            "person": ["type": "string"], "solo": ["type": "boolean"], "reason_code": ["type": "string"],
            "tried": ["type": ["string", "null"]],
            "state": ["type": "string", "enum": .array(State.allCases.map { .string($0.rawValue) })],
            "opened_at": ["type": "string", "format": "date-time"],
            "ends_at": ["type": "string", "format": "date-time"],
            "event_id": ["type": "string"], "ended_at": ["type": ["string", "null"], "format": "date-time"],
            "ended_by": ["type": ["string", "null"]], "end_reason": ["type": ["string", "null"]],
            "review_due_at": ["type": ["string", "null"], "format": "date-time"],
            "escalated_at": ["type": ["string", "null"], "format": "date-time"],
            "reviewed_at": ["type": ["string", "null"], "format": "date-time"],
            "reviewed_by": ["type": ["string", "null"]], "verdict": ["type": ["string", "null"]],
            "findings": ["type": ["string", "null"]], "follow_up": ["type": ["string", "null"]],
            "person_name": ["type": ["string", "null"]], "tenant_name": ["type": ["string", "null"]],
            "signers": ["type": "array", "items": ["type": "object"]], "approval_id": ["type": ["string", "null"]],
            "justification": ["type": ["string", "null"]], "ticket": ["type": ["string", "null"]],
        ],
    ]
}
