import Kernel

/// What somebody with the database's own tools does.
enum DiscrepancyTestQueries {
    static func set(_ column: String, _ value: Value, tenant id: String) -> Statement {
        Statement("UPDATE tenants SET \(column) = $1 WHERE id = $2", [value, .text(id)], expectedRows: 1)
    }
    static func set(_ column: String, _ value: String, tenant id: String) -> Statement {
        set(column, Value.text(value), tenant: id)
    }
    static func set(_ column: String, _ value: Int64, tenant id: String) -> Statement {
        set(column, Value.int(value), tenant: id)
    }
    /// Leaves a row that can't be read.
    static func spoil(rule id: String) -> Statement {
        Statement("UPDATE approval_rules SET demand = '{}' WHERE id = $1", [.text(id)], expectedRows: 1)
    }
    static func remove(tenant id: String) -> Statement {
        Statement("DELETE FROM tenants WHERE id = $1", [.text(id)], expectedRows: 1)
    }
    static func grant(_ id: String, to staff: String) -> Statement {
        Statement(
            """
            INSERT INTO grants (id, version, staff_id, role_id, granted_by, granted_at)
            VALUES ($1, 1, $2, 'super_admin', 'stf_nobody', 0)
            """, [.text(id), .text(staff)], expectedRows: 1)
    }
    static func revoke(_ id: String) -> Statement {
        Statement("DELETE FROM grants WHERE id = $1", [.text(id)], expectedRows: 1)
    }
    /// A signature that nobody gave.
    static func sign(_ approval: String, as person: String) -> Statement {
        Statement(
            """
            INSERT INTO approval_signatures (id, version, approval_id, round, person, decision, statement, method,
                factor_at, event_id, created_at)
            VALUES ('sig_forged', 1, $1, 1, $2, 'approve', '{}', 'totp', 0, 'evt_nobody', 0)
            """, [.text(approval), .text(person)], expectedRows: 1)
    }
    static let unsign = Statement("DELETE FROM approval_signatures WHERE id = 'sig_forged'", expectedRows: 1)
    static func set(_ column: String, _ value: Value, approval id: String) -> Statement {
        Statement("UPDATE approvals SET \(column) = $1 WHERE id = $2", [value, .text(id)], expectedRows: 1)
    }
    /// Puts other words into what an event seals.
    static func say(_ new: String, for old: String, sealedBy event: String) -> Statement {
        Statement(
            "UPDATE sealed SET members = replace(members, $1, $2) WHERE event_id = $3",
            [.text(old), .text(new), .text(event)], expectedRows: 1)
    }
    static let forgeWebhookSecrets = Statement("UPDATE webhooks SET secret = 'forged'")
    static func pointElsewhere(of tenant: String) -> Statement {
        Statement(
            """
            UPDATE entity_head SET event_id = (
                SELECT min(n.event_id) FROM event_entity n
                WHERE n.type = 'tenant' AND n.id = $1 AND n.event_id <> entity_head.event_id)
            WHERE type = 'tenant' AND id = $1
            """, [.text(tenant)], expectedRows: 1)
    }
}
