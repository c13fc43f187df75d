import Kernel

extension PendingGrant {
    public static let columns = """
        id, version, staff_id, role_id, source, requested_at, state, decided_by, decided_at, token_holder
        """

    public init(_ row: Row) throws {
        guard let state = State(rawValue: try row.string("state")) else { throw StoreError.shape(column: "state") }
        self.init(
            id: try row.string("id"), version: try row.int("version"), staffID: try row.string("staff_id"),
            role: try row.string("role_id"), source: try row.string("source"),
            requestedAt: try row.instant("requested_at"), state: state,
            decidedBy: try row.optionalString("decided_by"), decidedAt: try row.optionalInstant("decided_at"),
            tokenHolder: try row.optionalString("token_holder"))
    }

    public var values: [Value] {
        [
            .text(id), .int(version), .text(staffID), .text(role), .text(source), Value(requestedAt),
            .text(state.rawValue), Value(decidedBy), Value(decidedAt), Value(tokenHolder),
        ]
    }

    /// Those of a person that wait, or that somebody said no to and the provider still asks for. Through
    /// `pending_grants_waiting`.
    static func undecided(of staff: String) -> Statement {
        Statement(
            """
            SELECT \(columns) FROM pending_grants WHERE staff_id = $1 AND state IN ('pending', 'dismissed') ORDER BY id
            """, [.text(staff)])
    }

    /// `leaf` of the event that made a grant. Through the key of `event_entity`.
    static func makingOf(_ grant: String) -> Statement {
        Statement(
            """
            SELECT e.leaf FROM event_entity n JOIN events e ON e.id = n.event_id
            WHERE n.type = 'grant' AND n.id = $1 ORDER BY n.event_id LIMIT 1
            """, [.text(grant)])
    }

    /// `role_id`, the person's `id` and `name`, and `state`: who waits for one of some roles, or was refused it.
    static func asked(forRoles roles: [String]) -> Statement {
        Statement(
            """
            SELECT p.role_id, p.state, s.id, s.name FROM pending_grants p JOIN staff s ON s.id = p.staff_id
            WHERE p.state IN ('pending', 'dismissed') AND p.role_id IN (\(placeholders(roles.count)))
            ORDER BY s.id
            """, roles.map(Value.text))
    }

    /// One row, `count`: how many wait, up to a hundred. Through `pending_grants_state`.
    static let countWaiting = Statement(
        "SELECT COUNT(*) AS count FROM (SELECT id FROM pending_grants WHERE state = 'pending' LIMIT 100) AS waiting")

    /// A page of those in one state, the newest first. Through `pending_grants_state`.
    static func page(_ state: State, before: String?, limit: Int) -> Statement {
        var values: [Value] = [.text(state.rawValue), .int(Int64(limit))]
        if let before { values.append(.text(before)) }
        return Statement(
            """
            SELECT \(columns) FROM pending_grants WHERE state = $1 \(before == nil ? "" : "AND id < $3 ")\
            ORDER BY id DESC LIMIT $2
            """, values)
    }
}
