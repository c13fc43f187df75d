import Kernel

/// Somebody leaves: every grant, every session and every account of theirs ends in this one transaction, links stop working,
/// what they asked for is cancelled, and what they signed counts no more.
public enum DeactivateStaff: Operation {
    public typealias Target = Staff
    public static let spec = OperationSpec(
        "staff.deactivate", "Deactivate",
        summary:
            "Ends every role, session, service account and open request of a person at once; they can't sign in until they are reactivated.",
        permission: "staff.deactivate", risk: .high,
        reasonCodes: [
            ReasonCode("left", "They left the company"),
            ReasonCode("leave", "They are away for a long time"),
            ReasonCode(compromised, "Somebody else may use the account"),
            ReasonCode("mistake", "The account should not be there"),
        ], confirmByTyping: true, isDestructive: true)

    /// Why an account ends that comes back without what it signed in with.
    static let compromised = "compromised"

    /// What accounts of somebody who left are revoked for.
    static let accountReason = "owner_left"

    public static func guards(_ input: NoInput, _ target: String?) -> [Guard] { Guard.roles(of: target) }

    public static func gather(_ input: NoInput, _ target: Staff?, from reader: any Reader) throws -> Leaving {
        try .look(at: target?.id ?? "", from: reader)
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Staff> {
        let before = call.before
        guard before.id != call.person else {
            throw .conflict("Nobody deactivates their own account. Ask a colleague who may.")
        }
        guard before.status != .deactivated else {
            throw .conflict("\(before.name) is deactivated already.", legal: [])
        }
        return try call.facts.plan(of: before, by: call.person, at: call.now, event: call.eventID)
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("Reactivate the account. Its roles are granted anew, with the signatures that takes.")
    }

    public static func unavailable(_ target: Staff, now: Instant) -> Unavailable? {
        target.status == .deactivated ? Unavailable("they have left already", isMoot: true) : nil
    }
}

/// What ends with somebody who leaves, whoever says so.
public struct Leaving: Sendable {
    /// Those that were not taken back.
    let grants: [Grant]
    let otherSuperAdmins: Int64
    let requests: [ApprovalRequest]
    let recovery: Recovery?
    let sessions: Int64
    /// Service accounts and assistants that were not revoked.
    let accounts: [ServiceAccount]
    /// Roles that wait for somebody to accept them.
    let pending: [PendingGrant]
    let emergencies: [BreakGlass]
    /// Accounts of Slack that speak for them.
    let links: [SlackLink]
    /// What they were to decide, and who takes it over.
    let reviews: AccessReviewHandover

    static func look(at id: String, from reader: any Reader) throws -> Leaving {
        let rows = try reader.query([
            Grant.of([id]), Grant.keepers(of: "super_admin", besides: id), StaffQueries.liveRequests(of: id),
            Recovery.pending(of: id), SignInQueries.countOpen(of: id, at: reader.now), ServiceAccount.live(of: id),
            PendingGrant.undecided(of: id), BreakGlassQueries.live(of: [id]), SlackQueries.allLinks(of: id),
        ])
        let reviews = try reader.query(AccessReviewHandover.statements(of: id))
        return Leaving(
            grants: try rows[0].map(Grant.init).filter { $0.revokedAt == nil },
            otherSuperAdmins: try rows[1].first?.int("count") ?? 0, requests: try rows[2].map(ApprovalRequest.init),
            recovery: try rows[3].first.map(Recovery.init), sessions: try rows[4].first?.int("count") ?? 0,
            accounts: try rows[5].map(ServiceAccount.init), pending: try rows[6].map(PendingGrant.init),
            emergencies: try rows[7].map(BreakGlass.init), links: try rows[8].map(SlackLink.init),
            reviews: try AccessReviewHandover(reviews[0], reviews[1], of: id))
    }

    /// - Parameters:
    ///   - person: who sends them away.
    ///   - event: the one that will tell of it.
    func plan(
        of before: Staff, by person: String, at now: Instant, event: String
    ) throws(Refusal) -> Plan<Staff> {
        let live = grants.filter { $0.isLive(at: now) }
        try keepSuperAdmin(of: before, ending: live, others: otherSuperAdmins)
        var after = before.touched(at: now)
        after.status = .deactivated
        var also = grants.map { grant in
            var after = grant
            after.revokedAt = now
            return Change.update(grant, to: after)
        }
        also += requests.map { request in
            var after = request
            after.state = .cancelled
            after.decidedAt = now
            after.executeAt = nil
            after.outcomeEventID = event
            return Change.update(request, to: after)
        }
        if let recovery { also.append(.update(recovery, to: recovery.ended(.cancelled, by: person, at: now))) }
        also += BreakGlass.stopped(emergencies, by: person, at: now)
        also += accounts.map { .update($0, to: $0.revoked(for: DeactivateStaff.accountReason, at: now)) }
        also += pending.map { .update($0, to: $0.decided(.withdrawn, by: person, at: now)) }
        also += links.map { .update($0, to: $0.ended(at: now)) }
        also += reviews.changes(leaving: before.id)
        let counts = [
            Self.counted(live.count, "role"), Self.counted(Int(sessions), "session"),
            Self.counted(accounts.count, "service account"), Self.counted(requests.count, "open request"),
        ]
        return Plan(
            after, also: also,
            alsoWrite: [
                SignInQueries.endAll(of: before.id, at: now), EnrolmentQueries.cancel(of: before.id, at: now),
            ],
            facts: [
                "roles": .array(live.map(\.role).sorted().map(JSON.string)), "sessions": .int(sessions),
                "requests": .int(Int64(requests.count)), "accounts": .int(Int64(accounts.count)),
            ],
            consequence:
                "\(before.name) can't sign in any more. \(counts.dropLast().joined(separator: ", ")) and \(counts[3]) end at once."
        )
    }

