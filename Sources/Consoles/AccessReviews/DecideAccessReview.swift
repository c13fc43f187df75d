import Kernel

/// What a decision looks at.
public struct AccessReviewDecision: Sendable {
    let review: AccessReview?
    let staff: Staff?
    /// The grant as it is now.
    let grant: Grant?
    let roles: RoleChange
    /// Whose grants the holder of this one has kept in this campaign.
    let kept: Set<String>
    /// The reviewers and the holder, as they stand.
    let standings: [String: Standing]

    static func load(_ item: AccessReviewItem?, from reader: any Reader) throws -> AccessReviewDecision {
        let person = item?.staffID ?? ""
        let review = try item.flatMap { try AccessReview.load($0.reviewID, from: reader) }
        let people = Set((review?.reviewers ?? []) + [person]).sorted()
        let standings = StaffDirectory().standings(of: people)
        let rows = try reader.query(
            [
                Staff.select([person], lock: false, reader.dialect),
                Grant.select([item?.grantID ?? ""], lock: false, reader.dialect),
                AccessReviewQueries.kept(by: person, in: item?.reviewID ?? ""),
            ] + standings.statements)
        let staff = try rows[0].first.map(Staff.init)
        return AccessReviewDecision(
            review: review, staff: staff, grant: try rows[1].first.map(Grant.init),
            roles: try .look(at: staff, giving: [], from: reader),
            kept: Set(try rows[2].map { try $0.string("staff_id") }),
            standings: try standings.read(Array(rows[3...]), from: reader))
    }

    /// Whether there is still something to decide, and whether this person may.
    func check(_ item: AccessReviewItem, by person: String, at now: Instant) throws(Refusal) -> Staff {
        guard let review, let staff else { throw .notFound("There is no such review any more.") }
        guard review.state == .open else {
            throw .conflict("This review is \(review.state.rawValue): nothing is decided in it any more.", legal: [])
        }
        guard person != item.staffID else {
            throw .conflict("Nobody decides on their own grant. Another reviewer does.")
        }
        guard review.reviewers.contains(person) else {
            throw .conflict("You are not among the reviewers of this review. Whoever started it can name you.")
        }
        guard let grant, grant.isLive(at: now) else {
            throw .conflict(
                "\(item.name) holds this grant no more: it \(grant?.state(at: now) == .expired ? "ran out" : "was revoked") meanwhile.",
                legal: [])
        }
        return staff
    }

    /// Two people don't keep each other, and nobody keeps whom they themselves have just made what they are (decision 26).
    func checkKeeping(_ item: AccessReviewItem, by person: String, at now: Instant) throws(Refusal) {
        if kept.contains(person) {
            throw .conflict(
                "\(item.name) kept a grant of yours in this review, so somebody else decides on theirs. You may still revoke it."
            )
        }
        if let touch = standings[item.staffID]?.quarantine(from: person, at: now) {
            throw .conflict(
                "You \(Self.words(touch.kind)) \(item.name) within the last 72 hours, so somebody else decides on this."
            )
        }
        if let touch = standings[person]?.quarantine(from: item.staffID, at: now) {
            throw .conflict(
                "\(item.name) \(Self.words(touch.kind)) you within the last 72 hours, so somebody else decides on this."
            )
        }
    }

    private static func words(_ kind: Standing.Touch.Kind) -> String {
        switch kind {
        case .invited: "invited"
        case .granted: "gave a role to"
        case .refactored: "had the factors reset of"
        }
    }
}

/// Says that somebody still needs a role.
public enum KeepReviewedGrant: Operation {
    public typealias Target = AccessReviewItem
    public static let spec = OperationSpec(
        "access_review_item.keep", "Keep grant",
        summary: "Says that a person still needs a role, and why; their grant stays as it is.",
        permission: AccessReviewQueries.permission, risk: .high,
        reasonCodes: [
            ReasonCode("needed", "Their work needs it"),
            ReasonCode("standby", "They stand in for somebody who does this"),
            ReasonCode("ends", "It ends by itself soon enough"),
        ],
        several: .init(
            "grants",
            summary: "Says that the roles these grants give are still needed, and why; the grants stay as they are."))

