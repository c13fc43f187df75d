import Consoles
import HTML
import Kernel
import TestSupport
import Testing

/// Money under the rules that ship: bands, currencies, what adds up, and races for the last of it (spec: access §3).
@Suite struct SpendingTests {
    /// Money to a tenant, for the rules of `tenant.credit` to look at.
    private enum Credit: Operation {
        typealias Target = Tenant
        static let spec = OperationSpec(
            "tenant.credit", "Credit tenant", summary: "Gives the tenant money.", permission: "tenant.credit",
            risk: .medium)
        struct Input: OperationInput {
            @Param("Amount", .range(1...10_000_000_000), help: "In minor units.") var amount: Int64
            @Param("Currency", .length(3...3), help: "ISO 4217.") var currency: String
            init() {}
        }
        static func measures(_ call: Call<Self>) -> Measures {
            Measures(["amount": .int(call.input.amount), "currency": .string(call.input.currency)])
        }
        static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Tenant> {
            var after = call.before
            after.updatedAt = call.now
            return Plan(after, consequence: "Credited.")
        }
    }

    /// Money by another permission, which carries no limit and which no rule covers.
    private enum Gift: Operation {
        typealias Target = Tenant
        static let spec = OperationSpec(
            "tenant.gift", "Gift to tenant", summary: "Gives the tenant money.", permission: "tenant.set_note",
            risk: .medium)
        typealias Input = Credit.Input
        static func measures(_ call: Call<Self>) -> Measures {
            Measures(["amount": .int(call.input.amount), "currency": .string(call.input.currency)])
        }
        static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Tenant> {
            var after = call.before
            after.updatedAt = call.now
            return Plan(after, consequence: "Given.")
        }
    }

    private struct Stage {
        let world: World
        let tenants: [String]
        let clerk: Caller
        let lead: Caller
        let colleague: Caller

        init(_ kind: TestDatabase.Kind) async throws {
            world = try await World.make(
                kind, populated: false,
                consoles: [Console("Money", operations: [AnyOperation(Credit.self), AnyOperation(Gift.self)])])
            var tenants: [String] = []
            for number in 1...30 { tenants.append(try await world.tenant("payee-\(number)")) }
            self.tenants = tenants
            clerk = try await world.staff("clerk", roles: ["billing_ops"])
            colleague = try await world.staff("colleague", roles: ["billing_ops"])
            lead = try await world.staff("lead", roles: ["finance_lead"])
        }

        /// `applied`, the rules it waits for, or why not.
        func credit(
            _ amount: Int, _ currency: String = "USD", to tenant: Int = 0, by caller: Caller? = nil,
            as operation: String = "tenant.credit"
        ) async throws -> (word: String, approval: String?) {
            do {
                let outcome = try await world.pipeline.run(
                    OperationRequest(
                        operation: operation, target: tenants[tenant],
                        input: ["amount": .int(Int64(amount)), "currency": .string(currency)],
                        idempotencyKey: world.key()), by: world.caller((caller ?? clerk).person))
                switch outcome.result {
                case .applied: return ("applied", nil)
                case .pending(let pending):
                    return (pending.needs.map(\.rule).joined(separator: " "), pending.approvalID)
                }
            } catch OperationError.overLimit { return ("over limit", nil) } catch OperationError.conflict {
                return ("conflict", nil)
            }
        }

        func word(_ amount: Int, _ currency: String = "USD", to tenant: Int = 0) async throws -> String {
            try await credit(amount, currency, to: tenant).word
        }

