import HTML
import Kernel
import Store
import TestSupport
import Testing

@testable import Consoles

/// What is said of notices after they were queued goes by the log: the endpoints may be others by then.
@Suite struct QueuedNoticesTests {
    /// Suspends a new tenant as somebody asks and somebody else agrees.
    /// - Returns: the request.
    private static func agreed(_ slug: String, _ world: World) async throws -> String {
        let tenant = try await world.tenant(slug)
        let id = try await world.ask(
            "tenant.suspend", on: tenant, reason: "abuse", by: world.caller("stf_admin")
        ).approvalID
        _ = try await world.pipeline.run(
            OperationRequest(operation: "approval.approve", target: id, idempotencyKey: world.key()),
            by: world.caller("stf_guard"))
        try await world.pipeline.executeDue()
        try #require(try await world.approval(id).state == .executed)
        return id
    }

    /// What the page of a request says was sent, and the same as the API answers it.
    private static func told(
        _ id: String, _ world: World
    ) async throws -> (page: String, webhooks: [String]?, sent: JSON?) {
        let caller = try await world.caller("stf_admin")
        let call = PageCallFixture.make(caller, path: ["id": id])
        return try await world.test.database.read { reader in
            let detail = try ApprovalDetail.load(id, for: caller, from: reader)
            return (
                page: try ApprovalPages.detail.render(call, reader).body.text,
                webhooks: detail.sent?.filter { $0.kind == "webhook" }.map(\.name),
                sent: detail.json(at: reader.now)["sent"]
            )
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a request that was carried out says what its notices came to, whatever became of the endpoint`(
        kind: TestDatabase.Kind
    ) async throws {
        try await DeliveryFixture.with(kind) { fixture in
            let world = fixture.world
            let clock = world.test.clock
            let line = "Webhook tenant.suspended to the endpoints that ask for it"
            let admin = try await world.staff("admin", roles: ["super_admin"])
            try await PolicyStage.change(
                world, "policy.add_rule", on: nil,
                [
                    "code": "suspend_two", "operation": "tenant.suspend", "condition": "always", "demand": "security",
                    "summary": "Suspending",
                ], by: admin)
            let webhook = try await fixture.webhook(["tenant.suspended"])
            clock.advance(.seconds(1))

            // Until the worker has looked, those that are there will hear of it.
            let heard = try await Self.agreed("heard", world)
            #expect(try await Self.told(heard, world).webhooks == ["tenant.suspended"])
            try await fixture.send(by: ScriptedCourier(.gone))
            let status = try await world.test.database.read { try Webhook.load(webhook, from: $0)?.status }
            try #require(status == .disabled)
            for span in [Span.seconds(0), .minutes(2)] {
                clock.advance(span)
                let told = try await Self.told(heard, world)
                #expect(told.webhooks == ["tenant.suspended"] && told.page.contains(line), "\(told.page)")
                #expect(told.sent?.array?.contains { $0["name"] == "tenant.suspended" } == true)
            }

            // Nobody is there when it runs, and somebody is afterwards.
            let unheard = try await Self.agreed("unheard", world)
            #expect(try await Self.told(unheard, world).webhooks == [])
            while try await fixture.outbox.distribute() {}
            try await world.run("webhook.enable", on: webhook)
            for span in [Span.seconds(0), .minutes(2)] {
                clock.advance(span)
                let told = try await Self.told(unheard, world)
                #expect(told.webhooks == [] && !told.page.contains(line), "\(told.page)")
            }

            // The log need not hold any longer that somebody heard: what it does hold is still true.
            clock.advance(.days(7 * 366))
            #expect(try await Self.told(heard, world).webhooks == ["tenant.suspended"])
            let forgotten = try await Self.told(unheard, world)
            #expect(forgotten.webhooks == nil && forgotten.sent == .null)
            #expect(forgotten.page.contains("Not known any more."), "\(forgotten.page)")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the page of a result says what was queued, whatever became of the endpoint`(
        kind: TestDatabase.Kind
    ) async throws {
        try await DeliveryFixture.with(kind) { fixture in
            let world = fixture.world
            /// The answer to another client keeps none of what was sent.
            func browser() -> Caller {
                let anybody = world.everybody
                return Caller(
                    actor: anybody.actor, person: anybody.person, displayName: anybody.displayName,
                    roles: anybody.roles, permissions: anybody.permissions, authentication: anybody.authentication,
                    client: .console, ip: "127.0.0.1", userAgent: "test", requestID: anybody.requestID)
            }
            func suspend(_ slug: String) async throws -> String {
                let key = world.key()
                _ = try await world.pipeline.run(
                    OperationRequest(
                        operation: "tenant.suspend", target: world.tenant(slug), reasonCode: "abuse",
                        justification: "They send spam.", idempotencyKey: key), by: browser())
                return key
            }
            func queued(_ key: String) async throws -> [String]? {
                let outcome = try await world.pipeline.outcome(ofKey: key, by: browser())
                return try await world.pipeline.queued(with: outcome)?.map(\.name)
            }
            let webhook = try await fixture.webhook(["tenant.suspended"])
            world.test.clock.advance(.seconds(1))
            let heard = try await suspend("heard")
            #expect(try await queued(heard) == ["tenant.suspended"])
            try await fixture.send(by: ScriptedCourier(.gone))
            #expect(try await queued(heard) == ["tenant.suspended"])

            let unheard = try await suspend("unheard")
            #expect(try await queued(unheard) == [])
            while try await fixture.outbox.distribute() {}
            try await world.run("webhook.enable", on: webhook)
            #expect(try await queued(unheard) == [])
            world.test.clock.advance(.minutes(2))
            #expect(try await queued(heard) == ["tenant.suspended"])
            #expect(try await queued(unheard) == [])
        }
    }
}
