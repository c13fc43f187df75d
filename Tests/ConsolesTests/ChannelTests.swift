import Foundation
import HTML
import Kernel
import Store
import StorePostgres
import StoreSQLite
import TestSupport
import Testing

@testable import Consoles

/// The staff channel, from what happens to what is said, without a network.
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
