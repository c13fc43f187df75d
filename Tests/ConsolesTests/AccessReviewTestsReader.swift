import HTML
import Kernel
import Store
import TestSupport
import Testing

@testable import Consoles

/// Access reviews, by who looks at them: lists, pages, and the page of other work (spec: access §6).
@Suite struct AccessReviewTestsReader {
    @Test(arguments: TestDatabase.Kind.allCases)
    func `the list is paged in its own order and narrowed by state and reviewer`(kind: TestDatabase.Kind) async throws {
        let stage = try await AccessReviewStage(kind)
        let id = try await stage.start()
        let read = try #require(AccessReviewConsole.console.reads.first { $0.name == "access_review_item.list" })
        func page(_ query: [String: [String]]) async throws -> (names: [String], next: String?) {
            let call = ReadCall(path: ["id": id], query: query, caller: stage.dot, cursors: AccessReviewStage.cursors)
            let answer = try await stage.world.test.database.read { try read.run(call, $0) }
            return ((answer.body["items"]?.array ?? []).compactMap { $0["name"]?.string }, answer.nextCursor)
        }
        let first = try await page(["limit": ["2"]])
        #expect(first.names == ["cyd", "ada"])
        let second = try await page(["limit": ["2"], "cursor": [try #require(first.next)]])
        #expect(second.names == ["ben"] && second.next == nil)
        let ada = try await stage.item(stage.ada, in: id)
        let mine = try await page(["reviewer": [ada.reviewer ?? ""], "state": ["open"]])
        #expect(mine.names.contains("ada"))
        try await stage.decide("keep", ada, by: stage.dot)
        #expect(try await page(["state": ["kept"]]).names == ["ada"])
        #expect(try await page(["state": ["open"]]).names == ["cyd", "ben"])
        #expect(try await page(["reviewer": ["me"], "state": ["kept"]]).names == ["ada"])
        #expect(await failure { _ = try await page(["state": ["gone"]]) } != nil)
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `pages offer what a person may do, and home says what is owed`(kind: TestDatabase.Kind) async throws {
        let stage = try await AccessReviewStage(kind)
        let tenant = try await stage.world.tenant("used")
        try await stage.world.run("tenant.suspend", on: tenant, reason: "abuse", by: try await stage.fresh(stage.ada))
        let id = try await stage.start(["reviewers": [.string(stage.cyd.person), .string(stage.dot.person)]])
        func show(_ path: String, _ caller: Caller, _ query: [String: [String]] = [:]) async throws -> String {
            let page = try #require(Consoles.all.flatMap(\.pages).first { $0.path == path })
            let call = PageCall(
                path: ["id": id], query: query, caller: try await stage.fresh(caller),
                cursors: AccessReviewStage.cursors,
                catalog: stage.world.catalog, csrf: "csrf")
            return try await stage.world.test.database.read { try page.render(call, $0).body.text }
        }
        let cyd = try await stage.item(stage.cyd, "security", in: id)
        let ada = try await stage.item(stage.ada, in: id)
        let mine = try await show("/access-reviews/{id}", stage.cyd)
        #expect(mine.contains("/access-review-items/\(ada.id)/keep") && mine.contains("value=\"\(ada.id)\""))
        #expect(!mine.contains("/access-review-items/\(cyd.id)/keep") && mine.contains("yours: others decide"))
        // Roles and operations by their titles, people by their names; the filter has its button on a phone.
        #expect(mine.contains("aria-label=\"Keep Super admin of ada…\"") && mine.contains(" table--cards\""))
        #expect(!mine.contains(">super_admin<") && !mine.contains("tenant.suspend"))
        // Beside Keep nothing is coloured before it is chosen.
        #expect(mine.contains("btn--quiet btn--small\" href=\"/access-review-items/\(ada.id)/revoke\""))
        // What was only asked for is not said to be done.
        let title = try #require(stage.world.catalog["tenant.suspend"]).spec.title
        #expect(mine.contains(">last done or asked for: \(title)</span>"))
        // Whoever did nothing of high risk may work all the same, and what was done since the start is not in the list.
        #expect(mine.contains("<span class=\"hint\">no operation of high risk</span>"))
        let started = try await stage.review(id).startedAt.minuteText
        #expect(mine.contains("Sign-in and use are as they were when the review started, \(started). Use counts"))
        #expect(mine.contains("a person’s newest 1,000 events tell."))
        #expect(mine.contains("id=\"filters\"") && mine.contains("href=\"#filters\"") && !mine.contains("Reviewer: "))
        let narrowed = try await show("/access-reviews/{id}", stage.cyd, ["reviewer": ["me"]])
        #expect(narrowed.contains("Reviewer: cyd") && narrowed.contains("href=\"/access-reviews/\(id)\""))
        // Who is no reviewer looks on.
        let others = try await show("/access-reviews/{id}", stage.ben)
        #expect(!others.contains("/keep\"") && !others.contains("/several"))
        #expect(try await show("/", stage.cyd).contains("Reviews you owe"))
        #expect(try await !show("/", stage.ben).contains("Reviews you owe"))
        let list = try await show("/access-reviews", stage.dot)
        #expect(list.contains("for your decision") && list.contains(">1 Jan 2027, 00:00:00 UTC</time>"))
        let report = try await show("/access-reviews/{id}/report", stage.dot)
        #expect(report.contains("CC6.2 and CC6.3") && report.contains("<td>Super admin</td>"))
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the page that compares roles shows rights, what is kept apart, and who must agree`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await AccessReviewStage(kind)
        let gus = try await stage.world.staff("gus", roles: ["support_l2"])
        func show(_ roles: [String], of person: Caller = gus, by caller: Caller) async throws -> String {
            let page = StaffMovePage.page
            let call = PageCall(
                path: ["id": person.person], query: roles.isEmpty ? [:] : ["chosen": ["1"], "role": roles],
                caller: caller, cursors: AccessReviewStage.cursors, catalog: stage.world.catalog, csrf: "csrf")
            return try await stage.world.test.database.read { try page.render(call, $0).body.text }
        }
        #expect(try await show([], by: stage.ada).contains("Tick the roles"))
        let move = try await show(["finance_lead"], by: stage.ada)
        #expect(move.contains("Nothing speaks against it") && move.contains("Export financial reports"))
        #expect(
            move.contains("/staff/\(gus.person)/change-roles?input.grant=finance_lead&amp;input.revoke=support_l2"))
        let apart = try await show(["support_l2", "billing_ops"], by: stage.ada)
        #expect(apart.contains("These roles may not be held by one person") && apart.contains("billing_ops"))
        // The way on stands before what is compared, and not where it would be refused.
        let onwards = try #require(move.range(of: "Go on to the change…</a>"))
        let compared = try #require(move.range(of: "Nothing speaks against it"))
        #expect(onwards.lowerBound < compared.lowerBound)
        #expect(move.contains("With none ticked they lose every role") && !move.contains("optional"))
        let own = try await show(["legal"], of: stage.ada, by: stage.ada)
        #expect(own.contains("This is you") && !own.contains("Go on to the change"))
        await stage.world.close()
    }
}