        func decide(_ verb: String, _ id: String?, by caller: Caller) async throws {
            _ = try await world.pipeline.run(
                OperationRequest(
                    operation: "approval.\(verb)", target: id, justification: "looked at it, and this is right",
                    idempotencyKey: world.key()), by: world.caller(caller.person))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `each band asks for whom it says, at its edges`(kind: TestDatabase.Kind) async throws {
        let stage = try await Stage(kind)
        #expect(try await stage.word(99_99, to: 0) == "applied")
        #expect(try await stage.word(100_00, to: 1) == "tenant_credit_usd_100")
        #expect(try await stage.word(1000_00, to: 2) == "tenant_credit_usd_100")
        #expect(try await stage.word(1000_01, to: 3) == "tenant_credit_usd_1000")
        // What nobody can convert is more than a person moves a day, too.
        #expect(try await stage.word(1, "XTS", to: 4) == "tenant_credit_actor_daily tenant_credit_unconverted")
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `ten refunds of 99 to one tenant hit the second band on the second one`(kind: TestDatabase.Kind) async throws {
        let stage = try await Stage(kind)
        #expect(try await stage.word(99_00) == "applied")
        let second = try await stage.credit(99_00)
        #expect(second.word == "tenant_credit_usd_100")
        // Signed, it counts no more: but the first still does.
        try await stage.decide("approve", second.approval, by: stage.colleague)
        #expect(try await stage.world.approval(second.approval ?? "").state == .executed)
        #expect(try await stage.word(1_00) == "tenant_credit_usd_100")
        #expect(try await stage.word(99_00, to: 1) == "applied")
        stage.world.test.clock.advance(.hours(24) + .seconds(1))
        #expect(try await stage.word(99_00) == "applied")
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `what waits counts until it is decided on`(kind: TestDatabase.Kind) async throws {
        let stage = try await Stage(kind)
        let waiting = try await stage.credit(150_00)
        #expect(waiting.word == "tenant_credit_usd_100")
        // A twin is refused; another tenant's money is another sum.
        #expect(try await stage.word(10_00) == "conflict")
        try await stage.decide("reject", waiting.approval, by: stage.colleague)
        #expect(try await stage.word(10_00) == "applied")
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a rate converts, rounded up, and without one it is signed`(kind: TestDatabase.Kind) async throws {
        let stage = try await Stage(kind)
        try await stage.world.rate("EUR", 1_100_000)
        #expect(try await stage.word(90_00, "EUR", to: 0) == "applied")
        #expect(try await stage.word(90_91, "EUR", to: 1) == "tenant_credit_usd_100")
        // 99.00 EUR and 1.00 USD to one tenant climb one ladder.
        #expect(try await stage.word(2_00, to: 0) == "tenant_credit_usd_100")
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a currency with bands of its own adds up with the others`(kind: TestDatabase.Kind) async throws {
        let stage = try await Stage(kind)
        let condition = try #require(Condition(["amount": ["ge": 100_00], "currency": ["eq": "GBP"]]))
        try await stage.world.put([
            .create(
                ApprovalRuleRow(
                    ApprovalRule(
                        id: "credit_gbp", operation: "tenant.credit", condition: condition,
                        demand: .role(["billing_ops"]), window: .hours(1), cooldown: nil, version: 1,
                        summary: "100.00 GBP and more")))
        ])
        // Without a rate nobody knows how much it is.
        #expect(try await stage.word(1_00, "GBP", to: 0) == "tenant_credit_actor_daily")
        try await stage.world.rate("GBP", 1_270_000)
        #expect(try await stage.word(1_00, "GBP", to: 1) == "applied")
        #expect(try await stage.word(99_00, to: 2) == "applied")
        #expect(try await stage.word(30_00, "GBP", to: 2) == "credit_gbp")
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a limit in another currency holds at the policy's rate`(kind: TestDatabase.Kind) async throws {
        let stage = try await Stage(kind)
        let agent = try await stage.world.staff("agent", roles: ["support_l2"])
        try await stage.world.rate("GBP", 1_270_000)
        #expect(try await stage.credit(39_00, "GBP", to: 0, by: agent).word == "applied")
        #expect(try await stage.credit(40_00, "GBP", to: 1, by: agent).word == "tenant_credit_over_limit")
        #expect(try await stage.credit(1, "XTS", to: 2, by: agent).word.contains("tenant_credit_over_limit"))
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a role beside another takes nothing of what that allows`(kind: TestDatabase.Kind) async throws {
        let stage = try await Stage(kind)
        try await stage.world.put([
            .create(
                RolePermission(
                    role: "executive", permission: "tenant.credit", limits: [Limit(currency: "GBP", amount: 10_00)]))
        ])
        let agent = try await stage.world.staff("agent", roles: ["support_l2", "executive"])
        try await stage.world.rate("GBP", 1_270_000)
        #expect(try await stage.credit(39_00, "GBP", to: 0, by: agent).word == "applied")
        #expect(try await stage.credit(40_00, "GBP", to: 1, by: agent).word == "tenant_credit_over_limit")
        // The day of the one is used up, and the other has none.
        #expect(try await stage.credit(10_00, "GBP", to: 2, by: agent).word == "applied")
        #expect(try await stage.credit(10_01, "GBP", to: 3, by: agent).word == "tenant_credit_over_limit")
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a person's own limit asks for a signature where a rule covers it`(kind: TestDatabase.Kind) async throws {
        let stage = try await Stage(kind)
        let agent = try await stage.world.staff("agent", roles: ["support_l2"])
        #expect(try await stage.credit(50_00, to: 0, by: agent).word == "applied")
        #expect(try await stage.credit(50_01, to: 1, by: agent).word == "tenant_credit_over_limit")
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a limit a day adds up what a person did unsigned, over all tenants`(kind: TestDatabase.Kind) async throws {
        let stage = try await Stage(kind)
        let agent = try await stage.world.staff("agent", roles: ["support_l2"])
        try await stage.world.rate("GBP", 1_270_000)
        // What another permission allows to move is no part of it.
        #expect(try await stage.credit(40_00, to: 0, by: agent, as: "tenant.gift").word == "applied")
        #expect(try await stage.credit(30_00, "GBP", to: 1, by: agent).word == "applied")
        let over = try await stage.credit(12_00, to: 2, by: agent)
        #expect(over.word == "tenant_credit_over_limit")
        // Signed, it counts no more.
        try await stage.decide("approve", over.approval, by: stage.colleague)
        #expect(try await stage.world.approval(over.approval ?? "").state == .executed)
        #expect(try await stage.credit(11_90, to: 3, by: agent).word == "applied")
        #expect(try await stage.credit(1, to: 4, by: agent).word == "tenant_credit_over_limit")
        stage.world.test.clock.advance(.hours(24) + .seconds(1))
        #expect(try await stage.credit(50_00, to: 5, by: agent).word == "applied")
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a limit a day refuses where no rule covers it`(kind: TestDatabase.Kind) async throws {
        let stage = try await Stage(kind)
        let agent = stage.world.person(
            "agent", permissions: ["tenant.set_note"],
            limits: [Limit(currency: "USD", amount: 50_00, daily: 80_00), Limit(currency: "USD", amount: 20_00)])
        func gift(_ amount: Int64, to tenant: Int) async throws -> String {
            do {
                _ = try await stage.world.pipeline.run(
                    OperationRequest(
                        operation: "tenant.gift", target: stage.tenants[tenant],
                        input: ["amount": .int(amount), "currency": "USD"], idempotencyKey: stage.world.key()),
                    by: agent)
                return "applied"
            } catch OperationError.overLimit(let detail) { return detail }
        }
        #expect(try await gift(50_00, to: 0) == "applied")
        #expect(
            try await gift(40_00, to: 1).hasPrefix(
                "Your limit for this is 80.00 USD within 24 hours, of which 30.00 USD is left; this is 40.00 USD."))
        #expect(try await gift(50_01, to: 2).hasPrefix("Your limit for this is 50.00 USD; this is 50.01 USD."))
        // Another role allows less at once, and any amount a day.
        for tenant in 3..<7 { #expect(try await gift(20_00, to: tenant) == "applied") }
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the most a role may come to stands beside its limits, in every currency`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await Stage(kind)
        // However it came about that the cell carries no limit.
        try await stage.world.put([.create(RolePermission(role: "support_l2", permission: "payment.refund"))])
        let ceiling = Limit(currency: "USD", amount: 200_00, isCeiling: true)
        let refunder = try await stage.world.staff("refunder", roles: ["support_l2"])
        #expect(refunder.permissions.limits(on: "payment.refund") == [ceiling])

        try await stage.world.rate("EUR", 1_100_000)
        let agent = stage.world.person(
            "agent", permissions: ["tenant.set_note"], limits: [Limit(currency: "EUR", amount: 500_00), ceiling])
        func gift(_ amount: Int64, to tenant: Int) async throws -> String {
            do {
                _ = try await stage.world.pipeline.run(
                    OperationRequest(
                        operation: "tenant.gift", target: stage.tenants[tenant],
                        input: ["amount": .int(amount), "currency": "EUR"], idempotencyKey: stage.world.key()),
                    by: agent)
                return "applied"
            } catch OperationError.overLimit(let detail) { return detail }
        }
        #expect(try await gift(180_00, to: 0) == "applied")
        #expect(try await gift(190_00, to: 1).hasPrefix("Your limit for this is 200.00 USD; this is 190.00 EUR."))
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `of ten at once by one person only the limit a day is unsigned`(kind: TestDatabase.Kind) async throws {
        let stage = try await Stage(kind)
        let agent = try await stage.world.staff("agent", roles: ["support_l2"])
        let words = try await withThrowingTaskGroup(of: String.self) { group in
            for tenant in 0..<10 { group.addTask { try await stage.credit(20_00, to: tenant, by: agent).word } }
            return try await group.reduce(into: [String]()) { $0.append($1) }
        }
        #expect(words.count { $0 == "applied" } == 2, "\(words)")
        #expect(words.count { $0 == "tenant_credit_over_limit" } == 8, "\(words)")
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a person moves so much a day unsigned, over all tenants`(kind: TestDatabase.Kind) async throws {
        let stage = try await Stage(kind)
        for tenant in 0..<20 { #expect(try await stage.word(99_00, to: tenant) == "applied", "\(tenant)") }
        #expect(try await stage.word(20_00, to: 20) == "applied")
        #expect(try await stage.word(1, to: 21) == "tenant_credit_actor_daily")
        #expect(try await stage.credit(99_00, to: 22, by: stage.colleague).word == "applied")
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `of ten at once to one tenant one is unsigned`(kind: TestDatabase.Kind) async throws {
        let stage = try await Stage(kind)
        let words = try await withThrowingTaskGroup(of: String.self) { group in
            for number in 0..<10 {
                let clerk = number.isMultiple(of: 2) ? stage.clerk : stage.colleague
                group.addTask { try await stage.credit(99_00, by: clerk).word }
            }
            return try await group.reduce(into: [String]()) { $0.append($1) }
        }
        #expect(words.count { $0 == "applied" } == 1, "\(words)")
        #expect(words.count { $0 == "tenant_credit_usd_100" } == 1, "\(words)")
        #expect(words.count { $0 == "conflict" } == 8, "\(words)")
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `of thirty at once by one person only the allowance is unsigned`(kind: TestDatabase.Kind) async throws {
        let stage = try await Stage(kind)
        let words = try await withThrowingTaskGroup(of: String.self) { group in
            for tenant in 0..<30 { group.addTask { try await stage.credit(99_00, to: tenant).word } }
            return try await group.reduce(into: [String]()) { $0.append($1) }
        }
        // 20 × 99.00 is 1,980.00.
        #expect(words.count { $0 == "applied" } == 20, "\(words)")
        await stage.world.close()
    }

    @Test func `conversion rounds up and never overflows`() {
        let rates = Rates(micros: ["JPY": 6_543, "BIG": .max, "EUR": 1_100_000])
        #expect(rates.converted(100, from: "JPY", to: "USD") == 1)
        #expect(rates.converted(153, from: "JPY", to: "USD") == 2)
        #expect(rates.converted(0, from: "JPY", to: "USD") == 0)
        #expect(rates.converted(.max, from: "BIG", to: "USD") == .max)
        #expect(rates.converted(1, from: "USD", to: "BIG") == 1)
        #expect(rates.converted(5, from: "ZZZ", to: "USD") == nil)
        #expect(rates.converted(5, from: "ZZZ", to: "ZZZ") == 5)
        #expect(rates.converted(110, from: "USD", to: "EUR") == 100)
    }
}
