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
    /// The break-glass of the person that is not reviewed yet; what it locks is left out of `roles` and `permissions`.
    public let emergency: Emergency?
    /// Whether they can sign what they agree to.
    public let hasPasskey: Bool

    public init(
        person: String, name: String, isActive: Bool, roles: Set<String>, permissions: Permissions,
        touches: [Touch] = [], emergency: Emergency? = nil, hasPasskey: Bool = false
    ) {
        self.emergency = emergency
        self.person = person
        self.name = name
        self.isActive = isActive
        self.roles = roles
        self.permissions = permissions
        self.touches = touches
        self.hasPasskey = hasPasskey
    }

    /// An account that somebody made, gave a role or gave new factors signs nothing of theirs for this long
    /// (spec: access §3).
    public static let quarantine = Span.hours(72)

    /// What `requester` did to this account so lately that it can't sign for them; `nil` when it can.
    public func quarantine(from requester: String, at now: Instant) -> Touch? {
        touches.filter { $0.by == requester && now - $0.at < Self.quarantine }.max { $0.at < $1.at }
    }
}

/// A question for the standings of some people, and how its answer is read.
public struct StandingQuestion: Sendable {
    public let statements: [Statement]
    private let more: @Sendable ([[Row]]) throws -> [Statement]
    private let answer: @Sendable ([[Row]], [[Row]], Instant) throws -> [String: Standing]

    /// - Parameters:
    ///   - more: see `further`.
    ///   - answer: what the answers of the statements and of the further ones come to.
    public init(
        _ statements: [Statement], more: @escaping @Sendable (_ rows: [[Row]]) throws -> [Statement],
        answer: @escaping @Sendable (_ rows: [[Row]], _ further: [[Row]], _ now: Instant) throws -> [String: Standing]
    ) {
        self.statements = statements
        self.more = more
        self.answer = answer
    }

    /// What is still to be asked: nearly always nothing.
    /// - Parameter rows: what the statements answered, in their order.
    public func further(_ rows: [[Row]]) throws -> [Statement] { try more(rows) }

    /// By person; somebody unknown is absent.
    /// - Parameters:
    ///   - rows: what the statements answered, in their order.
    ///   - further: what the statements of `further` answered.
    /// - Throws: `StoreError.shape` where one of those was not asked.
    public func read(_ rows: [[Row]], _ further: [[Row]], at now: Instant) throws -> [String: Standing] {
        guard try more(rows).count == further.count else { throw StoreError.shape(column: "standings") }
        return try answer(rows, further, now)
    }

    /// The same with what is still to be asked.
    public func read(_ rows: [[Row]], from reader: any Reader) throws -> [String: Standing] {
        let further = try further(rows)
        return try read(rows, further.isEmpty ? [] : reader.query(further), at: reader.now)
    }

    public func read(from reader: any Reader) throws -> [String: Standing] {
        try read(reader.query(statements), from: reader)
    }
}

/// Where the standings of people are kept.
public protocol Directory: Sendable {
    func standings(of people: [String]) -> StandingQuestion
    /// `csm_id`: who looks after a tenant; and `set_by`: who named them since then, where somebody did.
    func manager(of tenant: String, since: Instant) -> Statement
}

extension Directory {
    func standings(of people: Set<String>, from reader: any Reader) throws -> [String: Standing] {
        guard !people.isEmpty else { return [:] }
        return try standings(of: people.sorted()).read(from: reader)
    }
}
