import Kernel

/// Gives a rule of the deployment another value. Every server follows it from its next request on.
public enum ChangeSetting: Operation {
    public typealias Target = PolicySetting
    public static let spec = OperationSpec(
        "setting.change", "Change setting",
        summary: "Gives a rule of this deployment another value; every server follows it from its next request on.",
        permission: "setting.change", risk: .high)

    public struct Input: OperationInput {
        @Param(
            "Value", .range(1...168),
            help:
                "A whole number of hours or minutes, whichever the setting counts. Each says from what to what it goes."
        )
        public var value: Int64
        public init() {}
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<PolicySetting> {
        let before = call.before
        let value = call.input.value
        guard before.key.range.contains(value) else {
            throw .field("value", "\(before.key.title) goes \(before.key.bounds).")
        }
        guard value != before.value else { throw .conflict("\(before.key.title) is \(before.words) already.") }
        var after = before
        after.value = value
        after.updatedAt = call.now
        return Plan(
            after, facts: ["value": .int(value), "was": .int(before.value)],
            consequence: "\(before.key.title) is \(after.words) instead of \(before.words). \(effect(after))")
    }

    /// What else follows from it.
    private static func effect(_ after: PolicySetting) -> String {
        switch after.key {
        case .undoHours: "This holds for what was done already, too."
        case .sessionHours: "Sessions that are older than that end at once."
        case .idleMinutes: "Sessions that were unused for longer end at once."
        case .stepUpMinutes: "It holds for everybody from now on."
        }
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .run(spec.name, input: ["value": done.before?["value"] ?? .null])
    }

    public static func prefill(_ target: PolicySetting) -> [String: JSON] { ["value": .int(target.value)] }
}
