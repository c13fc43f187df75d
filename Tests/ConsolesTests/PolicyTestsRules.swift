import Consoles
import HTML
import Kernel
import Store
import TestSupport
import Testing

/// Rules that are tried on the past, changed and added, by who asks and who is refused (spec: access §3).
@Suite struct PolicyTestsRules {
    private static let rule: JSON = [
        "condition": "always", "demand": "all of (security, super_admin)", "window_minutes": 60, "cooldown_minutes": 0,
        "summary": "Deleting a tenant for good",
    ]

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a rule is changed by two people, tried on the past, in force at once, and undone`(
        kind: TestDatabase.Kind
    ) async throws {
        let world = try await World.make(kind, populated: false)
        let admin = try await world.staff("admin", roles: ["super_admin"])
        let tenant = try await world.tenant("leaving", then: [("tenant.archive", "customer_departed")])
        world.test.clock.advance(.days(91))
        try await world.staff("guard", roles: ["security"])
        try await world.staff("third", roles: ["super_admin"])
        let preview = try await world.pipeline.preview(
            OperationRequest(
                operation: "policy.change_rule", target: "tenant_hard_delete", input: Self.rule,
                justification: "two people are not enough"), by: world.caller(admin.person))
        #expect(
            preview.allowed
                && preview.consequence?.contains("Nobody did it or asked for it in the last 90 days.") == true)
        // In the units in which the difference says it.
        let said = " A request waits 1 h for its signatures instead of 1 day. Signed, it runs at once."
        #expect(preview.consequence?.contains(said) == true, "\(preview.consequence ?? "")")
        _ = try await world.ask(
            "tenant.hard_delete", on: tenant, reason: "retention_policy", by: world.caller(admin.person))

        // Tried on that, each time says who, to whom, and who of today's staff could have signed it.
        let page = try #require(Consoles.all.flatMap(\.pages).first { $0.path == "/approval-rules/{id}" })
        let looking = try await world.caller(admin.person)
        func tried(_ demand: String) async throws -> String {
            let call = PageCallFixture.make(
                looking, path: ["id": "tenant_hard_delete"], query: ["condition": ["always"], "demand": [demand]])
            return try await world.test.database.read { try page.render(call, $0).body.text }
        }
        let shown = try await tried("all of (security, super_admin)")
        #expect(shown.contains("Would have waited for 2 signatures that 2 people could give"), "\(shown)")
        #expect(shown.contains(">Delete for good</a>") && shown.contains(">admin</span>"))
        #expect(shown.contains("May ask, and nobody could sign for them"))
        let nobody = try await tried("executive")
        #expect(nobody.contains("Would have waited for a signature, which nobody else could give"))

        try await PolicyStage.change(world, "policy.change_rule", on: "tenant_hard_delete", Self.rule, by: admin)
        let changed = try await world.test.database.read { try ApprovalRuleRow.load("tenant_hard_delete", from: $0) }
        #expect(
            changed?.version == 2
                && changed?.rule.demand.sentence == "1 person with Security and 1 person with Super admin")
        // The event of the change is undone by the same operation, which waits for security as well.
        let event = try await world.test.database.read { reader in
            try reader.query(
                Statement("SELECT id FROM events WHERE action = 'policy.change_rule' AND class = 'mutation'")
            ).first?.string("id")
        }
        var offer = try await world.pipeline.undoOffer(for: #require(event), by: world.caller(admin.person)).request
        offer.justification = "it was right as it was"
        offer.idempotencyKey = world.key()
        guard case .pending(let undo) = try await world.pipeline.run(offer, by: world.caller(admin.person)).result
        else {
            Issue.record("the undo waits for nobody")
            return
        }
        _ = try await world.pipeline.run(
            OperationRequest(operation: "approval.approve", target: undo.approvalID, idempotencyKey: world.key()),
            by: world.caller("stf_guard"))
        try await world.pipeline.executeDue()
        let rule = try await world.test.database.read { try ApprovalRuleRow.load("tenant_hard_delete", from: $0)?.rule }
        let shipped = try #require(Seeds.rules.first { $0.id == "tenant_hard_delete" })
        #expect(rule?.demand == shipped.demand && rule?.cooldown == shipped.cooldown && rule?.window == shipped.window)
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `what would let one person go alone, or nobody at all, is refused`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, populated: false)
        let admin = try await world.staff("admin", roles: ["super_admin"])
        try await world.staff("other", roles: ["super_admin"])
        try await world.staff("guard", roles: ["security"])
        func ask(_ operation: String, on target: String?, _ input: JSON) async throws {
            _ = try await world.ask(operation, on: target, input, by: world.caller(admin.person))
        }
        func rule(_ demand: String, retired: Bool = false) -> JSON {
            [
                "condition": "always", "demand": .string(demand), "window_minutes": 60, "cooldown_minutes": 0,
                "summary": "Inviting staff", "retired": .bool(retired),
            ]
        }
        let alone = await PolicyStage.refusal {
            try await ask("policy.change_rule", on: "staff_invite", rule("security", retired: true))
        }
        #expect(alone.contains("alone") && alone.contains("How: "))
        let unpriced = await PolicyStage.refusal {
            try await ask(
                "policy.add_rule", on: nil,
                [
                    "code": "suspend_gbp", "operation": "tenant.suspend", "condition": "currency = GBP",
                    "demand": "security", "summary": "Suspending",
                ])
        }
        #expect(unpriced.contains("GBP has no rate"))
        let dead = await PolicyStage.refusal {
            try await ask("policy.change_rule", on: "staff_invite", rule("executive"))
        }
        #expect(dead.contains("Nobody could get “Invite staff” (staff.invite) signed"))
        let stranger = await PolicyStage.refusal {
            try await ask("policy.change_rule", on: "staff_invite", rule("pope"))
        }
        #expect(stranger.contains("pope, which does not exist"))
        let nothing = await PolicyStage.refusal {
            try await ask("policy.change_role", on: "super_admin", ["take_away": ["policy.change"]])
        }
        #expect(nothing == "Nobody could change policy any more after this.")
        let lost = await PolicyStage.refusal { try await ask("policy.change_role", on: "legal", ["give": ["no.such"]]) }
        #expect(lost.contains("no.such, which is no permission"))
        let same = await PolicyStage.refusal {
            try await ask("policy.change_role", on: "security", ["give": ["audit.view"]])
        }
        #expect(same.contains("Security holds “Read the audit log” (audit.view) already"))
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an added rule waits for its signer from the next request on, and what it saw is counted`(
        kind: TestDatabase.Kind
    ) async throws {
        let world = try await World.make(kind, populated: false)
        let admin = try await world.staff("admin", roles: ["super_admin"])
        let tenant = try await world.tenant(
            "busy", then: [("tenant.suspend", "non_payment"), ("tenant.restore", "payment_recovered")])
        let added: JSON = [
            "code": "suspend_two", "operation": "tenant.suspend", "condition": "always", "demand": "security",
            "summary": "Suspending",
        ]
        try await world.staff("guard", roles: ["security"])
        let preview = try await world.pipeline.preview(
            OperationRequest(operation: "policy.add_rule", input: added, justification: "somebody else should look"),
            by: world.caller(admin.person))
        #expect(
            preview.consequence?.contains("Of the one time within 90 days, this rule would have covered 1.") == true)
        try await PolicyStage.change(world, "policy.add_rule", on: nil, added, by: admin)
        let pending = try await world.ask(
            "tenant.suspend", on: tenant, reason: "non_payment", by: world.caller(admin.person))
        #expect(pending.needs.map(\.rule) == ["suspend_two"])
        let again = await PolicyStage.refusal {
            _ = try await world.ask("policy.add_rule", added, by: world.caller(admin.person))
        }
        #expect(again.contains("There is a rule suspend_two already"))
        await world.close()
    }
}
