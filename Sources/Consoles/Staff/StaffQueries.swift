import Kernel

/// People by what is to be seen of them.
enum StaffQueries {
    /// A page in id order. What is looked for about each person is found by `grants_staff`, `factors_staff`, `sessions_started`
    /// and `staff_flags_staff`.
    /// - Parameter longestAway: whether whom nobody ever saw comes first, and then whoever was seen longest ago, instead.
    static func page(
        _ filter: StaffFilter, after: String, at now: Instant, limit: Int, longestAway: Bool = false
    ) -> Statement {
        var values: [Value] = [.text(after), .int(Int64(limit))]
        func bound(_ value: Value) -> String {
            values.append(value)
            return "$\(values.count)"
        }
        var conditions = ["s.id > $1"]
        if let email = filter.email { conditions.append("s.email = \(bound(.text(email)))") }
        if let status = filter.status { conditions.append("s.status = \(bound(.text(status.rawValue)))") }
        if let role = filter.role {
            conditions.append(
                """
                EXISTS (SELECT 1 FROM grants g WHERE g.staff_id = s.id AND g.role_id = \(bound(.text(role))) \
                AND g.revoked_at IS NULL AND (g.expires_at IS NULL OR g.expires_at > \(bound(Value(now)))))
                """)
        }
        switch filter.show {
        case nil: break
        case .expiring:
            conditions.append(
                """
                EXISTS (SELECT 1 FROM grants g WHERE g.staff_id = s.id AND g.revoked_at IS NULL \
                AND g.expires_at > \(bound(Value(now))) AND g.expires_at <= \(bound(Value(now + StaffFilter.soon))))
                """)
        case .noFactor:
            conditions.append(
                """
                NOT EXISTS (SELECT 1 FROM factors f WHERE f.staff_id = s.id AND f.kind <> 'password' \
                AND f.status = 'active')
                """)
        case .dormant:
            let since = bound(Value(now - .days(filter.days)))
            conditions.append(
                """
                s.status = 'active' AND s.created_at <= \(since) AND NOT EXISTS (SELECT 1 FROM sessions x \
                WHERE x.staff_id = s.id AND x.created_at > \(bound(Value(now - .days(filter.days)))))
                """)
        case .flagged:
            conditions.append(
                "EXISTS (SELECT 1 FROM staff_flags f WHERE f.staff_id = s.id AND f.state = 'open')")
        }
        return Statement(
            """
            SELECT \(columns) FROM staff s WHERE \(conditions.joined(separator: " AND ")) \
            ORDER BY \(longestAway ? "\(seen), s.id" : "s.id") LIMIT $2
            """, values)
    }

    /// `Staff.columns` of `s`.
    private static let columns = Staff.columns.split(separator: ",").map { "s." + $0.drop { $0 == " " } }
        .joined(separator: ", ")

    private static let seen = "COALESCE((SELECT MAX(x.last_seen_at) FROM sessions x WHERE x.staff_id = s.id), 0)"

    /// What somebody asked for and that may still come to something. Through `approvals_requester`.
    static func liveRequests(of requester: String) -> Statement {
        Statement(
            """
            SELECT \(ApprovalRequest.columns) FROM approvals
            WHERE requester = $1 AND state IN ('pending', 'stale', 'approved', 'scheduled') ORDER BY id
            """, [.text(requester)])
    }

    /// What changed a person or their account, the newest first. Through the key of `event_entity`.
    static func history(of staff: String, before: (at: Instant, id: String)?, limit: Int) -> Statement {
        var values: [Value] = [.text(staff), .int(Int64(limit))]
        if let before { values += [Value(before.at), .text(before.id)] }
        return Statement(
            TenantQueries.named(
                """
                SELECT e.id, e.at, e.class, e.action, e.outcome, e.actor_type, e.actor_id
                FROM event_entity n JOIN events e ON e.id = n.event_id
                WHERE n.type = 'staff' AND n.id = $1 \(before == nil ? "" : "AND (e.at, e.id) < ($3, $4) ")\
                ORDER BY e.at DESC, e.id DESC LIMIT $2
                """), values)
    }

    /// `actor_id` and `leaf` of what ended an account that is deactivated: the first event that did since it was last reactivated,
    /// as deleting somebody who is gone already ends nothing. One that was made inactive was ended by whoever made it. A preview,
    /// which is an access of the same name, does neither. Through `events_target`; a CASE, so that the person is what narrows.
    static func whoEnded(_ staff: String) -> Statement {
        Statement(
            """
            SELECT e.actor_id, e.leaf FROM events e
            WHERE e.target_id = $1 AND CASE WHEN e.class = 'mutation' AND e.outcome = 'applied'
                    AND e.action IN ('staff.deactivate', 'staff.deprovision', 'staff.provision') THEN 1 ELSE 0 END = 1
                AND NOT EXISTS (
                    SELECT 1 FROM events r WHERE r.target_id = $1 AND (r.at, r.id) > (e.at, e.id)
                        AND CASE WHEN r.class = 'mutation' AND r.outcome = 'applied' AND r.action = 'staff.reactivate'
                            THEN 1 ELSE 0 END = 1)
            ORDER BY CASE WHEN e.action = 'staff.provision' THEN 1 ELSE 0 END, e.at, e.id LIMIT 1
            """, [.text(staff)])
    }

