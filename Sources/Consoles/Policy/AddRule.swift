import Kernel

/// Has an operation wait for other people where it did not, or for more of them.
public enum AddRule: Operation {
    public typealias Target = ApprovalRuleRow
    public static let spec = OperationSpec(
        "policy.add_rule", "Add rule",
        summary: "Has an operation wait for other people, beside what its rules ask for.",
        permission: "policy.change", risk: .critical)
    public static let creates = true

    public struct Input: OperationInput {
        @Param("Code", .length(3...60), help: "Small letters, digits and underscores, as in tenant_suspend_enterprise.")
        public var code: String
        @Param("Operation", help: "As it stands in the audit log, like tenant.suspend, or all of a kind, like bulk.*")
        public var operation: OperationPattern
        @Param(RuleFields.condition, help: RuleFields.conditionHelp) public var condition: ConditionText
        @Param(RuleFields.demand, .prose(1...2000), help: RuleFields.demandHelp) public var demand: DemandText
        @Param(RuleFields.window, .range(1...RuleFields.longest), help: RuleFields.windowHelp)
        public var windowMinutes: Int64 = 1440
        @Param(RuleFields.cooldown, .range(0...RuleFields.longest), help: RuleFields.cooldownHelp)
        public var cooldownMinutes: Int64 = 0
        @Param(RuleFields.summary, .length(3...120), help: RuleFields.summaryHelp) public var summary: String
        public init() {}
    }

    public static func concerns(_ input: Input) -> String? { "\(input.summary), for \(input.operation.text)" }
    public static let declaresConcerns = true

    public struct Facts: Sendable {
        let state: PolicyState
        let isTaken: Bool
        let unpriced: String?
        let simulation: PolicySimulation.History
    }

    public static func guards(_ input: Input, _ target: String?) -> [Guard] { [.policy] }

    public static func gather(_ input: Input, _ target: ApprovalRuleRow?, from reader: any Reader) throws -> Facts {
        Facts(
            state: try .load(from: reader), isTaken: try ApprovalRuleRow.load(input.code, from: reader) != nil,
            unpriced: try RuleFields.unpriced(input.condition.condition, from: reader),
            simulation: try PolicySimulation.history(
                of: input.operation.text, limit: PolicySimulation.mostInPlan, from: reader))
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<ApprovalRuleRow> {
        let input = call.input
        guard input.code.wholeMatch(of: /[a-z][a-z0-9_-]*/) != nil else {
            throw .field(
                "code", "Code must be small letters, digits, hyphens and underscores, and begin with a letter.")
        }
        guard !call.facts.isTaken else {
            throw .field("code", "There is a rule \(input.code) already; change that one.")
        }
        let rule = ApprovalRule(
            id: input.code, operation: input.operation.text, condition: input.condition.condition,
            demand: input.demand.demand, window: .minutes(input.windowMinutes),
            cooldown: RuleFields.cooldown(input.cooldownMinutes), version: 1, summary: input.summary)
        guard PolicyActs.all.contains(where: { rule.covers($0.name) }) else {
            throw .field(
                "operation", "There is no operation \(input.operation.text). postern get /operations lists them.")
        }
        if let own = PolicyActs.exempt.first(where: rule.covers) {
            throw .field(
                "operation",
                "\(input.operation.text) covers \(own), which waits for nobody. Name the operations one by one.")
        }
        try RuleFields.check(rule.demand, call.facts.state)
        try RuleFields.check(unpriced: call.facts.unpriced)
        var state = call.facts.state
        state.rules.append(rule)
        let warnings = try PolicyActs.check(state, instead: call.facts.state)
        return Plan(
            ApprovalRuleRow(rule),
            consequence:
                "\(PolicyActs.exact(rule.operation)) needs \(rule.demand.sentence), when: \(input.condition.text). "
                + call.facts.simulation.sentence(of: rule, instead: nil) + warnings)
    }

    public static func undo(_ done: Done<Self>) -> Undo { .impossible("End the rule instead.") }
}
