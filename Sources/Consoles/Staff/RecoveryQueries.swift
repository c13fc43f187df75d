import Kernel

extension Recovery {
    public static let columns = "id, version, staff_id, name, state, requested_at, execute_at, ended_at, ended_by"

    public init(_ row: Row) throws {
        guard let state = State(rawValue: try row.string("state")) else { throw StoreError.shape(column: "state") }
        self.init(
            id: try row.string("id"), version: try row.int("version"), staffID: try row.string("staff_id"),
            name: try row.string("name"), state: state, requestedAt: try row.instant("requested_at"),
            executeAt: try row.instant("execute_at"),
            endedAt: try row.optionalInstant("ended_at"), endedBy: try row.optionalString("ended_by"))
    }

    public var values: [Value] {
        [
            .text(id), .int(version), .text(staffID), .text(name), .text(state.rawValue), Value(requestedAt),
            Value(executeAt),
            Value(endedAt), Value(endedBy),
        ]
    }

    /// The one of a person that waits. Through `recoveries_pending`.
    static func pending(of staff: String) -> Statement {
        Statement("SELECT \(columns) FROM recoveries WHERE staff_id = $1 AND state = 'pending'", [.text(staff)])
    }

    /// Those that wait; there is one for each super_admin at most. Through `recoveries_due`.
    static let waiting = Statement(
        "SELECT \(columns) FROM recoveries WHERE state = 'pending' ORDER BY execute_at, id LIMIT 20")

    /// Those whose time has come. Through `recoveries_due`.
    static func due(at now: Instant) -> Statement {
        Statement(
            """
            SELECT id FROM recoveries WHERE state = 'pending' AND execute_at <= $1 ORDER BY execute_at, id LIMIT 20
            """, [Value(now)])
    }
}
