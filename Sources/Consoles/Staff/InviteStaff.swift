import Kernel

/// A new colleague with roles and a one-time link to set password and factors. Inviting somebody again who has not
/// enrolled yet replaces the invitation: it needs the same permission and the same signatures as the first one did, because
/// whoever holds the link can become that person.
public enum InviteStaff: Operation {
    public typealias Target = Staff
    public static let spec = OperationSpec(
        "staff.invite", "Invite staff",
        summary:
            "Creates a person with roles, or renews an unused invitation; the one-time link you get lets them set a password and a second factor.",
        permission: "staff.invite", risk: .high, ticketRequired: true)
    public static let creates = true

    public struct Input: OperationInput {
        @Param(
            "E-mail", .email,
            help: "What they sign in with. Somebody who was invited and has not enrolled yet gets a new link.")
        public var email: String
        @Param("Name", .length(1...120), help: "As colleagues know them.") public var name: String
        @Param("Roles", .choices(Seeds.roles.map(\.id)), help: "What they may do is the sum of these.")
        public var roles: [String]
        public init() {}
    }

    public struct Facts: Sendable {
        /// Who has this e-mail, with their live grants.
        let holder: Staff?
        let grants: [Grant]
        let missingRoles: [String]
        let superAdmins: Int64
        let separations: [RoleSeparation]
    }

    public static func guards(_ input: Input, _ target: String?) -> [Guard] { [.superAdmins] }

    public static func gather(_ input: Input, _ target: Staff?, from reader: any Reader) throws -> Facts {
        let wanted = Array(Set(input.roles)).sorted()
        let rows = try reader.query([
            Staff.withEmail(input.email), Grant.holders(of: "super_admin", since: reader.now - waiver),
            Role.select(wanted.isEmpty ? [""] : wanted, lock: false, reader.dialect),
            RoleSeparation.selectAll(after: "", limit: 1000),
        ])
        let found = try Set(rows[2].map { try $0.string("id") })
        let holder = try rows[0].first.map(Staff.init)
        let grants = try holder.map { try reader.query(Grant.of([$0.id])).map(Grant.init) } ?? []
        return Facts(
            holder: holder, grants: grants.filter { $0.isLive(at: reader.now) },
            missingRoles: wanted.filter { !found.contains($0) }, superAdmins: try rows[1].first?.int("count") ?? 0,
            separations: try rows[3].map(RoleSeparation.init))
    }

    /// Somebody who could co-sign and is gone counts for this long, so that nobody is free to invite alone by sending the
    /// others away; after it a company with one super_admin left can invite again.
    private static let waiver = Span.days(30)

    /// `super_admins`: how many people can or lately could co-sign; the rule is waived until there are two.
    public static func measures(_ call: Call<Self>) -> Measures {
        Measures(["super_admins": .int(call.facts.superAdmins)])
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Staff> {
        if let holder = call.facts.holder, holder.status != .invited {
            throw .field("email", "Somebody with this e-mail exists already: \(holder.name) (\(holder.id)).")
        }
        let roles = Array(Set(call.input.roles)).sorted()
        guard !roles.isEmpty else { throw .field("roles", "Choose at least one role.") }
        if let missing = call.facts.missingRoles.first {
            throw .field("roles", "There is no role \(missing) in this deployment.")
        }
        if let sentence = RoleSeparation.sentence(Set(roles), under: call.facts.separations) {
            throw .field("roles", sentence)
        }

        let id = call.facts.holder?.id ?? call.fresh.id("stf")
        let held = Set(call.facts.grants.map(\.role))
        var changes = call.facts.grants.filter { !roles.contains($0.role) }.map { grant in
            var after = grant
            after.revokedAt = call.now
            return Change.update(grant, to: after)
        }
        changes += roles.enumerated().filter { !held.contains($0.element) }.map { slot, role in
            .create(
                Grant(
                    id: call.fresh.id("grt", slot: slot), staffID: id, role: role, grantedBy: call.person,
                    grantedAt: call.now))
        }
        let link = Enrolment.Link(call.fresh, staff: id, at: call.now, lasting: .hours(24))
        let facts: [String: JSON] = ["roles": .array(roles.map(JSON.string))]
        let list = roles.joined(separator: ", ")
        // The link is a secret: the mail only says that an invitation waits, and whom to ask for it.
        let effects = [MailNotice.invitation.effect(to: id)]

        guard let before = call.facts.holder else {
            let staff = Staff(
                id: id, email: call.input.email, name: call.input.name, status: .invited, invitedBy: call.person,
                createdAt: call.now, updatedAt: call.now, invitedAt: call.now)
            return Plan(
                staff, also: changes, alsoWrite: link.statements, effects: effects, facts: facts, reveal: link.reveal,
                consequence: "\(staff.name) can enrol with the link within 24 hours and then holds \(list).")
        }
        var after = before
        after.name = call.input.name
        // Whoever holds the link counts as the one who made the account.
        after.invitedBy = call.person
        after.invitedAt = call.now
        after.updatedAt = call.now
        return Plan(
            nil, also: [.update(before, to: after)] + changes, alsoWrite: link.statements, effects: effects,
            facts: facts.merging(["renewed": true]) { _, new in new }, reveal: link.reveal,
            consequence:
                "\(after.name) can enrol with the new link within 24 hours and then holds \(list); no earlier link works."
        )
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("An invitation can't be taken back here; its link runs out unused after 24 hours.")
    }
}
