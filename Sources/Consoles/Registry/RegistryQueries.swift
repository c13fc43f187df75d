import Kernel

enum RegistryQueries {
    /// Tenants that are set up and wait for the first sign-in of these people, by the product's ids. `users` MUST NOT be
    /// empty.
    static func readyTenants(of users: [String]) -> Statement {
        Statement(
            """
            SELECT DISTINCT t.id AS id FROM users u JOIN memberships m ON m.user_id = u.id AND m.status = 'joined'
            JOIN tenants t ON t.id = m.tenant_id AND t.status = 'ready'
            WHERE u.external_id IN (\(placeholders(users.count))) ORDER BY id LIMIT 1000
            """, users.map(Value.text))
    }
}
