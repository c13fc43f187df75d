import HTML
import Kernel

/// Rows of policy, a page of the API or of the console.
struct PolicyListing<Item: Entity> {
    let items: [Item]
    let next: String?

    /// In the order of their ids.
    /// - Parameter standard: how many a page has that does not say.
    static func load(_ call: ReadCall, standard: Int = 50, from reader: any Reader) throws -> PolicyListing {
        let limit = call.first("limit") == nil ? standard : try call.limit()
        let scope = "\(Item.type).list"
        let after = try call.first("cursor").map { try call.cursors.decode($0, scope: scope).first?.string ?? "" }
        let found = try reader.query(Item.selectAll(after: after ?? "", limit: limit + 1)).map(Item.init)
        let items = Array(found.prefix(limit))
        return PolicyListing(
            items: items,
            next: found.count > limit ? items.last.map { call.cursors.encode(scope: scope, [.string($0.id)]) } : nil)
    }

    static func find(_ call: ReadCall, _ noun: String, from reader: any Reader) throws -> Item {
        let id = call.path["id"] ?? ""
        guard let item = try Item.load(id, from: reader) else {
            throw OperationError.notFound("There is no \(noun) \(id.prefix(60)).")
        }
        return item
    }
}

/// A rule tried on the past, as it is or as it is asked to be.
struct RuleTrial {
    let row: ApprovalRuleRow
    /// What is tried.
    let rule: ApprovalRule
    /// How the fields were typed, and what is wrong with them.
    let typed: (condition: String, demand: String)
    let errors: [FieldError]
    let history: PolicySimulation.History
    /// How many can do it today.
    let askers: Int
    /// How many of them could not get it signed by today's staff; none where nobody can say.
    let stranded: Int
    /// Who may sign today.
    let signers: [Signer]
    /// Whose a program is, by its id.
    let owners: [String: String]
    /// Names of the people, programs and tenants of the newest, by their ids.
    let names: [String: String]

    static let parameters: [Read.Parameter] = [
        .init(
            "condition",
            "When the rule applies, like amount > 100000 and currency = USD, or always; as it is by default."),
        .init("demand", "Who must agree, like super_admin or security; as it is by default."),
    ]

    static func load(_ call: ReadCall, from reader: any Reader) throws -> RuleTrial {
        let row = try PolicyListing<ApprovalRuleRow>.find(call, "approval rule", from: reader)
        let typed = (
            condition: call.first("condition") ?? ConditionText(row.rule.condition).text,
            demand: call.first("demand") ?? DemandText(row.rule.demand).text
        )
        var errors: [FieldError] = []
        func parsed<Value: ParamValue>(_ name: String, _ label: String, _ text: String) -> Value? {
            do {
                return try Value.parse(text: text, .none)
            } catch {
                errors.append(FieldError(pointer: "?\(name)", detail: "\(label) \(error.text)"))
                return nil
            }
        }
        let condition: ConditionText? = parsed("condition", RuleFields.condition, typed.condition)
        let demand: DemandText? = parsed("demand", RuleFields.demand, typed.demand)
        let rule = ApprovalRule(
            id: row.id, operation: row.rule.operation, condition: condition?.condition ?? row.rule.condition,
            demand: demand?.demand ?? row.rule.demand, window: row.rule.window, cooldown: row.rule.cooldown,
            version: row.version, summary: row.rule.summary)
        let state = try PolicyState.load(from: reader)
        let people = state.people.filter(\.isActive)
        let permissions = Set(PolicyActs.all.filter { rule.covers($0.name) }.map(\.permission))
        let askers = people.filter { person in permissions.contains { person.permissions.contains($0) } }
        let signers = people.filter { $0.permissions.contains(Decisions.approve.spec.permission) }.map(Signer.init)
        let stranded =
            asksManager(rule.demand)
            ? []
            : askers.filter { asker in !rule.demand.isMet(by: signers.filter { $0.person != asker.person }) }
        let history = try PolicySimulation.history(
            of: rule.operation, limit: PolicySimulation.mostOnPage, from: reader)
        return RuleTrial(
            row: row, rule: rule, typed: typed, errors: errors, history: history, askers: askers.count,
            stranded: stranded.count, signers: signers,
            owners: Dictionary(state.accounts.map { ($0.id, $0.owner) }, uniquingKeysWith: { _, last in last }),
            names: try names(of: history.matched(by: rule).prefix(mostShown), from: reader))
    }

