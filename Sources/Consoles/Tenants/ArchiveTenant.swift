import HTML
import Kernel

/// Puts a departed customer away. After 90 days it may be deleted for good.
public enum ArchiveTenant: Operation {
    public typealias Target = Tenant
    public static let spec = OperationSpec(
        "tenant.archive", "Archive tenant",
        summary: "Closes the tenant for everybody. It can be restored, and after 90 days be deleted for good.",
        permission: "tenant.archive", risk: .high,
        reasonCodes: [
            ReasonCode("customer_departed", "The customer has left"),
            ReasonCode("policy_inactive_180d", "Nobody used it for 180 days"),
        ], isDestructive: true)

    public static func gather(_ input: NoInput, _ target: Tenant?, from reader: any Reader) throws -> MemberCount {
        try .count(target, in: reader)
    }

    public static func foresees(_ input: NoInput, _ target: String?) -> [Statement] {
        DriftFollower.foreseen(of: target)
    }

    public static func measures(_ call: Call<Self>) -> Measures { .tenant(call.before, reversible: true) }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Tenant> {
        let status = try TenantTransitions.destination(of: call.before, by: spec, reasonCode: call.reasonCode)
        let after = call.before.moved(to: status, at: call.now)
        let day = TimeText.day((call.now + TenantTransitions.keptArchived).day)
        return Plan(
            after, alsoWrite: [call.history(of: after, from: call.before.status)],
            effects: [.webhook("archived", after)],
            consequence:
                "\(after.name) is closed for \(call.facts.phrase); from \(day) on it may be deleted for good.")
    }

    public static func undo(_ done: Done<Self>) -> Undo { .run("tenant.restore", reasonCode: "customer_return") }

    public static func unavailable(_ target: Tenant, now: Instant) -> Unavailable? {
        TenantTransitions.unavailable(spec.name, in: target.status)
    }
}
