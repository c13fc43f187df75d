import Kernel

/// Asks the product once more for what it could not do.
public enum RetryChange: Operation {
    public typealias Target = Tenant
    public static let spec = OperationSpec(
        "tenant.retry_change", "Retry change",
        summary: "Asks your product again for a change of plan or region that failed.",
        permission: "tenant.settle_change", risk: .medium)

    public struct Input: OperationInput {
        @Param("Field", help: "What is to be tried again.") public var field: TenantField
        public init() {}
    }

    public static func gather(_ input: Input, _ target: Tenant?, from reader: any Reader) throws -> Receivers {
        try .gather(from: reader)
    }

    public static func measures(_ call: Call<Self>) -> Measures { .tenant(call.before, reversible: false) }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Tenant> {
        let field = call.input.field
        var wanted = try call.before.wanted(field)
        guard wanted.state == .failed else {
            throw .conflict(
                "The change to \(wanted.value) is under way since \(wanted.since.minuteText); it did not fail.")
        }
        wanted.state = .pending
        wanted.since = call.now
        wanted.reason = nil
        var after = call.before
        after.desired[field] = wanted
        after.updatedAt = call.now
        return Plan(
            after, effects: [.change(field.requestName, field, after, to: wanted.value)],
            facts: ["field": .string(field.rawValue)],
            consequence:
                "The \(field.rawValue) \(wanted.value) is asked for again. \(call.facts.who(field))")
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("It was asked for again. Revert the change to give it up.")
    }

    public static func prefill(_ target: Tenant) -> [String: JSON] { target.onlyWanted(.failed) }

    public static func unavailable(_ target: Tenant, now: Instant) -> Unavailable? {
        DesiredChanges.nothingWanted(target, state: .failed)
    }
}
