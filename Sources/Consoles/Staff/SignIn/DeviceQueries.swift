import Kernel

/// The SQL of command lines that wait to be let in.
enum DeviceQueries {
    private static let columns = """
        id, machine, client, ip, state, staff_id, session_id, wait_seconds, polled_at, created_at, expires_at
        """

    static func insert(
        id: String, deviceHash: [UInt8], codeHash: [UInt8], machine: String, source: Source, network: String,
        wait: Span, at now: Instant, expires: Instant
    ) -> Statement {
        Statement(
            """
            INSERT INTO device_logins (id, device_hash, code_hash, machine, client, user_agent, ip, source, state,
                wait_seconds, created_at, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'pending', $9, $10, $11)
            """,
            [
                .text(id), .bytes(deviceHash), .bytes(codeHash), .text(machine), .text(source.client.rawValue),
                .text(String(source.userAgent.prefix(400))), .text(source.ip), .text(network), .int(wait.seconds),
                Value(now), Value(expires),
            ])
    }

    /// One row, `count`: how many machines of one network wait.
    static func count(network: String, at now: Instant) -> Statement {
        Statement(
            "SELECT COUNT(*) AS count FROM device_logins WHERE source = $1 AND expires_at > $2",
            [.text(network), Value(now)])
    }

    static func byDevice(_ hash: [UInt8], _ dialect: Dialect) -> Statement {
        Statement(
            "SELECT \(columns) FROM device_logins WHERE device_hash = $1\(dialect.forUpdate)", [.bytes(hash)])
    }

    /// One that still waits.
    static func byCode(_ hash: [UInt8], at now: Instant, _ dialect: Dialect) -> Statement {
        Statement(
            """
            SELECT \(columns) FROM device_logins WHERE code_hash = $1 AND state = 'pending' AND expires_at > $2\
            \(dialect.forUpdate)
            """, [.bytes(hash), Value(now)])
    }

    static func poll(_ id: String, wait: Int64, at now: Instant) -> Statement {
        Statement(
            "UPDATE device_logins SET polled_at = $2, wait_seconds = $3 WHERE id = $1",
            [.text(id), Value(now), .int(wait)])
    }

    static func decide(_ id: String, _ state: String, staff: String, session: String) -> Statement {
        Statement(
            "UPDATE device_logins SET state = $2, staff_id = $3, session_id = $4 WHERE id = $1",
            [.text(id), .text(state), .text(staff), .text(session)])
    }

    static func delete(_ id: String) -> Statement {
        Statement("DELETE FROM device_logins WHERE id = $1", [.text(id)])
    }

    /// How somebody proved who they are in a session that still goes on.
    static func proof(session: String, of staff: String, at now: Instant) -> Statement {
        Statement(
            """
            SELECT factors, mfa_at FROM sessions
            WHERE id = $1 AND staff_id = $2 AND ended_at IS NULL AND expires_at > $3
            """, [.text(session), .text(staff), Value(now)])
    }

    static func forget(expiredBefore time: Instant) -> Statement {
        Statement("DELETE FROM device_logins WHERE expires_at < $1", [Value(time)])
    }
}
