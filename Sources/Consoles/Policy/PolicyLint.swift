import Kernel

/// Access policy as it stands: what roles hold, which rules apply, and who there is.
public struct PolicyState: Sendable {
    public var roles: [String]
    /// Cells in force.
    public var cells: [RolePermission]
    /// Rules in force.
    public var rules: [ApprovalRule]
    /// Everybody who works here, with what they hold now; a role that ends later counts as held.
    public var people: [Standing]
    /// Roles nobody is to hold together.
    public var separations: [RoleSeparation]
    /// Service accounts and assistants that work.
    public var accounts: [Account]

    /// A token somebody's programs hold. Whoever holds it asks as its owner, and signs nothing.
    public struct Account: Sendable, Hashable {
        public let id: String
        public let name: String
        /// The person it belongs to.
        public let owner: String
        public let scopes: [String]
        public init(id: String, name: String, owner: String, scopes: [String]) {
            self.id = id
            self.name = name
            self.owner = owner
            self.scopes = scopes
        }
    }

    public init(
        roles: [String], cells: [RolePermission], rules: [ApprovalRule], people: [Standing],
        separations: [RoleSeparation] = [], accounts: [Account] = []
    ) {
        self.accounts = accounts
        self.separations = separations
        self.roles = roles
        self.cells = cells
        self.rules = rules
        self.people = people
    }

    func permissions(of roles: Set<String>) -> Set<String> {
        Set(cells.filter { roles.contains($0.role) }.map(\.permission))
    }
}

/// What is wrong with a policy.
public struct PolicyFinding: Sendable, Hashable {
    public enum Kind: String, Sendable, CaseIterable {
        /// One person could complete an action that needs two.
        case alone
        /// Nobody, or only who asks, could sign.
        case deadlock
        /// A rule names a role or a permission that does not exist.
        case unknown
        /// One person holds two roles that are kept apart.
        case separation
        /// A critical operation that no rule covers.
        case unguarded
        /// A critical operation whose rules leave cases out in which nobody else is asked.
        case conditional
    }
    public let kind: Kind
    /// `tenant.hard_delete`
    public let operation: String?
    public let rule: String?
    public let person: String?
    public let sentence: String
    /// How it goes, step by step.
    public let steps: [String]

    public init(
        _ kind: Kind, operation: String? = nil, rule: String? = nil, person: String? = nil, _ sentence: String,
        steps: [String] = []
    ) {
        self.kind = kind
        self.operation = operation
        self.rule = rule
        self.person = person
        self.sentence = sentence
        self.steps = steps
    }

    /// Should be mended; the others are worth knowing.
    public var isProblem: Bool { [.alone, .deadlock, .unknown].contains(kind) }

    /// What makes it the same finding under another policy. Whoever can go alone somewhere can gain whatever there is, so for
    /// them another action is nothing new. Another condition is.
    var key: String {
        switch kind {
        case .alone: "\(kind.rawValue) \(person ?? "")"
        case .conditional: "\(kind.rawValue) \(sentence)"
        case .deadlock, .unknown, .separation, .unguarded:
            "\(kind.rawValue) \(operation ?? "") \(rule ?? "") \(person ?? "")"
        }
    }

    public var json: JSON {
        JSON.members([
            ("kind", .string(kind.rawValue)), ("is_problem", .bool(isProblem)),
            ("operation", operation.map(JSON.string)),
            ("rule", rule.map(JSON.string)), ("person", person.map(JSON.string)), ("detail", .string(sentence)),
            ("steps", .array(steps.map(JSON.string))),
        ])
    }
}

/// Searches for the single person who could complete a two-person action (spec: access §3, "One person can't be two").
///
/// A person begins with their account. Whatever operation they can complete with the accounts they control gives them more:
/// an account they invite or whose factors they reset is theirs, a role they grant is held, a policy they change asks for
/// nobody. The search goes on until nothing is gained; time is no obstacle to it, so the 72 hours do not count.
public struct PolicyLint: Sendable {
    /// An operation, as far as the search looks at it.
    public struct Act: Sendable, Hashable {
        public let name: String
        public let permission: String
        public let risk: Risk
        /// What findings call it, beside its name.
        public let title: String?
        public init(_ name: String, permission: String, risk: Risk, title: String? = nil) {
            self.name = name
            self.permission = permission
            self.risk = risk
            self.title = title
        }

        /// "“Invite staff” (staff.invite)"
        var words: String { AccessNames.exactOperation(name, title) }
    }

    /// What completing an operation gives to whoever can.
    enum Gain {
        case accounts, factors, roles, policy
    }

