import Consoles
import Kernel
import Store
import TestSupport
import Testing

/// Requests, by what carries them out, lets them expire or sends them back to be signed anew (spec: access §3).
@Suite struct ApprovalTestsWorker {
    @Test(arguments: TestDatabase.Kind.allCases)
    func `a signed request waits for its cooldown, and is then carried out once`(kind: TestDatabase.Kind) async throws {
        let stage = try await ApprovalStage(kind)
        let pending = try await stage.ask()
        // Read before anybody confirms it: it says what comes next, and who does it.
        let preview = try await stage.world.pipeline.preview(
            OperationRequest(operation: "approval.approve", target: pending.approvalID),
            by: stage.fresh(stage.signer))
        #expect(
            preview.consequence?.hasPrefix(
                "This is the last signature it needs: Postern then carries it out by itself at ") == true)
        let outcome = try await stage.decide("approve", pending.approvalID, by: stage.signer)
        #expect(outcome.execution == nil)
        let scheduled = try await stage.world.approval(pending.approvalID)
        #expect(scheduled.state == .scheduled)
        #expect(scheduled.executeAt == scheduled.decidedAt.map { $0 + .hours(24) })
        #expect(try await stage.world.pipeline.executeDue() == 0)

        stage.world.test.clock.advance(.hours(24) + .seconds(1))
        // Not by a clock that was set.
        let doubted = try await stage.world.pipeline.executeDue(while: { false })
        #expect(doubted == 0)
        let before = try await stage.world.snapshot()
        async let first = stage.world.pipeline.executeDue()
        async let second = stage.world.pipeline.executeDue()
        #expect(try await [first, second].reduce(0, +) == 1)
        #expect(try await stage.status() == "deleted")
        let events = try await stage.world.events(after: before)
        try #require(events.map(\.action) == ["tenant.hard_delete", "erasure.completed"])
        let leaf = events[0].leaf
        #expect(leaf["approval_id"]?.string == pending.approvalID)
        #expect(leaf["operation_id"]?.string == pending.operationID)
        #expect(leaf["linked"]?.string == pending.eventID)
        #expect(leaf["actor"]?["id"]?.string == stage.asker.person)
        #expect(leaf["client"]?.string == "worker")
        let done = try await stage.world.approval(pending.approvalID)
        #expect(done.state == .executed && done.outcomeEventID == events[0].id)
        #expect(try await stage.world.pipeline.executeDue() == 0)
        await stage.world.close()
    }

    @Test func `what was put off is not carried out by a clock that was set`() async throws {
        let stage = try await ApprovalStage(.sqlite)
        let world = stage.world
        let pending = try await world.ask(
            "staff.invite", ["email": "new@staff.test", "name": "New", "roles": ["support_l1"]], by: stage.asker,
            notBefore: world.test.clock.clock.now + .hours(1))
        world.test.clock.advance(.hours(2))
        let doubting = Pipeline(
            database: world.test.database, records: world.pipeline.records, directory: world.pipeline.directory,
            catalog: world.catalog, clock: world.pipeline.clock, settings: world.pipeline.settings,
            hooks: Pipeline.Hooks(isClockTrusted: { false }))
        let outcome = try await doubting.run(
            OperationRequest(
                operation: "approval.approve", target: pending.approvalID,
                justification: "looked at it, and this is right", idempotencyKey: world.key()),
            by: stage.fresh(stage.signer))
        #expect(outcome.execution == nil)
        #expect(try await world.approval(pending.approvalID).state == .scheduled)
        #expect(try await world.pipeline.executeDue() == 1)
        #expect(try await world.approval(pending.approvalID).state == .executed)
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an expired request is dead before anything says so`(kind: TestDatabase.Kind) async throws {
        let stage = try await ApprovalStage(kind)
        let id = try await stage.ask().approvalID
        stage.world.test.clock.advance(.hours(24))
        for verb in ["approve", "reject", "cancel"] {
            #expect(try await stage.refusal(verb, id, by: stage.signer).contains("expired at"), "\(verb)")
        }
        // Not by a clock that was set.
        let doubted = try await stage.world.pipeline.expireOverdue(while: { false })
        #expect(doubted == 0)
        #expect(try await stage.world.approval(id).state == .pending)
        #expect(try await stage.world.pipeline.expireOverdue() == 1)
        #expect(try await stage.world.approval(id).state == .expired)
        #expect(try await stage.world.pipeline.expireOverdue() == 0)
        // One that nobody swept makes room all the same.
        let second = try await stage.ask().approvalID
        stage.world.test.clock.advance(.hours(25))
        _ = try await stage.ask()
        #expect(try await stage.world.approval(second).state == .expired)
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `what changed meanwhile goes back to the approvers with the difference`(kind: TestDatabase.Kind) async throws {
        let stage = try await ApprovalStage(kind)
        let id = try await stage.ask().approvalID
        try await stage.decide("approve", id, by: stage.signer)
        // A field the deletion does not touch may change; the name is one it erases.
        stage.world.test.clock.advance(.hours(25))
        try await stage.world.run("tenant.update", on: stage.tenant, ["name": "Somebody Else"], by: stage.world.system)
        let before = try await stage.world.snapshot()
        #expect(try await stage.world.pipeline.executeDue() == 1)
        let stale = try await stage.world.approval(id)
        #expect(stale.state == .stale && stale.round == 2 && stale.executeAt == nil)
        #expect(try await stage.status() == "archived")
        let events = try await stage.world.events(after: before)
        try #require(events.map(\.action) == ["approval.stale"])
        let sealed = try await stage.world.sealed(events[0].id)
        let difference = sealed["details"]?["value"]?["difference"]?.array ?? []
        #expect(difference.contains { $0["path"]?.string?.hasSuffix("before name") == true })
        #expect(difference.contains { $0["now"] == "Somebody Else" })
        // What comes out otherwise at every planning is no difference to anybody.
        #expect(!difference.contains { $0["path"]?.string?.hasSuffix(" after status_since") == true })

        // The same person signs the plan as it is now, and it is carried out.
        try await stage.decide("approve", id, by: stage.signer)
        stage.world.test.clock.advance(.hours(25))
        #expect(try await stage.world.pipeline.executeDue() == 1)
        #expect(try await stage.world.approval(id).state == .executed)
        #expect(try await stage.status() == "deleted")
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a stricter rule that comes in force meanwhile has it signed anew, by whom it demands`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await ApprovalStage(kind)
        let world = stage.world
        let id = try await stage.ask().approvalID
        try await stage.decide("approve", id, by: stage.signer)
        try await stage.add("hard_delete_watched", demanding: "security")
        world.test.clock.advance(.hours(25))
        let before = try await world.snapshot()
        #expect(try await world.pipeline.executeDue() == 1)
        let stale = try await world.approval(id)
        #expect(stale.state == .stale && stale.round == 2 && stale.executeAt == nil)
        #expect(Set(stale.needs.map(\.rule)) == ["tenant_hard_delete", "hard_delete_watched"])
        #expect(try await stage.status() == "archived")
        let events = try await world.events(after: before)
        try #require(events.map(\.action) == ["approval.stale"])
        let difference = try await world.sealed(events[0].id)["details"]?["value"]?["difference"]?.array ?? []
        #expect(difference.contains { $0["path"]?.string?.hasPrefix("demands") == true })

        // The one who signed before is not enough any more.
        try await stage.decide("approve", id, by: stage.signer)
        #expect(try await world.approval(id).state == .stale)
        try await stage.decide("approve", id, by: world.caller("stf_guard"))
        #expect(try await world.approval(id).state == .scheduled)
        world.test.clock.advance(.hours(25))
        #expect(try await world.pipeline.executeDue() == 1)
        #expect(try await stage.status() == "deleted")
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a rule that comes in force meanwhile and is met has nobody sign anew`(kind: TestDatabase.Kind) async throws {
        let stage = try await ApprovalStage(kind)
        let id = try await stage.ask().approvalID
        try await stage.decide("approve", id, by: stage.signer)
        try await stage.add("hard_delete_met", demanding: "super_admin or security")
        stage.world.test.clock.advance(.hours(25))
        #expect(try await stage.world.pipeline.executeDue() == 1)
        #expect(try await stage.world.approval(id).state == .executed)
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases, ["revoke_role", "deactivate"])
    func `whoever asked or signed goes at the moment it is due: it ran before, or it does not run`(
        kind: TestDatabase.Kind, verb: String
    ) async throws {
        for (isAsker, isLater) in [(true, true), (true, false), (false, true), (false, false)] {
            let stage = try await ApprovalStage(kind)
            let world = stage.world
            let other = try await world.staff("remaining", roles: ["super_admin"])
            let id = try await stage.ask().approvalID
            try await stage.decide("approve", id, by: stage.signer)
            world.test.clock.advance(.hours(25))
            let before = try await world.snapshot()
            let acts: [@Sendable () async throws -> Void] = [
                { _ = try await world.pipeline.executeDue() },
                { try await stage.end(verb, of: isAsker ? stage.asker : stage.signer, by: other) },
            ]
            try await withThrowingTaskGroup(of: Void.self) { group in
                for act in isLater ? acts : acts.reversed() { group.addTask { try await act() } }
                try await group.waitForAll()
            }
            let request = try await world.approval(id)
            let told = try await world.events(after: before).map(\.action)
            if request.state == .executed {
                #expect(told == ["tenant.hard_delete", "erasure.completed", "staff.\(verb)"])
                #expect(try await stage.status() == "deleted")
            } else {
                // What somebody who leaves asked for is cancelled with it; else it is found out when it is to run.
                let (state, action): (ApprovalRequest.State, [String]) =
                    isAsker
                    ? verb == "deactivate" ? (.cancelled, []) : (.failed, ["approval.failed"])
                    : (.pending, ["approval.reopened"])
                #expect(request.state == state && told == ["staff.\(verb)"] + action, "\(told)")
                #expect(try await stage.status() == "archived")
            }
            await world.close()
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `fields nobody touches don't make it stale`(kind: TestDatabase.Kind) async throws {
        let stage = try await ApprovalStage(kind)
        let id = try await stage.ask().approvalID
        try await stage.decide("approve", id, by: stage.signer)
        stage.world.test.clock.advance(.hours(25))
        let tenant = stage.tenant
        let now = stage.world.test.clock.clock.now
        let row = try await stage.world.test.database.read { try Tenant.load(tenant, from: $0) }
        var after = try #require(row)
        after.lastActivityAt = now
        after.updatedAt = now
        after.version += 1
        try await stage.world.put([.update(try #require(row), to: after)])
        #expect(try await stage.world.pipeline.executeDue() == 1)
        #expect(try await stage.world.approval(id).state == .executed)
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the requester's permission and the signer's role must last until it is carried out`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await ApprovalStage(kind)
        let id = try await stage.ask().approvalID
        try await stage.decide("approve", id, by: stage.signer)
        stage.world.test.clock.advance(.hours(25))
        try await stage.world.revoke("super_admin", of: stage.signer.person)
        #expect(try await stage.world.pipeline.executeDue() == 1)
        let reopened = try await stage.world.approval(id)
        // What was signed said until when it could be: that is over.
        #expect(reopened.state == .pending && reopened.round == 2 && reopened.executeAt == nil)
        #expect(try await stage.status() == "archived")

        // Another one signs; then who asked loses the permission.
        let third = try await stage.world.staff("third", roles: ["super_admin"])
        try await stage.decide("approve", id, by: third)
        try await stage.world.revoke("super_admin", of: stage.asker.person)
        stage.world.test.clock.advance(.hours(25))
        #expect(try await stage.world.pipeline.executeDue() == 1)
        let failed = try await stage.world.approval(id)
        #expect(failed.state == .failed)
        #expect(try await stage.status() == "archived")
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an operation that refuses when its time has come fails, and says why`(kind: TestDatabase.Kind) async throws {
        let stage = try await ApprovalStage(kind)
        let id = try await stage.ask().approvalID
        try await stage.decide("approve", id, by: stage.signer)
        try await stage.world.run("tenant.restore", on: stage.tenant, reason: "customer_return")
        stage.world.test.clock.advance(.hours(25))
        let before = try await stage.world.snapshot()
        #expect(try await stage.world.pipeline.executeDue() == 1)
        #expect(try await stage.world.approval(id).state == .failed)
        let events = try await stage.world.events(after: before)
        try #require(events.map(\.action) == ["approval.failed"])
        #expect(events[0].outcome == "failed")
        let reason = try await stage.world.sealed(events[0].id)["details"]?["value"]?["reason"]?.string
        #expect(reason?.contains("active") == true, "\(reason ?? "")")
        await stage.world.close()
    }
}
