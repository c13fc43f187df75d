import HTML
import Kernel

/// Every console of the deployment, in the order of the menu.
public enum Consoles {
    public static let all = all(InstallationFacts())

    /// With what the program that serves them says of itself.
    public static func all(_ installation: InstallationFacts) -> [Console] {
        [
            HomeConsole.console,
            ApprovalsConsole.console,
            TenantsConsole.console,
            SegmentsConsole.console,
            RegistryConsole.console,
            DriftConsole.console,
            DeliveriesConsole.console,
            AuditLogConsole.console,
            StaffConsole.console,
            PolicyConsole.console,
            RuntimeTokensConsole.console,
            IntegrityConsole.console,
            SettingsConsole.console(installation),
        ]
    }
}
