import Kernel

/// A campaign in which every grant of some roles is looked at again (spec: access §6).
///
///     a person or the calendar ─▶ open ─ every grant decided ─▶ closed      evidence for CC6.2 and CC6.3
///                                  │ └──── two people agree ──▶ cancelled
///                                  └ due, and not finished: an exception is open until it is
///
/// The list is frozen when it starts: grants made later are no part of it, grants that end meanwhile show so.
public struct AccessReview: Entity, Hashable {
    public static let type = "access_review"
    public static let idPrefix = "rev"
    public static let table = "access_reviews"

    public enum State: String, Sendable, CaseIterable {
        case open, closed, cancelled
    }

    public var id: String
    public var version: Int64
    /// Whose grants are looked at, as codes of roles.
    public var roles: [String]
    /// Who decides, as ids of staff, in the order they take turns.
    public var reviewers: [String]
    public var state: State
    /// The calendar started it, and no person.
    public var isPlanned: Bool
    /// `stf_…`, or the part of Postern that did.
    public var startedBy: String
    public var startedAt: Instant
    public var dueAt: Instant
    /// Which of the reminders before the due time are past: 0, 1 or 2.
    public var reminded: Int64
    /// The exception that was opened when it was due and not finished.
    public var exceptionID: String?
    public var endedAt: Instant?
    public var endedBy: String?

    public init(
        id: String, version: Int64 = 1, roles: [String], reviewers: [String], state: State = .open,
        isPlanned: Bool = false, startedBy: String, startedAt: Instant, dueAt: Instant, reminded: Int64 = 0,
        exceptionID: String? = nil, endedAt: Instant? = nil, endedBy: String? = nil
    ) {
        self.id = id
        self.version = version
        self.roles = roles
        self.reviewers = reviewers
        self.state = state
        self.isPlanned = isPlanned
        self.startedBy = startedBy
        self.startedAt = startedAt
        self.dueAt = dueAt
        self.reminded = reminded
        self.exceptionID = exceptionID
        self.endedAt = endedAt
        self.endedBy = endedBy
    }

    public var tenantID: String? { nil }
    public var subjects: [String] { [] }
    public var displayName: String { "\(AccessNames.roles(roles)) from \(startedAt.day.words)" }

    public var document: JSON {
        [
            "id": .string(id), "version": .int(version), "roles": .array(roles.map(JSON.string)),
            "reviewers": .array(reviewers.map(JSON.string)), "state": .string(state.rawValue),
            "is_planned": .bool(isPlanned), "started_by": .string(startedBy), "started_at": JSON(startedAt),
            "due_at": JSON(dueAt), "reminded": .int(reminded), "exception_id": JSON(exceptionID),
            "ended_at": JSON(endedAt), "ended_by": JSON(endedBy),
        ]
    }

    /// As many grants are looked at in one campaign: all of them stand in one event, whose entry in the log has an end.
    public static let most = 300
    /// How far ahead it may be due.
    public static let longest = Span.days(180)
    /// When reviewers are reminded, before the due time.
    static let reminders: [Span] = [.days(3), .days(1)]

    /// How many of the reminders are past at `now`.
    func remindersPast(at now: Instant) -> Int64 { Int64(Self.reminders.count { dueAt - $0 <= now }) }

    func isOverdue(at now: Instant) -> Bool { state == .open && dueAt <= now }

    func ended(_ state: State, by person: String, at now: Instant) -> AccessReview {
        var after = self
        after.state = state
        after.endedAt = now
        after.endedBy = person
        return after
    }

    static let schema: JSON = [
        "type": "object",
        "required": [
            "id", "version", "roles", "reviewers", "state", "is_planned", "started_by", "started_at", "due_at",
        ],
        "properties": [
            "id": ["type": "string"], "version": ["type": "integer"],
            "roles": ["type": "array", "items": ["type": "string"]],
            "reviewers": ["type": "array", "items": ["type": "string"]],
            "state": ["type": "string", "enum": .array(State.allCases.map { .string($0.rawValue) })],
            "is_planned": ["type": "boolean"], "started_by": ["type": "string"],
            "started_at": ["type": "string", "format": "date-time"],
            "due_at": ["type": "string", "format": "date-time"], "reminded": ["type": "integer"],
            "exception_id": ["type": ["string", "null"]],
            "ended_at": ["type": ["string", "null"], "format": "date-time"], "ended_by": ["type": ["string", "null"]],
            "progress": [
                "type": "object", "required": ["total", "open", "kept", "revoked", "ended"],
                "properties": [
                    "total": ["type": "integer"], "open": ["type": "integer"], "kept": ["type": "integer"],
                    "revoked": ["type": "integer"], "ended": ["type": "integer"],
                ],
            ],
        ],
    ]
}
