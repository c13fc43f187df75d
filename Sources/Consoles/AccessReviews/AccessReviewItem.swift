import Kernel

/// One grant in a campaign: what it was when the campaign began, who looks at it, and what they decided.
public struct AccessReviewItem: Entity, Hashable {
    public static let type = "access_review_item"
    public static let idPrefix = "rvi"
    public static let table = "access_review_items"

    public enum State: String, Sendable, CaseIterable {
        case open, kept, revoked
        /// The grant had ended by itself, or otherwise, when the campaign was closed: nothing was left to decide.
        case ended
    }

    public var id: String
    public var version: Int64
    public var reviewID: String
    /// Where it stands in the list, from 1 on.
    public var place: Int64

    // Frozen when the campaign began.
    public var grantID: String
    public var staffID: String
    /// What the person was called.
    public var name: String
    public var role: String
    public var grantedBy: String
    public var grantedAt: Instant
    public var expiresAt: Instant?
    public var lastSignInAt: Instant?
    /// When they last did or asked for something of high risk that the role allows, and what, as far back as was looked.
    public var lastUsedAt: Instant?
    public var lastUsedFor: String?

    /// Who is to look at it; any reviewer of the campaign may, and `nil` where no one is left who could.
    public var reviewer: String?
    public var state: State
    public var decidedBy: String?
    public var decidedAt: Instant?
    public var reasonCode: String?
    /// The event that holds the decision's reason in words.
    public var eventID: String?

    public init(
        id: String, version: Int64 = 1, reviewID: String, place: Int64, grant: Grant, name: String,
        lastSignInAt: Instant? = nil, lastUsedAt: Instant? = nil, lastUsedFor: String? = nil, reviewer: String?,
        state: State = .open
    ) {
        self.id = id
        self.version = version
        self.reviewID = reviewID
        self.place = place
        grantID = grant.id
        staffID = grant.staffID
        self.name = name
        role = grant.role
        grantedBy = grant.grantedBy
        grantedAt = grant.grantedAt
        expiresAt = grant.expiresAt
        self.lastSignInAt = lastSignInAt
        self.lastUsedAt = lastUsedAt
        self.lastUsedFor = lastUsedFor
        self.reviewer = reviewer
        self.state = state
    }

    public var tenantID: String? { nil }
    public var subjects: [String] { [staffID] }
    public var displayName: String { "\(RoleTitle.of(role)) of \(name)" }

    public var document: JSON {
        [
            "id": .string(id), "version": .int(version), "review_id": .string(reviewID), "place": .int(place),
            "grant_id": .string(grantID), "staff_id": .string(staffID), "name": .string(name), "role": .string(role),
            "granted_by": .string(grantedBy), "granted_at": JSON(grantedAt), "expires_at": JSON(expiresAt),
            "last_sign_in_at": JSON(lastSignInAt), "last_used_at": JSON(lastUsedAt),
            "last_used_for": JSON(lastUsedFor), "reviewer": JSON(reviewer), "state": .string(state.rawValue),
            "decided_by": JSON(decidedBy), "decided_at": JSON(decidedAt), "reason_code": JSON(reasonCode),
            "event_id": JSON(eventID),
        ]
    }

    func decided(_ state: State, by person: String, because code: String?, in event: String, at now: Instant)
        -> AccessReviewItem
    {
        var after = self
        after.state = state
        after.decidedBy = person
        after.decidedAt = now
        after.reasonCode = code
        after.eventID = event
        return after
    }

    static let schema: JSON = [
        "type": "object",
        "required": [
            "id", "version", "review_id", "place", "grant_id", "staff_id", "name", "role", "granted_by", "granted_at",
            "state",
        ],
        "properties": [
            "id": ["type": "string"], "version": ["type": "integer"], "review_id": ["type": "string"],
            "place": ["type": "integer"], "grant_id": ["type": "string"], "staff_id": ["type": "string"],
            "name": ["type": "string"], "role": ["type": "string"], "granted_by": ["type": "string"],
            "granted_at": ["type": "string", "format": "date-time"],
            "expires_at": ["type": ["string", "null"], "format": "date-time"],
            "last_sign_in_at": ["type": ["string", "null"], "format": "date-time"],
            "last_used_at": ["type": ["string", "null"], "format": "date-time"],
            "last_used_for": ["type": ["string", "null"]], "reviewer": ["type": ["string", "null"]],
            "state": ["type": "string", "enum": .array(State.allCases.map { .string($0.rawValue) })],
            "decided_by": ["type": ["string", "null"]],
            "decided_at": ["type": ["string", "null"], "format": "date-time"],
            "reason_code": ["type": ["string", "null"]], "event_id": ["type": ["string", "null"]],
            // Of now, and not of when the campaign began.
            "is_live": ["type": "boolean"], "grant_ended_at": ["type": ["string", "null"], "format": "date-time"],
            "reason": ["type": ["string", "null"]],
        ],
    ]
}
