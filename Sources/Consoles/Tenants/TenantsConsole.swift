import HTML
import Kernel

/// The customers and their people.
public enum TenantsConsole {
    public static let console = Console(
        "Tenants",
        menu: [.init(.customers, "Tenants", icon: "tenant", path: "/tenants", permission: "tenant.view")],
        operations: [
            AnyOperation(CreateTenant.self), AnyOperation(UpdateTenant.self), AnyOperation(SuspendTenant.self),
            AnyOperation(RestoreTenant.self), AnyOperation(RetryOnboarding.self),
            AnyOperation(ArchiveTenant.self), AnyOperation(HardDeleteTenant.self),
            AnyOperation(ImportRegistryBatch.self),
        ],
        reads: [
            TenantReads.list, TenantReads.view, TenantReads.users, TenantReads.history, TenantReads.search,
            UserReads.view,
        ],
        entities: [AnyEntityType(Tenant.self), AnyEntityType(User.self), AnyEntityType(Membership.self)],
        pages: [TenantListPage.page, TenantPage.page, UserPage.page, SearchPage.page])
}