    /// Operations that make other people's power one's own.
    static let gains: [String: Gain] = [
        "staff.invite": .accounts, "staff.reset_factors": .factors, "staff.grant_role": .roles,
        "staff.change_roles": .roles, "staff.accept_grant": .roles, "policy.change_rule": .policy,
        "policy.add_rule": .policy,
        "policy.change_role": .policy, "policy.set_rate": .policy, "policy.set_limit": .policy,
        "policy.change_separation": .policy,
        // Whatever was written beside the log holds from then on.
        "discrepancy.adopt": .policy,
    ]

    let acts: [Act]
    /// Roles that no table knows and leaves may name all the same: the tenant's own manager.
    static let impliedRoles: Set<String> = [Demand.managerRole]

    public init(_ acts: [Act]) { self.acts = acts }

    public func findings(_ state: PolicyState) -> [PolicyFinding] {
        unknown(state) + state.people.filter(\.isActive).flatMap { alone($0, state) } + deadlocks(state)
            + separations(state) + unguarded(state)
    }

    // MARK: Alone

    /// An account somebody controls, and how they came to it.
    private struct Account {
        /// Who it counts as: a service account is its owner, and no other person.
        let signer: Signer
        /// As steps call it.
        let name: String
        let steps: [String]
        /// Its token asks, and never signs.
        var isToken = false
        /// Was given every role there is.
        var isPromoted = false
    }

    /// The tokens of a person: each asks as the person, for less.
    private func tokens(of person: Standing, _ state: PolicyState) -> [Account] {
        state.accounts.filter { $0.owner == person.person }.map { account in
            let held = AccountScopes.effective(account.scopes, of: person.permissions).granted.keys
            return Account(
                signer: Signer(person: person.person, roles: [], permissions: Set(held)), name: account.name,
                steps: ["\(person.name) asks through \(account.name)"], isToken: true)
        }
    }

    private func alone(_ person: Standing, _ state: PolicyState) -> [PolicyFinding] {
        var controlled = [Account(signer: Signer(person), name: person.name, steps: [])] + tokens(of: person, state)
        var open: [String]?  // how policy was changed, once it can be
        var used: Set<String> = []
        let signers = invitationSigners(state)
        let roles = Set(state.roles)
        lazy var permissions = state.permissions(of: roles)
        let gaining = acts.filter { Self.gains[$0.name] != nil }.sorted { $0.name < $1.name }
        var grew = true
        while grew {
            grew = false
            for act in gaining where !used.contains(act.name) {
                guard let gain = Self.gains[act.name] else { continue }
                let covering = state.rules.filter { $0.covers(act.name) }
                for asker in controlled {
                    // Nearly every time all have been given every role already.
                    if case .roles = gain, !controlled.contains(where: { isPromotable($0, by: asker, roles) }) {
                        continue
                    }
                    let measures = measures(act, by: asker, signers)
                    let rules = covering.filter { $0.condition.matches(measures) }
                    guard let steps = complete(act, by: asker, rules, controlled, open) else { continue }
                    let done = steps + ["\(person.name) completes \(act.words)"]
                    switch gain {
                    case .policy: open = done
                    case .factors: controlled += refactored(controlled, state, done)
                    case .accounts: controlled += invited(state, done)
                    case .roles:
                        for index in controlled.indices where isPromotable(controlled[index], by: asker, roles) {
                            controlled[index] = promoted(controlled[index], to: roles, permissions, done)
                        }
                        grew = true
                        continue
                    }
                    used.insert(act.name)
                    grew = true
                    break
                }
            }
        }
        guard Set(controlled.map(\.signer.person)).count > 1 || open != nil else { return [] }
        return acts.sorted { $0.name < $1.name }.flatMap { act in
            state.rules.filter { $0.covers(act.name) }.sorted { $0.id < $1.id }.compactMap { rule -> PolicyFinding? in
                guard let steps = complete(act, [rule], controlled, open) else { return nil }
                return PolicyFinding(
                    .alone, operation: act.name, rule: rule.id, person: person.person,
                    "\(person.name) could complete \(act.words) alone, though “\(rule.summary)” needs \(rule.demand.sentence).",
                    steps: steps + ["\(person.name) completes \(act.words)"])
            }
        }
    }

