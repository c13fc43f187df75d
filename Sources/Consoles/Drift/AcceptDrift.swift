import Kernel

/// Takes the product's value over.
public enum AcceptDrift: Operation {
    public typealias Target = Drift
    public static let spec = OperationSpec(
        "drift.accept", "Accept the product’s value",
        summary: "Sets the tenant's plan, tier, region or owner to what the product says.",
        permission: "drift.accept", risk: .high)

    public struct Facts: Sendable {
        let tenant: Tenant?
        /// The person the product names as owner is a member of the tenant.
        let membership: Membership?
        let formerOwner: Membership?
    }

    public static func gather(_ input: NoInput, _ target: Drift?, from reader: any Reader) throws -> Facts {
        guard let target, let tenant = try Tenant.load(target.tenant, from: reader) else {
            return Facts(tenant: nil, membership: nil, formerOwner: nil)
        }
        guard target.field == .owner else { return Facts(tenant: tenant, membership: nil, formerOwner: nil) }
        let people = [target.theirs] + (tenant.ownerID.map { [$0] } ?? [])
        let memberships = try reader.query(
            MembershipQueries.memberships(of: people.map { (tenant: tenant.id, user: $0) })
        ).map(Membership.init)
        return Facts(
            tenant: tenant, membership: memberships.first { $0.userID == target.theirs },
            formerOwner: memberships.first { $0.userID == tenant.ownerID && $0.userID != target.theirs })
    }

    public static func measures(_ call: Call<Self>) -> Measures {
        Measures([
            "field": .string(call.before.field.rawValue), "tier": .string(call.facts.tenant?.tier ?? "none"),
            "reversible": false,
        ])
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Drift> {
        let drift = call.before
        guard let before = call.facts.tenant else { throw .notFound("There is no tenant \(drift.tenant).") }
        guard drift.state == .open || drift.state == .dismissed else {
            throw .conflict("This difference is settled already.", legal: [])
        }
        if before.status == .deleted { throw .conflict("A deleted tenant can't be changed.", legal: []) }
        if drift.field == .status { throw .conflict(statusSentence(drift, before), legal: statusOperations) }
        var after = before
        after.updatedAt = call.now
        var members: [Change] = []
        var effects: [Effect] = []
        switch drift.field {
        case .status: break
        case .plan, .region:
            let field: TenantField = drift.field == .plan ? .plan : .region
            if let change = before.desired[field], change.state == .pending, change.value != drift.theirs {
                throw .conflict(
                    "A change of the \(field.rawValue) to \(change.value) is under way. Confirm it or give it up first.",
                    legal: [ConfirmChange.spec.name, RevertChange.spec.name])
            }
            // What was wanted is so now, or is no longer wanted.
            after.settle(field, as: drift.theirs)
            effects = [.change(field.doneName, field, before, to: drift.theirs)]
        case .tier:
            after.tier = drift.theirs
            effects = [.webhook("tier_changed", after)]
        case .owner:
            guard let membership = call.facts.membership, membership.status == .joined else {
                throw .conflict(
                    "The person the product names as owner is no member of \(before.name). It has to send the membership first."
                )
            }
            after.ownerID = drift.theirs
            effects = [.webhook("ownership_transferred", after)]
            var owner = membership
            owner.role = .owner
            if owner.document != membership.document { members.append(.update(membership, to: owner)) }
            if let former = call.facts.formerOwner, former.role == .owner {
                var admin = former
                admin.role = .admin
                members.append(.update(former, to: admin))
            }
        }
        var settled = drift.settled(.accepted, by: call.person, at: call.now)
        settled.ours = drift.theirs
        let value = drift.field == .owner ? "the owner the product names" : "“\(drift.theirs)”"
        effects.append(.webhook("updated", after))
        effects += members.compactMap { $0.userNotice(in: after) }
        return Plan(
            settled, also: [.update(before, to: after)] + members, effects: effects,
            facts: ["field": .string(drift.field.rawValue)],
            consequence: "The \(drift.field.rawValue) of \(before.name) becomes \(value).")
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("The value is in force. Change it back with the tenant's own operation for this field.")
    }

    public static func unavailable(_ target: Drift, now: Instant) -> Unavailable? {
        if target.field == .status {
            return Unavailable(
                "a state is changed by suspending, restoring or archiving the tenant", lifting: statusOperations)
        }
        return target.state == .open || target.state == .dismissed
            ? nil : Unavailable("this difference is settled already")
    }

    private static let statusOperations = ["tenant.suspend", "tenant.restore", "tenant.archive"]

    private static func statusSentence(_ drift: Drift, _ tenant: Tenant) -> String {
        let way =
            switch drift.theirs {
            case "suspended": "use Suspend tenant"
            case "archived": "use Archive tenant"
            case "active": "use Restore tenant"
            case "expired", "cancelled": "let your product report that its trial or subscription has ended"
            default: "use an operation on the tenant"
            }
        return
            "A state has reasons and consequences of its own, so it isn't taken over here. \(tenant.name) is \(tenant.status.rawValue); \(way), or keep ours."
    }
}
