import TestSupport
import Testing

@testable import Consoles
@testable import Kernel

@Suite struct DriftTests {
    private let world: World
    private let tenant: String

    init() async throws {
        world = try await World.make(.sqlite, populated: false)
        tenant = try await world.tenant("acme")
    }

    /// What the product says of acme.
    @discardableResult
    private func tell(_ fields: [String: JSON]) async throws -> [Drift] {
        let row = fields.merging(["external_id": "ext-acme", "name": "Tenant acme", "slug": "acme"]) { told, _ in told }
        let records = [RegistryRecord.tenant(try RegistryRow(.object(row)))]
        let changes = try await world.test.database.read { reader in
            try RegistryBatch.rehearse(records, for: "test", in: reader).batch.changes.count
        }
        if changes > 0 { try await world.run("registry.put_tenant", ["tenant": .object(row)], by: world.system) }
        return try await drifts()
    }

    private func drifts() async throws -> [Drift] {
        let id = tenant
        return try await world.test.database.read { reader in
            try reader.query(DriftQueries.drifts(of: [id])).map(Drift.init).sorted {
                $0.field.rawValue < $1.field.rawValue
            }
        }
    }

    private func document() async throws -> Tenant {
        let id = tenant
        let tenant = try await world.test.database.read { reader in try Tenant.load(id, from: reader) }
        return try #require(tenant)
    }

    @Test func `one item opens for each field, follows the product, and closes when the difference vanishes`()
        async throws
    {
        let opened = try await tell(["plan": "business", "region": "us-east", "status": "active"])
        #expect(opened.map(\.field) == [.plan, .region] && opened.allSatisfy { $0.state == .open })
        #expect(opened[0].ours == "team" && opened[0].theirs == "business")
        #expect(try await document().plan == "team")
        let before = try await world.snapshot()
        try await tell(["plan": "business", "region": "us-east"])
        #expect(try await world.snapshot() == before, "the same word again is no news")
        let moved = try await tell(["plan": "enterprise", "region": "us-east"])
        #expect(moved.count == 2 && moved[0].id == opened[0].id && moved[0].theirs == "enterprise")
        let closed = try await tell(["plan": "team", "region": "us-east"])
        #expect(closed[0].state == .resolved && closed[0].settledBy == "test" && closed[1].state == .open)
        let again = try await tell(["plan": "business"])
        #expect(again[0].state == .open && again[0].id == opened[0].id && again[0].settledAt == nil)
        await world.close()
    }

    @Test func `a change that staff asked for is not passed over, and is confirmed by the same value`() async throws {
        let drift = try await tell(["plan": "business"])
        try await world.run("tenant.change_plan", on: tenant, ["plan": "enterprise"])
        await #expect(throws: OperationError.self) { try await world.run("drift.accept", on: drift[0].id) }
        #expect(try await document().plan == "team")
        let other = try await tell(["plan": "enterprise"])
        try await world.run("drift.accept", on: other[0].id)
        let after = try await document()
        #expect(after.plan == "enterprise" && after.desired.isEmpty)
        await world.close()
    }

    @Test func `accepting takes the value over`() async throws {
        let drift = try await tell(["plan": "business", "tier": "gold"])
        let told = try await world.snapshot().counts["outbox"] ?? 0
        try await world.run("drift.accept", on: drift[0].id)
        #expect(try await world.snapshot().counts["outbox"] == told + 2, "that it changed, and of what field")
        let after = try await document()
        #expect(after.plan == "business" && after.tier == "standard")
        #expect(try await drifts()[0].state == .accepted)
        let before = try await world.snapshot()
        try await tell(["plan": "business", "tier": "gold"])
        #expect(try await world.snapshot() == before, "they agree")
        await #expect(throws: OperationError.self) { try await world.run("drift.accept", on: drift[0].id) }
        #expect(try await tell(["plan": "team"])[0].state == .open)
        let tier = try #require(try await drifts().first { $0.field == .tier })
        let names = ["tenant.tier_changed", "tenant.updated"]
        try await world.run(
            "webhook.create",
            ["url": "https://hooks.example.com/postern", "events": .array(names.map(JSON.string))])
        let heard = try await world.pipeline.preview(
            OperationRequest(operation: "drift.accept", target: tier.id, justification: "They pay for it."),
            by: world.everybody)
        #expect(heard.effects.map(\.name) == names)
        await world.close()
    }

    @Test func `keeping ours holds until the product says something else`() async throws {
        let drift = try await tell(["plan": "business"])[0]
        try await world.run("drift.dismiss", on: drift.id, reason: "product_wrong")
        let before = try await world.snapshot()
        #expect(try await tell(["plan": "business"])[0].state == .dismissed)
        #expect(try await world.snapshot() == before)
        #expect(try await tell(["plan": "enterprise"])[0].state == .open)
        try await world.run("drift.dismiss", on: drift.id, reason: "product_wrong")
        try await world.run("drift.reopen", on: drift.id)
        #expect(try await drifts()[0].state == .open)
        // What was dismissed may be accepted after all.
        try await world.run("drift.dismiss", on: drift.id, reason: "product_wrong")
        try await world.run("drift.accept", on: drift.id)
        #expect(try await document().plan == "enterprise")
        await world.close()
    }

