/// Who must agree: a tree over role leaves. Each leaf is filled by a different person, never the requester.
public indirect enum Demand: Sendable, Hashable {
    /// One person holding at least one of these roles.
    case role([String])
    /// One person holding this permission.
    case permission(String)
    case allOf([Demand])
    case anyOf([Demand])
    case count(Int, [Demand])

    public var json: JSON {
        switch self {
        case .role(let roles): ["role": .array(roles.map(JSON.string))]
        case .permission(let code): ["permission": .string(code)]
        case .allOf(let demands): ["all_of": .array(demands.map(\.json))]
        case .anyOf(let demands): ["any_of": .array(demands.map(\.json))]
        case .count(let count, let demands): ["n": .int(Int64(count)), "n_of": .array(demands.map(\.json))]
        }
    }

    public init?(_ json: JSON) {
        func list(_ json: JSON) -> [Demand]? {
            guard let elements = json.array else { return nil }
            let demands = elements.compactMap(Demand.init)
            return demands.count == elements.count && !demands.isEmpty ? demands : nil
        }
        if let roles = json["role"]?.array?.compactMap(\.string), !roles.isEmpty {
            self = .role(roles)
        } else if let code = json["permission"]?.string {
            self = .permission(code)
        } else if let all = json["all_of"].flatMap(list) {
            self = .allOf(all)
        } else if let any = json["any_of"].flatMap(list) {
            self = .anyOf(any)
        } else if let count = json["n"]?.int, let all = json["n_of"].flatMap(list), count > 0, count <= all.count {
            self = .count(Int(count), all)
        } else {
            return nil
        }
    }

    /// Whether a person's roles or permissions fill at least one leaf.
    public func isOpen(to caller: Caller) -> Bool {
        switch self {
        case .role(let roles): !caller.signingRoles.isDisjoint(with: roles)
        case .permission(let code): caller.permissions.contains(code)
        case .allOf(let demands), .anyOf(let demands), .count(_, let demands):
            demands.contains { $0.isOpen(to: caller) }
        }
    }

    /// In words: "1 person with Super admin or Security", "2 people with Super admin and 1 holder of tenant.suspend". Roles go by
    /// their titles and equal leaves are counted; `json` keeps the codes.
    public var sentence: String {
        switch self {
        case .role, .permission: return people(1)
        case .allOf(let demands): return Self.sentence(ofAll: demands)
        case .anyOf(let demands):
            var said: [String] = []
            for demand in demands where !said.contains(demand.part(of: demands)) {
                said.append(demand.part(of: demands))
            }
            return said.joined(separator: " or ")
        case .count(let count, let demands):
            if let first = demands.first, first.isLeaf, demands.allSatisfy({ $0.sentence == first.sentence }) {
                return first.people(count)
            }
            return count == demands.count
                ? Self.sentence(ofAll: demands)
                : "\(count) of: " + demands.map { $0.part(of: demands) }.joined(separator: ", ")
        }
    }

    /// All of them, as one sentence: however often a leaf is written, it is said once, with the number of people it takes.
    static func sentence(ofAll demands: [Demand]) -> String {
        let parts = flattened(demands)
        let words = parts.map { $0.part(of: parts) }
        var said: [String] = []
        for (index, part) in parts.enumerated() {
            if !part.isLeaf {
                said.append(words[index])
            } else if words.firstIndex(of: words[index]) == index {
                said.append(part.people(words.count { $0 == words[index] }))
            }
        }
        return said.joined(separator: " and ")
    }

    /// What several rules ask for together. One signature counts for each of them, so a rule that is met by whoever meets another
    /// one is not said.
    public static func sentence(of rules: [Demand]) -> String {
        var kept: [Demand] = []
        for rule in rules where !kept.contains(where: { rule.isMet(byWhoeverMeets: $0) }) {
            kept.removeAll { $0.isMet(byWhoeverMeets: rule) }
            kept.append(rule)
        }
        return kept.map(\.sentence).joined(separator: "; ")
    }

    private var isLeaf: Bool {
        switch self {
        case .role, .permission: true
        case .allOf, .anyOf, .count: false
        }
    }

    /// A leaf that so many people fill, each of them; for what is no leaf, its sentence.
    private func people(_ count: Int) -> String {
        switch self {
        case .role(let roles):
            let titles = roles.map { RoleTitle.of(Self.manager(in: $0) == nil ? $0 : Self.managerRole) }
            return "\(count) \(count == 1 ? "person" : "people") with " + titles.joined(separator: " or ")
        case .permission(let code): return "\(count) \(count == 1 ? "holder" : "holders") of \(code)"
        case .allOf, .anyOf, .count: return sentence
        }
    }

    /// As it stands in a list: what is a list itself stands in brackets there.
    private func part(of list: [Demand]) -> String { isLeaf || list.count == 1 ? sentence : "(\(sentence))" }

    /// Lists of all within lists of all are one list.
    private static func flattened(_ demands: [Demand]) -> [Demand] {
        var out: [Demand] = []
        for demand in demands {
            if case .allOf(let inner) = demand { out += flattened(inner) } else { out.append(demand) }
        }
        return out
    }
}

// Whoever looks after the tenant a request is about. No grant says who that is: each tenant does. What a rule calls
// `tenant_csm` is frozen with the person it was when it was asked, and whoever holds `tenant.manage` fills the leaf of their
// own name.
extension Demand {
    public static let managerRole = "tenant_csm"

