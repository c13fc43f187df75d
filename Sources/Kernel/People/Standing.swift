/// What a person may do and sign at a moment, read inside the transaction that decides by it.
public struct Standing: Sendable {
    /// Somebody else made this account what it is.
    public struct Touch: Sendable, Hashable {
        public enum Kind: String, Sendable {
            /// Invited the person, or renewed the invitation.
            case invited
            /// Gave them a role.
            case granted
            /// Had their factors reset.
            case refactored
        }
        public let by: String
        public let at: Instant
        public let kind: Kind
        public init(by: String, at: Instant, kind: Kind) {
            self.by = by
            self.at = at
            self.kind = kind
        }
    }

    public let person: String
    public let name: String
    /// Enrolled and not deactivated.
    public let isActive: Bool
    /// By unexpired grants.
    public let roles: Set<String>
    public let permissions: Permissions
    public let touches: [Touch]

    public init(
        person: String, name: String, isActive: Bool, roles: Set<String>, permissions: Permissions,
        touches: [Touch] = []
    ) {
        self.person = person
        self.name = name
        self.isActive = isActive
        self.roles = roles
        self.permissions = permissions
        self.touches = touches
    }

    /// An account that somebody made, gave a role or gave new factors signs nothing of theirs for this long
    /// (spec: access §3).
    public static let quarantine = Span.hours(72)

    /// What `requester` did to this account so lately that it can't sign for them; `nil` when it can.
    public func quarantine(from requester: String, at now: Instant) -> Touch? {
        touches.filter { $0.by == requester && now - $0.at < Self.quarantine }.max { $0.at < $1.at }
    }
}

/// Where the standings of people are kept.
public protocol Directory: Sendable {
    /// Reads that `standings` makes sense of.
    func standings(of people: [String]) -> [Statement]
    /// By person; somebody unknown is absent.
    func standings(_ rows: [[Row]], at now: Instant) throws -> [String: Standing]
}

extension Directory {
    func standings(of people: Set<String>, from reader: any Reader) throws -> [String: Standing] {
        guard !people.isEmpty else { return [:] }
        return try standings(reader.query(standings(of: people.sorted())), at: reader.now)
    }
}
