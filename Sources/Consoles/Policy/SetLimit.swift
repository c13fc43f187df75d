import Kernel

/// How much one action, and a person's day, may come to for a role without a second person.
public enum SetLimit: Operation {
    public typealias Target = RolePermission
    public static let spec = OperationSpec(
        "policy.set_limit", "Set limit",
        summary:
            "Says how much one action of this kind, and all that one person does in a day, may come to for a role; over it a rule decides, or nobody may.",
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
        @Param(
            "Most a day in minor units", .range(0...1_000_000_000_000),
            help:
                "What one person may come to within 24 hours without somebody else’s signature. Leave it empty for any amount."
        )
        public var daily: Int64?
        public init() {}
    }

    public struct Facts: Sendable {
        let rates: Rates
    }

    public static func gather(_ input: Input, _ target: RolePermission?, from reader: any Reader) throws -> Facts {
        let currencies = [input.currency, target.flatMap { Seeds.ceilings[$0.id] }?.currency].compactMap(\.self)
        var micros: [String: Int64] = [:]
        for currency in currencies { micros[currency] = try ExchangeRate.load(currency, from: reader)?.micros }
        return Facts(rates: Rates(micros: micros))
    }

    public static func guards(_ input: Input, _ target: String?) -> [Guard] { [.policy] }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<RolePermission> {
        let before = call.before
        guard !before.isRevoked else {
            throw .conflict(
                "\(RoleTitle.of(before.role)) does not hold \(AccessNames.exactPermission(before.permission)).")
        }
        let currency = call.input.currency
        var limits = (before.limits ?? []).filter { $0.currency != currency }
        if let amount = call.input.amount {
            if let daily = call.input.daily, daily < amount {
                throw .field("daily", "A day can't come to less than one action may.")
            }
            limits.append(Limit(currency: currency, amount: amount, daily: call.input.daily))
        } else if call.input.daily != nil {
            throw .field("amount", "A limit a day stands beside one of each action. Give that, too.")
        }
        limits.sort { $0.currency < $1.currency }
        if let ceiling = Seeds.ceilings[before.id] {
            let most =
                "\(RoleTitle.of(before.role)) may carry at most \(RolePermission.words([ceiling])) for \(AccessNames.permission(before.permission))."
            guard !limits.isEmpty else { throw .field("amount", "\(most) It can't be without a limit.") }
            if let amount = call.input.amount {
                guard let worth = call.facts.rates.converted(amount, from: currency, to: ceiling.currency) else {
                    throw .field("currency", "\(most) \(currency) has no rate to compare it by.")
                }
                guard worth <= ceiling.amount else { throw .field("amount", most) }
            }
        }
        var after = before
        after.limits = limits.isEmpty ? nil : limits
        guard after != before else { throw .conflict("The limit is exactly so already.") }
        let words = limits.isEmpty ? "up to any amount" : "up to \(RolePermission.words(limits))"
        return Plan(
            after,
            consequence:
                "\(AccessNames.exactRole(before.role)) may go \(words) in one action of \(AccessNames.exactPermission(before.permission))."
        )
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        let before = RolePermission.limits(done.before?["limits"] ?? .null) ?? []
        let after = RolePermission.limits(done.after?["limits"] ?? .null) ?? []
        // One currency was changed.
        for currency in Set((before + after).map(\.currency)).sorted() {
            let was = before.first { $0.currency == currency }
            guard was != after.first(where: { $0.currency == currency }) else { continue }
            return .run(spec.name, input: .object(fields(currency, was)))
        }
        return .impossible("Nothing was changed.")
    }

    private static func fields(_ currency: String, _ limit: Limit?) -> [String: JSON] {
        [
            "currency": .string(currency), "amount": (limit?.amount).map(JSON.int) ?? .null,
            "daily": limit?.daily.map(JSON.int) ?? .null,
        ]
    }

    /// With what stands, so that nobody takes the limit of the day away by leaving it out.
    public static func prefill(_ target: RolePermission) -> [String: JSON] {
        target.limits?.first.map { fields($0.currency, $0) } ?? [:]
    }

    public static func unavailable(_ target: RolePermission, now: Instant) -> Unavailable? {
        target.isRevoked ? Unavailable("the role does not hold it", lifting: [ChangeRole.spec.name]) : nil
    }
}
