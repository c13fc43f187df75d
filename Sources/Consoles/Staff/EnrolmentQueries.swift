import Kernel

/// One-time links. Only the hash of the token is stored.
enum EnrolmentQueries {
    static func insert(
        tokenHash: [UInt8], staff: String, purpose: Enrolment.Purpose, isWaiting: Bool = false, at now: Instant,
        expires: Instant
    ) -> Statement {
        Statement(
            """
            INSERT INTO enrolments (token_hash, staff_id, purpose, state, created_at, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6)
            """,
            [
                .bytes(tokenHash), .text(staff), .text(purpose.rawValue), .text(isWaiting ? "waiting" : "open"),
                Value(now), Value(expires),
            ])
    }

    static func open(tokenHash: [UInt8], at now: Instant) -> Statement {
        Statement(
            """
            SELECT s.id, s.email, s.name, s.status FROM enrolments e JOIN staff s ON s.id = e.staff_id
            WHERE e.token_hash = $1 AND e.state = 'open' AND e.expires_at > $2
            """, [.bytes(tokenHash), Value(now)])
    }

    /// Answers `staff_id` for exactly one of any number of callers.
    static func use(tokenHash: [UInt8], at now: Instant) -> Statement {
        Statement(
            """
            UPDATE enrolments SET state = 'used', used_at = $2
            WHERE token_hash = $1 AND state = 'open' AND expires_at > $2
            RETURNING staff_id
            """, [.bytes(tokenHash), Value(now)])
    }

    /// The links of a person stop working, also those that wait for their time.
    static func cancel(of staff: String, at now: Instant) -> Statement {
        Statement(
            """
            UPDATE enrolments SET state = 'cancelled', used_at = $2 WHERE staff_id = $1 AND state IN ('open', 'waiting')
            """, [.text(staff), Value(now)])
    }

    /// The link that waited for its time works from now on.
    static func open(waitingOf staff: String, expires: Instant) -> Statement {
        Statement(
            "UPDATE enrolments SET state = 'open', expires_at = $2 WHERE staff_id = $1 AND state = 'waiting'",
            [.text(staff), Value(expires)])
    }
}
