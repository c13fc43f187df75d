import Consoles
import Kernel
import Store
import TestSupport
import Testing

/// Policy as it is written and read back (spec: access §1 to §3).
@Suite struct PolicyTestsNotation {
    @Test func `every shipped rule is written so that it reads back as itself`() throws {
        for rule in Seeds.rules {
            let demand = DemandText(rule.demand).text
            #expect(try DemandText.parse(text: demand, .none).demand == rule.demand, "\(rule.id): \(demand)")
            let condition = ConditionText(rule.condition).text
            let read = try ConditionText.parse(text: condition, .none).condition
            #expect(read.json == rule.condition.json, "\(rule.id): \(condition)")
        }
    }

    @Test(arguments: [
        ("super_admin or security", "super_admin or security"), ("1 security", "security"),
        ("  all of( security ,holder of tenant.suspend )", "all of (security, holder of tenant.suspend)"),
        ("2 of (any of (a, b), c, d or e)", "2 of (any of (a, b), c, d or e)"),
    ])
    func `a demand is read as people write it`(typed: String, text: String) throws {
        #expect(try DemandText.parse(text: typed, .none).text == text)
    }

    @Test(arguments: [
        "", "of", "super_admin or", "all of security", "all of (security", "all of ()", "3 of (a, b)", "0 of (a)",
        "2 security", "holder of suspend", "security and super_admin", "all of (a) b", "Security",
        "any of (any of (any of (any of (any of (any of (any of (a)))))))",
        "all of (a, a, a, a, a, a, a, a, a, a, a, a, a)",
    ])
    func `a demand that can't be read is refused with a reason`(typed: String) {
        #expect(throws: FieldError.Reason.self) { try DemandText.parse(text: typed, .none) }
    }

    @Test(arguments: [
        ("amount>=10000 and amount < 5", "amount < 5 and amount >= 10000"), ("always", "always"),
        ("currency = USD and over_limit = true", "currency = USD and over_limit = true"), ("n = -3", "n = -3"),
    ])
    func `a condition is read as people write it`(typed: String, text: String) throws {
        #expect(try ConditionText.parse(text: typed, .none).text == text)
    }

    @Test(arguments: [
        "", "amount", "amount >", "amount ! 3", "amount > USD", "a = 1 or b = 2", "a > 1 and a > 2", "always and a = 1",
    ])
    func `a condition that can't be read is refused with a reason`(typed: String) {
        #expect(throws: FieldError.Reason.self) { try ConditionText.parse(text: typed, .none) }
    }

    @Test(arguments: [
        ("1.0834", "USD", 1_083_400), ("0.0067", "JPY", 670_000), ("2.65", "KWD", 265_000), ("0", "EUR", 0),
    ])
    func `a rate counts in the currency's own digits`(text: String, currency: String, micros: Int64) async throws {
        let world = try await World.make(.sqlite, populated: false)
        let admin = try await world.staff("admin", roles: ["super_admin"])
        let target = currency == "USD" ? "CHF" : currency
        let before = try await world.test.database.read { try ExchangeRate.load(target, from: $0)?.micros }
        if micros == before {
            await world.close()
            return
        }
        try await PolicyStage.change(world, "policy.set_rate", on: target, ["rate": .string(text)], by: admin)
        #expect(try await world.test.database.read { try ExchangeRate.load(target, from: $0)?.micros } == micros)
        await world.close()
    }
}
