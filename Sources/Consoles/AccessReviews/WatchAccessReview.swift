import Kernel

/// Reminds whoever has something left to decide, once three days and once a day before a campaign is due. The worker does this.
public enum RemindAccessReview: Operation {
    public typealias Target = AccessReview
    public static let spec = OperationSpec(
        "access_review.remind", "Remind the reviewers",
        summary: "Tells reviewers by mail that a review is due soon and what they have not decided yet.",
        permission: "access_review.manage", risk: .low, justification: OperationSpec.Justification.none,
        systemOnly: true)

    /// Who owes something.
    public static func gather(
        _ input: NoInput, _ target: AccessReview?, from reader: any Reader
    ) throws -> [String] { try AccessReviewTurn.owing(target, from: reader) }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<AccessReview> {
        let review = call.before
        let past = review.remindersPast(at: call.now)
        guard review.state == .open, past > review.reminded, call.now < review.dueAt else {
            throw .conflict("No reminder is due.", legal: [])
        }
        var after = review
        after.reminded = past
        return Plan(
            after, effects: call.facts.map { MailNotice.reviewReminder.effect(to: $0, review: review.id) },
            facts: ["reminder": .int(past), "reviewers": .int(Int64(call.facts.count))],
            consequence: "Whoever has something left to decide is reminded.")
    }

    public static func undo(_ done: Done<Self>) -> Undo { .impossible("A mail that was sent stays so.") }
}

/// A campaign is due and not finished: an exception is opened, and those who look after security are told. The worker does this,
/// once.
public enum EscalateAccessReview: Operation {
    public typealias Target = AccessReview
    public static let spec = OperationSpec(
        "access_review.escalate", "Escalate an overdue access review",
        summary: "Opens an exception about a review that is overdue, and tells security and the super admins.",
        permission: "access_review.manage", risk: .medium, justification: OperationSpec.Justification.none,
        systemOnly: true)

    /// Who hears of it beside those who owe something.
    static let heard = ["super_admin", "security"]

    public struct Facts: Sendable {
        let owing: [String]
        let active: Set<String>
        let told: [String]
        let open: Int
        let total: Int
    }

    public static func gather(_ input: NoInput, _ target: AccessReview?, from reader: any Reader) throws -> Facts {
        let id = target?.id ?? ""
        let candidates = Set([target?.startedBy ?? ""] + (target?.reviewers ?? [])).sorted()
        let rows = try reader.query([
            Grant.people(holding: heard, at: reader.now), AccessReviewQueries.items(of: id),
            AccessReviewQueries.grants(in: id), Staff.select(candidates, lock: false, reader.dialect),
        ])
        let items = try rows[1].map(AccessReviewItem.init)
        let live = Set(try rows[2].map(Grant.init).filter { $0.isLive(at: reader.now) }.map(\.id))
        return Facts(
            owing: try AccessReviewTurn.owing(target, from: reader),
            active: Set(try rows[3].map(Staff.init).filter { $0.status == .active }.map(\.id)),
            told: try rows[0].map { try $0.string("id") },
            open: items.count { $0.state == .open && live.contains($0.grantID) }, total: items.count)
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<AccessReview> {
        let review = call.before
        guard review.isOverdue(at: call.now), review.exceptionID == nil else {
            throw .conflict("This review needs no escalation.", legal: [])
        }
        let owner = ([review.startedBy] + call.facts.owing + review.reviewers).first {
            call.facts.active.contains($0)
        }
        let exception = ComplianceException(
            id: call.fresh.id("exc"), controlID: "CC6.3", source: (AccessReview.type, review.id),
            title: "The access review of \(AccessNames.roles(review.roles)) was not finished in time",
            severity: .high, owner: owner, openedAt: call.now)
        var after = review
        after.exceptionID = exception.id
        after.reminded = review.remindersPast(at: call.now)
        let told = Set(call.facts.told + call.facts.owing).sorted()
        return Plan(
            after, also: [.create(exception)],
            effects: told.map { MailNotice.reviewOverdue.effect(to: $0, review: review.id) },
            facts: [
                "exception": .string(exception.id), "undecided": .int(Int64(call.facts.open)),
                "grants": .int(Int64(call.facts.total)),
            ],
            consequence:
                "The review is overdue with \(call.facts.open) of \(call.facts.total) grants undecided: an exception is open until it is closed."
        )
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("The exception is closed with the review.")
    }
}

/// What happens to campaigns by themselves. Nothing is remembered that the tables don't say; each step refuses what another
/// server did already.
public struct AccessReviewTurn: Sendable {
    private let pipeline: Pipeline
    private let clock: Clock

