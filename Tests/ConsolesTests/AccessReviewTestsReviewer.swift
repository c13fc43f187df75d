import HTML
import Kernel
import Store
import TestSupport
import Testing

@testable import Consoles

/// Access reviews, by who decides in them: on what, on whose, and what becomes of it when they leave (spec: access §6).
@Suite struct AccessReviewTestsReviewer {
    @Test(arguments: TestDatabase.Kind.allCases)
    func `a grant is kept or revoked by another reviewer, each with an event, and the role ends at once`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await AccessReviewStage(kind)
        let world = stage.world
        let id = try await stage.start()
        let before = try await world.snapshot()
        let kept = try await stage.decide("keep", stage.item(stage.ada, in: id), by: stage.cyd)
        let revoked = try await stage.decide("revoke", stage.item(stage.ben, in: id), by: stage.cyd)
        let events = try await world.events(after: before)
        #expect(events.map(\.action) == ["access_review_item.keep", "access_review_item.revoke"])
        #expect(events[1].leaf["facts"]?["revoked"] == ["super_admin"])
        #expect(
            try await world.entities(named: revoked.eventID).map { $0.prefix { $0 != " " } }.sorted() == [
                "access_review_item", "grant", "staff",
            ])
        let item = try await stage.item(stage.ada, in: id)
        #expect(item.state == .kept && item.decidedBy == stage.cyd.person && item.eventID == kept.eventID)
        #expect(kept.undo == nil && revoked.undo == nil)
        #expect(try await stage.fresh(stage.ben).roles.isEmpty)
        #expect(try await stage.fresh(stage.ada).roles == ["super_admin"])
        // The reason stands with it.
        let listed = try await stage.list(id, ["state": ["revoked"]])
        #expect(listed.map { $0["reason"]?.string } == ["looked at what they do all day"])

        // Decided is decided; only a kept grant can still be revoked.
        #expect(
            try await stage.refusal("keep", stage.item(stage.ada, in: id), by: stage.dot).contains("kept already"))
        let again = try await stage.refusal("revoke", stage.item(stage.ben, in: id), by: stage.dot)
        #expect(again.contains("holds this grant no more") || again.contains("revoked already"), "\(again)")
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `nobody decides on their own grant, nor without being a reviewer`(kind: TestDatabase.Kind) async throws {
        let stage = try await AccessReviewStage(kind)
        let id = try await stage.start([
            "reviewers": [.string(stage.ada.person), .string(stage.cyd.person), .string(stage.dot.person)]
        ])
        let own = try await stage.item(stage.ada, in: id)
        #expect(own.reviewer != stage.ada.person)
        for verb in ["keep", "revoke"] {
            #expect(try await stage.refusal(verb, own, by: stage.ada).hasPrefix("Nobody decides on their own"))
            #expect(try await stage.refusal(verb, own, by: stage.ben).contains("not among the reviewers"))
        }
        let gus = try await stage.world.staff("gus", roles: ["support_l2"])
        #expect(try await stage.refusal("keep", own, by: gus) == "needs access_review.decide")
        // A reviewer who has lost the permission meanwhile.
        try await stage.world.revoke("security", of: stage.cyd.person)
        #expect(try await stage.refusal("keep", own, by: stage.cyd) == "needs access_review.decide")
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `two people don't keep each other, however they time it`(kind: TestDatabase.Kind) async throws {
        let stage = try await AccessReviewStage(kind)
        let id = try await stage.start()
        let (ada, ben) = (try await stage.item(stage.ada, in: id), try await stage.item(stage.ben, in: id))
        // At the same moment.
        let answers = try await withThrowingTaskGroup(of: String.self) { group in
            group.addTask { try await stage.refusal("keep", ben, by: stage.ada) }
            group.addTask { try await stage.refusal("keep", ada, by: stage.ben) }
            return try await group.reduce(into: []) { $0.append($1) }.sorted()
        }
        #expect(answers.count { $0 == "was allowed" } == 1, "\(answers)")
        #expect(answers.count { $0.contains("kept a grant of yours") } == 1, "\(answers)")
        // Somebody else may, and taking away is no favour.
        let left = try await stage.items(id).filter { $0.role == "super_admin" && $0.state == .open }
        #expect(left.count == 1)
        let other = left[0].staffID == stage.ada.person ? stage.ben : stage.ada
        #expect(try await stage.refusal("revoke", left[0], by: other) == "was allowed")
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `nobody keeps an account they have just made what it is, nor one that made theirs`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await AccessReviewStage(kind)
        // Ben is super_admin by Cyd since yesterday, and Dot holds compliance by Ada since yesterday.
        let fay = try await stage.world.staff(
            "fay", roles: ["super_admin"], grantedBy: stage.cyd.person, ago: .hours(20))
        let hal = try await stage.world.staff("hal", roles: ["compliance"], grantedBy: fay.person, ago: .hours(20))
        let id = try await stage.start()
        let item = try await stage.item(fay, in: id)
        #expect(try await stage.refusal("keep", item, by: stage.cyd).contains("You gave a role to fay"))
        #expect(try await stage.refusal("keep", item, by: hal).contains("fay gave a role to you"))
        #expect(try await stage.refusal("keep", item, by: stage.dot) == "was allowed")
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `two reviewers at one grant are one decision, and the last super_admin stays`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await AccessReviewStage(kind)
        let id = try await stage.start()
        let cyd = try await stage.item(stage.cyd, "security", in: id)
        let answers = try await withThrowingTaskGroup(of: String.self) { group in
            for person in [stage.ada, stage.ben, stage.dot] {
                group.addTask { try await stage.refusal("keep", cyd, by: person) }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(answers.count { $0 == "was allowed" } == 1, "\(answers)")
        #expect(answers.count { $0.contains("kept already") } == 2, "\(answers)")

        // Each of the two super_admins is revoked by somebody at the same moment: one stays.
        let (ada, ben) = (try await stage.item(stage.ada, in: id), try await stage.item(stage.ben, in: id))
        let ends = try await withThrowingTaskGroup(of: String.self) { group in
            group.addTask { try await stage.refusal("revoke", ada, by: stage.dot) }
            group.addTask { try await stage.refusal("revoke", ben, by: stage.cyd) }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(ends.count { $0 == "was allowed" } == 1, "\(ends)")
        #expect(ends.count { $0.contains("is the last super admin") } == 1, "\(ends)")
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `what a reviewer has not decided goes to another, or to the others`(kind: TestDatabase.Kind) async throws {
        let stage = try await AccessReviewStage(kind)
        let id = try await stage.start([
            "reviewers": [.string(stage.cyd.person), .string(stage.dot.person)]
        ])
        let dot = stage.dot
        func reassign(_ input: JSON) async throws -> String {
            try await stage.refusal("access_review.reassign", on: id, input, by: dot)
        }
        #expect(try await reassign(["reviewer": "ben@staff.test"]).contains("is no reviewer"))
        #expect(try await reassign(["reviewer": "cyd@staff.test", "to": "gus@staff.test"]).contains("/input/to"))
        try await stage.decide("keep", stage.item(stage.ada, in: id), by: stage.cyd)
        #expect(try await reassign(["reviewer": "cyd@staff.test", "to": "ben@staff.test"]) == "was allowed")
        let review = try await stage.review(id)
        #expect(review.reviewers == [stage.dot.person, stage.ben.person])
        for item in try await stage.items(id) where item.state == .open {
            #expect(item.reviewer != stage.cyd.person && item.reviewer != item.staffID)
        }
        #expect(try await stage.item(stage.ada, in: id).decidedBy == stage.cyd.person)
        // Without an heir it goes round; the last one can't go.
        #expect(try await reassign(["reviewer": "ben@staff.test"]) == "was allowed")
        #expect(try await reassign(["reviewer": "dot@staff.test"]).contains("There is no other reviewer"))
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a reviewer who leaves owes nothing from that moment on, and who can't decide any more a moment later`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await AccessReviewStage(kind)
        let id = try await stage.start([
            "reviewers": [.string(stage.ben.person), .string(stage.cyd.person), .string(stage.dot.person)]
        ])
        let before = try await stage.world.snapshot()
        try await stage.world.run("staff.deactivate", on: stage.cyd.person, reason: "left", by: stage.ada)
        #expect(try await stage.world.events(after: before).map(\.action) == ["staff.deactivate"])
        #expect(try await stage.review(id).reviewers == [stage.ben.person, stage.dot.person])
        #expect(try await stage.items(id).allSatisfy { $0.reviewer != stage.cyd.person })

        try await stage.world.revoke("super_admin", of: stage.ben.person)
        #expect(try await AccessReviewScheduleTests.turn(stage).reassigned == 1)
        #expect(try await stage.review(id).reviewers == [stage.dot.person])
        #expect(try await stage.items(id).allSatisfy { $0.reviewer == stage.dot.person })
        // Nobody is left: the grants wait for a reviewer, and no round refuses anything in the log.
        try await stage.world.revoke("compliance", of: stage.dot.person)
        #expect(try await AccessReviewScheduleTests.turn(stage).reassigned == 1)
        #expect(try await stage.items(id).allSatisfy { $0.reviewer == nil })
        let quiet = try await stage.world.snapshot()
        #expect(try await AccessReviewScheduleTests.turn(stage) == .init())
        #expect(try await stage.world.snapshot() == quiet)
        // Somebody is named for them.
        try await stage.world.run("access_review.reassign", on: id, ["to": "ada@staff.test"], by: stage.ada)
        #expect(try await stage.items(id).contains { $0.reviewer == stage.ada.person })
        await stage.world.close()
    }
}