    @Test func `a state is never taken over, and the operation for it is named`() async throws {
        try await world.run("tenant.suspend", on: tenant, reason: "abuse")
        let drift = try await tell(["status": "active"])[0]
        #expect(drift.field == .status)
        do {
            try await world.run("drift.accept", on: drift.id)
            Issue.record("a sync un-suspended a tenant")
        } catch OperationError.conflict(let reason, let legal) {
            #expect(reason.contains("Restore tenant") && legal?.contains("tenant.restore") == true)
        }
        try await world.run("tenant.restore", on: tenant, reason: "investigation_closed")
        #expect(try await drifts()[0].state == .resolved)
        let before = try await world.snapshot()
        try await tell(["status": "active"])
        #expect(try await world.snapshot() == before, "they agree")
        await world.close()
    }

    @Test func `it closes with the change by which staff say what the product says, and in the same event`()
        async throws
    {
        let open = try await tell(["plan": "business", "status": "suspended", "tier": "gold"])
        try await world.run("drift.dismiss", on: open[0].id, reason: "decided_here")
        try await world.run("tenant.change_plan", on: tenant, ["plan": "business"])
        #expect(try await drifts()[0].state == .dismissed, "it is only wanted")
        try await world.run("tenant.confirm_change", on: tenant, ["field": "plan"])
        #expect(try await drifts()[0].state == .resolved)

        let before = try await world.snapshot()
        let done = try await world.run("tenant.suspend", on: tenant, reason: "abuse")
        let after = try await drifts()
        #expect(after.map(\.state) == [.resolved, .resolved, .open])
        #expect(after[1].ours == "suspended" && after[1].settledBy == world.everybody.person)
        #expect(after[1].settledAt != nil && after[1].version == open[1].version + 1)
        #expect(try await world.entities(named: done.eventID) == ["tenant \(tenant)", "drift \(open[1].id)"])
        #expect(try await world.events(after: before).first?.leaf["facts"]?["drift_closed"] == 1)

        // Changed away again, it waits for the product's next word.
        try await world.run("tenant.restore", on: tenant, reason: "investigation_closed")
        #expect(try await drifts()[1].state == .resolved)
        #expect(try await tell(["status": "suspended"])[1].state == .open)
        await world.close()
    }

    @Test func `nothing differs any more from what was deleted for good`() async throws {
        let open = try await tell(["plan": "business"])
        var gone = try await document()
        gone.status = .deleted
        let closed = try #require(open[0].agreed(with: gone, by: "stf_ann", at: noon))
        #expect(closed.state == .resolved && closed.ours == "team" && closed.settledBy == "stf_ann")
        #expect(closed.agreed(with: gone, by: "stf_ann", at: noon) == nil)
        await world.close()
    }

    @Test func `a change of anything else asks nothing about differences`() async throws {
        let recorder = StatementRecorder()
        let other = try await World.make(.sqlite, populated: false, recorder: recorder)
        let id = try await other.tenant("acme")
        try await other.staff("csm", roles: ["customer_success"])
        try await other.run("tenant.set_note", on: id, ["note": "Call before you do anything."])
        try await other.run("tenant.set_csm", on: id, ["csm": "stf_csm"])
        func asked() -> Bool { recorder.statements.contains { $0.text.contains("FROM drifts") } }
        #expect(!asked())
        try await other.run("tenant.change_tier", on: id, ["tier": "gold"])
        #expect(asked())
        await other.close()
        await world.close()
    }

    @Test func `an owner is taken over with the memberships`() async throws {
        try await tell([
            "members": [["email": "ada@acme.test"], ["email": "bo@acme.test"]], "owner_email": "ada@acme.test",
        ])
        let first = try await drifts()[0]
        #expect(first.field == .owner && first.ours.isEmpty && first.theirs.hasPrefix("usr_"))
        try await world.run("drift.accept", on: first.id)
        #expect(try await document().ownerID == first.theirs)
        let names = try await world.test.database.read { reader in
            try reader.query(Statement("SELECT name FROM outbox")).map { try $0.string("name") }
        }
        #expect(names.count { $0 == "user.role_changed" } == 1, "the new owner's; nobody was it before")
        let second = try await tell(["owner_email": "bo@acme.test"])[0]
        #expect(second.state == .open && second.ours == first.theirs)
        try await world.run("drift.accept", on: second.id)
        let owners = try await world.snapshot().documents.filter {
            $0.key.hasPrefix("membership ") && $0.value["role"] == "owner"
        }
        #expect(owners.count == 1 && owners.values.allSatisfy { $0["user_id"]?.string == second.theirs })
        await world.close()
    }
}
