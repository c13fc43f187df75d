import Kernel

/// Gives a tenant to another of its members; who owned it stays an admin.
public enum TransferOwnership: Operation {
    public typealias Target = Tenant
    public static let spec = OperationSpec(
        "tenant.transfer_ownership", "Transfer ownership",
        summary: "Makes an active member the owner. The present owner becomes an admin.",
        permission: "tenant.transfer_ownership", risk: .high)

    public struct Input: OperationInput {
        @Param("New owner", help: "The e-mail address or the id of an active member.") public var newOwner: MemberName
        @Param("The present owner becomes", .choices(["admin", "member", "billing"]), help: "Their role from then on.")
        public var formerOwner = "admin"
        public init() {}
    }

    public struct Facts: Sendable {
        public var owner: User?
        public var membership: Membership?
        public var former: Membership?
    }

    public static func gather(_ input: Input, _ target: Tenant?, from reader: any Reader) throws -> Facts {
        guard let target else { return Facts() }
        let name = input.newOwner.name
        let users = UserQueries.users(by: name.contains("@") ? .email : .id, [name])
        var facts = Facts(owner: try reader.first(users).map(User.init))
        let pairs = [facts.owner?.id, target.ownerID].compactMap { $0 }.map { (tenant: target.id, user: $0) }
        guard !pairs.isEmpty else { return facts }
        for row in try reader.query(MembershipQueries.memberships(of: pairs)) {
            let membership = try Membership(row)
            if membership.userID == facts.owner?.id { facts.membership = membership } else { facts.former = membership }
        }
        return facts
    }

    public static func measures(_ call: Call<Self>) -> Measures { .tenant(call.before, reversible: true) }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Tenant> {
        let before = call.before
        if let off = unavailable(before, now: call.now) { throw .conflict("\(before.name): \(off.reason).") }
        guard let owner = call.facts.owner else {
            throw .field("new_owner", "New owner is nobody known here. Members are listed on the tenant's page.")
        }
        guard owner.id != before.ownerID else { throw .field("new_owner", "New owner owns it already.") }
        guard let membership = call.facts.membership, membership.status == .joined else {
            throw .field(
                "new_owner",
                call.facts.membership?.status == .invited
                    ? "New owner has not joined yet; only an active member can own it."
                    : "New owner is not a member of this tenant; only an active member can own it.")
        }
        guard owner.status == .active else {
            throw .field("new_owner", "New owner is \(owner.status.rawValue); only an active member can own it.")
        }
        var after = before
        after.ownerID = owner.id
        after.updatedAt = call.now
        var promoted = membership
        promoted.role = .owner
        var changes = [Change.update(membership, to: promoted)]
        var rest = "Nobody owned it before."
        if let former = call.facts.former, former.status != .revoked {
            var demoted = former
            demoted.role = MembershipRole(rawValue: call.input.formerOwner) ?? .admin
            changes.append(.update(former, to: demoted))
            rest = "The present owner becomes \(demoted.role == .admin ? "an" : "a") \(demoted.role.rawValue)."
        }
        let roles = changes.compactMap { $0.userNotice(in: after) }
        return Plan(
            after, also: changes, effects: [Effect.webhook("ownership_transferred", after)] + roles,
            consequence: "\(owner.displayName) owns \(after.name) from now on. \(rest)")
    }

    /// Both get back what they had.
    public static func undo(_ done: Done<Self>) -> Undo {
        guard let owner = done.before?["owner_id"], owner != .null else {
            return .impossible("Nobody owned it before. Transfer it to somebody else instead.")
        }
        let role = done.also.first { $0.before?["user_id"] == done.after?["owner_id"] }?.before?["role"]
        guard let role, role != "owner" else {
            return .impossible("The new owner's former role is not known. Transfer it back by hand.")
        }
        return .run(spec.name, input: ["new_owner": owner, "former_owner": role])
    }

    public static func unavailable(_ target: Tenant, now: Instant) -> Unavailable? {
        switch target.status {
        case .deleted: Unavailable("deletion is final")
        case .archived: Unavailable("archived tenants keep their owner", lifting: ["tenant.restore"])
        default: nil
        }
    }
}

/// A member as people name one: by e-mail address or by id.
public struct MemberName: ParamValue {
    public let name: String

    public static func parse(_ json: JSON, _ rules: ParamRules) throws(FieldError.Reason) -> MemberName {
        guard case .string(let text) = json else { throw .init("must be text.") }
        return try parse(text: text, rules)
    }
    public static func parse(text: String, _ rules: ParamRules) throws(FieldError.Reason) -> MemberName {
        let line = try TextRule.line(1...254).check(text)
        if Identifier.isValid(line, prefix: User.idPrefix) { return MemberName(name: line) }
        return MemberName(name: try String.parse(text: line, .email))
    }
    public var json: JSON { .string(name) }
    public var text: String { name }
    public static func schema(_ rules: ParamRules) -> JSON {
        ["type": "string", "minLength": 1, "maxLength": 254, "examples": ["grace@example.com"]]
    }
    public static var control: ParamControl { .line }
}
