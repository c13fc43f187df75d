import Consoles
import Kernel
import Store
import TestSupport
import Testing

/// Requests, by who may not decide on them (spec: access §3).
@Suite struct ApprovalTestsRefused {
    @Test(arguments: TestDatabase.Kind.allCases)
    func `who asked, who lacks the role, who is not staff and who signed already are refused`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await ApprovalStage(kind)
        let id = try await stage.ask().approvalID
        #expect(try await stage.refusal("approve", id, by: stage.asker).contains("You asked for this yourself"))
        #expect(try await stage.refusal("reject", id, by: stage.asker).contains("You asked for this yourself"))
        #expect(try await stage.refusal("approve", id, by: stage.other).contains("None of your roles signs"))
        #expect(try await stage.refusal("reject", id, by: stage.other).contains("None of your roles signs"))
        #expect(try await stage.refusal("cancel", id, by: stage.other).contains("None of your roles signs"))
        // Holding every permission by a grant of no role, or being a program, makes nobody a signer.
        let imposter = stage.world.person("imposter", permissions: stage.world.catalog.permissions)
        let program = Caller(
            actor: Actor(.service, "svc_1"), person: stage.signer.person, displayName: "Program",
            roles: stage.signer.roles, permissions: stage.signer.permissions,
            authentication: imposter.authentication, client: .api, requestID: "req_1")
        for caller in [imposter, program, stage.world.system] {
            await #expect(throws: OperationError.self) {
                try await stage.world.pipeline.run(
                    OperationRequest(
                        operation: "approval.approve", target: id, idempotencyKey: stage.world.key()), by: caller)
            }
        }
        try await stage.decide("approve", id, by: stage.signer)
        #expect(try await stage.refusal("approve", id, by: stage.signer).contains("scheduled already"))
        #expect(try await stage.world.approval(id).state == .scheduled)
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an account the requester made what it is signs nothing of theirs for 72 hours`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await ApprovalStage(kind)
        let puppet = try await stage.world.staff(
            "puppet", roles: ["super_admin"], grantedBy: stage.asker.person, ago: .hours(71))
        var id = try await stage.ask().approvalID
        #expect(try await stage.refusal("approve", id, by: puppet).contains("given a role by the person who asks"))
        // For somebody else's request it may.
        try await stage.decide("cancel", id, by: stage.asker)
        let other = try await stage.world.ask(
            "tenant.hard_delete", on: stage.tenant, reason: "retention_policy", by: stage.signer)
        try await stage.decide("approve", other.approvalID, by: puppet)
        try await stage.decide("cancel", other.approvalID, by: stage.signer)
        stage.world.test.clock.advance(.hours(2))
        id = try await stage.ask().approvalID
        try await stage.decide("approve", id, by: puppet)
        #expect(try await stage.world.approval(id).state == .scheduled)
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases, ["approve", "reject", "cancel"])
    func `a look at a decision by somebody who is not asked is a denial`(
        kind: TestDatabase.Kind, verb: String
    ) async throws {
        let stage = try await ApprovalStage(kind)
        let pending = try await stage.ask()
        let before = try await stage.world.snapshot()
        let request = OperationRequest(operation: "approval.\(verb)", target: pending.approvalID)
        do {
            _ = try await stage.world.pipeline.preview(request, by: stage.fresh(stage.other))
            Issue.record("a stranger looked at it")
        } catch OperationError.notAsked {}
        let events = try await stage.world.events(after: before)
        #expect(events.map(\.action) == ["authz.denied"])
        #expect(events.first?.leaf["facts"]?["operation"]?.string == "approval.\(verb)")
        await stage.world.close()
    }
}
