import HTML
import Store
import TestSupport
import Testing

@testable import Consoles
@testable import Kernel

/// Changes of plan and region hold once the product has confirmed them.
@Suite struct TenantChangesTests {
    private func load(_ id: String, _ world: World) async throws -> Tenant {
        try #require(try await world.test.database.read { try Tenant.load(id, from: $0) })
    }

    private func told(_ event: String, _ world: World) async throws -> [(name: String, payload: JSON)] {
        try await world.test.database.read { reader in
            try reader.query(
                Statement("SELECT name, payload FROM outbox WHERE event_id = $1 ORDER BY id", [.text(event)])
            ).map { (try $0.string("name"), try $0.json("payload")) }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `what is wanted holds once it is confirmed`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, populated: false)
        let id = try await world.tenant("acme")
        let asked = try await world.run("tenant.change_region", on: id, ["region": "us-east"])
        var tenant = try await load(id, world)
        #expect(tenant.region == "eu-west" && tenant.desired[.region]?.value == "us-east")
        #expect(tenant.desired[.region]?.state == .pending && tenant.desired[.region]?.event == asked.eventID)
        let notice = try await told(asked.eventID, world)
        #expect(notice.map(\.name) == ["tenant.region_change_requested"])
        #expect(notice[0].payload["change"] == ["field": "region", "from": "eu-west", "to": "us-east"])

        // While it is pending nothing else is asked of this field, and the refusal names the event to look at.
        let refused = await failure { try await world.run("tenant.change_region", on: id, ["region": "ap-south"]) }
        guard case .conflict(let sentence, _) = refused else {
            Issue.record("\(String(describing: refused))")
            return
        }
        #expect(sentence.contains("a change to us-east is under way") && sentence.contains(asked.eventID))
        #expect(
            ChangeRegion.unavailable(tenant, now: noon)?.lifting == ["tenant.confirm_change", "tenant.revert_change"])
        // The other field is free.
        try await world.run("tenant.change_plan", on: id, ["plan": "business"])

