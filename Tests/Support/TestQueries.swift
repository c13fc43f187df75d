import Kernel

/// What tests look at that the product has no reason to.
public enum TestQueries {
    /// Open differences that can be taken over, the first of them first.
    public static let drifts = Statement(
        "SELECT id FROM drifts WHERE state = 'open' AND field <> 'status' ORDER BY field, tenant_id LIMIT 100")

    public static func count(_ table: String, _ reader: any Reader) throws -> Int64 {
        try reader.query(Statement("SELECT count(*) AS count FROM \(table)"))[0].int("count")
    }

    /// In the order they were written, as long as no sequencer runs: the clock of a test may stand still.
    public static func events(skipping count: Int64, _ reader: any Reader) throws -> [Row] {
        try reader.query(
            Statement(
                """
                SELECT e.id, e.class, e.action, e.outcome, e.leaf FROM events e JOIN log_pending p ON p.event_id = e.id \
                ORDER BY p.seq LIMIT 1000 OFFSET $1
                """, [.int(count)]))
    }

    public static func entities(of event: String, _ reader: any Reader) throws -> [Row] {
        try reader.query(Statement("SELECT type, id FROM event_entity WHERE event_id = $1", [.text(event)]))
    }

    /// For somebody who writes beside the log.
    public static func rename(tenant: String, to name: String) -> Statement {
        Statement("UPDATE tenants SET name = $1 WHERE id = $2", [.text(name), .text(tenant)], expectedRows: 1)
    }

    /// A session nobody has the token of.
    public static func session(_ id: String, of staff: String, at now: Instant) -> Statement {
        Statement(
            """
            INSERT INTO sessions (id, token_hash, realm, staff_id, client, factors, mfa_at, user_agent_hash, user_agent, ip,
                created_at, last_seen_at, expires_at)
            VALUES ($1, $2, 'staff', $3, 'console', '["password","totp"]', $4, $2, 'Firefox/140.0', '192.0.2.10', $4, $4, $5)
            """, [.text(id), .bytes(sha256(Array(id.utf8))), .text(staff), Value(now), Value(now + .hours(8))])
    }

    public static func tenant(slug: String) -> Statement {
        Statement("SELECT * FROM tenants WHERE slug = $1", [.text(slug)])
    }
}
