import Kernel

/// Gives a role permissions and takes others from it, for everybody who holds it and at once.
public enum ChangeRole: Operation {
    public typealias Target = Role
    public static let spec = OperationSpec(
        "policy.change_role", "Change role",
        summary: "Gives a role permissions and takes others from it, for everybody who holds it.",
        permission: "policy.change", risk: .critical)

    public struct Input: OperationInput {
        @Param("Give", help: "Permissions the role is to hold, like tenant.suspend, one to a line.")
        public var give = PermissionCodes([])
        @Param("Take away", help: "Permissions the role is not to hold any more, one to a line.")
        public var takeAway = PermissionCodes([])
        public init() {}
    }

    public struct Facts: Sendable {
        let state: PolicyState
        /// Of this role, those taken away too.
        let cells: [RolePermission]
    }

    public static func guards(_ input: Input, _ target: String?) -> [Guard] { [.policy] }

    public static func gather(_ input: Input, _ target: Role?, from reader: any Reader) throws -> Facts {
        let ids = Set(input.give.codes + input.takeAway.codes).map { "\(target?.id ?? ""):\($0)" }.sorted()
        let rows = ids.isEmpty ? [] : try reader.query(RolePermission.select(ids, lock: false, reader.dialect))
        return Facts(state: try .load(from: reader), cells: try rows.map(RolePermission.init))
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Role> {
        let role = call.before
        let give = Set(call.input.give.codes)
        let take = Set(call.input.takeAway.codes)
        guard !give.isEmpty || !take.isEmpty else {
            throw .field("give", "Name at least one permission to give or to take away.")
        }
        if let both = give.intersection(take).sorted().first {
            throw .field("take_away", "\(AccessNames.exactPermission(both)) can't be given and taken away at once.")
        }
        let cells = Dictionary(uniqueKeysWithValues: call.facts.cells.map { ($0.permission, $0) })
        if let stranger = take.sorted().first(where: { cells[$0]?.isRevoked != false }) {
            throw .field("take_away", "\(role.title) does not hold \(AccessNames.exactPermission(stranger)).")
        }
        if let held = give.sorted().first(where: { cells[$0]?.isRevoked == false }) {
            throw .field("give", "\(role.title) holds \(AccessNames.exactPermission(held)) already.")
        }

        var changes: [Change] = []
        var state = call.facts.state
        for code in give.sorted() {
            let ceiling = Seeds.ceilings["\(role.id):\(code)"].map { [$0] }
            guard let before = cells[code] else {
                let cell = RolePermission(role: role.id, permission: code, limits: ceiling)
                changes.append(.create(cell))
                state.cells.append(cell)
                continue
            }
            var after = before
            after.isRevoked = false
            after.limits = before.limits ?? ceiling
            changes.append(.update(before, to: after))
            state.cells.append(after)
        }
        for code in take.sorted() {
            guard let before = cells[code] else { continue }
            var after = before
            after.isRevoked = true
            changes.append(.update(before, to: after))
            state.cells.removeAll { $0.id == before.id }
        }
        state.people = state.people.map { PolicyPeople.standing($0, under: state) }
        guard state.people.contains(where: { $0.isActive && $0.permissions.contains(spec.permission) }) else {
            throw .conflict("Nobody could change policy any more after this.")
        }
        let warnings = try PolicyActs.check(state, instead: call.facts.state)
        let holders = state.people.filter { $0.isActive && $0.roles.contains(role.id) }.count
        func words(_ code: String) -> String {
            let limits = state.cells.first { $0.role == role.id && $0.permission == code }?.limits
            return AccessNames.exactPermission(code) + (limits.map { " up to \(RolePermission.words($0))" } ?? "")
        }
        let parts = [
            give.isEmpty ? nil : "may now: \(give.sorted().map(words).joined(separator: ", "))",
            take.isEmpty
                ? nil : "may no longer: \(take.sorted().map(AccessNames.exactPermission).joined(separator: ", "))",
        ].compactMap(\.self)
        let who = holders == 1 ? "1 person holds" : "\(holders) people hold"
        return Plan(
            role, also: changes,
            facts: ["given": .array(give.sorted().map(JSON.string)), "taken": .array(take.sorted().map(JSON.string))],
            consequence: "\(role.title) (\(role.id)) \(parts.joined(separator: "; it ")). \(who) this role now."
                + warnings)
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        func codes(given: Bool) -> JSON {
            .array(
                done.also.filter {
                    $0.type == RolePermission.type && ($0.after?["revoked"] == true) == given
                }.compactMap { $0.after?["permission"] })
        }
        return .run(spec.name, input: ["give": codes(given: true), "take_away": codes(given: false)])
    }
}

/// What people hold under another policy.
enum PolicyPeople {
    static func standing(_ person: Standing, under state: PolicyState) -> Standing {
        let held = state.cells.filter { person.roles.contains($0.role) }
        return Standing(
            person: person.person, name: person.name, isActive: person.isActive, roles: person.roles,
            permissions: person.isActive ? KnownRoles.union(held) : .none, touches: person.touches)
    }
}
