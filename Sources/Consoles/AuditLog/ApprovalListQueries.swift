import Kernel

/// Reads of requests that wait for approval.
enum ApprovalListQueries {
    private static let columns = """
        a.id, a.version, a.operation, a.target_type, a.target_id, a.requester, a.state, a.action, a.plan_digest, \
        a.demands, a.event_id, a.created_at, a.expires_at
        """

    /// Pending ones that have not expired, oldest first.
    static func pending(after position: (at: Instant, id: String)?, now: Instant, limit: Int) -> Statement {
        let from = position ?? (Instant(microseconds: Int64.min), "")
        return Statement(
            """
            SELECT \(columns) FROM approvals a
            WHERE a.state = 'pending' AND (a.created_at, a.id) > ($1, $2) AND a.expires_at > $3
            ORDER BY a.created_at, a.id LIMIT \(limit)
            """, [Value(from.at), .text(from.id), Value(now)])
    }

    /// A person's own pending ones; a person may have only so many open.
    static func pending(of requester: String, limit: Int) -> Statement {
        Statement(
            """
            SELECT \(columns) FROM approvals a WHERE a.requester = $1 AND a.state = 'pending'
            ORDER BY a.created_at DESC, a.id DESC LIMIT \(limit)
            """, [.text(requester)])
    }

    /// The pending ones on a target, expired or not: at most one for each operation.
    static func pending(on target: String) -> Statement {
        Statement(
            "SELECT \(columns) FROM approvals a WHERE a.target_id = $1 AND a.state = 'pending'", [.text(target)])
    }

    static func one(_ id: String) -> Statement {
        Statement("SELECT \(columns) FROM approvals a WHERE a.id = $1", [.text(id)])
    }

    static func request(_ row: Row) throws -> ApprovalRequest {
        guard let state = ApprovalRequest.State(rawValue: try row.string("state")) else {
            throw StoreError.shape(column: "state")
        }
        return ApprovalRequest(
            id: try row.string("id"), version: try row.int("version"), operation: try row.string("operation"),
            targetType: try row.optionalString("target_type"), targetID: try row.optionalString("target_id"),
            requester: try row.string("requester"), state: state, action: try row.json("action"),
            planDigest: try row.string("plan_digest"), demands: try row.json("demands"),
            eventID: try row.string("event_id"), createdAt: try row.instant("created_at"),
            expiresAt: try row.instant("expires_at"))
    }
}
