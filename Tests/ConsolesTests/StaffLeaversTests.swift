import HTML
import Kernel
import Store
import TestSupport
import Testing

@testable import Consoles

/// Leaving, coming back, ending sessions, and the list of people (spec: access §4, §6).
@Suite struct StaffLeaversTests {
    // MARK: Leaving

    @Test(arguments: TestDatabase.Kind.allCases)
    func `whoever leaves has nothing any more with that one request`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { test in
            let fixture = try await StaffFixture.make(test)
            let root = try await fixture.bootstrap()
            let ann = try await fixture.invite(
                "ann@example.com", roles: ["support_l1", "legal"], by: try await fixture.caller(root.first))
            let second = try await fixture.signIn(ann)
            let root2 = try await fixture.signIn(root)
            _ = try await fixture.caller(ann.first)
            let outcome = try await fixture.pipeline.run(
                OperationRequest(
                    operation: "staff.deactivate", target: ann.id, reasonCode: "left",
                    justification: "Leaves the company today.", idempotencyKey: "d1"),
                by: try await fixture.caller(root2))
            guard case .applied(let applied) = outcome.result else {
                Issue.record("should be applied")
                return
            }
            #expect(applied.undo == nil)
            for session in [ann.first, second] {
                guard case .unauthenticated = await failure({ _ = try await fixture.caller(session) }) else {
                    Issue.record("a session of somebody who left still works")
                    continue
                }
            }
            #expect(await failure { _ = try await fixture.signIn(ann) } != nil)
            let events = try await fixture.events("staff.deactivate")
            #expect(events.count == 1)
            #expect(events[0]["facts"]?["sessions"] == 2 && events[0]["facts"]?["roles"] == ["legal", "support_l1"])
            #expect(events[0]["changes"]?.array?.compactMap { $0["type"]?.string } == ["staff", "grant", "grant"])

            // Back again, with the same factors and without a role.
            let back = try await fixture.pipeline.run(
                OperationRequest(
                    operation: "staff.reactivate", target: ann.id, reasonCode: "returned",
                    justification: "Is back from parental leave.", idempotencyKey: "r1"),
                by: try await fixture.caller(root2))
            guard case .applied(let returned) = back.result else {
                Issue.record("should be applied")
                return
            }
            #expect(returned.after?["status"] == "active" && returned.undo?.operation == "staff.deactivate")
            #expect(await failure { _ = try await fixture.caller(second) } != nil)
            #expect(try await fixture.caller(try await fixture.signIn(ann)).roles.isEmpty)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `what a leaver asked for is cancelled, and what they signed counts no more`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await StaffRolesTests.Stage(kind)
        let leaver = try await stage.world.staff("leaver", roles: ["super_admin"])
        let tenant = try await stage.world.tenant("leaving", then: [("tenant.archive", "customer_departed")])
        stage.world.test.clock.advance(.days(91))
        // Theirs: one that waits, and one that is signed and waits for its time.
        let waiting = try await stage.ask("grant_role", on: stage.colleague, ["role": "legal"], by: leaver)
        let scheduled = try await stage.world.ask(
            "tenant.hard_delete", on: tenant, reason: "retention_policy", by: try await stage.fresh(leaver))
        try await stage.approve(scheduled.approvalID, by: stage.signer)
        #expect(try await stage.world.approval(scheduled.approvalID).state == .scheduled)
        // Somebody else's, signed by the leaver and put off.
        let other = try await stage.world.staff("other", roles: [])
        let signed = try await stage.world.pipeline.run(
            OperationRequest(
                operation: "staff.grant_role", target: other.person, input: ["role": "legal"],
                justification: "because the test needs it done", ticket: "HR-1", idempotencyKey: stage.world.key(),
                notBefore: stage.world.test.clock.clock.now + .hours(2)), by: try await stage.fresh(stage.asker))
        guard case .pending(let pending) = signed.result else { throw StoreError.other("waits for nobody") }
        try await stage.approve(pending.approvalID, by: leaver)
        #expect(try await stage.world.approval(pending.approvalID).state == .scheduled)

        let before = try await stage.world.snapshot()
        let applied = try await stage.apply("deactivate", on: leaver, reason: "left", by: stage.asker)
        #expect(applied.consequence.contains("2 open requests"))
        #expect(try await stage.world.events(after: before).map(\.action) == ["staff.deactivate"])
        for id in [waiting.approvalID, scheduled.approvalID] {
            let request = try await stage.world.approval(id)
            #expect(request.state == .cancelled && request.outcomeEventID == applied.eventID)
        }
        // Nobody is asked for a signature on them any more.
        let leaves = try await stage.world.test.database.read { reader in
            try reader.query(
                Statement(
                    "SELECT leaf FROM approval_leaves WHERE approval_id = $1", [.text(waiting.approvalID)])
            ).count
        }
        #expect(leaves == 0)
        stage.world.test.clock.advance(.hours(25))
        #expect(try await stage.world.pipeline.executeDue() == 1)
        #expect(try await stage.world.approval(pending.approvalID).state == .pending)
        #expect(try await stage.roles(of: other).isEmpty)
        try await stage.approve(pending.approvalID, by: stage.guardian)
        #expect(try await stage.roles(of: other) == ["legal"])
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `nobody who left gets a role, a reset or leaves twice`(kind: TestDatabase.Kind) async throws {
        let stage = try await StaffRolesTests.Stage(kind)
        _ = try await stage.apply("deactivate", on: stage.colleague, reason: "left", by: stage.asker)
        for (verb, input, reason) in [
            ("grant_role", ["role": "support_l1"], nil), ("change_roles", ["grant": ["support_l1"]], nil),
            ("reset_factors", .object([:]), "lost"), ("deactivate", .object([:]), "left"),
            ("revoke_sessions", .object([:]), "suspicious"),
        ] as [(String, JSON, String?)] {
            let answer = try await stage.refusal(verb, on: stage.colleague, input, reason: reason, by: stage.asker)
            #expect(answer != "was allowed", "\(verb)")
        }
        // They have no factors to come back with, so they are to be invited anew.
        let back = try await stage.apply("reactivate", on: stage.colleague, reason: "returned", by: stage.asker)
        #expect(back.after?["status"] == "invited")
        #expect(
            try await stage.refusal("reactivate", on: stage.colleague, reason: "returned", by: stage.asker)
                .contains("not deactivated"))
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an account that somebody else may have used comes back without what it signed in with`(
        kind: TestDatabase.Kind
    ) async throws {
        try await TestDatabase.with(kind) { test in
            let fixture = try await StaffFixture.make(test)
            let root = try await fixture.bootstrap()
            let ann = try await fixture.invite(
                "ann@example.com", roles: ["support_l1"], by: try await fixture.caller(root.first))
            func run(_ verb: String, _ reason: String) async throws -> Applied {
                let outcome = try await fixture.pipeline.run(
                    OperationRequest(
                        operation: "staff.\(verb)", target: ann.id, reasonCode: reason,
                        justification: "Her laptop was stolen while it was open.", idempotencyKey: verb),
                    by: try await fixture.caller(try await fixture.signIn(root)))
                guard case .applied(let applied) = outcome.result else { throw StoreError.other("\(verb) waits") }
                return applied
            }
            _ = try await run("deactivate", "compromised")
            let back = try await run("reactivate", "returned")
            #expect(back.after?["status"] == "invited")
            #expect(back.consequence.contains("which somebody else may have: invite them once more"))
            #expect(await failure { _ = try await fixture.signIn(ann) } != nil)
            let event = try #require(try await fixture.events("staff.reactivate").last)
            #expect(event["facts"]?["factors"] == 3)
            let row = try await test.database.read { try Staff.load(ann.id, from: $0) }
            #expect(row?.status == .invited && row?.resetBy == root.id)
            let again = try await fixture.invite(
                ann.email, roles: ["support_l1"], by: try await fixture.caller(try await fixture.signIn(root)))
            #expect(again.id == ann.id)
            #expect(try await fixture.caller(try await fixture.signIn(again)).roles == ["support_l1"])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `whoever lets such an account back in counts as who reset it, also after another reset`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await StaffRolesTests.Stage(kind)
        let database = stage.world.test.database
        let id = stage.colleague.person
        _ = try await stage.apply("deactivate", on: stage.colleague, reason: "compromised", by: stage.asker)
        _ = try await stage.apply("reactivate", on: stage.colleague, reason: "returned", by: stage.asker)
        let invited = try #require(try await database.read { try Staff.load(id, from: $0) })
        var enrolled = invited
        enrolled.status = .active
        enrolled.version += 1
        try await stage.world.put([.update(invited, to: enrolled)])
        stage.world.test.clock.advance(.hours(1))
        let asked = try await stage.ask("reset_factors", on: stage.colleague, reason: "lost", by: stage.signer)
        try await stage.approve(asked.approvalID, by: stage.guardian)
        let directory = StaffDirectory()
        let standing = try await database.read { reader in
            try directory.standings(of: [id]).read(from: reader)[id]
        }
        let now = stage.world.test.clock.clock.now
        for person in [stage.asker, stage.signer] {
            #expect(standing?.quarantine(from: person.person, at: now)?.kind == .refactored, "\(person.person)")
        }
        await stage.world.close()
    }

    // MARK: Sessions

    @Test(arguments: TestDatabase.Kind.allCases)
    func `one session ends, or all do, and each is listed by page`(kind: TestDatabase.Kind) async throws {
        let stage = try await StaffRolesTests.Stage(kind)
        for number in 1...3 { try await stage.world.session("ses_\(number)", of: stage.colleague.person) }
        try await stage.world.session("ses_other", of: stage.signer.person)
        let read = try #require(StaffConsole.console.reads.first { $0.name == "staff.sessions" })
        func list(_ query: [String: [String]] = [:]) async throws -> ReadAnswer {
            let call = ReadCall(
                path: ["id": stage.colleague.person], query: query, caller: stage.guardian,
                cursors: CursorCodec(key: [UInt8](repeating: 1, count: 32)))
            return try await stage.world.test.database.read { try read.run(call, $0) }
        }
        func ids(_ answer: ReadAnswer) -> [String] {
            (answer.body["items"]?.array ?? []).compactMap { $0["id"]?.string }
        }
        let first = try await list(["limit": ["2"]])
        #expect(ids(first) == ["ses_3", "ses_2"] && first.disclosure?.target?.id == stage.colleague.person)
        #expect(
            first.body["items"]?.array?[0]["network"] == "192.0.2.0/24" && first.body["items"]?.array?[0]["ip"] == nil)
        let second = try await list(["limit": ["2"], "cursor": [try #require(first.nextCursor)]])
        #expect(ids(second) == ["ses_1"] && second.nextCursor == nil)

        // Not one of theirs.
        let other = try await stage.refusal(
            "revoke_sessions", on: stage.colleague, ["session": "ses_other"], reason: "lost_device", by: stage.guardian)
        #expect(other.hasPrefix("/input/session"))
        _ = try await stage.apply(
            "revoke_sessions", on: stage.colleague, ["session": "ses_2"], reason: "lost_device", by: stage.guardian)
        #expect(ids(try await list()) == ["ses_3", "ses_1"])
        let all = try await stage.apply(
            "revoke_sessions", on: stage.colleague, reason: "suspicious", by: stage.guardian)
        #expect(all.consequence.contains("all 2 sessions"))
        #expect(ids(try await list()).isEmpty)
        #expect(
            try await stage.refusal("revoke_sessions", on: stage.colleague, reason: "suspicious", by: stage.guardian)
                .contains("signed in nowhere"))
        // A link to Slack ends too where no session is left.
        try await stage.world.put([
            .create(
                SlackLink(
                    id: "slk_c", team: "T1", slackUser: "U7", staffID: stage.colleague.person,
                    linkedAt: stage.world.test.clock.clock.now))
        ])
        let unlinked = try await stage.apply(
            "revoke_sessions", on: stage.colleague, reason: "suspicious", by: stage.guardian)
        #expect(unlinked.consequence.hasSuffix("is signed in nowhere. Their link to Slack ends."))
        let link = try await stage.world.test.database.read { try SlackLink.load("slk_c", from: $0) }
        #expect(link?.endedAt != nil)
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `what is idle or too old is no open session, and ends with the others`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await StaffRolesTests.Stage(kind)
        let world = stage.world
        let person = stage.colleague.person
        func open() async throws -> [SessionRow] {
            try await world.test.database.read { reader in
                let shown = try SessionListing.newest(10, of: person, from: reader)
                let count = try reader.first(SignInQueries.countOpen(of: person, at: reader.now))?.int("count")
                #expect(count == Int64(shown.count))
                return shown
            }
        }
        try await world.session("ses_1", of: person)
        world.test.clock.advance(.minutes(20))
        try await world.session("ses_2", of: person)
        #expect(try await open().map(\.id) == ["ses_2", "ses_1"])
        world.test.clock.advance(.minutes(10))
        #expect(try await open().map(\.id) == ["ses_2"])
        try await world.run("setting.change", on: "idle_minutes", ["value": 10])
        #expect(try await open().isEmpty)

        // A longer idle time would open them again.
        let ended = try await stage.apply(
            "revoke_sessions", on: stage.colleague, reason: "suspicious", by: stage.guardian)
        #expect(ended.consequence.hasSuffix("is signed in nowhere."))
        let left = try await world.test.database.read { reader in
            try reader.query(SignInQueries.unended(of: person, at: reader.now, limit: 10)).count
        }
        #expect(left == 0)

        try await world.session("ses_3", of: person)
        try await world.run("setting.change", on: "session_hours", ["value": 1])
        let begun = try #require(try await open().first)
        #expect(begun.id == "ses_3" && begun.expiresAt == begun.createdAt + .hours(1))
        world.test.clock.advance(.minutes(59))
        _ = try await world.test.asOwner { writer in
            try writer.execute(SignInQueries.touch(session: "ses_3", at: writer.now))
        }
        #expect(try await open().map(\.id) == ["ses_3"])
        world.test.clock.advance(.minutes(1))
        #expect(try await open().isEmpty)
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a person ends all their other sessions`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { test in
            let fixture = try await StaffFixture.make(test)
            let root = try await fixture.bootstrap()
            let second = try await fixture.signIn(root)
            let third = try await fixture.signIn(root)
            try await fixture.signIn.endOthers(than: third.info, from: StaffFixture.source)
            for session in [root.first, second] {
                #expect(await failure { _ = try await fixture.caller(session) } != nil)
            }
            _ = try await fixture.caller(third)
            #expect(try await fixture.events("signout").last?["facts"]?["sessions_ended"] == 2)
            // Twice is no second fact.
            try await fixture.signIn.endOthers(than: third.info, from: StaffFixture.source)
            #expect(try await fixture.events("signout").count == 1)
        }
    }

