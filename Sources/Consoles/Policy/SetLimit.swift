import Kernel

/// How much one action may come to for a role without a second person.
public enum SetLimit: Operation {
    public typealias Target = RolePermission
    public static let spec = OperationSpec(
        "policy.set_limit", "Set limit",
        summary: "Says how much one action of this kind may come to for a role; over it a rule decides, or nobody may.",
        permission: "policy.change", risk: .critical)

    public struct Input: OperationInput {
        @Param(
            "Currency", .currency,
            help: "ISO 4217, like USD. A currency without a limit of its own falls under the strictest.")
        public var currency: String
        @Param(
            "Most in minor units", .range(0...1_000_000_000_000),
            help: "5000 for 50.00. Leave it empty to take this currency’s limit away.")
        public var amount: Int64?
        public init() {}
    }

    public static func guards(_ input: Input, _ target: String?) -> [Guard] { [.policy] }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<RolePermission> {
        let before = call.before
        guard !before.isRevoked else { throw .conflict("\(before.role) does not hold \(before.permission).") }
        let currency = call.input.currency
        var limits = (before.limits ?? []).filter { $0.currency != currency }
        if let amount = call.input.amount { limits.append(Limit(currency: currency, amount: amount)) }
        limits.sort { $0.currency < $1.currency }
        var after = before
        after.limits = limits.isEmpty ? nil : limits
        guard after != before else { throw .conflict("The limit is exactly so already.") }
        let words = limits.isEmpty ? "up to any amount" : "up to \(RolePermission.words(limits))"
        return Plan(after, consequence: "\(before.role) may \(before.permission) \(words) in one action.")
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        let before = RolePermission.limits(done.before?["limits"] ?? .null) ?? []
        let after = RolePermission.limits(done.after?["limits"] ?? .null) ?? []
        // One currency was changed.
        for currency in Set((before + after).map(\.currency)).sorted() {
            let was = before.first { $0.currency == currency }?.amount
            guard was != after.first(where: { $0.currency == currency })?.amount else { continue }
            return .run(spec.name, input: ["currency": .string(currency), "amount": was.map(JSON.int) ?? .null])
        }
        return .impossible("Nothing was changed.")
    }

    public static func unavailable(_ target: RolePermission, now: Instant) -> Unavailable? {
        target.isRevoked ? Unavailable("the role does not hold it", lifting: [ChangeRole.spec.name]) : nil
    }
}
