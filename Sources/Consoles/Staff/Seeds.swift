import Kernel

/// The roles, permissions, limits and approval rules a new deployment starts with. They are rows afterwards: changing them
/// is an audited operation, and nothing in the code asks for a role by name.
public enum Seeds {
    /// Raised with every change of what follows; recorded with the event that applied it.
    public static let version: Int64 = 10

    public static let roles: [Role] = [
        role("support_l1", "Finds and views tenants, users and tickets; sends password resets."),
        role(
            "support_l2",
            "All that Support L1 does; looks into tenants without changing them, suspends and restores them, gives small credits, asks for AI agents to be stopped."
        ),
        role(
            "billing_ops",
            "Refunds, credits, discounts, prices, plans, billing e-mail; pauses and resumes subscriptions."),
        role(
            "engineering_oncall",
            "Turns features on and off for a tenant, restarts workers, sends deliveries again, changes many tenants where it can be undone, stops AI agents, limits what an incident does."
        ),
        role(
            "security",
            "Ends sessions and impersonations, reviews the audit log, erases personal data, agrees to the suspension of many tenants."
        ),
        role(
            "finance_lead",
            "Views billing, exports financial reports, agrees to large amounts; never starts a refund."),
        role(
            "customer_success",
            "Views tenants, upholds and escalates disputes, invites people again, starts onboarding over."),
        role(
            "head_of_cs",
            "Decides escalated disputes with a second person; is the second person where a manager is required."),
        role(
            "incident_commander",
            "Leads an AI incident: limits what it does, stops agents, agrees to credits for everybody it hit."),
        role(
            "compliance",
            "Records controls, evidence, exceptions, drills, auditors' work, data processing agreements and subprocessors; changes no tenant."
        ),
        role(
            "legal",
            "Sets legal holds, gives the legal reason for making an agent forget, reads who held evidence; changes no tenant."
        ),
        role("executive", "Agrees to the deletion of many tenants, and does nothing else."),
        role("super_admin", "Holds every permission; the gravest actions still need a second person."),
    ]

    /// Role → permissions; `super_admin` holds every one there is.
    private static let held: [(role: String, permissions: [String])] = [
        ("support_l1", supportL1),
        (
            "support_l2",
            supportL1 + [
                "ticket.assign", "ticket.comment", "ticket.close", "impersonation.start",
                "impersonation.request_consent", "impersonation.end", "tenant.suspend", "tenant.restore",
                "user.suspend", "user.unsuspend", "tenant.set_note", "tenant.credit", "agent.view",
                "agent.request_kill_switch",
            ]
        ),
        (
            "billing_ops",
            [
                "tenant.view", "user.view", "billing.view", "payment.refund", "tenant.credit", "subscription.discount",
                "subscription.override_price", "subscription.pause", "subscription.resume", "subscription.reactivate",
                "tenant.change_plan", "tenant.settle_change", "tenant.change_billing_email",
                "tenant.refresh_from_provider", "dispute.view",
                "dispute.overturn", "drift.dismiss",
            ]
        ),
        (
            "engineering_oncall",
            [
                "tenant.view", "flag.view", "flag.override", "flag.clear_override", "worker.restart", "delivery.view",
                "delivery.replay", "tenant.change_region", "tenant.settle_change", "tenant.retry_onboarding",
                "bulk.view", "bulk.flag_rollout",
                "bulk.region_migration", "agent.view", "agent.kill_task", "agent.force_pause", "agent.resume",
                "agent.kill_switch", "agent.rerun", "incident.view", "incident.declare", "incident.mitigate",
                "incident.release", "drift.dismiss", "runtime_token.view", "setting.view", "service_account.create",
            ]
        ),
        (
            "security",
            [
                "tenant.view", "tenant.export", "user.view", "user.export", "user.force_logout", "user.revoke_sessions",
                "user.delete", "audit.view",
                "audit.export", "integrity.view", "integrity.settle", "clock.confirm", "approval.view", "staff.view",
                "access.view", "erasure.initiate", "erasure.cancel",
                "erasure.resume",
                "impersonation.end", "breakglass.view", "breakglass.end", "breakglass.review", "bulk.view",
                "agent.view", "incident.view", "safety.review",
                "runtime_token.view", "setting.view", "session.view", "staff.revoke_sessions", "staff_flag.clear",
                "service_account.view", "service_account.create", "service_account.revoke", "scim.view",
                "access_review.view", "access_review.decide", "access_review.manage", "access_review.export",
                "compliance.view",
            ]
        ),
        (
            "finance_lead",
            ["tenant.view", "tenant.export", "billing.view", "billing.export", "sla_credit.view", "dispute.view"]
        ),
        (
            "customer_success",
            [
                "tenant.view", "user.view", "ticket.view", "dispute.view", "dispute.uphold", "dispute.escalate",
                "team.reinvite", "onboarding.reset", "tenant.set_note", "tenant.manage",
            ]
        ),
        (
            "head_of_cs",
            [
                "tenant.view", "tenant.export", "user.view", "ticket.view", "dispute.view", "dispute.uphold",
                "dispute.escalate",
                "dispute.overturn", "dispute.decide", "sla_credit.view", "tenant.set_csm",
                "tenant.manage",
            ]
        ),
        (
            "incident_commander",
            [
                "tenant.view", "agent.view", "agent.kill_task", "agent.kill_switch", "incident.view",
                "incident.declare", "incident.mitigate", "incident.release", "sla_credit.view",
            ]
        ),
        (
            "compliance",
            [
                "compliance.view", "control.record", "evidence.record", "exception.record", "drill.record",
                "engagement.manage", "dpa.sign", "subprocessor.record", "audit.view", "integrity.view", "approval.view",
                "staff.view", "access.view", "setting.view", "staff_flag.clear", "breakglass.view",
                "service_account.view",
                "scim.view", "access_review.view", "access_review.decide", "access_review.manage",
                "access_review.export",
            ]
        ),
        ("legal", ["legal_hold.apply", "legal_hold.release", "memory.legal_reference", "custody.view"]),
        ("executive", []),
        ("super_admin", PermissionCatalog.entries.map(\.code)),
    ]

