import HTML
import Kernel

/// Every console of the deployment, in the order of the menu.
public enum Consoles {
    public static let all: [Console] = [
        HomeConsole.console,
        ApprovalsConsole.console,
        TenantsConsole.console,
        SegmentsConsole.console,
        RegistryConsole.console,
        DriftConsole.console,
        DeliveriesConsole.console,
        AuditLogConsole.console,
        StaffConsole.console,
        RuntimeTokensConsole.console,
        IntegrityConsole.console,
    ]
}
