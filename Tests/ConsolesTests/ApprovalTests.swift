import Consoles
import Kernel
import Store
import TestSupport
import Testing

/// Requests from being asked for to their end (spec: access §3).
@Suite struct ApprovalTests {
    /// A tenant that may be deleted, and people around it.
    struct Stage {
        let world: World
        let tenant: String
        let asker: Caller
        let signer: Caller
        let other: Caller

        init(_ kind: TestDatabase.Kind) async throws {
            world = try await World.make(kind, populated: false)
            tenant = try await world.tenant("leaving", then: [("tenant.archive", "customer_departed")])
            world.test.clock.advance(.days(91))
            asker = try await world.staff("asked", roles: ["super_admin"])
            signer = try await world.staff("signer", roles: ["super_admin"])
            other = try await world.staff("other", roles: ["support_l2"])
        }

        func ask() async throws -> PendingApproval {
            try await world.ask("tenant.hard_delete", on: tenant, reason: "retention_policy", by: asker)
        }

        /// The same person, with a factor as fresh as now.
        func fresh(_ caller: Caller) async throws -> Caller { try await world.caller(caller.person) }

        @discardableResult
        func decide(_ verb: String, _ id: String, by caller: Caller) async throws -> Outcome {
            try await world.pipeline.run(
                OperationRequest(
                    operation: "approval.\(verb)", target: id, justification: "looked at it, and this is right",
                    idempotencyKey: world.key()), by: fresh(caller))
        }

        /// What a decision is refused with.
        func refusal(_ verb: String, _ id: String, by caller: Caller) async throws -> String {
            do {
                try await decide(verb, id, by: caller)
            } catch OperationError.conflict(let detail, _) {
                return detail
            } catch OperationError.notAsked(let detail) {
                return detail
            }
            return "was allowed"
        }

        func status() async throws -> String? {
            let tenant = tenant
            return try await world.test.database.read { try Tenant.load(tenant, from: $0)?.status.rawValue }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a signed request waits for its cooldown, and is then carried out once`(kind: TestDatabase.Kind) async throws {
        let stage = try await Stage(kind)
        let pending = try await stage.ask()
        let outcome = try await stage.decide("approve", pending.approvalID, by: stage.signer)
        #expect(outcome.execution == nil)
        let scheduled = try await stage.world.approval(pending.approvalID)
        #expect(scheduled.state == .scheduled)
        #expect(scheduled.executeAt == scheduled.decidedAt.map { $0 + .hours(24) })
        #expect(try await stage.world.pipeline.executeDue() == 0)

        stage.world.test.clock.advance(.hours(24) + .seconds(1))
        let before = try await stage.world.snapshot()
        async let first = stage.world.pipeline.executeDue()
        async let second = stage.world.pipeline.executeDue()
        #expect(try await [first, second].reduce(0, +) == 1)
        #expect(try await stage.status() == "deleted")
        let events = try await stage.world.events(after: before)
        try #require(events.map(\.action) == ["tenant.hard_delete"])
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

    @Test(arguments: TestDatabase.Kind.allCases)
    func `who asked, who lacks the role, who is not staff and who signed already are refused`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await Stage(kind)
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
    func `a rejection ends it and a new request may be made`(kind: TestDatabase.Kind) async throws {
        let stage = try await Stage(kind)
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
    func `who asked and who could have signed may cancel, also when it is signed`(kind: TestDatabase.Kind) async throws
    {
        let stage = try await Stage(kind)
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
    func `an expired request is dead before anything says so`(kind: TestDatabase.Kind) async throws {
        let stage = try await Stage(kind)
        let id = try await stage.ask().approvalID
        stage.world.test.clock.advance(.hours(24))
        for verb in ["approve", "reject", "cancel"] {
            #expect(try await stage.refusal(verb, id, by: stage.signer).contains("expired at"), "\(verb)")
        }
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
        let stage = try await Stage(kind)
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

        // The same person signs the plan as it is now, and it is carried out.
        try await stage.decide("approve", id, by: stage.signer)
        stage.world.test.clock.advance(.hours(25))
        #expect(try await stage.world.pipeline.executeDue() == 1)
        #expect(try await stage.world.approval(id).state == .executed)
        #expect(try await stage.status() == "deleted")
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `fields nobody touches don't make it stale`(kind: TestDatabase.Kind) async throws {
        let stage = try await Stage(kind)
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
        let stage = try await Stage(kind)
        let id = try await stage.ask().approvalID
        try await stage.decide("approve", id, by: stage.signer)
        stage.world.test.clock.advance(.hours(25))
        try await stage.world.revoke("super_admin", of: stage.signer.person)
        #expect(try await stage.world.pipeline.executeDue() == 1)
        let reopened = try await stage.world.approval(id)
        #expect(reopened.state == .pending && reopened.round == 1 && reopened.executeAt == nil)
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
        let stage = try await Stage(kind)
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

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an account the requester made what it is signs nothing of theirs for 72 hours`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await Stage(kind)
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

    @Test(arguments: TestDatabase.Kind.allCases)
    func `what Postern asks for itself needs two people`(kind: TestDatabase.Kind) async throws {
        let stage = try await Stage(kind)
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
        let stage = try await Stage(kind)
        let pending = try await stage.world.ask(
            "staff.invite", ["email": "new@staff.test", "name": "New", "roles": ["support_l1"]], by: stage.asker)
        let outcome = try await stage.decide("approve", pending.approvalID, by: stage.signer)
        #expect(outcome.execution?.state == .executed)
        #expect(try await stage.world.approval(pending.approvalID).state == .executed)
        let answer = try #require(outcome.execution)
        #expect(!answer.json.canonicalText.contains("http"))
        let pipeline = stage.world.pipeline
        await #expect(throws: OperationError.self) {
            _ = try await pipeline.takeReveal(of: pending.approvalID, by: stage.signer)
        }
        let shown = try await pipeline.takeReveal(of: pending.approvalID, by: stage.asker)
        #expect(shown?.values.contains { $0.contains("/enrol") } == true, "\(String(describing: shown))")
        #expect(try await pipeline.takeReveal(of: pending.approvalID, by: stage.asker) == nil)
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `two approvers at once both count, and the leaf is filled once`(kind: TestDatabase.Kind) async throws {
        let stage = try await Stage(kind)
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

extension World {
    func sealed(_ event: String) async throws -> JSON {
        try await test.database.read { reader in
            try reader.first(SQLRecords().sealedMembers(event: event))?.json("members") ?? .null
        }
    }
}
