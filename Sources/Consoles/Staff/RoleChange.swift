import Kernel

/// What giving and taking roles looks at, and what it comes to. A grant, a revocation and a mover's change are the same thing in three
/// sizes, and are refused by the same rules.
public struct RoleChange: Sendable {
    static let exceptionHelp =
        "Only where one person is not to hold two of the roles together: why they may. It raises a flag that somebody else reviews."

    /// Every grant of the person that was not taken back, also one that has run out.
    let grants: [Grant]
    let separations: [RoleSeparation]
    /// Those of the roles to be given that are in the tables.
    let known: Set<String>
    /// Those of them that sign approvals, or hold a permission of high or critical risk.
    let powerful: Set<String>
    /// How many other active people are super_admin without an end.
    let otherSuperAdmins: Int64
    /// What a provider asks for, of this person, whether it waits or somebody said no to it.
    let undecided: [PendingGrant]

    static func look(at target: Staff?, giving roles: [String], from reader: any Reader) throws -> RoleChange {
        let wanted = Set(roles).sorted()
        let named = wanted.isEmpty ? [""] : wanted
        let rows = try reader.query([
            Grant.of([target?.id ?? ""]), RoleSeparation.selectAll(after: "", limit: 1000),
            Role.select(named, lock: false, reader.dialect), RolePermission.held(byRoles: named),
            ApprovalRuleRow.selectAll(after: "", limit: 1000),
            Grant.keepers(of: "super_admin", besides: target?.id ?? ""), PendingGrant.undecided(of: target?.id ?? ""),
        ])
        let permissions = Dictionary(grouping: try rows[3].map(RolePermission.init), by: \.role)
        let leaves = try rows[4].flatMap { try ApprovalRuleRow($0).rule.demand.alternatives.joined() }
        return RoleChange(
            grants: try rows[0].map(Grant.init).filter { $0.revokedAt == nil },
            separations: try rows[1].map(RoleSeparation.init), known: Set(try rows[2].map { try $0.string("id") }),
            powerful: Set(wanted.filter { isPowerful($0, permissions[$0]?.map(\.permission) ?? [], signing: leaves) }),
            otherSuperAdmins: try rows[5].first?.int("count") ?? 0,
            undecided: try rows[6].map(PendingGrant.init))
    }

    /// A role can fill a leaf of some rule, or holds a permission of high or critical risk (spec: access §3).
    private static func isPowerful(_ role: String, _ permissions: [String], signing leaves: [Demand]) -> Bool {
        if permissions.contains(where: { PermissionCatalog[$0]?.risk ?? .critical >= .high }) { return true }
        return leaves.contains { leaf in
            switch leaf {
            case .role(let roles): roles.contains(role)
            case .permission(let code): permissions.contains(code)
            case .allOf, .anyOf, .count: false
            }
        }
    }

    /// What approval rules look at.
    func measures(exception: String?) -> Measures {
        Measures(["grants_power": .bool(!powerful.isEmpty), "exception": .bool(exception != nil)])
    }

    /// What is to happen, and which of the operation's fields say so.
    struct Wish {
        var give: [String] = []
        var take: [String] = []
        var until: Instant?
        var exception: String?
        var giveField = "role"
        var takeField = "role"
        /// Of what is given, where a provider asks for it.
        var source: String?
        var tokenHolder: String?
    }

    struct Outcome {
        var changes: [Change] = []
        /// The pairs for which an exception is made.
        var exceptions: [[String]] = []
    }

