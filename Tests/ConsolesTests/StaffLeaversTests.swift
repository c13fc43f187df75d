import HTML
import Kernel
import Store
import TestSupport
import Testing

@testable import Consoles

/// Leaving, coming back, ending sessions, new factors and recovery (spec: access §4, §6).
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

    // MARK: New factors

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a reset ends what they had, tells them, and its link sets new factors once`(
        kind: TestDatabase.Kind
    ) async throws {
        try await TestDatabase.with(kind) { test in
            var settings = StaffSignIn.Settings()
            settings.sendsMail = true
            let fixture = try await StaffFixture.make(test, settings: settings)
            let root = try await fixture.bootstrap()
            let people = try await fixture.invite(
                [("guard@example.com", ["security"]), ("ann@example.com", ["support_l1"])],
                by: try await fixture.caller(root.first))
            let (guardian, ann) = (people[0], people[1])
            // The guard was invited by who asks: after three days they may sign.
            test.clock.advance(.days(4))
            let asking = try await fixture.signIn(root)
            let signing = try await fixture.signIn(guardian)
            let old = try await fixture.signIn(ann)
            let outcome = try await fixture.pipeline.run(
                OperationRequest(
                    operation: "staff.reset_factors", target: ann.id, reasonCode: "lost",
                    justification: "Her phone fell into the sea.", idempotencyKey: "f1"),
                by: try await fixture.caller(asking))
            guard case .pending(let pending) = outcome.result else {
                Issue.record("should wait")
                return
            }
            _ = try await fixture.caller(old)
            let signed = try await fixture.pipeline.run(
                OperationRequest(
                    operation: "approval.approve", target: pending.approvalID, idempotencyKey: "f2"),
                by: try await fixture.caller(signing))
            #expect(signed.execution?.state == .executed)
            #expect(await failure { _ = try await fixture.caller(old) } != nil)
            #expect(await failure { _ = try await fixture.signIn(ann) } != nil)
            let event = try #require(try await fixture.events("staff.reset_factors").last)
            #expect(event["facts"]?["factors"] == 3)
            let row = try await test.database.read { try Staff.load(ann.id, from: $0) }
            #expect(row?.resetBy == root.id && row?.resetAt != nil && row?.status == .active)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the link of a reset is for who asked, works once, and the person sees who did it`(
        kind: TestDatabase.Kind
    ) async throws {
        let world = try await World.make(kind, populated: false, sendsMail: true)
        let fixture = try await StaffFixture.make(world.test, seeded: false)
        let asker = try await world.staff("asked", roles: ["super_admin"])
        let signer = try await world.staff("signer", roles: ["security"])
        let ann = try await world.staff("ann", roles: ["support_l1"])
        let pending = try await world.ask("staff.reset_factors", on: ann.person, reason: "lost", by: asker)
        try await world.run("approval.approve", on: pending.approvalID, by: signer)
        let mails = try await world.test.database.read { reader in
            try reader.query(Statement("SELECT payload FROM outbox WHERE name = 'mail.factors_reset'")).map {
                try $0.json("payload")["to"]?.string
            }
        }
        #expect(mails == [ann.person])
        #expect(await failure { _ = try await world.pipeline.takeReveal(of: pending.approvalID, by: signer) } != nil)
        let link = try #require(
            try await world.pipeline.takeReveal(of: pending.approvalID, by: asker)?["enrolment_link"])
        let token = String(link.split(separator: "=").last ?? "")
        let person = try await fixture.enrol(token)
        #expect(person.id == ann.person)
        #expect(await failure { _ = try await fixture.enrol(token) } != nil)
        let caller = try await fixture.caller(person.first)
        let home = try #require(Consoles.all.flatMap(\.pages).first { $0.path == "/" })
        let text = try await world.test.database.read { reader in
            try home.render(PageCallFixture.make(caller, path: [:]), reader).body.text
        }
        #expect(text.contains("Your factors were reset by asked"), "\(text.prefix(400))")
        await world.close()
    }

    // MARK: Recovery

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the last super_admin is recovered after a day, unless somebody says no`(kind: TestDatabase.Kind) async throws
    {
        let world = try await World.make(kind, populated: false, sendsMail: true)
        let fixture = try await StaffFixture.make(world.test, seeded: false)
        let admin = try await world.staff("admin", roles: ["super_admin"])
        let guardian = try await world.staff("guardian", roles: ["security"])
        let before = try await world.snapshot()
        let asked = try await world.run("staff.recover", on: admin.person, by: world.system)
        let events = try await world.events(after: before)
        #expect(events.map(\.action) == ["staff.recover"] && events[0].leaf["actor"]?["type"] == "system")
        let told = try await world.test.database.read { reader in
            Set(
                try reader.query(Statement("SELECT payload FROM outbox WHERE name = 'mail.recovery_requested'")).map {
                    try $0.json("payload")["to"]?.string ?? ""
                })
        }
        #expect(told == [admin.person, guardian.person])
        // The command says whom the servers tell, by what they have and not by its own settings.
        func named() async throws -> [String] { try await world.test.database.read { try RecoverStaff.told($0) } }
        #expect(try await named().isEmpty)
        try await DeliveryChannels.announce([.mail, .slack], in: world.test.database)
        #expect(try await DeliveryChannels.isKnown(.mail, in: world.test.database))
        #expect(
            try await named() == [
                "mail to admin@staff.test", "mail to guardian@staff.test", "the staff channel in Slack",
            ])
        // Turned off for a moment, mail is queued all the same and waits; until then nobody is told.
        try await DeliveryChannels.announce([], in: world.test.database)
        #expect(try await DeliveryChannels.isKnown(.mail, in: world.test.database))
        #expect(try await named().isEmpty)
        let link = try #require(asked.reveal["enrolment_link"])
        let token = String(link.split(separator: "=").last ?? "")
        // Not twice, not before its time, and no reset beside it.
        #expect(await failure { _ = try await world.run("staff.recover", on: admin.person, by: world.system) } != nil)
        #expect(await failure { _ = try await fixture.enrol(token) } != nil)
        let turn = RecoveryTurn(pipeline: world.pipeline)
        #expect(try await turn.turn() == 0)
        world.test.clock.advance(.hours(23) + .minutes(59))
        #expect(try await turn.turn() == 0)
        #expect(await failure { _ = try await fixture.enrol(token) } != nil)

        world.test.clock.advance(.minutes(2))
        // What another process of the same database asked for is carried out by whichever is there.
        async let one = RecoveryTurn(pipeline: world.pipeline).turn()
        async let two = RecoveryTurn(pipeline: world.pipeline).turn()
        #expect(try await one + two == 1)
        let person = try await fixture.enrol(token)
        #expect(person.id == admin.person)
        #expect(try await fixture.caller(person.first).roles == ["super_admin"])

        // Somebody who can still sign in says no.
        let again = try await world.run("staff.recover", on: admin.person, by: world.system)
        let recoveries = try await world.test.database.read { reader in
            try reader.query(Recovery.selectAll(after: "", limit: 10)).map(Recovery.init)
        }
        let open = try #require(recoveries.first { $0.state == .pending })
        let home = try #require(Consoles.all.flatMap(\.pages).first { $0.path == "/" })
        func banner(_ caller: Caller) async throws -> String? {
            try await world.test.database.read { reader in
                let page = try home.render(PageCallFixture.make(caller, path: [:]), reader).body.text
                return page.contains("is about to be recovered from the server") ? page : nil
            }
        }
        // To the person themselves it speaks of their account.
        let own = try #require(try await banner(try await world.caller(admin.person)))
        #expect(own.contains("Your account is about to be recovered") && own.contains("Your factors end"))
        #expect(own.contains("If you are not locked out, cancel it."))
        // Security looks at it, and can't cancel it.
        let others = try #require(try await banner(try await world.caller(guardian.person)))
        #expect(others.contains("The account of admin is about to be recovered"))
        func notices(of person: String) async throws -> [InboxEntry] {
            let writer = InboxWriter(pipeline: world.pipeline, slack: nil)
            while try await writer.turn().isMore {}
            let call = ReadCall(
                path: [:], query: ["view": ["all"]], caller: try await world.caller(person),
                cursors: CursorCodec(key: [UInt8](repeating: 1, count: 32)))
            let catalog = world.catalog
            let listing = try await world.test.database.read {
                try InboxListing.load(call, catalog: catalog, from: $0)
            }
            return listing.entries.filter { $0.notice.kind == .recoveryAsked }
        }
        for person in [admin.person, guardian.person] {
            let entries = try await notices(of: person)
            #expect(entries.count == 2 && entries.allSatisfy { $0.path == "/staff/\(admin.person)" })
            // It was told a day late, so it says when it was asked for.
            #expect(
                entries.contains {
                    $0.detail?.contains(", and did. It was asked for on ") == true && $0.title.contains(" was to be ")
                })
            #expect(entries.contains { $0.detail?.contains("unless a super admin cancels it") == true })
        }
        try await world.run("recovery.cancel", on: open.id, by: try await world.caller(admin.person))
        world.test.clock.advance(.hours(25))
        #expect(try await turn.turn() == 0)
        let dead = String((again.reveal["enrolment_link"] ?? "").split(separator: "=").last ?? "")
        #expect(await failure { _ = try await fixture.enrol(dead) } != nil)
        #expect(try await banner(try await world.caller(admin.person)) == nil)
        #expect(try await notices(of: guardian.person).contains { $0.notice.isMoot })
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a master key is the database's once it opens what is sealed there`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { test in
            let fixture = try await StaffFixture.make(test)
            let other = try MasterKey(parsing: MasterKey.generate())
            func opens(_ key: MasterKey) async throws -> Bool? {
                try await test.database.read { try SealedSecrets.open(with: key, from: $0) }
            }
            #expect(try await opens(other) == nil)
            _ = try await fixture.bootstrap()
            #expect(try await opens(fixture.masterKey) == true)
            #expect(try await opens(other) == false)
            // One that was edited says nothing about the key.
            let edit = "UPDATE factors SET secret = 'edited' WHERE kind = $1"
            try await test.tamper([Statement(edit, [.text("totp")])])
            #expect(try await opens(fixture.masterKey) == true)
            try await test.tamper([Statement(edit, [.text("password")])])
            #expect(try await opens(fixture.masterKey) == false)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `recovery is for a super_admin whom nobody else can help`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { test in
            let fixture = try await StaffFixture.make(test)
            func recover(_ id: String) async -> String {
                do {
                    _ = try await fixture.pipeline.run(
                        OperationRequest(operation: "staff.recover", target: id), by: StaffFixture.system("recovery"))
                    return "was allowed"
                } catch OperationError.conflict(let detail, _) {
                    return detail
                } catch {
                    return "\(error)"
                }
            }
            let root = try await fixture.bootstrap()
            let caller = try await fixture.caller(root.first)
            let second = try await fixture.invite("second@example.com", roles: ["super_admin"], by: caller)
            #expect(await recover("stf_nobody").contains("There is no staff"))
            // Root could ask and nobody else could agree.
            let rules = try await test.database.read { try Staff.load(second.id, from: $0) }
            #expect(rules?.status == .active)
            test.clock.advance(.minutes(1))
            let guarding = try await fixture.pipeline.run(
                StaffFixture.invitation("guard@example.com", roles: ["security"]),
                by: try await fixture.caller(try await fixture.signIn(root)))
            guard case .pending(let pending) = guarding.result else {
                Issue.record("should wait")
                return
            }
            #expect(pending.needs.map(\.rule) == ["staff_invite"])
            #expect(await recover(second.id) == "was allowed")
            #expect(await recover(second.id).contains("asked for already"))
            // People are not offered it.
            let error = await failure {
                _ = try await fixture.pipeline.run(
                    OperationRequest(operation: "staff.recover", target: second.id, idempotencyKey: "x"), by: caller)
            }
            guard case .unknownOperation = error else {
                Issue.record("\(String(describing: error))")
                return
            }
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
}
