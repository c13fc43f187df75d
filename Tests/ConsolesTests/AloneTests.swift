import Consoles
import Kernel
import Store
import TestSupport
import Testing

/// Ways by which one person could become two, each tried and refused (spec: access §3, "One person can't be two").
@Suite struct AloneTests {
    private func waits(_ world: World, _ operation: String, _ input: JSON, by caller: Caller) async throws -> Bool {
        let outcome = try await world.pipeline.run(
            OperationRequest(
                operation: operation, input: input, justification: "they join the team today", ticket: "HR-1",
                idempotencyKey: world.key()), by: world.caller(caller.person))
        if case .pending = outcome.result { return true }
        return false
    }

    private func end(
        _ world: World, _ operation: String, _ person: String, _ input: JSON = .object([:]), by caller: Caller
    )
        async throws
    {
        let spec = try #require(world.catalog[operation]?.spec)
        _ = try await world.pipeline.run(
            OperationRequest(
                operation: operation, target: person, input: input, reasonCode: spec.reasonCodes.first?.code,
                justification: "they left the team today", ticket: "HR-2", idempotencyKey: world.key()),
            by: world.caller(caller.person))
    }

    /// Somebody has enrolled who has or had a factor.
    private func enrol(_ world: World, _ person: String) async throws {
        try await world.put([
            .create(
                Factor(
                    id: "fct_\(person)", staffID: person, kind: .totp, label: "App", secret: "sealed",
                    createdAt: world.test.clock.clock.now))
        ])
    }

    private static func invitation(_ email: String) -> JSON {
        ["email": .string(email), "name": "New", "roles": ["super_admin"]]
    }

    @Test(arguments: TestDatabase.Kind.allCases, ["staff.deactivate", "staff.revoke_role"])
    func `sending the other super_admin away does not free one to invite alone`(
        kind: TestDatabase.Kind, operation: String
    ) async throws {
        let world = try await World.make(kind, populated: false)
        let ann = try await world.staff("ann", roles: ["super_admin"])
        // The only one there is invites without a signature.
        #expect(try await !waits(world, "staff.invite", Self.invitation("first@example.test"), by: ann))
        let bob = try await world.staff("bob", roles: ["super_admin"])
        try await enrol(world, bob.person)
        #expect(try await waits(world, "staff.invite", Self.invitation("a@example.test"), by: ann))
        try await end(
            world, operation, bob.person, operation == "staff.revoke_role" ? ["role": "super_admin"] : [:], by: ann)
        #expect(try await waits(world, "staff.invite", Self.invitation("b@example.test"), by: ann))
        world.test.clock.advance(.days(31))
        #expect(try await !waits(world, "staff.invite", Self.invitation("c@example.test"), by: ann))
        // Nobody is free who need not be: security could sign.
        try await world.staff("sam", roles: ["security"])
        #expect(try await waits(world, "staff.invite", Self.invitation("h@example.test"), by: ann))
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases, ["legal", "super_admin"])
    func `an invitation waits once somebody is there whom the rule asks for, or a second super_admin`(
        kind: TestDatabase.Kind, role: String
    ) async throws {
        let world = try await World.make(kind, populated: false)
        let ann = try await world.staff("ann", roles: ["super_admin"])
        let before = try #require(
            try await world.test.database.read { try ApprovalRuleRow.load("staff_invite", from: $0) })
        var after = before
        after.rule = ApprovalRule(
            id: before.id, operation: before.rule.operation, condition: before.rule.condition,
            demand: .anyOf([.role(["finance_lead"]), .permission("legal_hold.apply")]), window: before.rule.window,
            cooldown: nil, version: before.version + 1, summary: before.rule.summary)
        try await world.put([.update(before, to: after)])
        try await world.staff("sam", roles: ["security"])
        #expect(try await !waits(world, "staff.invite", Self.invitation("a@example.test"), by: ann))
        try await world.staff("lea", roles: [role])
        #expect(try await waits(world, "staff.invite", Self.invitation("b@example.test"), by: ann))
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `whoever made an account signs nothing that it asks for within 72 hours`(kind: TestDatabase.Kind) async throws
    {
        let world = try await World.make(kind, populated: false)
        let ann = try await world.staff("ann", roles: ["super_admin"])
        let now = world.test.clock.clock.now
        try await world.staff("bob", roles: ["super_admin"])
        let before = try #require(try await world.test.database.read { try Staff.load("stf_bob", from: $0) })
        var reset = before
        reset.resetBy = ann.person
        reset.resetAt = now
        reset.version += 1
        try await world.put([.update(before, to: reset)])
        func decide(_ approval: String) async -> String {
            do {
                _ = try await world.pipeline.run(
                    OperationRequest(operation: "approval.approve", target: approval, idempotencyKey: world.key()),
                    by: world.caller(ann.person))
                return "agreed"
            } catch OperationError.conflict(let detail, _) {
                return detail
            } catch {
                return String(describing: error)
            }
        }
        let asked = try await world.ask(
            "staff.invite", Self.invitation("d@example.test"), by: world.caller("stf_bob"))
        #expect(await decide(asked.approvalID).contains("had their factors reset, less than 72 hours ago"))
        world.test.clock.advance(.hours(73))
        let later = try await world.ask(
            "staff.invite", Self.invitation("e@example.test"), by: world.caller("stf_bob"))
        #expect(await decide(later.approvalID) == "agreed")
        await world.close()
    }

