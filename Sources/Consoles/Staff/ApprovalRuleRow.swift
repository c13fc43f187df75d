import Kernel

/// The governed form of an approval rule.
public struct ApprovalRuleRow: Entity, Hashable {
    public static let type = "approval_rule"
    public static let idPrefix = "approval_rule"
    public static let table = "approval_rules"

    public var rule: ApprovalRule
    /// It asks for nobody any more.
    public var isRetired: Bool

    public init(_ rule: ApprovalRule, isRetired: Bool = false) {
        self.rule = rule
        self.isRetired = isRetired
    }

    /// A stable code, `tenant_hard_delete`.
    public var id: String { rule.id }
    public var version: Int64 {
        get { rule.version }
        set {
            rule = ApprovalRule(
                id: rule.id, operation: rule.operation, condition: rule.condition, demand: rule.demand,
                window: rule.window, cooldown: rule.cooldown, version: newValue, summary: rule.summary)
        }
    }
    public var tenantID: String? { nil }
    public var subjects: [String] { [] }
    public var displayName: String { rule.summary }
    public var document: JSON {
        JSON.members([
            ("id", .string(id)), ("version", .int(version)), ("operation", .string(rule.operation)),
            ("condition", rule.condition.json), ("demand", rule.demand.json),
            ("window_seconds", .int(rule.window.seconds)),
            ("cooldown_seconds", rule.cooldown.map { .int($0.seconds) } ?? .null), ("summary", .string(rule.summary)),
            ("retired", isRetired ? .some(true) : .none),
        ])
    }
}
