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
        ],
        reads: [
            TenantReads.list, TenantReads.view, TenantReads.users, TenantReads.history, TenantReads.activity,
            TenantReads.search,
            UserReads.view,
        ],
        entities: [AnyEntityType(Tenant.self), AnyEntityType(User.self), AnyEntityType(Membership.self)],
        pages: [TenantListPage.page, TenantPage.page, UserPage.page],
        uniqueRules: [
            "tenants_slug": FieldError(
                pointer: "/input/slug", detail: "Slug was taken by another tenant a moment ago; choose another one."),
            "tenants_external_id": FieldError(
                pointer: "/input/external_id", detail: "External id was registered by somebody else a moment ago."),
            "users_email": FieldError(pointer: "/input/email", detail: "E-mail belongs to another user already."),
            "users_external_id": FieldError(
                pointer: "/input/external_id", detail: "External id belongs to another user already."),
            "memberships_pair": FieldError(
                pointer: "/input/user_id", detail: "User is a member of this tenant already."),
        ])
}
