import Foundation
import HTML
import Kernel
import Store
import StorePostgres
import StoreSQLite
import TestSupport
import Testing

@testable import Consoles

/// The staff channel and mail, from what happens to what is said, without a network.
@Suite struct ChannelTests {
    /// Takes what was committed into a log, as a server's sequencer does.
    private func sequence(_ world: World) async throws {
        let test = world.test
        let folder = NSTemporaryDirectory() + "postern-mirror-\(SecureRandom.bytes(8).hex)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let leadership: any Leadership =
            test.kind == .sqlite ? SQLiteLeadership(path: test.location) : PostgresLeadership(url: test.url)
        let sequencer = Sequencer(
            database: test.database, store: SQLLogStore(), leadership: leadership, key: key,
            file: CheckpointFile(path: folder + "/checkpoints.log"), clock: test.clock.clock)
        try await sequencer.turn()
        await sequencer.stop()
    }

    private let key: LogKey
    init() throws { key = try LogKey.generate(name: "postern.test/log") }

    private func text(_ body: JSON) -> String {
        (body["blocks"]?.array ?? []).map { block in
            block["text"]?["text"]?.string ?? block["elements"]?.array?.first?["text"]?.string ?? ""
        }.joined(separator: "\n")
    }

    private func mirror(_ fixture: DeliveryFixture, by courier: any Courier) async throws {
        try await sequence(fixture.world)
        for _ in 0..<3 {
            fixture.world.test.clock.advance(.seconds(2))
            try await fixture.send(by: courier)
        }
    }

