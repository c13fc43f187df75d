import Kernel

extension Tenant {
    public static let columns = """
        id, version, external_id, slug, name, name_key, status, resumes_to, then_resumes_to, plan, tier, region, owner_id, csm_id, \
        metadata, created_at, updated_at, status_since, deletion_eligible_at, last_activity_at, desired, note, note_event_id
        """

    public var values: [Value] {
        [
            .text(id), .int(version), .text(externalID), .text(slug), .text(name), .text(nameKey),
            .text(status.rawValue),
            Value(resumesTo?.rawValue), Value(thenResumesTo?.rawValue), .text(plan), .text(tier), .text(region),
            Value(ownerID), Value(csmID), Value(metadataJSON), Value(createdAt), Value(updatedAt), Value(statusSince),
            Value(deletionEligibleAt), Value(lastActivityAt), desiredJSON.map { Value($0) } ?? .null, Value(note),
            Value(noteEventID),
        ]
    }

}

enum TenantQueries {
    /// Tenants by one of their unique names, in one statement. `values` MUST NOT be empty.
    static func tenants(by column: UniqueColumn, _ values: [String]) -> Statement {
        Statement(
            "SELECT \(Tenant.columns) FROM tenants WHERE \(column.rawValue) IN (\(placeholders(values.count)))",
            values.map(Value.text))
    }
    /// `external_id`: who has one of these slugs. `slugs` MUST NOT be empty.
    static func holders(of slugs: [String]) -> Statement {
        Statement(
            "SELECT external_id FROM tenants WHERE slug IN (\(placeholders(slugs.count)))", slugs.map(Value.text))
    }

    /// Frees the slugs of tenants that get another one later in the same transaction. What stands there meanwhile is nobody's
    /// slug. `ids` MUST NOT be empty.
    static func freeSlugs(of ids: [String]) -> Statement {
        Statement(
            "UPDATE tenants SET slug = '~' || id WHERE id IN (\(placeholders(ids.count)))", ids.map(Value.text),
            expectedRows: ids.count)
    }

    /// The tenants that have `text` as their id or external id, or `slug`.
    static func tenants(exactly text: String, slug: String) -> Statement {
        Statement(
            "SELECT \(Tenant.columns) FROM tenants WHERE id = $1 OR external_id = $1 OR slug = $2",
            [.text(text), .text(slug)])
    }

    enum UniqueColumn: String {
        case id, slug
        case externalID = "external_id"
    }

    /// How many members a tenant has, counting no further than `limit`.
    static func memberCount(_ tenant: String, upTo limit: Int) -> Statement {
        Statement(
            """
            SELECT COUNT(*) AS n FROM (SELECT id FROM memberships WHERE tenant_id = $1 AND status <> 'revoked' \
            LIMIT $2) AS counted
            """, [.text(tenant), .int(Int64(limit))])
    }

    /// One line of the status history, written with the change it records.
    static func history(
        tenant: String, event: String, from: TenantStatus?, to: TenantStatus, actor: Actor, reasonCode: String?,
        at: Instant
    ) -> Statement {
        Statement(
            """
            INSERT INTO tenant_status_history (tenant_id, event_id, from_status, to_status, actor_type, actor_id, \
            reason_code, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            """,
            [
                .text(tenant), .text(event), Value(from?.rawValue), .text(to.rawValue),
                .text(actor.kind.rawValue), .text(actor.id), Value(reasonCode), .int(at.microseconds),
            ])
    }

    /// Newest first; `before` is the last line of the page before.
    static func history(of tenant: String, before: (at: Int64, seq: Int64)?, limit: Int) -> Statement {
        let columns = "seq, event_id, from_status, to_status, actor_type, actor_id, reason_code, at"
        guard let before else {
            return Statement(
                """
                SELECT \(columns) FROM tenant_status_history WHERE tenant_id = $1 ORDER BY at DESC, seq DESC LIMIT $2
                """, [.text(tenant), .int(Int64(limit))])
        }
        return Statement(
            """
            SELECT \(columns) FROM tenant_status_history WHERE tenant_id = $1 AND (at, seq) < ($2, $3) \
            ORDER BY at DESC, seq DESC LIMIT $4
            """, [.text(tenant), .int(before.at), .int(before.seq), .int(Int64(limit))])
    }

