import Kernel

/// That somebody set the clock that the database goes by. What goes by dates stands still, over restarts, until a person has looked
/// and confirmed it (spec: access §5). However often it is set meanwhile, there is one to look at.
public struct ClockJump: Entity, Hashable {
    public static let type = "clock_jump"
    public static let idPrefix = "clj"
    public static let table = "clock_jumps"
    /// The event that tells of each.
    static let action = "clock.jumped"
    /// Jumps are told one after the other.
    static let lock = "clock.jumps"

    public var id: String
    public var version: Int64
    /// How far it was set last, back where it is negative.
    public var seconds: Int64
    /// How often it was set since somebody looked.
    public var times: Int64
    public var firstAt: Instant
    public var lastAt: Instant
    public var confirmedAt: Instant?
    public var confirmedBy: String?

    public init(
        id: String, version: Int64 = 1, seconds: Int64, times: Int64 = 1, firstAt: Instant, lastAt: Instant,
        confirmedAt: Instant? = nil, confirmedBy: String? = nil
    ) {
        self.id = id
        self.version = version
        self.seconds = seconds
        self.times = times
        self.firstAt = firstAt
        self.lastAt = lastAt
        self.confirmedAt = confirmedAt
        self.confirmedBy = confirmedBy
    }

    public var isOpen: Bool { confirmedAt == nil }
    public var tenantID: String? { nil }
    public var subjects: [String] { [] }
    public var displayName: String { "the server’s clock" }

    /// "60 s forward", "3 times, by 180 s back the last time"
    public var words: String {
        let far = "\(abs(seconds)) s \(seconds < 0 ? "back" : "forward")"
        return times == 1 ? far : "\(times) times, by \(far) the last time"
    }

    public var document: JSON {
        [
            "id": .string(id), "version": .int(version), "seconds": .int(seconds), "times": .int(times),
            "first_at": JSON(firstAt), "last_at": JSON(lastAt), "confirmed_at": JSON(confirmedAt),
            "confirmed_by": JSON(confirmedBy),
        ]
    }

    static let schema: JSON = [
        "type": "object", "required": ["id", "version", "seconds", "times", "first_at", "last_at"],
        "properties": [
            "id": ["type": "string"], "version": ["type": "integer"], "seconds": ["type": "integer"],
            "times": ["type": "integer"], "first_at": ["type": "string", "format": "date-time"],
            "last_at": ["type": "string", "format": "date-time"],
            "confirmed_at": ["type": ["string", "null"], "format": "date-time"],
            "confirmed_by": ["type": ["string", "null"]],
        ],
    ]

    /// The one that nobody has confirmed.
    public static func open(from reader: any Reader) throws -> ClockJump? {
        try reader.first(unconfirmed).map(ClockJump.init)
    }

    /// Records that the clock was set.
    /// - Parameter sendsMail: whether mail is sent.
    /// - Returns: the id of what is to be looked at.
    public static func record(
        _ jump: Span, in database: any Database, _ records: any Records, sendsMail: Bool
    ) async throws -> String {
        try await database.write { tx in
            try tx.lock([lock])
            return try record(jump, records, sendsMail: sendsMail, tx)
        }
    }

    /// The same within a transaction that holds `lock`.
    static func record(_ jump: Span, _ records: any Records, sendsMail: Bool, _ tx: any Writer) throws -> String {
        let before = try Self.open(from: tx)
        let now = tx.now
        let after = ClockJump(
            id: before?.id ?? Identifier.mint(Self.idPrefix, at: now), version: (before?.version ?? 0) + 1,
            seconds: jump.seconds, times: (before?.times ?? 0) + 1, firstAt: before?.firstAt ?? now, lastAt: now)
        var draft = EventDraft(at: Clock.system.now, .incident, "clock.jumped", actor: .system("clock"))
        draft.target = (Self.type, after.id)
        draft.facts = ["seconds": .int(jump.seconds)]
        draft.changes = [EventDraft.ChangeRecord(Change(before: before, after: after))]
        tx.enqueue(records.insert(SealedEvent(draft)))
        tx.enqueue(before.map { after.update(expecting: $0.version) } ?? after.insert())
        // Nobody else tells of it.
        tx.enqueue(ClockMarkQueries.follow(jump))
        if sendsMail {
            tx.enqueue(
                records.enqueue(
                    MailNotice.clockJumped.effect(roles: ["super_admin", "security"]),
                    id: Identifier.mint("out", at: now), event: draft.id, operationID: "", tenantVersion: nil,
                    at: now))
        }
        return after.id
    }
}
