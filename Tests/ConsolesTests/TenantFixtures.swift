@testable import Consoles
@testable import Kernel

let noon = Instant(rfc3339: "2026-11-17T12:00:00Z")!

func tenant(
    _ status: TenantStatus = .active, resumesTo: TenantStatus? = nil, then: TenantStatus? = nil,
    name: String = "Acme Robotics"
) -> Tenant {
    var tenant = Tenant(
        id: Identifier.make("ten", milliseconds: 1, random: Array(repeating: 7, count: 10)), externalID: "nwc-004417",
        slug: "acme-robotics", name: name, status: status, plan: "business", tier: "standard", region: "us-east",
        metadata: ["segment": "robotics"], createdAt: noon - .days(300), now: noon - .days(200))
    tenant.version = 4
    tenant.resumesTo = resumesTo
    tenant.thenResumesTo = then
    return tenant
}

/// What the pipeline would hand to a plan.
func call<Op: Operation>(
    _ operation: Op.Type, on target: Op.Target?, input: Op.Input = .init(), facts: Op.Facts, reasonCode: String? = nil,
    at now: Instant = noon
) -> Call<Op> {
    Call(
        input: input, target: target, facts: facts, reasonCode: reasonCode, now: now,
        fresh: Fresh(seed: Array(repeating: 1, count: 32), at: now), person: "stf_0000",
        actor: Actor(.staff, "stf_0000"), eventID: "evt_0000", mandate: nil)
}

/// Plans one of the operations on a tenant's state.
func plan(_ operation: String, _ target: Tenant, _ reasonCode: String?, at now: Instant = noon) throws(Refusal) -> Plan<
    Tenant
> {
    switch operation {
    case "tenant.suspend":
        try SuspendTenant.plan(
            call(SuspendTenant.self, on: target, facts: MemberCount(count: 46), reasonCode: reasonCode, at: now))
    case "tenant.restore":
        try RestoreTenant.plan(
            call(RestoreTenant.self, on: target, facts: LegalHold(), reasonCode: reasonCode, at: now))
    case "tenant.archive":
        try ArchiveTenant.plan(
            call(ArchiveTenant.self, on: target, facts: MemberCount(count: 1), reasonCode: reasonCode, at: now))
    case "tenant.retry_onboarding":
        try RetryOnboarding.plan(
            call(RetryOnboarding.self, on: target, facts: NoFacts(), reasonCode: reasonCode, at: now))
    case "tenant.hard_delete":
        try HardDeleteTenant.plan(
            call(
                HardDeleteTenant.self, on: target, facts: .init(members: [], isMore: false), reasonCode: reasonCode,
                at: now))
    default: throw .notFound(operation)
    }
}
