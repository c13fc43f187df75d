import Foundation
import HTML
import Kernel
import Store
import StorePostgres
import StoreSQLite
import TestSupport
import Testing

@testable import Consoles

/// Access reviews: the frozen list, decisions and who may take them, the end, and what happens by itself (spec: access §6).
@Suite struct AccessReviewTests {
    /// Two super_admins, somebody from security, somebody from compliance, and a colleague without a role.
    struct Stage {
        let world: World
        let ada: Caller
        let ben: Caller
        let cyd: Caller
        let dot: Caller

        init(_ kind: TestDatabase.Kind) async throws {
            world = try await World.make(kind, populated: false, sendsMail: true)
            ada = try await world.staff("ada", roles: ["super_admin"])
            ben = try await world.staff("ben", roles: ["super_admin"])
            cyd = try await world.staff("cyd", roles: ["security"])
            dot = try await world.staff("dot", roles: ["compliance"])
        }

        var now: Instant { world.test.clock.clock.now }
        func fresh(_ caller: Caller) async throws -> Caller { try await world.caller(caller.person) }

        /// Starts a review and answers its id.
        func start(_ input: [String: JSON] = [:]) async throws -> String {
            try await world.run("access_review.start", .object(input), by: try await fresh(dot)).target ?? ""
        }

        func items(_ review: String) async throws -> [AccessReviewItem] {
            try await world.test.database.read { reader in
                try reader.query(AccessReviewQueries.items(of: review)).map { try AccessReviewItem($0) }
            }
        }

        func item(_ person: Caller, _ role: String = "super_admin", in review: String) async throws -> AccessReviewItem
        {
            try #require(try await items(review).first { $0.staffID == person.person && $0.role == role })
        }

        func review(_ id: String) async throws -> AccessReview {
            try #require(try await world.test.database.read { try AccessReview.load(id, from: $0) })
        }

        func exceptions() async throws -> [ComplianceException] {
            try await world.test.database.read { reader in
                try reader.query(ComplianceException.selectAll(after: "", limit: 100)).map {
                    try ComplianceException($0)
                }
            }
        }

        @discardableResult
        func decide(_ verb: String, _ item: AccessReviewItem, by caller: Caller) async throws -> Applied {
            let outcome = try await world.pipeline.run(
                OperationRequest(
                    operation: "access_review_item.\(verb)", target: item.id,
                    reasonCode: verb == "keep" ? "needed" : "not_needed",
                    justification: "looked at what they do all day", idempotencyKey: world.key()),
                by: try await fresh(caller))
            guard case .applied(let applied) = outcome.result else { throw StoreError.other("\(verb) waits") }
            return applied
        }

        /// What a decision is refused with.
        func refusal(_ verb: String, _ item: AccessReviewItem, by caller: Caller) async throws -> String {
            do {
                try await decide(verb, item, by: caller)
                return "was allowed"
            } catch OperationError.conflict(let detail, _) {
                return detail
            } catch OperationError.forbidden(let permission, _) {
                return "needs \(permission)"
            }
        }

        func refusal(
            _ operation: String, on target: String? = nil, _ input: JSON = .object([:]), reason: String? = nil,
            by caller: Caller
        ) async throws -> String {
            do {
                try await world.run(operation, on: target, input, reason: reason, by: try await fresh(caller))
                return "was allowed"
            } catch OperationError.conflict(let detail, _) {
                return detail
            } catch OperationError.invalid(let errors) {
                return errors.map { "\($0.pointer) \($0.detail)" }.joined(separator: "; ")
            } catch OperationError.forbidden(let permission, _) {
                return "needs \(permission)"
            }
        }

        /// Recipients of the mails of one kind, in the order of their names.
        func mails(_ name: String) async throws -> [String] {
            try await world.test.database.read { reader in
                try reader.query(Statement("SELECT payload FROM outbox WHERE name = $1", [.text("mail.\(name)")])).map {
                    try $0.json("payload")["to"]?.string ?? ""
                }.sorted()
            }
        }
    }

