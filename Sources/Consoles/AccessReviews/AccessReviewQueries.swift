import Kernel

extension AccessReview {
    public static let columns = """
        id, version, roles, reviewers, state, is_planned, started_by, started_at, due_at, reminded, exception_id, ended_at, \
        ended_by
        """

    public init(_ row: Row) throws {
        guard let state = State(rawValue: try row.string("state")) else { throw StoreError.shape(column: "state") }
        self.init(
            id: try row.string("id"), version: try row.int("version"),
            roles: try RoleSeparation.roles(row, "roles"), reviewers: try RoleSeparation.roles(row, "reviewers"),
            state: state, isPlanned: try row.bool("is_planned"), startedBy: try row.string("started_by"),
            startedAt: try row.instant("started_at"), dueAt: try row.instant("due_at"),
            reminded: try row.int("reminded"), exceptionID: try row.optionalString("exception_id"),
            endedAt: try row.optionalInstant("ended_at"), endedBy: try row.optionalString("ended_by"))
    }

    public var values: [Value] {
        [
            .text(id), .int(version), Value(JSON.array(roles.map(JSON.string))),
            Value(JSON.array(reviewers.map(JSON.string))), .text(state.rawValue), Value(isPlanned), .text(startedBy),
            Value(startedAt), Value(dueAt), .int(reminded), Value(exceptionID), Value(endedAt), Value(endedBy),
        ]
    }
}

extension AccessReviewItem {
    public static let columns = """
        id, version, review_id, place, grant_id, staff_id, name, role, granted_by, granted_at, expires_at, last_sign_in_at, \
        last_used_at, last_used_for, reviewer, state, decided_by, decided_at, reason_code, event_id
        """

    public init(_ row: Row) throws {
        guard let state = State(rawValue: try row.string("state")) else { throw StoreError.shape(column: "state") }
        let grant = Grant(
            id: try row.string("grant_id"), staffID: try row.string("staff_id"), role: try row.string("role"),
            grantedBy: try row.string("granted_by"), grantedAt: try row.instant("granted_at"),
            expiresAt: try row.optionalInstant("expires_at"))
        self.init(
            id: try row.string("id"), version: try row.int("version"), reviewID: try row.string("review_id"),
            place: try row.int("place"), grant: grant, name: try row.string("name"),
            lastSignInAt: try row.optionalInstant("last_sign_in_at"),
            lastUsedAt: try row.optionalInstant("last_used_at"), lastUsedFor: try row.optionalString("last_used_for"),
            reviewer: try row.optionalString("reviewer"), state: state)
        decidedBy = try row.optionalString("decided_by")
        decidedAt = try row.optionalInstant("decided_at")
        reasonCode = try row.optionalString("reason_code")
        eventID = try row.optionalString("event_id")
    }

    public var values: [Value] {
        [
            .text(id), .int(version), .text(reviewID), .int(place), .text(grantID), .text(staffID), .text(name),
            .text(role), .text(grantedBy), Value(grantedAt), Value(expiresAt), Value(lastSignInAt), Value(lastUsedAt),
            Value(lastUsedFor), Value(reviewer), .text(state.rawValue), Value(decidedBy), Value(decidedAt),
            Value(reasonCode), Value(eventID),
        ]
    }
}

extension AccessReviewPlan {
    public static let columns = "id, version, is_on, cadence, roles, days_until_due, updated_at"

    public init(_ row: Row) throws {
        guard let cadence = Cadence(rawValue: try row.string("cadence")) else {
            throw StoreError.shape(column: "cadence")
        }
        guard try row.string("id") == Self.only else { throw StoreError.shape(column: "id") }
        self.init(
            version: try row.int("version"), isOn: try row.bool("is_on"), cadence: cadence,
            roles: try RoleSeparation.roles(row, "roles"), daysUntilDue: try row.int("days_until_due"),
            updatedAt: try row.instant("updated_at"))
    }

    public var values: [Value] {
        [
            .text(id), .int(version), Value(isOn), .text(cadence.rawValue),
            Value(JSON.array(roles.map(JSON.string))), .int(daysUntilDue), Value(updatedAt),
        ]
    }
}

extension ComplianceException {
    public static let columns = """
        id, version, control_id, source_type, source_id, title, severity, status, owner, opened_at, target_close, closed_at, \
        closed_by
        """

