import Kernel

extension ClockJump {
    public static let columns = "id, version, seconds, times, is_open, first_at, last_at, confirmed_at, confirmed_by"

    public init(_ row: Row) throws {
        self.init(
            id: try row.string("id"), version: try row.int("version"), seconds: try row.int("seconds"),
            times: try row.int("times"), firstAt: try row.instant("first_at"), lastAt: try row.instant("last_at"),
            confirmedAt: try row.optionalInstant("confirmed_at"), confirmedBy: try row.optionalString("confirmed_by"))
    }

    public var values: [Value] {
        [
            .text(id), .int(version), .int(seconds), .int(times), Value(isOpen), Value(firstAt), Value(lastAt),
            Value(confirmedAt), Value(confirmedBy),
        ]
    }

    /// Through `clock_jumps_open`.
    static let unconfirmed = Statement("SELECT \(columns) FROM clock_jumps WHERE is_open = 1")

    /// `person`: who asked for or signed what was agreed to by then and is not carried out yet, through `approvals_due`; and who
    /// asked by then for break-glass that nobody has answered, and which opens for one alone once it is called expired. Through
    /// `approvals_live`, whose own condition stands first.
    static func waiting(at time: Instant) -> Statement {
        Statement(
            """
            SELECT requester AS person FROM approvals
            WHERE state IN ('approved', 'scheduled') AND execute_at > 0 AND decided_at <= $1
            UNION
            SELECT s.person FROM approvals a JOIN approval_signatures s ON s.approval_id = a.id AND s.round = a.round
            WHERE a.state IN ('approved', 'scheduled') AND a.execute_at > 0 AND a.decided_at <= $1
            UNION
            SELECT requester AS person FROM approvals
            WHERE operation = 'breakglass.open' AND state IN ('pending', 'stale', 'approved', 'scheduled')
                AND state IN ('pending', 'stale') AND created_at <= $1
            """, [Value(time)])
    }
}
