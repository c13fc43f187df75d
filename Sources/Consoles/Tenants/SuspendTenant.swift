import HTML
import Kernel

/// Locks a customer out until somebody restores it. Nothing is lost.
public enum SuspendTenant: Operation {
    public typealias Target = Tenant
    public static let spec = OperationSpec(
        "tenant.suspend", "Suspend tenant",
        summary: "Locks every member out until the tenant is restored. Nothing is lost.",
        permission: "tenant.suspend", risk: .high,
        reasonCodes: [
            ReasonCode("non_payment", "Invoices are unpaid"), ReasonCode("abuse", "Abuse of the service"),
            ReasonCode("legal_hold", "A legal hold demands it"),
            ReasonCode("support_investigation", "Support is investigating"),
        ], isDestructive: true)

    public static func gather(_ input: NoInput, _ target: Tenant?, from reader: any Reader) throws -> MemberCount {
        try .count(target, in: reader)
    }

    public static func foresees(_ input: NoInput, _ target: String?) -> [Statement] {
        DriftFollower.foreseen(of: target) + (target.map { [MemberCount.statement($0)] } ?? [])
    }

    public static func measures(_ call: Call<Self>) -> Measures { .tenant(call.before, reversible: true) }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Tenant> {
        let status = try TenantTransitions.destination(of: call.before, by: spec, reasonCode: call.reasonCode)
        let after = call.before.moved(to: status, at: call.now)
        return Plan(
            after, alsoWrite: [call.history(of: after, from: call.before.status)],
            effects: [.webhook("suspended", after)],
            consequence: "\(after.name) is suspended; \(call.facts.phrase) can't sign in until it is restored.")
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        switch done.reasonCode {
        case "non_payment": .run("tenant.restore", reasonCode: "payment_recovered")
        case "legal_hold": .run("tenant.restore", reasonCode: "legal_hold_lifted")
        default: .run("tenant.restore", reasonCode: "investigation_closed")
        }
    }

    public static func unavailable(_ target: Tenant, now: Instant) -> Unavailable? {
        TenantTransitions.unavailable(spec.name, in: target.status)
    }
}

/// How many members an operation touches, counted up to 10,000.
public struct MemberCount: Sendable {
    static let most = 10_000
    public let count: Int

    static func count(_ tenant: Tenant?, in reader: any Reader) throws -> MemberCount {
        guard let tenant else { return MemberCount(count: 0) }
        let row = try reader.first(statement(tenant.id))
        return MemberCount(count: Int(try row?.int("n") ?? 0))
    }

    static func statement(_ tenant: String) -> Statement { TenantQueries.memberCount(tenant, upTo: most + 1) }

    /// "its 46 members"
    var phrase: String {
        switch count {
        case 0: "whoever joins it"
        case 1: "its one member"
        case ...Self.most: "its \(Grouped.digits(count)) members"
        default: "its more than \(Grouped.digits(Self.most)) members"
        }
    }
}

extension Measures {
    /// What approval rules look at, for every operation on a tenant's state.
    static func tenant(_ tenant: Tenant, reversible: Bool) -> Measures {
        Measures(["plan": .string(tenant.plan), "tier": .string(tenant.tier), "reversible": .bool(reversible)])
    }
}
