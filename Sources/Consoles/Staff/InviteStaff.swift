import Kernel

/// A new colleague with roles and a one-time link to set password and factors.
public enum InviteStaff: Operation {
    public typealias Target = Staff
    public static let spec = OperationSpec(
        "staff.invite", "Invite staff",
        summary: "Creates a person with roles; the one-time link you get lets them set a password and a second factor.",
        permission: "staff.invite", risk: .high)
    public static let creates = true

    public struct Input: OperationInput {
        @Param("E-mail", .email, help: "What they sign in with; it can't belong to anybody else here.")
        public var email: String
        @Param("Name", .length(1...120), help: "As colleagues know them.") public var name: String
        @Param("Roles", .choices(Seeds.roles.map(\.id)), help: "What they may do is the sum of these.")
        public var roles: [String]
        public init() {}
    }

    public struct Facts: Sendable {
        let holder: Staff?
        let missingRoles: [String]
        let superAdmins: Int64
    }

    public static func guards(_ input: Input, _ target: String?) -> [Guard] { [.superAdmins] }

    public static func gather(_ input: Input, _ target: Staff?, from reader: any Reader) throws -> Facts {
        let wanted = Array(Set(input.roles)).sorted()
        let rows = try reader.query([
            Staff.withEmail(input.email), Grant.activeHolders(of: "super_admin", at: reader.now),
            Role.select(wanted.isEmpty ? [""] : wanted, lock: false, reader.dialect),
        ])
        let found = try Set(rows[2].map { try $0.string("id") })
        return Facts(
            holder: try rows[0].first.map(Staff.init), missingRoles: wanted.filter { !found.contains($0) },
            superAdmins: try rows[1].first?.int("count") ?? 0)
    }

    /// `super_admins`: how many active people could co-sign; the rule is waived until there are two.
    public static func measures(_ call: Call<Self>) -> Measures {
        Measures(["super_admins": .int(call.facts.superAdmins)])
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Staff> {
        if let holder = call.facts.holder {
            throw .field("email", "Somebody with this e-mail exists already: \(holder.name) (\(holder.id)).")
        }
        let roles = Array(Set(call.input.roles)).sorted()
        guard !roles.isEmpty else { throw .field("roles", "Choose at least one role.") }
        if let missing = call.facts.missingRoles.first {
            throw .field("roles", "There is no role \(missing) in this deployment.")
        }
        if let sentence = Seeds.separation(Set(roles)) { throw .field("roles", sentence) }

        let staff = Staff(
            id: call.fresh.id("stf"), email: call.input.email, name: call.input.name, status: .invited,
            invitedBy: call.person, createdAt: call.now, updatedAt: call.now)
        let grants = roles.enumerated().map { slot, role in
            Change.create(
                Grant(
                    id: call.fresh.id("grt", slot: slot), staffID: staff.id, role: role, grantedBy: call.person,
                    grantedAt: call.now))
        }
        let token = Enrolment.token(call.fresh.secret("enrolment"))
        return Plan(
            staff, also: grants,
            alsoWrite: [
                EnrolmentQueries.insert(
                    tokenHash: Enrolment.hash(token), staff: staff.id, purpose: .join, at: call.now,
                    expires: call.now + .hours(24))
            ],
            facts: ["roles": .array(roles.map(JSON.string))], reveal: ["enrolment_token": token],
            consequence:
                "\(staff.name) can enrol with the link within 24 hours and then holds \(roles.joined(separator: ", "))."
        )
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("An invitation can't be taken back here; it expires unused after 24 hours.")
    }
}
