import Kernel

/// Something about a person that somebody else has to look at: two roles that are not held together are, by an exception.
public struct StaffFlag: Entity, Hashable {
    public static let type = "staff_flag"
    public static let idPrefix = "flg"
    public static let table = "staff_flags"

    public enum State: String, Sendable, CaseIterable {
        case open
        /// Looked at by somebody else.
        case cleared
    }

    public var id: String
    public var version: Int64
    public var staffID: String
    /// The two roles.
    public var roles: [String]
    /// Why the exception was made, as it was written down with it.
    public var reason: String
    public var raisedBy: String
    public var raisedAt: Instant
    public var state: State
    public var clearedBy: String?
    public var clearedAt: Instant?
    /// What came of the review: a reason code of `staff_flag.clear`.
    public var outcome: String?

    public init(
        id: String, version: Int64 = 1, staffID: String, roles: [String], reason: String, raisedBy: String,
        raisedAt: Instant, state: State = .open, clearedBy: String? = nil, clearedAt: Instant? = nil,
        outcome: String? = nil
    ) {
        self.id = id
        self.version = version
        self.staffID = staffID
        self.roles = roles
        self.reason = reason
        self.raisedBy = raisedBy
        self.raisedAt = raisedAt
        self.state = state
        self.clearedBy = clearedBy
        self.clearedAt = clearedAt
        self.outcome = outcome
    }

    public var tenantID: String? { nil }
    public var subjects: [String] { [staffID] }
    public var displayName: String { AccessNames.roles(roles, " and ") }
    public var document: JSON {
        [
            "id": .string(id), "version": .int(version), "staff_id": .string(staffID),
            "roles": .array(roles.map(JSON.string)), "reason": .string(reason), "raised_by": .string(raisedBy),
            "raised_at": JSON(raisedAt), "state": .string(state.rawValue), "cleared_by": JSON(clearedBy),
            "cleared_at": JSON(clearedAt), "outcome": JSON(outcome),
        ]
    }

    static let schema: JSON = [
        "type": "object",
        "required": ["id", "version", "staff_id", "roles", "reason", "raised_by", "raised_at", "state"],
        "properties": [
            "id": ["type": "string"], "version": ["type": "integer"], "staff_id": ["type": "string"],
            "roles": ["type": "array", "items": ["type": "string"]], "reason": ["type": "string"],
            "raised_by": ["type": "string"], "raised_at": ["type": "string", "format": "date-time"],
            "state": ["type": "string", "enum": .array(State.allCases.map { .string($0.rawValue) })],
            "cleared_by": ["type": ["string", "null"]],
            "cleared_at": ["type": ["string", "null"], "format": "date-time"], "outcome": ["type": ["string", "null"]],
        ],
    ]
}
