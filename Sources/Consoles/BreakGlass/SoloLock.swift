import Kernel

/// What a person may do who opened break-glass alone, until somebody else has reviewed it (spec: access §7). Applied wherever
/// permissions are resolved: for a session, and for the standing of whoever asked or signed.
public enum SoloLock {
    /// What may be needed to help one tenant in an emergency, and to end it. On that tenant alone; no money, nothing that removes
    /// or exports, nothing about staff or policy, and no signature.
    public static let carried: Set<String> = [
        "tenant.view", "tenant.update", "tenant.suspend", "tenant.restore", "tenant.retry_onboarding",
        "tenant.transfer_ownership", "tenant.change_region", "tenant.settle_change",
        "tenant.set_impersonation_policy", "tenant.set_note", "user.view", "ticket.view", "billing.view", "flag.view",
        "flag.override", "flag.clear_override", "impersonation.start", "impersonation.request_consent",
        "impersonation.end", "agent.view", "agent.kill_task", "agent.force_pause", "agent.resume", "agent.kill_switch",
        "breakglass.view", "breakglass.end",
    ]

    /// What is left once it has ended: seeing how its review stands.
    public static let afterwards: Set<String> = ["breakglass.view"]

    /// Roles and permissions as they count for somebody with this emergency. A role that is locked signs nothing.
    public static func apply(
        _ emergency: Emergency?, to roles: Set<String>, _ permissions: Permissions
    ) -> (roles: Set<String>, permissions: Permissions) {
        guard let emergency, emergency.isSolo else { return (roles, permissions) }
        let kept = emergency.isOpen ? carried : afterwards
        return ([], permissions.filter { kept.contains($0) })
    }
}

extension Emergency {
    /// From a row with `BreakGlassQueries.columnsBeside`, for a person with these permissions; `nil` for whom there is none.
    init?(beside row: Row, of permissions: Permissions, at now: Instant) throws {
        guard let id = try row.optionalString("breakglass_id") else { return nil }
        let endsAt = try row.instant("breakglass_ends_at")
        self.init(
            id: id, tenant: try row.string("breakglass_tenant"), endsAt: endsAt,
            isOpen: try row.string("breakglass_state") == BreakGlass.State.open.rawValue && now < endsAt
                && permissions.contains(OpenBreakGlass.spec.permission),
            isSolo: try row.bool("breakglass_solo"))
    }
}
