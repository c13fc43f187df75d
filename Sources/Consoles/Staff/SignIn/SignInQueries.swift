import Kernel

/// The SQL of challenges, sessions and throttling.
enum SignInQueries {
    // MARK: People

    /// `staff_id`, `factor_id` and `secret` of the password of an active person; no row for anybody else.
    static func password(email: String) -> Statement {
        Statement(
            """
            SELECT s.id AS staff_id, f.id AS factor_id, f.secret FROM staff s
            JOIN factors f ON f.staff_id = s.id AND f.kind = 'password' AND f.status = 'active'
            WHERE s.email = $1 AND s.status = 'active'
            ORDER BY f.created_at DESC, f.id DESC LIMIT 1
            """, [.text(email)])
    }

    // MARK: Challenges

    static func insertChallenge(
        tokenHash: [UInt8], staff: String?, origin: String, client: Client, provider: String? = nil, at now: Instant,
        expires: Instant
    ) -> Statement {
        Statement(
            """
            INSERT INTO challenges (token_hash, staff_id, source, client, created_at, expires_at, attempts, provider)
            VALUES ($1, $2, $3, $4, $5, $6, 0, $7)
            """,
            [
                .bytes(tokenHash), Value(staff), .text(origin), .text(client.rawValue), Value(now), Value(expires),
                Value(provider),
            ])
    }

    static func challenge(tokenHash: [UInt8], lock: Bool, _ dialect: Dialect) -> Statement {
        Statement(
            """
            SELECT staff_id, source, created_at, expires_at, attempts, provider FROM challenges WHERE token_hash = $1\
            \(lock ? dialect.forUpdate : "")
            """, [.bytes(tokenHash)])
    }

    static func countAttempt(tokenHash: [UInt8]) -> Statement {
        Statement("UPDATE challenges SET attempts = attempts + 1 WHERE token_hash = $1", [.bytes(tokenHash)])
    }

    static func deleteChallenge(tokenHash: [UInt8]) -> Statement {
        Statement("DELETE FROM challenges WHERE token_hash = $1", [.bytes(tokenHash)])
    }

    static func deleteChallenges(expiredBefore: Instant) -> Statement {
        Statement("DELETE FROM challenges WHERE expires_at < $1", [Value(expiredBefore)])
    }

    // MARK: Factors

    /// Answers a row only for the first use of a step or of a later one: compare-and-set in one statement.
    static func useStep(factor: String, step: Int64, at now: Instant) -> Statement {
        Statement(
            """
            INSERT INTO factor_use (factor_id, last_step, used_at) VALUES ($1, $2, $3)
            ON CONFLICT (factor_id) DO UPDATE SET last_step = excluded.last_step, used_at = excluded.used_at
                WHERE factor_use.last_step IS NULL OR factor_use.last_step < excluded.last_step
            RETURNING factor_id
            """, [.text(factor), .int(step), Value(now)])
    }

    /// `factor_id` and `used_at` of a person's active factors.
    static func uses(of staff: String) -> Statement {
        Statement(
            """
            SELECT u.factor_id, u.used_at FROM factors f JOIN factor_use u ON u.factor_id = f.id
            WHERE f.staff_id = $1 AND f.status = 'active'
            """, [.text(staff)])
    }

    // MARK: Sessions

    /// What the deployment has set for sessions, or null.
    private static let limitColumns = """
        (SELECT value FROM settings WHERE id = 'session_hours') AS session_hours, \
        (SELECT value FROM settings WHERE id = 'idle_minutes') AS idle_minutes, \
        (SELECT value FROM settings WHERE id = 'step_up_minutes') AS step_up_minutes
        """

    static let limits = Statement("SELECT \(limitColumns)")

    /// Addresses somebody signed in from.
    static func addresses(of staff: String) -> Statement {
        Statement("SELECT DISTINCT ip FROM sessions WHERE staff_id = $1 LIMIT 500", [.text(staff)])
    }

    static func insertSession(
        id: String, tokenHash: [UInt8], staff: String, source: Source, factors: [FactorKind], mfaAt: Instant,
        userAgentHash: [UInt8], at now: Instant, expires: Instant
    ) -> Statement {
        Statement(
            """
            INSERT INTO sessions (id, token_hash, realm, staff_id, client, factors, mfa_at, user_agent_hash, user_agent,
                ip, created_at, last_seen_at, expires_at)
            VALUES ($1, $2, 'staff', $3, $4, $5, $11, $7, $8, $9, $6, $6, $10)
            """,
            [
                .text(id), .bytes(tokenHash), .text(staff), .text(source.client.rawValue),
                Value(JSON.array(factors.map { .string($0.rawValue) })), Value(now), .bytes(userAgentHash),
                .text(String(source.userAgent.prefix(400))), .text(source.ip), Value(expires), Value(mfaAt),
            ])
    }

