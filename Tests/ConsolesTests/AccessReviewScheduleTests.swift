import Foundation
import HTML
import Kernel
import Store
import StorePostgres
import StoreSQLite
import TestSupport
import Testing

@testable import Consoles

/// Access reviews that begin, remind and are said to be late by themselves.
@Suite struct AccessReviewScheduleTests {
    static func turn(_ stage: AccessReviewStage) async throws -> AccessReviewTurn.Done {
        try await AccessReviewTurn(pipeline: stage.world.pipeline, clock: stage.world.test.clock.clock).turn()
    }

    /// Several servers at the same moment.
    static func turns(_ stage: AccessReviewStage) async throws -> AccessReviewTurn.Done {
        try await withThrowingTaskGroup(of: AccessReviewTurn.Done.self) { group in
            for _ in 0..<3 { group.addTask { try await turn(stage) } }
            return try await group.reduce(into: .init()) { sum, done in
                sum.started += done.started
                sum.reassigned += done.reassigned
                sum.reminded += done.reminded
                sum.escalated += done.escalated
            }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the schedule starts one review a quarter, once`(kind: TestDatabase.Kind) async throws {
        let stage = try await AccessReviewStage(kind)
        // 17 November: this quarter began before there was a schedule.
        #expect(try await Self.turn(stage).started == 0)
        stage.world.test.clock.advance(.days(45))
        #expect(try await Self.turns(stage).started == 1)
        let last = try await stage.world.test.database.read { reader in
            try reader.first(AccessReviewQueries.lastPlanned).map { try AccessReview($0) }
        }
        let review = try #require(last)
        #expect(review.isPlanned && review.roles == ["security", "super_admin"])
        #expect(review.dueAt == stage.now + .days(14) && review.startedBy == "access_reviews")
        #expect(try await Self.turn(stage).started == 0)
        // While it is open no other one begins, and as soon as it is closed the next quarter's does.
        stage.world.test.clock.advance(.days(91))
        #expect(try await Self.turn(stage).started == 0)
        for item in try await stage.items(review.id) { try await stage.decide("keep", item, by: stage.dot) }
        try await stage.world.run("access_review.close", on: review.id, by: try await stage.fresh(stage.dot))
        #expect(try await Self.turns(stage).started == 1)
        #expect(try await Self.turns(stage).started == 0)
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the schedule is changed by an operation, and off is off`(kind: TestDatabase.Kind) async throws {
        let stage = try await AccessReviewStage(kind)
        let plan = AccessReviewPlan.only
        let change = "access_review_plan.change"
        #expect(
            try await stage.refusal(change, on: plan, ["every": "quarter"], by: stage.dot).contains(
                "Nothing would change"))
        #expect(
            try await stage.refusal(change, on: plan, ["roles": ["nosuch"]], by: stage.dot).hasPrefix("/input/roles"))
        // Having it looked at less takes a second person, more does not.
        let signer = try await stage.world.staff("cosigner", roles: ["compliance"])
        func agreed(_ input: JSON) async throws {
            let pending = try await stage.world.ask(change, on: plan, input, by: try await stage.fresh(stage.dot))
            try await stage.world.run(
                "approval.approve", on: pending.approvalID, by: try await stage.world.caller(signer.person))
            #expect(try await stage.world.approval(pending.approvalID).state == .executed)
        }
        try await stage.world.run(change, on: plan, ["days_until_due": 10], by: stage.dot)
        try await agreed(["automatic": "off"])
        stage.world.test.clock.advance(.days(100))
        #expect(try await Self.turn(stage).started == 0)
        try await agreed(["automatic": "on", "every": "month", "roles": ["compliance"], "days_until_due": 5])
        // This month began before it was switched on.
        #expect(try await Self.turn(stage).started == 0)
        stage.world.test.clock.advance(.days(31))
        #expect(try await Self.turn(stage).started == 1)
        let review = try #require(
            try await stage.world.test.database.read { try $0.first(AccessReviewQueries.lastPlanned) })
        #expect(try AccessReview(review).roles == ["compliance"])
        #expect(try AccessReview(review).dueAt == stage.now + .days(5))
        // Nobody holds the role: nothing is refused in the log, round after round.
        try await agreed(["roles": ["legal"]])
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an edit of the schedule skips no period`(kind: TestDatabase.Kind) async throws {
        let stage = try await AccessReviewStage(kind)
        stage.world.test.clock.advance(.days(45))
        try await stage.world.run(
            "access_review_plan.change", on: AccessReviewPlan.only, ["days_until_due": 10],
            by: try await stage.fresh(stage.dot))
        #expect(try await Self.turn(stage).started == 1)
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a review that could not start for a day is an exception until it does`(kind: TestDatabase.Kind) async throws {
        let stage = try await AccessReviewStage(kind)
        let signer = try await stage.world.staff("cosigner", roles: ["compliance"])
        // Nobody holds the role.
        let pending = try await stage.world.ask(
            "access_review_plan.change", on: AccessReviewPlan.only, ["roles": ["legal"]],
            by: try await stage.fresh(stage.dot))
        try await stage.world.run(
            "approval.approve", on: pending.approvalID, by: try await stage.world.caller(signer.person))
        stage.world.test.clock.advance(.days(45))
        #expect(try await Self.turn(stage) == .init())
        stage.world.test.clock.advance(.days(1))
        let done = try await Self.turns(stage)
        #expect(done.escalated == 1 && done.started == 0)
        #expect(try await Self.turn(stage) == .init())
        let open = try #require(try await stage.exceptions().first)
        #expect(open.status == .open && open.controlID == "CC6.3" && open.severity == .high)
        #expect(open.sourceType == AccessReviewPlan.type && open.title.contains("Legal could not start"))

        try await stage.world.staff("leo", roles: ["legal"])
        #expect(try await Self.turn(stage).started == 1)
        #expect(try await stage.exceptions().map(\.status) == [.closed])
        await stage.world.close()
    }

