import Kernel

/// The SQL of signing in by an identity provider.
enum ProviderQueries {
    // MARK: The way there and back

    static func insertRequest(
        stateHash: [UInt8], visitorHash: [UInt8], purpose: String, session: String?, next: String?, source: String,
        at now: Instant, expires: Instant
    ) -> Statement {
        Statement(
            """
            INSERT INTO provider_requests (state_hash, visitor_hash, purpose, session_id, next, source, created_at,
                expires_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            """,
            [
                .bytes(stateHash), .bytes(visitorHash), .text(purpose), Value(session), Value(next), .text(source),
                Value(now), Value(expires),
            ])
    }

    /// Answers the row once, and to the browser that began only.
    static func takeRequest(stateHash: [UInt8], visitorHash: [UInt8], at now: Instant) -> Statement {
        Statement(
            """
            DELETE FROM provider_requests WHERE state_hash = $1 AND visitor_hash = $2 AND expires_at > $3
            RETURNING purpose, session_id, next
            """, [.bytes(stateHash), .bytes(visitorHash), Value(now)])
    }

    /// One row, `count`: how many ways one network has begun and not ended.
    static func countRequests(source: String, at now: Instant) -> Statement {
        Statement(
            "SELECT COUNT(*) AS count FROM provider_requests WHERE source = $1 AND expires_at > $2",
            [.text(source), Value(now)])
    }

    // MARK: Links

    /// The link of an account at the provider, whoever has it.
    static func link(_ credential: String) -> Statement {
        Statement(
            """
            SELECT \(Factor.columns) FROM factors WHERE credential = $1 AND kind = 'oidc' AND status = 'active'
            """, [.text(credential)])
    }

    /// A person's own link by its id.
    static func own(_ id: String, of staff: String, _ dialect: Dialect) -> Statement {
        Statement(
            """
            SELECT \(Factor.columns) FROM factors
            WHERE id = $1 AND staff_id = $2 AND kind = 'oidc' AND status = 'active'\(dialect.forUpdate)
            """, [.text(id), .text(staff)])
    }

    // MARK: Sessions of the provider

    static func insertSession(
        _ session: String, subject: String, sid: String?, token: String, expires: Instant
    ) -> Statement {
        Statement(
            "INSERT INTO provider_sessions (session_id, subject, sid, token, expires_at) VALUES ($1, $2, $3, $4, $5)",
            [.text(session), .text(subject), Value(sid), .text(token), Value(expires)])
    }

    /// What a session came from.
    static func session(_ session: String) -> Statement {
        Statement("SELECT subject, sid, token FROM provider_sessions WHERE session_id = $1", [.text(session)])
    }

    /// Ends the sessions that came from one account at the provider, but for one of them. Answers `id` and `staff_id` of each.
    static func end(subject: String, besides session: String = "", at now: Instant) -> Statement {
        Statement(
            """
            UPDATE sessions SET ended_at = $2 WHERE ended_at IS NULL AND expires_at > $2 AND id <> $3
                AND id IN (SELECT session_id FROM provider_sessions WHERE subject = $1)
            RETURNING id, staff_id
            """, [.text(subject), Value(now), .text(session)])
    }

    /// Ends the sessions that came from one session of the provider, and those of the same account of which it did not say the
    /// session.
    static func end(sid: String, subject: String, at now: Instant) -> Statement {
        Statement(
            """
            UPDATE sessions SET ended_at = $3 WHERE ended_at IS NULL AND expires_at > $3
                AND id IN (SELECT session_id FROM provider_sessions WHERE sid = $1
                    UNION ALL SELECT session_id FROM provider_sessions WHERE subject = $2 AND sid IS NULL)
            RETURNING id, staff_id
            """, [.text(sid), .text(subject), Value(now)])
    }

    /// Answers a row the first time only.
    static func takeToken(_ id: [UInt8], expires: Instant) -> Statement {
        Statement(
            """
            INSERT INTO provider_tokens (jti, expires_at) VALUES ($1, $2) ON CONFLICT (jti) DO NOTHING RETURNING jti
            """, [.bytes(id), Value(expires)])
    }

    /// Removes what has run out.
    static func forget(expiredBefore time: Instant) -> [Statement] {
        [
            Statement("DELETE FROM provider_requests WHERE expires_at < $1", [Value(time)]),
            Statement("DELETE FROM provider_sessions WHERE expires_at < $1", [Value(time)]),
            Statement("DELETE FROM provider_tokens WHERE expires_at < $1", [Value(time)]),
        ]
    }
}
