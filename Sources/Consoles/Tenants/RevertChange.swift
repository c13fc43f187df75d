import Kernel

/// Gives up a change that was not confirmed: what holds now goes on holding.
public enum RevertChange: Operation {
    public typealias Target = Tenant
    public static let spec = OperationSpec(
        "tenant.revert_change", "Revert change",
        summary: "Gives up a change of plan or region that is not confirmed. Your product is told to leave it.",
        permission: "tenant.settle_change", risk: .medium)

    public struct Input: OperationInput {
        @Param("Field", help: "What shall stay as it is.") public var field: TenantField
        public init() {}
    }

    public static func measures(_ call: Call<Self>) -> Measures { .tenant(call.before, reversible: false) }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Tenant> {
        let field = call.input.field
        let wanted = try call.before.wanted(field)
        var after = call.before
        after.desired[field] = nil
        after.updatedAt = call.now
        return Plan(
            after, effects: [.change("change_withdrawn", field, after, to: wanted.value)],
            facts: ["field": .string(field.rawValue)],
            consequence:
                "\(after.name) keeps the \(field.rawValue) \(after.actual(field)). If your product has begun with \(wanted.value), it is told to go back."
        )
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("Ask for the change once more instead.")
    }

    /// How asking for a change is taken back, as long as it is not confirmed.
    static func inverse(of field: TenantField, _ before: JSON?) -> Undo {
        guard before?["desired"]?[field.rawValue] == nil else {
            return .impossible("It took the place of a change that had failed. Revert it instead.")
        }
        return .run(spec.name, input: ["field": .string(field.rawValue)])
    }

    public static func prefill(_ target: Tenant) -> [String: JSON] { target.onlyWanted() }

    public static func unavailable(_ target: Tenant, now: Instant) -> Unavailable? {
        DesiredChanges.nothingWanted(target)
    }
}
