import Kernel

/// Reads of requests that wait for approval.
enum ApprovalListQueries {
    /// Pending ones that have not expired, oldest first.
    static func pending(after position: (at: Instant, id: String)?, now: Instant, limit: Int) -> Statement {
        let from = position ?? (Instant(microseconds: Int64.min), "")
        return Statement(
            """
            SELECT \(ApprovalRequest.columns) FROM approvals
            WHERE state IN ('pending', 'stale') AND (created_at, id) > ($1, $2) AND expires_at > $3
            ORDER BY created_at, id LIMIT \(limit)
            """, [Value(from.at), .text(from.id), Value(now)])
    }

    /// A person's own pending ones; a person may have only so many open.
    static func pending(of requester: String, limit: Int) -> Statement {
        Statement(
            """
            SELECT \(ApprovalRequest.columns) FROM approvals WHERE requester = $1 AND state IN ('pending', 'stale')
            ORDER BY created_at DESC, id DESC LIMIT \(limit)
            """, [.text(requester)])
    }

    /// The live ones on a target: at most one for each operation. One whose window is over is among them.
    static func live(on target: String) -> Statement {
        Statement(
            """
            SELECT \(ApprovalRequest.columns) FROM approvals
            WHERE target_id = $1 AND state IN ('pending', 'stale', 'approved', 'scheduled')
            """, [.text(target)])
    }

    static func one(_ id: String) -> Statement {
        Statement("SELECT \(ApprovalRequest.columns) FROM approvals WHERE id = $1", [.text(id)])
    }
}
