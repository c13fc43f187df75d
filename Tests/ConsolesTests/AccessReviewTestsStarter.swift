import HTML
import Kernel
import Store
import TestSupport
import Testing

@testable import Consoles

/// Access reviews, by who starts them and ends them: the frozen list, and what has to be decided before (spec: access §6).
@Suite struct AccessReviewTestsStarter {
    @Test(arguments: TestDatabase.Kind.allCases)
    func `the list is every grant in force, as it was at the start, and nothing later`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await AccessReviewStage(kind)
        let world = stage.world
        try await world.session("ses_ada", of: stage.ada.person)
        // Something that takes a permission of high risk.
        let tenant = try await world.tenant("used")
        try await world.run("tenant.suspend", on: tenant, reason: "abuse", by: try await stage.fresh(stage.ada))
        let usedAt = stage.now
        world.test.clock.advance(.minutes(5))
        // Not in force: revoked, and run out.
        let eve = try await world.staff("eve", roles: ["super_admin", "legal"])
        try await world.revoke("super_admin", of: eve.person)
        let until = stage.now + .days(20)
        try await world.put([
            .create(
                Grant(
                    id: "grt_over", staffID: eve.person, role: "security", grantedBy: stage.ada.person,
                    grantedAt: stage.now - .days(9), expiresAt: stage.now - .days(1)))
        ])
        try await world.put([
            .create(
                Grant(
                    id: "grt_while", staffID: stage.dot.person, role: "security", grantedBy: stage.ada.person,
                    grantedAt: stage.now - .days(9), expiresAt: until))
        ])