    public init(_ row: Row) throws {
        guard let severity = Severity(rawValue: try row.string("severity")) else {
            throw StoreError.shape(column: "severity")
        }
        guard let status = Status(rawValue: try row.string("status")) else { throw StoreError.shape(column: "status") }
        self.init(
            id: try row.string("id"), version: try row.int("version"), controlID: try row.string("control_id"),
            source: (try row.string("source_type"), try row.string("source_id")), title: try row.string("title"),
            severity: severity, status: status, owner: try row.optionalString("owner"),
            openedAt: try row.instant("opened_at"), closedAt: try row.optionalInstant("closed_at"),
            closedBy: try row.optionalString("closed_by"))
        targetClose = try row.instant("target_close")
    }

    public var values: [Value] {
        [
            .text(id), .int(version), .text(controlID), .text(sourceType), .text(sourceID), .text(title),
            .text(severity.rawValue), .text(status.rawValue), Value(owner), Value(openedAt), Value(targetClose),
            Value(closedAt), Value(closedBy),
        ]
    }
}

enum AccessReviewQueries {
    /// A position in a list that is ordered by time.
    struct Position: Sendable {
        let at: Instant
        let id: String
    }

    /// Held by whoever may decide.
    static let permission = "access_review.decide"

    private static let isAble = """
        EXISTS (
            SELECT 1 FROM grants h JOIN role_permissions p ON p.role_id = h.role_id
            WHERE h.staff_id = s.id AND h.revoked_at IS NULL AND (h.expires_at IS NULL OR h.expires_at > $1)
                AND p.permission = '\(permission)' AND p.revoked = 0)
        """

    // MARK: Beginning

    /// Every grant of some roles that is in force, with the name of who holds it. Through `grants_role`.
    static func grants(of roles: [String], at now: Instant) -> Statement {
        Statement(
            """
            SELECT \(qualified(Grant.columns, "g")), s.name AS staff_name FROM grants g JOIN staff s ON s.id = g.staff_id
            WHERE g.role_id IN (\(placeholders(roles.count, from: 2))) AND g.revoked_at IS NULL
                AND (g.expires_at IS NULL OR g.expires_at > $1) AND s.status <> 'deactivated'
            ORDER BY g.role_id, s.name, g.id LIMIT \(AccessReview.most + 1)
            """, [Value(now)] + roles.map(Value.text))
    }

    /// `id`, `email` and `name` of everybody who may decide.
    static func able(at now: Instant) -> Statement {
        Statement(
            """
            SELECT s.id, s.email, s.name FROM staff s WHERE s.status = 'active' AND \(isAble) ORDER BY s.id LIMIT 500
            """, [Value(now)])
    }

    /// `staff_id` and `at`: when each signed in last. Through `sessions_started`.
    static func lastSignIns(of staff: [String]) -> Statement {
        Statement(
            """
            SELECT staff_id, MAX(created_at) AS at FROM sessions WHERE staff_id IN (\(placeholders(staff.count)))
            GROUP BY staff_id
            """, staff.map(Value.text))
    }

    /// As far back the newest events of a person are looked through.
    static let lookedThrough = 1000

    /// `action` and `at` of the newest of some actions that a person did or asked for. Through `events_actor`, and no further
    /// than so many of their events: what it costs does not grow with their history.
    static func lastUse(of actions: [String], by staff: String) -> Statement {
        Statement(
            """
            SELECT action, at FROM (
                SELECT id, at, action, class, outcome FROM events WHERE actor_id = $1
                ORDER BY at DESC, id DESC LIMIT \(lookedThrough)
            ) AS recent
            WHERE class IN ('mutation', 'approval') AND outcome IN ('applied', 'requested')
                AND action IN (\(placeholders(actions.count, from: 2)))
            ORDER BY at DESC, id DESC LIMIT 1
            """, [.text(staff)] + actions.map(Value.text))
    }

    /// The newest that the calendar started. Through `access_reviews_last`.
    static let lastPlanned = Statement(
        """
        SELECT \(AccessReview.columns) FROM access_reviews WHERE is_planned = 1 ORDER BY started_at DESC LIMIT 1
        """)

    // MARK: One campaign

    /// All of it, in order.
    static func items(of review: String) -> Statement {
        Statement(
            """
            SELECT \(AccessReviewItem.columns) FROM access_review_items WHERE review_id = $1 ORDER BY place
            """, [.text(review)])
    }

    /// The grants it is about, as they are now.
    static func grants(in review: String) -> Statement {
        Statement(
            """
            SELECT \(qualified(Grant.columns, "g")) FROM access_review_items i JOIN grants g ON g.id = i.grant_id
            WHERE i.review_id = $1
            """, [.text(review)])
    }

