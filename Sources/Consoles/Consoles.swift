import HTML
import Kernel

/// Every console of the deployment, in the order of the menu.
public enum Consoles {
    public static let all = all(InstallationFacts())

    /// Names and titles of everything declared, for what is read without a catalog at hand.
    static let declared = Catalog(all)

    /// With what the program that serves them says of itself.
    public static func all(_ installation: InstallationFacts) -> [Console] {
        [
            HomeConsole.console,
            InboxConsole.console,
            ApprovalsConsole.console,
            TenantsConsole.console,
            SegmentsConsole.console,
            RegistryConsole.console,
            DriftConsole.console,
            DeliveriesConsole.console,
            AuditLogConsole.console,
            StaffConsole.console,
            PolicyConsole.console,
            BreakGlassConsole.console,
            ServiceAccountsConsole.console,
            ProvisioningConsole.console,
            AccessReviewConsole.console,
            RuntimeTokensConsole.console,
            IntegrityConsole.console,
            SlackConsole.console,
            SettingsConsole.console(installation),
            WorkersConsole.console,
            ClockConsole.console,
        ]
    }
}
