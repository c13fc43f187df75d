import Kernel

/// Wants a tenant on another plan. The product decides when it is.
public enum ChangePlan: Operation {
    public typealias Target = Tenant
    public static let spec = OperationSpec(
        "tenant.change_plan", "Change plan",
        summary: "Asks for another plan. The present one holds until your product has confirmed the change.",
        permission: "tenant.change_plan", risk: .high)

    public struct Input: OperationInput {
        @Param("Plan", help: "The plan it shall be on, as your product names it.") public var plan: TenantWord
        public init() {}
    }

    public static func gather(_ input: Input, _ target: Tenant?, from reader: any Reader) throws -> Receivers {
        try .gather(from: reader)
    }

    public static func measures(_ call: Call<Self>) -> Measures { .tenant(call.before, reversible: true) }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Tenant> {
        try DesiredChanges.request(.plan, call.input.plan.word, call)
    }

    public static func undo(_ done: Done<Self>) -> Undo { RevertChange.inverse(of: .plan, done.before) }

    public static func prefill(_ target: Tenant) -> [String: JSON] {
        ["plan": .string(target.desired[.plan]?.value ?? target.plan)]
    }

    public static func unavailable(_ target: Tenant, now: Instant) -> Unavailable? {
        DesiredChanges.unavailable(.plan, target)
    }
}
