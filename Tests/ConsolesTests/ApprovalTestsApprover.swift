import Consoles
import Kernel
import Store
import TestSupport
import Testing

/// Requests, by who signs or rejects them, and whose signature counts (spec: access §3).
@Suite struct ApprovalTestsApprover {
    @Test(arguments: TestDatabase.Kind.allCases)
    func `a rejection ends it and a new request may be made`(kind: TestDatabase.Kind) async throws {
        let stage = try await ApprovalStage(kind)
        let id = try await stage.ask().approvalID
        await #expect(throws: OperationError.self) { _ = try await stage.ask() }
        try await stage.decide("reject", id, by: stage.signer)
        let rejected = try await stage.world.approval(id)
        #expect(rejected.state == .rejected && rejected.outcomeEventID != nil)
        #expect(try await stage.refusal("approve", id, by: stage.signer).contains("rejected already"))
        #expect(try await stage.refusal("cancel", id, by: stage.asker).contains("rejected already"))
        _ = try await stage.ask()
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a signature at the moment of expiry is in time or too late, and the log says which`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await ApprovalStage(kind)
        let world = stage.world
        for _ in 0..<6 {
            let id = try await stage.ask().approvalID
            let until = try await world.approval(id).expiresAt
            let almost = until - .seconds(1)
            world.test.clock.advance(almost - world.test.clock.clock.now)
            let before = try await world.snapshot()
            async let expired = stage.expire(after: .seconds(2))
            let answer = try await stage.refusal("approve", id, by: stage.signer)
            let isSigned = answer == "was allowed"
            let count = try await expired
            #expect(count == (isSigned ? 0 : 1), "\(answer)")
            #expect(try await world.approval(id).state == (isSigned ? .scheduled : .expired), "\(answer)")
            let told = try await world.events(after: before).filter { $0.outcome == "applied" }.map(\.action)
            #expect(told == [isSigned ? "approval.approve" : "approval.expired"], "\(answer)")
            if isSigned { try await stage.decide("cancel", id, by: stage.asker) }
        }
        await world.close()
    }

    /// A role that somebody lost for a while, again.
    private static func giveBack(_ role: String, to person: String, _ world: World) async throws {
        try await world.put([
            .create(
                Grant(
                    id: "grt_again-\(role)", staffID: person, role: role, grantedBy: "bootstrap",
                    grantedAt: world.test.clock.clock.now))
        ])
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `whoever holds again what their signature fell with signs anew`(kind: TestDatabase.Kind) async throws {
        let stage = try await ApprovalStage(kind)
        let world = stage.world
        let id = try await world.ask(
            "staff.invite", ["email": "new@staff.test", "name": "New", "roles": ["support_l1"]], by: stage.asker,
            notBefore: world.test.clock.clock.now + .hours(2)
        ).approvalID
        try await stage.decide("approve", id, by: stage.signer)
        let expires = try await world.approval(id).expiresAt
        world.test.clock.advance(.hours(3))
        try await world.revoke("super_admin", of: stage.signer.person)
        #expect(try await world.pipeline.executeDue() == 1)
        let reopened = try await world.approval(id)
        #expect(reopened.state == .pending && reopened.round == 2 && reopened.expiresAt == expires)
        try await Self.giveBack("super_admin", to: stage.signer.person, world)
        try await stage.decide("approve", id, by: stage.signer)
        #expect(try await world.approval(id).state == .executed)
        await world.close()
    }

    /// A deletion that asks for security too, signed by the first of two who could sign as such.
    private static func watchedDeletion(
        _ kind: TestDatabase.Kind
    ) async throws -> (stage: ApprovalStage, guardian: Caller, second: Caller, id: String) {
        let stage = try await ApprovalStage(kind)
        let world = stage.world
        try await stage.add("hard_delete_watched", demanding: "security")
        let guardian = try await world.caller("stf_guard")
        let second = try await world.staff("second", roles: ["security"])
        let id = try await world.ask(
            "tenant.hard_delete", on: stage.tenant, reason: "retention_policy", by: stage.fresh(stage.asker)
        ).approvalID
        try await stage.decide("approve", id, by: guardian)
        return (stage, guardian, second, id)
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `what nobody is missing from though it is open is completed by whoever may sign it`(
        kind: TestDatabase.Kind
    ) async throws {
        let (stage, guardian, second, id) = try await Self.watchedDeletion(kind)
        let world = stage.world
        try await world.revoke("security", of: guardian.person)
        try await stage.decide("approve", id, by: stage.signer)
        #expect(try await world.approval(id).state == .pending)
        // Both signatures count, and neither of the two signs twice.
        try await Self.giveBack("security", to: guardian.person, world)
        #expect(try await stage.refusal("approve", id, by: guardian).contains("You signed this request"))
        try await stage.decide("approve", id, by: second)
        #expect(try await world.approval(id).state == .scheduled)
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `whoever was given new factors leaves their place to somebody else while others are missing`(
        kind: TestDatabase.Kind
    ) async throws {
        let (stage, guardian, second, id) = try await Self.watchedDeletion(kind)
        let world = stage.world
        world.test.clock.advance(.minutes(1))
        let before = try #require(try await world.test.database.read { try Staff.load("stf_guard", from: $0) })
        var reset = before
        reset.resetBy = second.person
        reset.resetAt = world.test.clock.clock.now
        reset.version += 1
        try await world.put([.update(before, to: reset)])
        try await stage.decide("approve", id, by: stage.signer)
        #expect(try await world.approval(id).state == .pending)
        #expect(try await stage.refusal("approve", id, by: guardian).contains("was given new factors since"))
        try await stage.decide("approve", id, by: second)
        #expect(try await world.approval(id).state == .scheduled)
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `two approvers at once both count, and the leaf is filled once`(kind: TestDatabase.Kind) async throws {
        let stage = try await ApprovalStage(kind)
        let pending = try await stage.world.ask(
            "tenant.hard_delete", on: stage.tenant, reason: "retention_policy", by: stage.world.system)
        let third = try await stage.world.staff("third", roles: ["super_admin"])
        let people = [stage.signer, stage.asker, third]
        let results = await withTaskGroup(of: String.self) { group in
            for person in people {
                group.addTask {
                    do {
                        try await stage.decide("approve", pending.approvalID, by: person)
                        return "signed"
                    } catch OperationError.conflict { return "late" } catch { return "\(error)" }
                }
            }
            return await group.reduce(into: [String]()) { $0.append($1) }
        }
        #expect(results.sorted() == ["late", "signed", "signed"])
        #expect(try await stage.world.approval(pending.approvalID).state == .scheduled)
        await stage.world.close()
    }
}