    @Test func `periods begin where the calendar says`() throws {
        let now = try #require(Instant(rfc3339: "2026-11-17T09:00:00Z"))
        let began = AccessReviewPlan.Cadence.allCases.map { $0.began(at: now).day.text }
        #expect(began == ["2026-11-01", "2026-10-01", "2026-07-01", "2026-01-01"])
        let next = AccessReviewPlan.Cadence.allCases.map { $0.next(after: now).day.text }
        #expect(next == ["2026-12-01", "2027-01-01", "2027-01-01", "2027-01-01"])
        // A high exception opened on a Tuesday is to be closed ten working days later.
        #expect(ComplianceException.target(.high, from: now).day.text == "2026-12-01")
        #expect(ComplianceException.target(.critical, from: now).day.text == "2026-11-24")
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `reviewers are reminded twice, and an overdue review becomes an exception once`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await AccessReviewStage(kind)
        let id = try await stage.start(["due_at": .string((stage.now + .days(10)).rfc3339)])
        let owing = try await stage.items(id).compactMap(\.reviewer).sorted()
        #expect(try await Self.turn(stage).reminded == 0)
        stage.world.test.clock.advance(.days(7))
        #expect(try await Self.turns(stage).reminded == 1)
        #expect(try await stage.mails("review_reminder") == owing)
        #expect(try await Self.turn(stage).reminded == 0)
        // Who has decided is not asked again.
        let mine = try #require(try await stage.items(id).first { $0.reviewer == owing[0] })
        try await stage.decide("keep", mine, by: stage.world.caller(owing[0]))
        stage.world.test.clock.advance(.days(2))
        #expect(try await Self.turns(stage).reminded == 1)
        #expect(try await stage.mails("review_reminder") == (owing + owing.dropFirst()).sorted())

        stage.world.test.clock.advance(.days(1))
        #expect(try await Self.turns(stage).escalated == 1)
        #expect(try await Self.turns(stage) == .init())
        let exception = try #require(try await stage.exceptions().first)
        #expect(exception.status == .open && exception.controlID == "CC6.3" && exception.sourceID == id)
        #expect(exception.owner == stage.dot.person && exception.severity == .high)
        let told = try await stage.mails("review_overdue")
        #expect(Set(told).isSuperset(of: [stage.ada.person, stage.ben.person, stage.cyd.person]))
        #expect(Set(told).count == told.count)

        for item in try await stage.items(id) where item.state == .open {
            try await stage.decide("keep", item, by: item.staffID == stage.dot.person ? stage.cyd : stage.dot)
        }
        try await stage.world.run("access_review.close", on: id, by: try await stage.fresh(stage.cyd))
        let closed = try #require(try await stage.exceptions().first)
        #expect(closed.status == .closed && closed.closedBy == stage.cyd.person)
        await stage.world.close()
    }
}
