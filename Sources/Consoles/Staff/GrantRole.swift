import Kernel

/// Gives a colleague one role, for good or until a time.
public enum GrantRole: Operation {
    public typealias Target = Staff
    public static let spec = OperationSpec(
        "staff.grant_role", "Grant role",
        summary: "Gives a person one more role, for good or until a time; their next request has it.",
        permission: "staff.grant_role", risk: .high, ticketRequired: true)

    public struct Input: OperationInput {
        @Param("Role", .choices(Seeds.roles.map(\.id)), help: "What they may do is the sum of their roles.")
        public var role: String
        @Param(
            "Until",
            help:
                "When it ends by itself, such as 2026-11-27T18:00:00Z or 2026-11-27 18:00 (UTC). Leave empty for no end."
        )
        public var expiresAt: Instant?
        @Param(
            "Exception", .prose(20...1000),
            help:
                RoleChange.exceptionHelp
        )
        public var exception: String?
        public init() {}
    }

    public static func guards(_ input: Input, _ target: String?) -> [Guard] { Guard.roles(of: target) }

    public static func gather(_ input: Input, _ target: Staff?, from reader: any Reader) throws -> RoleChange {
        try .look(at: target, giving: [input.role], from: reader)
    }

    public static func measures(_ call: Call<Self>) -> Measures { call.facts.measures(exception: call.input.exception) }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Staff> {
        let role = call.input.role
        let until = call.input.expiresAt
        let outcome = try call.facts.plan(
            .init(give: [role], until: until, exception: call.input.exception), for: call.before, by: call.person,
            at: call.now, call.fresh)
        var facts: [String: JSON] = ["granted": [.string(role)]]
        if let until { facts["until"] = .string(until.rfc3339) }
        if !outcome.exceptions.isEmpty { facts["exception"] = true }
        return Plan(
            call.before.touched(at: call.now), also: outcome.changes, facts: facts,
            consequence:
                "\(call.before.name) holds \(AccessNames.exactRole(role)) \(until.map { "until \($0.minuteText)" } ?? "from now on")."
                + outcome.exceptions.map { " \(AccessNames.roles($0, " and ")) are held together by an exception." }
                .joined())
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        // What a provider asks for and this answered waits again.
        let also = done.also.filter { $0.type != PendingGrant.type }
        let made = also.filter { $0.type == Grant.type && $0.before == nil }
        guard also.count == 1, let role = made.first?.after?["role"]?.string else {
            return .impossible("It took the place of an earlier grant, or made an exception. Revoke the role instead.")
        }
        return .run(RevokeRole.spec.name, reasonCode: "mistake", input: ["role": .string(role)])
    }

    public static func unavailable(_ target: Staff, now: Instant) -> Unavailable? { left(target) }
}

/// Takes a role away.
public enum RevokeRole: Operation {
    public typealias Target = Staff
    public static let spec = OperationSpec(
        "staff.revoke_role", "Revoke role",
        summary:
            "Takes one role from a person; their next request is without it, and what they signed as its holder counts no more.",
        permission: "staff.grant_role", risk: .high,
        reasonCodes: [
            ReasonCode("moved", "They do other work now"),
            ReasonCode("review", "A review found it is not needed"),
            ReasonCode("incident", "It is or may be misused"),
            ReasonCode("mistake", "It was given by mistake"),
        ], isDestructive: true)

    public struct Input: OperationInput {
        @Param("Role", .choices(Seeds.roles.map(\.id)), help: "One that they hold.")
        public var role: String
        public init() {}
    }

    public static func guards(_ input: Input, _ target: String?) -> [Guard] { Guard.roles(of: target) }

    public struct Facts: Sendable {
        let change: RoleChange
        /// What a provider asked for and the grant answered.
        let answered: PendingGrant?
    }

