import Kernel

/// The rows behind inboxes and reminders.
enum InboxQueries {
    // MARK: Events that wait

    static let isWaiting = Statement("SELECT seq FROM inbox_pending ORDER BY seq LIMIT 1")

    /// The oldest events nobody looked at, with what they say.
    static func waiting(limit: Int) -> Statement {
        Statement(
            """
            SELECT p.seq, e.id, e.at, e.class, e.action, e.outcome, e.actor_id, e.target_type, e.target_id, e.approval_id,
                e.leaf
            FROM (SELECT seq, event_id FROM inbox_pending ORDER BY seq LIMIT \(limit)) AS p
            JOIN events e ON e.id = p.event_id ORDER BY p.seq
            """)
    }

    static func done(_ seqs: [Int64]) -> Statement {
        let seqs = filled(seqs)
        return Statement(
            "DELETE FROM inbox_pending WHERE seq IN (\(placeholders(seqs.count)))", seqs.map(Value.int))
    }

    // MARK: People

    /// Active people who hold a role or a permission of these leaves now, in the order of their ids.
    static func holders(roles: [String], permissions: [String], at now: Instant, limit: Int) -> Statement {
        // An empty list is no SQL; '' is no role.
        let named = roles.isEmpty ? "''" : placeholders(roles.count, from: 2)
        let granted = permissions.isEmpty ? "''" : placeholders(permissions.count, from: 2 + roles.count)
        return Statement(
            """
            SELECT DISTINCT s.id FROM grants g JOIN staff s ON s.id = g.staff_id
            WHERE (g.role_id IN (\(named)) OR g.role_id IN (
                    SELECT role_id FROM role_permissions WHERE permission IN (\(granted)) AND revoked = 0))
                AND g.revoked_at IS NULL AND (g.expires_at IS NULL OR g.expires_at > $1) AND s.status = 'active'
            ORDER BY s.id LIMIT \(limit)
            """, [Value(now)] + roles.map(Value.text) + permissions.map(Value.text))
    }

    /// Those of these people who used a session since a time. Through `sessions_open`.
    static func present(_ people: [String], since: Instant, at now: Instant) -> Statement {
        Statement(
            """
            SELECT DISTINCT staff_id FROM sessions
            WHERE staff_id IN (\(people.isEmpty ? "''" : placeholders(people.count, from: 3))) AND ended_at IS NULL
                AND expires_at > $1 AND last_seen_at > $2
            """, [Value(now), Value(since)] + people.map(Value.text))
    }

    /// Sessions that are going on, with what says whether they still are.
    static func sessions(_ ids: [String]) -> Statement {
        Statement(
            """
            SELECT s.id, s.created_at, s.last_seen_at, s.expires_at,
                (SELECT value FROM settings WHERE id = 'session_hours') AS session_hours,
                (SELECT value FROM settings WHERE id = 'idle_minutes') AS idle_minutes,
                (SELECT value FROM settings WHERE id = 'step_up_minutes') AS step_up_minutes
            FROM sessions s JOIN staff p ON p.id = s.staff_id
            WHERE s.id IN (\(placeholders(ids.count))) AND s.ended_at IS NULL AND p.status = 'active'
            """, ids.map(Value.text))
    }

    // MARK: Inboxes

    static let columns =
        "n.id, n.staff_id, n.kind, n.event_id, n.about_type, n.about_id, n.created_at, n.read_at, n.is_moot"

    /// In portions, so that there are few texts, and few enough values for each to be prepared.
    private static func portioned<T>(
        _ all: [T], upTo most: Int = 32, _ statement: (ArraySlice<T>) -> Statement
    ) -> [Statement] {
        var out: [Statement] = []
        var rest = all[...]
        while let count = [32, 8, 2, 1].first(where: { $0 <= min(rest.count, most) }) {
            out.append(statement(rest.prefix(count)))
            rest = rest.dropFirst(count)
        }
        return out
    }

