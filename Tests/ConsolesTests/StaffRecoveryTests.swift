import HTML
import Kernel
import Store
import TestSupport
import Testing

@testable import Consoles

/// New factors for somebody who lost theirs, and the way back for the last who could give them.
@Suite struct StaffRecoveryTests {
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
}