    // MARK: The mirror

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the channel hears what happened once, in words and ids alone`(kind: TestDatabase.Kind) async throws {
        try await DeliveryFixture.with(kind) { fixture in
            let world = fixture.world
            try await world.tenant("long-ago")
            try await sequence(world)
            try await DeliveryChannels.announce([.slack], in: world.test.database)
            let tenant = try await world.tenant("acme", then: [("tenant.suspend", "abuse")])
            // Neither a look nor a refusal is told.
            _ = try await world.pipeline.preview(
                OperationRequest(operation: "tenant.restore", target: tenant), by: world.everybody)
            await #expect(throws: OperationError.self) {
                try await world.run("tenant.suspend", on: tenant, reason: "abuse")
            }
            let courier = ScriptedCourier()
            try await mirror(fixture, by: courier)
            let texts = courier.bodies.map(text)
            #expect(courier.parcels.allSatisfy { $0.channel == .slack })
            try #require(texts.count == 2)
            #expect(texts[0].contains("Root of the audit log, 2026-11-17") && texts[0].contains("postern.test/log\n"))
            #expect(texts[1].split(separator: "\n").count == 2)
            #expect(texts[1].contains("Create tenant") && texts[1].contains("Suspend tenant"))
            #expect(texts[1].contains("`\(tenant)`") && texts[1].contains("http://localhost:8080/audit/evt_"))
            for word in ["acme", "because the test world", "stf_", "long-ago", "everybody", "127.0.0.1"] {
                #expect(!texts.joined().contains(word), "\(word)")
            }
            #expect(try await fixture.deliveries().map(\.state) == [.delivered, .delivered])
            // What was sent is in the log, and not told in its turn.
            try await mirror(fixture, by: courier)
            #expect(courier.parcels.count == 2)
            #expect(try await fixture.effects("delivery.sent").isEmpty, "everything is in the tree")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a row that is not what the log says is named, and a person is not`(kind: TestDatabase.Kind) async throws {
        try await DeliveryFixture.with(kind) { fixture in
            let world = fixture.world
            try await sequence(world)
            try await DeliveryChannels.announce([.slack], in: world.test.database)
            for (type, id) in [("grant", "grt_forged"), ("staff", "stf_forged")] {
                try await world.run(
                    "discrepancy.report", ["row_type": .string(type), "row_id": .string(id), "kind": "edited"],
                    by: world.system)
            }
            let courier = ScriptedCourier()
            try await mirror(fixture, by: courier)
            let said = courier.bodies.map(text).joined()
            #expect(said.contains(":rotating_light:") && said.contains("grant `grt_forged`"))
            #expect(said.contains(" · staff · ") && !said.contains("stf_forged"))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `many events are one message that fits, a second apart from the next`(kind: TestDatabase.Kind) async throws {
        try await DeliveryFixture.with(kind) { fixture in
            let world = fixture.world
            try await DeliveryChannels.announce([.slack], in: world.test.database)
            for number in 0..<40 { try await world.tenant("t-\(number)") }
            let nobody = world.person("nobody", permissions: [])
            for _ in 0..<5 {
                await #expect(throws: OperationError.self) { try await world.run("policy.seed", by: nobody) }
            }
            for _ in 0..<5 {
                await #expect(throws: OperationError.self) {
                    try await world.run("tenant.suspend", on: "ten_x", reason: "abuse", by: nobody)
                }
            }
            try await sequence(world)
            let courier = ScriptedCourier()
            let outbox = fixture.outbox
            _ = try await outbox.distribute()
            let root = try #require(try await outbox.claim(8, inFlight: [:]).first)
            try await outbox.settle(root, .delivered(status: 200), took: .milliseconds(3))
            // The channel takes one message a second.
            world.test.clock.advance(.milliseconds(900))
            _ = try await fixture.outbox.distribute()
            #expect(try await fixture.outbox.claim(8, inFlight: [:]).isEmpty)
            world.test.clock.advance(.milliseconds(200))
            try await fixture.send(by: courier)
            try #require(courier.bodies.count == 1)
            let text = text(courier.bodies[0])
            #expect(text.contains("40 × Create tenant, applied"))
            #expect(text.contains("1 × Many refusals in a short time, blocked") && !text.contains("permission missing"))
            for block in courier.bodies[0]["blocks"]?.array ?? [] {
                #expect((block["text"]?["text"]?.string ?? "").utf16.count <= 3000)
            }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an alarm stands above everything else, however much there is`(kind: TestDatabase.Kind) async throws {
        try await DeliveryFixture.with(kind) { fixture in
            let world = fixture.world
            try await sequence(world)
            try await DeliveryChannels.announce([.slack], in: world.test.database)
            let now = world.test.clock.clock.now
            func happened(_ action: String) -> EventDraft {
                EventDraft(at: now, .incident, action, actor: .system("test"))
            }
            // Of more kinds than are counted apart, and each more often than the alarm.
            try await world.pipeline.record(
                (0..<20).flatMap { kind in (0..<3).map { _ in happened("test.kind_\(kind)") } }
                    + [happened("clock.jumped")])
            let courier = ScriptedCourier()
            try await mirror(fixture, by: courier)
            let body = try #require(courier.bodies.first { text($0).contains("61 events") })
            #expect(text(body).hasPrefix(":rotating_light: *The server’s clock was set*"))
            #expect(text(body).contains("\n1 × The server’s clock was set, applied\n"))
            #expect(body["text"]?.string?.hasPrefix(":rotating_light: 61 events") == true)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases, [0, 2])
    func `an alarm stands above few others, and alone`(kind: TestDatabase.Kind, others: Int) async throws {
        try await DeliveryFixture.with(kind) { fixture in
            let world = fixture.world
            try await sequence(world)
            try await DeliveryChannels.announce([.slack], in: world.test.database)
            let now = world.test.clock.clock.now
            let actions = (0..<others).map { "test.kind_\($0)" } + ["clock.jumped"]
            try await world.pipeline.record(
                actions.map { EventDraft(at: now, .incident, $0, actor: .system("test")) })
            let courier = ScriptedCourier()
            try await mirror(fixture, by: courier)
            let body = try #require(courier.bodies.first { text($0).contains("clock was set") })
            let title = others == 0 ? "The server’s clock was set" : "3 events"
            #expect(body["text"]?.string == ":rotating_light: \(title)")
            #expect(text(body).hasPrefix(":rotating_light: *The server’s clock was set*"))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the channel hears of an import once, when it has ended`(kind: TestDatabase.Kind) async throws {
        try await DeliveryFixture.with(kind) { fixture in
            let world = fixture.world
            let waiting = try RegistryRow(["external_id": "w", "name": "W", "slug": "w", "status": "pending"])
            let made = try await world.run("registry.put_tenant", ["tenant": waiting.json], by: world.system)
            try await sequence(world)
            try await DeliveryChannels.announce([.slack], in: world.test.database)
            let row = try RegistryRow(["external_id": "x", "name": "X", "slug": "x"])
            try await world.run("registry.import_batch", ["rows": [row.json]], by: world.system)
            let importer = Caller(
                actor: .system("import"), person: "import", displayName: "Import", client: .cli,
                requestID: "req_import")
            try await world.run("tenant.mark_ready", on: made.target, by: importer)
            try await world.run(
                "registry.finish_import",
                ["digest": "d", "created": 1, "updated": 0, "unchanged": 0, "rejected": 0], by: world.system)
            let courier = ScriptedCourier()
            try await mirror(fixture, by: courier)
            let texts = courier.bodies.map { text($0) }.joined()
            #expect(texts.contains("Finish an import") && !texts.contains("Import customers"), "\(texts)")
            #expect(!texts.contains("Report set up"), "\(texts)")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `while Slack is away one message waits, and it comes when Slack said`(kind: TestDatabase.Kind) async throws {
        try await DeliveryFixture.with(kind) { fixture in
            let world = fixture.world
            try await DeliveryChannels.announce([.slack], in: world.test.database)
            try await world.tenant("one")
            try await sequence(world)
            let slow = ScriptedCourier(
                .failed(status: 429, note: "Slack asks to slow down", retryAfter: .seconds(60)), .delivered(status: 200)
            )
            try await fixture.send(by: slow)
            #expect(slow.parcels.count == 1)
            let failing = try await world.test.database.read { try ChannelState.all(from: $0) }
            #expect(failing[0].error == "Slack asks to slow down" && failing[0].isOn && failing[1].isOn == false)
            for number in 0..<3 { try await world.tenant("more-\(number)") }
            try await sequence(world)
            world.test.clock.advance(.seconds(59))
            try await fixture.send(by: slow)
            #expect(slow.parcels.count == 1, "sooner than Slack said")
            #expect(try await fixture.count("deliveries") == 1)
            world.test.clock.advance(.seconds(2))
            try await fixture.send(by: slow)
            #expect(slow.parcels.count == 2 && slow.parcels[0].delivery == slow.parcels[1].delivery)
            #expect(slow.parcels[0].body == slow.parcels[1].body)
            try await mirror(fixture, by: slow)
            let text = text(try #require(slow.bodies.last))
            #expect(text.split(separator: "\n").count == 5, "\(text)")
            let well = try await world.test.database.read { try ChannelState.all(from: $0) }
            #expect(well[0].error == nil && well[0].sentAt != nil && well[0].lag == 0)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `one that Slack never takes is a dead letter at once, and is dismissed or sent again`(
        kind: TestDatabase.Kind
    ) async throws {
        try await DeliveryFixture.with(kind) { fixture in
            let world = fixture.world
            try await DeliveryChannels.announce([.slack], in: world.test.database)
            let preview = try await world.pipeline.preview(
                OperationRequest(operation: "delivery.send_test", input: ["channel": "slack"]), by: world.everybody)
            #expect(preview.effects.map(\.kind) == ["slack"])
            try await world.run("delivery.send_test", ["channel": "slack"])
            #expect(try await fixture.count("outbox_pending") == 0)
            let refusing = ScriptedCourier(.refused(status: 200, note: "Slack refused the message: invalid_blocks"))
            try await fixture.send(by: refusing)
            let dead = try #require(try await fixture.deliveries().first)
            #expect(dead.state == .dead && dead.name == "slack.test" && refusing.parcels.count == 1)
            let dismissed = try await world.run("delivery.dismiss", on: dead.id, reason: "not_needed")
            #expect(dismissed.after?["state"] == "dismissed")
            await #expect(throws: OperationError.self) {
                try await world.run("delivery.dismiss", on: dead.id, reason: "not_needed")
            }
            try await world.run("delivery.replay", on: dead.id)
            world.test.clock.advance(.seconds(2))
            try await fixture.send(by: ScriptedCourier())
            #expect(try await fixture.deliveries().map(\.state) == [.delivered])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a channel that is not set up costs nothing and is refused by name`(kind: TestDatabase.Kind) async throws {
        try await DeliveryFixture.with(kind) { fixture in
            let world = fixture.world
            try await world.tenant("acme")
            try await sequence(world)
            let courier = ScriptedCourier()
            try await fixture.send(by: courier)
            #expect(try await fixture.count("deliveries") == 0 && courier.parcels.isEmpty)
            for channel in ["slack", "mail"] {
                let fields = try await refusedFields {
                    try await world.run("delivery.send_test", ["channel": .string(channel)])
                }
                #expect(fields == ["/input/channel"])
            }
            // Turned on, off for a while, and on again: the time between is not told.
            try await DeliveryChannels.announce([.slack], in: world.test.database)
            try await mirror(fixture, by: courier)
            try await DeliveryChannels.announce([], in: world.test.database)
            try await world.tenant("meanwhile")
            try await sequence(world)
            try await DeliveryChannels.announce([.slack], in: world.test.database)
            try await mirror(fixture, by: courier)
            #expect(courier.bodies.map { text($0).contains("Create tenant") } == [false])
        }
    }

    // MARK: Mail

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

    // MARK: Housekeeping

    @Test(arguments: TestDatabase.Kind.allCases)
    func `what ended is forgotten in time, what did not end is kept`(kind: TestDatabase.Kind) async throws {
        try await DeliveryFixture.with(kind) { base in
            var fixture = base
            let database = fixture.world.test.database
            try await fixture.webhook()
            let tenant = try await fixture.world.tenant("acme")
            try await fixture.send(by: ScriptedCourier())
            fixture.settings.schedule.patience = .seconds(0)
            try await fixture.world.run("tenant.suspend", on: tenant, reason: "abuse")
            try await fixture.send(by: ScriptedCourier(.failed(status: 500, note: "Answered 500")))
            let states = try await fixture.deliveries()
            #expect(states.map(\.state) == [.delivered, .dead])
            let pruner = DeliveryPruner(database: database, kept: .days(30))
            fixture.world.test.clock.advance(.days(29))
            #expect(try await pruner.run() == 0)
            fixture.world.test.clock.advance(.days(2))
            #expect(try await pruner.run() == 1)
            #expect(try await fixture.deliveries().map(\.state) == [.delivered, .dead])
            #expect(try await fixture.count("outbox") == 1)
            #expect(try await fixture.count("delivery_attempts") == 1)
            let refusal = await failure { try await fixture.world.run("delivery.replay", on: states[0].id) }
            guard case .conflict(let detail, _) = refusal, detail.contains("not kept any more") else {
                Issue.record("\(String(describing: refusal))")
                return
            }
            try await fixture.world.run("delivery.dismiss", on: states[1].id, reason: "receiver_gone")
            #expect(try await pruner.run() == 1)
            for table in ["outbox", "delivery_attempts", "delivery_lanes", "delivery_queue"] {
                #expect(try await fixture.count(table) == 0, "\(table)")
            }
            #expect(try await pruner.run() == 0)
        }
    }

    @Test func `the mirror and housekeeping read an index and sort nothing`() async throws {
        try await DeliveryFixture.with(.sqlite) { fixture in
            for statement in [
                ChannelQueries.last(in: 0..<5000), ChannelQueries.first(8, in: 0..<5000),
                ChannelQueries.first(40, of: ["clock.jumped", "staff.recover"], in: 0..<5000),
                ChannelQueries.newestCheckpoint,
                ChannelQueries.isWaiting(in: "slack:"), ChannelQueries.newestDelivered(to: "slack"),
                ChannelQueries.person("stf_1"), ChannelQueries.event("evt_1"),
                ChannelQueries.finished(before: TestDatabase.start, limit: 100),
                ChannelQueries.deliveries(of: ["out_1"]), ChannelQueries.counts(in: 0..<5000),
                OutboxQueries.waiting(.mail, limit: 50), OutboxQueries.firstDue(without: [.slack]),
                OutboxQueries.dueLanes(
                    at: TestDatabase.start, leavingOut: ["whk_"], without: [.slack, .mail], limit: 8, .sqlite),
                OutboxQueries.retriedMail(
                    besides: "mail:stf_1:", after: TestDatabase.start, until: TestDatabase.start + .minutes(5),
                    limit: 4, .sqlite),
                SignInQueries.addresses(of: "stf_1"),
            ] {
                let plan = try await TestQueries.plan(of: statement, in: fixture.world)
                let scans = plan.split(separator: "\n").filter {
                    $0.firstMatch(of: /SCAN (?!p$|log_checkpoint)/) != nil || $0.contains("TEMP B-TREE FOR ORDER")
                }
                #expect(scans.isEmpty, "\(statement.text)\n\(plan)")
            }
        }
    }
}
