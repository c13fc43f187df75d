import Kernel

extension Change {
    /// What webhooks hear of a person or a membership that this makes or changes; `nil` where nothing that they hear of
    /// changed. A sign-in is none of it.
    /// - Parameter tenant: the tenant a membership is in, as it is afterwards.
    func userNotice(in tenant: Tenant?) -> Effect? {
        if let user = after as? User { return Effect.told(user, before: before as? User) }
        if let membership = after as? Membership, let tenant {
            return Effect.told(membership, before: before as? Membership, in: tenant)
        }
        return nil
    }
}

extension Effect {
    /// A notice about a person: ids and which fields changed, no values. The product's own id is looked up at delivery.
    fileprivate static func told(_ user: User, before: User?) -> Effect? {
        var payload: [String: JSON] = ["user": .string(user.id), "user_status": .string(user.status.rawValue)]
        guard let before else { return .user("created", of: user.id, payload, in: nil) }
        let changed = [
            ("email", before.email != user.email), ("external_id", before.externalID != user.externalID),
            ("name", before.name != user.name), ("status", before.status != user.status),
        ].filter { $0.1 }.map { JSON.string($0.0) }
        guard !changed.isEmpty else { return nil }
        payload["fields"] = .array(changed)
        return .user("updated", of: user.id, payload, in: nil)
    }

    /// A notice about somebody's place in a tenant: one for each change, by where the person stands afterwards.
    fileprivate static func told(_ membership: Membership, before: Membership?, in tenant: Tenant) -> Effect? {
        var payload: [String: JSON] = [
            "user": .string(membership.userID), "tenant": .string(tenant.id),
            "status": .string(tenant.status.rawValue),
            "membership": [
                "id": .string(membership.id), "role": .string(membership.role.rawValue),
                "status": .string(membership.status.rawValue),
            ],
        ]
        if before?.status == membership.status {
            guard let role = before?.role, role != membership.role else { return nil }
            payload["change"] = [
                "field": "role", "from": .string(role.rawValue), "to": .string(membership.role.rawValue),
            ]
            return .user("role_changed", of: membership.id, payload, in: tenant)
        }
        let verb =
            switch membership.status {
            case .invited: "invited"
            case .joined: "joined"
            case .revoked: "removed"
            }
        return .user(verb, of: membership.id, payload, in: tenant)
    }

    private static func user(_ verb: String, of row: String, _ payload: [String: JSON], in tenant: Tenant?) -> Effect {
        Effect(
            kind: "webhook", name: "user.\(verb)", summary: notice("user.\(verb)"),
            payload: .object(payload), tenant: tenant?.id, tenantVersion: tenant?.version, row: row)
    }
}