        let id = try await stage.start()
        let items = try await stage.items(id)
        #expect(
            items.map { "\($0.place) \($0.role) \($0.name)" } == [
                "1 security cyd", "2 security dot", "3 super_admin ada", "4 super_admin ben",
            ])
        #expect(items.allSatisfy { $0.state == .open && $0.reviewer != nil && $0.reviewer != $0.staffID })
        #expect(items[1].expiresAt == until && items[1].grantedBy == stage.ada.person)
        #expect(items[2].lastSignInAt != nil && items[2].lastUsedFor == "tenant.suspend")
        #expect(items[2].lastUsedAt == usedAt && items[3].lastUsedAt == nil && items[3].lastSignInAt == nil)
        let review = try await stage.review(id)
        #expect(review.dueAt == stage.now + .days(14) && !review.isPlanned && review.startedBy == stage.dot.person)
        #expect(try await Set(stage.mails("review_started")) == Set(items.compactMap(\.reviewer)))

        // Whoever is given the role now is not looked at, and whose role ends shows so.
        try await world.staff("late", roles: ["super_admin"])
        try await world.revoke("security", of: stage.cyd.person)
        world.test.clock.advance(.days(21))
        #expect(try await stage.items(id).count == 4)
        let listed = try await stage.list(id, ["state": ["ended"]])
        #expect(listed.map { $0["name"]?.string } == ["cyd", "dot"])
        #expect(listed.allSatisfy { $0["is_live"] == false && $0["state"] == "open" })
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a review is refused that nobody could carry out`(kind: TestDatabase.Kind) async throws {
        let stage = try await AccessReviewStage(kind)
        let now = stage.now
        for (input, answer) in [
            (["roles": ["legal"]], "/input/roles Nobody holds Legal"), (["roles": ["nosuch"]], "/input/roles"),
            (["due_at": .string((now - .hours(1)).rfc3339)], "/input/due_at That time is over"),
            (["due_at": .string((now + .days(400)).rfc3339)], "/input/due_at Choose a time within"),
            (["reviewers": ["nobody@staff.test"]], "/input/reviewers nobody@staff.test is nobody"),
        ] as [([String: JSON], String)] {
            let found = try await stage.refusal("access_review.start", .object(input), by: stage.dot)
            #expect(found.hasPrefix(answer), "\(found)")
        }
        #expect(
            try await stage.refusal("access_review.start", by: stage.world.staff("gus", roles: ["support_l1"]))
                == "needs access_review.manage")
        // By address, each once.
        let id = try await stage.start(["reviewers": ["CYD@staff.test", .string(stage.cyd.person), "ada@staff.test"]])
        #expect(try await stage.review(id).reviewers == [stage.cyd.person, stage.ada.person])
        await stage.world.close()
    }

    @Test func `grants are dealt out evenly, to nobody's own hands, and in no pairs while there is another`() {
        #expect(AccessReviewShare.deal(["a"], among: ["a"]) == [nil])
        #expect(AccessReviewShare.deal(["a", "b"], among: ["a", "b"]) == ["b", "a"])
        #expect(AccessReviewShare.deal(["a", "b"], among: ["a", "b", "c"]) == ["b", "c"])
        let dealt = AccessReviewShare.deal(["a", "b", "c", "d", "e", "f"], among: ["a", "b", "c"])
        for (subject, reviewer) in zip(["a", "b", "c", "d", "e", "f"], dealt) { #expect(subject != reviewer) }
        #expect(Set(["a", "b", "c"].map { one in dealt.count { $0 == one } }) == [2])
        for (subject, reviewer) in zip(["a", "b", "c"], dealt) {
            let other = zip(["a", "b", "c"], dealt).first { $0.0 == reviewer }?.1
            #expect(other != subject)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a review is closed when everything is decided or has ended`(kind: TestDatabase.Kind) async throws {
        let stage = try await AccessReviewStage(kind)
        let id = try await stage.start()
        #expect(
            try await stage.refusal("access_review.close", on: id, by: stage.dot)
                == "3 of 3 grants are not decided yet.")
        try await stage.decide("keep", stage.item(stage.ada, in: id), by: stage.dot)
        try await stage.decide("revoke", stage.item(stage.ben, in: id), by: stage.dot)
        #expect(
            try await stage.refusal("access_review.close", on: id, by: stage.dot) == "1 of 3 grants is not decided yet."
        )
        try await stage.world.revoke("security", of: stage.cyd.person)
        let closed = try await stage.world.run("access_review.close", on: id, by: try await stage.fresh(stage.dot))
        #expect(closed.consequence == "The review is closed: 1 kept, 1 revoked, 1 ended meanwhile.")
        #expect(try await stage.item(stage.cyd, "security", in: id).state == .ended)
        #expect(try await stage.refusal("keep", stage.item(stage.ada, in: id), by: stage.dot).contains("is closed"))
        #expect(try await stage.refusal("access_review.close", on: id, by: stage.dot).contains("closed already"))
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a review is cancelled by two people, and its exception is accepted`(kind: TestDatabase.Kind) async throws {
        let stage = try await AccessReviewStage(kind)
        let id = try await stage.start()
        stage.world.test.clock.advance(.days(15))
        #expect(try await AccessReviewScheduleTests.turn(stage).escalated == 1)
        let pending = try await stage.world.ask(
            "access_review.cancel", on: id, reason: "superseded", by: try await stage.fresh(stage.ada))
        // Whoever agrees reads how much of it would not be looked at.
        let request = try await stage.world.approval(pending.approvalID)
        let count = try await stage.items(id).count
        let asked = try await stage.world.test.database.read { try EventDetail.load(request.eventID, from: $0) }
        #expect(
            asked.value("details")?["consequence"]?.string
                == "The review ends here: \(count) of \(count) grants are not decided, and are not looked at. "
                + "Its exception is accepted.")
        #expect(count > 1)
        // What changes is called what it calls itself.
        let review = try await stage.review(id)
        let page = try #require(ApprovalsConsole.console.pages.first { $0.path == "/approvals/{id}" })
        let call = PageCallFixture.make(try await stage.fresh(stage.cyd), path: ["id": pending.approvalID])
        let text = try await stage.world.test.database.read { try page.render(call, $0).body.text }
        #expect(text.contains(">Access review \(review.displayName) <span class=\"id\">\(id)</span>"))
        #expect(review.displayName.hasPrefix("Security, Super admin from "))
        #expect(try await stage.review(id).state == .open)
        try await stage.world.run("approval.approve", on: pending.approvalID, by: try await stage.fresh(stage.cyd))
        #expect(try await stage.review(id).state == .cancelled)
        #expect(try await stage.exceptions().map(\.status) == [.accepted])
        // Nothing of it is owed any more.
        for person in [stage.ada, stage.ben, stage.cyd, stage.dot] {
            let caller = try await stage.fresh(person)
            #expect(try await stage.world.test.database.read { try AccessReviewOwed.load(caller, from: $0) }.isEmpty)
        }
        await stage.world.close()
    }
}