    /// What is known of the measures of an operation that gains power, at its worst. Here time is an obstacle: whoever could
    /// sign an invitation still counts for 30 days after they were sent away, and is taken as there to stay.
    private func measures(_ act: Act, by asker: Account, _ signers: Set<String>) -> Measures {
        switch act.name {
        case InviteStaff.spec.name:
            InviteStaff.measures(others: signers.count - (signers.contains(asker.signer.person) ? 1 : 0))
        case "staff.grant_role", "staff.change_roles", "staff.accept_grant", "discrepancy.adopt":
            Measures(["grants_power": true])
        default: .none
        }
    }

    /// Who could sign an invitation.
    private func invitationSigners(_ state: PolicyState) -> Set<String> {
        let (roles, permissions) = InviteStaff.signers(under: state.rules)
        return Set(
            state.people.filter { person in
                person.isActive
                    && (!person.roles.isDisjoint(with: roles)
                        || permissions.contains { person.permissions.contains($0) })
            }.map(\.person))
    }

    /// Everybody else becomes theirs by new factors.
    private func refactored(_ controlled: [Account], _ state: PolicyState, _ done: [String]) -> [Account] {
        state.people.filter { other in
            other.isActive && !controlled.contains { $0.signer.person == other.person }
        }.map { Account(signer: Signer($0), name: $0.name, steps: done + ["\($0.name) is theirs by new factors"]) }
    }

    /// Accounts of every role, as many as the most leaves a rule can have.
    private func invited(_ state: PolicyState, _ done: [String]) -> [Account] {
        state.roles.flatMap { role in
            let permissions = state.permissions(of: [role])
            return (0..<Demand.mostLeaves).map { number in
                Account(
                    signer: Signer(person: "new \(role) \(number + 1)", roles: [role], permissions: permissions),
                    name: "new account \(number + 1) with \(RoleTitle.of(role))",
                    steps: done + ["new accounts with \(RoleTitle.of(role)) are theirs"])
            }
        }
    }

    /// Every account but the one that grants can be given the roles it does not hold.
    private func isPromotable(_ account: Account, by asker: Account, _ roles: Set<String>) -> Bool {
        !account.isPromoted && !account.isToken && account.signer.person != asker.signer.person
            && account.signer.roles != roles
    }

    private func promoted(
        _ account: Account, to roles: Set<String>, _ permissions: Set<String>, _ done: [String]
    ) -> Account {
        Account(
            signer: Signer(person: account.signer.person, roles: roles, permissions: permissions), name: account.name,
            steps: account.steps + done + ["\(account.name) is given every role"], isPromoted: true)
    }

    /// How the controlled accounts complete an operation under rules; `nil` when they can't.
    private func complete(
        _ act: Act, _ rules: [ApprovalRule], _ controlled: [Account], _ open: [String]?
    ) -> [String]? {
        controlled.lazy.compactMap { complete(act, by: $0, rules, controlled, open) }.first
    }

    /// The same, with one of them asking.
    private func complete(
        _ act: Act, by asker: Account, _ rules: [ApprovalRule], _ controlled: [Account], _ open: [String]?
    ) -> [String]? {
        guard asker.signer.permissions.contains(act.permission) else { return nil }
        if let open { return rules.isEmpty ? asker.steps : asker.steps + open + ["the rule asks for nobody any more"] }
        // An owner and their accounts are one person, and an account signs for nobody.
        let others = controlled.filter { !$0.isToken && $0.signer.person != asker.signer.person }
        let signers = others.map(\.signer)
        guard rules.allSatisfy({ $0.demand.isMet(by: signers) }) else { return nil }
        let names = Set(rules.flatMap { $0.demand.nearest(to: signers).compactMap(\.signer) })
        let helpers = others.filter { names.contains($0.signer.person) }
        var steps: [String] = []
        for step in asker.steps + helpers.flatMap(\.steps) where !steps.contains(step) { steps.append(step) }
        return steps + helpers.map { "\($0.name) signs" }
    }

    // MARK: The others

    /// Rules whose demand the staff there is can't meet, whoever asks; or for the only one who can ask.
    private func deadlocks(_ state: PolicyState) -> [PolicyFinding] {
        let people = state.people.filter(\.isActive).map(Signer.init)
        // With nobody there yet there is nothing to say.
        guard people.count > 1 else { return [] }
        return acts.sorted { $0.name < $1.name }.flatMap { act in
            state.rules.filter { $0.covers(act.name) }.sorted { $0.id < $1.id }.compactMap { rule -> PolicyFinding? in
                let askers = people.filter { $0.permissions.contains(act.permission) }
                guard !askers.isEmpty, !names(rule.demand, Self.impliedRoles) else { return nil }
                let signers = people.filter { $0.permissions.contains(Decisions.approve.spec.permission) }
                // What Postern asks for by itself, anybody may sign.
                let isAutomatic = rule.condition.tests["automatic"]?.contains(.equals(true)) == true
                let possible =
                    isAutomatic
                    ? rule.demand.isMet(by: signers)
                    : askers.contains { asker in rule.demand.isMet(by: signers.filter { $0.person != asker.person }) }
                guard !possible else { return nil }
                return PolicyFinding(
                    .deadlock, operation: act.name, rule: rule.id,
                    "Nobody could get \(act.words) signed: “\(rule.summary)” needs \(rule.demand.sentence), and too few people hold that."
                )
            }
        }
    }

