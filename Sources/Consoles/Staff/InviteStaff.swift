import Kernel

/// A new colleague, with roles or without any yet, and a one-time link to set password and factors. Inviting somebody again who
/// has not enrolled yet replaces the invitation: it needs the same permission and the same signatures as the first one did,
/// because whoever holds the link can become that person.
public enum InviteStaff: Operation {
    public typealias Target = Staff
    public static let spec = OperationSpec(
        "staff.invite", "Invite staff",
        summary:
            "Creates a person, or renews an unused invitation; the one-time link you get lets them set a password and a second factor.",
        permission: "staff.invite", risk: .high, ticketRequired: true)
    public static let creates = true

    public struct Input: OperationInput {
        @Param(
            "E-mail", .email,
            help: "What they sign in with. Somebody who was invited and has not enrolled yet gets a new link.")
        public var email: String
        @Param("Name", .length(1...120), help: "As colleagues know them.") public var name: String
        @Param(
            "Roles", .choices(Seeds.roles.map(\.id)),
            help:
                "What they may do is the sum of these. Without any they sign in and may do nothing until a role is granted; somebody who waits already keeps theirs."
        )
        public var roles: [String]?
        public init() {}
    }

    public static func concerns(_ input: Input) -> String? { input.email }
    public static let declaresConcerns = true

    public struct Facts: Sendable {
        /// Who has this e-mail, with their live grants.
        let holder: Staff?
        let grants: [Grant]
        /// What a provider asks for, of who is invited anew.
        let undecided: [PendingGrant]
        let missingRoles: [String]
        /// Who can or lately could sign, and who is or lately was super_admin.
        let signers: Set<String>
        let separations: [RoleSeparation]
    }

    public static func guards(_ input: Input, _ target: String?) -> [Guard] { [.superAdmins] }

    public static func gather(_ input: Input, _ target: Staff?, from reader: any Reader) throws -> Facts {
        let wanted = Set(input.roles ?? []).sorted()
        let rules = try reader.query(PolicyQueries.rules).map { try ApprovalRuleRow($0).rule }
        let (roles, permissions) = signers(under: rules)
        let rows = try reader.query([
            Staff.withEmail(input.email), Grant.holders(of: roles, or: permissions, at: reader.now),
            Role.select(wanted.isEmpty ? [""] : wanted, lock: false, reader.dialect),
            RoleSeparation.selectAll(after: "", limit: 1000),
        ])
        let found = try Set(rows[2].map { try $0.string("id") })
        let holder = try rows[0].first.map(Staff.init)
        let held = try holder.map { try reader.query([Grant.of([$0.id]), PendingGrant.undecided(of: $0.id)]) }
        let grants = try (held?[0] ?? []).map(Grant.init)
        return Facts(
            holder: holder, grants: grants.filter { $0.isLive(at: reader.now) },
            undecided: try (held?[1] ?? []).map(PendingGrant.init),
            missingRoles: wanted.filter { !found.contains($0) },
            signers: Set(try rows[1].map { try $0.string("id") }), separations: try rows[3].map(RoleSeparation.init))
    }

    private static let waiver = "super_admins"

    /// By what an invitation is signed, under those of the rules that are waived until somebody is there who could. Of a second
    /// super_admin there is no waiver, whomever a company's own rule asks.
    static func signers(under rules: [ApprovalRule]) -> (roles: [String], permissions: [String]) {
        var roles: Set<String> = ["super_admin"]
        var permissions: Set<String> = []
        for rule in rules where rule.covers(spec.name) && rule.condition.tests[waiver] != nil {
            for leaf in rule.demand.alternatives.joined() {
                switch leaf {
                case .role(let wanted): roles.formUnion(wanted)
                case .permission(let code): permissions.insert(code)
                case .allOf, .anyOf, .count: break
                }
            }
        }
        return (roles.sorted(), permissions.sorted())
    }

    /// What the rules look at: who asks, and how many others there are who count.
    static func measures(others: Int) -> Measures { Measures([waiver: .int(Int64(others) + 1)]) }

    /// `super_admins`: who asks, and how many others can or lately could sign, whatever role the rule asks for, or are super_admins;
    /// it is waived until there are two. A company whose last other signer left long ago can invite again. The name is older than
    /// that, and stands in rules.
    public static func measures(_ call: Call<Self>) -> Measures {
        measures(others: call.facts.signers.subtracting([call.person]).count)
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Staff> {
        if let holder = call.facts.holder, holder.status != .invited {
            throw .field("email", "Somebody with this e-mail exists already: \(holder.name) (\(holder.id)).")
        }
        let held = Set(call.facts.grants.map(\.role))
        let wanted = Set(call.input.roles ?? [])
        // Whoever the identity provider let in has the roles it gave them.
        let roles = (wanted.isEmpty ? held : wanted).sorted()
        if let missing = call.facts.missingRoles.first {
            throw .field("roles", "There is no role \(missing) in this deployment.")
        }
        if let sentence = RoleSeparation.sentence(Set(roles), under: call.facts.separations) {
            throw .field("roles", sentence)
        }

        let id = call.facts.holder?.id ?? call.fresh.id("stf")
        var changes = call.facts.grants.filter { !roles.contains($0.role) }.map { grant in
            var after = grant
            after.revokedAt = call.now
            return Change.update(grant, to: after)
        }
        changes += roles.enumerated().filter { !held.contains($0.element) }.map { slot, role in
            .create(
                Grant(
                    id: call.fresh.id("grt", slot: slot), staffID: id, role: role, grantedBy: call.person,
                    grantedAt: call.now, tokenHolder: PendingGrant.holder(of: role, among: call.facts.undecided)))
        }
        let link = Enrolment.Link(call.fresh, staff: id, at: call.now, lasting: .hours(24))
        let facts: [String: JSON] = ["roles": .array(roles.map(JSON.string))]
        let list = roles.isEmpty ? "no role yet" : AccessNames.roles(roles)
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
