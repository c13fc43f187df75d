import HTML
import Kernel

/// Labels and helps of a rule's fields, which are the same wherever a rule is given.
enum RuleFields {
    static let condition = "Applies when"
    static let conditionHelp =
        "Tests of what the operation measures, joined by “and”, as in amount > 100000 and currency = USD; or always."
    static let demand = "Who must agree"
    static let demandHelp =
        "Roles joined by “or”, or holder of a permission; several people as all of (…, …), any of (…, …) or 2 of (…, …, …)."
    static let window = "Minutes to sign in"
    static let windowHelp = "How long a request waits for its signatures."
    static let cooldown = "Minutes to cool down"
    static let cooldownHelp =
        "How long it waits after the last signature, while whoever could sign may still cancel it; 0 for not at all."
    static let summary = "In words"
    static let summaryHelp = "What it is about, as requests and pages say it."
    /// 14 days.
    static let longest: Int64 = 20_160

    static func cooldown(_ minutes: Int64) -> Span? { minutes == 0 ? nil : .minutes(minutes) }

    /// Roles and permissions of a demand must exist.
    static func check(_ demand: Demand, _ state: PolicyState) throws(Refusal) {
        let strangers = PolicyLint.strangers(in: demand, roles: Set(state.roles).union(PolicyLint.impliedRoles))
        guard strangers.isEmpty else {
            throw .field("demand", "Who must agree names \(strangers.joined(separator: ", ")), which does not exist.")
        }
    }

    /// A currency the condition tests for and that has no rate: its amounts would add up with no others.
    static func unpriced(_ condition: Condition, from reader: any Reader) throws -> String? {
        for case .equals(.string(let currency)) in condition.tests["currency"] ?? []
        where currency != Rates.base && currency != "none" {
            guard let rate = try ExchangeRate.load(currency, from: reader), rate.micros > 0 else { return currency }
        }
        return nil
    }

    static func check(unpriced currency: String?) throws(Refusal) {
        guard let currency else { return }
        throw .field(
            "condition", "\(currency.prefix(20)) has no rate. Set one first, so that its amounts add up with others.")
    }
}

extension Guard {
    /// Changes of policy come one after the other: each looks at the whole of it.
    static let policy = Guard("policy")
}

/// Gives an approval rule other terms, or ends it. It decides from the next request on; what waits is looked at by the rules
/// as they are when its time comes.
public enum ChangeRule: Operation {
    public typealias Target = ApprovalRuleRow
    public static let spec = OperationSpec(
        "policy.change_rule", "Change rule",
        summary: "Gives an approval rule another condition, demand or time, or ends it.",
        permission: "policy.change", risk: .critical)

    public struct Input: OperationInput {
        @Param(RuleFields.condition, help: RuleFields.conditionHelp) public var condition: ConditionText
        @Param(RuleFields.demand, .prose(1...2000), help: RuleFields.demandHelp) public var demand: DemandText
        @Param(RuleFields.window, .range(1...RuleFields.longest), help: RuleFields.windowHelp)
        public var windowMinutes: Int64
        @Param(RuleFields.cooldown, .range(0...RuleFields.longest), help: RuleFields.cooldownHelp)
        public var cooldownMinutes: Int64
        @Param(RuleFields.summary, .length(3...120), help: RuleFields.summaryHelp) public var summary: String
        @Param("Ended", help: "The rule asks for nobody any more; it stays here and can be put in force again.")
        public var retired: Bool = false
        public init() {}
    }

    public struct Facts: Sendable {
        let state: PolicyState
        let unpriced: String?
        let simulation: PolicySimulation.History
    }

    public static func guards(_ input: Input, _ target: String?) -> [Guard] { [.policy] }

    public static func gather(_ input: Input, _ target: ApprovalRuleRow?, from reader: any Reader) throws -> Facts {
        Facts(
            state: try .load(from: reader),
            unpriced: try RuleFields.unpriced(input.condition.condition, from: reader),
            simulation: try PolicySimulation.history(
                of: target?.rule.operation ?? "", limit: PolicySimulation.mostInPlan, from: reader))
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<ApprovalRuleRow> {
        let input = call.input
        let before = call.before
        try RuleFields.check(input.demand.demand, call.facts.state)
        // One that ends asks for nobody, whatever it tests for.
        if !input.retired { try RuleFields.check(unpriced: call.facts.unpriced) }
        var after = before
        after.rule = ApprovalRule(
            id: before.id, operation: before.rule.operation, condition: input.condition.condition,
            demand: input.demand.demand, window: .minutes(input.windowMinutes),
            cooldown: RuleFields.cooldown(input.cooldownMinutes), version: before.version, summary: input.summary)
        after.isRetired = input.retired
        guard after != before else { throw .conflict("The rule is exactly so already.") }

        var state = call.facts.state
        state.rules.removeAll { $0.id == before.id }
        if !after.isRetired { state.rules.append(after.rule) }
        let warnings = try PolicyActs.check(state, instead: call.facts.state)
        let simulated = call.facts.simulation.sentence(
            of: after.isRetired ? nil : after.rule, instead: before.isRetired ? nil : before.rule)
        return Plan(after, consequence: words(after, before) + " " + simulated + warnings)
    }

    private static func words(_ after: ApprovalRuleRow, _ before: ApprovalRuleRow) -> String {
        let operation = PolicyActs.exact(after.rule.operation)
        if after.isRetired { return "\(operation) needs nobody because of this rule any more." }
        let whom = "needs \(after.rule.demand.sentence)"
        let instead =
            before.isRetired
            ? "" : before.rule.demand == after.rule.demand ? " as before" : " instead of \(before.rule.demand.sentence)"
        return "\(operation) \(whom)\(instead), when: \(ConditionText(after.rule.condition).text)."
            + times(after.rule, before.rule)
    }

    /// What else is different about when things happen.
    private static func times(_ after: ApprovalRule, _ before: ApprovalRule) -> String {
        var out = ""
        if after.window != before.window {
            let (now, was) = (TimeText.exactly(after.window), TimeText.exactly(before.window))
            out += " A request waits \(now) for its signatures instead of \(was)."
        }
        switch (after.cooldown, before.cooldown) {
        case (let now?, let was) where now != was: out += " Signed, it waits \(TimeText.exactly(now)) before it runs."
        case (nil, .some): out += " Signed, it runs at once."
        default: break
        }
        return out
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        guard let before = done.before else { return .impossible("The rule was not there before.") }
        return .run(spec.name, input: input(of: before))
    }

    public static func prefill(_ target: ApprovalRuleRow) -> [String: JSON] {
        input(of: target.document).object ?? [:]
    }

    /// The fields that make a rule what its document says.
    private static func input(of document: JSON) -> JSON {
        [
            "condition": document["condition"].flatMap(Condition.init).map { ConditionText($0).json } ?? .null,
            "demand": document["demand"].flatMap(Demand.init).map { DemandText($0).json } ?? .null,
            "window_minutes": .int((document["window_seconds"]?.int ?? 0) / 60),
            "cooldown_minutes": .int((document["cooldown_seconds"]?.int ?? 0) / 60),
            "summary": document["summary"] ?? .null, "retired": document["retired"] ?? false,
        ]
    }
}
