import HTML
import Kernel
import Store
import TestSupport
import Testing

@testable import Consoles

/// From the commit of an operation to what the receiver hears, without a network.
@Suite struct DeliveryTests {
    @Test(arguments: TestDatabase.Kind.allCases)
    func `without an endpoint an effect is done and nothing is undelivered`(kind: TestDatabase.Kind) async throws {
        try await DeliveryFixture.with(kind) { fixture in
            try await fixture.world.tenant("acme")
            let events = try await fixture.count("events")
            #expect(try await fixture.count("outbox_pending") == 1)
            while try await fixture.outbox.distribute() {}
            #expect(try await fixture.count("outbox_pending") == 0)
            #expect(try await fixture.count("deliveries") == 0)
            #expect(try await fixture.count("events") == events)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an endpoint hears what it subscribed to, since it was made`(kind: TestDatabase.Kind) async throws {
        try await DeliveryFixture.with(kind) { fixture in
            try await fixture.world.tenant("before")
            fixture.world.test.clock.advance(.seconds(1))
            try await fixture.webhook(["tenant.suspended"])
            let tenant = try await fixture.world.tenant("acme", then: [("tenant.suspend", "abuse")])
            let courier = ScriptedCourier()
            try await fixture.send(by: courier)
            #expect(courier.bodies.map { $0["type"]?.string } == ["tenant.suspended"])
            let body = try #require(courier.bodies.first)
            #expect(body["specversion"] == "1.0" && body["subject"] == .string("tenants/\(tenant)"))
            #expect(body["data"]?["tenant"]?["external_id"] == "ext-acme")
            #expect(body["data"]?["tenant"]?["version"] == 2)
            #expect(body["data"]?["tenant"]?["status"] == "suspended")
            #expect(!body.canonicalText.contains("Tenant acme"), "a name was told")
            #expect(body.canonical.count < 20_000)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a notice is announced where an endpoint asks for it, and not where none does`(
        kind: TestDatabase.Kind
    ) async throws {
        try await DeliveryFixture.with(kind) { fixture in
            let world = fixture.world
            let tenant = try await world.tenant("acme")
            func announced() async throws -> [String] {
                try await world.pipeline.preview(
                    OperationRequest(
                        operation: "tenant.suspend", target: tenant, reasonCode: "abuse",
                        justification: "They send spam."), by: world.everybody
                ).effects.map(\.name)
            }
            func queued(_ operation: String, _ reason: String) async throws -> [String]? {
                let key = world.key()
                let anybody = world.everybody
                // The answer to another client keeps none of it.
                let caller = Caller(
                    actor: anybody.actor, person: anybody.person, displayName: anybody.displayName,
                    roles: anybody.roles, permissions: anybody.permissions, authentication: anybody.authentication,
                    client: .console, ip: "127.0.0.1", userAgent: "test", requestID: anybody.requestID)
                _ = try await world.pipeline.run(
                    OperationRequest(
                        operation: operation, target: tenant, reasonCode: reason, justification: "They send spam.",
                        idempotencyKey: key), by: caller)
                let outcome = try await world.pipeline.outcome(ofKey: key, by: caller)
                return try await world.pipeline.queued(with: outcome)?.map(\.name)
            }
            try await fixture.webhook(["tenant.created"])
            #expect(try await announced() == [])
            #expect(try await queued("tenant.suspend", "abuse") == [])
            #expect(try await queued("tenant.restore", "investigation_closed") == [])
            world.test.clock.advance(.seconds(1))
            let webhook = try await fixture.webhook(["tenant.suspended"])
            #expect(try await announced() == ["tenant.suspended"])
            #expect(try await queued("tenant.suspend", "abuse") == ["tenant.suspended"])
            #expect(try await queued("tenant.restore", "investigation_closed") == [])
            try await world.run("webhook.disable", on: webhook, reason: "maintenance")
            #expect(try await announced() == [])
        }
    }

    private static let aboutPeople = WebhookEvent.names.filter { $0.hasPrefix("user.") }

    /// Notices as `name`, and what they say of the member, in the order they were sent.
    private static func words(_ bodies: [JSON]) -> [String] {
        bodies.map { body in
            let member = body["data"]?["membership"]
            let words = [
                body["type"]?.string, member?["role"]?.string, member?["status"]?.string,
                member?["version"]?.int.map { "\($0)" },
            ]
            return words.compactMap { $0 }.joined(separator: " ")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an endpoint hears of people and of their places in tenants, without their names`(
        kind: TestDatabase.Kind
    ) async throws {
        try await DeliveryFixture.with(kind) { fixture in
            let world = fixture.world
            let tenant = try await world.tenant("acme")
            try await fixture.webhook(Self.aboutPeople)
            func put(_ operation: String, _ input: JSON) async throws -> [JSON] {
                try await world.run("registry.\(operation)", input, by: world.system)
                let courier = ScriptedCourier()
                try await fixture.send(by: courier)
                return courier.bodies
            }
            let person: [String: JSON] = [
                "external_id": "u-1", "email": "ada.lovelace@acme.test", "name": "Ada Lovelace",
            ]
            let created = try #require(try await put("put_user", ["user": .object(person)]).first)
            let user = try #require(created["data"]?["user"]?["id"]?.string)
            #expect(created["type"] == "user.created" && created["subject"] == .string("users/\(user)"))
            #expect(
                created["data"]?["user"]
                    == ["id": .string(user), "external_id": "u-1", "version": 1, "status": "active"])
            #expect(created["data"]?["tenant"] == nil, "nobody's tenant")

            let renamed = person.merging(["name": "Ada King", "last_login_at": "2026-11-01T09:00:00Z"]) { $1 }
            let updated = try #require(try await put("put_user", ["user": .object(renamed)]).first)
            #expect(updated["type"] == "user.updated" && updated["data"]?["fields"] == ["name"])
            #expect(updated["data"]?["user"]?["version"] == 2)
            let seen = renamed.merging(["last_login_at": "2026-11-02T09:00:00Z"]) { $1 }
            #expect(try await put("put_user", ["user": .object(seen)]).isEmpty, "a sign-in is no change of a person")

            var told: [JSON] = []
            for (role, status) in [("member", "invited"), ("member", "joined"), ("admin", "joined")] {
                told += try await put(
                    "put_member",
                    [
                        "member": [
                            "tenant": "ext-acme", "user": "u-1", "role": .string(role), "status": .string(status),
                        ]
                    ])
            }
            told += try await put("remove_member", ["member": ["tenant": "ext-acme", "user": "u-1"]])
            #expect(
                Self.words(told) == [
                    "user.invited member invited 1", "user.joined member joined 2",
                    "user.role_changed admin joined 3", "user.removed admin revoked 4",
                ])
            for body in told {
                #expect(body["subject"] == .string("users/\(user)"))
                #expect(body["data"]?["user"] == ["id": .string(user), "external_id": "u-1"])
                #expect(
                    body["data"]?["tenant"]
                        == ["id": .string(tenant), "external_id": "ext-acme", "version": 1, "status": "active"])
            }
            #expect(told[2]["data"]?["change"] == ["field": "role", "from": "member", "to": "admin"])
            for body in told + [created, updated] {
                let text = body.canonicalText
                #expect(!text.contains("Ada") && !text.contains("acme.test"), "a name or an address was told: \(text)")
                #expect(body.canonical.count < 20_000)
            }
            // In the order of the tenant, each in its lane.
            #expect(try await fixture.deliveries().map(\.tenantID).filter { $0 == tenant }.count == 4)
        }
    }

    @Test func `a batch tells of each tenant, person and membership once, an import of none`() async throws {
        try await DeliveryFixture.with(.sqlite) { fixture in
            let world = fixture.world
            try await fixture.webhook(Self.aboutPeople + ["tenant.created"])
            func row(_ number: Int) -> JSON {
                [
                    "external_id": .string("c-\(number)"), "name": .string("Customer \(number)"),
                    "slug": .string("c-\(number)"), "owner_email": .string("owner-\(number)@c.test"),
                    "members": [["email": "shared@c.test", "role": "billing"]],
                ]
            }
            let rows: [JSON] = (1...2).map { number in
                .object((row(number).object ?? [:]).merging(["type": "tenant"]) { $1 })
            }
            try await world.run("registry.put_batch", ["records": .array(rows)], by: world.system)
            let courier = ScriptedCourier()
            try await fixture.send(by: courier)
            let counts = Dictionary(grouping: courier.bodies) { $0["type"]?.string ?? "" }.mapValues(\.count)
            #expect(counts == ["tenant.created": 2, "user.created": 3, "user.joined": 4])
            let joined = courier.bodies.filter { $0["type"] == "user.joined" }
            #expect(joined.allSatisfy { $0["data"]?["tenant"]?["version"] == 1 })

            try await world.run("registry.import_batch", ["rows": [row(3)]], by: world.system)
            let silent = ScriptedCourier()
            try await fixture.send(by: silent)
            #expect(silent.bodies.isEmpty)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `what became of it is an effect event linked to the operation's`(kind: TestDatabase.Kind) async throws {
        try await DeliveryFixture.with(kind) { fixture in
            try await fixture.webhook()
            let created = try await fixture.world.run(
                "tenant.create", ["external_id": "x", "name": "X", "slug": "x", "plan": "team", "region": "eu-west"])
            try await fixture.send(by: ScriptedCourier())
            let queued = try #require(try await fixture.effects("delivery.queued").first)
            let sent = try #require(try await fixture.effects("delivery.sent").first)
            for leaf in [queued, sent] {
                #expect(leaf["class"] == "effect" && leaf["linked"] == .string(created.eventID))
                #expect(leaf["operation_id"] == .string(created.operationID))
            }
            #expect(queued["outcome"] == "requested" && sent["outcome"] == "applied")
            #expect(sent["facts"] == ["name": "tenant.created", "attempts": 1, "http_status": 200])
            #expect(try await fixture.deliveries().map(\.state) == [.delivered])
            #expect(try await fixture.count("delivery_queue") == 0)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `one of a tenant is under way, and the next follows in the order of the commits`(
        kind: TestDatabase.Kind
    ) async throws {
        try await DeliveryFixture.with(kind) { fixture in
            try await fixture.webhook()
            let acme = try await fixture.world.tenant("acme", then: [("tenant.suspend", "abuse")])
            let other = try await fixture.world.tenant("other")
            while try await fixture.outbox.distribute() {}
            let first = try await fixture.outbox.claim(10, inFlight: [:])
            #expect(Set(first.map(\.lane)).count == 2 && first.count == 2)
            #expect(try await fixture.outbox.claim(10, inFlight: [:]).isEmpty)
            for parcel in first.reversed() {
                try await fixture.outbox.settle(parcel, .delivered(status: 204), took: .milliseconds(1))
            }
            let second = try await fixture.outbox.claim(10, inFlight: [:])
            let body = try JSON(parsing: try #require(second.first).body)
            #expect(second.count == 1 && body["type"] == "tenant.suspended")
            #expect(body["subject"] == .string("tenants/\(acme)"))
            #expect(other != acme)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an attempt whose process died is made again, and its late report counts for nothing`(
        kind: TestDatabase.Kind
    ) async throws {
        try await DeliveryFixture.with(kind) { fixture in
            try await fixture.webhook()
            try await fixture.world.tenant("acme")
            while try await fixture.outbox.distribute() {}
            let lost = try #require(try await fixture.outbox.claim(10, inFlight: [:]).first)
            fixture.world.test.clock.advance(.seconds(59))
            #expect(try await fixture.outbox.claim(10, inFlight: [:]).isEmpty)
            fixture.world.test.clock.advance(.seconds(2))
            let again = try #require(try await fixture.outbox.claim(10, inFlight: [:]).first)
            #expect(again.delivery == lost.delivery && again.body == lost.body && again.attempt == 2)
            #expect(try await fixture.outbox.settle(lost, .delivered(status: 200), took: .seconds(61)) == false)
            #expect(try await fixture.deliveries().map(\.state) == [.pending])
            #expect(try await fixture.outbox.settle(again, .delivered(status: 200), took: .seconds(1)))
            #expect(try await fixture.deliveries().map(\.state) == [.delivered])
            #expect(try await fixture.effects("delivery.sent").count == 1)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a worker that stops gives what it has under way back at once`(kind: TestDatabase.Kind) async throws {
        try await DeliveryFixture.with(kind) { fixture in
            try await fixture.webhook()
            try await fixture.world.tenant("acme")
            let worker = OutboxWorker(outbox: fixture.outbox, courier: HangingCourier())
            #expect(try await worker.turn() == 1)
            #expect(try await fixture.outbox.claim(10, inFlight: [:]).isEmpty)
            await worker.stop()
            let again = try #require(try await fixture.outbox.claim(10, inFlight: [:]).first)
            #expect(again.attempt == 2)
            #expect(try await fixture.deliveries().map(\.state) == [.pending])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a worker that starts anew gives back what it has under way, and sends on`(
        kind: TestDatabase.Kind
    ) async throws {
        try await DeliveryFixture.with(kind) { fixture in
            try await fixture.webhook()
            try await fixture.world.tenant("acme")
            let worker = OutboxWorker(outbox: fixture.outbox, courier: HangingCourier())
            #expect(try await worker.turn() == 1)
            #expect(try await worker.turn() == 0)
            await worker.restart()
            await worker.finishSends()
            #expect(try await fixture.deliveries().map(\.state) == [.pending])
            #expect(try await worker.turn() == 1)
            await worker.stop()
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an endpoint disabled while an attempt is under way hears nothing more`(
        kind: TestDatabase.Kind
    ) async throws {
        try await DeliveryFixture.with(kind) { fixture in
            let webhook = try await fixture.webhook()
            try await fixture.world.tenant("acme", then: [("tenant.suspend", "abuse")])
            while try await fixture.outbox.distribute() {}
            let underWay = try #require(try await fixture.outbox.claim(10, inFlight: [:]).first)
            try await fixture.world.run("webhook.disable", on: webhook, reason: "maintenance")
            try await fixture.world.run("webhook.enable", on: webhook)
            // Its lease stands: there is no second one beside it.
            #expect(try await fixture.outbox.claim(10, inFlight: [:]).isEmpty)
            try await fixture.world.run("webhook.disable", on: webhook, reason: "maintenance")
            #expect(try await fixture.outbox.settle(underWay, .delivered(status: 200), took: .milliseconds(1)))
            let courier = ScriptedCourier()
            try await fixture.send(by: courier)
            #expect(courier.parcels.isEmpty)
            await #expect(throws: OperationError.self) {
                try await fixture.world.run("delivery.replay", on: underWay.delivery)
            }
            try await fixture.world.run("webhook.enable", on: webhook)
            try await fixture.send(by: courier)
            #expect(courier.bodies.map { $0["type"]?.string } == ["tenant.suspended"])
        }
    }

    @Test func `an address is taken or refused with a sentence`() throws {
        for good in [
            "https://hooks.example.com/x?y=1", "https://h.example:8443", "http://localhost:9000/a",
            "https://[2a00::1]/",
        ] {
            #expect(try WebhookURL.parse(text: good, .none).url == good)
        }
        for bad in [
            "", "hooks.example.com", "ftp://h.example/", "https://", "https:///x", "https://u:p@h.example/",
            "https://h.example/#a", "https://h.example:0/", "https://h.example:70000/", "https://h.example:x/",
            "https://h.example/a b", "https://h\u{00F6}st.example/", "https://h.example\\@evil.example/",
        ] {
            #expect(throws: FieldError.Reason.self, "\(bad)") { try WebhookURL.parse(text: bad, .none) }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a newer state supersedes one that waits, and never one that is under way`(
        kind: TestDatabase.Kind
    ) async throws {
        try await DeliveryFixture.with(kind) { fixture in
            try await fixture.webhook()
            let tenant = try await fixture.world.tenant("acme")
            try await fixture.send(by: ScriptedCourier())
            try await fixture.rename(tenant, "First")
            while try await fixture.outbox.distribute() {}
            let underWay = try #require(try await fixture.outbox.claim(1, inFlight: [:]).first)
            try await fixture.rename(tenant, "Second")
            try await fixture.world.run("tenant.suspend", on: tenant, reason: "abuse")
            try await fixture.rename(tenant, "Third")
            while try await fixture.outbox.distribute() {}
            #expect(
                try await fixture.deliveries().map(\.state)
                    == [.delivered, .pending, .superseded, .pending, .pending])
            try await fixture.outbox.settle(underWay, .delivered(status: 200), took: .milliseconds(1))
            let courier = ScriptedCourier()
            try await fixture.send(by: courier)
            // A happening is told whatever comes after it.
            #expect(courier.bodies.map { $0["type"]?.string } == ["tenant.suspended", "tenant.updated"])
            #expect(courier.bodies.map { $0["data"]?["tenant"]?["version"]?.int } == [4, 5])
            let queued = try await fixture.effects("delivery.queued")
            #expect(queued.compactMap { $0["facts"]?["superseded"]?.int } == [1])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `failures are repeated later and later, and given up after three days`(kind: TestDatabase.Kind) async throws {
        try await DeliveryFixture.with(kind) { fixture in
            try await fixture.webhook()
            let tenant = try await fixture.world.tenant("acme")
            let clock = fixture.world.test.clock
            let courier = ScriptedCourier(.failed(status: 503, note: "Answered 503"))
            let began = clock.clock.now
            try await fixture.send(by: courier)
            #expect(courier.parcels.count == 1)
            clock.advance(.seconds(3))
            try await fixture.send(by: courier)
            #expect(courier.parcels.count == 1, "repeated before the pause was over")
            clock.advance(.seconds(4))
            try await fixture.send(by: courier)
            #expect(courier.parcels.count == 2)
            try await fixture.world.run("tenant.suspend", on: tenant, reason: "abuse")
            // What waits behind it is tried as soon as it is given up.
            for _ in 0..<100 where try await fixture.deliveries().first?.state == .pending {
                clock.advance(.hours(1))
                try await fixture.send(by: courier)
            }
            let dead = try #require(try await fixture.deliveries().first)
            #expect(dead.state == .dead)
            #expect(clock.clock.now - began < .days(3) + .hours(1) && .days(2) < clock.clock.now - began)
            #expect(Set(courier.parcels.filter { $0.delivery == dead.id }.map(\.delivery)).count == 1)
            let sent = try #require(try await fixture.effects("delivery.sent").first)
            #expect(sent["outcome"] == "failed" && sent["facts"]?["http_status"] == 503)
            #expect(courier.parcels.last?.delivery != dead.id)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a dead letter that is replayed arrives behind what waits, under the same id`(
        kind: TestDatabase.Kind
    ) async throws {
        try await DeliveryFixture.with(kind) { base in
            var fixture = base
            fixture.settings.schedule.patience = .seconds(0)
            try await fixture.webhook()
            let tenant = try await fixture.world.tenant("acme")
            let broken = ScriptedCourier(.failed(status: nil, note: "Connection refused"))
            try await fixture.send(by: broken)
            let dead = try #require(try await fixture.deliveries().first)
            #expect(dead.state == .dead)
            try await fixture.world.run("tenant.suspend", on: tenant, reason: "abuse")
            while try await fixture.outbox.distribute() {}
            try await fixture.world.run("delivery.replay", on: dead.id)
            await #expect(throws: OperationError.self) { try await fixture.world.run("delivery.replay", on: dead.id) }
            let courier = ScriptedCourier()
            try await fixture.send(by: courier)
            #expect(courier.bodies.map { $0["type"]?.string } == ["tenant.suspended", "tenant.created"])
            #expect(courier.parcels.last?.delivery == dead.id && courier.parcels.last?.attempt == 2)
            #expect(try await fixture.deliveries().map(\.state) == [.delivered, .delivered])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an endpoint that is gone is disabled, and what waits is sent once it is back`(
        kind: TestDatabase.Kind
    ) async throws {
        try await DeliveryFixture.with(kind) { fixture in
            let webhook = try await fixture.webhook()
            try await fixture.world.tenant("acme", then: [("tenant.suspend", "abuse")])
            let gone = ScriptedCourier(.gone)
            try await fixture.send(by: gone)
            #expect(gone.parcels.count == 1)
            #expect(try await fixture.deliveries().map(\.state) == [.dead, .pending])
            let found = try await fixture.world.test.database.read { try Webhook.load(webhook, from: $0) }
            #expect(found?.status == .disabled && found?.disabledFor == "gone")
            // What happens while it is disabled is not kept for it.
            try await fixture.world.tenant("meanwhile")
            try await fixture.send(by: gone)
            #expect(gone.parcels.count == 1)
            try await fixture.world.run("webhook.enable", on: webhook)
            let courier = ScriptedCourier()
            try await fixture.send(by: courier)
            #expect(courier.bodies.map { $0["type"]?.string } == ["tenant.suspended"])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a rotated secret signs beside the new one for a day, and neither is stored in clear`(
        kind: TestDatabase.Kind
    ) async throws {
        try await DeliveryFixture.with(kind) { fixture in
            let created = try await fixture.world.run(
                "webhook.create", ["url": "https://hooks.example.com/x", "events": ["tenant.created"]])
            let first = try #require(created.reveal["signing_secret"].flatMap(WebhookSignature.secret))
            let rotated = try await fixture.world.run("webhook.rotate", on: created.target)
            let second = try #require(rotated.reveal["signing_secret"].flatMap(WebhookSignature.secret))
            #expect(first.count == 32 && second.count == 32 && first != second)
            await #expect(throws: OperationError.self, "the first one signs for its day") {
                try await fixture.world.run("webhook.rotate", on: created.target)
            }
            for age in [Span.hours(23), .hours(25)] {
                let courier = ScriptedCourier()
                fixture.world.test.clock.advance(age)
                try await fixture.world.tenant("t\(age.seconds)")
                try await fixture.send(by: courier)
                let parcel = try #require(courier.parcels.first)
                let opened = parcel.sealedSecrets.map {
                    fixture.world.masterKey.open($0, context: parcel.sealContext)
                }
                #expect(opened == (age == .hours(23) ? [second, first] : [second]))
            }
            let texts = try await fixture.world.test.database.read { reader in
                let rows = try reader.query(Statement("SELECT secret, previous_secret FROM webhooks"))
                let members = try reader.query(Statement("SELECT members FROM sealed"))
                return try rows.flatMap { [try $0.string("secret"), try $0.optionalString("previous_secret") ?? ""] }
                    + members.map { try $0.string("members") }
            }
            for text in texts {
                for secret in [first, second] {
                    #expect(!text.contains(Base64.encode(secret)) && !text.contains(Base64.encodeURL(secret)))
                }
            }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a secret that leaked stops at once, also within the day of the one before`(
        kind: TestDatabase.Kind
    ) async throws {
        try await DeliveryFixture.with(kind) { fixture in
            let webhook = try await fixture.webhook()
            for isSecond in [false, true] {
                // The second time two secrets sign already.
                if isSecond { try await fixture.world.run("webhook.rotate", on: webhook) }
                let rotated = try await fixture.world.run("webhook.rotate", on: webhook, ["end_previous": true])
                let secret = try #require(rotated.reveal["signing_secret"].flatMap(WebhookSignature.secret))
                let courier = ScriptedCourier()
                try await fixture.world.tenant(isSecond ? "second" : "first")
                try await fixture.send(by: courier)
                let parcel = try #require(courier.parcels.first)
                let opened = parcel.sealedSecrets.map {
                    fixture.world.masterKey.open($0, context: parcel.sealContext)
                }
                #expect(opened == [secret])
            }
            // The careful way is open again: nothing overlaps.
            try await fixture.world.run("webhook.rotate", on: webhook)
        }
    }

    private static func show(_ page: Page, id: String? = nil, _ world: World, by caller: Caller) async throws -> String
    {
        let call = PageCallFixture.make(caller, path: id.map { ["id": $0] } ?? [:])
        return try await world.pipeline.read(page.permission, by: caller) { reader in
            let answer = try page.render(call, reader)
            return (answer.body.text, answer.disclosure)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a delivery is called by words, and by whom it is about`(kind: TestDatabase.Kind) async throws {
        try await DeliveryFixture.with(kind) { fixture in
            let world = fixture.world
            try await fixture.webhook(["user.created", "tenant.suspended"])
            try await world.tenant("acme", then: [("tenant.suspend", "abuse")])
            try await world.run(
                "registry.put_user",
                ["user": ["external_id": "u-1", "email": "ada@acme.test", "name": "Ada Lovelace"]], by: world.system)
            while try await fixture.outbox.distribute() {}
            let seeing = world.person("seeing", permissions: ["delivery.view", "user.view", "audit.view"])
            let list = try await Self.show(DeliveryPages.list, world, by: seeing)
            for words in ["Tenant suspended", "tenant.<wbr>suspended", "Tenant acme", "User created", "Ada Lovelace"] {
                #expect(list.contains(words), "\(words)")
            }
            let before = try await world.snapshot()
            world.test.clock.advance(.minutes(2))
            let delivery = try #require(try await fixture.deliveries().first { $0.name == "user.created" })
            let page = try await Self.show(DeliveryPages.view, id: delivery.id, world, by: seeing)
            #expect(page.contains("<h1>User created</h1>") && page.contains("Ada Lovelace"))
            #expect(try await world.events(after: before).map(\.action) == ["user.list"])
            // Who may not look at users is told of none.
            let blind = world.person("blind", permissions: ["delivery.view"])
            let hidden = try await Self.show(DeliveryPages.list, world, by: blind)
            #expect(hidden.contains("User created") && !hidden.contains("Ada Lovelace"))
        }
    }

    @Test func `every delivery has a title in words`() {
        let slack = [
            "slack.events", "slack.root", "slack.test", SlackRequests.asks, SlackRequests.reminds, SlackRequests.ends,
        ]
        let names = WebhookEvent.names + [WebhookEvent.test] + MailNotice.allCases.map(\.rawValue) + slack
        for name in names {
            let title = DeliveryWords.title(name)
            #expect(!title.contains("_") && title.firstMatch(of: /[a-z]\.[a-z]/) == nil, "\(name): \(title)")
        }
        #expect(DeliveryWords.title("tenant.plan_change_requested") == "Tenant plan change requested")
        #expect(DeliveryWords.title("mail.password_changed") == "“Your password was changed”")
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `what waits is counted, and a channel that is not set up says how it is`(
        kind: TestDatabase.Kind
    ) async throws {
        try await DeliveryFixture.with(kind) { fixture in
            let world = fixture.world
            try await fixture.webhook(["tenant.created"])
            for slug in ["acme", "globex"] { try await world.tenant(slug) }
            while try await fixture.outbox.distribute() {}
            let list = try await Self.show(DeliveryPages.list, world, by: world.everybody)
            #expect(list.contains("Waiting<span class=\"n\">2</span>"))
            #expect(list.contains("Dead letters<span class=\"n\">0</span>"))
            for words in ["slack_webhook_url", "smtp_url and mail_from", "/installation/configuration"] {
                #expect(list.contains(words), "\(words)")
            }
            let plain = world.person("plain", permissions: ["delivery.view"])
            #expect(try await !Self.show(DeliveryPages.list, world, by: plain).contains("/installation/configuration"))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a test goes to its endpoint alone, whatever it hears`(kind: TestDatabase.Kind) async throws {
        try await DeliveryFixture.with(kind) { fixture in
            let webhook = try await fixture.webhook(["tenant.deleted"])
            try await fixture.webhook()
            try await fixture.world.run("webhook.send_test", on: webhook)
            let courier = ScriptedCourier()
            try await fixture.send(by: courier)
            #expect(courier.parcels.map(\.endpoint) == [webhook])
            #expect(courier.bodies.first?["type"] == "webhook.test")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a slow endpoint takes only its share of the places`(kind: TestDatabase.Kind) async throws {
        try await DeliveryFixture.with(kind) { fixture in
            let slow = try await fixture.webhook(["tenant.created"])
            for number in 0..<8 { try await fixture.world.tenant("slow-\(number)") }
            fixture.world.test.clock.advance(.seconds(1))
            while try await fixture.outbox.distribute() {}
            let quick = try await fixture.webhook(["tenant.created"])
            let first = try await fixture.outbox.claim(6, inFlight: [:])
            #expect(first.count == 4 && Set(first.map(\.endpoint)) == [slow])
            try await fixture.world.tenant("for-both")
            while try await fixture.outbox.distribute() {}
            let second = try await fixture.outbox.claim(6, inFlight: [slow: 4])
            #expect(second.map(\.endpoint) == [quick])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `two workers on one outbox send everything once`(kind: TestDatabase.Kind) async throws {
        try await DeliveryFixture.with(kind) { fixture in
            try await fixture.webhook()
            for number in 0..<20 {
                try await fixture.world.tenant("t-\(number)", then: [("tenant.suspend", "abuse")])
            }
            let courier = ScriptedCourier()
            let workers = (0..<2).map { _ in OutboxWorker(outbox: fixture.outbox, courier: courier) }
            for worker in workers { await worker.start() }
            for _ in 0..<600 where try await fixture.delivered() < 40 {
                try await Task.sleep(for: .milliseconds(50))
            }
            for worker in workers { await worker.stop() }
            #expect(courier.parcels.count == 40 && Set(courier.parcels.map(\.delivery)).count == 40)
            for (_, bodies) in Dictionary(grouping: courier.bodies, by: { $0["subject"]?.string }) {
                #expect(bodies.map { $0["type"]?.string } == ["tenant.created", "tenant.suspended"])
            }
        }
    }

    @Test func `the worker and the lists read an index and sort nothing`() async throws {
        try await DeliveryFixture.with(.sqlite) { fixture in
            let position = DeliveryQueries.Position(urgency: 1, at: TestDatabase.start, id: "dlv_")
            let lists = [(nil, nil, nil), (Delivery.State.dead, nil, nil), (nil, "whk_", nil), (nil, nil, "ten_")].map {
                DeliveryQueries.page(state: $0, webhook: $1, tenant: $2, after: position, limit: 51)
            }
            let work = [
                OutboxQueries.waiting(.webhook, limit: 50), OutboxQueries.firstDue(),
                OutboxQueries.oldest(.webhook), OutboxQueries.queued(with: "evt_"),
                OutboxQueries.dueLanes(at: TestDatabase.start, leavingOut: ["whk_"], limit: 8, .sqlite),
                OutboxQueries.first(of: "lane"), OutboxQueries.waiting(in: "lane", named: "tenant.updated"),
                Webhook.waitingCount("whk_"), Webhook.subscriptions,
                DeliveryQueries.count(.dead, webhook: nil, tenant: nil),
                DeliveryQueries.count(.pending, webhook: "whk_", tenant: nil),
                DeliveryQueries.count(.pending, webhook: nil, tenant: "ten_"),
                DeliveryQueries.payloads(["out_"]), DeliveryQueries.action(of: "evt_"),
            ]
            for statement in lists + work {
                let plan = try await TestQueries.plan(of: statement, in: fixture.world)
                // Only what a bounded part answered is gone through.
                let scans = plan.split(separator: "\n").filter { $0.firstMatch(of: /SCAN (?!p$|found$)/) != nil }
                #expect(scans.isEmpty && !plan.contains("TEMP B-TREE"), "\(statement.text)\n\(plan)")
            }
        }
    }

    @Test func `every effect an operation announces can be heard`() async throws {
        let world = try await World.make(.sqlite)
        let known = world.catalog
        // One that leaves out no effect, whoever asks for it.
        let pipeline = Pipeline(
            database: world.test.database, records: SQLRecords(), directory: StaffDirectory(),
            catalog: Catalog(operations: known.operations, reads: known.reads, entities: known.entities),
            clock: world.test.clock.clock, settings: world.pipeline.settings)
        for operation in world.catalog.operations {
            guard let trial = try await world.trial(of: operation) else { continue }
            let preview = try await pipeline.preview(trial.request, by: trial.caller)
            for effect in preview.effects where effect.kind == "webhook" && effect.name != "webhook.test" {
                #expect(WebhookEvent.all.contains { $0.name == effect.name }, "\(operation.spec.name): \(effect.name)")
            }
        }
        await world.close()
    }
}
