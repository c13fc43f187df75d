import HTML
import Kernel

/// The customers and their people.
public enum TenantsConsole {
    public static let console = Console(
        "Tenants",
        menu: [
            .init(.customers, "Tenants", icon: "tenant", path: "/tenants", permission: "tenant.view"),
            .init(.customers, "Users", icon: "user", path: "/users", permission: "user.view"),
        ],
        operations: [
            AnyOperation(CreateTenant.self), AnyOperation(UpdateTenant.self), AnyOperation(SuspendTenant.self),
            AnyOperation(RestoreTenant.self), AnyOperation(RetryOnboarding.self),
            AnyOperation(ArchiveTenant.self), AnyOperation(HardDeleteTenant.self),
            AnyOperation(TransferOwnership.self), AnyOperation(SetTenantNote.self), AnyOperation(SetTenantCSM.self),
            AnyOperation(ChangeTier.self),
            AnyOperation(ChangePlan.self), AnyOperation(ChangeRegion.self), AnyOperation(ConfirmChange.self),
            AnyOperation(FailChange.self), AnyOperation(RetryChange.self), AnyOperation(RevertChange.self),
            AnyOperation(MarkReady.self), AnyOperation(MarkFailed.self), AnyOperation(ActivateTenant.self),
            AnyOperation(ExpireTenant.self), AnyOperation(ConvertTenant.self), AnyOperation(CancelTenant.self),
        ],
        reads: [
            TenantReads.list, TenantReads.facets, TenantReads.view, TenantReads.users, TenantReads.history,
            TenantReads.activity,
            TenantReads.search,
            UserReads.list, UserReads.view, UserReads.activity,
        ],
        entities: [AnyEntityType(Tenant.self), AnyEntityType(User.self), AnyEntityType(Membership.self)],
        pages: [TenantListPage.page, TenantPage.page, UserListPage.page, UserPage.page],
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
        ], choices: ["tenant.set_csm/csm": SetTenantCSM.colleagues], runtime: TenantRuntime.endpoints,
        specimens: [
            .init("Tenants", TenantStatus.allCases.map(\.chip)), .init("Users", UserStatus.allCases.map(\.chip)),
        ])
}