    private static let supportL1 = ["tenant.view", "user.view", "ticket.view", "user.reset_password"]

    /// Ceilings on single cells.
    private static let limits: [String: [Limit]] = [
        "support_l2:tenant.credit": [Limit(currency: "USD", amount: 50_00, daily: 50_00)]
    ]

    /// The most a cell's limits may ever come to, where a role is not to have more even if somebody gives it the permission.
    static let ceilings: [String: Limit] = [
        "support_l2:payment.refund": Limit(currency: "USD", amount: 200_00)
    ]

    /// The limits of a cell as they hold: a ceiling stands also where the cell carries none, and where a rate lifts one that was
    /// below it when it was set.
    static func effective(_ limits: [Limit]?, of role: String, on permission: String) -> [Limit]? {
        guard let most = ceilings["\(role):\(permission)"] else { return limits }
        let ceiling = Limit(currency: most.currency, amount: most.amount, daily: most.daily, isCeiling: true)
        return (limits ?? []) + [ceiling]
    }

    /// Views of the list of tenants are everybody's who sees the list.
    private static let views = ["segment.save", "segment.share", "segment.delete"]

    /// Whether somebody signs a request is for its rules to say; whoever asked may always take it back.
    private static let deciding = ["approval.decide"]

    public static let permissions: [RolePermission] = held.flatMap { role, permissions in
        let views = permissions.contains("tenant.view") ? views : []
        return (permissions + (views + deciding).filter { !permissions.contains($0) }).map {
            RolePermission(role: role, permission: $0, limits: limits["\(role):\($0)"])
        }
    }

    /// Roles nobody holds together, by default.
    public static let separations: [RoleSeparation] = [
        RoleSeparation(
            id: "billing_security", first: ["billing_ops"], second: ["security"],
            summary: "Moving money, and looking into who moved it"),
        RoleSeparation(
            id: "support_billing", first: ["support_l1", "support_l2"], second: ["billing_ops"],
            summary: "Asking for a credit, and agreeing to it"),
    ]

    // MARK: Approval rules

    /// Operations whose money value climbs one ladder. Denying an SLA credit and upholding a verdict move none.
    static let moneyOperations = [
        "payment.refund", "tenant.credit", "subscription.discount", "subscription.override_price", "invoice.write_off",
        "dispute.overturn", "dispute.decide", "sla_credit.adjust", "sla_credit.mass", "bulk.credit",
    ]

    public static let rules: [ApprovalRule] = moneyRules + policyRules + otherRules

    /// One for each operation that changes policy, and none for the one that seeds it.
    private static let policyRules: [ApprovalRule] = [
        "change_rule", "add_rule", "change_role", "set_limit", "set_rate", "change_separation",
    ].map { rule("policy_\($0)", "policy.\($0)", .role(["security"]), "Changing policy") }

