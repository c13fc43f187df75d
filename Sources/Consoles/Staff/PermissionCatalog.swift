import Kernel

/// Every permission there is, with what it lets a person do. The matrix, the seeds and the golden file are made from it.
public enum PermissionCatalog {
    public struct Entry: Sendable, Hashable {
        /// `tenant.suspend`
        public let code: String
        public let title: String
        public let risk: Risk
        /// The heading it stands under.
        public let area: String
    }

    /// Grouped by area, in the order they are shown.
    public static let entries: [Entry] = areas.flatMap { area, entries in
        entries.map { Entry(code: $0.0, title: $0.1, risk: $0.2, area: area) }
    }

    public static subscript(code: String) -> Entry? { byCode[code] }
    static let risks = byCode.mapValues(\.risk)

    private static let byCode = Dictionary(uniqueKeysWithValues: entries.map { ($0.code, $0) })

    private static let areas: [(String, [(String, String, Risk)])] = [
        (
            "Tenants",
            [
                ("tenant.view", "Find and view tenants", .low),
                ("tenant.create", "Create a tenant", .medium),
                ("tenant.update", "Change name, slug and metadata", .low),
                ("tenant.suspend", "Suspend a tenant", .high),
                ("tenant.restore", "Restore a tenant", .medium),
                ("tenant.archive", "Archive a tenant", .high),
                ("tenant.hard_delete", "Delete a tenant for good", .critical),
                ("tenant.retry_onboarding", "Start a failed onboarding again", .low),
                ("tenant.transfer_ownership", "Give a tenant another owner", .high),
                ("tenant.change_plan", "Change a tenant's plan", .high),
                ("tenant.change_tier", "Change a tenant's tier", .high),
                ("tenant.change_region", "Move a tenant to another region", .high),
                ("tenant.settle_change", "Confirm, retry or revert a change of plan or region", .high),
                ("tenant.report_status", "Report a tenant's status, as your product does", .medium),
                ("tenant.set_impersonation_policy", "Set who may look into a tenant, and how", .high),
                ("tenant.set_note", "Write the \"handle with care\" note", .low),
                ("tenant.set_csm", "Name a tenant's customer success manager", .high),
                ("tenant.manage", "Be a tenant's customer success manager, and sign as one", .high),
                ("tenant.export_data", "Export a tenant's data", .high),
                ("tenant.export", "Export the list of tenants", .medium),
                ("registry.import", "Import tenants from a file", .high),
                ("drift.accept", "Take over what the product says of a tenant", .high),
                ("drift.dismiss", "Keep ours where the product differs", .medium),
                ("segment.save", "Save a segment", .low),
                ("segment.share", "Share a segment", .low),
                ("segment.delete", "Delete a segment", .low),
            ]
        ),
        (
            "Users",
            [
                ("user.view", "Find and view users", .low),
                ("user.export", "Export the list of users", .high),
                ("user.reset_password", "Send a password reset", .medium),
                ("user.force_logout", "Sign a user out everywhere", .medium),
                ("user.revoke_sessions", "End chosen sessions of a user", .medium),
                ("user.suspend", "Suspend a user", .high),
                ("user.unsuspend", "Let a suspended user in again", .medium),
                ("user.change_email", "Change a user's e-mail", .high),
                ("user.delete", "Delete a user for good", .critical),
            ]
        ),
        (
            "Support",
            [
                ("ticket.view", "View tickets", .low),
                ("ticket.assign", "Assign a ticket", .low),
                ("ticket.comment", "Comment on a ticket", .low),
                ("ticket.close", "Close a ticket", .low),
                ("account.merge", "Merge two accounts", .high),
                ("team.reinvite", "Invite team members again", .low),
                ("onboarding.reset", "Start onboarding over", .medium),
            ]
        ),
        (
            "Billing",
            [
                ("billing.view", "View subscriptions, invoices and payments", .low),
                ("billing.export", "Export financial reports", .high),
                ("payment.refund", "Refund a payment", .high),
                ("tenant.credit", "Give a credit", .high),
                ("subscription.discount", "Give a discount", .high),
                ("subscription.override_price", "Override a price", .high),
                ("subscription.pause", "Pause a subscription", .high),
                ("subscription.resume", "Resume a subscription", .medium),
                ("subscription.reactivate", "Reactivate a subscription", .medium),
                ("tenant.change_billing_email", "Change the billing e-mail", .medium),
                ("tenant.refresh_from_provider", "Fetch the provider's state again", .low),
                ("invoice.write_off", "Write an invoice off", .high),
            ]
        ),
        (
            "Flags and platform",
            [
                ("flag.view", "View feature flags and where they are overridden", .low),
                ("flag.override", "Override a feature flag for a tenant", .medium),
                ("flag.clear_override", "Take an override of a feature flag away", .medium),
                ("flag.make_permanent", "Keep an override of a feature flag for good", .high),
                ("worker.restart", "Restart a worker", .medium),
                ("delivery.view", "View deliveries", .low),
                ("delivery.replay", "Replay or dismiss a delivery, send tests", .medium),
                ("webhook.manage", "Create, rotate and disable webhooks", .high),
            ]
        ),
        (
            "Impersonation",
            [
                ("impersonation.start", "Look into a tenant as one of its users", .high),
                ("impersonation.request_consent", "Ask a tenant for consent", .low),
                ("impersonation.end", "End an impersonation", .medium),
                ("breakglass.view", "View emergencies and what was done within them", .low),
                ("breakglass.open", "Open break-glass on a tenant in an emergency", .critical),
                ("breakglass.end", "End an emergency", .medium),
                ("breakglass.review", "Review an emergency", .high),
            ]
        ),
        (
            "Bulk",
            [
                ("bulk.view", "View bulk jobs", .low),
                ("bulk.flag_rollout", "Turn a feature on for many tenants", .high),
                ("bulk.region_migration", "Move many tenants to another region", .critical),
                ("bulk.plan_migration", "Move many tenants to another plan", .critical),
                ("bulk.invite", "Invite many people again", .high),
                ("bulk.suspend", "Suspend many tenants", .critical),
                ("bulk.archive", "Archive many tenants", .critical),
                ("bulk.delete", "Delete many tenants", .critical),
                ("bulk.credit", "Credit many tenants", .critical),
                ("bulk.broadcast", "Write to many customers", .critical),
            ]
        ),
        (
            "Agents",
            [
                ("agent.view", "View agents, tasks and costs", .low),
                ("agent.request_kill_switch", "Ask for AI agents to be stopped", .low),
                ("agent.kill_task", "End an agent's task at once", .high),
                ("agent.force_pause", "Pause an agent's task", .medium),
                ("agent.resume", "Resume an agent's task", .medium),
                ("agent.kill_switch", "Stop a tenant's agents or a feature", .high),
                ("agent.make_permanent", "Keep an agent control for good", .high),
                ("agent.approval_override", "Decide in place of the tenant's approver", .critical),
                ("agent.override_budget", "Override an agent's budget", .high),
                ("agent.set_tools", "Set an agent's tools", .high),
                ("agent.set_entitlement", "Set an agent's entitlements", .high),
                ("agent.rerun", "Run a task again in the sandbox", .low),
                ("memory.inspect", "Inspect an agent's memory", .high),
                ("memory.force_forget", "Make an agent forget", .high),
                ("memory.legal_reference", "Give the legal reason for making an agent forget", .medium),
            ]
        ),
        (
            "Incidents, SLA credits, disputes",
            [
                ("incident.view", "View AI incidents", .low),
                ("incident.declare", "Declare an incident", .medium),
                ("incident.mitigate", "Limit what an incident does", .high),
                ("incident.release", "Lift what limits an incident", .high),
                ("safety.review", "Work on incidents of AI safety", .high),
                ("sla_credit.view", "View SLA credits", .low),
                ("sla_credit.adjust", "Adjust an SLA credit", .high),
                ("sla_credit.deny", "Deny an SLA credit", .high),
                ("sla_credit.mass", "Give SLA credits for an incident", .critical),
                ("dispute.view", "View disputes", .low),
                ("dispute.uphold", "Uphold a verdict", .medium),
                ("dispute.escalate", "Escalate a dispute", .low),
                ("dispute.overturn", "Overturn a verdict", .high),
                ("dispute.decide", "Decide an escalated dispute", .high),
            ]
        ),
        (
            "Compliance and legal",
            [
                ("compliance.view", "View the compliance console", .low),
                ("control.record", "Record compliance controls", .medium),
                ("evidence.record", "Record evidence", .medium),
                ("exception.record", "Record exceptions", .medium),
                ("drill.record", "Record emergency drills", .medium),
                ("engagement.manage", "Manage what auditors are engaged for", .high),
                ("dpa.sign", "Record a signed data processing agreement", .medium),
                ("subprocessor.record", "Record who else processes customers' data", .medium),
                ("legal_hold.apply", "Apply a legal hold", .high),
                ("legal_hold.release", "Release a legal hold", .high),
                ("custody.view", "Read who held evidence, and when", .medium),
                ("erasure.initiate", "Start an erasure", .critical),
                ("erasure.cancel", "Cancel an erasure", .high),
                ("erasure.resume", "Resume an erasure", .high),
            ]
        ),
        (
            "Audit, staff and access",
            [
                ("approval.view", "View everybody's approval requests", .low),
                ("approval.decide", "Sign, reject and cancel requests, where one's roles are asked for", .medium),
                ("audit.view", "Read the audit log", .low),
                ("audit.export", "Export the audit log", .high),
                ("integrity.view", "View rows that differ from the log", .low),
                ("integrity.settle", "Settle rows that differ from the log", .critical),
                ("clock.confirm", "Confirm the server's clock after it was set", .high),
                ("staff.view", "View staff and their roles", .low),
                ("access.view", "View the permission matrix", .low),
                ("staff.invite", "Invite staff", .high),
                ("staff.grant_role", "Grant and revoke roles", .high),
                ("staff.deactivate", "Deactivate and reactivate staff", .high),
                ("staff.revoke_sessions", "End sessions of staff", .medium),
                ("staff_flag.clear", "Review exceptions to roles that are not held together", .medium),
                ("access_review.view", "View access reviews", .low),
                ("access_review.decide", "Keep or revoke grants in an access review", .high),
                ("access_review.manage", "Start, schedule, reassign and cancel access reviews", .high),
                ("access_review.export", "Export the evidence of an access review", .high),
                ("session.view", "View sessions of staff", .low),
                ("staff.reset_factors", "Reset somebody's factors", .critical),
                ("service_account.view", "View everybody's service accounts", .low),
                ("service_account.create", "Have service accounts of one's own", .critical),
                ("service_account.revoke", "Revoke anybody's service account", .medium),
                ("runtime_token.view", "View the product's runtime tokens", .low),
                ("runtime_token.manage", "Create and revoke runtime tokens", .high),
                ("scim.view", "View what an identity provider signs in with (SCIM)", .low),
                ("scim.configure", "Let an identity provider manage accounts (SCIM)", .critical),
                // Waits for operations, as the rule over them does.
                ("oidc.configure", "Configure single sign-on", .critical),
                ("setting.view", "View what the installation runs with", .low),
                ("setting.change", "Change the deployment's settings", .high),
                ("policy.change", "Change roles, limits and approval rules", .critical),
            ]
        ),
    ]
}