        let wrong = await failure {
            try await world.run(
                "tenant.confirm_change", on: id, ["field": "region", "value": "ap-south"], by: world.system)
        }
        #expect(wrong != nil)
        let done = try await world.run(
            "tenant.confirm_change", on: id, ["field": "region", "value": "us-east"], by: world.system)
        tenant = try await load(id, world)
        #expect(tenant.region == "us-east" && tenant.desired[.region] == nil && tenant.desired[.plan] != nil)
        #expect(try await told(done.eventID, world).map(\.name) == ["tenant.region_changed"])
        // By hand, too: nobody else may be there to say it.
        try await world.run("tenant.confirm_change", on: id, ["field": "plan"])
        tenant = try await load(id, world)
        #expect(tenant.plan == "business" && tenant.desired.isEmpty && tenant.document["desired"] == nil)
        let nothing = await failure { try await world.run("tenant.confirm_change", on: id, ["field": "plan"]) }
        #expect(nothing != nil && ConfirmChange.unavailable(tenant, now: noon)?.isMoot == true)
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `what fails is tried again or given up`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, populated: false)
        let id = try await world.tenant("acme")
        try await world.run("tenant.change_plan", on: id, ["plan": "business"])
        let early = await failure { try await world.run("tenant.retry_change", on: id, ["field": "plan"]) }
        #expect(early != nil)
        try await world.run(
            "tenant.fail_change", on: id, ["field": "plan", "reason": "No seats left."], by: world.system)
        var tenant = try await load(id, world)
        #expect(tenant.plan == "team" && tenant.desired[.plan]?.state == .failed)
        #expect(tenant.desired[.plan]?.reason == "No seats left.")
        // Another value may be asked for; the same is a retry.
        #expect(ChangePlan.unavailable(tenant, now: noon) == nil && RetryChange.unavailable(tenant, now: noon) == nil)
        let retried = try await world.run("tenant.retry_change", on: id, ["field": "plan"])
        #expect(try await told(retried.eventID, world).map(\.name) == ["tenant.plan_change_requested"])
        tenant = try await load(id, world)
        #expect(tenant.desired[.plan]?.state == .pending && tenant.desired[.plan]?.reason == nil)
        try await world.run("tenant.fail_change", on: id, ["field": "plan"], by: world.system)
        let reverted = try await world.run("tenant.revert_change", on: id, ["field": "plan"])
        tenant = try await load(id, world)
        #expect(tenant.plan == "team" && tenant.desired.isEmpty)
        #expect(try await told(reverted.eventID, world).map(\.name) == ["tenant.change_withdrawn"])
        // Reports are the product's; people are not offered them.
        let hand = await failure { try await world.run("tenant.fail_change", on: id, ["field": "plan"]) }
        guard case .unknownOperation = hand else {
            Issue.record("\(String(describing: hand))")
            return
        }
        await world.close()
    }

    @Test func `the notice tells the product what to change`() {
        func body(_ change: JSON?) -> JSON? {
            let told = WebhookEvent.Told(
                id: "out_1", name: "tenant.plan_change_requested", at: noon, event: "evt_1", operation: "op_1",
                webhook: "whk_1", tenant: "ten_1", externalID: "c-1", tenantVersion: 3, status: "active", change: change
            )
            return try? JSON(parsing: WebhookEvent.body(told, source: "https://console.example.com"))
        }
        let change: JSON = ["field": "plan", "from": "pro", "to": "business"]
        #expect(body(change)?["data"]?["change"] == change)
        #expect(body(nil)?["data"]?["change"] == nil && body(nil)?["data"]?["tenant"]?["version"] == 3)
    }

    @Test func `the preview says who carries it out`() async throws {
        let world = try await World.make(.sqlite, populated: false)
        let id = try await world.tenant("acme")
        func consequence() async throws -> String {
            try await world.pipeline.preview(
                OperationRequest(operation: "tenant.change_plan", target: id, input: ["plan": "pro"]),
                by: world.everybody
            ).consequence ?? ""
        }
        #expect(try await consequence().contains("confirms it here by hand"))
        try await world.run(
            "webhook.create",
            ["url": "https://hooks.example.com/postern", "events": ["tenant.plan_change_requested"]])
        #expect(try await consequence().contains("Your product is asked to carry it out and confirms it."))
        await world.close()
    }

    @Test(arguments: [TenantStatus.pending, .failed, .archived, .deleted])
    func `a tenant that is not in use keeps what it has`(status: TenantStatus) {
        #expect(ChangePlan.unavailable(tenant(status), now: noon) != nil)
        let input = ChangePlan.Input()
        input.plan = TenantWord("pro")
        #expect(throws: Refusal.self) {
            try ChangePlan.plan(call(ChangePlan.self, on: tenant(status), input: input, facts: Receivers(names: [])))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `ownership moves with both roles, and undoing puts both back`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind)
        let (id, people) = try await world.test.database.read { reader -> (String, [Membership]) in
            let id = try reader.first(TestQueries.tenant(slug: "peopled-1"))?.string("id") ?? ""
            return (id, try reader.query(MembershipQueries.live(of: id, limit: 10)).map(Membership.init))
        }
        @Sendable func roles() async throws -> [MembershipRole: String] {
            try await world.test.database.read { reader in
                Dictionary(
                    uniqueKeysWithValues: try reader.query(MembershipQueries.live(of: id, limit: 10))
                        .map(Membership.init).map { ($0.role, $0.userID) })
            }
        }
        let owner = try #require(people.first { $0.role == .owner }).userID
        let grace = try #require(people.first { $0.role == .billing }).userID
        let applied = try await world.run(
            "tenant.transfer_ownership", on: id, ["new_owner": "Grace@Example.com"])
        #expect(applied.after?["owner_id"] == .string(grace))
        #expect(try await roles() == [.owner: grace, .admin: owner])
        #expect(
            try await told(applied.eventID, world).map(\.name).sorted()
                == ["tenant.ownership_transferred", "user.role_changed", "user.role_changed"])
        let again = await failure {
            try await world.run("tenant.transfer_ownership", on: id, ["new_owner": .string(grace)])
        }
        #expect(again != nil)

        var offer = try await world.pipeline.undoOffer(for: applied.eventID, by: world.everybody).request
        #expect(offer.input == ["new_owner": .string(owner), "former_owner": "billing"])
        offer.justification = "It was the wrong person."
        offer.idempotencyKey = world.key()
        _ = try await world.pipeline.run(offer, by: world.everybody)
        #expect(try await roles() == [.owner: owner, .billing: grace])
        await world.close()
    }

    @Test func `only an active member can own a tenant`() throws {
        let target = tenant()
        let user = User(id: "usr_1", email: "ada@acme.test", createdAt: noon)
        var suspended = user
        suspended.status = .suspended
        func facts(_ user: User?, _ status: MembershipStatus?) -> TransferOwnership.Facts {
            .init(
                owner: user,
                membership: status.map {
                    Membership(id: "mem_1", tenant: target.id, userID: "usr_1", role: .member, status: $0)
                })
        }
        let input = TransferOwnership.Input()
        input.newOwner = MemberName(name: "ada@acme.test")
        for facts in [
            facts(nil, nil), facts(user, nil), facts(user, .invited), facts(user, .revoked), facts(suspended, .joined),
        ] {
            let refusal = #expect(throws: Refusal.self) {
                try TransferOwnership.plan(call(TransferOwnership.self, on: target, input: input, facts: facts))
            }
            guard case .field("new_owner", _) = refusal else {
                Issue.record("\(String(describing: refusal))")
                continue
            }
        }
        let plan = try TransferOwnership.plan(
            call(TransferOwnership.self, on: target, input: input, facts: facts(user, .joined)))
        #expect(plan.after?.ownerID == "usr_1" && plan.also.count == 1)
        #expect(throws: FieldError.Reason.self) { try MemberName.parse(text: "somebody", .none) }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a note is sealed and goes with the tenant`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, populated: false)
        let id = try await world.tenant("acme")
        let words = "Their lawyer reads along; call Ada first."
        let before = try await world.snapshot()
        let written = try await world.run("tenant.set_note", on: id, ["note": .string(words)])
        let event = try #require(try await world.events(after: before).first)
        #expect(!event.leaf.canonicalText.contains("lawyer"))
        var tenant = try await load(id, world)
        #expect(tenant.note == words && tenant.noteEventID == written.eventID)
        // Other changes keep it; the end of the tenant takes it away.
        try await world.run("tenant.archive", on: id, reason: "customer_departed")
        tenant = try await load(id, world)
        #expect(tenant.note == words)
        let deleted = try HardDeleteTenant.plan(
            call(
                HardDeleteTenant.self, on: tenant, facts: .init(members: [], isMore: false),
                reasonCode: "retention_policy", at: world.test.clock.clock.now + .days(91)))
        #expect(
            deleted.after?.note == nil && deleted.after?.noteEventID == nil && deleted.after?.desired.isEmpty == true)
        try await world.run("tenant.set_note", on: id, [:])
        tenant = try await load(id, world)
        #expect(tenant.note == nil && tenant.noteEventID == nil)
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the page shows note, changes under way, and who suspended it why`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind)
        func page(_ slug: String, _ permissions: [String]? = nil) async throws -> String {
            let caller = permissions.map { world.person("ines", permissions: $0) } ?? world.everybody
            return try await world.test.database.read { reader in
                let id = try reader.first(TestQueries.tenant(slug: slug))?.string("id") ?? ""
                let call = PageCall(
                    path: ["id": id], query: [:], caller: caller,
                    cursors: CursorCodec(key: Array(repeating: 9, count: 32)), catalog: world.catalog)
                return try TenantPage.page.render(call, reader).body.text
            }
        }
        let stuck = try await page("stuck-1")
        #expect(stuck.contains("The plan could not be changed to business.") && stuck.contains("“No such plan.”"))
        #expect(stuck.contains("/retry-change?input.field=plan") && stuck.contains("/revert-change?input.field=plan"))
        // Offered once, where the page says why.
        #expect(!stuck.contains("/retry-change\"") && !stuck.contains("/revert-change\""))
        let reader = try await page("stuck-1", ["tenant.view"])
        #expect(reader.contains("could not be changed") && !reader.contains("/retry-change"))
        let moving = try await page("moving-1")
        #expect(moving.contains("/confirm-change?input.field=region") && moving.contains("to become us-east"))
        let suspended = try await page("suspended")
        #expect(suspended.contains("Suspended by everybody") && suspended.contains("Invoices are unpaid."))
        #expect(suspended.contains("Restoring makes it active again."))
        let failed = try await page("failed-1")
        #expect(failed.contains("“No capacity left.”"))
        let plain = try await page("active")
        #expect(!plain.contains("/confirm-change") && !plain.contains("/retry-change"))
        await world.close()
    }
}
