import Kernel

/// The first person. Works only while nobody exists; the one-time link it reveals is valid for an hour.
public enum BootstrapStaff: Operation {
    public typealias Target = Staff
    public static let spec = OperationSpec(
        "staff.bootstrap", "Create the first super admin",
        summary: "Creates the first person, who may do everything and can invite the others.",
        permission: "staff.invite", risk: .critical, justification: OperationSpec.Justification.none, systemOnly: true)
    public static let creates = true

    public struct Input: OperationInput {
        @Param("E-mail", .email, help: "What they sign in with.") public var email: String
        @Param("Name", .length(1...120), help: "As colleagues know them.") public var name: String
        public init() {}
    }

    public struct Facts: Sendable {
        let anybody: Bool
        let isSeeded: Bool
    }

    public static func guards(_ input: Input, _ target: String?) -> [Guard] { [.superAdmins] }

    public static func gather(_ input: Input, _ target: Staff?, from reader: any Reader) throws -> Facts {
        let rows = try reader.query([Staff.anybody, Role.select(["super_admin"], lock: false, reader.dialect)])
        return Facts(anybody: !rows[0].isEmpty, isSeeded: !rows[1].isEmpty)
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Staff> {
        guard !call.facts.anybody else {
            throw .conflict(
                "Somebody exists already, so the first person can't be created again. Ask a super admin to invite you.")
        }
        guard call.facts.isSeeded else {
            throw .conflict("The roles are not there yet. Run `postern migrate` first.")
        }
        let staff = Staff(
            id: call.fresh.id("stf"), email: call.input.email, name: call.input.name, status: .invited, invitedBy: nil,
            createdAt: call.now, updatedAt: call.now)
        let grant = Grant(
            id: call.fresh.id("grt"), staffID: staff.id, role: "super_admin", grantedBy: call.person,
            grantedAt: call.now)
        let token = Enrolment.token(call.fresh.secret("enrolment"))
        return Plan(
            staff, also: [.create(grant)],
            alsoWrite: [
                EnrolmentQueries.insert(
                    tokenHash: Enrolment.hash(token), staff: staff.id, purpose: .join, at: call.now,
                    expires: call.now + .hours(1))
            ],
            reveal: ["enrolment_token": token],
            consequence: "\(staff.name) can enrol within an hour and is then super admin.")
    }

    public static func undo(_ done: Done<Self>) -> Undo { .impossible("The first person can't be taken back.") }
}

extension Guard {
    /// Held by everything that adds or removes super admins, so that "the first" and "the last" are decided one at a time.
    static let superAdmins = Guard("staff:super_admins")
}