    /// Events about a tenant, newest first; `before` is the last of the page before.
    static func activity(of tenant: String, before: (at: Instant, id: String)?, limit: Int) -> Statement {
        let columns = "id, at, class, action, outcome, actor_type, actor_id"
        guard let before else {
            return Statement(
                named("SELECT \(columns) FROM events WHERE tenant_id = $1 ORDER BY at DESC, id DESC LIMIT $2"),
                [.text(tenant), .int(Int64(limit))])
        }
        return Statement(
            named(
                """
                SELECT \(columns) FROM events WHERE tenant_id = $1 AND (at, id) < ($2, $3) \
                ORDER BY at DESC, id DESC LIMIT $4
                """), [.text(tenant), Value(before.at), .text(before.id), .int(Int64(limit))])
    }

    /// A page of events, newest first, with the names of the staff among their actors.
    static func named(_ events: String) -> String {
        """
        SELECT shown.*, s.name AS actor_name FROM (\(events)) AS shown LEFT JOIN staff s ON s.id = shown.actor_id \
        ORDER BY shown.at DESC, shown.id DESC
        """
    }

    /// The person who owns a tenant, found with the tenant.
    static func owner(of tenant: String) -> Statement {
        Statement(
            "SELECT \(User.columns) FROM users WHERE id = (SELECT t.owner_id FROM tenants t WHERE t.id = $1)",
            [.text(tenant)])
    }

    /// The one of the staff who looks after a tenant.
    static func csm(of tenant: String) -> Statement {
        Statement(
            "SELECT id, name FROM staff WHERE id = (SELECT t.csm_id FROM tenants t WHERE t.id = $1)", [.text(tenant)])
    }

    /// `csm_id` of a tenant, and `set_by`: who named them since then. Through `events_target`; a CASE, so that the tenant and the
    /// time are what narrows.
    static func manager(of tenant: String, since: Instant) -> Statement {
        Statement(
            """
            SELECT t.csm_id, (
                SELECT e.actor_id FROM events e
                WHERE e.target_id = t.id AND e.at > $2 AND CASE WHEN e.class = 'mutation' AND e.outcome = 'applied'
                    AND e.action = 'tenant.set_csm' THEN 1 ELSE 0 END = 1
                ORDER BY e.at DESC, e.id DESC LIMIT 1) AS set_by
            FROM tenants t WHERE t.id = $1
            """, [.text(tenant), Value(since)])
    }

    /// Those who could look after one, by name.
    static func managers(at now: Instant, limit: Int) -> Statement {
        Statement(
            """
            SELECT DISTINCT s.id, s.name FROM grants g JOIN staff s ON s.id = g.staff_id
            WHERE g.role_id IN (SELECT role_id FROM role_permissions WHERE permission = $2 AND revoked = 0)
                AND g.revoked_at IS NULL AND (g.expires_at IS NULL OR g.expires_at > $1) AND s.status = 'active'
            ORDER BY s.name, s.id LIMIT \(limit)
            """, [Value(now), .text(Demand.managerPermission)])
    }

    /// Who wrote these events, and when. `events` MUST NOT be empty.
    static func authors(of events: [String]) -> Statement {
        Statement(
            "SELECT id, at, actor_id FROM events WHERE id IN (\(placeholders(events.count)))", events.map(Value.text))
    }

    /// The sealed members of an event, for a page that quotes one.
    static func sealedMembers(of event: String) -> Statement {
        Statement("SELECT members FROM sealed WHERE event_id = $1", [.text(event)])
    }

    /// `event_id` and `members`: what some events sealed. `events` MUST NOT be empty.
    static func sealedMembers(of events: [String]) -> Statement {
        Statement(
            "SELECT event_id, members FROM sealed WHERE event_id IN (\(placeholders(events.count)))",
            events.map(Value.text))
    }

    /// Names of staff, for showing who did something.
    static func staffNames(_ ids: [String]) -> Statement {
        Statement("SELECT id, name FROM staff WHERE id IN (\(placeholders(ids.count)))", ids.map(Value.text))
    }
}