    // MARK: Lists

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the list is narrowed by role, state and what is to be looked at, and paged`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await StaffRolesTests.Stage(kind)
        let now = stage.world.test.clock.clock.now
        _ = try await stage.apply(
            "grant_role", on: stage.colleague, ["role": "support_l1", "expires_at": .string((now + .days(2)).rfc3339)],
            by: stage.asker)
        let left = try await stage.world.staff("left", roles: ["legal"])
        _ = try await stage.apply("deactivate", on: left, reason: "left", by: stage.asker)
        let read = try #require(StaffConsole.console.reads.first { $0.name == "staff.list" })
        func names(_ query: [String: [String]]) async throws -> [String] {
            let call = ReadCall(
                path: [:], query: query, caller: stage.asker,
                cursors: CursorCodec(key: [UInt8](repeating: 1, count: 32)))
            let answer = try await stage.world.test.database.read { try read.run(call, $0) }
            return (answer.body["items"]?.array ?? []).compactMap { $0["name"]?.string }
        }
        #expect(try await names(["email": ["Signer@staff.test"]]) == ["signer"])
        #expect(try await names(["email": ["signer@staff.tes"]]).isEmpty)
        #expect(try await names(["role": ["super_admin"]]) == ["asked", "signer"])
        #expect(try await names(["role": ["legal"]]).isEmpty)
        #expect(try await names(["status": ["deactivated"]]) == ["left"])
        #expect(try await names(["show": ["expiring"]]) == ["colleague"])
        #expect(try await names(["show": ["expiring"], "role": ["security"]]).isEmpty)
        #expect(try await names(["show": ["no_factor"]]).count == 5)
        #expect(try await names(["show": ["flagged"]]).isEmpty)
        #expect(try await names(["role": ["super_admin"], "limit": ["1"]]) == ["asked"])
        #expect(
            try await refusedFields { _ = try await names(["status": ["gone"], "show": ["all"]]) } == [
                "?status", "?show",
            ])
        stage.world.test.clock.advance(.days(3))
        #expect(try await names(["role": ["support_l1"]]).isEmpty)
        #expect(try await names(["show": ["expiring"]]).isEmpty)

        // The report has the worst first, and what is empty last.
        let report = try #require(StaffConsole.console.pages.first { $0.path == "/staff-report" })
        let call = PageCallFixture.make(stage.asker, query: ["days": ["1"]])
        let text = try await stage.world.test.database.read { try report.render(call, $0).body.text }
        let places = ["Without a factor", "No sign-in for a day", "No role ends soon", "No invitation waits"]
            .compactMap { text.firstRange(of: $0)?.lowerBound }
        #expect(places.count == 4 && places == places.sorted(), "\(text)")
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the report has whoever was away longest first`(kind: TestDatabase.Kind) async throws {
        let stage = try await StaffRolesTests.Stage(kind)
        let world = stage.world
        // Their ids stand in another order.
        for (number, caller) in [stage.signer, stage.asker, stage.guardian].enumerated() {
            try await world.session("ses_\(number)", of: caller.person)
            world.test.clock.advance(.hours(1))
        }
        world.test.clock.advance(.days(2))
        let report = try #require(StaffConsole.console.pages.first { $0.path == "/staff-report" })
        let call = PageCallFixture.make(stage.asker, query: ["days": ["1"]])
        let text = try await world.test.database.read { try report.render(call, $0).body.text }
        let start = try #require(text.firstRange(of: "id=\"sr-dormant\"")?.lowerBound)
        let list = text[start...]
        let places = [stage.colleague, stage.signer, stage.asker, stage.guardian].compactMap { caller in
            list.firstRange(of: "/staff/\(caller.person)\"")?.lowerBound
        }
        #expect(places.count == 4 && places == places.sorted(), "\(list)")
        // Of all there are, and not of the first by their ids.
        func people(_ limit: Int, longestAway: Bool) async throws -> [String] {
            try await world.test.database.read { reader in
                let read = ReadCall(
                    path: [:], query: ["show": ["dormant"], "days": ["1"], "limit": [String(limit)]],
                    caller: call.caller, cursors: call.cursors)
                return try StaffListing.load(read, longestAway: longestAway, from: reader).people.map(\.staff.id)
            }
        }
        let all = try await people(100, longestAway: false)
        #expect(all.last != stage.guardian.person)
        let first = try await people(all.count - 1, longestAway: true)
        #expect(Set(first) == Set(all).subtracting([stage.guardian.person]), "\(first)")
        await world.close()
    }
}
