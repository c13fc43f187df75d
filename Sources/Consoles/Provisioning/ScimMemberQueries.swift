import Kernel

/// Who is in the groups.
enum ScimMemberQueries {
    /// `role_id`, `id` and `name` of everybody who holds one of some roles and was not deleted by the provider.
    static func holders(of roles: [String], at now: Instant) -> Statement {
        Statement(
            """
            SELECT DISTINCT g.role_id, s.id, s.name FROM grants g JOIN staff s ON s.id = g.staff_id
            WHERE g.revoked_at IS NULL AND (g.expires_at IS NULL OR g.expires_at > $1)
                AND g.role_id IN (\(placeholders(roles.count, from: 2)))
            ORDER BY s.id
            """, [Value(now)] + roles.map(Value.text))
    }
}
