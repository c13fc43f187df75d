import Kernel

/// A rule of this deployment that staff change while the servers run: a row, changed by an audited operation, which every
/// server follows from its next request on.
public struct PolicySetting: Entity, Hashable {
    public static let type = "setting"
    public static let idPrefix = "setting"
    public static let table = "settings"

    /// Everything that can be set so, in the order it is shown.
    public enum Key: String, Sendable, CaseIterable {
        case undoHours = "undo_hours"
        case sessionHours = "session_hours"
        case idleMinutes = "idle_minutes"
        case stepUpMinutes = "step_up_minutes"
    }

    public enum Unit: String, Sendable {
        case hours, minutes
        /// "1 hour", "30 minutes"
        public func words(_ value: Int64) -> String {
            "\(value) \(value == 1 ? String(rawValue.dropLast()) : rawValue)"
        }
    }

    public let key: Key
    public var version: Int64
    /// In the key's unit.
    public var value: Int64
    public var updatedAt: Instant

    public init(_ key: Key, version: Int64 = 1, value: Int64? = nil, at now: Instant) {
        self.key = key
        self.version = version
        self.value = value ?? key.shipped
        updatedAt = now
    }

    public var id: String { key.rawValue }
    public var tenantID: String? { nil }
    public var subjects: [String] { [] }
    public var displayName: String { key.title }
    public var words: String { key.unit.words(value) }

    public var document: JSON {
        ["id": .string(id), "version": .int(version), "value": .int(value), "updated_at": JSON(updatedAt)]
    }

    /// The document with what its declaration says.
    var json: JSON {
        var members = document.object ?? [:]
        members["title"] = .string(key.title)
        members["summary"] = .string(key.summary)
        members["unit"] = .string(key.unit.rawValue)
        members["minimum"] = .int(key.range.lowerBound)
        members["maximum"] = .int(key.range.upperBound)
        members["default"] = .int(key.shipped)
        return .object(members)
    }

    static let schema: JSON = [
        "type": "object",
        "required": [
            "id", "version", "value", "updated_at", "title", "summary", "unit", "minimum", "maximum", "default",
        ],
        "properties": [
            "id": ["type": "string", "enum": .array(Key.allCases.map { .string($0.rawValue) })],
            "version": ["type": "integer"], "value": ["type": "integer"],
            "updated_at": ["type": "string", "format": "date-time"], "title": ["type": "string"],
            "summary": ["type": "string"], "unit": ["type": "string", "enum": ["hours", "minutes"]],
            "minimum": ["type": "integer"], "maximum": ["type": "integer"], "default": ["type": "integer"],
        ],
    ]
}

extension PolicySetting.Key {
    public var id: String { rawValue }
    /// Where it stands among the others.
    var place: Int { Self.allCases.firstIndex(of: self) ?? 0 }
    public var title: String {
        switch self {
        case .undoHours: "Undo window"
        case .sessionHours: "Session length"
        case .idleMinutes: "Idle time"
        case .stepUpMinutes: "Age of the factor"
        }
    }

    /// One sentence: what it rules.
    public var summary: String {
        switch self {
        case .undoHours:
            "How long after it was carried out a change can be undone, where its operation can be undone at all."
        case .sessionHours: "After this long a session ends, however active it is; the person signs in again."
        case .idleMinutes: "A session that nobody used for this long has ended."
        case .stepUpMinutes:
            "What is of high or critical risk asks for a second factor that was used at most this long ago."
        }
    }

    public var unit: PolicySetting.Unit {
        switch self {
        case .undoHours, .sessionHours: .hours
        case .idleMinutes, .stepUpMinutes: .minutes
        }
    }

    /// What it is until somebody changes it.
    public var shipped: Int64 {
        switch self {
        case .undoHours: Undo.window.seconds / 3600
        case .sessionHours: SessionLimits().length.seconds / 3600
        case .idleMinutes: SessionLimits().idle.seconds / 60
        case .stepUpMinutes: SessionLimits().stepUpAge.seconds / 60
        }
    }

    /// Sessions and factors can be held shorter than shipped and never longer (spec: access §5); stored answers of
    /// operations, which name the deadline, live two days, and what was sealed may be erased, so a week is enough for undoing.
    public var range: ClosedRange<Int64> {
        switch self {
        case .undoHours: 1...168
        case .sessionHours: 1...shipped
        case .idleMinutes: 5...shipped
        case .stepUpMinutes: 1...shipped
        }
    }

    /// "from 5 to 30 minutes"
    public var bounds: String { "from \(range.lowerBound) to \(unit.words(range.upperBound))" }
}
