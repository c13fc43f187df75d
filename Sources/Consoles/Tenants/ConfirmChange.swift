import Kernel

/// Says that what was wanted is so now. The product reports it; where it can't, somebody who looked says so by hand.
public enum ConfirmChange: Operation {
    public typealias Target = Tenant
    public static let spec = OperationSpec(
        "tenant.confirm_change", "Confirm change",
        summary: "Records that a change of plan or region was carried out in your product.",
        permission: "tenant.settle_change", risk: .high)

    public struct Input: OperationInput {
        @Param("Field", help: "What was changed.") public var field: TenantField
        @Param("Value", help: "What it is now, when that should be compared with what was asked for.")
        public var value: TenantWord?
        public init() {}
    }

    public static func measures(_ call: Call<Self>) -> Measures { .tenant(call.before, reversible: false) }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Tenant> {
        let field = call.input.field
        // What failed before may have been mended since: a late success counts.
        let wanted = try call.before.wanted(field)
        if let value = call.input.value?.word, value != wanted.value {
            throw .conflict(
                "The change that is under way is to \(wanted.value), not to \(value). Look which one was carried out.")
        }
        var after = call.before
        after.settle(field, as: wanted.value)
        after.updatedAt = call.now
        return Plan(
            after, effects: [.change(field.doneName, field, call.before, to: wanted.value)],
            facts: ["field": .string(field.rawValue)],
            consequence: "The \(field.rawValue) of \(after.name) is \(wanted.value) from now on.")
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("What was carried out in your product is changed back there: ask for the former value.")
    }

    public static func prefill(_ target: Tenant) -> [String: JSON] { target.onlyWanted() }

    public static func unavailable(_ target: Tenant, now: Instant) -> Unavailable? {
        DesiredChanges.nothingWanted(target)
    }
}

extension Tenant {
    /// Fills in the field when only one is under way.
    func onlyWanted(_ state: DesiredChange.State? = nil) -> [String: JSON] {
        let fields = desired.filter { state == nil || $0.value.state == state }.keys
        guard fields.count == 1, let field = fields.first else { return [:] }
        return ["field": .string(field.rawValue)]
    }
}
