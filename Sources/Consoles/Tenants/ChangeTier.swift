import Kernel

/// Gives a tenant more or less care. The tier is Postern's own: approval rules look at it, so it holds at once.
public enum ChangeTier: Operation {
    public typealias Target = Tenant
    public static let spec = OperationSpec(
        "tenant.change_tier", "Change tier",
        summary: "Sets how much care the tenant gets. Approval rules look at the tier from now on.",
        permission: "tenant.change_tier", risk: .high)

    public struct Input: OperationInput {
        @Param("Tier", help: "Such as standard or enterprise.") public var tier: TenantWord
        public init() {}
    }

    public static func foresees(_ input: Input, _ target: String?) -> [Statement] {
        DriftFollower.foreseen(of: target)
    }

    public static func measures(_ call: Call<Self>) -> Measures { .tenant(call.before, reversible: true) }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Tenant> {
        let before = call.before
        guard before.status != .deleted else { throw .conflict("A deleted tenant has no tier any more.") }
        guard call.input.tier.word != before.tier else { throw .conflict("Its tier is \(before.tier) already.") }
        var after = before
        after.tier = call.input.tier.word
        after.updatedAt = call.now
        return Plan(
            after, effects: [.webhook("tier_changed", after)],
            consequence: "\(after.name) moves from the tier \(before.tier) to \(after.tier).")
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        guard let tier = done.before?["tier"] else { return .impossible("Its tier before is not known any more.") }
        return .run(spec.name, input: ["tier": tier])
    }

    public static func prefill(_ target: Tenant) -> [String: JSON] { ["tier": .string(target.tier)] }

    public static func unavailable(_ target: Tenant, now: Instant) -> Unavailable? {
        target.status == .deleted ? Unavailable("deletion is final") : nil
    }
}
