import Kernel

/// Reads of requests that need, needed or will need a second person.
enum ApprovalListQueries {
    /// Where a page of a list ends: the key it is sorted by, and the id.
    struct Position: Sendable {
        let at: Instant
        let id: String
    }

    /// Every leaf that some open request asks for: a handful, found by as many looks into the index, however many wait.
    static let wanted = Statement(
        """
        WITH RECURSIVE used(leaf) AS (
            SELECT min(leaf) FROM approval_leaves
            UNION ALL
            SELECT (SELECT min(l.leaf) FROM approval_leaves l WHERE l.leaf > used.leaf) FROM used WHERE used.leaf IS NOT NULL)
        SELECT leaf FROM used WHERE leaf IS NOT NULL
        """)

    /// Open ones that ask for one of these leaves, asked by somebody else, the soonest to expire first. Of each leaf no more are
    /// looked at than the page holds.
    static func asking(
        _ leaves: [String], besides person: String, after position: Position?, now: Instant, limit: Int
    ) -> Statement {
        let parts = leaves.indices.map { index in
            """
            SELECT expires_at, approval_id FROM (
                SELECT expires_at, approval_id FROM approval_leaves
                WHERE leaf = $\(index + 5) AND expires_at > $1 AND (expires_at, approval_id) > ($2, $3) AND requester <> $4
                ORDER BY expires_at, approval_id LIMIT \(limit)) AS l\(index)
            """
        }
        return Statement(
            """
            SELECT \(ApprovalRequest.columns) FROM approvals WHERE id IN (
                SELECT approval_id FROM (
                    \(parts.joined(separator: "\nUNION\n")) ORDER BY expires_at, approval_id LIMIT \(limit)) AS page)
            ORDER BY expires_at, id
            """,
            [Value(now), Value(position?.at ?? Instant(microseconds: .min)), .text(position?.id ?? ""), .text(person)]
                + leaves.map(Value.text))
    }

    /// One row, `count`: how many of them there are, up to a hundred. It stands on every page, so that it stops looking after a
    /// thousand leaves: it may then be fewer than a hundred although there are more, for whoever could fill many of each.
    static func countAsking(_ leaves: [String], besides person: String, now: Instant) -> Statement {
        let places = leaves.isEmpty ? "''" : placeholders(leaves.count, from: 3)
        return Statement(
            """
            SELECT count(*) AS count FROM (
                SELECT DISTINCT approval_id FROM (
                    SELECT approval_id FROM approval_leaves
                    WHERE leaf IN (\(places)) AND expires_at > $1 AND requester <> $2 LIMIT 1000) AS looked
                LIMIT 100) AS found
            """, [Value(now), .text(person)] + leaves.map(Value.text))
    }

    /// All open ones, the soonest to expire first.
    static func open(after position: Position?, now: Instant, limit: Int) -> Statement {
        Statement(
            """
            SELECT \(ApprovalRequest.columns) FROM approvals
            WHERE state IN ('pending', 'stale') AND expires_at > $1 AND (expires_at, id) > ($2, $3)
            ORDER BY expires_at, id LIMIT \(limit)
            """, [Value(now), Value(position?.at ?? Instant(microseconds: .min)), .text(position?.id ?? "")])
    }

    /// A person's own, the newest first.
    static func own(of requester: String, before position: Position?, limit: Int) -> Statement {
        own("requester", requester, before: position, limit: limit)
    }

    /// Those a program asked for, the newest first. Through `approvals_account`.
    static func own(ofAccount account: String, before position: Position?, limit: Int) -> Statement {
        own("account_id", account, before: position, limit: limit)
    }

    private static func own(_ column: String, _ id: String, before position: Position?, limit: Int) -> Statement {
        Statement(
            """
            SELECT \(ApprovalRequest.columns) FROM approvals
            WHERE \(column) = $1 AND (created_at, id) < ($2, $3)
            ORDER BY created_at DESC, id DESC LIMIT \(limit)
            """,
            [.text(id), Value(position?.at ?? Instant(microseconds: .max)), .text(position?.id ?? "~")])
    }

    /// Everything that was decided on, the newest decision first.
    static func decided(before position: Position?, limit: Int) -> Statement {
        Statement(
            """
            SELECT \(ApprovalRequest.columns) FROM approvals
            WHERE decided_at IS NOT NULL AND (decided_at, id) < ($1, $2)
            ORDER BY decided_at DESC, id DESC LIMIT \(limit)
            """, [Value(position?.at ?? Instant(microseconds: .max)), .text(position?.id ?? "~")])
    }

    /// What a person signed or rejected, the newest first; `signed_at` and `signature_id` are the key.
    static func signed(by person: String, before position: Position?, limit: Int) -> Statement {
        Statement(
            """
            SELECT \(ApprovalRequest.columns(of: "a")), s.created_at AS signed_at, s.id AS signature_id
            FROM approval_signatures s JOIN approvals a ON a.id = s.approval_id
            WHERE s.person = $1 AND (s.created_at, s.id) < ($2, $3)
            ORDER BY s.created_at DESC, s.id DESC LIMIT \(limit)
            """,
            [.text(person), Value(position?.at ?? Instant(microseconds: .max)), .text(position?.id ?? "~")])
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

    /// A row when something waits to be shown.
    static func reveal(of approval: String, at now: Instant) -> Statement {
        Statement(
            "SELECT approval_id FROM approval_reveals WHERE approval_id = $1 AND expires_at > $2",
            [.text(approval), Value(now)])
    }

    static func signatures(on approval: String) -> Statement {
        Statement(
            """
            SELECT \(ApprovalSignature.columns) FROM approval_signatures WHERE approval_id = $1
            ORDER BY round, created_at, id
            """, [.text(approval)])
    }
}
