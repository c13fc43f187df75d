import Kernel

extension ApprovalRuleRow {
    static let columns = "id, version, operation, condition, demand, window_seconds, cooldown_seconds, summary"

    public static func select(_ ids: [String], lock: Bool, _ dialect: Dialect) -> Statement {
        StaffSQL.byID("approval_rules", columns, ids, lock: lock, dialect)
    }

    public static func selectAll(after cursor: String, limit: Int) -> Statement {
        Statement("SELECT \(columns) FROM approval_rules WHERE id > $1 ORDER BY id LIMIT \(limit)", [.text(cursor)])
    }

    public init(_ row: Row) throws {
        guard let condition = Condition(try row.json("condition")) else { throw StoreError.shape(column: "condition") }
        guard let demand = Demand(try row.json("demand")) else { throw StoreError.shape(column: "demand") }
        self.init(
            ApprovalRule(
                id: try row.string("id"), operation: try row.string("operation"), condition: condition, demand: demand,
                window: .seconds(try row.int("window_seconds")),
                cooldown: try row.optionalInt("cooldown_seconds").map(Span.seconds), version: try row.int("version"),
                summary: try row.string("summary")))
    }

    private var values: [Value] {
        [
            .text(id), .int(version), .text(rule.operation), Value(rule.condition.json), Value(rule.demand.json),
            .int(rule.window.seconds), Value(rule.cooldown?.seconds), .text(rule.summary),
        ]
    }

    public func insert() -> [Statement] {
        [Statement("INSERT INTO approval_rules (\(Self.columns)) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)", values)]
    }

    public func update(expecting version: Int64) -> [Statement] {
        [
            Statement(
                """
                UPDATE approval_rules SET version = $2, operation = $3, condition = $4, demand = $5,
                    window_seconds = $6, cooldown_seconds = $7, summary = $8
                WHERE id = $1 AND version = $9
                """, values + [.int(version)], expectedRows: 1)
        ]
    }
}