    /// Currencies a rate can be set for; without one each amount in them needs a second person.
    public static let currencies = [
        "AED", "ARS", "AUD", "BGN", "BHD", "BRL", "CAD", "CHF", "CLP", "CNY", "COP", "CZK", "DKK", "EGP", "EUR", "GBP",
        "HKD", "HUF", "IDR", "ILS", "INR", "ISK", "JOD", "JPY", "KES", "KRW", "KWD", "MAD", "MXN", "MYR", "NGN", "NOK",
        "NZD", "OMR", "PEN", "PHP", "PKR", "PLN", "QAR", "RON", "RSD", "SAR", "SEK", "SGD", "THB", "TND", "TRY", "TWD",
        "UAH", "UYU", "VND", "ZAR",
    ]

    /// Bands in minor units of USD. `currency` is the one the value was converted to; a value that could not be converted
    /// is measured with `currency` "none" and always needs the finance lead.
    private static let moneyRules: [ApprovalRule] = moneyOperations.flatMap { operation -> [ApprovalRule] in
        let id = operation.replacing(".", with: "_")
        return [
            rule(
                "\(id)_usd_100", operation,
                when: ["amount": ["ge": 100_00, "lt": 1000_01], "currency": ["eq": "USD"]],
                .role(["billing_ops"]), "100.00 to 1,000.00 USD"),
            rule(
                "\(id)_usd_1000", operation, when: ["amount": ["gt": 1000_00], "currency": ["eq": "USD"]],
                .role(["finance_lead"]), "More than 1,000.00 USD"),
            rule(
                "\(id)_actor_daily", operation, when: ["actor_amount": ["gt": 2000_00]],
                .role(["billing_ops", "finance_lead"]), "More than 2,000.00 USD unsigned within a day"),
            rule(
                "\(id)_unconverted", operation, when: ["currency": ["eq": "none"]], .role(["finance_lead"]),
                "A currency without a policy rate"),
        ]
    }