    /// Answers a row for each whose person was not told this before.
    static func insert(_ notices: [Notice]) -> [Statement] {
        portioned(notices, upTo: 8) { notices in
            let rows = notices.indices.map { "(\(placeholders(7, from: 7 * ($0 - notices.startIndex) + 1)), NULL, 0)" }
            return Statement(
                """
                INSERT INTO notifications
                    (id, staff_id, kind, event_id, about_type, about_id, created_at, read_at, is_moot)
                VALUES \(rows.joined(separator: ", "))
                ON CONFLICT (event_id, staff_id, kind) DO NOTHING RETURNING staff_id
                """,
                notices.flatMap { notice in
                    [
                        .text(notice.id), .text(notice.staff), .text(notice.kind.rawValue), .text(notice.event),
                        Value(notice.about?.type), Value(notice.about?.id), Value(notice.createdAt),
                    ]
                })
        }
    }

    /// A page, the newest first.
    static func page(
        of staff: String, onlyUnread: Bool, before position: ApprovalListQueries.Position?, limit: Int
    ) -> Statement {
        Statement(
            """
            SELECT \(columns) FROM notifications n
            WHERE n.staff_id = $1 \(onlyUnread ? "AND n.read_at IS NULL " : "")AND (n.created_at, n.id) < ($2, $3)
            ORDER BY n.created_at DESC, n.id DESC LIMIT \(limit)
            """,
            [.text(staff), Value(position?.at ?? Instant(microseconds: .max)), .text(position?.id ?? "~")])
    }

    /// One row, `count`: how many are unread, up to a hundred.
    static func countUnread(of staff: String) -> Statement {
        Statement(
            """
            SELECT count(*) AS count FROM (
                SELECT 1 AS one FROM notifications WHERE staff_id = $1 AND read_at IS NULL LIMIT 100) AS found
            """, [.text(staff)])
    }

    /// Answers a row when it was unread.
    static func read(_ id: String, of staff: String, at now: Instant) -> Statement {
        Statement(
            "UPDATE notifications SET read_at = $3 WHERE id = $1 AND staff_id = $2 AND read_at IS NULL RETURNING id",
            [.text(id), .text(staff), Value(now)])
    }

    static func find(_ id: String, of staff: String) -> Statement {
        Statement("SELECT id FROM notifications WHERE id = $1 AND staff_id = $2", [.text(id), .text(staff)])
    }

    static func readAll(of staff: String, until: Instant, at now: Instant) -> Statement {
        Statement(
            """
            UPDATE notifications SET read_at = $3 WHERE staff_id = $1 AND read_at IS NULL AND created_at <= $2
            RETURNING id
            """, [.text(staff), Value(until), Value(now)])
    }

    /// What asked for something asks nobody any more, or not this person, who did their part; answers whose inbox changed.
    static func settle(about ids: [String], of staff: String?, kinds: [String], at now: Instant) -> [Statement] {
        portioned(ids) { ids in
            var values = [Value(now)] + kinds.map(Value.text) + ids.map(Value.text)
            var condition = """
                about_id IN (\(placeholders(ids.count, from: 2 + kinds.count))) AND read_at IS NULL \
                AND kind IN (\(placeholders(kinds.count, from: 2)))
                """
            if let staff {
                values.append(.text(staff))
                // A CASE, so that what it is about is what narrows.
                condition += " AND CASE WHEN staff_id = $\(values.count) THEN 1 ELSE 0 END = 1"
            }
            return Statement(
                """
                UPDATE notifications SET read_at = $1\(staff == nil ? ", is_moot = 1" : "") WHERE \(condition)
                RETURNING staff_id
                """, values)
        }
    }

    /// The same of one thing for everybody but those who still have something to do.
    static func settle(about id: String, but people: [String], kinds: [String], at now: Instant) -> Statement {
        Statement(
            """
            UPDATE notifications SET read_at = $2
            WHERE about_id = $1 AND read_at IS NULL AND kind IN (\(placeholders(kinds.count, from: 3)))
                AND staff_id NOT IN (\(people.isEmpty ? "''" : placeholders(people.count, from: 3 + kinds.count)))
            RETURNING staff_id
            """, [.text(id), Value(now)] + kinds.map(Value.text) + people.map(Value.text))
    }