    /// The session with its person: a row for each grant that was not taken back, or one without any, each with the mark of the
    /// policy, and with the break-glass of the person that is not reviewed, of which there is one at most. Whether a grant has run
    /// out is for the reader to see, who learns the time with it.
    static func session(tokenHash: [UInt8]) -> Statement {
        Statement(
            """
            SELECT s.id, s.staff_id, s.factors, s.mfa_at, s.user_agent_hash, s.ip, s.created_at, s.last_seen_at,
                s.expires_at, s.ended_at, p.email, p.name, p.status, g.role_id, g.expires_at AS grant_expires_at,
                \(BreakGlassQueries.columnsBeside),
                (SELECT mark FROM policy_state WHERE id = 1) AS mark
            FROM sessions s JOIN staff p ON p.id = s.staff_id
            LEFT JOIN grants g ON g.staff_id = s.staff_id AND g.revoked_at IS NULL
            \(BreakGlassQueries.beside("s.staff_id"))
            WHERE s.token_hash = $1 AND s.realm = 'staff'
            """, [.bytes(tokenHash)])
    }

    /// What each role may do, as lines, each with its limits behind a space if it has any.
    static func permissions(_ dialect: Dialect) -> Statement {
        Statement(
            """
            SELECT role_id, \(dialect == .postgres ? "string_agg" : "group_concat")(
                permission || COALESCE(' ' || limits, ''), '
            ') AS permissions
            FROM role_permissions WHERE revoked = 0 GROUP BY role_id
            """)
    }

    /// The row of a session that is still going on.
    static func live(_ session: String, at now: Instant) -> Statement {
        Statement(
            "SELECT id FROM sessions WHERE id = $1 AND ended_at IS NULL AND expires_at > $2",
            [.text(session), Value(now)])
    }

    static func touch(session: String, at now: Instant) -> Statement {
        Statement(
            "UPDATE sessions SET last_seen_at = $2 WHERE id = $1 AND last_seen_at < $2 AND ended_at IS NULL",
            [.text(session), Value(now)])
    }

    /// Answers the row when the session was still going on.
    static func renewFactor(session: String, factors: [FactorKind], at now: Instant) -> Statement {
        Statement(
            """
            UPDATE sessions SET mfa_at = $2, factors = $3, last_seen_at = $2 WHERE id = $1 AND ended_at IS NULL
            RETURNING id
            """, [.text(session), Value(now), Value(JSON.array(factors.map { .string($0.rawValue) }))])
    }

    /// Answers the row when it was this person's and still going on.
    static func end(session: String, of staff: String, at now: Instant) -> Statement {
        Statement(
            """
            UPDATE sessions SET ended_at = $3 WHERE id = $1 AND staff_id = $2 AND ended_at IS NULL AND expires_at > $3
            RETURNING id
            """, [.text(session), .text(staff), Value(now)])
    }

    static func endOthers(than session: String, of staff: String, at now: Instant) -> Statement {
        Statement(
            "UPDATE sessions SET ended_at = $3 WHERE staff_id = $2 AND id <> $1 AND ended_at IS NULL RETURNING id",
            [.text(session), .text(staff), Value(now)])
    }

    static func endAll(of staff: String, at now: Instant) -> Statement {
        Statement(
            "UPDATE sessions SET ended_at = $2 WHERE staff_id = $1 AND ended_at IS NULL",
            [.text(staff), Value(now)])
    }

    /// What the server still lets in, at the time `$2`: nobody ended it, it has not run out, it is no longer without use than the
    /// deployment has set, nor older.
    private static let isOpen = """
        ended_at IS NULL AND expires_at > $2 \
        AND last_seen_at > $2 - COALESCE((SELECT value FROM settings WHERE id = 'idle_minutes'), \
        \(SessionLimits().idle.seconds / 60)) * 60000000 \
        AND created_at > $2 - COALESCE((SELECT value FROM settings WHERE id = 'session_hours'), \
        \(SessionLimits().length.seconds / 3600)) * 3600000000
        """

    /// Open sessions of a person with the limits of all, newest first, before one of them. Through `sessions_open`.
    static func openSessions(of staff: String, before: String?, at now: Instant, limit: Int) -> Statement {
        var values: [Value] = [.text(staff), Value(now), .int(Int64(limit))]
        if let before { values.append(.text(before)) }
        return Statement(
            """
            SELECT id, client, user_agent, ip, created_at, last_seen_at, mfa_at, expires_at, \(limitColumns) FROM sessions
            WHERE staff_id = $1 AND \(isOpen) \(before == nil ? "" : "AND id < $4 ")\
            ORDER BY id DESC LIMIT $3
            """, values)
    }

    /// One row, `count`: how many they are.
    static func countOpen(of staff: String, at now: Instant) -> Statement {
        Statement(
            "SELECT COUNT(*) AS count FROM sessions WHERE staff_id = $1 AND \(isOpen)", [.text(staff), Value(now)])
    }

