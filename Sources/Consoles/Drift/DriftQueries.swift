import Kernel

extension Drift {
    public static let columns = """
        id, version, tenant_id, field, ours, theirs, state, source, opened_at, settled_at, settled_by
        """

    public init(_ row: Row) throws {
        guard let field = Field(rawValue: try row.string("field")) else { throw StoreError.shape(column: "field") }
        guard let state = State(rawValue: try row.string("state")) else { throw StoreError.shape(column: "state") }
        id = try row.string("id")
        version = try row.int("version")
        tenant = try row.string("tenant_id")
        self.field = field
        ours = try row.string("ours")
        theirs = try row.string("theirs")
        self.state = state
        source = try row.string("source")
        openedAt = try row.instant("opened_at")
        settledAt = try row.optionalInstant("settled_at")
        settledBy = try row.optionalString("settled_by")
    }

    public var values: [Value] {
        [
            .text(id), .int(version), .text(tenant), .text(field.rawValue), .text(ours), .text(theirs),
            .text(state.rawValue), .text(source), Value(openedAt), Value(settledAt), Value(settledBy),
        ]
    }
}

enum DriftQueries {
    struct Position: Sendable {
        let at: Instant
        let id: String
    }

    /// A page, the newest first.
    static func page(
        state: Drift.State?, field: Drift.Field?, tenant: String?, after position: Position?, limit: Int
    ) -> Statement {
        var values: [Value] = []
        var conditions: [String] = []
        for (column, value) in [("state", state?.rawValue), ("field", field?.rawValue), ("tenant_id", tenant)] {
            guard let value else { continue }
            values.append(.text(value))
            conditions.append("\(column) = $\(values.count)")
        }
        if let position {
            values += [Value(position.at), .text(position.id)]
            conditions.append("(opened_at, id) < (\(placeholders(2, from: values.count - 1)))")
        }
        let clause = conditions.isEmpty ? "" : "WHERE " + conditions.joined(separator: " AND ")
        return Statement(
            """
            SELECT \(Drift.columns) FROM drifts \(clause) ORDER BY opened_at DESC, id DESC LIMIT \(limit)
            """, values)
    }

    /// Those of some tenants. `tenants` MUST NOT be empty.
    static func drifts(of tenants: [String]) -> Statement {
        Statement(
            "SELECT \(Drift.columns) FROM drifts WHERE tenant_id IN (\(placeholders(tenants.count)))",
            tenants.map(Value.text))
    }

    /// `count`: how many are open, counting no further than `limit`.
    static func openCount(upTo limit: Int) -> Statement {
        Statement(
            "SELECT count(*) AS count FROM (SELECT id FROM drifts WHERE state = 'open' LIMIT \(limit)) AS found")
    }

    static func tenant(slug: String) -> Statement {
        Statement("SELECT id FROM tenants WHERE slug = $1", [.text(slug)])
    }

    /// The tenants and the people that a page of items names, by their ids; neither list may be empty.
    static func tenants(_ ids: [String]) -> Statement {
        Statement(
            "SELECT \(Tenant.columns) FROM tenants WHERE id IN (\(placeholders(ids.count)))", ids.map(Value.text))
    }

    static func users(_ ids: [String]) -> Statement {
        Statement("SELECT id, name, email FROM users WHERE id IN (\(placeholders(ids.count)))", ids.map(Value.text))
    }
}
