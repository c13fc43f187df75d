import Kernel

/// Somebody leaves: every grant and every session ends in this one transaction, links stop working, what they asked for is
/// cancelled, and what they signed counts no more.
public enum DeactivateStaff: Operation {
    public typealias Target = Staff
    public static let spec = OperationSpec(
        "staff.deactivate", "Deactivate",
        summary:
            "Ends every role, session and open request of a person at once; they can't sign in until they are reactivated.",
        permission: "staff.deactivate", risk: .high,
        reasonCodes: [
            ReasonCode("left", "They left the company"),
            ReasonCode("leave", "They are away for a long time"),
            ReasonCode("compromised", "Somebody else may use the account"),
            ReasonCode("mistake", "The account should not be there"),
        ], confirmByTyping: true, isDestructive: true)

    public struct Facts: Sendable {
        /// Those that were not taken back.
        let grants: [Grant]
        let otherSuperAdmins: Int64
        let requests: [ApprovalRequest]
        let recovery: Recovery?
        let sessions: Int64
    }

    public static func guards(_ input: NoInput, _ target: String?) -> [Guard] { Guard.roles(of: target) }

    public static func gather(_ input: NoInput, _ target: Staff?, from reader: any Reader) throws -> Facts {
        let id = target?.id ?? ""
        let rows = try reader.query([
            Grant.of([id]), Grant.keepers(of: "super_admin", besides: id), StaffQueries.liveRequests(of: id),
            Recovery.pending(of: id), SignInQueries.countOpen(of: id, at: reader.now),
        ])
        return Facts(
            grants: try rows[0].map(Grant.init).filter { $0.revokedAt == nil },
            otherSuperAdmins: try rows[1].first?.int("count") ?? 0, requests: try rows[2].map(ApprovalRequest.init),
            recovery: try rows[3].first.map(Recovery.init), sessions: try rows[4].first?.int("count") ?? 0)
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Staff> {
        let before = call.before
        guard before.id != call.person else {
            throw .conflict("Nobody deactivates their own account. Ask a colleague who may.")
        }
        guard before.status != .deactivated else {
            throw .conflict("\(before.name) is deactivated already.", legal: [])
        }
        let live = call.facts.grants.filter { $0.isLive(at: call.now) }
        try keepSuperAdmin(of: before, ending: live, others: call.facts.otherSuperAdmins)
        var after = before.touched(at: call.now)
        after.status = .deactivated
        var also = call.facts.grants.map { grant in
            var after = grant
            after.revokedAt = call.now
            return Change.update(grant, to: after)
        }
        also += call.facts.requests.map { request in
            var after = request
            after.state = .cancelled
            after.decidedAt = call.now
            after.executeAt = nil
            after.outcomeEventID = call.eventID
            return Change.update(request, to: after)
        }
        if let recovery = call.facts.recovery {
            also.append(.update(recovery, to: recovery.ended(.cancelled, by: call.person, at: call.now)))
        }
        let (roles, sessions, requests) = (live.count, call.facts.sessions, call.facts.requests.count)
        return Plan(
            after, also: also,
            alsoWrite: [
                SignInQueries.endAll(of: before.id, at: call.now), EnrolmentQueries.cancel(of: before.id, at: call.now),
            ],
            facts: [
                "roles": .array(live.map(\.role).sorted().map(JSON.string)), "sessions": .int(sessions),
                "requests": .int(Int64(requests)),
            ],
            consequence:
                "\(before.name) can't sign in any more. \(counted(roles, "role")), \(counted(Int(sessions), "session")) and \(counted(requests, "open request")) end at once."
        )
    }

    private static func counted(_ count: Int, _ word: String) -> String {
        switch count {
        case 0: "No \(word)"
        case 1: "1 \(word)"
        default: "\(count) \(word)s"
        }
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("Reactivate the account. Its roles are granted anew, with the signatures that takes.")
    }

    public static func unavailable(_ target: Staff, now: Instant) -> Unavailable? {
        target.status == .deactivated ? Unavailable("they have left already", isMoot: true) : nil
    }
}

/// Somebody comes back. The account is what it was, without any role.
public enum ReactivateStaff: Operation {
    public typealias Target = Staff
    public static let spec = OperationSpec(
        "staff.reactivate", "Reactivate",
        summary: "Lets a person who left use their account again, without any role.",
        permission: "staff.deactivate", risk: .high,
        reasonCodes: [
            ReasonCode("returned", "They are back"),
            ReasonCode("mistake", "They were deactivated by mistake"),
        ])

    /// Whether they can sign in with what they have.
    public static func gather(_ input: NoInput, _ target: Staff?, from reader: any Reader) throws -> Bool {
        try reader.query(Factor.active(of: target?.id ?? "")).map(Factor.init).contains { $0.kind != .recovery }
    }

    public static func guards(_ input: NoInput, _ target: String?) -> [Guard] { Guard.roles(of: target) }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Staff> {
        let before = call.before
        guard before.id != call.person else {
            throw .conflict("Nobody reactivates their own account. Ask a colleague who may.")
        }
        guard before.status == .deactivated else {
            throw .conflict("\(before.name) is not deactivated.", legal: ["staff.deactivate"])
        }
        var after = before.touched(at: call.now)
        after.status = call.facts ? .active : .invited
        return Plan(
            after,
            consequence: call.facts
                ? "\(before.name) can sign in again as before, and holds no role until one is granted."
                : "\(before.name) has nothing to sign in with: invite them once more, with the roles they are to have.")
    }

    public static func undo(_ done: Done<Self>) -> Undo { .run(DeactivateStaff.spec.name, reasonCode: "mistake") }

    public static func unavailable(_ target: Staff, now: Instant) -> Unavailable? {
        target.status == .deactivated ? nil : Unavailable("they are here", isMoot: true)
    }
}
