/// What people call the roles that a deployment starts with. Sentences are put together where no row is at hand (in messages, in
/// what a rule demands), and say the title; documents and fields keep the code.
public enum RoleTitle {
    private static let shipped = [
        "support_l1": "Support L1", "support_l2": "Support L2", "billing_ops": "Billing operations",
        "engineering_oncall": "Engineering on call", "security": "Security", "finance_lead": "Finance lead",
        "customer_success": "Customer success", "head_of_cs": "Head of customer success",
        "incident_commander": "Incident commander", "compliance": "Compliance", "legal": "Legal",
        "executive": "Executive", "super_admin": "Super admin", Demand.managerRole: "Customer success manager",
    ]

    /// `super_admin` → "Super admin"; the code itself for a role that was not shipped.
    public static func of(_ code: String) -> String { shipped[code] ?? code }
}
