import HTML
import Kernel

/// Every console of the deployment, in the order of the menu.
public enum Consoles {
    public static let all: [Console] = [
        HomeConsole.console,
        TenantsConsole.console,
        AuditLogConsole.console,
        StaffConsole.console,
    ]

    /// What a violated unique rule means to the person who typed, by the index's name: the answer at commit is the one a
    /// preview gives.
    public static let uniqueMessages: [String: FieldError] = [
        "tenants_slug": FieldError(
            pointer: "/input/slug", detail: "Slug was taken by another tenant a moment ago; choose another one."),
        "tenants_external_id": FieldError(
            pointer: "/input/external_id", detail: "External id was registered by somebody else a moment ago."),
        "users_email": FieldError(pointer: "/input/email", detail: "E-mail belongs to another user already."),
        "users_external_id": FieldError(
            pointer: "/input/external_id", detail: "External id belongs to another user already."),
        "memberships_pair": FieldError(pointer: "/input/user_id", detail: "User is a member of this tenant already."),
    ]
}
