import Kernel

/// A role that an identity provider asks for and that is power: it waits until somebody accepts it, and counts as granted by
/// whoever does (spec: access §3).
///
///     pending ─▶ accepted     a colleague took it over, with the signature a grant takes, or gave the role another way; it waits
///        │  │                 again where that is taken back as a mistake
///        │  └──▶ dismissed    a colleague said no; asked for again it stays so
///        └─────▶ withdrawn    the provider took it back, or the person left; asked for again it waits anew
public struct PendingGrant: Entity, Hashable {
    public static let type = "pending_grant"
    public static let idPrefix = "pgr"
    public static let table = "pending_grants"

    public enum State: String, Sendable, CaseIterable { case pending, accepted, dismissed, withdrawn }

    public var id: String
    public var version: Int64
    public var staffID: String
    public var role: String
    /// Who asks: the SCIM token (`sct_…`), or another provider's mark.
    public var source: String
    /// Who was shown that token.
    public var tokenHolder: String?
    public var requestedAt: Instant
    public var state: State
    public var decidedBy: String?
    public var decidedAt: Instant?

    public init(
        id: String, version: Int64 = 1, staffID: String, role: String, source: String, requestedAt: Instant,
        state: State = .pending, decidedBy: String? = nil, decidedAt: Instant? = nil, tokenHolder: String? = nil
    ) {
        self.tokenHolder = tokenHolder
        self.id = id
        self.version = version
        self.staffID = staffID
        self.role = role
        self.source = source
        self.requestedAt = requestedAt
        self.state = state
        self.decidedBy = decidedBy
        self.decidedAt = decidedAt
    }

    /// Who was shown the token by which one of these asks for a role. Given another way, it counts as given by them all the same.
    static func holder(of role: String, among undecided: [PendingGrant]) -> String? {
        undecided.first { $0.role == role && $0.state == .pending }?.tokenHolder
    }

    /// What the event that made a grant answered with it.
    static func answered(by grant: Grant, from reader: any Reader) throws -> PendingGrant? {
        guard let leaf = try reader.first(makingOf(grant.id)).map({ try JSON(parsing: $0.bytes("leaf")) }) else {
            return nil
        }
        let changed = (leaf["changes"]?.array ?? []).filter { $0["type"]?.string == Self.type }
        let ids = changed.compactMap { $0["id"]?.string }
        guard !ids.isEmpty else { return nil }
        return try reader.query(select(ids, lock: false, reader.dialect)).map { try PendingGrant($0) }
            .first { $0.staffID == grant.staffID && $0.role == grant.role && $0.state == .accepted }
    }

    /// As it waited before somebody answered it by mistake.
    func reopened() -> PendingGrant {
        var after = self
        after.state = .pending
        after.decidedBy = nil
        after.decidedAt = nil
        return after
    }

    func decided(_ state: State, by person: String, at now: Instant) -> PendingGrant {
        var after = self
        after.state = state
        after.decidedBy = person
        after.decidedAt = now
        return after
    }

    public var tenantID: String? { nil }
    public var subjects: [String] { [staffID] }
    public var displayName: String { RoleTitle.of(role) }
    public var document: JSON {
        .members([
            ("id", .string(id)), ("version", .int(version)), ("staff_id", .string(staffID)), ("role", .string(role)),
            ("source", .string(source)), ("requested_at", JSON(requestedAt)), ("state", .string(state.rawValue)),
            ("decided_by", JSON(decidedBy)), ("decided_at", JSON(decidedAt)),
            ("token_holder", tokenHolder.map(JSON.string)),
        ])
    }

    static let schema: JSON = [
        "type": "object", "required": ["id", "version", "staff_id", "role", "source", "requested_at", "state"],
        "properties": [
            "id": ["type": "string"], "version": ["type": "integer"], "staff_id": ["type": "string"],
            "role": ["type": "string"], "source": ["type": "string"], "token_holder": ["type": "string"],
            "requested_at": ["type": "string", "format": "date-time"],
            "state": ["type": "string", "enum": .array(State.allCases.map { .string($0.rawValue) })],
            "decided_by": ["type": ["string", "null"]],
            "decided_at": ["type": ["string", "null"], "format": "date-time"],
        ],
    ]
}
