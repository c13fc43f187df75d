import Kernel

/// What an account that is no person may be given, and what that comes to (spec: access §3, §5).
///
/// This is where its permissions resolve: whatever stands in its row, nothing of high risk and no decision on a request comes
/// out of here.
public enum AccountScopes {
    /// Permissions of low and medium risk; never to sign, and never to make or end accounts.
    public static let grantable: [PermissionCatalog.Entry] = PermissionCatalog.entries.filter { isGrantable($0) }

    static func isGrantable(_ code: String) -> Bool { PermissionCatalog[code].map(isGrantable) ?? false }

    private static func isGrantable(_ entry: PermissionCatalog.Entry) -> Bool {
        entry.risk <= .medium && entry.code != Decisions.approve.spec.permission
            && !entry.code.hasPrefix("service_account.")
    }

    /// The scopes, as far as the owner holds them now; with the owner's limits.
    public static func effective(_ scopes: [String], of owner: Permissions) -> Permissions {
        let wanted = Set(scopes)
        return owner.filter { wanted.contains($0) && isGrantable($0) }
    }
}
