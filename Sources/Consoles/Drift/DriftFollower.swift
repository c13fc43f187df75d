import Kernel

/// Closes a difference when the field is changed here to what the product says, whoever changes it and by which operation.
enum DriftFollower {
    static let follower = Follower(follow)

    /// What it reads of a tenant. Operations that always change one of the fields foresee it.
    static func foreseen(of tenant: String?) -> [Statement] { tenant.map { [DriftQueries.drifts(of: [$0])] } ?? [] }

    private static func follow(
        _ changes: [Change], by person: String, from reader: any Reader
    ) throws -> Follower.Followed? {
        var moved: [String: Tenant] = [:]
        for change in changes {
            guard let before = change.before as? Tenant, let after = change.after as? Tenant,
                Drift.Field.allCases.contains(where: { $0.value(of: before) != $0.value(of: after) })
            else { continue }
            moved[after.id] = after
        }
        guard !moved.isEmpty else { return nil }
        // What the operation itself settles stays as it settles it.
        let settled = Set(changes.map(\.id))
        let now = reader.now
        let agreed = try reader.query(DriftQueries.drifts(of: moved.keys.sorted())).compactMap { row -> Change? in
            // One that can't be read keeps nobody from suspending a tenant.
            guard let drift = try? Drift(row), !settled.contains(drift.id), let tenant = moved[drift.tenant],
                let after = drift.agreed(with: tenant, by: person, at: now)
            else { return nil }
            return .update(drift, to: after)
        }
        guard !agreed.isEmpty else { return nil }
        return (changes: agreed, facts: ["drift_closed": .int(Int64(agreed.count))])
    }
}