    private static func counted(_ count: Int, _ word: String) -> String {
        switch count {
        case 0: "No \(word)"
        case 1: "1 \(word)"
        default: "\(count) \(word)s"
        }
    }
}

/// Somebody comes back. The account is what it was, without any role; one that somebody else may have used is without what it
/// signed in with, too.
public enum ReactivateStaff: Operation {
    public typealias Target = Staff
    public static let spec = OperationSpec(
        "staff.reactivate", "Reactivate",
        summary:
            "Lets a person who left use their account again, without any role; with new factors where somebody else may have used it.",
        permission: "staff.deactivate", risk: .high,
        reasonCodes: [
            ReasonCode("returned", "They are back"),
            ReasonCode("mistake", "They were deactivated by mistake"),
        ])

    public struct Facts: Sendable {
        let factors: [Factor]
        /// Whether the identity provider ended the account, and no colleague did.
        let isEndedByProvider: Bool
        /// Whether it ended because somebody else may have used it.
        let wasCompromised: Bool

        /// Whether they can sign in with what they have.
        var canSignIn: Bool { factors.contains { $0.kind != .recovery } }
    }

    public static func gather(_ input: NoInput, _ target: Staff?, from reader: any Reader) throws -> Facts {
        let id = target?.id ?? ""
        let rows = try reader.query([Factor.active(of: id), StaffQueries.whoEnded(id)])
        let end = rows[1].first
        let leaf = try end.map { try $0.bytes("leaf") }.flatMap { try? JSON(parsing: $0) }
        return Facts(
            factors: try rows[0].map(Factor.init),
            isEndedByProvider: try end?.string("actor_id") == ScimDoor.person,
            wasCompromised: leaf?["reason_code"]?.string == DeactivateStaff.compromised)
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
        if call.person == ScimDoor.person { return try readmit(call) }
        if call.facts.wasCompromised {
            return renewed(call, by: call.person, without: "factors, which somebody else may have")
        }
        var after = before.touched(at: call.now)
        after.status = call.facts.canSignIn ? .active : .invited
        return Plan(
            after,
            consequence: call.facts.canSignIn
                ? "\(before.name) can sign in again as before, and holds no role until one is granted."
                : "\(before.name) has nothing to sign in with: invite them once more, with the roles they are to have.")
    }

    /// The identity provider brings back whom it ended itself: whom a colleague sent away, a colleague lets in again. Nobody here
    /// looked at who comes, so that what they signed in with ends, and they enrol anew with a link that a colleague gives them.
    private static func readmit(_ call: Call<Self>) throws(Refusal) -> Plan<Staff> {
        let before = call.before
        guard call.facts.isEndedByProvider else { throw .conflict(endedHere(before), legal: []) }
        // Who was shown the token may have told so in the provider's place, and come back as somebody else.
        return renewed(call, by: call.mandate?.holder ?? call.person, without: "factors")
    }

    /// Whoever has what they signed in with may be somebody else.
    private static func renewed(_ call: Call<Self>, by person: String, without factors: String) -> Plan<Staff> {
        let before = call.before
        let renewal = FactorRenewal(of: before, factors: call.facts.factors, by: person, at: call.now)
        var after = renewal.after
        after.status = .invited
        return Plan(
            after, also: renewal.changes, alsoWrite: renewal.statements,
            facts: ResetTouch.facts(call.mandate).merging(
                ["factors": .int(Int64(call.facts.factors.count))]
            ) { own, _ in own },
            consequence:
                "\(before.name) is back without roles and \(factors): invite them once more, with the roles they are to have."
        )
    }

    /// Why the provider does not bring somebody back.
    static func endedHere(_ staff: Staff) -> String {
        "\(staff.name) was deactivated here; a colleague reactivates them."
    }

    public static func undo(_ done: Done<Self>) -> Undo { .run(DeactivateStaff.spec.name, reasonCode: "mistake") }

    public static func unavailable(_ target: Staff, now: Instant) -> Unavailable? {
        target.status == .deactivated ? nil : Unavailable("they are here", isMoot: true)
    }
}