    /// Somebody's factors are reset, with the signature that takes.
    private func reset(_ world: World, _ person: Caller, by asker: Caller, with signer: Caller) async throws {
        let pending = try await world.ask(
            "staff.reset_factors", on: person.person, reason: "stolen", by: world.caller(asker.person))
        try await world.run("approval.approve", on: pending.approvalID, by: world.caller(signer.person))
        #expect(try await world.approval(pending.approvalID).state == .executed)
    }

    @Test(arguments: TestDatabase.Kind.allCases, ["signer", "asker", "recovered"])
    func `what an account signed or asked for before its factors were reset comes to nothing`(
        kind: TestDatabase.Kind, who: String
    ) async throws {
        let stage = try await ApprovalStage(kind)
        let world = stage.world
        let third = try await world.staff("third", roles: ["super_admin"])
        let guardian = try await world.staff("guardian", roles: ["security"])
        let id = try await stage.ask().approvalID
        try await stage.decide("approve", id, by: stage.signer)
        world.test.clock.advance(.hours(1))
        switch who {
        case "recovered": try await world.run("staff.recover", on: stage.asker.person, by: world.system)
        case "asker": try await reset(world, stage.asker, by: third, with: guardian)
        default: try await reset(world, stage.signer, by: third, with: guardian)
        }
        world.test.clock.advance(.hours(24))
        if who == "recovered" { #expect(try await RecoveryTurn(pipeline: world.pipeline).turn() == 1) }
        let before = try await world.snapshot()
        #expect(try await world.pipeline.executeDue() == 1)
        #expect(try await stage.status() == "archived")
        let events = try await world.events(after: before)
        try #require(events.count == 1)
        let details = try await world.sealed(events[0].id)["details"]?["value"]
        guard who == "signer" else {
            #expect(events[0].action == "approval.failed")
            #expect(details?["reason"]?.string?.contains("was given new factors since") == true)
            #expect(try await world.approval(id).state == .failed)
            await world.close()
            return
        }
        #expect(events[0].action == "approval.reopened")
        #expect(details?["lapsed"]?.array?.first?["reason"] == "was given new factors since")
        #expect(try await world.approval(id).state == .pending)
        // Whoever has the new ones signs for themselves.
        try await stage.decide("approve", id, by: stage.signer)
        world.test.clock.advance(.hours(25))
        #expect(try await world.pipeline.executeDue() == 1)
        #expect(try await stage.status() == "deleted")
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `factors that people change themselves take nothing from what they signed or asked for`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await ApprovalStage(kind)
        let id = try await stage.ask().approvalID
        try await stage.decide("approve", id, by: stage.signer)
        stage.world.test.clock.advance(.hours(25))
        for person in [stage.asker, stage.signer] { try await enrol(stage.world, person.person) }
        #expect(try await stage.world.pipeline.executeDue() == 1)
        #expect(try await stage.status() == "deleted")
        await stage.world.close()
    }

    @Test(arguments: ["approval.approve", "approval.*", "policy.*", "tenant.*"])
    func `no rule covers decisions or what Postern does by itself`(operation: String) async throws {
        let world = try await World.make(.sqlite, populated: false)
        let ann = try await world.staff("ann", roles: ["super_admin"])
        let rule: JSON = [
            "code": "everything", "operation": .string(operation), "condition": "always",
            "demand": "security or super_admin", "summary": "Everything",
        ]
        do {
            _ = try await world.ask("policy.add_rule", rule, by: ann)
            Issue.record("\(operation) may be covered")
        } catch OperationError.invalid(let errors) {
            #expect(errors.map(\.pointer) == ["/input/operation"])
            #expect(errors[0].detail.contains("which waits for nobody"))
        }
        await world.close()
    }

    @Test func `a rule over them that is there all the same asks for nobody`() async throws {
        let world = try await World.make(.sqlite, populated: false)
        let ann = try await world.staff("ann", roles: ["super_admin"])
        try await world.staff("bob", roles: ["super_admin"])
        try await world.put([
            .create(
                ApprovalRuleRow(
                    ApprovalRule(
                        id: "everything", operation: "approval.*", condition: .always, demand: .role(["super_admin"]),
                        window: .hours(1), cooldown: nil, version: 1, summary: "Everything")))
        ])
        let asked = try await world.ask("staff.invite", Self.invitation("f@example.test"), by: ann)
        try await world.run("approval.approve", on: asked.approvalID, by: world.caller("stf_bob"))
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a one-time link is for who may still ask for it`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, populated: false)
        let ann = try await world.staff("ann", roles: ["super_admin"])
        try await world.staff("bob", roles: ["super_admin"])
        let asked = try await world.ask("staff.invite", Self.invitation("g@example.test"), by: ann)
        try await world.run("approval.approve", on: asked.approvalID, by: world.caller("stf_bob"))
        try await world.pipeline.executeDue()
        try await world.revoke("super_admin", of: ann.person)
        await #expect(throws: OperationError.self) {
            try await world.pipeline.takeReveal(of: asked.approvalID, by: world.caller(ann.person))
        }
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `what a role was given comes back with its limit, and a change is undone whole`(
        kind: TestDatabase.Kind
    ) async throws {
        let world = try await World.make(kind, populated: false)
        let ann = try await world.staff("ann", roles: ["super_admin"])
        let cell = "support_l2:tenant.credit"
        func limits() async throws -> [Limit]? {
            try await world.test.database.read { try RolePermission.load(cell, from: $0)?.limits }
        }
        let shipped = try await limits()
        #expect(shipped != nil)
        try await PolicyStage.change(
            world, "policy.change_role", on: "support_l2", ["give": ["flag.view"], "take_away": ["tenant.credit"]],
            by: ann)
        let event = try await world.test.database.read { reader in
            try reader.query(
                Statement("SELECT id FROM events WHERE action = 'policy.change_role' AND class = 'mutation'")
            ).first?.string("id")
        }
        let offer = try await world.pipeline.undoOffer(for: #require(event), by: world.caller(ann.person)).request
        #expect(offer.input == ["give": ["tenant.credit"], "take_away": ["flag.view"]])
        try await PolicyStage.change(world, offer.operation, on: offer.target, offer.input, by: ann)
        #expect(try await limits() == shipped)
        let document = try await world.test.database.read { try RolePermission.load(cell, from: $0)?.document }
        #expect(document?.object?.keys.contains("revoked") == false)
        await world.close()
    }

    @Test func `nobody can sign without being able to decide`() {
        let cells = Seeds.permissions.filter { !($0.role == "security" && $0.permission == "approval.decide") }
        func person(_ name: String, _ role: String) -> Standing {
            let held = cells.filter { $0.role == role }.map { ($0.permission, [Limit]?.none) }
            return Standing(
                person: name, name: name, isActive: true, roles: [role],
                permissions: Permissions(Dictionary(held) { first, _ in first }))
        }
        let state = PolicyState(
            roles: Seeds.roles.map(\.id), cells: cells, rules: Seeds.rules,
            people: [person("ada", "super_admin"), person("bo", "super_admin"), person("cy", "security")])
        let found = PolicyLint([.init("policy.change_rule", permission: "policy.change", risk: .critical)]).findings(
            state)
        #expect(found.contains { $0.kind == .deadlock && $0.operation == "policy.change_rule" })
    }
}
