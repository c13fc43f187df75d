import Consoles
import Kernel
import Store
import TestSupport
import Testing

/// Policy that is read, tried on the past and changed (spec: access §1 to §3).
@Suite struct PolicyTests {
    // MARK: The notation

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
        try await Self.change(world, "policy.set_rate", on: target, ["rate": .string(text)], by: admin)
        #expect(try await world.test.database.read { try ExchangeRate.load(target, from: $0)?.micros } == micros)
        await world.close()
    }

    // MARK: The search

    private static let acts = [
        PolicyLint.Act("staff.invite", permission: "staff.invite", risk: .high),
        PolicyLint.Act("staff.grant_role", permission: "staff.grant_role", risk: .high),
        PolicyLint.Act("staff.reset_factors", permission: "staff.reset_factors", risk: .high),
        PolicyLint.Act("policy.change_rule", permission: "policy.change", risk: .critical),
        PolicyLint.Act("tenant.hard_delete", permission: "tenant.hard_delete", risk: .critical),
    ]

    private static func person(_ name: String, _ roles: Set<String>, _ cells: [RolePermission]) -> Standing {
        let held = cells.filter { roles.contains($0.role) }.map { ($0.permission, [Limit]?.none) }
        return Standing(
            person: name, name: name, isActive: true, roles: roles,
            permissions: Permissions(Dictionary(held) { first, _ in first }))
    }

    private static func shipped(without gone: String? = nil) -> PolicyState {
        let cells = Seeds.permissions
        return PolicyState(
            roles: Seeds.roles.map(\.id), cells: cells, rules: Seeds.rules.filter { $0.id != gone },
            people: [
                person("ada", ["super_admin"], cells), person("bo", ["super_admin"], cells),
                person("cy", ["security"], cells), person("di", ["support_l2"], cells),
            ], separations: Seeds.separations)
    }

    @Test func `nobody can go alone under the shipped policy`() {
        let found = PolicyLint(Self.acts).findings(Self.shipped())
        #expect(found.filter(\.isProblem).isEmpty, "\(found)")
    }

    @Test(arguments: ["staff_invite", "staff_reset_factors", "policy_change_rule"])
    func `one rule less, and the person who could is named with the way there`(rule: String) throws {
        let found = PolicyLint(Self.acts).findings(Self.shipped(without: rule)).filter { $0.kind == .alone }
        let deleting = found.filter { $0.operation == "tenant.hard_delete" && $0.rule == "tenant_hard_delete" }
        // Those who may do the first step; support may not.
        #expect(Set(deleting.compactMap(\.person)) == ["ada", "bo"])
        #expect(
            deleting.allSatisfy {
                $0.steps.count >= 2 && $0.steps.last?.hasSuffix("completes tenant.hard_delete") == true
            })
    }

    @Test func `findings call people, roles and operations by their names`() throws {
        var state = Self.shipped(without: "staff_invite")
        state.people = state.people.map {
            Standing(
                person: "stf_\($0.person)", name: $0.name, isActive: true, roles: $0.roles, permissions: $0.permissions)
        }
        let acts =
            [PolicyLint.Act("tenant.hard_delete", permission: "tenant.hard_delete", risk: .critical, title: "Delete")]
            + Self.acts.filter { $0.name != "tenant.hard_delete" }
        let found = PolicyLint(acts).findings(state)
        let deleting = try #require(found.first { $0.kind == .alone && $0.operation == "tenant.hard_delete" })
        #expect(deleting.sentence.contains(" could complete “Delete” (tenant.hard_delete) alone, though “"))
        let words = found.flatMap { [$0.sentence] + $0.steps }
        #expect(!words.contains { $0.contains("stf_") }, "\(words)")
        #expect(deleting.steps.contains { $0.hasSuffix(" signs") }, "\(deleting.steps)")
    }

    @Test func `granting roles to others gives nothing without an account to give them to`() {
        let found = PolicyLint(Self.acts).findings(Self.shipped(without: "staff_grant_role"))
        #expect(!found.contains { $0.kind == .alone })
    }

    @Test func `rules nobody can meet, strangers and roles held together are found`() {
        var state = Self.shipped()
        state.people = [
            Self.person("ada", ["super_admin"], state.cells),
            Self.person("di", ["support_l2", "billing_ops"], state.cells),
        ]
        state.rules.append(
            ApprovalRule(
                id: "x", operation: "tenant.hard_delete", condition: .always, demand: .role(["nobody"]),
                window: .hours(1), cooldown: nil, version: 1, summary: "X"))
        let found = PolicyLint(Self.acts).findings(state)
        #expect(found.contains { $0.kind == .deadlock && $0.rule == "tenant_hard_delete" })
        #expect(found.contains { $0.kind == .unknown && $0.rule == "x" && $0.sentence.contains("nobody") })
        #expect(found.contains { $0.kind == .separation && $0.person == "di" })
    }

    @Test(
        arguments: [
            (["members > 1000000"], true), (["automatic = true", "members > 5"], true),
            // What may be anything else besides true and false.
            (["tier = true", "tier = false"], true), (["members > 5", "members < 5"], true),
            (["automatic = true", "automatic = false"], false), (["members > 5", "members < 6"], false),
            (["members >= 5", "members < 5"], false), (["always", "members > 5"], false),
        ] as [([String], Bool)])
    func `a condition that leaves cases of a critical operation out is worth knowing`(
        conditions: [String], isSaid: Bool
    ) throws {
        var state = Self.shipped()
        state.rules.removeAll { $0.covers("tenant.hard_delete") }
        for (number, text) in conditions.enumerated() {
            state.rules.append(
                ApprovalRule(
                    id: "delete_\(number)", operation: "tenant.hard_delete",
                    condition: try ConditionText.parse(text: text, .none).condition, demand: .role(["super_admin"]),
                    window: .hours(1), cooldown: nil, version: 1, summary: "Deleting"))
        }
        let found = PolicyLint(Self.acts).findings(state)
        #expect(found.filter(\.isProblem).isEmpty, "\(found)")
        let said = found.filter { $0.kind == .conditional && $0.operation == "tenant.hard_delete" }
        let sentence =
            "tenant.hard_delete is critical, and asks for a second person only when \(conditions.joined(separator: ", or when "))."
        #expect(said.map(\.sentence) == (isSaid ? [sentence] : []))
        #expect(said.allSatisfy { ($0.rule == nil) == (conditions.count > 1) })
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `whoever signs a condition that switches a critical rule off reads that it does`(
        kind: TestDatabase.Kind
    ) async throws {
        let world = try await World.make(kind, populated: false)
        let admin = try await world.staff("admin", roles: ["super_admin"])
        try await world.staff("other", roles: ["super_admin"])
        try await world.staff("guard", roles: ["security"])
        func consequence(_ condition: String) async throws -> String {
            let preview = try await world.pipeline.preview(
                OperationRequest(
                    operation: "policy.change_rule", target: "tenant_hard_delete",
                    input: [
                        "condition": .string(condition), "demand": "super_admin", "window_minutes": 60,
                        "cooldown_minutes": 1440, "summary": "Deleting a tenant for good",
                    ], justification: "large ones only"), by: world.caller(admin.person))
            return preview.allowed ? preview.consequence ?? "" : ""
        }
        let warned = "(tenant.hard_delete) is critical, and asks for a second person only when "
        #expect(try await consequence("members > 1000000").contains("\(warned)members > 1000000, or when automatic"))
        let always = try await consequence("always")
        #expect(!always.isEmpty && !always.contains(warned))
        await world.close()
    }

    /// The same question asked by brute force: every order of steps, every way to give leaves to accounts.
    private struct Search {
        let state: PolicyState
        struct Accounts: Hashable {
            /// Names and roles.
            var held: [String: Set<String>]
            var isOpen = false
        }

        func permissions(_ roles: Set<String>) -> Set<String> {
            Set(state.cells.filter { roles.contains($0.role) }.map(\.permission))
        }

        func fills(_ demand: Demand, _ left: [String], _ accounts: Accounts) -> [[String]] {
            switch demand {
            case .role(let roles):
                return left.filter { !accounts.held[$0, default: []].isDisjoint(with: roles) }.map { [$0] }
            case .permission(let code):
                return left.filter { permissions(accounts.held[$0, default: []]).contains(code) }.map { [$0] }
            case .anyOf(let demands): return demands.flatMap { fills($0, left, accounts) }
            case .allOf(let demands):
                var found: [[String]] = [[]]
                for demand in demands {
                    found = found.flatMap { used in
                        fills(demand, left.filter { !used.contains($0) }, accounts).map { used + $0 }
                    }
                }
                return found
            case .count(let count, let demands):
                var found: [[String]] = []
                for bits in 0..<(1 << demands.count) where bits.nonzeroBitCount == count {
                    let chosen = demands.indices.filter { bits & (1 << $0) != 0 }.map { demands[$0] }
                    found += fills(.allOf(chosen), left, accounts)
                }
                return found
            }
        }

        /// The accounts that can ask for it and get it.
        func askers(_ permission: String, _ rules: [ApprovalRule], _ accounts: Accounts) -> [String] {
            accounts.held.keys.sorted().filter { asker in
                guard permissions(accounts.held[asker, default: []]).contains(permission) else { return false }
                if accounts.isOpen { return true }
                let others = accounts.held.keys.filter { $0 != asker }.sorted()
                return rules.allSatisfy { !fills($0.demand, others, accounts).isEmpty }
            }
        }

        /// Whether `person` could complete the operation of `rule`.
        func reaches(_ person: String, _ roles: Set<String>, _ rule: ApprovalRule) -> Bool {
            var seen: Set<Accounts> = []
            var queue = [Accounts(held: [person: roles])]
            while let accounts = queue.popLast() {
                guard seen.insert(accounts).inserted, seen.count < 4000 else { continue }
                // Alone from the beginning is no finding: the rule then has no demand.
                if !askers(rule.operation, [rule], accounts).isEmpty { return true }
                func matching(_ name: String) -> [ApprovalRule] { state.rules.filter { $0.covers(name) } }
                if !askers("staff.invite", matching("staff.invite"), accounts).isEmpty, accounts.held.count < 5 {
                    for role in state.roles {
                        var next = accounts
                        next.held["new\(accounts.held.count)"] = [role]
                        queue.append(next)
                    }
                }
                for asker in askers("staff.grant_role", matching("staff.grant_role"), accounts) {
                    for name in accounts.held.keys where name != asker {
                        for role in state.roles where accounts.held[name]?.contains(role) != true {
                            var next = accounts
                            next.held[name, default: []].insert(role)
                            queue.append(next)
                        }
                    }
                }
                if !askers("staff.reset_factors", matching("staff.reset_factors"), accounts).isEmpty {
                    for other in state.people where accounts.held[other.person] == nil {
                        var next = accounts
                        next.held[other.person] = other.roles
                        queue.append(next)
                    }
                }
                if !accounts.isOpen, !askers("policy.change", matching("policy.change_rule"), accounts).isEmpty {
                    var next = accounts
                    next.isOpen = true
                    queue.append(next)
                }
            }
            return false
        }
    }

    @Test(arguments: 0..<60)
    func `the search agrees with trying everything`(seed: Int) {
        var random = SplitMix(seed: UInt64(seed) &* 7919 &+ 17)
        let roles = ["r1", "r2", "r3"]
        let codes = Self.acts.map(\.permission)
        var cells: [RolePermission] = []
        for role in roles {
            for code in codes where random.next() % 3 == 0 {
                cells.append(RolePermission(role: role, permission: code))
            }
        }
        func some(_ list: [String]) -> [String] {
            let chosen = list.filter { _ in random.next() % 2 == 0 }
            return chosen.isEmpty ? [list[Int(random.next() % UInt64(list.count))]] : chosen
        }
        func leaf() -> Demand {
            random.next() % 3 == 0 ? .permission(codes[Int(random.next() % UInt64(codes.count))]) : .role(some(roles))
        }
        func demand() -> Demand {
            switch random.next() % 4 {
            case 0: .allOf([leaf(), leaf()])
            case 1: .anyOf([leaf(), .allOf([leaf(), leaf()])])
            default: leaf()
            }
        }
        let rules = Self.acts.filter { $0.name == "tenant.hard_delete" || random.next() % 4 != 0 }.map {
            ApprovalRule(
                id: $0.name.replacing(".", with: "_"), operation: $0.name, condition: .always, demand: demand(),
                window: .hours(1), cooldown: nil, version: 1, summary: $0.name)
        }
        let people = (1...3).map { Self.person("p\($0)", Set(some(roles)), cells) }
        let state = PolicyState(roles: roles, cells: cells, rules: rules, people: people)
        let found = Set(
            PolicyLint(Self.acts).findings(state).filter {
                $0.kind == .alone && $0.operation == "tenant.hard_delete"
            }.compactMap(\.person))
        for person in people {
            guard let rule = rules.first(where: { $0.operation == "tenant.hard_delete" }) else { continue }
            let reaches = Search(state: state).reaches(person.person, person.roles, rule)
            #expect(
                found.contains(person.person) == reaches,
                "\(person.person): \(state.rules.map(\.demand)) \(cells.map(\.id))")
        }
    }

    // MARK: Changing it

    /// Asks, has security agree, and carries out.
    static func change(
        _ world: World, _ operation: String, on target: String?, _ input: JSON, by admin: Caller
    ) async throws {
        if try await world.test.database.read({ try Staff.load("stf_guard", from: $0) }) == nil {
            try await world.staff("guard", roles: ["security"])
        }
        let pending = try await world.ask(operation, on: target, input, by: world.caller(admin.person))
        _ = try await world.pipeline.run(
            OperationRequest(
                operation: "approval.approve", target: pending.approvalID, idempotencyKey: world.key()),
            by: world.caller("stf_guard"))
        try await world.pipeline.executeDue()
        let request = try await world.approval(pending.approvalID)
        guard request.state == .executed else { throw StoreError.other("\(operation) is \(request.state.rawValue)") }
    }

    private func refusal(_ body: () async throws -> Void) async -> String {
        do {
            try await body()
        } catch OperationError.conflict(let detail, _) {
            return detail
        } catch OperationError.invalid(let errors) {
            return errors.map(\.detail).joined(separator: " ")
        } catch {
            return String(describing: error)
        }
        return "was allowed"
    }

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

        try await Self.change(world, "policy.change_rule", on: "tenant_hard_delete", Self.rule, by: admin)
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
        let alone = await refusal {
            try await ask("policy.change_rule", on: "staff_invite", rule("security", retired: true))
        }
        #expect(alone.contains("alone") && alone.contains("How: "))
        let unpriced = await refusal {
            try await ask(
                "policy.add_rule", on: nil,
                [
                    "code": "suspend_gbp", "operation": "tenant.suspend", "condition": "currency = GBP",
                    "demand": "security", "summary": "Suspending",
                ])
        }
        #expect(unpriced.contains("GBP has no rate"))
        let dead = await refusal { try await ask("policy.change_rule", on: "staff_invite", rule("executive")) }
        #expect(dead.contains("Nobody could get “Invite staff” (staff.invite) signed"))
        let stranger = await refusal { try await ask("policy.change_rule", on: "staff_invite", rule("pope")) }
        #expect(stranger.contains("pope, which does not exist"))
        let nothing = await refusal {
            try await ask("policy.change_role", on: "super_admin", ["take_away": ["policy.change"]])
        }
        #expect(nothing == "Nobody could change policy any more after this.")
        let lost = await refusal { try await ask("policy.change_role", on: "legal", ["give": ["no.such"]]) }
        #expect(lost.contains("no.such, which is no permission"))
        let same = await refusal { try await ask("policy.change_role", on: "security", ["give": ["audit.view"]]) }
        #expect(same.contains("Security holds “Read the audit log” (audit.view) already"))
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a role is changed for everybody at the next request, and back`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, populated: false)
        let admin = try await world.staff("admin", roles: ["super_admin"])
        let clerk = try await world.staff("clerk", roles: ["billing_ops"])
        #expect(clerk.permissions.contains("tenant.credit") && !clerk.permissions.contains("flag.view"))
        try await Self.change(
            world, "policy.change_role", on: "billing_ops", ["give": ["flag.view"], "take_away": ["tenant.credit"]],
            by: admin)
        var now = try await world.caller(clerk.person)
        #expect(!now.permissions.contains("tenant.credit") && now.permissions.contains("flag.view"))
        try await Self.change(
            world, "policy.change_role", on: "billing_ops", ["give": ["tenant.credit"], "take_away": ["flag.view"]],
            by: admin)
        try await Self.change(
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

        try await Self.change(world, operation, on: "legal", apart, by: admin)
        let flags = try await world.test.database.read { reader in
            try reader.query(StaffFlag.selectAll(after: "", limit: 10)).map { try StaffFlag($0) }
        }
        #expect(flags.map(\.staffID) == ["stf_clerk"] && flags.allSatisfy { $0.state == .open })
        let clerk = try await world.caller("stf_clerk")
        #expect(clerk.roles == ["compliance", "legal"])
        let refused = await refusal { try await grant() }
        #expect(refused.contains("Compliance and Legal are not held by one person"))
        let again = await refusal {
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
        try await Self.change(world, offer.operation, on: offer.target, offer.input, by: admin)
        try await grant()
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `one pair of several ends, and seeding does not bring it back`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, populated: false)
        let admin = try await world.staff("admin", roles: ["super_admin"])
        func pair(_ role: String, _ held: String) async throws -> [RoleSeparation] {
            try await Self.change(
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
        try await Self.change(world, "policy.change_role", on: "support_l2", ["give": ["payment.refund"]], by: admin)
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
            let answer = await refusal {
                _ = try await world.ask("policy.set_limit", on: cell, input, by: world.caller(admin.person))
            }
            #expect(answer.contains("at most 200.00 USD"), "\(answer)")
        }
        try await Self.change(world, "policy.set_limit", on: cell, ["currency": "USD", "amount": 150_00], by: admin)
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
            let answer = await refusal {
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
        try await Self.change(world, "policy.set_limit", on: cell, after, by: admin)
        let limits = try await world.test.database.read { try RolePermission.load(cell, from: $0)?.limits }
        #expect(limits == [Limit(currency: "USD", amount: 50_00, daily: 200_00)])
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
        try await Self.change(world, "policy.add_rule", on: nil, added, by: admin)
        let pending = try await world.ask(
            "tenant.suspend", on: tenant, reason: "non_payment", by: world.caller(admin.person))
        #expect(pending.needs.map(\.rule) == ["suspend_two"])
        let again = await refusal {
            _ = try await world.ask("policy.add_rule", added, by: world.caller(admin.person))
        }
        #expect(again.contains("There is a rule suspend_two already"))
        await world.close()
    }
}
