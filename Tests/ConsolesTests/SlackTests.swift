import HTML
import Kernel
import Store
import TestSupport
import Testing

@testable import Consoles

/// Requests in the staff channel, and what is answered to commands.
@Suite struct SlackTests {
    private static let secret = "8f742231b10e8888abcd99yyyzzz85a5"

    /// People who can sign in, and Slack.
    struct Stage {
        let fixture: StaffFixture
        let root: StaffFixture.Person
        let slack: StaffSlack

        init(_ test: TestDatabase, showsNames: Bool = false) async throws {
            fixture = try await StaffFixture.make(test)
            root = try await fixture.bootstrap()
            slack = StaffSlack(
                pipeline: fixture.pipeline, signIn: fixture.signIn, secret: SlackTests.secret, showsNames: showsNames)
        }

        func say(_ text: String, user: String = "U1") async throws -> String {
            let answer = try await slack.answer(
                SlackCommand(team: "T1", user: user, teamName: "northwind", userName: "robin", text: text),
                requestID: "req_slack")
            #expect(answer["response_type"] == "ephemeral")
            return answer["text"]?.string ?? ""
        }

        /// The token in the link that the command answers.
        func token(user: String = "U1") async throws -> String {
            let text = try await say("link", user: user)
            let start = try #require(text.range(of: "/slack/link?token="))
            return String(text[start.upperBound...].prefix { $0 != "|" })
        }

        func link(user: String = "U1") async throws {
            let session = try await fixture.signIn(root)
            try await slack.link(try await token(user: user), to: session.info, by: fixture.caller(session))
        }

