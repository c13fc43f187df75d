import Consoles
import Kernel
import Store
import TestSupport
import Testing

/// Policy searched for who could go alone, and for what nobody can meet (spec: access §1 to §3).
@Suite struct PolicyTestsSearch {
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
}
