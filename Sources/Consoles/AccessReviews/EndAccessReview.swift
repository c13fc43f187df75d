import Kernel

/// Every grant is decided: the campaign is evidence from now on.
public enum CloseAccessReview: Operation {
    public typealias Target = AccessReview
    public static let spec = OperationSpec(
        "access_review.close", "Close review",
        summary: "Ends a review in which every grant is decided; an exception about it is closed with it.",
        permission: AccessReviewQueries.permission, risk: .medium)

    public struct Facts: Sendable {
        let items: [AccessReviewItem]
        let grants: [String: Grant]
        let exception: ComplianceException?

        /// How many grants are held and not decided on.
        func undecided(at now: Instant) -> Int {
            items.count { $0.state == .open && grants[$0.grantID]?.isLive(at: now) == true }
        }
    }

    /// Whatever is decided at the same moment comes before or after.
    public static func guards(_ input: NoInput, _ target: String?) -> [Guard] {
        target.map { [Guard("access_review:\($0)")] } ?? []
    }

    public static func gather(_ input: NoInput, _ target: AccessReview?, from reader: any Reader) throws -> Facts {
        let id = target?.id ?? ""
        let rows = try reader.query([AccessReviewQueries.items(of: id), AccessReviewQueries.grants(in: id)])
        return Facts(
            items: try rows[0].map(AccessReviewItem.init),
            grants: Dictionary(
                try rows[1].map(Grant.init).map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first }),
            exception: try target?.exceptionID.flatMap { try ComplianceException.load($0, from: reader) })
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<AccessReview> {
        let review = call.before
        guard review.state == .open else {
            throw .conflict("This review is \(review.state.rawValue) already.", legal: [])
        }
        let items = call.facts.items
        let open = items.filter { $0.state == .open }
        let undecided = call.facts.undecided(at: call.now)
        guard undecided == 0 else {
            throw .conflict(
                undecided == 1
                    ? "1 of \(items.count) grants is not decided yet."
                    : "\(undecided) of \(items.count) grants are not decided yet.")
        }
        var also = open.map { item in
            var after = item
            after.state = .ended
            return Change.update(item, to: after)
        }
        if let exception = call.facts.exception, !exception.status.isOver {
            also.append(.update(exception, to: exception.ended(.closed, by: call.person, at: call.now)))
        }
        func count(_ state: AccessReviewItem.State) -> Int { items.count { $0.state == state } }
        let (kept, revoked) = (count(.kept), count(.revoked))
        return Plan(
            review.ended(.closed, by: call.person, at: call.now), also: also,
            facts: [
                "kept": .int(Int64(kept)), "revoked": .int(Int64(revoked)), "ended": .int(Int64(open.count)),
                "was_overdue": .bool(review.isOverdue(at: call.now)),
                EvidencePack.itemsFact: .string(EvidencePack.digest(of: items.map(Self.atTheEnd))),
            ],
            consequence:
                "The review is closed: \(kept) kept, \(revoked) revoked, \(open.count) ended meanwhile.")
    }

    /// What is not decided ends with the review, in the same event.
    private static func atTheEnd(_ item: AccessReviewItem) -> (id: String, version: Int64) {
        (item.id, item.state == .open ? item.version + 1 : item.version)
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("A review that is closed is evidence. Start another.")
    }

    public static func unavailable(_ target: AccessReview, now: Instant) -> Unavailable? { target.over }
}

/// A campaign that comes to nothing. Two people agree to it, because whoever is reviewed would otherwise be rid of it alone.
public enum CancelAccessReview: Operation {
    public typealias Target = AccessReview
    public static let spec = OperationSpec(
        "access_review.cancel", "Cancel review",
        summary: "Ends a review before every grant is decided; what was decided stays, and the rest is not looked at.",
        permission: "access_review.manage", risk: .high,
        reasonCodes: [
            ReasonCode("mistake", "It was started by mistake"),
            ReasonCode("superseded", "Another review takes its place"),
            ReasonCode("scope", "It looks at the wrong roles"),
        ], isDestructive: true)

    public static func guards(_ input: NoInput, _ target: String?) -> [Guard] {
        target.map { [Guard("access_review:\($0)")] } ?? []
    }

    public static func gather(
        _ input: NoInput, _ target: AccessReview?, from reader: any Reader
    ) throws -> CloseAccessReview.Facts {
        try CloseAccessReview.gather(input, target, from: reader)
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<AccessReview> {
        let review = call.before
        guard review.state == .open else {
            throw .conflict("This review is \(review.state.rawValue) already.", legal: [])
        }
        var also: [Change] = []
        // Nobody finished it, and that was agreed to.
        if let exception = call.facts.exception, !exception.status.isOver {
            also.append(.update(exception, to: exception.ended(.accepted, by: call.person, at: call.now)))
        }
        return Plan(
            review.ended(.cancelled, by: call.person, at: call.now), also: also,
            facts: [
                "was_overdue": .bool(review.isOverdue(at: call.now)),
                EvidencePack.itemsFact: .string(
                    EvidencePack.digest(of: call.facts.items.map { ($0.id, $0.version) })),
            ],
            consequence: left(call.facts.undecided(at: call.now), of: call.facts.items.count)
                + (also.isEmpty ? "" : " Its exception is accepted."))
    }

    /// What nobody looks at any more.
    private static func left(_ undecided: Int, of all: Int) -> String {
        switch undecided {
        case 0: "The review ends here, with every grant decided."
        case 1: "The review ends here: 1 of \(all) grants is not decided, and is not looked at."
        default: "The review ends here: \(undecided) of \(all) grants are not decided, and are not looked at."
        }
    }

    public static func undo(_ done: Done<Self>) -> Undo { .impossible("Start another review.") }

    public static func unavailable(_ target: AccessReview, now: Instant) -> Unavailable? { target.over }
}

extension AccessReview {
    /// Why nothing is done with one that has ended.
    var over: Unavailable? { state == .open ? nil : Unavailable("it is \(state.rawValue)", isMoot: true) }
}
