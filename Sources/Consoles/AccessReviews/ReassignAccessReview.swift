import Kernel

/// What one reviewer was to look at goes to another, or to the others in turns.
public enum ReassignAccessReview: Operation {
    public typealias Target = AccessReview
    public static let spec = OperationSpec(
        "access_review.reassign", "Reassign",
        summary: "Gives what one reviewer has not decided yet to another, or to the others in turns.",
        permission: "access_review.manage", risk: .medium)

    public struct Input: OperationInput {
        @Param(
            "From", .length(1...254),
            help:
                "The reviewer who hands over: an id or an e-mail address. Leave empty for grants that nobody looks at yet."
        )
        public var reviewer: String?
        @Param(
            "To", .length(1...254),
            help: "Who takes over: an id or an e-mail address. Leave empty to deal them out to the other reviewers.")
        public var to: String?
        public init() {}
    }

    public struct Facts: Sendable {
        let items: [AccessReviewItem]
        let able: [AccessReviewList.Able]
        /// Names and addresses of the reviewers there are, also of those who can't decide any more.
        let known: [Staff]
    }

    public static func guards(_ input: Input, _ target: String?) -> [Guard] {
        target.map { [Guard("access_review:\($0)")] } ?? []
    }

    public static func gather(_ input: Input, _ target: AccessReview?, from reader: any Reader) throws -> Facts {
        let rows = try reader.query([
            AccessReviewQueries.items(of: target?.id ?? ""), AccessReviewQueries.able(at: reader.now),
        ])
        let items = try rows[0].map { try AccessReviewItem($0) }
        let people = Set((target?.reviewers ?? []) + items.compactMap(\.reviewer) + [""]).sorted()
        return Facts(
            items: items,
            able: try rows[1].map {
                .init(id: try $0.string("id"), email: try $0.string("email"), name: try $0.string("name"))
            }, known: try reader.query(Staff.select(people, lock: false, reader.dialect)).map { try Staff($0) })
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<AccessReview> {
        let review = call.before
        guard review.state == .open else {
            throw .conflict("This review is \(review.state.rawValue) already.", legal: [])
        }
        let from = try call.input.reviewer.map { name throws(Refusal) -> Staff in
            let found = call.facts.known.first { $0.id == name || $0.email == name.lowercased() }
            guard let found else { throw .field("reviewer", "\(name.prefix(60)) is no reviewer of this review.") }
            return found
        }
        let to = try call.input.to.map { name throws(Refusal) -> AccessReviewList.Able in
            guard let found = call.facts.able.first(where: { $0.id == name || $0.email == name.lowercased() }) else {
                throw .field("to", "\(name.prefix(60)) is nobody who is active and may decide in a review.")
            }
            guard found.id != from?.id else { throw .field("to", "Choose somebody else than who hands over.") }
            return found
        }
        var after = review
        after.reviewers.removeAll { $0 == from?.id }
        if let to, !after.reviewers.contains(to.id) { after.reviewers.append(to.id) }
        // Postern itself hands over for somebody who can't any more, also to nobody.
        let isSystem = call.person == AccessReviewTurn.actor.id
        guard !after.reviewers.isEmpty || isSystem else {
            throw .field("to", "There is no other reviewer: name who takes over.")
        }
        let open = call.facts.items.filter { $0.state == .open }
        let theirs = open.filter { $0.reviewer == from?.id }
        if let from, !isSystem, theirs.contains(where: { $0.staffID == call.person }) {
            throw .conflict(
                "\(from.name) is to look at a grant of yours, so somebody else decides who takes over.")
        }
        let others = call.facts.items.filter { $0.reviewer != from?.id }
        let moved = AccessReviewShare.handOver(theirs, to: after.reviewers, beside: others, heir: to?.id)
        guard !moved.isEmpty || after.reviewers != review.reviewers else {
            throw .conflict("Nothing would change: nobody else could look at them, or there are none.", legal: [])
        }
        let receivers = Set(moved.compactMap { ($0.after as? AccessReviewItem)?.reviewer }).sorted()
        return Plan(
            after, also: moved,
            effects: receivers.map { MailNotice.reviewStarted.effect(to: $0, review: review.id) },
            facts: ["moved": .int(Int64(moved.count)), "reviewers": .int(Int64(after.reviewers.count))],
            consequence:
                "\(moved.count == 1 ? "1 grant goes" : "\(moved.count) grants go") to \(to?.name ?? "the other reviewers")."
                + (from.map { " \($0.name) is no reviewer of it any more." } ?? ""))
    }

    public static func undo(_ done: Done<Self>) -> Undo { .impossible("Reassign it once more.") }

    public static func unavailable(_ target: AccessReview, now: Instant) -> Unavailable? { target.over }
}