    private static let otherRules: [ApprovalRule] = [
        rule(
            "tenant_credit_over_limit", "tenant.credit", when: ["over_limit": ["eq": true]], .role(["billing_ops"]),
            "A credit over one's own limit"),
        rule(
            "tenant_hard_delete", "tenant.hard_delete", .role(["super_admin"]), cooldown: .hours(24),
            "Deleting a tenant for good"),
        rule(
            // Nobody asked for it in person, so two people sign.
            "tenant_hard_delete_policy", "tenant.hard_delete", when: ["automatic": ["eq": true]],
            .allOf([.role(["super_admin"]), .role(["super_admin"])]), cooldown: .hours(24),
            "Deleting a tenant because the retention policy says so"),

        // Every bulk run in production needs another holder of the item operation's permission.
        rule("bulk_flag_rollout", "bulk.flag_rollout", .permission("flag.override"), "A bulk run"),
        rule("bulk_region_migration", "bulk.region_migration", .permission("tenant.change_region"), "A bulk run"),
        rule("bulk_plan_migration", "bulk.plan_migration", .permission("tenant.change_plan"), "A bulk run"),
        rule("bulk_invite", "bulk.invite", .permission("team.reinvite"), "A bulk run"),
        rule("bulk_archive", "bulk.archive", .permission("tenant.archive"), "A bulk run"),
        rule("bulk_credit", "bulk.credit", .permission("tenant.credit"), "A bulk run"),
        rule("bulk_region_migration_admin", "bulk.region_migration", .role(["super_admin"]), "Moving many tenants"),
        rule("bulk_plan_migration_admin", "bulk.plan_migration", .role(["super_admin"]), "Moving many tenants"),
        rule(
            "bulk_suspend", "bulk.suspend", .allOf([.role(["security"]), .permission("tenant.suspend")]),
            "Suspending many tenants"),
        rule(
            "bulk_delete", "bulk.delete", .allOf([.role(["super_admin"]), .role(["executive"])]), cooldown: .hours(24),
            "Deleting many tenants"),
        rule("bulk_broadcast", "bulk.broadcast", .role(["head_of_cs"]), "Writing to many customers"),

        rule(
            "impersonation_write", "impersonation.start",
            when: ["mode": ["eq": "write"], "tenant_consent": ["eq": false]], .role(["super_admin"]), window: .hours(1),
            "Impersonation that can change things, without the tenant's own consent"),
        rule(
            // Alone it opens only where nobody answers, and locks whoever opened it.
            "breakglass", "breakglass.open", when: ["solo": ["eq": false]], .role(["super_admin"]),
            window: .minutes(10), "Opening break-glass on one tenant in an emergency"),

        // Waived until somebody else has enrolled who could sign.
        rule(
            "staff_invite", "staff.invite", when: ["super_admins": ["gt": 1]], .role(["super_admin", "security"]),
            "Inviting staff"),
        rule("staff_reset_factors", "staff.reset_factors", .role(["super_admin", "security"]), "Resetting factors"),
        rule(
            "staff_grant_role", "staff.grant_role", when: ["grants_power": ["eq": true]],
            .role(["super_admin", "security"]),
            "Granting a role that signs approvals or holds a high or critical permission"),
        rule(
            "staff_change_roles", "staff.change_roles", .role(["super_admin", "security"]),
            "Giving and taking roles in one change"),
        rule(
            // Whoever is looked at would be rid of it alone.
            "access_review_cancel", "access_review.cancel", .role(["security", "compliance", "super_admin"]),
            "Cancelling an access review"),
        rule(
            "access_review_plan", "access_review_plan.change", when: ["weakens": ["eq": true]],
            .role(["security", "compliance", "super_admin"]), "Having access looked at less often, or of fewer roles"),
        rule(
            "staff_accept_grant", "staff.accept_grant", when: ["grants_power": ["eq": true]],
            .role(["super_admin", "security"]), "Accepting a role of power that a provider asks for"),
        rule(
            // Putting a row back is at once: it is what was agreed to.
            "discrepancy_adopt", "discrepancy.adopt", when: ["grants_power": ["eq": true]],
            .role(["super_admin", "security"]), "Keeping a row that was changed beside the log and may grant power"),
        // Less than there was, and an end, are at once.
        rule(
            "service_account", "service_account.*", when: ["grants_power": ["eq": true]],
            .role(["super_admin", "security"]), "Service accounts"),
        rule(
            "scim_token", "scim_token.*", when: ["grants_power": ["eq": true]], .role(["super_admin", "security"]),
            "SCIM settings"),
        // Waits for operations. Until there are some the provider is set where the server is started, and a change is told.
        rule("oidc", "oidc.*", .role(["super_admin", "security"]), "Single sign-on settings"),

        rule(
            // `by_staff`: a colleague asks, in the console, on the command line or over the API.
            "erasure_console", "erasure.initiate", when: ["by_staff": ["eq": true]], .role(["super_admin"]),
            cooldown: .days(7), "An erasure started by staff"),
        rule(
            // `tenant_csm` is the person named as the tenant's customer success manager, while they hold `tenant.manage`.
            "agent_kill_switch_enterprise", "agent.kill_switch",
            when: ["tenant_wide": ["eq": true], "tier": ["eq": "enterprise"]],
            .role(["tenant_csm", "head_of_cs", "super_admin"]), window: .minutes(15),
            "Stopping all agents of an Enterprise tenant"),
        rule(
            "agent_approval_override", "agent.approval_override", when: ["irreversible": ["eq": true]],
            .permission("agent.approval_override"), window: .hours(1),
            "Overriding the approval of an irreversible action"),
        rule(
            "agent_make_permanent", "agent.make_permanent", .permission("agent.make_permanent"), window: .hours(1),
            "Keeping an agent control for good"),
        rule(
            "agent_bulk_kill", "agent.kill_task", when: ["tasks": ["gt": 10]], .permission("agent.kill_task"),
            window: .hours(1), "Killing more than 10 tasks"),

        rule(
            "sla_credit_adjust", "sla_credit.adjust", .role(["finance_lead", "head_of_cs"]), "Adjusting an SLA credit"),
        rule("sla_credit_deny", "sla_credit.deny", .role(["finance_lead", "head_of_cs"]), "Denying an SLA credit"),
        rule(
            "sla_credit_mass", "sla_credit.mass",
            .allOf([.role(["finance_lead", "head_of_cs"]), .role(["incident_commander"])]),
            "SLA credits for an incident"),
        rule(
            // A window is counted by the clock: a week has five business days, and holidays don't make it longer.
            "dispute_escalated", "dispute.decide",
            .allOf([.role(["head_of_cs"]), .role(["finance_lead", "billing_ops"])]), window: .days(7),
            "Deciding an escalated dispute (5 business days, counted as 7 days)"),
        rule("flag_permanent", "flag.make_permanent", .role(["security"]), "Keeping a flag override for good"),
    ]

    /// With the title that sentences call it by.
    private static func role(_ code: String, _ summary: String) -> Role {
        Role(id: code, title: RoleTitle.of(code), summary: summary)
    }

    private static func rule(
        _ id: String, _ operation: String, when condition: JSON = .object([:]), _ demand: Demand,
        window: Span = .hours(24), cooldown: Span? = nil, _ summary: String
    ) -> ApprovalRule {
        guard let condition = Condition(condition) else { preconditionFailure("rule \(id) has no valid condition") }
        return ApprovalRule(
            id: id, operation: operation, condition: condition, demand: demand, window: window, cooldown: cooldown,
            version: 1, summary: summary)
    }
}