    /// A page of it, with `grant_revoked_at` and `grant_expires_at` of now. Through `access_review_items_place`.
    static func page(
        of review: String, state: AccessReviewItem.State?, reviewer: String?, after place: Int64, at now: Instant,
        limit: Int
    ) -> Statement {
        var values: [Value] = [.text(review), .int(place), .int(Int64(limit))]
        func bound(_ value: Value) -> String {
            values.append(value)
            return "$\(values.count)"
        }
        var conditions = ["i.review_id = $1", "i.place > $2"]
        func live() -> String {
            "g.revoked_at IS NULL AND (g.expires_at IS NULL OR g.expires_at > \(bound(Value(now))))"
        }
        switch state {
        case nil: break
        case .open: conditions.append("i.state = 'open' AND \(live())")
        case .ended: conditions.append("(i.state = 'ended' OR i.state = 'open' AND NOT (\(live())))")
        case .kept, .revoked: conditions.append("i.state = \(bound(.text(state?.rawValue ?? "")))")
        }
        if let reviewer {
            // Whose it is to decide, or who has.
            conditions.append("(i.reviewer = \(bound(.text(reviewer))) OR i.decided_by = \(bound(.text(reviewer))))")
        }
        return Statement(
            """
            SELECT \(itemColumns), g.revoked_at AS grant_revoked_at, g.expires_at AS grant_expires_at
            FROM access_review_items i JOIN grants g ON g.id = i.grant_id WHERE \(conditions.joined(separator: " AND "))
            ORDER BY i.place LIMIT $3
            """, values)
    }

    private static let itemColumns = qualified(AccessReviewItem.columns, "i")

    private static func qualified(_ columns: String, _ table: String) -> String {
        columns.split(whereSeparator: { $0 == "," || $0 == "\n" || $0 == " " }).map { "\(table).\($0)" }
            .joined(separator: ", ")
    }

    /// `review_id`, `state`, `is_live` and `count`, of several.
    static func progress(of reviews: [String], at now: Instant) -> Statement {
        Statement(
            """
            SELECT i.review_id, i.state, CASE WHEN g.revoked_at IS NULL AND (g.expires_at IS NULL OR g.expires_at > $1)
                THEN 1 ELSE 0 END AS is_live, COUNT(*) AS count
            FROM access_review_items i JOIN grants g ON g.id = i.grant_id
            WHERE i.review_id IN (\(placeholders(reviews.count, from: 2))) GROUP BY i.review_id, i.state, is_live
            """, [Value(now)] + reviews.map(Value.text))
    }

    /// `staff_id` of everybody whose grant somebody kept in a campaign.
    static func kept(by person: String, in review: String) -> Statement {
        Statement(
            """
            SELECT DISTINCT staff_id FROM access_review_items
            WHERE review_id = $1 AND state = 'kept' AND decided_by = $2
            """, [.text(review), .text(person)])
    }

    /// `event_id` of everything that changed a campaign or one of its items, in the order of time. Through the key of
    /// `event_entity`.
    static func events(of review: String) -> Statement {
        Statement(
            """
            SELECT DISTINCT n.event_id, e.at FROM (
                SELECT event_id FROM event_entity WHERE type = 'access_review' AND id = $1
                UNION ALL
                SELECT x.event_id FROM access_review_items i
                JOIN event_entity x ON x.type = 'access_review_item' AND x.id = i.id WHERE i.review_id = $2
            ) AS n JOIN events e ON e.id = n.event_id ORDER BY e.at, n.event_id
            """, [.text(review), .text(review)])
    }

    /// The newest about one person. Through `access_review_items_staff`.
    static func items(about staff: String, limit: Int) -> Statement {
        Statement(
            """
            SELECT \(AccessReviewItem.columns) FROM access_review_items WHERE staff_id = $1 ORDER BY id DESC LIMIT \(limit)
            """, [.text(staff)])
    }

    // MARK: Lists

    /// A page of campaigns, the newest first.
    static func page(state: AccessReview.State?, after position: Position?, limit: Int) -> Statement {
        var values: [Value] = []
        var conditions: [String] = []
        if let state {
            values.append(.text(state.rawValue))
            conditions.append("state = $\(values.count)")
        }
        if let position {
            values += [Value(position.at), .text(position.id)]
            conditions.append("(started_at, id) < (\(placeholders(2, from: values.count - 1)))")
        }
        let clause = conditions.isEmpty ? "" : "WHERE " + conditions.joined(separator: " AND ")
        return Statement(
            """
            SELECT \(AccessReview.columns) FROM access_reviews \(clause) ORDER BY started_at DESC, id DESC LIMIT \(limit)
            """, values)
    }

