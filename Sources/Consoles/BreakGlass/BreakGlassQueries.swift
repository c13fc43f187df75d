import Kernel

extension BreakGlass {
    public static let columns = """
        id, version, tenant_id, person, solo, reason_code, tried, state, opened_at, ends_at, event_id, ended_at, ended_by, \
        end_reason, review_due_at, escalated_at, reviewed_at, reviewed_by, verdict, findings, follow_up
        """

    public init(_ row: Row) throws {
        func word<Word: RawRepresentable<String>>(_ column: String, _ type: Word.Type) throws -> Word? {
            guard let text = try row.optionalString(column) else { return nil }
            guard let word = Word(rawValue: text) else { throw StoreError.shape(column: column) }
            return word
        }
        guard let state = try word("state", State.self) else { throw StoreError.shape(column: "state") }
        self.init(
            id: try row.string("id"), version: try row.int("version"), tenant: try row.string("tenant_id"),
            person: try row.string("person"), isSolo: try row.bool("solo"), reasonCode: try row.string("reason_code"),
            tried: try row.optionalString("tried"), state: state, openedAt: try row.instant("opened_at"),
            endsAt: try row.instant("ends_at"), eventID: try row.string("event_id"),
            endedAt: try row.optionalInstant("ended_at"), endedBy: try row.optionalString("ended_by"),
            endReason: try word("end_reason", EndReason.self), reviewDueAt: try row.optionalInstant("review_due_at"),
            escalatedAt: try row.optionalInstant("escalated_at"), reviewedAt: try row.optionalInstant("reviewed_at"),
            reviewedBy: try row.optionalString("reviewed_by"), verdict: try word("verdict", Verdict.self),
            findings: try row.optionalString("findings"), followUp: try row.optionalString("follow_up"))
    }

    public var values: [Value] {
        [
            .text(id), .int(version), .text(tenant), .text(person), Value(isSolo), .text(reasonCode), Value(tried),
            .text(state.rawValue), Value(openedAt), Value(endsAt), .text(eventID), Value(endedAt), Value(endedBy),
            Value(endReason?.rawValue), Value(reviewDueAt), Value(escalatedAt), Value(reviewedAt), Value(reviewedBy),
            Value(verdict?.rawValue), Value(findings), Value(followUp),
        ]
    }
}

/// Break-glass by what is to be seen of it. A person has one at most that is not reviewed.
enum BreakGlassQueries {
    /// As many as are looked at; each is of another person.
    private static let most = 200

    /// Everybody's that is not reviewed. Through `breakglass_live`.
    static let live = Statement(
        "SELECT \(BreakGlass.columns) FROM breakglass_sessions WHERE state <> 'reviewed' ORDER BY person LIMIT \(most)")

    /// What `Emergency` reads of a person's own that is not reviewed, beside whatever else is known of them: what is selected, and the
    /// join that finds it.
    static let columnsBeside = """
        b.id AS breakglass_id, b.tenant_id AS breakglass_tenant, b.state AS breakglass_state, \
        b.ends_at AS breakglass_ends_at, b.solo AS breakglass_solo
        """
    static func beside(_ person: String) -> String {
        "LEFT JOIN breakglass_sessions b ON b.person = \(person) AND b.state <> 'reviewed'"
    }

    /// The same of some people. Through `breakglass_live`.
    static func live(of people: [String]) -> Statement {
        Statement(
            """
            SELECT \(BreakGlass.columns) FROM breakglass_sessions
            WHERE person IN (\(placeholders(people.count))) AND state <> 'reviewed'
            """, people.map(Value.text))
    }

    /// Those on a tenant that are not reviewed, and those in which people wrote something. Through `breakglass_tenant`.
    static func telling(of tenant: String) -> Statement {
        Statement(
            """
            SELECT \(BreakGlass.columns) FROM breakglass_sessions
            WHERE tenant_id = $1 AND (state <> 'reviewed' OR findings IS NOT NULL) ORDER BY id
            """, [.text(tenant)])
    }

    /// The same with the names of opener and tenant, those that are open first.
    static let named = Statement(
        """
        SELECT \(qualified), p.name AS person_name, t.name AS tenant_name
        FROM breakglass_sessions b
        LEFT JOIN staff p ON p.id = b.person LEFT JOIN tenants t ON t.id = b.tenant_id
        WHERE b.state <> 'reviewed' ORDER BY b.person LIMIT \(most)
        """)

    /// One with names.
    static func one(_ id: String) -> Statement { some([id]) }

    /// Some with names.
    static func some(_ ids: [String]) -> Statement {
        Statement(
            """
            SELECT \(qualified), p.name AS person_name, t.name AS tenant_name
            FROM breakglass_sessions b
            LEFT JOIN staff p ON p.id = b.person LEFT JOIN tenants t ON t.id = b.tenant_id
            WHERE b.id IN (\(placeholders(ids.count)))
            """, ids.map(Value.text))
    }

    /// That of one person that is not reviewed, with names. Through `breakglass_live`.
    static func named(of person: String) -> Statement {
        Statement(
            """
            SELECT \(qualified), p.name AS person_name, t.name AS tenant_name
            FROM breakglass_sessions b
            LEFT JOIN staff p ON p.id = b.person LEFT JOIN tenants t ON t.id = b.tenant_id
            WHERE b.person = $1 AND b.state <> 'reviewed'
            """, [.text(person)])
    }

    private static let qualified = BreakGlass.columns.split(separator: ",").map { column in
        "b." + column.drop { $0 == " " || $0 == "\n" }
    }.joined(separator: ", ")

