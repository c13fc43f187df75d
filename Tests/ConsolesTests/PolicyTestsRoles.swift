import Consoles
import Kernel
import Store
import TestSupport
import Testing

/// Roles, what keeps them apart, and limits, changed for everybody who holds them (spec: access §1 and §2).
@Suite struct PolicyTestsRoles {
    @Test(arguments: TestDatabase.Kind.allCases)
    func `a role is changed for everybody at the next request, and back`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, populated: false)
        let admin = try await world.staff("admin", roles: ["super_admin"])
        let clerk = try await world.staff("clerk", roles: ["billing_ops"])
        #expect(clerk.permissions.contains("tenant.credit") && !clerk.permissions.contains("flag.view"))
        try await PolicyStage.change(
            world, "policy.change_role", on: "billing_ops", ["give": ["flag.view"], "take_away": ["tenant.credit"]],
            by: admin)
        var now = try await world.caller(clerk.person)
        #expect(!now.permissions.contains("tenant.credit") && now.permissions.contains("flag.view"))
        try await PolicyStage.change(
            world, "policy.change_role", on: "billing_ops", ["give": ["tenant.credit"], "take_away": ["flag.view"]],
            by: admin)
        try await PolicyStage.change(
            world, "policy.set_limit", on: "billing_ops:tenant.credit", ["currency": "USD", "amount": 100_00], by: admin
        )
        now = try await world.caller(clerk.person)
        #expect(now.permissions.limits(on: "tenant.credit") == [Limit(currency: "USD", amount: 100_00)])
        #expect(!now.permissions.contains("flag.view"))
        await world.close()
    }

    private static func separations(_ world: World) async throws -> [RoleSeparation] {
        try await world.test.database.read { reader in
            try reader.query(RoleSeparation.selectAll(after: "", limit: 100)).map { try RoleSeparation($0) }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `roles are put apart and together again, and whoever holds both is named`(
        kind: TestDatabase.Kind
    ) async throws {
        let world = try await World.make(kind, populated: false)
        let admin = try await world.staff("admin", roles: ["super_admin"])
        try await world.staff("guard", roles: ["security"])
        try await world.staff("clerk", roles: ["compliance", "legal"])
        try await world.staff("newcomer", roles: ["compliance"])
        let apart: JSON = ["role": "compliance", "held": "apart", "summary": "Holding data, and looking into it"]
        let together: JSON = ["role": "compliance", "held": "together"]
        let operation = "policy.change_separation"
        func grant() async throws {
            _ = try await world.ask(
                "staff.grant_role", on: "stf_newcomer", ["role": "legal"], by: world.caller(admin.person))
        }
        let preview = try await world.pipeline.preview(
            OperationRequest(
                operation: operation, target: "legal", input: apart, justification: "each checks the other"),
            by: world.caller(admin.person))
        #expect(preview.allowed && preview.consequence?.contains("clerk holds both now and keeps them") == true)

        try await PolicyStage.change(world, operation, on: "legal", apart, by: admin)
        let flags = try await world.test.database.read { reader in
            try reader.query(StaffFlag.selectAll(after: "", limit: 10)).map { try StaffFlag($0) }
        }
        #expect(flags.map(\.staffID) == ["stf_clerk"] && flags.allSatisfy { $0.state == .open })
        let clerk = try await world.caller("stf_clerk")
        #expect(clerk.roles == ["compliance", "legal"])
        let refused = await PolicyStage.refusal { try await grant() }
        #expect(refused.contains("Compliance and Legal may not be held by one person"))
        let again = await PolicyStage.refusal {
            _ = try await world.ask(operation, on: "legal", apart, by: world.caller(admin.person))
        }
        #expect(again.contains("kept apart already"))

        let event = try await world.test.database.read { reader in
            try reader.query(
                Statement(
                    """
                    SELECT id FROM events WHERE action = 'policy.change_separation' AND class = 'mutation'
                        AND outcome = 'applied'
                    """)
            ).first?.string("id")
        }
        let offer = try await world.pipeline.undoOffer(for: #require(event), by: world.caller(admin.person)).request
        #expect(offer.operation == operation && offer.target == "legal" && offer.input == together)
        try await PolicyStage.change(world, offer.operation, on: offer.target, offer.input, by: admin)
        try await grant()
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `one pair of several ends, and seeding does not bring it back`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, populated: false)
        let admin = try await world.staff("admin", roles: ["super_admin"])
        func pair(_ role: String, _ held: String) async throws -> [RoleSeparation] {
            try await PolicyStage.change(
                world, "policy.change_separation", on: "billing_ops",
                ["role": .string(role), "held": .string(held)], by: admin)
            return try await Self.separations(world)
        }
        var rows = try await pair("support_l1", "together")
        #expect(RoleSeparation.sentence(["support_l1", "billing_ops"], under: rows) == nil)
        #expect(RoleSeparation.sentence(["support_l2", "billing_ops"], under: rows) != nil)
        rows = try await pair("security", "together")
        #expect(RoleSeparation.sentence(["security", "billing_ops"], under: rows) == nil)
        #expect(try await !world.test.database.read { try SeedPolicy.isNeeded($0) })
        rows = try await pair("support_l1", "apart")
        #expect(RoleSeparation.sentence(["support_l1", "billing_ops"], under: rows) != nil)
        #expect(rows.count == Seeds.separations.count + 1)
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a role is never given more than the most it may carry`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, populated: false)
        let admin = try await world.staff("admin", roles: ["super_admin"])
        let cell = "support_l2:payment.refund"
        try await PolicyStage.change(
            world, "policy.change_role", on: "support_l2", ["give": ["payment.refund"]], by: admin)
        func limits() async throws -> [Limit]? {
            try await world.test.database.read { try RolePermission.load(cell, from: $0)?.limits }
        }
        #expect(try await limits() == [Limit(currency: "USD", amount: 200_00)])
        try await world.rate("EUR", 1_100_000)
        let refused: [JSON] = [
            ["currency": "USD", "amount": 200_01], ["currency": "USD"], ["currency": "EUR", "amount": 190_00],
            ["currency": "GBP", "amount": 1],
        ]
        for input in refused {
            let answer = await PolicyStage.refusal {
                _ = try await world.ask("policy.set_limit", on: cell, input, by: world.caller(admin.person))
            }
            #expect(answer.contains("at most 200.00 USD"), "\(answer)")
        }
        try await PolicyStage.change(
            world, "policy.set_limit", on: cell, ["currency": "USD", "amount": 150_00], by: admin)
        #expect(try await limits() == [Limit(currency: "USD", amount: 150_00)])
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a limit a day stands beside the one of each action, and is never below it`(
        kind: TestDatabase.Kind
    ) async throws {
        let world = try await World.make(kind, populated: false)
        let admin = try await world.staff("admin", roles: ["super_admin"])
        let cell = "support_l2:tenant.credit"
        let refused: [(input: JSON, detail: String)] = [
            (["currency": "USD", "amount": 50_00, "daily": 49_99], "less than one action"),
            (["currency": "USD", "daily": 50_00], "beside one of each action"),
            (["currency": "USD", "amount": 50_00, "daily": 50_00], "exactly so already"),
        ]
        for (input, detail) in refused {
            let answer = await PolicyStage.refusal {
                _ = try await world.ask("policy.set_limit", on: cell, input, by: world.caller(admin.person))
            }
            #expect(answer.contains(detail), "\(answer)")
        }
        let after: JSON = ["currency": "USD", "amount": 50_00, "daily": 200_00]
        let preview = try await world.pipeline.preview(
            OperationRequest(
                operation: "policy.set_limit", target: cell, input: after, justification: "a quarter was too little"),
            by: world.caller(admin.person))
        #expect(
            preview.consequence
                == "Support L2 (support_l2) may go up to 50.00 USD (200.00 a day) in one action of “Give a credit” (tenant.credit)."
        )
        let row = try await world.test.database.read { try RolePermission.load(cell, from: $0) }
        #expect(row?.displayName == "Support L2: Give a credit")
        try await PolicyStage.change(world, "policy.set_limit", on: cell, after, by: admin)
        let limits = try await world.test.database.read { try RolePermission.load(cell, from: $0)?.limits }
        #expect(limits == [Limit(currency: "USD", amount: 50_00, daily: 200_00)])
        await world.close()
    }
}
