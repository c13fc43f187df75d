import Kernel

extension Membership {
    public static let columns = "id, version, tenant_id, user_id, role, status, invited_at, joined_at, revoked_at"

    public var values: [Value] {
        [
            .text(id), .int(version), .text(tenant), .text(userID), .text(role.rawValue), .text(status.rawValue),
            Value(invitedAt), Value(joinedAt), Value(revokedAt),
        ]
    }
}

enum MembershipQueries {
    /// Everybody who is or is invited to be a member of a tenant.
    static func live(of tenant: String, limit: Int) -> Statement {
        Statement(
            """
            SELECT \(Membership.columns) FROM memberships WHERE tenant_id = $1 AND status <> 'revoked' \
            ORDER BY user_id LIMIT $2
            """, [.text(tenant), .int(Int64(limit))])
    }

    /// The memberships of exactly these pairs. `pairs` MUST NOT be empty.
    static func memberships(of pairs: [(tenant: String, user: String)]) -> Statement {
        let list = pairs.indices.map { "($\(2 * $0 + 1), $\(2 * $0 + 2))" }.joined(separator: ", ")
        // A join: for a pair that is IN a list of pairs the embedded database would read the whole table.
        return Statement(
            """
            WITH wanted (tenant, member) AS (VALUES \(list)) SELECT \(Membership.columns) FROM wanted \
            JOIN memberships ON tenant_id = wanted.tenant AND user_id = wanted.member
            """, pairs.flatMap { [.text($0.tenant), .text($0.user)] })
    }

    /// A tenant's members with their users, in user id order after `cursor`.
    static func members(of tenant: String, after cursor: String, limit: Int) -> Statement {
        Statement(
            """
            SELECT m.id AS membership_id, m.role AS role, m.status AS membership_status, m.invited_at AS invited_at, \
            m.joined_at AS joined_at, m.revoked_at AS revoked_at, u.id AS user_id, u.email AS email, u.name AS name, \
            u.status AS user_status, u.last_login_at AS last_login_at \
            FROM memberships m JOIN users u ON u.id = m.user_id \
            WHERE m.tenant_id = $1 AND m.user_id > $2 ORDER BY m.user_id LIMIT $3
            """, [.text(tenant), .text(cursor), .int(Int64(limit))])
    }

    /// The tenants a user belongs to, in tenant id order.
    static func tenants(of user: String, limit: Int) -> Statement {
        Statement(tenants("$1"), [.text(user), .int(Int64(limit))])
    }

    /// The same for the user with this e-mail.
    static func tenants(ofEmail email: String, limit: Int) -> Statement {
        Statement(tenants("(SELECT u.id FROM users u WHERE u.email = $1)"), [.text(email), .int(Int64(limit))])
    }

    private static func tenants(_ user: String) -> String {
        """
        SELECT m.role AS role, m.status AS membership_status, m.invited_at AS invited_at, \
        m.joined_at AS joined_at, m.revoked_at AS revoked_at, t.id AS id, \
        t.external_id AS external_id, t.name AS name, t.slug AS slug, t.status AS status, t.plan AS plan \
        FROM memberships m JOIN tenants t ON t.id = m.tenant_id WHERE m.user_id = \(user) \
        ORDER BY m.tenant_id LIMIT $2
        """
    }
}