    /// What whoever looks after a tenant holds: without it their name signs nothing, whoever named them.
    public static let managerPermission = "tenant.manage"

    static func namedManager(_ person: String) -> String { "\(managerRole):\(person)" }

    /// The leaf of somebody's own name, where they may fill it.
    static func ownName(_ person: String, holding permissions: Permissions) -> Set<String> {
        permissions.contains(managerPermission) ? [namedManager(person)] : []
    }

    /// Whose name stands in a role that was frozen so; `nil` for every other one.
    public static func manager(in role: String) -> String? {
        role.hasPrefix("\(managerRole):") ? String(role.dropFirst(managerRole.count + 1)) : nil
    }

    /// Whether a leaf asks for whoever looks after the tenant.
    var asksManager: Bool {
        switch self {
        case .role(let roles): roles.contains(Self.managerRole)
        case .permission: false
        case .allOf(let demands), .anyOf(let demands), .count(_, let demands): demands.contains { $0.asksManager }
        }
    }

    /// With the name of whom it asks for.
    func asking(manager person: String) -> Demand {
        switch self {
        case .role(let roles): .role(roles.map { $0 == Self.managerRole ? Self.namedManager(person) : $0 })
        case .permission: self
        case .allOf(let demands): .allOf(demands.map { $0.asking(manager: person) })
        case .anyOf(let demands): .anyOf(demands.map { $0.asking(manager: person) })
        case .count(let count, let demands): .count(count, demands.map { $0.asking(manager: person) })
        }
    }
}

extension Caller {
    /// Roles by which they fill leaves.
    var signingRoles: Set<String> {
        actor.kind == .staff ? roles.union(Demand.ownName(person, holding: permissions)) : roles
    }
}

/// A condition over an operation's measures. All members must hold.
public struct Condition: Sendable, Hashable {
    public enum Test: Sendable, Hashable {
        case equals(JSON)
        case greater(Int64)
        case atLeast(Int64)
        case less(Int64)
    }
    public let tests: [String: [Test]]

    public static let always = Condition(tests: [:])
    public init(tests: [String: [Test]]) { self.tests = tests }

    /// `{"money": {"ge": 10000, "lt": 100000}, "tier": {"eq": "enterprise"}}`
    public init?(_ json: JSON) {
        guard let members = json.object else { return nil }
        var tests: [String: [Test]] = [:]
        for (measure, clauses) in members {
            guard let clauses = clauses.object else { return nil }
            for (word, value) in clauses {
                switch (word, value) {
                case ("eq", let value): tests[measure, default: []].append(.equals(value))
                case ("gt", .int(let value)): tests[measure, default: []].append(.greater(value))
                case ("ge", .int(let value)): tests[measure, default: []].append(.atLeast(value))
                case ("lt", .int(let value)): tests[measure, default: []].append(.less(value))
                default: return nil
                }
            }
        }
        self.tests = tests
    }

    public var json: JSON {
        .object(
            tests.mapValues { tests in
                .object(
                    Dictionary(
                        tests.map { test in
                            switch test {
                            case .equals(let value): ("eq", value)
                            case .greater(let value): ("gt", .int(value))
                            case .atLeast(let value): ("ge", .int(value))
                            case .less(let value): ("lt", .int(value))
                            }
                        }, uniquingKeysWith: { _, last in last }))
            })
    }

    /// In words that can be read back: "amount > 100000 and currency = USD", "always".
    public var sentence: String {
        let clauses = tests.keys.sorted().flatMap { name in
            (tests[name] ?? []).map { test in
                switch test {
                case .equals(let value): "\(name) = \(value.string ?? value.canonicalText)"
                case .greater(let bound): "\(name) > \(bound)"
                case .atLeast(let bound): "\(name) >= \(bound)"
                case .less(let bound): "\(name) < \(bound)"
                }
            }.sorted()
        }
        return clauses.isEmpty ? "always" : clauses.joined(separator: " and ")
    }

    /// A measure the operation does not have makes the condition true: what can't be measured is treated as the strict case.
    public func matches(_ measures: Measures) -> Bool {
        tests.allSatisfy { name, tests in
            guard let value = measures.values[name] else { return true }
            return tests.allSatisfy { test in
                switch test {
                case .equals(let wanted): value == wanted
                case .greater(let bound): value.int.map { $0 > bound } ?? true
                case .atLeast(let bound): value.int.map { $0 >= bound } ?? true
                case .less(let bound): value.int.map { $0 < bound } ?? true
                }
            }
        }
    }
}

/// One row of `approval_rules`, in force.
public struct ApprovalRule: Sendable, Hashable {
    public let id: String
    /// `tenant.hard_delete`, or `service_account.*`.
    public let operation: String
    public let condition: Condition
    public let demand: Demand
    /// How long the request waits for signatures.
    public let window: Span
    /// Time between the last signature and execution.
    public let cooldown: Span?
    public let version: Int64
    /// In words, for the preview.
    public let summary: String

    public init(
        id: String, operation: String, condition: Condition, demand: Demand, window: Span, cooldown: Span?,
        version: Int64,
        summary: String
    ) {
        self.id = id
        self.operation = operation
        self.condition = condition
        self.demand = demand
        self.window = window
        self.cooldown = cooldown
        self.version = version
        self.summary = summary
    }

    public func covers(_ operation: String) -> Bool {
        if self.operation.hasSuffix(".*") { return operation.hasPrefix(self.operation.dropLast()) }
        return self.operation == operation
    }
}
