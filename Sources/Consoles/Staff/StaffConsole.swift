import HTML
import Kernel

/// People who work with Postern, what they may do, and how they prove who they are.
public enum StaffConsole {
    public static let console = Console(
        "Staff",
        menu: [
            .init(.assurance, "Staff", icon: "staff", path: "/staff", permission: "staff.view"),
            .init(.assurance, "Access", icon: "key", path: "/access", permission: "access.view"),
        ],
        operations: [
            AnyOperation(BootstrapStaff.self), AnyOperation(InviteStaff.self), AnyOperation(SeedPolicy.self),
        ],
        reads: [StaffReads.list, StaffReads.view, StaffReads.matrix, StaffReads.sessions],
        entities: [
            AnyEntityType(Staff.self), AnyEntityType(Role.self), AnyEntityType(RolePermission.self),
            AnyEntityType(Grant.self), AnyEntityType(ApprovalRuleRow.self), AnyEntityType(Factor.self),
        ],
        pages: [StaffPages.list, StaffPages.view, AccessPage.page, MyPage.page],
        uniqueRules: [
            "staff_email": FieldError(pointer: "/input/email", detail: "Somebody with this e-mail exists already.")
        ],
        choices: [
            "staff.invite/roles": { _ in Seeds.roles.map { Field.Choice($0.id, $0.title, note: $0.summary) } }
        ],
        specimens: [.init("Staff", Staff.Status.allCases.map { StaffPages.status($0, dense: false) })])
}
