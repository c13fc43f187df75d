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
            AnyOperation(GrantRole.self), AnyOperation(RevokeRole.self), AnyOperation(ChangeRoles.self),
            AnyOperation(DeactivateStaff.self), AnyOperation(ReactivateStaff.self),
            AnyOperation(RevokeStaffSessions.self), AnyOperation(ResetFactors.self), AnyOperation(ClearStaffFlag.self),
            AnyOperation(RecoverStaff.self), AnyOperation(CancelRecovery.self), AnyOperation(CarryOutRecovery.self),
        ],
        reads: [
            StaffReads.list, StaffReads.view, StaffReads.matrix, StaffReads.sessions, StaffReads.sessionsOf,
            StaffReads.flags,
        ],
        entities: [
            AnyEntityType(Staff.self), AnyEntityType(Role.self), AnyEntityType(RolePermission.self),
            AnyEntityType(Grant.self), AnyEntityType(ApprovalRuleRow.self), AnyEntityType(Factor.self),
            AnyEntityType(RoleSeparation.self), AnyEntityType(StaffFlag.self), AnyEntityType(Recovery.self),
        ],
        pages: [
            StaffPages.list, StaffPages.view, StaffSessions.page, StaffFlagPages.list, StaffReportPage.page,
            StaffMovePage.page, AccessPage.page, MyPage.page,
        ],
        uniqueRules: [
            "staff_email": FieldError(pointer: "/input/email", detail: "Somebody with this e-mail exists already.")
        ],
        choices: [
            "staff.invite/roles": { _ in offered { _ in true } }
        ],
        targetChoices: [
            // A role until a time may be given anew: for good, or until another time.
            "staff.grant_role/role": { staff, reader in
                let held = Set(try live(of: staff, reader).filter { $0.expiresAt == nil }.map(\.role))
                return offered { !held.contains($0) }
            },
            "staff.revoke_role/role": held,
            "staff.change_roles/grant": { staff, reader in
                let held = Set(try live(of: staff, reader).map(\.role))
                return offered { !held.contains($0) }
            },
            "staff.change_roles/revoke": held,
        ],
        specimens: [.init("Staff", Staff.Status.allCases.map { StaffPages.status($0, dense: false) })],
        risks: PermissionCatalog.risks)

    private static func offered(_ isOffered: (String) -> Bool) -> [Field.Choice] {
        Seeds.roles.filter { isOffered($0.id) }.map { Field.Choice($0.id, $0.title, note: $0.summary) }
    }

    private static func live(of staff: String, _ reader: any Reader) throws -> [Grant] {
        try reader.query(Grant.of([staff])).map { try Grant($0) }.filter { $0.isLive(at: reader.now) }
    }

    /// What somebody holds, which is what can be taken from them.
    private static let held: @Sendable (String, any Reader) throws -> [Field.Choice] = { staff, reader in
        let held = Set(try live(of: staff, reader).map(\.role))
        return offered { held.contains($0) }
    }
}