    // MARK: Beginning

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the list is every grant in force, as it was at the start, and nothing later`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await Stage(kind)
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
        let listed = try await Self.list(id, ["state": ["ended"]], stage)
        #expect(listed.map { $0["name"]?.string } == ["cyd", "dot"])
        #expect(listed.allSatisfy { $0["is_live"] == false && $0["state"] == "open" })
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a review is refused that nobody could carry out`(kind: TestDatabase.Kind) async throws {
        let stage = try await Stage(kind)
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

    // MARK: Deciding

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a grant is kept or revoked by another reviewer, each with an event, and the role ends at once`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await Stage(kind)
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
        let listed = try await Self.list(id, ["state": ["revoked"]], stage)
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
        let stage = try await Stage(kind)
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
        let stage = try await Stage(kind)
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
        let stage = try await Stage(kind)
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
        let stage = try await Stage(kind)
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

    // MARK: The end

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a review is closed when everything is decided or has ended`(kind: TestDatabase.Kind) async throws {
        let stage = try await Stage(kind)
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
        let stage = try await Stage(kind)
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

    // MARK: Who looks at what

    @Test(arguments: TestDatabase.Kind.allCases)
    func `what a reviewer has not decided goes to another, or to the others`(kind: TestDatabase.Kind) async throws {
        let stage = try await Stage(kind)
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
        let stage = try await Stage(kind)
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

    // MARK: Lists and pages

    private static let cursors = CursorCodec(key: [UInt8](repeating: 1, count: 32))

    private static func list(_ id: String, _ query: [String: [String]], _ stage: Stage) async throws -> [JSON] {
        let read = try #require(AccessReviewConsole.console.reads.first { $0.name == "access_review_item.list" })
        let call = ReadCall(path: ["id": id], query: query, caller: stage.dot, cursors: cursors)
        return try await stage.world.test.database.read { try read.run(call, $0).body["items"]?.array ?? [] }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the list is paged in its own order and narrowed by state and reviewer`(kind: TestDatabase.Kind) async throws {
        let stage = try await Stage(kind)
        let id = try await stage.start()
        let read = try #require(AccessReviewConsole.console.reads.first { $0.name == "access_review_item.list" })
        func page(_ query: [String: [String]]) async throws -> (names: [String], next: String?) {
            let call = ReadCall(path: ["id": id], query: query, caller: stage.dot, cursors: Self.cursors)
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
        let stage = try await Stage(kind)
        let id = try await stage.start(["reviewers": [.string(stage.cyd.person), .string(stage.dot.person)]])
        func show(_ path: String, _ caller: Caller, _ query: [String: [String]] = [:]) async throws -> String {
            let page = try #require(Consoles.all.flatMap(\.pages).first { $0.path == path })
            let call = PageCall(
                path: ["id": id], query: query, caller: try await stage.fresh(caller), cursors: Self.cursors,
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
        #expect(mine.contains("id=\"filters\"") && mine.contains("href=\"#filters\"") && !mine.contains("Reviewer: "))
        let narrowed = try await show("/access-reviews/{id}", stage.cyd, ["reviewer": ["me"]])
        #expect(narrowed.contains("Reviewer: cyd") && narrowed.contains("href=\"/access-reviews/\(id)\""))
        // Who is no reviewer looks on.
        let others = try await show("/access-reviews/{id}", stage.ben)
        #expect(!others.contains("/keep\"") && !others.contains("/several"))
        #expect(try await show("/", stage.cyd).contains("Reviews you owe"))
        #expect(try await !show("/", stage.ben).contains("Reviews you owe"))
        #expect(try await show("/access-reviews", stage.dot).contains("for your decision"))
        let report = try await show("/access-reviews/{id}/report", stage.dot)
        #expect(report.contains("CC6.2 and CC6.3") && report.contains("<td>Super admin</td>"))
        await stage.world.close()
    }

    // MARK: Evidence

    /// What is packed about a campaign: its rows, and the receipts of a log of its own.
    private struct Evidence {
        let contents: EvidenceContents
        let receipts: [(event: String, receipt: JSON)]
        let key: VerifierKey
        let packedBy: Caller
        let packedAt: Instant

        init(of id: String, _ stage: Stage, _ kind: TestDatabase.Kind) async throws {
            let world = stage.world
            let folder = NSTemporaryDirectory() + "evidence-\(SecureRandom.bytes(8).hex)"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(atPath: folder) }
            let log = try LogKey.generate(name: "postern.test/log")
            let sequencer = Sequencer(
                database: world.test.database, store: SQLLogStore(),
                leadership: kind == .sqlite
                    ? SQLiteLeadership(path: world.test.location) : PostgresLeadership(url: world.test.url), key: log,
                file: CheckpointFile(path: folder + "/checkpoints.log"), clock: world.test.clock.clock)
            try await sequencer.turn()
            let published = PublishedLog(database: world.test.database, store: SQLLogStore(), key: log.verifier)
            let call = ReadCall(path: ["id": id], query: [:], caller: stage.dot, cursors: AccessReviewTests.cursors)
            let (contents, _) = try await world.test.database.read { try AccessReviewEvidence.source.gather(call, $0) }
            var receipts: [(event: String, receipt: JSON)] = []
            for event in contents.events {
                receipts.append((event, try await published.receipt(event: event, wait: .seconds(1))))
            }
            await sequencer.stop()
            self.contents = contents
            self.receipts = receipts
            key = log.verifier
            packedBy = stage.dot
            packedAt = stage.now
        }

        func pack(
            _ contents: EvidenceContents? = nil, _ receipts: [(event: String, receipt: JSON)]? = nil
        ) -> [UInt8] {
            EvidencePack.archive(
                contents ?? self.contents, receipts: receipts ?? self.receipts, log: key.text, by: packedBy.person,
                at: packedAt)
        }

        func report(_ archive: [UInt8]) throws -> EvidencePack.Report { try EvidencePack(archive).verify(log: key) }

        func changed(_ change: (inout [EvidenceContents.Row]) -> Void) -> EvidenceContents {
            var rows = contents.rows
            change(&rows)
            return EvidenceContents(
                subject: contents.subject, title: contents.title, framework: contents.framework,
                controls: contents.controls, window: contents.window, rows: rows, events: contents.events,
                beside: contents.beside, people: contents.people)
        }

        /// Without the last event about an item, and with the row as it was before: nothing else gives it away.
        func shortened(to item: AccessReviewItem, without event: String) throws -> EvidencePack.Report {
            let place = try #require(contents.rows.firstIndex { $0.id == item.id })
            let reason = item.eventID == nil ? nil : contents.rows[place].reason
            return try report(
                pack(changed { $0[place] = .init(item, reason: reason) }, receipts.filter { $0.event != event }))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a decision that came last can't be left out once the review has ended`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await Stage(kind)
        let id = try await stage.start()
        try await stage.decide("keep", stage.item(stage.ada, in: id), by: stage.dot)
        try await stage.decide("keep", stage.item(stage.ben, in: id), by: stage.dot)
        let kept = try await stage.item(stage.ben, in: id)
        let gone = try await stage.decide("revoke", stage.item(stage.ben, in: id), by: stage.cyd)
        try await stage.world.revoke("security", of: stage.cyd.person)
        let closed = try await stage.world.run("access_review.close", on: id, by: try await stage.fresh(stage.dot))
        let evidence = try await Evidence(of: id, stage, kind)
        let right = try evidence.report(evidence.pack())
        #expect(right.holds && !right.lines.contains { $0.contains("No event here") || $0.contains("by counts") })
        let short = try evidence.shortened(to: kept, without: gone.eventID)
        #expect(
            short.findings == [
                "\(closed.eventID): its rows ended in other versions than the package has: an event is missing.",
                "\(closed.eventID): it counts 1 kept, and the package has 2.",
                "\(closed.eventID): it counts 1 revoked, and the package has 0.",
            ])
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `nothing says what came last while a review is open, and its evidence says so`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await Stage(kind)
        let id = try await stage.start()
        try await stage.decide("keep", stage.item(stage.ada, in: id), by: stage.dot)
        let evidence = try await Evidence(of: id, stage, kind)
        let report = try evidence.report(evidence.pack())
        #expect(report.holds && report.lines.contains { $0.hasPrefix("No event here says how it ended") })
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a review that is cancelled commits to what was decided until then`(kind: TestDatabase.Kind) async throws {
        let stage = try await Stage(kind)
        let id = try await stage.start()
        let pending = try await stage.world.ask(
            "access_review.cancel", on: id, reason: "superseded", by: try await stage.fresh(stage.ada))
        let undecided = try await stage.item(stage.ben, in: id)
        // Decided while the request waits, which does not start it anew.
        let gone = try await stage.decide("keep", stage.item(stage.ben, in: id), by: stage.dot)
        try await stage.world.run("approval.approve", on: pending.approvalID, by: try await stage.fresh(stage.cyd))
        #expect(try await stage.review(id).state == .cancelled)
        let evidence = try await Evidence(of: id, stage, kind)
        let right = try evidence.report(evidence.pack())
        #expect(right.holds, "\(right.findings)")
        let short = try evidence.shortened(to: undecided, without: gone.eventID)
        #expect(short.findings.count == 1 && short.findings[0].contains("an event is missing"), "\(short.findings)")
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an end that commits to no versions is compared by its counts, and that is said`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await Stage(kind)
        let id = try await stage.start()
        for person in [stage.ada, stage.ben] {
            try await stage.decide("keep", stage.item(person, in: id), by: stage.dot)
        }
        let kept = try await stage.item(stage.ben, in: id)
        let gone = try await stage.decide("revoke", stage.item(stage.ben, in: id), by: stage.cyd)
        // As it was written before.
        let (review, last, now) = (
            try await stage.review(id), try await stage.item(stage.cyd, "security", in: id), stage.now
        )
        var closed = review.ended(.closed, by: stage.dot.person, at: now)
        closed.version += 1
        var ended = last
        ended.state = .ended
        ended.version += 1
        var draft = EventDraft(at: now, .mutation, "access_review.close", by: stage.dot)
        draft.target = (AccessReview.type, id)
        draft.facts = ["kept": 1, "revoked": 1, "ended": 1, "was_overdue": false]
        draft.changes = [
            EventDraft.ChangeRecord(Change(before: review, after: closed)),
            EventDraft.ChangeRecord(Change(before: last, after: ended)),
        ]
        let records = stage.world.pipeline.records
        try await stage.world.test.database.write { [draft, closed, ended] tx in
            tx.enqueue(records.insert(SealedEvent(draft)))
            tx.enqueue(closed.update(expecting: review.version))
            tx.enqueue(ended.update(expecting: last.version))
        }
        let evidence = try await Evidence(of: id, stage, kind)
        let right = try evidence.report(evidence.pack())
        #expect(right.holds, "\(right.findings)")
        #expect(right.lines.contains { $0.hasPrefix("\(draft.id) commits to no versions") })
        let short = try evidence.shortened(to: kept, without: gone.eventID)
        #expect(
            short.findings == [
                "\(draft.id): it counts 1 kept, and the package has 2.",
                "\(draft.id): it counts 1 revoked, and the package has 0.",
            ])
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the evidence proves every row, and shows whatever was changed in it`(kind: TestDatabase.Kind) async throws {
        let stage = try await Stage(kind)
        let world = stage.world
        let id = try await stage.start()
        try await stage.decide("keep", stage.item(stage.ada, in: id), by: stage.dot)
        try await stage.decide("keep", stage.item(stage.ben, in: id), by: stage.dot)
        try await stage.decide("revoke", stage.item(stage.ben, in: id), by: stage.cyd)
        try await world.run(
            "access_review.reassign", on: id, ["reviewer": .string(stage.ben.person)],
            by: try await stage.fresh(stage.dot))
        try await world.revoke("security", of: stage.cyd.person)
        try await world.run("access_review.close", on: id, by: try await stage.fresh(stage.dot))

        let evidence = try await Evidence(of: id, stage, kind)
        let (contents, receipts) = (evidence.contents, evidence.receipts)
        #expect(contents.events.count == 6)
        func pack(_ contents: EvidenceContents, _ receipts: [(event: String, receipt: JSON)]) -> [UInt8] {
            evidence.pack(contents, receipts)
        }
        func findings(_ archive: [UInt8]) throws -> [String] { try evidence.report(archive).findings }
        let archive = pack(contents, receipts)
        #expect(archive == pack(contents, receipts))
        let report = try evidence.report(archive)
        #expect(report.holds, "\(report.findings)")
        #expect(report.lines.contains { $0.hasPrefix("ben, super_admin: revoked by cyd (stf_cyd)") }, "\(report.lines)")
        let text = String(decoding: archive, as: UTF8.self)
        #expect(!text.contains("127.0.0.1") && !text.contains("@staff.test"))

        // An event kept back, a row told otherwise, a reason told otherwise, a row left out.
        for left in receipts.indices {
            var fewer = receipts
            fewer.remove(at: left)
            #expect(try !findings(pack(contents, fewer)).isEmpty, "without \(receipts[left].event)")
        }
        func other(_ change: (inout [EvidenceContents.Row]) -> Void) -> EvidenceContents { evidence.changed(change) }
        let ada = try await stage.item(stage.ada, in: id)
        #expect(try !findings(pack(other { $0.removeAll { $0.id == ada.id } }, receipts)).isEmpty)
        var forged = ada
        forged.state = .revoked
        let place = try #require(contents.rows.firstIndex { $0.id == ada.id })
        let reason = contents.rows[place].reason
        #expect(try !findings(pack(other { $0[place] = .init(forged, reason: reason) }, receipts)).isEmpty)
        #expect(try !findings(pack(other { $0[place] = .init(ada, reason: "Because.") }, receipts)).isEmpty)
        #expect(try !findings(pack(other { $0[place] = .init(ada) }, receipts)).isEmpty)
        // Another log's key, and a byte changed in a file.
        let stranger = try LogKey.generate(name: "postern.test/log").verifier
        #expect(try !EvidencePack(archive).verify(log: stranger).holds)
        var files = try Tar.files(in: archive)
        let rows = try #require(files.firstIndex { $0.path == "rows.json" })
        files[rows] = Tar.File(
            "rows.json",
            Array(String(decoding: files[rows].bytes, as: UTF8.self).replacing("needed", with: "needeD").utf8))
        #expect(try findings(Tar.archive(files)).contains { $0.contains("rows.json is not the file") })
        files.append(Tar.File("more.txt", [1]))
        #expect(try findings(Tar.archive(files)).contains { $0.contains("more.txt is not named") })
        #expect(throws: NoteError.self) { try EvidencePack(Array(archive.prefix(3000))) }
        #expect(throws: NoteError.self) { try EvidencePack(Array("no archive".utf8)) }
        await world.close()
    }

    // MARK: Moving

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the page that compares roles shows rights, what is kept apart, and who must agree`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await Stage(kind)
        let gus = try await stage.world.staff("gus", roles: ["support_l2"])
        func show(_ roles: [String], of person: Caller = gus, by caller: Caller) async throws -> String {
            let page = StaffMovePage.page
            let call = PageCall(
                path: ["id": person.person], query: roles.isEmpty ? [:] : ["chosen": ["1"], "role": roles],
                caller: caller, cursors: Self.cursors, catalog: stage.world.catalog, csrf: "csrf")
            return try await stage.world.test.database.read { try page.render(call, $0).body.text }
        }
        #expect(try await show([], by: stage.ada).contains("Tick the roles"))
        let move = try await show(["finance_lead"], by: stage.ada)
        #expect(move.contains("Nothing speaks against it") && move.contains("Export financial reports"))
        #expect(
            move.contains("/staff/\(gus.person)/change-roles?input.grant=finance_lead&amp;input.revoke=support_l2"))
        let apart = try await show(["support_l2", "billing_ops"], by: stage.ada)
        #expect(apart.contains("These roles are not held by one person") && apart.contains("billing_ops"))
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
