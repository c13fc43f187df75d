import Kernel

/// A part of the servers that works beside requests. Its row tells every server when somebody had it start anew: the version is what
/// they compare.
public struct Worker: Entity, Hashable {
    public static let type = "worker"
    public static let idPrefix = "worker"
    public static let table = "workers"

    /// All there are, in the order they are shown.
    public enum Name: String, Sendable, CaseIterable {
        /// Takes events into the log's tree and signs its checkpoints.
        case sequencer
        /// What goes by dates and is done by one server for all.
        case chores
        /// Compares governed rows with the log.
        case integrity
        /// Sends webhooks, mail and messages to the staff channel.
        case outbox
    }

    public let name: Name
    public var version: Int64
    /// When somebody last had it start anew; `nil` if nobody did.
    public var restartedAt: Instant?

    public init(_ name: Name, version: Int64 = 1, restartedAt: Instant? = nil) {
        self.name = name
        self.version = version
        self.restartedAt = restartedAt
    }

    public var id: String { name.rawValue }
    public var tenantID: String? { nil }
    public var subjects: [String] { [] }
    public var displayName: String { name.title }

    public var document: JSON {
        ["id": .string(id), "version": .int(version), "restarted_at": JSON(restartedAt)]
    }

    /// The document with what its declaration says.
    var json: JSON {
        var members = document.object ?? [:]
        members["title"] = .string(name.title)
        members["summary"] = .string(name.summary)
        members["leads"] = .bool(name.leads)
        return .object(members)
    }

    static let schema: JSON = [
        "type": "object", "required": ["id", "version", "title", "summary", "leads"],
        "properties": [
            "id": ["type": "string", "enum": .array(Name.allCases.map { .string($0.rawValue) })],
            "version": ["type": "integer"], "restarted_at": ["type": ["string", "null"], "format": "date-time"],
            "title": ["type": "string"], "summary": ["type": "string"], "leads": ["type": "boolean"],
        ],
    ]
}

extension Worker.Name {
    /// Where it stands among the others.
    var place: Int { Self.allCases.firstIndex(of: self) ?? 0 }

    public var title: String {
        switch self {
        case .sequencer: "Sequencer of the log"
        case .chores: "Chores"
        case .integrity: "Integrity sweep"
        case .outbox: "Outbox"
        }
    }

    /// One sentence: what it does.
    public var summary: String {
        switch self {
        case .sequencer: "Takes events into the log’s tree and signs its checkpoints."
        case .chores:
            "Makes names findable, counts the list of tenants, moves tenants when it is time, ends emergencies and looks after access reviews."
        case .integrity: "Compares every governed row with the log, where servers sweep (sweep_minutes)."
        case .outbox: "Sends webhooks, mail and messages to the staff channel."
        }
    }

    /// One server does it for all of them; the others wait to take it over. Else every server does.
    public var leads: Bool { self != .outbox }

    /// What starting anew comes to, as a sentence.
    var effect: String {
        switch self {
        case .sequencer:
            "The server that leads gives the lead up between two batches; a server takes it, and what waits goes into the tree a moment later."
        case .chores:
            "The server that leads stops what it is at and gives the lead up; a server takes it and begins all chores anew."
        case .integrity:
            "Where servers sweep (sweep_minutes), a sweep under way is given up and another begins from the first row."
        case .outbox:
            "Every server ends the attempts under way and gives them back; they are sent again at once, so a receiver may hear something twice."
        }
    }
}
