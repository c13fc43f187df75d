import HTML
import Kernel

/// What roles and permissions are called where people read of them. Rules as they are written, and what machines read, keep
/// the codes.
enum AccessNames {
    /// "Support L2 (support_l2)", for the one place of a sentence that must be exact.
    static func exactRole(_ code: String) -> String { exact(RoleTitle.of(code), code) }

    /// "Legal, Support L1", in the order given.
    static func roles(_ codes: some Sequence<String>, _ between: String = ", ") -> String {
        codes.map(RoleTitle.of).joined(separator: between)
    }

    /// A role as a mark on a page.
    static func tag(_ code: String) -> Node { UI.tag(RoleTitle.of(code)) }

    /// "“Give a credit”"; the code of a permission that is not in the catalogue.
    static func permission(_ code: String) -> String { PermissionCatalog[code].map { "“\($0.title)”" } ?? code }

    /// "“Give a credit” (tenant.credit)"
    static func exactPermission(_ code: String) -> String { exact(permission(code), code) }

    /// An operation by its title where there is one: "“Delete for good” (tenant.hard_delete)".
    static func exactOperation(_ code: String, _ title: String?) -> String {
        exact(title.map { "“\($0)”" } ?? code, code)
    }

    private static func exact(_ title: String, _ code: String) -> String {
        title == code ? code : "\(title) (\(code))"
    }
}
