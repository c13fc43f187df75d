import Kernel

enum RegistryQueries {
    /// `id`, `external_id`, `status` and `status_since` of those of these tenants that are not in use yet: words lead them on.
    /// `externalIDs` MUST NOT be empty.
    static func unused(among externalIDs: [String]) -> Statement {
        Statement(
            """
            SELECT id, external_id, status, status_since FROM tenants
            WHERE external_id IN (\(placeholders(externalIDs.count))) AND (status || '') IN ('pending', 'ready')
            """, externalIDs.map(Value.text))
    }

    /// Tenants that are set up and wait for a first sign-in, where one of these people, by the product's ids, has signed in
    /// since. `users` MUST NOT be empty.
    static func readyTenants(of users: [String]) -> Statement {
        Statement(
            """
            SELECT DISTINCT t.id AS id FROM users u JOIN memberships m ON m.user_id = u.id AND m.status = 'joined'
            JOIN tenants t ON t.id = m.tenant_id AND t.status = 'ready'
            WHERE u.external_id IN (\(placeholders(users.count))) AND u.last_login_at >= t.status_since
            ORDER BY id LIMIT 1000
            """, users.map(Value.text))
    }
}
