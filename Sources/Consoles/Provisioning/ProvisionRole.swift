import Kernel

/// A role the identity provider gives: at once where it is no power, else it waits for somebody to accept it.
public enum ProvisionRole: Operation {
    public typealias Target = Staff
    public static let spec = OperationSpec(
        "staff.provision_role", "Provision role",
        summary:
            "Gives a person a role the identity provider tells of; one that signs approvals or holds a high or critical permission waits until a colleague accepts it.",
        permission: "scim.configure", risk: .medium, systemOnly: true)

    public struct Input: OperationInput {
        @Param("Role", .choices(Seeds.roles.map(\.id)), help: "What the provider's group stands for.")
        public var role: String
        public init() {}
    }

    public struct Facts: Sendable {
        let change: RoleChange
        let undecided: [PendingGrant]
    }

    public static func guards(_ input: Input, _ target: String?) -> [Guard] { Guard.roles(of: target) }

    public static func gather(_ input: Input, _ target: Staff?, from reader: any Reader) throws -> Facts {
        Facts(
            change: try .look(at: target, giving: [input.role], from: reader),
            undecided: try reader.query(PendingGrant.undecided(of: target?.id ?? "")).map(PendingGrant.init))
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Staff> {
        let (role, before) = (call.input.role, call.before)
        let source = call.mandate?.token ?? call.person
        if let waiting = call.facts.undecided.first(where: { $0.role == role }) {
            throw .conflict(
                waiting.state == .pending
                    ? "\(RoleTitle.of(role)) waits for somebody to accept it."
                    : "Somebody said no to \(RoleTitle.of(role)) for \(before.name).")
        }
        guard !call.facts.change.powerful.isEmpty else {
            let outcome = try call.facts.change.plan(
                .init(give: [role], source: source, tokenHolder: call.mandate?.holder), for: before, by: call.person,
                at: call.now, call.fresh)
            return Plan(
                before.touched(at: call.now), also: outcome.changes,
                facts: ClaimedRoles.facts(["granted": [.string(role)]], by: call.person),
                consequence: "\(before.name) holds \(RoleTitle.of(role)), as the identity provider says.")
        }
        guard before.status != .deactivated else {
            throw .conflict("\(before.name) is not active, so no role can be given to them.")
        }
        guard call.facts.change.known.contains(role) else {
            throw .field("role", "There is no role \(role) in this deployment.")
        }
        guard !call.facts.change.grants.contains(where: { $0.role == role && $0.isLive(at: call.now) }) else {
            throw .field("role", "\(before.name) holds \(RoleTitle.of(role)) already.")
        }
        let pending = PendingGrant(
            id: call.fresh.id(PendingGrant.idPrefix), staffID: before.id, role: role, source: source,
            requestedAt: call.now, tokenHolder: call.mandate?.holder)
        return Plan(
            before.touched(at: call.now), also: [.create(pending)],
            facts: ClaimedRoles.facts(["pending": [.string(role)]], by: call.person),
            consequence: "\(before.name) is to hold \(RoleTitle.of(role)), once a colleague accepts that.")
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("The identity provider says who is in a group. Take them out there, or revoke the role here.")
    }
}

/// A role the identity provider takes back, granted or waiting: at once.
public enum WithdrawRole: Operation {
    public typealias Target = Staff
    public static let spec = OperationSpec(
        "staff.withdraw_role", "Withdraw role",
        summary: "Takes a role from a person whom the identity provider took out of its group, granted or waiting.",
        permission: "scim.configure", risk: .medium, systemOnly: true)

    public struct Input: OperationInput {
        @Param("Role", .choices(Seeds.roles.map(\.id)), help: "What the provider's group stands for.")
        public var role: String
        public init() {}
    }

    public static func guards(_ input: Input, _ target: String?) -> [Guard] { Guard.roles(of: target) }

    public static func gather(_ input: Input, _ target: Staff?, from reader: any Reader) throws -> ProvisionRole.Facts {
        ProvisionRole.Facts(
            change: try .look(at: target, giving: [], from: reader),
            undecided: try reader.query(PendingGrant.undecided(of: target?.id ?? "")).map(PendingGrant.init))
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Staff> {
        let (role, before) = (call.input.role, call.before)
        // A group is all who hold the role; a claim takes back what claims gave, and nothing that a colleague did.
        let isClaim = call.person == ClaimedRoles.person
        let waiting = call.facts.undecided.filter { $0.role == role && (!isClaim || $0.source == call.person) }
        let isHeld = call.facts.change.grants.contains {
            $0.role == role && $0.isLive(at: call.now) && (!isClaim || $0.source == call.person)
        }
        guard isHeld || !waiting.isEmpty else {
            throw .field("role", "\(before.name) doesn't hold \(RoleTitle.of(role)).")
        }
        var changes = waiting.map { Change.update($0, to: $0.decided(.withdrawn, by: call.person, at: call.now)) }
        if isHeld {
            changes += try call.facts.change.plan(
                .init(take: [role]), for: before, by: call.person, at: call.now, call.fresh
            ).changes
        }
        return Plan(
            before.touched(at: call.now), also: changes,
            facts: ClaimedRoles.facts(["revoked": [.string(role)]], by: call.person),
            consequence: isHeld
                ? "\(before.name) no longer holds \(RoleTitle.of(role)), from the next request on."
                : "\(before.name) is not to hold \(RoleTitle.of(role)) any more.")
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("Grant the role again: that takes whatever signature a grant takes.")
    }
}

/// Takes a role over that the identity provider asks for: from here on it is a grant like any other, by whoever accepts it.
public enum AcceptGrant: Operation {
    public typealias Target = Staff
    public static let spec = OperationSpec(
        "staff.accept_grant", "Accept grant",
        summary:
            "Grants a role that the identity provider asks for and that waits; it counts as granted by you, and takes the signature a grant takes.",
        permission: "staff.grant_role", risk: .high, ticketRequired: true)

