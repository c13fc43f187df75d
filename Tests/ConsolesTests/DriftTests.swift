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
        try await world.run("drift.accept", on: drift[0].id)
        let after = try await document()
        #expect(after.plan == "business" && after.tier == "standard")
        #expect(try await drifts()[0].state == .accepted)
        let before = try await world.snapshot()
        try await tell(["plan": "business", "tier": "gold"])
        #expect(try await world.snapshot() == before, "they agree")
        await #expect(throws: OperationError.self) { try await world.run("drift.accept", on: drift[0].id) }
        #expect(try await tell(["plan": "team"])[0].state == .open)
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
        #expect(try await tell(["status": "active"])[0].state == .resolved)
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
        let second = try await tell(["owner_email": "bo@acme.test"])[0]
        #expect(second.state == .open && second.ours == first.theirs)
        try await world.run("drift.accept", on: second.id)
        let owners = try await world.snapshot().documents.filter {
            $0.key.hasPrefix("membership ") && $0.value.contains("\"role\":\"owner\"")
        }
        #expect(owners.count == 1 && owners.values.allSatisfy { $0.contains(second.theirs) })
        await world.close()
    }
}