    public init(pipeline: Pipeline, clock: Clock = .system) {
        self.pipeline = pipeline
        self.clock = clock
    }

    static let actor = Actor.system("access_reviews")

    /// What one round did.
    public struct Done: Sendable, Hashable {
        public var started = 0
        public var reassigned = 0
        public var reminded = 0
        public var escalated = 0
    }

    @discardableResult
    public func turn() async throws -> Done {
        struct Due: Sendable {
            let starts: Bool
            /// It could not start for a day, and nobody was told.
            let isMissed: Bool
            let reviews: [AccessReview]
            let orphans: [(review: String, reviewer: String)]
            let now: Instant
        }
        let due = try await pipeline.database.read { reader in
            let schedule = try AccessReviewList.schedule(from: reader)
            let horizon = reader.now + (AccessReview.reminders.max() ?? .days(0))
            let rows = try reader.query([
                AccessReviewQueries.lastPlanned, AccessReviewQueries.open(dueBefore: horizon),
                AccessReviewQueries.orphans(at: reader.now),
            ])
            let last = try rows[0].first.map { try AccessReview($0) }
            let isDue = last?.state != .open && schedule.isDue(at: reader.now, last: last?.startedAt)
            // What can't start is said on the page, and not refused in the log every few seconds.
            let isHindered = try isDue && AccessReviewList.load(schedule.roles, from: reader).hindrance != nil
            let told = AccessReviewQueries.exception(about: AccessReviewPlan.type, AccessReviewPlan.only)
            return Due(
                starts: isDue && !isHindered,
                isMissed: try isHindered && schedule.isLate(at: reader.now) && reader.first(told) == nil,
                reviews: try rows[1].map(AccessReview.init),
                orphans: try rows[2].map { (try $0.string("review_id"), try $0.string("reviewer")) }, now: reader.now)
        }
        var done = Done()
        if due.starts { done.started += try await run(StartPlannedAccessReview.spec.name) }
        if due.isMissed { done.escalated += try await run(StartPlannedAccessReview.spec.name) }
        for orphan in due.orphans {
            done.reassigned += try await run(
                ReassignAccessReview.spec.name, on: orphan.review, ["reviewer": .string(orphan.reviewer)])
        }
        for review in due.reviews {
            if review.isOverdue(at: due.now) {
                done.escalated += try await run(EscalateAccessReview.spec.name, on: review.id)
            } else if review.remindersPast(at: due.now) > review.reminded {
                done.reminded += try await run(RemindAccessReview.spec.name, on: review.id)
            }
        }
        return done
    }

    /// 1 when it was done, 0 when there was nothing to do any more.
    private func run(
        _ operation: String, on target: String? = nil, _ input: JSON = .object([:])
    ) async throws -> Int {
        let caller = Caller(
            actor: Self.actor, person: Self.actor.id, displayName: "Postern", client: .worker,
            requestID: Identifier.mint("req", at: clock.now))
        do throws(OperationError) {
            _ = try await pipeline.run(
                OperationRequest(operation: operation, target: target, input: input), by: caller)
            return 1
        } catch {
            switch error {
            // Another server was quicker, or nobody holds these roles at the moment.
            case .conflict, .invalid: return 0
            default: throw error
            }
        }
    }

    /// Reviewers with something left to decide, in their order.
    static func owing(_ review: AccessReview?, from reader: any Reader) throws -> [String] {
        guard let review else { return [] }
        let rows = try reader.query([
            AccessReviewQueries.items(of: review.id), AccessReviewQueries.grants(in: review.id),
        ])
        let live = Set(try rows[1].map(Grant.init).filter { $0.isLive(at: reader.now) }.map(\.id))
        let owing = Set(
            try rows[0].map(AccessReviewItem.init).filter { $0.state == .open && live.contains($0.grantID) }.compactMap(
                \.reviewer))
        return review.reviewers.filter(owing.contains)
    }
}
