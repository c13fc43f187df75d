import Consoles
import Kernel
import Store
import TestSupport
import Testing

/// Workers of the servers, and having one start anew.
@Suite struct WorkerTests {
    @Test(arguments: TestDatabase.Kind.allCases)
    func `whoever is on call has a worker start anew, and nobody else does`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, populated: false)
        let oncall = try await world.staff("oncall", roles: ["engineering_oncall"])
        let agent = try await world.staff("agent", roles: ["support_l2", "security"])
        let before = try await Worker.versions(in: world.test.database)
        #expect(Set(before.keys) == Set(Worker.Name.allCases))

        // A look tells no server anything.
        let preview = try await world.pipeline.preview(
            OperationRequest(operation: "worker.restart", target: "chores", justification: "it stands still"),
            by: oncall)
        #expect(preview.allowed && preview.consequence?.hasPrefix("Chores starts anew within a few seconds. ") == true)
        #expect(try await Worker.versions(in: world.test.database) == before)
        await #expect(throws: OperationError.self) { try await world.run("worker.restart", on: "chores", by: agent) }
        await #expect(throws: OperationError.self) { try await world.run("worker.restart", on: "nosuch", by: oncall) }
        #expect(try await Worker.versions(in: world.test.database) == before)

        try await world.run("worker.restart", on: "chores", by: oncall)
        let after = try await Worker.versions(in: world.test.database)
        #expect(after == before.merging([.chores: (before[.chores] ?? 0) + 1]) { _, new in new })
        let row = try await world.test.database.read { try Worker.load("chores", from: $0) }
        #expect(row?.restartedAt == world.test.clock.clock.now)
        await world.close()
    }
}