    private static let mostShown = 20

    /// Whether it asks for whoever looks after a tenant, who is another one for each.
    private static func asksManager(_ demand: Demand) -> Bool {
        demand.alternatives.joined().contains { leaf in
            if case .role(let roles) = leaf { roles.contains(Demand.managerRole) } else { false }
        }
    }

    private static func names(
        of occasions: ArraySlice<PolicySimulation.Occasion>, from reader: any Reader
    ) throws -> [String: String] {
        guard !occasions.isEmpty else { return [:] }
        let actors = occasions.map(\.person)
        func ids(_ type: String, beside others: [String]) -> [String] {
            let targets = occasions.compactMap { $0.targetType == type ? $0.target : nil }
            return Set(targets).union(others).sorted()
        }
        let found = try reader.query([
            EventQueries.staffNames(ids(Staff.type, beside: actors)),
            EventQueries.tenantNames(ids(Tenant.type, beside: occasions.compactMap(\.tenant))),
            EventQueries.accountNames(ids(ServiceAccount.type, beside: actors)),
        ])
        var names: [String: String] = [:]
        for row in found.joined() { names[try row.string("id")] = try row.string("name") }
        return names
    }

    /// Whether today's staff says who could sign: not where each tenant has a signer of its own.
    var knowsSigners: Bool { !Self.asksManager(rule.demand) }

    /// What these terms would have come to at one time, by today's staff.
    /// - Returns: a sentence, and whether it could have been signed.
    func outlook(_ occasion: PolicySimulation.Occasion) -> (words: String, isSignable: Bool) {
        guard knowsSigners else {
            return ("Would have waited for \(rule.demand.sentence)", true)
        }
        let asker = owners[occasion.person] ?? occasion.person
        let others = signers.filter { $0.person != asker }
        let places = rule.demand.nearest(to: []).count
        let wanted = places == 1 ? "a signature" : "\(places) signatures"
        guard rule.demand.isMet(by: others) else {
            return ("Would have waited for \(wanted), which nobody else could give", false)
        }
        let able = others.count { rule.demand.isFurthered(by: $0, beside: []) }
        return ("Would have waited for \(wanted) that \(able == 1 ? "1 person" : "\(able) people") could give", true)
    }

    var before: [PolicySimulation.Occasion] { history.matched(by: row.isRetired ? nil : row.rule) }
    var after: [PolicySimulation.Occasion] { history.matched(by: rule) }
    /// The newest that the rule would have covered.
    var newest: [PolicySimulation.Occasion] { Array(after.prefix(Self.mostShown)) }

    /// Whom it names.
    var disclosure: Disclosure {
        Disclosure(
            "policy.simulate", target: (ApprovalRuleRow.type, row.id),
            query: ["condition": .string(typed.condition), "demand": .string(typed.demand)], count: newest.count,
            ids: newest.map(\.event))
    }

    var json: JSON {
        [
            "rule": .string(row.id), "operation": .string(rule.operation),
            "days": .int(PolicySimulation.period.seconds / 86_400), "occasions": .int(Int64(history.occasions.count)),
            "is_cut": .bool(history.isCut), "covered_now": .int(Int64(before.count)),
            "covered_then": .int(Int64(after.count)),
            "unknown": .int(Int64(history.occasions.count { $0.measures == nil })),
            "could_not_be_signed_for": knowsSigners ? .int(Int64(stranded)) : .null,
            "newest": .array(
                newest.map {
                    [
                        "event_id": .string($0.event), "at": JSON($0.at), "person": .string($0.person),
                        "waited": .bool($0.waited),
                    ]
                }),
        ]
    }

    static let schema: JSON = [
        "type": "object",
        "required": ["rule", "operation", "days", "occasions", "covered_now", "covered_then", "newest"],
        "properties": [
            "rule": ["type": "string"], "operation": ["type": "string"], "days": ["type": "integer"],
            "occasions": ["type": "integer"], "is_cut": ["type": "boolean"], "covered_now": ["type": "integer"],
            "covered_then": ["type": "integer"], "unknown": ["type": "integer"],
            "could_not_be_signed_for": ["type": ["integer", "null"]],
            "newest": ["type": "array", "items": ["type": "object"]],
        ],
    ]
}