    public static func gather(_ input: Input, _ target: Staff?, from reader: any Reader) throws -> Facts {
        let change = try RoleChange.look(at: target, giving: [], from: reader)
        let now = reader.now
        let grant = change.grants.first { $0.role == input.role && $0.isLive(at: now) }
        return Facts(change: change, answered: try grant.flatMap { try PendingGrant.answered(by: $0, from: reader) })
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Staff> {
        let role = call.input.role
        var changes = try call.facts.change.plan(
            .init(take: [role]), for: call.before, by: call.person, at: call.now, call.fresh
        ).changes
        var facts: [String: JSON] = ["revoked": [.string(role)]]
        var consequence =
            "\(call.before.name) no longer holds \(AccessNames.exactRole(role)), from the next request on."
        // Given by mistake it is no answer, and the provider may not ask a second time.
        if call.reasonCode == "mistake", let answered = call.facts.answered,
            !call.facts.change.undecided.contains(where: { $0.role == role })
        {
            changes.append(.update(answered, to: answered.reopened()))
            facts["pending"] = [.string(role)]
            consequence += " What the identity provider asks for waits again."
        }
        return Plan(call.before.touched(at: call.now), also: changes, facts: facts, consequence: consequence)
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("Grant the role again: that takes whatever signature a grant takes.")
    }
}

/// A person takes on other work: one change gives and takes roles, and is reviewed as a whole.
public enum ChangeRoles: Operation {
    public typealias Target = Staff
    public static let spec = OperationSpec(
        "staff.change_roles", "Change roles",
        summary: "Gives and takes several roles of a person in one change that somebody else reviews as a whole.",
        permission: "staff.grant_role", risk: .high, ticketRequired: true)

    public struct Input: OperationInput {
        @Param("Give", .choices(Seeds.roles.map(\.id)), help: "Roles they get.")
        public var grant: [String]?
        @Param("Take away", .choices(Seeds.roles.map(\.id)), help: "Roles they hold and lose.")
        public var revoke: [String]?
        @Param(
            "Until",
            help:
                "When what is given ends by itself, such as 2026-11-27T18:00:00Z or 2026-11-27 18:00 (UTC). Leave empty for no end."
        )
        public var expiresAt: Instant?
        @Param(
            "Exception", .prose(20...1000),
            help:
                RoleChange.exceptionHelp
        )
        public var exception: String?
        public init() {}
    }

    public static func guards(_ input: Input, _ target: String?) -> [Guard] { Guard.roles(of: target) }

    public static func gather(_ input: Input, _ target: Staff?, from reader: any Reader) throws -> RoleChange {
        try .look(at: target, giving: input.grant ?? [], from: reader)
    }

    public static func measures(_ call: Call<Self>) -> Measures { call.facts.measures(exception: call.input.exception) }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Staff> {
        let (give, take) = (Set(call.input.grant ?? []).sorted(), Set(call.input.revoke ?? []).sorted())
        guard !give.isEmpty || !take.isEmpty else {
            throw .field("grant", "Nothing would change: choose a role to give or to take away.")
        }
        if give.isEmpty, call.input.expiresAt != nil {
            throw .field("expires_at", "Nothing is given, so nothing can end then. Leave it empty.")
        }
        let until = call.input.expiresAt
        let outcome = try call.facts.plan(
            .init(
                give: give, take: take, until: until, exception: call.input.exception, giveField: "grant",
                takeField: "revoke"), for: call.before, by: call.person, at: call.now, call.fresh)
        var facts: [String: JSON] = [
            "granted": .array(give.map(JSON.string)), "revoked": .array(take.map(JSON.string)),
        ]
        if let until { facts["until"] = .string(until.rfc3339) }
        if !outcome.exceptions.isEmpty { facts["exception"] = true }
        var parts: [String] = []
        if !give.isEmpty {
            parts.append("gets \(AccessNames.roles(give))\(until.map { " until \($0.minuteText)" } ?? "")")
        }
        if !take.isEmpty { parts.append("loses \(AccessNames.roles(take))") }
        return Plan(
            call.before.touched(at: call.now), also: outcome.changes, facts: facts,
            consequence: "\(call.before.name) \(parts.joined(separator: " and ")), from the next request on."
                + outcome.exceptions.map { " \(AccessNames.roles($0, " and ")) are held together by an exception." }
                .joined())
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("Change the roles again: that is reviewed like this one.")
    }

    public static func unavailable(_ target: Staff, now: Instant) -> Unavailable? { left(target) }
}

/// Nobody gets a role who has left.
private func left(_ target: Staff) -> Unavailable? {
    target.status == .deactivated
        ? Unavailable("they have left", lifting: [ReactivateStaff.spec.name]) : nil
}

extension Guard {
    /// Held by whatever changes the roles of a person: who is the last super_admin is decided one at a time, and whoever acts
    /// on what this person agreed to comes before or after.
    static func roles(of target: String?) -> [Guard] { [.superAdmins] + (target.map { [.staff($0)] } ?? []) }
}

extension Staff {
    /// The person with another version: what they hold is a part of what they are.
    func touched(at now: Instant) -> Staff {
        var after = self
        after.updatedAt = now
        return after
    }
}