    /// `count` of what somebody is to decide, counting no further than a hundred. Asked for every page, so a grant that ran out by
    /// itself a moment ago is counted as well. Through `access_review_items_owed`.
    static func countOwed(by reviewer: String) -> Statement {
        Statement(
            """
            SELECT COUNT(*) AS count FROM (
                SELECT i.id FROM access_review_items i JOIN access_reviews r ON r.id = i.review_id
                JOIN grants g ON g.id = i.grant_id
                WHERE i.reviewer = $1 AND i.state = 'open' AND r.state = 'open' AND g.revoked_at IS NULL LIMIT 100
            ) AS owed
            """, [.text(reviewer)])
    }

    /// Campaigns in which somebody is to decide something, with `owed`, the soonest due first.
    static func owed(by reviewer: String, at now: Instant) -> Statement {
        Statement(
            """
            SELECT \(qualified(AccessReview.columns, "r")), COUNT(*) AS owed FROM access_review_items i
            JOIN access_reviews r ON r.id = i.review_id JOIN grants g ON g.id = i.grant_id
            WHERE i.reviewer = $1 AND i.state = 'open' AND r.state = 'open' AND g.revoked_at IS NULL
                AND (g.expires_at IS NULL OR g.expires_at > $2)
            GROUP BY r.id ORDER BY r.due_at, r.id LIMIT 20
            """, [.text(reviewer), Value(now)])
    }

    /// A page of exceptions, the newest first.
    static func exceptions(isOver: Bool?, after position: Position?, limit: Int) -> Statement {
        var values: [Value] = []
        var conditions: [String] = []
        if let isOver {
            conditions.append(isOver ? "status IN ('closed', 'accepted')" : "status IN ('open', 'mitigating')")
        }
        if let position {
            values += [Value(position.at), .text(position.id)]
            conditions.append("(opened_at, id) < ($1, $2)")
        }
        let clause = conditions.isEmpty ? "" : "WHERE " + conditions.joined(separator: " AND ")
        return Statement(
            """
            SELECT \(ComplianceException.columns) FROM compliance_exceptions \(clause)
            ORDER BY opened_at DESC, id DESC LIMIT \(limit)
            """, values)
    }

    /// The one about something that is open. Through `compliance_exceptions_source`.
    static func exception(about type: String, _ id: String) -> Statement {
        Statement(
            """
            SELECT \(ComplianceException.columns) FROM compliance_exceptions
            WHERE source_type = $1 AND source_id = $2 AND status IN ('open', 'mitigating')
            """, [.text(type), .text(id)])
    }

    /// `count` of those that are open, counting no further than a hundred.
    static let countExceptions = Statement(
        """
        SELECT COUNT(*) AS count FROM (
            SELECT id FROM compliance_exceptions WHERE status IN ('open', 'mitigating') LIMIT 100) AS waiting
        """)

    // MARK: What is due

    /// Campaigns that are to be closed before a time and were not escalated, the soonest due first. Through
    /// `access_reviews_due`.
    static func open(dueBefore time: Instant) -> Statement {
        Statement(
            """
            SELECT \(AccessReview.columns) FROM access_reviews WHERE state = 'open' AND due_at <= $1 AND exception_id IS NULL
            ORDER BY due_at, id LIMIT 100
            """, [Value(time)])
    }

    /// `review_id` and `reviewer` where something is left to decide by somebody who can't any more.
    static func orphans(at now: Instant) -> Statement {
        Statement(
            """
            SELECT DISTINCT i.review_id, i.reviewer FROM access_reviews r JOIN access_review_items i ON i.review_id = r.id
            WHERE r.state = 'open' AND i.state = 'open' AND i.reviewer IS NOT NULL AND NOT EXISTS (
                SELECT 1 FROM staff s WHERE s.id = i.reviewer AND s.status = 'active' AND \(isAble))
            ORDER BY i.review_id, i.reviewer LIMIT 20
            """, [Value(now)])
    }

    // MARK: Leaving

    /// Open campaigns; there are few at any time. Through `access_reviews_due`.
    static let open = Statement(
        "SELECT \(AccessReview.columns) FROM access_reviews WHERE state = 'open' ORDER BY due_at, id LIMIT 100")

    /// What somebody is still to decide in open campaigns. Through `access_review_items_owed`.
    static func undecided(of reviewer: String, limit: Int) -> Statement {
        Statement(
            """
            SELECT \(itemColumns) FROM access_review_items i JOIN access_reviews r ON r.id = i.review_id
            WHERE i.reviewer = $1 AND i.state = 'open' AND r.state = 'open' ORDER BY i.review_id, i.place LIMIT \(limit)
            """, [.text(reviewer)])
    }
}
