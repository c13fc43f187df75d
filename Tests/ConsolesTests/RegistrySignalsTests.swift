import TestSupport
import Testing

@testable import Consoles
@testable import Kernel

@Suite struct RegistrySignalsTests {
    @Test(
        arguments: [
            (TenantStatus.pending, RegistryRow.Onboarding.ready, false, "tenant.mark_ready"),
            (.pending, .failed, true, "tenant.mark_failed"), (.ready, nil, true, "tenant.activate"),
            (.ready, .ready, true, "tenant.activate"), (.ready, nil, false, nil), (.pending, nil, true, nil),
            (.active, .failed, true, nil), (.suspended, .ready, true, nil), (.failed, .ready, false, nil),
        ] as [(TenantStatus, RegistryRow.Onboarding?, Bool, String?)])
    func `a word of the product leads to one operation or none`(
        status: TenantStatus, onboarding: RegistryRow.Onboarding?, isSeen: Bool, operation: String?
    ) {
        #expect(RegistrySignals.operation(status: status, onboarding: onboarding, isSeen: isSeen) == operation)
    }

    /// The operations are looked up by name, so that a catalogue without them takes the word and goes on.
    @Test(arguments: TestDatabase.Kind.allCases)
    func `a tenant that is being set up starts as pending`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, populated: false)
        let row = try RegistryRow(["external_id": "x", "name": "X", "slug": "x", "onboarding": "ready"])
        let made = try await world.run("registry.put_tenant", ["tenant": row.json], by: world.system)
        #expect(made.after?["status"]?.string == "pending")
        await RegistrySignals.follow([.tenant(row)], by: world.system, through: world.pipeline)
        let id = made.target ?? ""
        let status = try await world.test.database.read { try Tenant.load(id, from: $0)?.status }
        #expect(status == (world.catalog["tenant.mark_ready"] == nil ? .pending : .ready))
        await world.close()
    }
}
