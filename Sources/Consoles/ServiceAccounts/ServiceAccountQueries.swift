import Kernel

extension ServiceAccount {
    public static let columns = """
        id, version, owner_id, kind, name, scopes, \(AccountToken.columns), created_at, expires_at, rotated_at, \
        revoked_at, revoked_for
        """

    public init(_ row: Row) throws {
        guard let kind = Kind(rawValue: try row.string("kind")) else { throw StoreError.shape(column: "kind") }
        guard let scopes = try row.json("scopes").array else { throw StoreError.shape(column: "scopes") }
        self.init(
            id: try row.string("id"), version: try row.int("version"), ownerID: try row.string("owner_id"), kind: kind,
            name: try row.string("name"), scopes: scopes.compactMap(\.string), token: try AccountToken(row),
            createdAt: try row.instant("created_at"), expiresAt: try row.instant("expires_at"),
            rotatedAt: try row.optionalInstant("rotated_at"), revokedAt: try row.optionalInstant("revoked_at"),
            revokedFor: try row.optionalString("revoked_for"))
    }

    public var values: [Value] {
        var values: [Value] = [
            .text(id), .int(version), .text(ownerID), .text(kind.rawValue), .text(name),
            Value(.array(scopes.map(JSON.string))),
        ]
        values += token.values
        values += [Value(createdAt), Value(expiresAt), Value(rotatedAt), Value(revokedAt), Value(revokedFor)]
        return values
    }

    /// The one this is the token of, or was until lately. Through `service_accounts_token` and `service_accounts_previous`.
    static func withDigest(_ digest: String) -> Statement {
        Statement(
            """
            SELECT \(columns) FROM service_accounts WHERE token_sha256 = $1
            UNION ALL SELECT \(columns) FROM service_accounts WHERE previous_sha256 = $1
            """, [.text(digest)])
    }

    /// Those that were not revoked. Through `service_accounts_owner`.
    static func live(of owner: String) -> Statement {
        Statement(
            "SELECT \(columns) FROM service_accounts WHERE owner_id = $1 AND revoked_at IS NULL ORDER BY id",
            [.text(owner)])
    }

    /// Everybody's that were not revoked and whose time is not over, for the search through the policy.
    static func allLive(at now: Instant) -> Statement {
        Statement(
            """
            SELECT \(columns) FROM service_accounts WHERE revoked_at IS NULL AND expires_at > $1 ORDER BY id LIMIT 5000
            """, [Value(now)])
    }

    /// A page, the newest first; of one owner or of everybody.
    static func page(of owner: String?, before id: String?, limit: Int) -> Statement {
        var values: [Value] = []
        func bound(_ value: String) -> String {
            values.append(.text(value))
            return "$\(values.count)"
        }
        let conditions = [owner.map { "owner_id = \(bound($0))" }, id.map { "id < \(bound($0))" }].compactMap(\.self)
        return Statement(
            """
            SELECT \(columns) FROM service_accounts \
            \(conditions.isEmpty ? "" : "WHERE \(conditions.joined(separator: " AND ")) ")ORDER BY id DESC LIMIT \(limit)
            """, values)
    }

    static func uses(_ ids: [String]) -> Statement {
        Statement(
            "SELECT account_id AS id, used_at FROM service_account_use WHERE account_id IN (\(placeholders(ids.count)))",
            ids.map(Value.text))
    }

    /// `used_at` of the one this is the token of.
    static func use(of digest: String) -> Statement {
        Statement(
            """
            SELECT used_at FROM service_account_use WHERE account_id IN (
                SELECT id FROM service_accounts WHERE token_sha256 = $1
                UNION ALL SELECT id FROM service_accounts WHERE previous_sha256 = $1)
            """, [.text(digest)])
    }

    static func touch(_ id: String, at now: Instant) -> Statement {
        Statement(
            """
            INSERT INTO service_account_use (account_id, used_at) VALUES ($1, $2)
            ON CONFLICT (account_id) DO UPDATE SET used_at = excluded.used_at
                WHERE service_account_use.used_at < excluded.used_at
            """, [.text(id), Value(now)])
    }
}

/// What `StaffDirectory` reads where some of those it is asked about are accounts: their owners come along.
extension ServiceAccount {
    /// The ids of a person's accounts, of those revoked too. Through `service_accounts_owner`.
    static func all(of owner: String) -> Statement {
        Statement("SELECT id FROM service_accounts WHERE owner_id = $1 ORDER BY id", [.text(owner)])
    }
}
