import Kernel

/// When reviews start by themselves: one row.
public struct AccessReviewPlan: Entity, Hashable {
    public static let type = "access_review_plan"
    public static let idPrefix = "access_review_plan"
    public static let table = "access_review_plans"

    /// How often: at the beginning of each.
    public enum Cadence: String, ParamChoice, CaseIterable {
        case month, quarter
        case halfYear = "half_year"
        case year

        var months: Int {
            switch self {
            case .month: 1
            case .quarter: 3
            case .halfYear: 6
            case .year: 12
            }
        }
        public var words: String { self == .halfYear ? "half-year" : rawValue }

        /// When the one that `now` is in began.
        func began(at now: Instant) -> Instant {
            let day = now.day
            let first = Day(year: day.year, month: (day.month - 1) / months * months + 1, day: 1)
            return Instant(microseconds: Int64(first.daysSince1970) * 86_400_000_000)
        }

        /// When the next one begins.
        func next(after now: Instant) -> Instant {
            let day = began(at: now).day
            let month = day.month + months
            let first = Day(year: day.year + (month - 1) / 12, month: (month - 1) % 12 + 1, day: 1)
            return Instant(microseconds: Int64(first.daysSince1970) * 86_400_000_000)
        }
    }

    /// The one there is.
    public static let only = "standing"
    /// Days a campaign may last.
    static let days: ClosedRange<Int64> = 3...90

    public let id: String
    public var version: Int64
    public var isOn: Bool
    public var cadence: Cadence
    public var roles: [String]
    /// From the start until it is due.
    public var daysUntilDue: Int64
    /// When it was switched on, or how often changed. What else is edited skips no period.
    public var updatedAt: Instant

    public init(
        version: Int64 = 1, isOn: Bool = true, cadence: Cadence = .quarter,
        roles: [String] = ["super_admin", "security"],
        daysUntilDue: Int64 = 14, updatedAt: Instant
    ) {
        id = Self.only
        self.version = version
        self.isOn = isOn
        self.cadence = cadence
        self.roles = roles
        self.daysUntilDue = daysUntilDue
        self.updatedAt = updatedAt
    }

    public var tenantID: String? { nil }
    public var subjects: [String] { [] }
    public var displayName: String { "Access reviews" }

    public var document: JSON {
        [
            "id": .string(id), "version": .int(version), "is_on": .bool(isOn), "cadence": .string(cadence.rawValue),
            "roles": .array(roles.map(JSON.string)), "days_until_due": .int(daysUntilDue),
            "updated_at": JSON(updatedAt),
        ]
    }

    /// Whether one is to start now: it is on since before this period began, and none was started in it.
    /// - Parameter last: when the calendar started one last.
    func isDue(at now: Instant, last: Instant?) -> Bool {
        let began = cadence.began(at: now)
        return isOn && updatedAt < began && (last.map { $0 < began } ?? true)
    }

    /// Whether one that is due should have started a day ago.
    func isLate(at now: Instant) -> Bool { cadence.began(at: now) + .days(1) <= now }

    /// "at the beginning of each quarter, of Super admin, Security, due within 14 days"
    var words: String {
        """
        at the beginning of each \(cadence.words), of \(AccessNames.roles(roles)), due within \(daysUntilDue) days
        """
    }

    static let schema: JSON = [
        "type": "object", "required": ["id", "version", "is_on", "cadence", "roles", "days_until_due", "updated_at"],
        "properties": [
            "id": ["type": "string"], "version": ["type": "integer"], "is_on": ["type": "boolean"],
            "cadence": ["type": "string", "enum": .array(Cadence.allCases.map { .string($0.rawValue) })],
            "roles": ["type": "array", "items": ["type": "string"]], "days_until_due": ["type": "integer"],
            "updated_at": ["type": "string", "format": "date-time"],
        ],
    ]
}
