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

    /// `reason_code`: whether a legal hold was the last said of one on a tenant, or its end. A suspension is forgotten when the
    /// tenant is cancelled, its hold is not. `suspended_for`: what it was suspended for last, whatever it came through since.
    static func hold(on tenant: String) -> Statement {
        Statement(
            """
            SELECT \(hold("$1")) AS reason_code, \
            (SELECT s.reason_code FROM tenant_status_history s WHERE s.tenant_id = $1 AND s.to_status = 'suspended' \
            AND COALESCE(s.from_status, '') <> 'archived' ORDER BY s.at DESC, s.seq DESC LIMIT 1) AS suspended_for
            """, [.text(tenant)])
    }

    /// The last is the one that was written last: a clock may have been ahead. The sum keeps a database from walking the whole
    /// history backwards to find it.
    private static func hold(_ tenant: String) -> String {
        """
        (SELECT h.reason_code FROM tenant_status_history h WHERE h.seq = (\
        SELECT MAX(l.seq + 0) FROM tenant_status_history l WHERE l.tenant_id = \(tenant) \
        AND l.reason_code IN ('legal_hold', 'legal_hold_lifted')))
        """
    }

    /// Those that may be deleted, that nobody suspended before, on which no legal hold stands and no break-glass waits for its
    /// review, and whose deletion nobody was asked for since `asked`.
    static func deletable(at now: Instant, asked: Instant, limit: Int) -> Statement {
        Statement(
            """
            SELECT t.id AS id FROM tenants t \
            WHERE t.deletion_eligible_at IS NOT NULL AND t.deletion_eligible_at <= $1 AND (t.status || '') = 'archived' \
            AND (t.resumes_to IS NULL OR t.resumes_to <> 'suspended') AND COALESCE(\(hold("t.id")), '') <> 'legal_hold' \
            AND NOT EXISTS (SELECT 1 FROM approvals a WHERE a.target_id = t.id \
            AND a.operation = 'tenant.hard_delete' AND a.created_at > $2) \
            AND NOT EXISTS (SELECT 1 FROM breakglass_sessions b WHERE b.tenant_id = t.id AND b.state <> 'reviewed') \
            ORDER BY t.deletion_eligible_at, t.id LIMIT $3
            """, [Value(now), Value(asked), .int(Int64(limit))])
    }
}