    /// - Parameter person: who asks.
    func plan(
        _ wish: Wish, for target: Staff, by person: String, at now: Instant, _ fresh: Fresh
    ) throws(Refusal) -> Outcome {
        guard target.id != person else {
            throw .conflict("Nobody gives or takes roles of their own. Ask a colleague who may.")
        }
        let (give, take) = (Set(wish.give), Set(wish.take))
        if !give.isEmpty, target.status == .deactivated {
            throw .conflict("\(target.name) has left. Reactivate the account first; it then holds no role.")
        }
        if let role = give.subtracting(known).sorted().first {
            throw .field(wish.giveField, "There is no role \(role) in this deployment.")
        }
        if let role = give.intersection(take).sorted().first {
            throw .field(wish.takeField, "\(RoleTitle.of(role)) can't be both given and taken away.")
        }
        if let until = wish.until {
            guard until > now else { throw .field("expires_at", "That time is over; choose a later one.") }
            guard until <= now + Self.longest else { throw .field("expires_at", "Choose a time within a year.") }
        }
        let live = grants.filter { $0.isLive(at: now) }
        try checkTaken(take, from: live, of: target, wish)
        try checkGiven(give, beside: live, to: target, wish)

        var outcome = Outcome()
        // A role held until a time, or that was until one, is held anew: the old grant ends.
        for grant in grants where take.contains(grant.role) || give.contains(grant.role) {
            var after = grant
            after.revokedAt = now
            outcome.changes.append(.update(grant, to: after))
        }
        outcome.changes += give.sorted().enumerated().map { slot, role in
            .create(
                Grant(
                    id: fresh.id("grt", slot: slot), staffID: target.id, role: role, grantedBy: person, grantedAt: now,
                    expiresAt: wish.until, source: wish.source,
                    tokenHolder: wish.tokenHolder ?? PendingGrant.holder(of: role, among: undecided)))
        }
        outcome.exceptions = try checkSeparation(give, take, beside: live, wish)
        if let reason = wish.exception {
            outcome.changes += outcome.exceptions.enumerated().map { slot, roles in
                .create(
                    StaffFlag(
                        id: fresh.id("flg", slot: slot), staffID: target.id, roles: roles, reason: reason,
                        raisedBy: person, raisedAt: now))
            }
        }
        return outcome
    }

    /// A grant that is to end later than this has no end, and is looked at like one.
    static let longest = Span.days(366)

    private func checkTaken(
        _ take: Set<String>, from live: [Grant], of target: Staff, _ wish: Wish
    ) throws(Refusal) {
        if let role = take.subtracting(live.map(\.role)).sorted().first {
            // A form offers what was held when it was opened.
            let held = live.map(\.role).sorted()
            throw .field(
                wish.takeField,
                "\(target.name) doesn't hold \(RoleTitle.of(role)). "
                    + (held.isEmpty ? "They hold no role now." : "They hold \(AccessNames.roles(held)) now."))
        }
        try keepSuperAdmin(
            of: target, ending: live.filter { take.contains($0.role) }, others: otherSuperAdmins)
    }

    private func checkGiven(
        _ give: Set<String>, beside live: [Grant], to target: Staff, _ wish: Wish
    ) throws(Refusal) {
        for grant in live where give.contains(grant.role) {
            guard let end = grant.expiresAt else {
                throw .field(
                    wish.giveField, "\(target.name) holds \(RoleTitle.of(grant.role)) already, without an end.")
            }
            guard end != wish.until else {
                throw .field(wish.giveField, "\(target.name) holds \(RoleTitle.of(grant.role)) until then already.")
            }
        }
    }

    /// The pairs of roles that would be held together for the first time and are not to be.
    private func checkSeparation(
        _ give: Set<String>, _ take: Set<String>, beside live: [Grant], _ wish: Wish
    ) throws(Refusal) -> [[String]] {
        let held = Set(live.map(\.role)).subtracting(take).union(give)
        let pairs = separations.flatMap { $0.conflicts(in: held) }.filter {
            give.contains($0.first) || give.contains($0.second)
        }
        if let pair = pairs.first, wish.exception == nil {
            throw .field(
                wish.giveField,
                """
                \(AccessNames.roles([pair.first, pair.second], " and ")) may not be held by one person: either could finish what \
                the other must check. To make an exception, fill in “Exception”; somebody else then reviews it.
                """)
        }
        if pairs.isEmpty, wish.exception != nil {
            throw .field("exception", "These roles may be held together. Leave the exception empty.")
        }
        return pairs.map { [$0.first, $0.second] }
    }
}

/// There is always somebody active who is super_admin without an end, so that nobody is locked out of a deployment for good.
/// - Parameter ending: grants of this person that end.
func keepSuperAdmin(of target: Staff, ending: [Grant], others: Int64) throws(Refusal) {
    guard target.status == .active, others == 0,
        ending.contains(where: { $0.role == "super_admin" && $0.expiresAt == nil })
    else { return }
    throw .conflict(
        "\(target.name) is the last super admin. Make somebody else super admin first, without an end to the grant.")
}
