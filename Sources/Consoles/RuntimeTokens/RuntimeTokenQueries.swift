import Kernel

extension RuntimeToken {
    public static let columns = """
        id, version, name, prefix, token_sha256, scopes, created_by, created_at, expires_at, revoked_at, revoked_for
        """

    public init(_ row: Row) throws {
        id = try row.string("id")
        version = try row.int("version")
        name = try row.string("name")
        prefix = try row.string("prefix")
        tokenDigest = try row.string("token_sha256")
        scopes = try (row.json("scopes").array ?? []).map { json in
            guard let scope = json.string.flatMap(RuntimeScope.init) else { throw StoreError.shape(column: "scopes") }
            return scope
        }
        createdBy = try row.string("created_by")
        createdAt = try row.instant("created_at")
        expiresAt = try row.optionalInstant("expires_at")
        revokedAt = try row.optionalInstant("revoked_at")
        revokedFor = try row.optionalString("revoked_for")
    }

    public var values: [Value] {
        [
            .text(id), .int(version), .text(name), .text(prefix), .text(tokenDigest),
            Value(.array(scopes.map { .string($0.rawValue) })), .text(createdBy), Value(createdAt), Value(expiresAt),
            Value(revokedAt), Value(revokedFor),
        ]
    }

    static func withDigest(_ digest: String) -> Statement {
        Statement("SELECT \(columns) FROM runtime_tokens WHERE token_sha256 = $1", [.text(digest)])
    }

    /// A page, the newest first.
    static func page(before id: String?, limit: Int) -> Statement {
        guard let id else {
            return Statement("SELECT \(columns) FROM runtime_tokens ORDER BY id DESC LIMIT \(limit)")
        }
        return Statement(
            "SELECT \(columns) FROM runtime_tokens WHERE id < $1 ORDER BY id DESC LIMIT \(limit)", [.text(id)])
    }

    static func uses(_ ids: [String]) -> Statement {
        Statement(
            "SELECT token_id AS id, used_at FROM runtime_token_use WHERE token_id IN (\(placeholders(ids.count)))",
            ids.map(Value.text))
    }

    static func use(of digest: String) -> Statement {
        Statement(
            """
            SELECT u.used_at FROM runtime_tokens t JOIN runtime_token_use u ON u.token_id = t.id
            WHERE t.token_sha256 = $1
            """, [.text(digest)])
    }

    static func touch(_ id: String, at now: Instant) -> Statement {
        Statement(
            """
            INSERT INTO runtime_token_use (token_id, used_at) VALUES ($1, $2)
            ON CONFLICT (token_id) DO UPDATE SET used_at = excluded.used_at
                WHERE runtime_token_use.used_at < excluded.used_at
            """, [.text(id), Value(now)])
    }
}
