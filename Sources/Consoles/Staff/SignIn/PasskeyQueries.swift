import Kernel

/// The SQL of passkeys.
enum PasskeyQueries {
    /// The passkey with this id, whoever has it, with the counter it showed last.
    static func passkey(credential: [UInt8]) -> Statement {
        Statement(
            """
            SELECT \(columns), u.last_step FROM factors f LEFT JOIN factor_use u ON u.factor_id = f.id
            WHERE f.credential = $1 AND f.status = 'active'
            """, [.text(Base64.encodeURL(credential))])
    }

    /// Whether an authenticator's id was ever taken, also by a passkey that was removed since.
    static func isTaken(_ credential: [UInt8]) -> Statement {
        Statement("SELECT 1 FROM factors WHERE credential = $1", [.text(Base64.encodeURL(credential))])
    }

    /// The event that registered a passkey: the first that names its row.
    static func registration(of factor: String) -> Statement {
        Statement(
            "SELECT min(event_id) AS id FROM event_entity WHERE type = 'factor' AND id = $1", [.text(factor)])
    }

    /// A person's own factor by its id.
    static func own(_ id: String, of staff: String, _ dialect: Dialect) -> Statement {
        Statement(
            """
            SELECT \(Factor.columns) FROM factors
            WHERE id = $1 AND staff_id = $2 AND kind = 'webauthn' AND status = 'active'\(dialect.forUpdate)
            """, [.text(id), .text(staff)])
    }

    /// Answers a row only when the counter rises, or none is kept: compare-and-set in one statement.
    static func use(factor: String, counter: Int64, at now: Instant) -> Statement {
        Statement(
            """
            INSERT INTO factor_use (factor_id, last_step, used_at) VALUES ($1, $2, $3)
            ON CONFLICT (factor_id) DO UPDATE SET last_step = excluded.last_step, used_at = excluded.used_at
                WHERE factor_use.last_step IS NULL OR factor_use.last_step < excluded.last_step
                    OR (factor_use.last_step = 0 AND excluded.last_step = 0)
            RETURNING factor_id
            """, [.text(factor), .int(counter), Value(now)])
    }

    /// Answers a row the first time only.
    static func answer(_ nonce: PasskeyNonce) -> Statement {
        Statement(
            """
            INSERT INTO passkey_answers (nonce, expires_at) VALUES ($1, $2) ON CONFLICT (nonce) DO NOTHING
            RETURNING nonce
            """, [.bytes(sha256(nonce.bytes)), Value(nonce.expiresAt)])
    }

    static func deleteAnswers(expiredBefore: Instant) -> Statement {
        Statement("DELETE FROM passkey_answers WHERE expires_at < $1", [Value(expiredBefore)])
    }

    private static let columns = Factor.columns(of: "f")
}