    private func names(_ demand: Demand, _ roles: Set<String>) -> Bool {
        demand.alternatives.joined().contains { leaf in
            if case .role(let wanted) = leaf { return !roles.isDisjoint(with: wanted) }
            return false
        }
    }

    private func unknown(_ state: PolicyState) -> [PolicyFinding] {
        let roles = Set(state.roles).union(Self.impliedRoles)
        return state.rules.sorted { $0.id < $1.id }.flatMap { rule in
            Self.strangers(in: rule.demand, roles: roles).map { name in
                PolicyFinding(
                    .unknown, operation: rule.operation, rule: rule.id,
                    "“\(rule.summary)” asks for \(name), which does not exist.")
            }
        }
    }

    /// Roles and permissions of a demand that do not exist.
    static func strangers(in demand: Demand, roles: Set<String>) -> [String] {
        var out: [String] = []
        for leaf in demand.alternatives.joined() {
            switch leaf {
            case .role(let wanted): out += wanted.filter { !roles.contains($0) }
            case .permission(let code): if PermissionCatalog[code] == nil { out.append(code) }
            case .allOf, .anyOf, .count: break
            }
        }
        return Set(out).sorted()
    }

    private func separations(_ state: PolicyState) -> [PolicyFinding] {
        state.people.filter(\.isActive).compactMap { person in
            RoleSeparation.sentence(person.roles, under: state.separations).map {
                PolicyFinding(.separation, person: person.person, "\(person.name) holds both. \($0)")
            }
        }
    }

    /// Critical operations that somebody could complete without another person, whoever they are: always, or in the cases that
    /// the conditions of their rules leave out.
    private func unguarded(_ state: PolicyState) -> [PolicyFinding] {
        acts.filter { $0.risk == .critical }.sorted { $0.name < $1.name }.compactMap { act -> PolicyFinding? in
            let rules = state.rules.filter { $0.covers(act.name) }.sorted { $0.id < $1.id }
            guard !rules.isEmpty else {
                return PolicyFinding(
                    .unguarded, operation: act.name, "\(act.words) is critical, and no rule asks for a second person.")
            }
            guard !Self.isExhaustive(rules.map(\.condition)) else { return nil }
            var cases: [String] = []
            for rule in rules where !cases.contains(rule.condition.sentence) { cases.append(rule.condition.sentence) }
            let said = cases.joined(separator: ", or when ")
            return PolicyFinding(
                .conditional, operation: act.name, rule: rules.count == 1 ? rules[0].id : nil,
                "\(act.words) is critical, and asks for a second person only when \(said).")
        }
    }

    /// What is either true or false, and nothing else: the measures that shipped rules test so.
    private static let switches = Set(
        Seeds.rules.flatMap { rule in
            rule.condition.tests.filter { $0.value.contains(.equals(true)) || $0.value.contains(.equals(false)) }.keys
        })

    /// Whether one of the conditions holds whatever is measured, as far as that is plain to see: one that always does, one for
    /// true beside one for false, or two bounds that leave no number between them.
    static func isExhaustive(_ conditions: [Condition]) -> Bool {
        if conditions.contains(where: { $0.tests.values.allSatisfy(\.isEmpty) }) { return true }
        let single = conditions.compactMap { condition -> (measure: String, test: Condition.Test)? in
            guard condition.tests.count == 1, let (measure, tests) = condition.tests.first, tests.count == 1 else {
                return nil
            }
            return (measure, tests[0])
        }
        return Dictionary(grouping: single) { $0.measure }.contains { measure, group in
            let tests = group.map { $0.test }
            if switches.contains(measure), tests.contains(.equals(true)), tests.contains(.equals(false)) {
                return true
            }
            return tests.contains { test in
                guard case .less(let end) = test else { return false }
                return tests.contains { other in
                    switch other {
                    case .greater(let bound): bound < end
                    case .atLeast(let bound): bound <= end
                    case .equals, .less: false
                    }
                }
            }
        }
    }
}