    /// Ids of what has neither been ended nor run out, open or not: a longer idle time would open it again. Through `sessions_open`.
    static func unended(of staff: String, at now: Instant, limit: Int) -> Statement {
        Statement(
            """
            SELECT id FROM sessions WHERE staff_id = $1 AND ended_at IS NULL AND expires_at > $2
            ORDER BY id DESC LIMIT $3
            """, [.text(staff), Value(now), .int(Int64(limit))])
    }

    /// `staff_id` and `seen`: when each person last used a session.
    static func lastSeen(_ staff: [String]) -> Statement {
        let list = staff.indices.map { "$\($0 + 1)" }.joined(separator: ", ")
        return Statement(
            "SELECT staff_id, MAX(last_seen_at) AS seen FROM sessions WHERE staff_id IN (\(list)) GROUP BY staff_id",
            staff.map(Value.text))
    }

    /// One row when the person has signed in from this very address since a time.
    static func knownSource(email: String, ip: String, since: Instant) -> Statement {
        Statement(
            """
            SELECT s.id FROM staff p JOIN sessions s ON s.staff_id = p.id
            WHERE p.email = $1 AND s.ip = $2 AND s.created_at > $3 LIMIT 1
            """, [.text(email), .text(ip), Value(since)])
    }

    // MARK: Throttling

    static func throttle(_ keys: [String]) -> Statement {
        let list = keys.indices.map { "$\($0 + 1)" }.joined(separator: ", ")
        return Statement(
            "SELECT key, failures, blocked_until, updated_at FROM throttle WHERE key IN (\(list))",
            keys.map(Value.text))
    }

    static func setThrottle(_ key: String, _ entry: Throttle.Entry) -> Statement {
        Statement(
            """
            INSERT INTO throttle (key, failures, blocked_until, updated_at) VALUES ($1, $2, $3, $4)
            ON CONFLICT (key) DO UPDATE SET failures = excluded.failures, blocked_until = excluded.blocked_until,
                updated_at = excluded.updated_at
            """, [.text(key), .int(entry.failures), Value(entry.blockedUntil), Value(entry.updatedAt)])
    }

    static func forgetThrottle(_ key: String) -> Statement {
        Statement("DELETE FROM throttle WHERE key = $1", [.text(key)])
    }

    /// Only as it was read: what was counted since stays.
    static func forgetThrottle(_ key: String, updatedAt: Instant) -> Statement {
        Statement("DELETE FROM throttle WHERE key = $1 AND updated_at = $2", [.text(key), Value(updatedAt)])
    }

    /// Takes one counted attempt back.
    static func forgiveThrottle(_ key: String) -> Statement {
        Statement(
            "UPDATE throttle SET failures = CASE WHEN failures > 0 THEN failures - 1 ELSE 0 END WHERE key = $1",
            [.text(key)])
    }

    /// Takes one counted attempt back, with its delay if nothing was counted on top of it.
    static func withdraw(_ key: String, _ counted: Throttle.Entry, before: Throttle.Entry?) -> Statement {
        Statement(
            """
            UPDATE throttle SET
                blocked_until = CASE WHEN failures = $2 AND updated_at = $3 THEN $4 ELSE blocked_until END,
                failures = CASE WHEN failures > 0 THEN failures - 1 ELSE 0 END
            WHERE key = $1
            """,
            [
                .text(key), .int(counted.failures), Value(counted.updatedAt),
                Value(before?.blockedUntil ?? Instant(microseconds: 0)),
            ])
    }

    /// Up to 500 rows with a key between two others, by the primary key.
    static func throttle(after: String, before: String) -> Statement {
        Statement(
            """
            SELECT key, failures, blocked_until, updated_at FROM throttle WHERE key > $1 AND key < $2
            ORDER BY key LIMIT 500
            """, [.text(after), .text(before)])
    }

    /// Adds to the failures that wait to be recorded for one source and account.
    static func addFold(_ key: String, count: Int64, at now: Instant) -> Statement {
        Statement(
            """
            INSERT INTO throttle (key, failures, blocked_until, updated_at) VALUES ($1, $2, 0, $3)
            ON CONFLICT (key) DO UPDATE SET failures = throttle.failures + excluded.failures,
                updated_at = excluded.updated_at
            RETURNING failures, blocked_until
            """, [.text(key), .int(count), Value(now)])
    }
}

extension SessionLimits {
    /// The columns of `SignInQueries.limits`; what is not set is as shipped.
    init(_ row: Row) throws {
        self.init()
        if let hours = try row.optionalInt("session_hours") { length = .hours(hours) }
        if let minutes = try row.optionalInt("idle_minutes") { idle = .minutes(minutes) }
        if let minutes = try row.optionalInt("step_up_minutes") { stepUpAge = .minutes(minutes) }
    }
}