    struct Filter: Sendable {
        var state: BreakGlass.State?
        var tenant: String?
        var person: String?
    }

    /// A page with names, the newest first; `before` is the last of the page before. Through the keys on state, tenant and person.
    static func page(_ filter: Filter, before: String?, limit: Int) -> Statement {
        var values: [Value] = [.int(Int64(limit))]
        var conditions: [String] = []
        func add(_ condition: (String) -> String, _ text: String?) {
            guard let text else { return }
            values.append(.text(text))
            conditions.append(condition("$\(values.count)"))
        }
        add({ "b.state = \($0)" }, filter.state?.rawValue)
        add({ "b.tenant_id = \($0)" }, filter.tenant)
        add({ "b.person = \($0)" }, filter.person)
        add({ "b.id < \($0)" }, before)
        return Statement(
            """
            SELECT \(qualified), p.name AS person_name, t.name AS tenant_name
            FROM breakglass_sessions b
            LEFT JOIN staff p ON p.id = b.person LEFT JOIN tenants t ON t.id = b.tenant_id
            \(conditions.isEmpty ? "" : "WHERE \(conditions.joined(separator: " AND "))") ORDER BY b.id DESC LIMIT $1
            """, values)
    }

    /// The tenant with this id or slug.
    static func tenant(_ text: String) -> [Statement] {
        ["id", "slug"].map {
            Statement("SELECT id, name, slug, status FROM tenants WHERE \($0) = $1", [.text(text)])
        }
    }

    /// `requester`, `tenant_id` and `state` of requests to open one that ended since a time. Through `approvals_decided`.
    static func answered(since: Instant) -> Statement {
        Statement(
            """
            SELECT id, requester, tenant_id, state, decided_at FROM approvals
            WHERE decided_at > $1 AND decided_at IS NOT NULL AND operation = 'breakglass.open'
            ORDER BY decided_at DESC, id DESC LIMIT \(most)
            """, [Value(since)])
    }

    /// The same of those that wait for a signature. Through `approvals_live`, whose own condition stands first.
    static func waiting(at now: Instant) -> Statement {
        Statement(
            """
            SELECT id, requester, tenant_id, state, expires_at FROM approvals
            WHERE operation = 'breakglass.open' AND state IN ('pending', 'stale', 'approved', 'scheduled')
                AND state IN ('pending', 'stale') AND expires_at > $1
            ORDER BY id LIMIT \(most)
            """, [Value(now)])
    }

    /// `id` of active people whose roles hold a permission now. Through `role_permissions_pair` and `grants_staff`.
    static func holders(of permission: String, at now: Instant) -> Statement {
        Statement(
            """
            SELECT DISTINCT s.id FROM staff s JOIN grants g ON g.staff_id = s.id
            JOIN role_permissions r ON r.role_id = g.role_id AND r.permission = $1 AND r.revoked = 0
            WHERE s.status = 'active' AND g.revoked_at IS NULL AND (g.expires_at IS NULL OR g.expires_at > $2)
            ORDER BY s.id LIMIT \(most)
            """, [.text(permission), Value(now)])
    }

    /// One row: whether a person is active and their roles hold a permission now (`holds`), and when their factors were reset.
    static func standing(of person: String, _ permission: String, at now: Instant) -> Statement {
        Statement(
            """
            SELECT s.reset_at, CASE WHEN s.status = 'active' AND EXISTS (
                SELECT 1 FROM grants g JOIN role_permissions r ON r.role_id = g.role_id
                WHERE g.staff_id = s.id AND g.revoked_at IS NULL AND (g.expires_at IS NULL OR g.expires_at > $3)
                    AND r.permission = $2 AND r.revoked = 0
            ) THEN 1 ELSE 0 END AS holds
            FROM staff s WHERE s.id = $1
            """, [.text(person), .text(permission), Value(now)])
    }

    /// `person` of those who agreed to what an event carried out, and `at`: when they did so last.
    static func signers(of event: String) -> Statement {
        Statement(
            """
            SELECT s.person, MAX(s.created_at) AS at FROM events e
            JOIN approval_signatures s ON s.approval_id = e.approval_id
            WHERE e.id = $1 AND s.decision = 'approve' GROUP BY s.person ORDER BY s.person
            """, [.text(event)])
    }

    /// `id` of those whom one person invited, gave a role or had new factors made for since a time. Staff are few.
    static func touched(by person: String, since: Instant) -> Statement {
        Statement(
            """
            SELECT id FROM staff WHERE (invited_by = $1 AND COALESCE(invited_at, created_at) > $2)
                OR (reset_by = $1 AND reset_at > $2)
            UNION SELECT staff_id AS id FROM grants
            WHERE granted_at > $2 AND (granted_by = $1 OR token_holder = $1)
            ORDER BY id
            """, [.text(person), Value(since)])
    }

    /// `approval_id` of the request an event carried out, and `asked_at`: when it was made.
    static func approval(of event: String) -> Statement {
        Statement(
            """
            SELECT e.approval_id, a.created_at AS asked_at FROM events e LEFT JOIN approvals a ON a.id = e.approval_id
            WHERE e.id = $1
            """, [.text(event)])
    }

    /// What one person asked others for in a time, with its end. Through `approvals_by`.
    static func asked(by person: String, from start: Instant, until end: Instant) -> Statement {
        Statement(
            """
            SELECT \(ApprovalRequest.columns) FROM approvals
            WHERE requester = $1 AND created_at >= $2 AND created_at <= $3 ORDER BY created_at, id LIMIT 50
            """, [.text(person), Value(start), Value(end)])
    }
}
