import Foundation
import HTML
import Kernel
import Store
import TestSupport
import Testing

@testable import Consoles

/// Mail to staff, from what happens to what is written, without a network.
@Suite struct MailNoticeTests {
    private func mails(_ courier: ScriptedCourier) -> [MailMessage] {
        courier.parcels.filter { $0.channel == .mail }.compactMap { MailMessage($0.body) }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `people hear of what was done to their account`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { test in
            var settings = StaffSignIn.Settings()
            settings.sendsMail = true
            let staff = try await StaffFixture.make(test, settings: settings)
            let person = try await staff.bootstrap()
            let outbox = DeliveryOutbox(pipeline: staff.pipeline, clock: test.clock.clock)
            func heard() async throws -> [MailMessage] {
                let courier = ScriptedCourier()
                let worker = OutboxWorker(outbox: outbox, courier: courier)
                while try await worker.turn() > 0 { await worker.finishSends() }
                return mails(courier)
            }
            #expect(try await heard().isEmpty, "the first enrolment and network are no news")
            _ = try await staff.signIn(person)
            #expect(try await heard().isEmpty)
            var elsewhere = StaffFixture.source
            elsewhere = Source(
                ip: "203.0.113.99", userAgent: elsewhere.userAgent, client: .console, requestID: "req_2")
            let session = try await staff.signIn(person, from: elsewhere)
            let network = try #require(try await heard().first)
            #expect(network.to == person.email && network.subject == "Your account was used from a new network")
            #expect(network.text.contains("203.0.113.99") && network.html.contains("203.0.113.99"))
            _ = try await staff.signIn(person, from: elsewhere)
            #expect(try await heard().isEmpty, "the network is known by now")

            let caller = try await staff.caller(session, from: elsewhere)
            let codes = try await staff.signIn.renewRecoveryCodes(session.info, by: caller)
            try await staff.signIn.changePassword(
                session.info, by: caller, old: person.password, new: "another tractor vivid")
            let (challenge, _) = try await staff.signIn.begin(
                email: person.email, password: "another tractor vivid", from: elsewhere)
            _ = try await staff.signIn.finish(challenge: challenge, recovery: codes[0], from: elsewhere)
            let messages = try await heard()
            #expect(
                messages.map(\.subject) == [
                    "You have new recovery codes", "Your password was changed", "A recovery code was used",
                ])
            for message in messages {
                #expect(message.text.contains("Robin Root") && message.text.contains("http://localhost:8080/me"))
                for secret in codes + ["another tractor vivid", person.password] {
                    #expect(!message.text.contains(secret) && !message.html.contains(secret))
                }
            }
            // One sign-in is one mail, which says both.
            let abroad = Source(
                ip: "198.51.100.7", userAgent: elsewhere.userAgent, client: .console, requestID: "req_3")
            let (again, _) = try await staff.signIn.begin(
                email: person.email, password: "another tractor vivid", from: abroad)
            _ = try await staff.signIn.finish(challenge: again, recovery: codes[1], from: abroad)
            let both = try await heard()
            #expect(both.map(\.subject) == ["A recovery code was used"])
            #expect(both[0].text.contains("from the address 198.51.100.7, from a network nobody had signed in"))
            #expect(!messages[2].text.contains("network"))
            #expect(try await staff.count("SELECT count(*) AS count FROM deliveries WHERE state = 'delivered'") == 5)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an invitation is told without its link, and a burst of refusals to those who look after security`(
        kind: TestDatabase.Kind
    ) async throws {
        try await DeliveryFixture.with(kind, sendsMail: true) { fixture in
            let world = fixture.world
            let staff = try await StaffFixture.make(world.test, seeded: false)
            _ = try await staff.invite("other@example.test", roles: ["support_l1"], by: world.everybody)
            let preview = try await world.pipeline.preview(
                StaffFixture.invitation("new@example.test", roles: ["support_l1"]), by: world.everybody)
            #expect(preview.effects.map(\.name) == ["mail.invitation"])
            let invited = try await world.pipeline.run(
                StaffFixture.invitation("new@example.test", roles: ["support_l1"]), by: world.everybody)
            // Whoever looks after security comes last: they could sign, so that from then on an invitation waits.
            let guardian = try await staff.invite("guard@example.test", roles: ["security"], by: world.everybody)
            let nobody = world.person("nobody", permissions: [])
            for _ in 0..<6 {
                await #expect(throws: OperationError.self) {
                    try await world.run("tenant.suspend", on: "ten_x", reason: "abuse", by: nobody)
                }
            }
            let courier = ScriptedCourier()
            try await fixture.send(by: courier)
            let messages = mails(courier)
            // Those who have enrolled need no invitation any more.
            #expect(Set(messages.map(\.to)) == ["new@example.test", guardian.email] && messages.count == 2)
            let invitation = try #require(messages.first { $0.to == "new@example.test" })
            let token = try StaffFixture.token(invited)
            #expect(!invitation.text.contains(token) && !invitation.text.contains("enrol"))
            #expect(invitation.text.contains("is not in this mail"))
            let burst = try #require(messages.first { $0.to == guardian.email })
            #expect(burst.subject == "Many refusals in a short time" && !burst.text.contains("nobody"))
            #expect(burst.text.contains("/audit/evt_"))
            // Whom a mail goes to stands with the endpoint: what it tells of, they did not do.
            let call = PageCallFixture.make(world.everybody)
            let list = try await world.test.database.read { try DeliveryPages.list.render(call, $0).body.text }
            #expect(list.contains(">Mail to Some Body</td>"))
            #expect(!list.contains("<span class=\"muted\">Some Body</span>"))
            #expect(list.contains("<span class=\"hint\">no tenant</span>"))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `whoever gets another address hears of it at the one before`(kind: TestDatabase.Kind) async throws {
        try await DeliveryFixture.with(kind, sendsMail: true) { fixture in
            let world = fixture.world
            try await world.staff("ann", roles: [])
            for name in ["ann", "Ann Lee"] {
                try await world.run(
                    "staff.sync_profile", on: "stf_ann",
                    ["user_name": "ann", "email": "new@staff.test", "display_name": .string(name)],
                    by: world.system)
            }
            let courier = ScriptedCourier()
            try await fixture.send(by: courier)
            #expect(mails(courier).map(\.to) == ["ann@staff.test"])
            #expect(mails(courier).allSatisfy { !$0.text.contains("new@staff.test") })
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `who asked for something hears what became of it, and whoever cancels their own request does not`(
        kind: TestDatabase.Kind
    ) async throws {
        try await DeliveryFixture.with(kind, sendsMail: true) { fixture in
            let world = fixture.world
            let asker = try await world.staff("asked", roles: ["super_admin"])
            let signer = try await world.staff("signer", roles: ["super_admin"])
            func ask(_ name: String) async throws -> String {
                let tenant = try await world.tenant(name, then: [("tenant.archive", "customer_departed")])
                world.test.clock.advance(.days(91))
                return try await world.ask(
                    "tenant.hard_delete", on: tenant, reason: "retention_policy", by: world.caller(asker.person)
                ).approvalID
            }
            func decide(_ verb: String, _ id: String, by caller: Caller) async throws {
                _ = try await world.pipeline.run(
                    OperationRequest(
                        operation: "approval.\(verb)", target: id, justification: "the contract of Zyx Ltd says so",
                        idempotencyKey: world.key()), by: world.caller(caller.person))
            }
            func heard() async throws -> [String] {
                let courier = ScriptedCourier()
                try await fixture.send(by: courier)
                let all = mails(courier)
                // Nobody who could sign is signed in, so they get mail as well.
                for message in all where message.to != "asked@staff.test" {
                    #expect(message.to == "signer@staff.test")
                    #expect(message.subject == "A request waits for your signature")
                    for secret in ["Zyx", "ten_"] {
                        #expect(!message.text.contains(secret))
                    }
                }
                let messages = all.filter { $0.to == "asked@staff.test" }
                for message in messages {
                    #expect(message.text.contains("“Delete for good”"))
                    #expect(message.text.contains("http://localhost:8080/approvals/apr_"))
                    // Nothing about the customer or the decision leaves the console.
                    for secret in ["Zyx", "signer", "ten_"] { #expect(!message.text.contains(secret)) }
                }
                return messages.map(\.subject)
            }

            let done = try await ask("leaving")
            #expect(try await heard() == [], "whoever asks knows that they did")
            try await decide("approve", done, by: signer)
            #expect(try await heard() == ["Your request was approved"])
            world.test.clock.advance(.hours(24) + .seconds(1))
            try await world.pipeline.executeDue()
            #expect(try await heard() == ["Your request was carried out"])

            try await decide("reject", ask("staying"), by: signer)
            #expect(try await heard() == ["Your request was rejected"])
            try await decide("cancel", ask("other"), by: signer)
            #expect(try await heard() == ["Your request was cancelled"])
            try await decide("cancel", ask("third"), by: asker)
            #expect(try await heard() == [])

            _ = try await ask("late")
            world.test.clock.advance(.hours(25))
            try await world.pipeline.expireOverdue()
            #expect(try await heard() == ["Your request expired"])

            let hopeless = try await ask("failing")
            try await decide("approve", hopeless, by: signer)
            try await world.revoke("super_admin", of: asker.person)
            world.test.clock.advance(.hours(24) + .seconds(1))
            try await world.pipeline.executeDue()
            #expect(try await heard() == ["Your request was approved", "Your request could not be carried out"])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `mail that waited for its server goes out as soon as that takes one`(kind: TestDatabase.Kind) async throws {
        try await DeliveryFixture.with(kind, sendsMail: true) { fixture in
            let world = fixture.world
            func tell(_ name: String) async throws {
                try await world.staff(name, roles: [])
                try await world.run(
                    "staff.sync_profile", on: "stf_\(name)",
                    [
                        "user_name": .string(name), "email": .string("new-\(name)@staff.test"),
                        "display_name": .string(name),
                    ], by: world.system)
            }
            for number in 0..<6 { try await tell("p\(number)") }
            let broken = ScriptedCourier(.failed(status: nil, note: "No connection to the mail server"))
            // However long the server is away, no mail waits longer than this for the next attempt.
            let longest = Span.seconds(375)
            for round in 1...9 {
                try await fixture.send(by: broken)
                #expect(broken.parcels.count == round * 6)
                world.test.clock.advance(longest)
            }
            let held = try #require(try await fixture.outbox.claim(1, inFlight: [:]).first)
            try await fixture.send(by: broken)
            #expect(broken.parcels.count == 59)
            try await tell("p6")
            let well = ScriptedCourier()
            try await fixture.send(by: well)
            // One that is under way is left to whoever has it.
            #expect(well.parcels.count == 6 && !well.parcels.contains { $0.delivery == held.delivery })
            let isHeld = try await fixture.outbox.settle(held, .delivered(status: 250), took: .milliseconds(1))
            let states = try await fixture.deliveries().map(\.state)
            #expect(isHeld && states == Array(repeating: .delivered, count: 7))
        }
    }

    @Test func `without mail nothing is queued and nothing announced`() async throws {
        try await DeliveryFixture.with(.sqlite) { fixture in
            let world = fixture.world
            let invitation = StaffFixture.invitation("new@example.test", roles: ["support_l1"])
            #expect(try await world.pipeline.preview(invitation, by: world.everybody).effects.isEmpty)
            _ = try await world.pipeline.run(invitation, by: world.everybody)
            #expect(try await fixture.count("outbox") == 0)
        }
    }

    @Test func `every notice has words for both forms, and escapes what people typed`() {
        for notice in MailNotice.allCases {
            let words = notice.words(MailNotice.Facts(at: TestDatabase.start, inviter: "A <b>&amp;</b>"))
            let text = MailNotice.text(words, to: "M <i>", console: "https://c.example")
            let html = MailNotice.html(words, to: "M <i>", console: "https://c.example")
            #expect(!words.subject.isEmpty && words.subject.count < 60 && !words.subject.hasSuffix("."))
            #expect(text.contains("https://c.example\(words.link.path)") && text.contains("Hello M <i>,"))
            #expect(!html.contains("<i>") && !html.contains("<b>") && html.contains("Hello M &lt;i&gt;,"))
        }
    }
}
