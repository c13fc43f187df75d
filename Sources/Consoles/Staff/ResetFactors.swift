import Kernel

/// Somebody lost what they sign in with. Password, factors and sessions end, and a link lets them set new ones. Whoever asks
/// for it could become that person: the change is co-signed, the person is told, and for 72 hours the account signs nothing for
/// who asked.
public enum ResetFactors: Operation {
    public typealias Target = Staff
    public static let spec = OperationSpec(
        "staff.reset_factors", "Reset factors",
        summary:
            "Ends password, factors and sessions of a person, who is told; the one-time link you get lets them set new ones.",
        permission: "staff.reset_factors", risk: .critical,
        reasonCodes: [
            ReasonCode("lost", "Lost, broken or forgotten"),
            ReasonCode("stolen", "Stolen, or known to somebody else"),
        ], isDestructive: true)

    public struct Facts: Sendable {
        let factors: [Factor]
        let recovery: Recovery?
    }

    public static func guards(_ input: NoInput, _ target: String?) -> [Guard] { Guard.roles(of: target) }

    public static func gather(_ input: NoInput, _ target: Staff?, from reader: any Reader) throws -> Facts {
        let rows = try reader.query([Factor.active(of: target?.id ?? ""), Recovery.pending(of: target?.id ?? "")])
        return Facts(factors: try rows[0].map(Factor.init), recovery: try rows[1].first.map(Recovery.init))
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Staff> {
        let before = call.before
        guard before.id != call.person else {
            throw .conflict("Nobody resets their own factors. Change your password and codes under My security.")
        }
        switch before.status {
        case .active: break
        case .invited:
            throw .conflict("\(before.name) has not enrolled yet. Invite them again for a new link.", legal: [])
        case .deactivated: throw .conflict("\(before.name) has left. Reactivate the account first.", legal: [])
        }
        guard call.facts.recovery == nil else {
            throw .conflict(
                "A recovery of this account from the server waits for its time. Cancel it first, or wait for it.")
        }
        let renewal = FactorRenewal(of: before, factors: call.facts.factors, by: call.person, at: call.now)
        let link = Enrolment.Link(call.fresh, staff: before.id, .reset, at: call.now, lasting: .hours(24))
        return Plan(
            renewal.after, also: renewal.changes, alsoWrite: renewal.statements + link.statements,
            effects: [MailNotice.factorsReset.effect(to: before.id)],
            facts: ["factors": .int(Int64(call.facts.factors.count))], reveal: link.reveal,
            consequence:
                "\(before.name) is signed out and can only come back with the link, within 24 hours."
        )
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("Factors that ended stay so. The link sets new ones.")
    }

    public static func unavailable(_ target: Staff, now: Instant) -> Unavailable? {
        switch target.status {
        case .active: nil
        case .invited: Unavailable("they have not enrolled yet", isMoot: true)
        case .deactivated: Unavailable("they have left", lifting: [ReactivateStaff.spec.name])
        }
    }
}

/// Everything a person signed in with ends.
struct FactorRenewal {
    let after: Staff
    let changes: [Change]
    let statements: [Statement]

    init(of before: Staff, factors: [Factor], by person: String, at now: Instant) {
        var after = before.touched(at: now)
        after.resetBy = person
        after.resetAt = now
        self.after = after
        changes = factors.map { factor in
            var after = factor
            after.status = .revoked
            return .update(factor, to: after)
        }
        statements = [SignInQueries.endAll(of: before.id, at: now)]
    }
}