    public static func gather(
        _ input: NoInput, _ target: AccessReviewItem?, from reader: any Reader
    ) throws -> AccessReviewDecision { try .load(target, from: reader) }

    /// Two who keep each other at the same moment come one after the other.
    public static func guards(
        _ input: NoInput, _ target: String?, from reader: any Reader
    ) throws -> [Guard] {
        try target.flatMap { try AccessReviewItem.load($0, from: reader) }.map {
            [Guard("access_review:\($0.reviewID)")]
        }
            ?? []
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<AccessReviewItem> {
        let item = call.before
        _ = try call.facts.check(item, by: call.person, at: call.now)
        guard item.state == .open else { throw decided(item) }
        try call.facts.checkKeeping(item, by: call.person, at: call.now)
        return Plan(
            item.decided(.kept, by: call.person, because: call.reasonCode, in: call.eventID, at: call.now),
            facts: ["review": .string(item.reviewID), "role": .string(item.role)],
            consequence: "\(item.name) keeps \(RoleTitle.of(item.role)).")
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("While the review is open, the grant can still be revoked in it.")
    }

    public static func unavailable(_ target: AccessReviewItem, now: Instant) -> Unavailable? {
        target.state == .open ? nil : Unavailable("it is decided", isMoot: true)
    }
}

/// Takes a role away in a review, as `staff.revoke_role` does, with the decision and in the same event.
public enum RevokeReviewedGrant: Operation {
    public typealias Target = AccessReviewItem
    public static let spec = OperationSpec(
        "access_review_item.revoke", "Revoke grant",
        summary:
            "Takes the role away that a review is about; the person's next request is without it, and what they signed as its holder counts no more.",
        permission: AccessReviewQueries.permission, risk: .high,
        reasonCodes: [
            ReasonCode("not_needed", "Their work does not need it"),
            ReasonCode("moved", "They do other work now"),
            ReasonCode("unused", "They have not used it"),
            ReasonCode("too_much", "A smaller role is enough"),
        ], isDestructive: true,
        several: .init(
            "grants",
            summary:
                "Takes away the roles these grants give; each person’s next request is without them, and what they signed as their holder counts no more."
        ))

    public static func gather(
        _ input: NoInput, _ target: AccessReviewItem?, from reader: any Reader
    ) throws -> AccessReviewDecision { try .load(target, from: reader) }

    /// Those of `staff.revoke_role`: the item says whose grant it is.
    public static func guards(
        _ input: NoInput, _ target: String?, from reader: any Reader
    ) throws -> [Guard] {
        try target.flatMap { try AccessReviewItem.load($0, from: reader) }.map {
            Guard.roles(of: $0.staffID) + [Guard("access_review:\($0.reviewID)")]
        } ?? []
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<AccessReviewItem> {
        let item = call.before
        let staff = try call.facts.check(item, by: call.person, at: call.now)
        guard item.state == .open || item.state == .kept else { throw decided(item) }
        let outcome = try call.facts.roles.plan(
            .init(take: [item.role]), for: staff, by: call.person, at: call.now, call.fresh)
        return Plan(
            item.decided(.revoked, by: call.person, because: call.reasonCode, in: call.eventID, at: call.now),
            also: [.update(staff, to: staff.touched(at: call.now))] + outcome.changes,
            facts: [
                "review": .string(item.reviewID), "role": .string(item.role), "revoked": [.string(item.role)],
            ], consequence: "\(item.name) no longer holds \(RoleTitle.of(item.role)), from the next request on.")
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("Grant the role again: that takes whatever signature a grant takes.")
    }

    public static func unavailable(_ target: AccessReviewItem, now: Instant) -> Unavailable? {
        target.state == .open || target.state == .kept ? nil : Unavailable("it is decided", isMoot: true)
    }
}

/// Somebody was quicker.
private func decided(_ item: AccessReviewItem) -> Refusal {
    switch item.state {
    case .kept: .conflict("This grant was kept already.", legal: [RevokeReviewedGrant.spec.name])
    case .revoked: .conflict("This grant was revoked already.", legal: [])
    case .open, .ended: .conflict("This grant had ended when the review was closed.", legal: [])
    }
}