    public struct Input: OperationInput {
        @Param("Role", .choices(Seeds.roles.map(\.id)), help: "One that waits for this person.") public var role: String
        @Param(
            "Until",
            help:
                "When it ends by itself, such as 2026-11-27T18:00:00Z or 2026-11-27 18:00 (UTC). Leave empty for no end."
        )
        public var expiresAt: Instant?
        @Param("Exception", .prose(20...1000), help: RoleChange.exceptionHelp) public var exception: String?
        public init() {}
    }

    public static func guards(_ input: Input, _ target: String?) -> [Guard] { Guard.roles(of: target) }

    public static func gather(_ input: Input, _ target: Staff?, from reader: any Reader) throws -> ProvisionRole.Facts {
        ProvisionRole.Facts(
            change: try .look(at: target, giving: [input.role], from: reader),
            undecided: try reader.query(PendingGrant.undecided(of: target?.id ?? "")).map(PendingGrant.init))
    }

    public static func measures(_ call: Call<Self>) -> Measures {
        isHeld(call)
            ? Measures(["grants_power": false, "exception": false])
            : call.facts.change.measures(exception: call.input.exception)
    }

    /// They hold it for good already, so that accepting it gives nothing.
    private static func isHeld(_ call: Call<Self>) -> Bool {
        call.input.expiresAt == nil && call.input.exception == nil
            && call.facts.change.grants.contains {
                $0.role == call.input.role && $0.expiresAt == nil && $0.isLive(at: call.now)
            }
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Staff> {
        let (role, before) = (call.input.role, call.before)
        guard let pending = call.facts.undecided.first(where: { $0.role == role && $0.state == .pending }) else {
            throw .field(
                "role", "\(RoleTitle.of(role)) does not wait for \(before.name). Grant it, if they are to hold it.")
        }
        if isHeld(call) {
            guard before.id != call.person else {
                throw .conflict("Nobody decides on roles of their own. Ask a colleague who may.")
            }
            return Plan(
                before.touched(at: call.now),
                also: [.update(pending, to: pending.decided(.accepted, by: call.person, at: call.now))],
                facts: ["answered": [.string(role)], "pending_grant": .string(pending.id)],
                consequence:
                    "\(before.name) holds \(RoleTitle.of(role)) already, so nothing is given; what the identity provider asks for waits no longer."
            )
        }
        let until = call.input.expiresAt
        let outcome = try call.facts.change.plan(
            .init(
                give: [role], until: until, exception: call.input.exception, source: pending.source,
                tokenHolder: pending.tokenHolder), for: before, by: call.person, at: call.now, call.fresh)
        var facts: [String: JSON] = ["granted": [.string(role)], "pending_grant": .string(pending.id)]
        if let until { facts["until"] = .string(until.rfc3339) }
        if !outcome.exceptions.isEmpty { facts["exception"] = true }
        return Plan(
            before.touched(at: call.now),
            also: outcome.changes + [.update(pending, to: pending.decided(.accepted, by: call.person, at: call.now))],
            facts: facts,
            consequence:
                "\(before.name) holds \(RoleTitle.of(role)) \(until.map { "until \($0.minuteText)" } ?? "from now on"), as the identity provider asked."
                + outcome.exceptions.map { " \(AccessNames.roles($0, " and ")) are held together by an exception." }
                .joined())
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("Revoke the role instead: the identity provider may ask for it again.")
    }

    public static func unavailable(_ target: Staff, now: Instant) -> Unavailable? {
        target.status == .deactivated ? Unavailable("they have left", isMoot: true) : nil
    }
}

/// Says no to a role that the identity provider asks for.
public enum DismissGrant: Operation {
    public typealias Target = Staff
    public static let spec = OperationSpec(
        "staff.dismiss_grant", "Dismiss grant",
        summary:
            "Says no to a role that the identity provider asks for and that waits; it does not ask again until it has taken the role back.",
        permission: "staff.grant_role", risk: .medium,
        reasonCodes: [
            ReasonCode("not_needed", "Their work does not need it"),
            ReasonCode("wrong_group", "The provider's group is wrong"),
            ReasonCode("separation", "They hold what it must not be held with"),
        ])

    public struct Input: OperationInput {
        @Param("Role", .choices(Seeds.roles.map(\.id)), help: "One that waits for this person.") public var role: String
        public init() {}
    }

    public static func guards(_ input: Input, _ target: String?) -> [Guard] { Guard.roles(of: target) }

    public static func gather(_ input: Input, _ target: Staff?, from reader: any Reader) throws -> [PendingGrant] {
        try reader.query(PendingGrant.undecided(of: target?.id ?? "")).map(PendingGrant.init)
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Staff> {
        let (role, before) = (call.input.role, call.before)
        guard before.id != call.person else {
            throw .conflict("Nobody decides on roles of their own. Ask a colleague who may.")
        }
        guard let pending = call.facts.first(where: { $0.role == role && $0.state == .pending }) else {
            throw .field("role", "\(RoleTitle.of(role)) does not wait for \(before.name).")
        }
        return Plan(
            before.touched(at: call.now),
            also: [.update(pending, to: pending.decided(.dismissed, by: call.person, at: call.now))],
            facts: ["dismissed": [.string(role)], "pending_grant": .string(pending.id)],
            consequence:
                "\(before.name) does not get \(RoleTitle.of(role)), though the identity provider asks for it.")
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("Grant the role, if they are to hold it after all.")
    }

    public static func unavailable(_ target: Staff, now: Instant) -> Unavailable? {
        target.status == .deactivated ? Unavailable("they have left", isMoot: true) : nil
    }
}