    /// Removes up to 500 that were made before a time; answers a row for each.
    static func forget(madeBefore time: Instant) -> Statement {
        Statement(
            """
            DELETE FROM notifications WHERE id IN (
                SELECT id FROM notifications WHERE created_at < $1 ORDER BY created_at LIMIT 500)
            RETURNING id
            """, [Value(time)])
    }

    // MARK: Marks

    /// The next mark. Its row stays locked until the commit, so whoever reads a mark sees everything before it.
    static let nextMark = Statement("UPDATE inbox_state SET mark = mark + 1 WHERE id = 1 RETURNING mark")

    static let mark = Statement("SELECT mark FROM inbox_state WHERE id = 1")

    static func setMark(_ mark: Int64, of staff: String) -> Statement {
        Statement(
            """
            INSERT INTO inbox_marks (staff_id, mark) VALUES ($1, $2)
            ON CONFLICT (staff_id) DO UPDATE SET mark = excluded.mark
            """, [.text(staff), .int(mark)])
    }

    /// Whose inbox changed since a mark, with what is unread there.
    static func changed(since mark: Int64, limit: Int) -> Statement {
        Statement(
            """
            SELECT m.mark, m.staff_id, (
                SELECT count(*) FROM (
                    SELECT 1 AS one FROM notifications n WHERE n.staff_id = m.staff_id AND n.read_at IS NULL LIMIT 100
                ) AS found) AS unread
            FROM inbox_marks m WHERE m.mark > $1 ORDER BY m.mark, m.staff_id LIMIT \(limit)
            """, [.int(mark)])
    }

    // MARK: What notices tell of

    static func events(_ ids: [String]) -> Statement {
        Statement(
            """
            SELECT e.id, e.at, e.action, e.actor_type, e.actor_id, e.leaf, s.members FROM events e
            LEFT JOIN sealed s ON s.event_id = e.id WHERE e.id IN (\(placeholders(ids.count)))
            """, ids.map(Value.text))
    }

    static func requests(_ ids: [String]) -> Statement {
        let ids = filled(ids)
        return Statement(
            "SELECT \(ApprovalRequest.columns) FROM approvals WHERE id IN (\(placeholders(ids.count)))",
            ids.map(Value.text))
    }

    /// Whose grants these are.
    static func holders(ofGrants ids: [String]) -> Statement {
        Statement(
            "SELECT DISTINCT staff_id FROM grants WHERE id IN (\(placeholders(ids.count)))", ids.map(Value.text))
    }

    // MARK: Reminders

    static func remind(_ request: String, _ stage: String, round: Int64, at due: Instant) -> Statement {
        Statement(
            """
            INSERT INTO approval_reminders (approval_id, stage, round, due_at) VALUES ($1, $2, $3, $4)
            ON CONFLICT (approval_id, stage) DO UPDATE SET round = excluded.round, due_at = excluded.due_at
            """, [.text(request), .text(stage), .int(round), Value(due)])
    }

    static func remindNoMore(_ requests: [String]) -> [Statement] {
        portioned(requests) { requests in
            Statement(
                "DELETE FROM approval_reminders WHERE approval_id IN (\(placeholders(requests.count)))",
                requests.map(Value.text))
        }
    }

    static func dueReminders(at now: Instant, limit: Int) -> Statement {
        Statement(
            """
            SELECT DISTINCT approval_id FROM (
                SELECT approval_id FROM approval_reminders WHERE due_at <= $1 ORDER BY due_at, approval_id LIMIT \(limit)
            ) AS due
            """, [Value(now)])
    }

    /// Takes what is due of a request: whoever gets the rows reminds, and nobody else does.
    static func takeReminders(of request: String, at now: Instant) -> Statement {
        Statement(
            "DELETE FROM approval_reminders WHERE approval_id = $1 AND due_at <= $2 RETURNING stage, round",
            [.text(request), Value(now)])
    }
}
