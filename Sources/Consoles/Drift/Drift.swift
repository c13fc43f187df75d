import Kernel

/// A control field of a tenant that the product says differently. There is one for each tenant and field, whatever became
/// of the difference.
public struct Drift: Entity {
    public static let type = "drift"
    public static let idPrefix = "drf"
    public static let table = "drifts"

    /// Fields that belong to Postern once the tenant is there.
    public enum Field: String, Sendable, CaseIterable {
        case status, plan, tier, region, owner

        public func value(of tenant: Tenant) -> String? {
            switch self {
            case .status: tenant.status.rawValue
            case .plan: tenant.plan
            case .tier: tenant.tier
            case .region: tenant.region
            case .owner: tenant.ownerID
            }
        }
    }

    public enum State: String, Sendable, CaseIterable {
        case open
        /// The product's value was taken over.
        case accepted
        /// Ours stays, until the product's value changes.
        case dismissed
        /// The difference vanished: the product came round, or it was changed here.
        case resolved
    }

    /// `drf_…`
    public let id: String
    public var version: Int64 = 0
    public let tenant: String
    public let field: Field
    /// What stood here when it was last looked at; empty for no owner.
    public var ours: String
    /// What the product says; a user's id for an owner.
    public var theirs: String
    public var state: State
    /// Who told it: `import` or a runtime token's id.
    public var source: String
    public var openedAt: Instant
    public var settledAt: Instant?
    public var settledBy: String?

    public init(
        id: String, tenant: String, field: Field, ours: String, theirs: String, source: String, openedAt: Instant
    ) {
        self.id = id
        self.tenant = tenant
        self.field = field
        self.ours = ours
        self.theirs = theirs
        self.state = .open
        self.source = source
        self.openedAt = openedAt
    }

    public var tenantID: String? { tenant }
    public var subjects: [String] {
        [tenant] + (field == .owner ? [ours, theirs].filter { !$0.isEmpty } : [])
    }
    public var displayName: String { "\(field.rawValue) of \(tenant)" }

    public var document: JSON {
        [
            "id": .string(id), "version": .int(version), "tenant_id": .string(tenant),
            "field": .string(field.rawValue), "ours": .string(ours), "theirs": .string(theirs),
            "state": .string(state.rawValue), "source": .string(source), "opened_at": JSON(openedAt),
            "settled_at": JSON(settledAt), "settled_by": JSON(settledBy),
        ]
    }

    static let schema: JSON = [
        "type": "object", "required": ["id", "version", "tenant_id", "field", "ours", "theirs", "state", "opened_at"],
        "properties": [
            "id": ["type": "string"], "version": ["type": "integer"], "tenant_id": ["type": "string"],
            "field": ["type": "string", "enum": .array(Field.allCases.map { .string($0.rawValue) })],
            "ours": ["type": "string"], "theirs": ["type": "string"],
            "state": ["type": "string", "enum": .array(State.allCases.map { .string($0.rawValue) })],
            "source": ["type": "string"], "opened_at": ["type": "string", "format": "date-time"],
            "settled_at": ["type": ["string", "null"], "format": "date-time"],
            "settled_by": ["type": ["string", "null"]],
        ],
    ]

    // MARK: What a sync does to it

    /// What becomes of a field when the product tells `theirs` where `ours` stands; `nil` when nothing does.
    static func told(
        _ theirs: String, _ field: Field, of tenant: Tenant, known before: Drift?, source: String, at now: Instant,
        id: () -> String
    ) -> Change? {
        let ours = field.value(of: tenant) ?? ""
        guard let before else {
            guard ours != theirs else { return nil }
            return .create(
                Drift(
                    id: id(), tenant: tenant.id, field: field, ours: ours, theirs: theirs, source: source,
                    openedAt: now))
        }
        var after = before
        after.ours = ours
        after.theirs = theirs
        switch (before.state, ours == theirs) {
        case (.open, true), (.dismissed, true):
            after.state = .resolved
            after.settledAt = now
            after.settledBy = source
        case (.accepted, true), (.resolved, true): return nil
        case (.open, false):
            guard before.theirs != theirs || before.ours != ours else { return nil }
            after.source = source
        case (.dismissed, false) where before.theirs == theirs: return nil
        case (.dismissed, false), (.accepted, false), (.resolved, false):
            after.state = .open
            after.source = source
            after.openedAt = now
            after.settledAt = nil
            after.settledBy = nil
        }
        return .update(before, to: after)
    }

    /// What becomes of it when the tenant is as the product says, or was deleted for good; `nil` when it is not, or nothing
    /// stands any more.
    func agreed(with tenant: Tenant, by person: String, at now: Instant) -> Drift? {
        guard state == .open || state == .dismissed else { return nil }
        if tenant.status == .deleted { return settled(.resolved, by: person, at: now) }
        guard field.value(of: tenant) == theirs else { return nil }
        var after = settled(.resolved, by: person, at: now)
        after.ours = theirs
        return after
    }

    func settled(_ state: State, by person: String, at now: Instant) -> Drift {
        var after = self
        after.state = state
        after.settledAt = now
        after.settledBy = person
        return after
    }
}
