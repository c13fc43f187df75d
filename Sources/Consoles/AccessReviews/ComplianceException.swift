import Kernel

/// A control that does not hold at the moment: what, since when, whose it is, and by when it is to hold again
/// (spec: ai-consoles §6.1).
public struct ComplianceException: Entity, Hashable {
    public static let type = "compliance_exception"
    public static let idPrefix = "exc"
    public static let table = "compliance_exceptions"

    public enum Status: String, Sendable, CaseIterable {
        case open, mitigating, closed
        /// It was decided to live with it.
        case accepted
        var isOver: Bool { self == .closed || self == .accepted }
    }

    public enum Severity: String, Sendable, CaseIterable {
        case low, medium, high, critical
        /// Working days within which it is to be closed.
        var days: Int {
            switch self {
            case .critical: 5
            case .high: 10
            case .medium: 20
            case .low: 30
            }
        }
    }

    public var id: String
    public var version: Int64
    /// `CC6.3`
    public var controlID: String
    /// What it is about: `access_review`, `rev_…`.
    public var sourceType: String
    public var sourceID: String
    public var title: String
    public var severity: Severity
    public var status: Status
    /// `stf_…`; `nil` while nobody has taken it.
    public var owner: String?
    public var openedAt: Instant
    public var targetClose: Instant
    public var closedAt: Instant?
    public var closedBy: String?

    public init(
        id: String, version: Int64 = 1, controlID: String, source: (type: String, id: String), title: String,
        severity: Severity, status: Status = .open, owner: String?, openedAt: Instant, closedAt: Instant? = nil,
        closedBy: String? = nil
    ) {
        self.id = id
        self.version = version
        self.controlID = controlID
        sourceType = source.type
        sourceID = source.id
        self.title = title
        self.severity = severity
        self.status = status
        self.owner = owner
        self.openedAt = openedAt
        targetClose = Self.target(severity, from: openedAt)
        self.closedAt = closedAt
        self.closedBy = closedBy
    }

    /// So many working days later, at the same time of day.
    static func target(_ severity: Severity, from opened: Instant) -> Instant {
        var left = severity.days
        var at = opened
        while left > 0 {
            at = at + .days(1)
            // 1 January 1970 was a Thursday.
            let weekday = (at.day.daysSince1970 + 3) % 7
            if weekday < 5 { left -= 1 }
        }
        return at
    }

    public var tenantID: String? { nil }
    public var subjects: [String] { [] }
    public var displayName: String { title }

    public var document: JSON {
        [
            "id": .string(id), "version": .int(version), "control_id": .string(controlID),
            "source_type": .string(sourceType), "source_id": .string(sourceID), "title": .string(title),
            "severity": .string(severity.rawValue), "status": .string(status.rawValue), "owner": JSON(owner),
            "opened_at": JSON(openedAt), "target_close": JSON(targetClose), "closed_at": JSON(closedAt),
            "closed_by": JSON(closedBy),
        ]
    }

    func ended(_ status: Status, by person: String, at now: Instant) -> ComplianceException {
        var after = self
        after.status = status
        after.closedAt = now
        after.closedBy = person
        return after
    }

    static let schema: JSON = [
        "type": "object",
        "required": [
            "id", "version", "control_id", "source_type", "source_id", "title", "severity", "status", "opened_at",
            "target_close",
        ],
        "properties": [
            "id": ["type": "string"], "version": ["type": "integer"], "control_id": ["type": "string"],
            "source_type": ["type": "string"], "source_id": ["type": "string"], "title": ["type": "string"],
            "severity": ["type": "string", "enum": .array(Severity.allCases.map { .string($0.rawValue) })],
            "status": ["type": "string", "enum": .array(Status.allCases.map { .string($0.rawValue) })],
            "owner": ["type": ["string", "null"]], "opened_at": ["type": "string", "format": "date-time"],
            "target_close": ["type": "string", "format": "date-time"],
            "closed_at": ["type": ["string", "null"], "format": "date-time"],
            "closed_by": ["type": ["string", "null"]],
        ],
    ]
}
