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

        /// Time passes, and what nobody signed until then expires.
        func expire(after span: Span) async throws -> Int {
            world.test.clock.advance(span)
            return try await world.pipeline.expireOverdue()
        }

        /// Somebody loses the role they ask and sign by, or leaves.
        func end(_ verb: String, of person: Caller, by other: Caller) async throws {
            let isRole = verb == "revoke_role"
            try await world.run(
                "staff.\(verb)", on: person.person, isRole ? ["role": "super_admin"] : [:],
                reason: isRole ? "moved" : "left", by: fresh(other))
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
        let stage = try await Stage(.sqlite)
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

    /// A rule about deleting tenants that comes in force while a request waits for its time.
    private static func add(_ code: String, demanding demand: String, _ stage: Stage) async throws {
        try await PolicyTests.change(
            stage.world, "policy.add_rule", on: nil,
            [
                "code": .string(code), "operation": "tenant.hard_delete", "condition": "always",
                "demand": .string(demand), "summary": "Deleting a tenant for good",
            ], by: stage.asker)
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a stricter rule that comes in force meanwhile has it signed anew, by whom it demands`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await Stage(kind)
        let world = stage.world
        let id = try await stage.ask().approvalID
        try await stage.decide("approve", id, by: stage.signer)
        try await Self.add("hard_delete_watched", demanding: "security", stage)
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
        let stage = try await Stage(kind)
        let id = try await stage.ask().approvalID
        try await stage.decide("approve", id, by: stage.signer)
        try await Self.add("hard_delete_met", demanding: "super_admin or security", stage)
        stage.world.test.clock.advance(.hours(25))
        #expect(try await stage.world.pipeline.executeDue() == 1)
        #expect(try await stage.world.approval(id).state == .executed)
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a signature at the moment of expiry is in time or too late, and the log says which`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await Stage(kind)
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

    @Test(arguments: TestDatabase.Kind.allCases, ["revoke_role", "deactivate"])
    func `whoever asked or signed goes at the moment it is due: it ran before, or it does not run`(
        kind: TestDatabase.Kind, verb: String
    ) async throws {
        for (isAsker, isLater) in [(true, true), (true, false), (false, true), (false, false)] {
            let stage = try await Stage(kind)
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
        let stage = try await Stage(kind)
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

    @Test(arguments: TestDatabase.Kind.allCases)
    func `what nobody is missing from though it is open is completed by whoever may sign it`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await Stage(kind)
        let world = stage.world
        try await Self.add("hard_delete_watched", demanding: "security", stage)
        let guardian = try await world.caller("stf_guard")
        let second = try await world.staff("second", roles: ["security"])
        let id = try await world.ask(
            "tenant.hard_delete", on: stage.tenant, reason: "retention_policy", by: stage.fresh(stage.asker)
        ).approvalID
        try await stage.decide("approve", id, by: guardian)
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
        let stage = try await Stage(kind)
        let world = stage.world
        try await Self.add("hard_delete_watched", demanding: "security", stage)
        let guardian = try await world.caller("stf_guard")
        let second = try await world.staff("second", roles: ["security"])
        let id = try await world.ask(
            "tenant.hard_delete", on: stage.tenant, reason: "retention_policy", by: stage.fresh(stage.asker)
        ).approvalID
        try await stage.decide("approve", id, by: guardian)
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

    @Test(arguments: TestDatabase.Kind.allCases, ["approve", "reject", "cancel"])
    func `a look at a decision by somebody who is not asked is a denial`(
        kind: TestDatabase.Kind, verb: String
    ) async throws {
        let stage = try await Stage(kind)
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

    @Test(arguments: TestDatabase.Kind.allCases)
    func `whoever decides reads above the plan who asked, who signed and who is missing`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await Stage(kind)
        let world = stage.world
        let third = try await world.staff("third", roles: ["super_admin"])
        try await Self.add("hard_delete_two", demanding: "all of (super_admin, super_admin)", stage)
        let id = try await stage.ask().approvalID
        let describe = try #require(ApprovalsConsole.console.subjects[ApprovalRequest.type])
        /// What stands before the headline of the plan.
        func above() async throws -> String {
            let request = try await world.approval(id)
            let call = PageCallFixture.make(third, path: ["id": id])
            let text = try await world.test.database.read { try describe(request, call, $0)?.body().text ?? "" }
            let parts = text.split(separator: "class=\"headline\"", maxSplits: 1)
            #expect(parts.count == 2)
            return String(parts.first ?? "")
        }
        let unsigned = try await above()
        for words in [
            "Asked by", "asked", "TEST-1", "Who must agree", "2 people with Super admin", "Nobody has signed it yet.",
        ] {
            #expect(unsigned.contains(words), "\(words)")
        }
        try await stage.decide("approve", id, by: stage.signer)
        let signed = try await above()
        #expect(signed.contains("It still needs 1 person with Super admin.") && signed.contains(">signer</span>"))
        #expect(!signed.contains("Nobody has signed it yet."))
        // What they signed counts no more, and is there to be read.
        try await stage.decide("approve", id, by: third)
        world.test.clock.advance(.hours(25))
        try await world.run("tenant.update", on: stage.tenant, ["name": "Somebody Else"], by: world.system)
        #expect(try await world.pipeline.executeDue() == 1)
        #expect(try await world.approval(id).state == .stale)
        let stale = try await above()
        #expect(!stale.contains("Nobody has signed it yet."))
        #expect(stale.contains("It still needs 2 people with Super admin.") && stale.contains(">signer</span>"))
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a request that came to nothing says who ended it, and when`(kind: TestDatabase.Kind) async throws {
        let stage = try await Stage(kind)
        let world = stage.world
        let page = try #require(ApprovalsConsole.console.pages.first { $0.path == "/approvals/{id}" })
        func text(_ id: String) async throws -> String {
            let call = PageCallFixture.make(stage.asker, path: ["id": id])
            return try await world.test.database.read { try page.render(call, $0).body.text }
        }
        let rejected = try await stage.ask().approvalID
        let waiting = try await text(rejected)
        #expect(!waiting.contains("rejected it."))
        // Its sentence stands in the present tense, so whether it has happened is read before it.
        let preface = "</p><p class=\"headline\">"
        for words in [
            "What it would do", "Nothing has been changed yet. When it is carried out:\(preface)", "When asked",
            "What would change", "What would be sent",
        ] {
            #expect(waiting.contains(words), "\(words)")
        }
        try await stage.decide("reject", rejected, by: stage.signer)
        #expect(try await text(rejected).contains("<b>signer rejected it.</b> <time"))
        for words in [
            "What it would have done", "This did not happen:\(preface)", "What would have changed",
            "What would have been sent",
        ] {
            #expect(try await text(rejected).contains(words), "\(words)")
        }
        #expect(try await !text(rejected).contains("Nothing has been changed yet"))
        let cancelled = try await stage.ask().approvalID
        try await stage.decide("cancel", cancelled, by: stage.asker)
        #expect(try await text(cancelled).contains("<b>asked cancelled it.</b> <time"))
        // It is over before anything says so, and by nobody.
        let expired = try await stage.ask().approvalID
        world.test.clock.advance(.hours(25))
        for isTold in [false, true] {
            if isTold { #expect(try await world.pipeline.expireOverdue() == 1) }
            let said = try await text(expired)
            #expect(said.contains("<b>It expired.</b> <time"), "told: \(isTold)")
            #expect(said.contains("Not everybody agreed in time: it still needed 1 person with Super admin."))
            #expect(said.contains("This did not happen:\(preface)"), "told: \(isTold)")
        }
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a request that is over says who signed it, whatever they lost since`(kind: TestDatabase.Kind) async throws {
        let stage = try await Stage(kind)
        let world = stage.world
        let third = try await world.staff("third", roles: ["super_admin"])
        let page = try #require(ApprovalsConsole.console.pages.first { $0.path == "/approvals/{id}" })
        func text(_ id: String) async throws -> String {
            let call = PageCallFixture.make(third, path: ["id": id])
            return try await world.test.database.read { try page.render(call, $0).body.text }
        }
        let done = try await world.ask(
            "staff.invite", ["email": "new@staff.test", "name": "New", "roles": ["support_l1"]], by: stage.asker
        ).approvalID
        try await stage.decide("approve", done, by: stage.signer)
        #expect(try await world.approval(done).state == .executed)
        try await Self.add("hard_delete_two", demanding: "all of (super_admin, super_admin)", stage)
        let late = try await stage.ask().approvalID
        try await stage.decide("approve", late, by: stage.signer)
        try await world.revoke("super_admin", of: stage.signer.person)
        #expect(try await text(late).contains("Counts no more: no longer holds Super admin"))
        #expect(try await stage.expire(after: .hours(25)) == 1)
        let (expired, executed) = (try await text(late), try await text(done))
        // It was another one who was missing, not whoever signed.
        #expect(expired.contains("Not everybody agreed in time: it still needed 1 person with Super admin."))
        for said in [expired, executed] {
            #expect(!said.contains("Counts no more") && said.contains("Agreed"))
        }
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `requests that are about the same thing have names of their own`(kind: TestDatabase.Kind) async throws {
        let stage = try await Stage(kind)
        let world = stage.world
        try await world.staff("guardian", roles: ["security"])
        func rule(_ verb: String) -> JSON {
            [
                "code": .string("enterprise_\(verb)"), "operation": .string("tenant.\(verb)"),
                "condition": "tier = enterprise", "demand": "head_of_cs or super_admin",
                "summary": "An Enterprise tenant",
            ]
        }
        let asked = [
            try await world.ask("policy.add_rule", rule("suspend"), by: stage.asker),
            try await world.ask("policy.add_rule", rule("archive"), by: stage.asker),
            try await world.ask(
                "policy.change_separation", on: "legal", ["role": "executive", "held": "apart"], by: stage.asker),
        ]
        let page = try #require(ApprovalsConsole.console.pages.first { $0.path == "/approvals/{id}" })
        var titles: [String] = []
        for request in asked {
            let call = PageCallFixture.make(stage.asker, path: ["id": request.approvalID])
            titles.append(try await world.test.database.read { try page.render(call, $0).title })
        }
        #expect(
            titles == [
                "Add rule: An Enterprise tenant, for tenant.suspend",
                "Add rule: An Enterprise tenant, for tenant.archive",
                "Change separation: Legal, apart from Executive",
            ])
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a request is called by the name of what it is about, and says why somebody can't sign it`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await Stage(kind)
        let world = stage.world
        let guardian = try await world.staff("guardian", roles: ["security"])
        let pending = try await world.ask(
            "policy.change_rule", on: "bulk_broadcast",
            [
                "condition": "always", "demand": "head_of_cs", "window_minutes": 720, "cooldown_minutes": 0,
                "summary": "Writing to many customers",
            ], by: stage.asker)
        let page = try #require(ApprovalsConsole.console.pages.first { $0.path == "/approvals/{id}" })
        func text(_ caller: Caller) async throws -> String {
            let call = PageCallFixture.make(caller, path: ["id": pending.approvalID])
            return try await world.test.database.read { try page.render(call, $0).body.text }
        }
        let own = try await text(stage.asker)
        #expect(own.contains("Change rule: Writing to many customers"))
        // The way to the page ends in its name; the id stands in the record.
        #expect(own.contains("aria-current=\"page\">Change rule: Writing to many customers</span>"))
        #expect(own.contains(pending.approvalID))
        #expect(own.contains("You asked for this, so somebody else must agree.") && !own.contains("Approve…"))
        let signer = try await text(guardian)
        #expect(signer.contains("Approve…") && !signer.contains("None of your roles"))
        let stranger = try await text(stage.signer)
        #expect(stranger.contains("None of your roles signs this. It needs 1 person with Security."))
        #expect(!stranger.contains("Approve…") && !stranger.contains("Cancel request…"))
        try await stage.decide("reject", pending.approvalID, by: guardian)
        #expect(try await !text(stage.signer).contains("None of your roles"))
        // A row that can't be read takes no page with it.
        try await world.test.tamper([DiscrepancyTestQueries.spoil(rule: "bulk_broadcast")])
        #expect(try await text(stage.asker).contains("Change rule: bulk_broadcast"))
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a form that decides shows what is decided on, checked against what the action commits to`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await Stage(kind)
        let world = stage.world
        let pending = try await stage.ask()
        let subject = try #require(ApprovalsConsole.console.subjects[ApprovalRequest.type])
        func text() async throws -> String {
            let call = PageCallFixture.make(stage.signer, path: ["id": pending.approvalID])
            let request = try await world.approval(pending.approvalID)
            return try await world.test.database.read { reader in
                try #require(try subject(request, call, reader)).body().text
            }
        }
        let shown = try await text()
        for words in [
            "What would change", "Tenant leaving", "What would be sent", "The frozen action, in full",
            "What exactly is signed", "measures",
            "because the test world needs it", "These values match the commitments in the frozen action",
        ] {
            #expect(shown.contains(words), "\(words)")
        }
        try await world.test.tamper([
            DiscrepancyTestQueries.say("Tenant staying", for: "Tenant leaving", sealedBy: pending.eventID)
        ])
        let forged = try await text()
        #expect(forged.contains("not the ones the frozen action commits to") && forged.contains("Tenant staying"))
        #expect(!forged.contains("These values match"))
        await world.close()
    }
}

extension World {
    func sealed(_ event: String) async throws -> JSON {
        try await test.database.read { reader in
            try reader.first(SQLRecords().sealedMembers(event: event))?.json("members") ?? .null
        }
    }
}
