import Consoles
import Kernel
import Store
import TestSupport
import Testing

/// Requests, by who asks for them: what they may still do, and what is theirs alone (spec: access §3).
@Suite struct ApprovalTestsRequester {
    @Test(arguments: TestDatabase.Kind.allCases)
    func `who asked and who could have signed may cancel, also when it is signed`(kind: TestDatabase.Kind) async throws
    {
        let stage = try await ApprovalStage(kind)
        for canceller in [stage.asker, stage.signer] {
            let id = try await stage.ask().approvalID
            try await stage.decide("approve", id, by: stage.signer)
            try await stage.decide("cancel", id, by: canceller)
            #expect(try await stage.world.approval(id).state == .cancelled)
            stage.world.test.clock.advance(.hours(25))
            #expect(try await stage.world.pipeline.executeDue() == 0)
            #expect(try await stage.status() == "archived")
        }
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `what Postern asks for itself needs two people`(kind: TestDatabase.Kind) async throws {
        let stage = try await ApprovalStage(kind)
        let pending = try await stage.world.ask(
            "tenant.hard_delete", on: stage.tenant, reason: "retention_policy", by: stage.world.system)
        try await stage.decide("approve", pending.approvalID, by: stage.signer)
        #expect(try await stage.world.approval(pending.approvalID).state == .pending)
        #expect(
            try await stage.refusal("approve", pending.approvalID, by: stage.signer).contains("signed this request"))
        try await stage.decide("approve", pending.approvalID, by: stage.asker)
        stage.world.test.clock.advance(.hours(25))
        #expect(try await stage.world.pipeline.executeDue() == 1)
        #expect(try await stage.status() == "deleted")
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `without a cooldown the last signature carries it out, and the link is for who asked`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await ApprovalStage(kind)
        let pending = try await stage.world.ask(
            "staff.invite", ["email": "new@staff.test", "name": "New", "roles": ["support_l1"]], by: stage.asker)
        let outcome = try await stage.decide("approve", pending.approvalID, by: stage.signer)
        #expect(outcome.execution?.state == .executed)
        #expect(try await stage.world.approval(pending.approvalID).state == .executed)
        let answer = try #require(outcome.execution)
        #expect(!answer.json.canonicalText.contains("http"))
        let pipeline = stage.world.pipeline
        let before = try await stage.world.snapshot()
        await #expect(throws: OperationError.self) {
            _ = try await pipeline.takeReveal(of: pending.approvalID, by: stage.signer)
        }
        #expect(try await stage.world.events(after: before).map(\.action) == ["authz.denied"])
        let shown = try await pipeline.takeReveal(of: pending.approvalID, by: stage.asker)
        #expect(shown?.values.contains { $0.contains("/enrol") } == true, "\(String(describing: shown))")
        #expect(try await pipeline.takeReveal(of: pending.approvalID, by: stage.asker) == nil)
        await stage.world.close()
    }
}
