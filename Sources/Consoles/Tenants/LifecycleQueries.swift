import Kernel

/// Tenants whose time has come, a small batch each, by index from where the batch before ended.
enum LifecycleQueries {
    /// Those that wait for their first sign-in, the last seen first; `before` is the last one looked at.
    static func ready(before: (at: Instant, id: String)?, limit: Int) -> Statement {
        let columns = "id, last_activity_at, status_since"
        guard let before else {
            return Statement(
                """
                SELECT \(columns) FROM tenants WHERE status = 'ready' ORDER BY last_activity_at DESC, id DESC LIMIT $1
                """, [.int(Int64(limit))])
        }
        return Statement(
            """
            SELECT \(columns) FROM tenants WHERE status = 'ready' AND (last_activity_at, id) < ($1, $2) \
            ORDER BY last_activity_at DESC, id DESC LIMIT $3
            """, [Value(before.at), .text(before.id), .int(Int64(limit))])
    }

    /// Those that are cancelled since `time` or longer, the longest first.
    static func cancelled(since time: Instant, limit: Int) -> Statement {
        Statement(
            """
            SELECT id FROM tenants WHERE status = 'cancelled' AND status_since <= $1 \
            ORDER BY status_since, id LIMIT $2
            """, [Value(time), .int(Int64(limit))])
    }

    /// Those that may be deleted, that nobody suspended before, and whose deletion nobody was asked for since `asked`.
    static func deletable(at now: Instant, asked: Instant, limit: Int) -> Statement {
        Statement(
            """
            SELECT t.id AS id FROM tenants t \
            WHERE t.deletion_eligible_at IS NOT NULL AND t.deletion_eligible_at <= $1 AND (t.status || '') = 'archived' \
            AND (t.resumes_to IS NULL OR t.resumes_to <> 'suspended') \
            AND NOT EXISTS (SELECT 1 FROM approvals a WHERE a.target_id = t.id \
            AND a.operation = 'tenant.hard_delete' AND a.created_at > $2) \
            ORDER BY t.deletion_eligible_at, t.id LIMIT $3
            """, [Value(now), Value(asked), .int(Int64(limit))])
    }
}
