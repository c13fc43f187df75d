import Kernel

extension ScimToken {
    public static let columns = """
        id, version, name, \(AccountToken.columns), created_by, created_at, expires_at, rotated_at, revoked_at, \
        revoked_for, previous_by
        """

    public init(_ row: Row) throws {
        self.init(
            id: try row.string("id"), version: try row.int("version"), name: try row.string("name"),
            token: try AccountToken(row), createdBy: try row.string("created_by"),
            createdAt: try row.instant("created_at"), expiresAt: try row.instant("expires_at"),
            rotatedAt: try row.optionalInstant("rotated_at"), revokedAt: try row.optionalInstant("revoked_at"),
            revokedFor: try row.optionalString("revoked_for"), previousBy: try row.optionalString("previous_by"))
    }

    public var values: [Value] {
        var values: [Value] = [.text(id), .int(version), .text(name)]
        values += token.values
        values += [
            .text(createdBy), Value(createdAt), Value(expiresAt), Value(rotatedAt), Value(revokedAt), Value(revokedFor),
            Value(previousBy),
        ]
        return values
    }

    /// The one this is the token of, or was until lately. Through `scim_tokens_token` and `scim_tokens_previous`.
    static func withDigest(_ digest: String) -> Statement {
        Statement(
            """
            SELECT \(columns) FROM scim_tokens WHERE token_sha256 = $1
            UNION ALL SELECT \(columns) FROM scim_tokens WHERE previous_sha256 = $1
            """, [.text(digest)])
    }

    /// A page, the newest first.
    static func page(before id: String?, limit: Int) -> Statement {
        guard let id else {
            return Statement("SELECT \(columns) FROM scim_tokens ORDER BY id DESC LIMIT \(limit)")
        }
        return Statement(
            "SELECT \(columns) FROM scim_tokens WHERE id < $1 ORDER BY id DESC LIMIT \(limit)", [.text(id)])
    }

    static func uses(_ ids: [String]) -> Statement {
        Statement(
            "SELECT token_id AS id, used_at FROM scim_token_use WHERE token_id IN (\(placeholders(ids.count)))",
            ids.map(Value.text))
    }

    static func use(of digest: String) -> Statement {
        Statement(
            """
            SELECT used_at FROM scim_token_use WHERE token_id IN (
                SELECT id FROM scim_tokens WHERE token_sha256 = $1
                UNION ALL SELECT id FROM scim_tokens WHERE previous_sha256 = $1)
            """, [.text(digest)])
    }

    static func touch(_ id: String, at now: Instant) -> Statement {
        Statement(
            """
            INSERT INTO scim_token_use (token_id, used_at) VALUES ($1, $2)
            ON CONFLICT (token_id) DO UPDATE SET used_at = excluded.used_at
                WHERE scim_token_use.used_at < excluded.used_at
            """, [.text(id), Value(now)])
    }
}
