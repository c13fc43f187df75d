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
        try await RegistrySignals.follow([.tenant(row)], by: world.system, through: world.pipeline)
        let id = made.target ?? ""
        let status = try await world.test.database.read { try Tenant.load(id, from: $0)?.status }
        #expect(status == (world.catalog["tenant.mark_ready"] == nil ? .pending : .ready))
        await world.close()
    }
    @Test(arguments: TestDatabase.Kind.allCases)
    func `only who was seen since it is ready makes a tenant active`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, populated: false)
        func put(_ members: [String: JSON]) async throws -> String? {
            let known: [String: JSON] = ["external_id": "x", "name": "X", "slug": "x", "owner_email": "a@x.test"]
            let row = try RegistryRow(.object(known.merging(members) { _, own in own }))
            _ = try await world.run("registry.put_tenant", ["tenant": row.json], by: world.system)
            try await RegistrySignals.follow([.tenant(row)], by: world.system, through: world.pipeline)
            return try await status()
        }
        func status() async throws -> String? {
            try await world.test.database.read { try $0.first(TestQueries.tenant(slug: "x"))?.string("status") }
        }
        func signIn(at time: Instant) async throws -> String? {
            var reader = RecordReader([
                "external_id": "u-1", "email": "a@x.test", "last_login_at": .string(time.rfc3339),
            ])
            let user = RegistryUser(&reader)
            _ = try await world.run("registry.put_user", ["user": user.json], by: world.system)
            try await RegistrySignals.follow([.user(user)], by: world.system, through: world.pipeline)
            return try await status()
        }
        let before = world.test.clock.clock.now - .days(30)
        let old = try await put(["onboarding": "ready", "last_activity_at": .string(before.rfc3339)])
        #expect(old == "ready", "it was seen before it was set up")
        let early = try await signIn(at: before + .days(1))
        #expect(early == "ready")
        world.test.clock.advance(.hours(1))
        let now = try await signIn(at: world.test.clock.clock.now)
        #expect(now == "active")
        await world.close()
    }
    @Test(arguments: TestDatabase.Kind.allCases)
    func `a report that staff have a rule for waits for them`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, populated: false)
        let rule = ApprovalRule(
            id: "confirm_change", operation: "tenant.confirm_change", condition: .always, demand: .role(["head_of_cs"]),
            window: .hours(24), cooldown: nil, version: 1, summary: "Confirming a change")
        try await world.put([.create(ApprovalRuleRow(rule))])
        let id = try await world.tenant("acme")
        try await world.run("tenant.change_plan", on: id, ["plan": "business"])
        let endpoint = try #require(TenantRuntime.endpoints.first { $0.name == "reportChange" })
        // Ann was shown the token: what it asks for is agreed to by somebody else.
        try await world.staff("ann", roles: ["head_of_cs"])
        try await world.staff("bob", roles: ["head_of_cs"])
        let made = try await world.run(
            "runtime_token.create", ["name": "nightly sync", "scopes": ["registry"]], by: world.system)
        let token = try #require(made.target)
        let product = Caller(
            actor: Actor(.runtime, token), person: token, displayName: "Product",
            permissions: Permissions(
                Dictionary(uniqueKeysWithValues: RuntimeScope.registry.permissions.map { ($0, nil) })), client: .api,
            requestID: "req_0000", mandate: Mandate(token: token, holder: "stf_ann"))
        let answer = try await endpoint.run(
            RuntimeCall(
                path: ["external_id": "ext-acme", "field": "plan"], body: ["outcome": "confirmed"], lines: [],
                ifMatch: nil, idempotencyKey: "report", caller: product, pipeline: world.pipeline))
        guard case .pending(let pending) = answer.content else {
            Issue.record("\(answer.content)")
            return
        }
        #expect(pending.operation == "tenant.confirm_change")
        let plan = try await world.test.database.read { try Tenant.load(id, from: $0)?.plan }
        #expect(plan == "team")

        let (ann, bob) = (try await world.caller("stf_ann"), try await world.caller("stf_bob"))
        let request = try await world.approval(pending.approvalID)
        #expect(request.requester == token && request.action["holder"] == "stf_ann")
        let (asked, others, awaited) = try await world.test.database.read { reader in
            (
                try ApprovalList.asking(ann, limit: 10, from: reader),
                try ApprovalList.asking(bob, limit: 10, from: reader),
                try Signers.awaited(for: request, signatures: [], from: reader).people
            )
        }
        #expect(asked.isEmpty && others.map(\.requesterName) == ["nightly sync"] && awaited == ["stf_bob"])
        await #expect(throws: OperationError.self) {
            try await world.run("approval.approve", on: pending.approvalID, by: ann)
        }
        let before = try await world.snapshot()
        try await world.run("approval.approve", on: pending.approvalID, by: bob)
        let done = try await world.events(after: before).filter { $0.action == "tenant.confirm_change" }
        #expect(done.map(\.outcome) == ["applied"] && done.first?.leaf["facts"]?["token"]?.string == token)
        let now = try await world.test.database.read { try Tenant.load(id, from: $0)?.plan }
        #expect(now == "business")

        // What a token asked for ends with it.
        try await world.run("tenant.change_plan", on: id, ["plan": "team"])
        let late = try await endpoint.run(
            RuntimeCall(
                path: ["external_id": "ext-acme", "field": "plan"], body: ["outcome": "confirmed"], lines: [],
                ifMatch: nil, idempotencyKey: "late", caller: product, pipeline: world.pipeline))
        guard case .pending(let waiting) = late.content else {
            Issue.record("\(late.content)")
            return
        }
        try await world.run("runtime_token.revoke", on: token, reason: "compromised", by: world.system)
        try await world.run("approval.approve", on: waiting.approvalID, by: bob)
        #expect(try await world.approval(waiting.approvalID).state == .failed)
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a twin that finds nothing to change any more has the answer of the first`(
        kind: TestDatabase.Kind
    ) async throws {
        let world = try await World.make(kind, populated: false)
        let row = try RegistryRow(["external_id": "x", "name": "X", "slug": "x"])
        var request = OperationRequest(
            operation: "registry.put_tenant", input: ["tenant": row.json], idempotencyKey: "twin")
        request.answer = ["outcome": "created"]
        _ = try await world.pipeline.run(request, by: world.system)
        request.answer = ["outcome": "unchanged"]
        let known = try await world.pipeline.keepUnchanged(request, by: world.system)
        #expect(known?.replayed == true && known?.answer?["outcome"]?.string == "created")
        request.idempotencyKey = "other"
        let other = try await world.pipeline.keepUnchanged(request, by: world.system)
        #expect(other.map(\.replayed) == nil)
        await world.close()
    }
}
