import Kernel

extension StaffFlag {
    public static let columns = """
        id, version, staff_id, roles, reason, raised_by, raised_at, state, cleared_by, cleared_at, outcome
        """

    public init(_ row: Row) throws {
        guard let state = State(rawValue: try row.string("state")) else { throw StoreError.shape(column: "state") }
        self.init(
            id: try row.string("id"), version: try row.int("version"), staffID: try row.string("staff_id"),
            roles: try RoleSeparation.roles(row, "roles"), reason: try row.string("reason"),
            raisedBy: try row.string("raised_by"), raisedAt: try row.instant("raised_at"), state: state,
            clearedBy: try row.optionalString("cleared_by"), clearedAt: try row.optionalInstant("cleared_at"),
            outcome: try row.optionalString("outcome"))
    }

    public var values: [Value] {
        [
            .text(id), .int(version), .text(staffID), Value(JSON.array(roles.map(JSON.string))), .text(reason),
            .text(raisedBy), Value(raisedAt), .text(state.rawValue), Value(clearedBy), Value(clearedAt),
            Value(outcome),
        ]
    }

    /// Flags of one person, the newest first. Through `staff_flags_staff`.
    static func of(_ staff: String) -> Statement {
        Statement(
            "SELECT \(columns) FROM staff_flags WHERE staff_id = $1 ORDER BY id DESC LIMIT 100", [.text(staff)])
    }

    /// One row, `count`: how many wait for their review, up to a hundred. Through `staff_flags_state`.
    static let countOpen = Statement(
        "SELECT COUNT(*) AS count FROM (SELECT id FROM staff_flags WHERE state = 'open' LIMIT 100) AS waiting")

    /// A page of those in one state, the newest first; `before` is the last of the page before. Through `staff_flags_state`.
    static func page(_ state: State, before: String?, limit: Int) -> Statement {
        var values: [Value] = [.text(state.rawValue), .int(Int64(limit))]
        if let before { values.append(.text(before)) }
        return Statement(
            """
            SELECT \(columns) FROM staff_flags WHERE state = $1 \(before == nil ? "" : "AND id < $3 ")\
            ORDER BY id DESC LIMIT $2
            """, values)
    }
}

extension RoleSeparation {
    public static let columns = "id, version, first_roles, second_roles, summary"

    public init(_ row: Row) throws {
        self.init(
            id: try row.string("id"), version: try row.int("version"), first: try Self.roles(row, "first_roles"),
            second: try Self.roles(row, "second_roles"), summary: try row.string("summary"))
    }

    public var values: [Value] {
        [
            .text(id), .int(version), Value(JSON.array(first.map(JSON.string))),
            Value(JSON.array(second.map(JSON.string))), .text(summary),
        ]
    }

    /// A list of roles as it is stored.
    static func roles(_ row: Row, _ column: String) throws -> [String] {
        guard let elements = try row.json(column).array, case let roles = elements.compactMap(\.string),
            roles.count == elements.count
        else { throw StoreError.shape(column: column) }
        return roles
    }
}