        func links() async throws -> [SlackLink] {
            try await fixture.test.database.read {
                try $0.query(Statement("SELECT \(SlackLink.columns) FROM slack_links ORDER BY id")).map(SlackLink.init)
            }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a request of Slack’s is taken once, and another’s never`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { test in
            let stage = try await Stage(test)
            let body = Array("team_id=T1&user_id=U1&text=help".utf8)
            let timestamp = String(test.clock.clock.now.microseconds / 1_000_000)
            let signature = SlackSignature.header(timestamp: timestamp, body: body, secret: Self.secret)
            #expect(try await stage.slack.admits(signature, timestamp: timestamp, body: body))
            #expect(try await !stage.slack.admits(signature, timestamp: timestamp, body: body))
            #expect(try await !stage.slack.admits(nil, timestamp: timestamp, body: body))
            let later = String(test.clock.clock.now.microseconds / 1_000_000 + 1)
            let other = SlackSignature.header(timestamp: later, body: body, secret: Self.secret)
            // Of several servers one takes it.
            async let first = stage.slack.admits(other, timestamp: later, body: body)
            async let second = stage.slack.admits(other, timestamp: later, body: body)
            #expect(try await [first, second].count { $0 } == 1)
            test.clock.advance(.minutes(6))
            #expect(try await !stage.slack.admits(other, timestamp: later, body: body))
            test.clock.advance(.minutes(6))
            try await StaffSlack.forget(in: test.database)
            #expect(try await stage.fixture.count("SELECT count(*) AS count FROM slack_requests") == 0)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an account is linked once, with a fresh factor, and answers as its person may see`(
        kind: TestDatabase.Kind
    ) async throws {
        try await TestDatabase.with(kind) { test in
            let stage = try await Stage(test, showsNames: true)
            #expect(try await stage.say("").contains("/postern search"))
            #expect(try await stage.say("frobnicate").hasPrefix("I don’t know “frobnicate”"))
            for text in ["search acme", "approvals", "status"] {
                #expect(try await stage.say(text).contains("is not linked"), "\(text)")
            }
            let session = try await stage.fixture.signIn(stage.root)
            let token = try await stage.token()
            #expect(try await stage.slack.offer(token).userName == "robin")
            // A session found open on a desk links nothing.
            test.clock.advance(.minutes(6))
            let stale = try await stage.fixture.caller(session)
            guard
                case .stepUpRequired? = await failure({
                    try await stage.slack.link(token, to: session.info, by: stale)
                })
            else {
                Issue.record("linked without a fresh factor")
                return
            }
            try await stage.link()
            #expect(try await stage.fixture.events("slack_link.add").count == 1)
            #expect(try await stage.links().map(\.slackUser) == ["U1"])
            // The older offer of the same account still stands, for ten minutes and once.
            test.clock.advance(.minutes(5))
            guard case .notFound? = await failure({ _ = try await stage.slack.offer(token) }) else {
                return #expect(Bool(false), "an offer outlived its time")
            }

            #expect(try await stage.say("approvals") == "Nothing waits for a signature you could give.")
            #expect(try await stage.say("status").contains("Every event is in the log") == false)
            #expect(try await stage.say("search") == "Say what to look for: `/postern search acme`.")
            #expect(try await stage.say("search <acme>").contains("Nothing was found for “&lt;acme&gt;”"))
            #expect(try await stage.say("link").contains("is linked already"))
            #expect(try await stage.say("approvals", user: "U2").contains("is not linked"))
            let looks = try await stage.fixture.events("tenant.search")
            #expect(looks.count == 1 && looks[0]["client"] == "slack" && looks[0]["class"] == "access")
            #expect(looks[0]["actor"]?["id"]?.string == stage.root.id)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a link ends with the person, with their factors, and when they say so`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { test in
            let stage = try await Stage(test)
            try await stage.link()
            #expect(try await stage.say("approvals").hasPrefix("Nothing waits"))
            let session = try await stage.fixture.signIn(stage.root)
            let caller = try await stage.fixture.caller(session)
            let id = try #require(try await stage.links().first).id
            guard
                case .notFound? = await failure({
                    try await stage.slack.unlink("slk_1", of: session.info, by: caller)
                })
            else {
                Issue.record("there is no such link")
                return
            }
            try await stage.slack.unlink(id, of: session.info, by: caller)
            #expect(try await stage.say("approvals").contains("is not linked"))
            #expect(try await stage.fixture.events("slack_link.end").count == 1)

            // Linked anew by somebody else: whoever holds the account in Slack says whose it is.
            try await stage.link()
            let second = try await stage.fixture.invite("second@example.com", roles: ["support_l1"], by: caller)
            let other = try await stage.fixture.signIn(second)
            try await stage.slack.unlink(
                try #require(try await stage.links().last).id, of: session.info, by: caller)
            try await stage.slack.link(
                try await stage.token(), to: other.info, by: try await stage.fixture.caller(other))
            #expect(try await stage.links().filter { $0.endedAt == nil }.map(\.staffID) == [second.id])
            #expect(try await stage.say("approvals").hasPrefix("Nothing waits"))
            // A password is not what it was confirmed with.
            let others = "UPDATE factors SET status = $2 WHERE staff_id = $1 AND kind IN ('totp', 'webauthn')"
            try await test.tamper([Statement(others, [.text(second.id), .text("revoked")])])
            #expect(try await stage.say("approvals").contains("is not linked"))
            try await test.tamper([Statement(others, [.text(second.id), .text("active")])])
            #expect(try await stage.say("approvals").hasPrefix("Nothing waits"))
            // Factors older than the link are gone: whoever made new ones links anew.
            try await test.tamper([
                Statement("UPDATE slack_links SET linked_at = 0 WHERE staff_id = $1", [.text(second.id)])
            ])
            #expect(try await stage.say("approvals").contains("is not linked"))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `whoever ends all sessions of a person ends their links too`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { test in
            let stage = try await Stage(test)
            let caller = try await stage.fixture.caller(stage.root.first)
            let second = try await stage.fixture.invite("second@example.com", roles: ["support_l1"], by: caller)
            try await stage.slack.link(
                try await stage.token(), to: second.first.info, by: try await stage.fixture.caller(second.first))
            #expect(try await stage.say("approvals").hasPrefix("Nothing waits"))
            let outcome = try await stage.fixture.pipeline.run(
                OperationRequest(
                    operation: "staff.revoke_sessions", target: second.id, reasonCode: "suspicious",
                    justification: "It is not clear who uses them.", idempotencyKey: "everywhere"), by: caller)
            guard case .applied(let applied) = outcome.result else { throw StoreError.other("it waits") }
            #expect(applied.consequence.hasSuffix("Their link to Slack ends."))
            #expect(try await stage.say("approvals").contains("is not linked"))
            #expect(try await stage.links().allSatisfy { $0.endedAt != nil })
        }
    }

    // MARK: Messages

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a request is a message with buttons that open pages, and says later how it ended`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await InboxTests.Stage(kind)
        let world = stage.world
        try await DeliveryChannels.announce([.slack], in: world.test.database)
        var fixture = DeliveryFixture(world: world)
        fixture.settings.channels = [.slack, .webhook]
        let courier = ScriptedCourier(.delivered(status: 200, receipt: "1700.1"))
        func send() async throws {
            for _ in 0..<4 {
                world.test.clock.advance(.seconds(2))
                try await fixture.send(by: courier)
            }
        }
        let id = try await stage.ask().approvalID
        try await send()
        let asked = try #require(
            courier.bodies.first(where: { ($0["text"]?.string ?? "").hasPrefix("A signature is asked for") }))
        let blocks = asked["blocks"]?.array ?? []
        #expect(blocks.map { $0["type"]?.string } == ["section", "context", "actions"])
        let buttons = blocks.last?["elements"]?.array ?? []
        #expect(buttons.allSatisfy { $0["type"] == "button" && $0["value"] == nil })
        #expect(
            buttons.compactMap { $0["url"]?.string } == [
                "http://localhost:8080/approvals/\(id)", "http://localhost:8080/approvals/\(id)/approve",
                "http://localhost:8080/approvals/\(id)/reject",
            ])
        for word in ["leaving", "asker", "stf_", "because the test world", "TEST-1"] {
            #expect(!asked.canonicalText.contains(word), "\(word)")
        }
        try await stage.decide("reject", id, by: stage.signer)
        try await send()
        let ended = try #require(courier.parcels.last(where: { $0.url == "chat.update" }))
        let body = try JSON(parsing: ended.body)
        #expect(body["ts"] == "1700.1" && (body["text"]?.string ?? "").hasSuffix(": rejected"))
        #expect((body["blocks"]?.array?.last?["elements"]?.array ?? []).count == 1)
        #expect(courier.parcels.count { $0.url == "chat.update" } == 1)

        // One that ended before it was posted says so by itself.
        fixture.settings.namesInSlack = true
        let second = try await stage.ask().approvalID
        _ = try await fixture.outbox.distribute()
        try await stage.decide("reject", second, by: stage.signer)
        let before = courier.parcels.count
        try await send()
        let late = courier.bodies.dropFirst(before).filter { $0.canonicalText.contains(second) }
        #expect(late.contains { ($0["text"]?.string ?? "").hasSuffix(": rejected") })
        #expect(late.contains { $0.canonicalText.contains("by asker, about Tenant leaving") })

        // Whom an invitation is for is sealed, so that names don't tell it either.
        let third = try await world.ask(
            "staff.invite", ["email": "mia@staff.test", "name": "Mia", "roles": ["support_l1"]],
            by: world.caller(stage.asker.person))
        try await send()
        let invited = courier.bodies.filter { $0.canonicalText.contains(third.approvalID) }
        #expect(invited.contains { ($0["text"]?.string ?? "").contains("Invite staff") })
        #expect(!invited.contains { $0.canonicalText.contains("mia@") || $0.canonicalText.contains("Mia") })
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the channel is reminded once`(kind: TestDatabase.Kind) async throws {
        let stage = try await InboxTests.Stage(kind)
        let world = stage.world
        try await DeliveryChannels.announce([.slack], in: world.test.database)
        var fixture = DeliveryFixture(world: world)
        fixture.settings.channels = [.slack]
        let courier = ScriptedCourier(.delivered(status: 200))
        _ = try await stage.ask()
        while try await fixture.outbox.distribute() {}
        for span in [Span.hours(12), .minutes(11 * 60 + 51)] {
            world.test.clock.advance(span + .seconds(1))
            for _ in 0..<2 {
                try await ReminderTurn(
                    pipeline: world.pipeline, channels: [.slack], clock: world.test.clock.clock
                ).turn()
            }
        }
        for _ in 0..<6 {
            world.test.clock.advance(.seconds(2))
            try await fixture.send(by: courier)
        }
        let texts = courier.bodies.compactMap { $0["text"]?.string }
        #expect(texts.count { $0.hasPrefix("Still waits for a signature") } == 1)
        await world.close()
    }
}
