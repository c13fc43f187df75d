import Kernel

/// Asks the product to set a tenant up once more.
public enum RetryOnboarding: Operation {
    public typealias Target = Tenant
    public static let spec = OperationSpec(
        "tenant.retry_onboarding", "Set up again",
        summary: "Returns a tenant whose set-up failed to pending, so that your product tries again.",
        permission: "tenant.retry_onboarding", risk: .low, reasonCodes: [ReasonCode("retry", "Try again")])

    public static func measures(_ call: Call<Self>) -> Measures { .tenant(call.before, reversible: false) }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Tenant> {
        // There is one reason only, so it need not be chosen.
        let status = try TenantTransitions.destination(
            of: call.before, by: spec, reasonCode: call.reasonCode ?? "retry")
        let after = call.before.moved(to: status, at: call.now)
        return Plan(
            after, alsoWrite: [call.history(of: after, from: call.before.status)],
            effects: [.webhook("onboarding_requested", after)],
            consequence: "Your product is asked to set \(after.name) up again.")
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("Your product is setting the tenant up; wait until it reports it ready or failed.")
    }

    public static func unavailable(_ target: Tenant, now: Instant) -> Unavailable? {
        TenantTransitions.unavailable(spec.name, in: target.status)
    }
}
