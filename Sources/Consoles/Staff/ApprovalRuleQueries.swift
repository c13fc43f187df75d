import Kernel

extension ApprovalRuleRow {
    public static let columns =
        "id, version, operation, condition, demand, window_seconds, cooldown_seconds, summary, retired"

    public init(_ row: Row) throws {
        guard let condition = Condition(try row.json("condition")) else { throw StoreError.shape(column: "condition") }
        guard let demand = Demand(try row.json("demand")) else { throw StoreError.shape(column: "demand") }
        self.init(
            ApprovalRule(
                id: try row.string("id"), operation: try row.string("operation"), condition: condition, demand: demand,
                window: .seconds(try row.int("window_seconds")),
                cooldown: try row.optionalInt("cooldown_seconds").map(Span.seconds), version: try row.int("version"),
                summary: try row.string("summary")),
            isRetired: try row.int("retired") != 0)
    }

    public var values: [Value] {
        [
            .text(id), .int(version), .text(rule.operation), Value(rule.condition.json), Value(rule.demand.json),
            .int(rule.window.seconds), Value(rule.cooldown?.seconds), .text(rule.summary), .int(isRetired ? 1 : 0),
        ]
    }
}
