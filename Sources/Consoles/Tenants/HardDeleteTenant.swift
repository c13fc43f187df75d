import HTML
import Kernel

/// Erases a customer that was archived long enough. What stays is a tombstone, so that its id is never given again.
public enum HardDeleteTenant: Operation {
    public typealias Target = Tenant
    public static let spec = OperationSpec(
        "tenant.hard_delete", "Delete for good",
        summary:
            "Erases the tenant's name, slug and metadata, also from the audit log, and revokes every membership. This can't be undone.",
        permission: "tenant.hard_delete", risk: .critical,
        reasonCodes: [
            ReasonCode("gdpr_erasure_request", "The customer asked for erasure"),
            ReasonCode("retention_policy", "The retention policy demands it"),
        ], confirmByTyping: true, isDestructive: true)

    /// The memberships to revoke.
    public struct Facts: Sendable {
        public let members: [Membership]
        public let isMore: Bool
        /// A legal hold stands, whatever status the tenant came through since.
        public var isHeld = false
        /// Emergencies that are not reviewed, and what was written about the others.
        public var emergencies: [BreakGlass] = []
    }

    /// More memberships than this are revoked in the product first: one transaction stays short.
    static let mostMembers = 10_000
    /// A leaf holds about 380 changes; beyond this they are recorded by digest.
    static let mostRecordedChanges = 300

    /// No emergency is opened on it meanwhile.
    public static func guards(_ input: NoInput, _ target: String?) -> [Guard] { [.breakGlass] }

    public static func gather(_ input: NoInput, _ target: Tenant?, from reader: any Reader) throws -> Facts {
        guard let target else { return Facts(members: [], isMore: false) }
        let rows = try reader.query([
            MembershipQueries.live(of: target.id, limit: mostMembers + 1), BreakGlassQueries.telling(of: target.id),
        ])
        return Facts(
            members: try rows[0].prefix(mostMembers).map(Membership.init), isMore: rows[0].count > mostMembers,
            isHeld: try LegalHold.load(on: target.id, from: reader).stands,
            emergencies: try rows[1].map(BreakGlass.init))
    }

    public static func measures(_ call: Call<Self>) -> Measures {
        var measures = Measures.tenant(call.before, reversible: false)
        measures.values["members"] = .int(Int64(call.facts.members.count))
        // Asked for by the retention policy, nobody has looked at it yet.
        measures.values["automatic"] = .bool(!call.person.hasPrefix("stf_"))
        return measures
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Tenant> {
        let before = call.before
        let status = try TenantTransitions.destination(of: before, by: spec, reasonCode: call.reasonCode)
        guard !call.facts.isHeld else {
            throw .locked(
                "A legal hold stands: this tenant was suspended for one, and it was not lifted since. "
                    + "That takes Restore tenant with the reason \(LegalHold.lifting), out of a suspension.")
        }
        guard let eligible = before.deletionEligibleAt, call.now >= eligible else {
            throw .conflict(
                tooEarly(before), legal: TenantTransitions.legal(from: .archived).filter { $0.contains("restore") })
        }
        // What is still to be written about it would name a customer that is erased.
        if let live = call.facts.emergencies.first(where: { $0.state != .reviewed }) {
            throw .conflict(
                live.isOn(at: call.now)
                    ? "Break-glass is open on this tenant (\(live.id)). It is ended and reviewed first."
                    : "The review of a break-glass on this tenant is still owed (\(live.id)). It is reviewed first.")
        }
        guard !call.facts.isMore else {
            throw .conflict(
                "It still has more than \(Grouped.digits(mostMembers)) members. Remove them in your product, then ask again."
            )
        }
        var after = before.moved(to: status, at: call.now)
        after.name = "Deleted tenant"
        after.slug = "deleted-" + before.id.dropFirst(Tenant.idPrefix.count + 1).lowercased()
        after.metadata = [:]
        after.desired = [:]
        after.note = nil
        after.noteEventID = nil
        after.ownerID = nil
        after.csmID = nil
        let revoked = call.facts.members.map { membership in
            var after = membership
            after.status = .revoked
            after.revokedAt = call.now
            return Change.update(membership, to: after)
        }
        let cleared = call.facts.emergencies.compactMap { emergency in
            emergency.cleared().map { Change.update(emergency, to: $0) }
        }
        let isLarge = revoked.count + cleared.count > mostRecordedChanges
        let memberships =
            "\(Grouped.digits(revoked.count)) \(revoked.count == 1 ? "membership" : "memberships") revoked."
        // The digests of rows stand in the details: without a name these are nobody's data, and stay for verification.
        let details: (value: JSON, subjects: [String])? =
            isLarge
            ? (value: ["consequence": .string("A tenant is erased for good and \(memberships)")], subjects: []) : nil
        return Plan(
            after, also: revoked + cleared, alsoWrite: [call.history(of: after, from: before.status)],
            effects: [.webhook("deleted", after)], facts: ["memberships_revoked": .int(Int64(revoked.count))],
            details: details, recordsDigests: isLarge, erasesTarget: true,
            consequence: """
                \(before.name) is erased for good and \(memberships)\(written(cleared.count)) Its external id stays, here and in the log, so that what \
                your product still says about it is refused.
                """)
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("Deletion is final: the name and the members are erased.")
    }

    public static func unavailable(_ target: Tenant, now: Instant) -> Unavailable? {
        switch target.status {
        case .deleted: return Unavailable("it is deleted already", note: "Deletion is final.")
        case .archived:
            guard let eligible = target.deletionEligibleAt else {
                return Unavailable(
                    "since when it is archived is not known", lifting: ["tenant.restore"],
                    note: "Restored and archived again, its 90 days begin.")
            }
            guard now < eligible else { return nil }
            return Unavailable(
                "possible from \(TimeText.day(eligible.day)) on",
                note:
                    "An archived tenant is kept for 90 days, and nobody can shorten that. It can be restored until then."
            )
        case .pending: return Unavailable("it is still being set up", note: TenantTransitions.waysOut(of: .pending))
        default:
            return Unavailable("archive it first", lifting: ["tenant.archive"], note: "It is then kept for 90 days.")
        }
    }

    private static func written(_ emergencies: Int) -> String {
        switch emergencies {
        case 0: ""
        case 1: " What was written about an emergency on it is erased as well."
        default: " What was written about \(Grouped.digits(emergencies)) emergencies on it is erased as well."
        }
    }

    private static func tooEarly(_ tenant: Tenant) -> String {
        guard let eligible = tenant.deletionEligibleAt else {
            return
                "It is not known since when this tenant is archived. Restore it and archive it again to start the 90 days."
        }
        return
            "An archived tenant is kept for 90 days: it can be deleted for good from \(eligible.minuteText) on."
    }
}