    /// All that people's standings rest on but what their roles hold: each with every grant they were given, in a row of its own, and
    /// with the break-glass of theirs that is not reviewed; whether they have a passkey, as `passkey`, 1 or 0; whether `earlierResets`
    /// has something of them, as `reset_before`; and the policy's `mark`. Through `grants_staff`, `breakglass_live`, `factors_staff` and
    /// `events_target`.
    /// - Parameter owners: with the owners of those of them that are service accounts.
    static func standings(of people: [String], withOwners owners: Bool = false) -> Statement {
        let list = placeholders(people.count)
        let ownersToo = owners ? " OR p.id IN (SELECT owner_id FROM service_accounts WHERE id IN (\(list)))" : ""
        return Statement(
            """
            SELECT \(personColumns), CASE WHEN EXISTS (
                    SELECT 1 FROM factors f WHERE f.staff_id = p.id AND f.kind = 'webauthn' AND f.status = 'active')
                THEN 1 ELSE 0 END AS passkey,
                CASE WHEN p.reset_at IS NOT NULL AND EXISTS (SELECT 1 FROM events e WHERE \(earlierReset("p")))
                THEN 1 ELSE 0 END AS reset_before,
                g.id AS grant_id, g.role_id, g.granted_by, g.granted_at, g.expires_at AS grant_expires_at, g.revoked_at,
                g.token_holder,
                \(BreakGlassQueries.columnsBeside), (SELECT mark FROM policy_state WHERE id = 1) AS mark
            FROM staff p LEFT JOIN grants g ON g.staff_id = p.id \(BreakGlassQueries.beside("p.id"))
            WHERE p.id IN (\(list))\(ownersToo)
            """, people.map(Value.text))
    }

    private static let personColumns = Staff.columns(of: "p")

    /// What `ResetTouch` reads, from the 72 hours before people's factors were reset last: whatever was earlier counts no more.
    /// Through `events_target`; a CASE, and the people first, so that they and the time are what narrows.
    static func earlierResets(of people: [String]) -> Statement {
        Statement(
            """
            SELECT e.target_id, e.at, e.action, e.actor_id, e.leaf FROM staff s CROSS JOIN events e
            WHERE s.id IN (\(placeholders(people.count))) AND \(earlierReset("s"))
            """, people.map(Value.text))
    }

    /// Whether the event `e` is an earlier reset of somebody.
    private static func earlierReset(_ staff: String) -> String {
        """
        e.target_id = \(staff).id AND e.at < \(staff).reset_at
            AND e.at > \(staff).reset_at - \(Standing.quarantine.microseconds)
            AND CASE WHEN e.class = 'mutation' AND e.outcome = 'applied'
                AND e.action IN ('staff.reset_factors', 'staff.reactivate', 'staff.provision') THEN 1 ELSE 0 END = 1
        """
    }

    /// What `ResetTouch` reads, of everybody since a time. Through `events_action`.
    static func resets(since: Instant) -> Statement {
        Statement(
            """
            SELECT e.target_id, e.at, e.action, e.actor_id, e.leaf FROM events e
            WHERE e.action IN ('staff.reset_factors', 'staff.reactivate', 'staff.provision') AND e.at > $1
                AND CASE WHEN e.class = 'mutation' AND e.outcome = 'applied' THEN 1 ELSE 0 END = 1
            """, [Value(since)])
    }
}

extension Staff {
    public static let columns = """
        id, version, email, name, status, invited_by, created_at, updated_at, invited_at, reset_by, reset_at
        """

    /// The one with this address, or nothing.
    public static func withEmail(_ email: String) -> Statement {
        Statement("SELECT \(columns) FROM staff WHERE email = $1", [.text(email)])
    }

    public init(_ row: Row) throws {
        guard let status = Status(rawValue: try row.string("status")) else { throw StoreError.shape(column: "status") }
        self.init(
            id: try row.string("id"), version: try row.int("version"), email: try row.string("email"),
            name: try row.string("name"), status: status, invitedBy: try row.optionalString("invited_by"),
            createdAt: try row.instant("created_at"), updatedAt: try row.instant("updated_at"),
            invitedAt: try row.optionalInstant("invited_at"),
            resetBy: try row.optionalString("reset_by"), resetAt: try row.optionalInstant("reset_at"))
    }

    public var values: [Value] {
        [
            .text(id), .int(version), .text(email), .text(name), .text(status.rawValue), Value(invitedBy),
            Value(createdAt), Value(updatedAt), Value(invitedAt), Value(resetBy), Value(resetAt),
        ]
    }
}
