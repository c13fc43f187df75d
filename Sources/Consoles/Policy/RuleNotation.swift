import Kernel

// Demands and conditions as people write and read them (docs/policy.md):
//
//     super_admin or security
//     all of (security, holder of tenant.suspend)
//     2 of (any of (head_of_cs, finance_lead), security, executive)
//
//     amount >= 10000 and amount < 100001 and currency = USD
//     always

/// Who must agree, in words that can be read back.
public struct DemandText: ParamValue, Hashable {
    public let demand: Demand
    public init(_ demand: Demand) { self.demand = demand }

    public var text: String { Self.words(demand) }
    public var json: JSON { .string(text) }

    public static func parse(_ json: JSON, _ rules: ParamRules) throws(FieldError.Reason) -> DemandText {
        guard case .string(let text) = json else { throw .init("must be text like “super_admin or security”.") }
        return try parse(text: text, rules)
    }

    public static func parse(text: String, _ rules: ParamRules) throws(FieldError.Reason) -> DemandText {
        guard text.utf8.count <= 2000 else { throw .init("must have at most 2,000 characters.") }
        var parser = NotationParser(text)
        let demand = try parser.demand(depth: 0)
        guard parser.isAtEnd else {
            throw .init("can't be read from “\(parser.rest)” on: join people by “or”, lists by “all of (…, …)”.")
        }
        if let flaw = demand.flaw { throw .init("is no rule: \(flaw)") }
        return DemandText(demand)
    }

    public static func schema(_ rules: ParamRules) -> JSON {
        ["type": "string", "maxLength": 2000, "examples": ["super_admin or security"]]
    }
    public static var control: ParamControl { .prose }

    private static func words(_ demand: Demand) -> String {
        func list(_ demands: [Demand]) -> String { "(" + demands.map(words).joined(separator: ", ") + ")" }
        return switch demand {
        case .role(let roles): roles.joined(separator: " or ")
        case .permission(let code): "holder of \(code)"
        case .allOf(let demands): "all of \(list(demands))"
        case .anyOf(let demands): "any of \(list(demands))"
        case .count(let count, let demands): "\(count) of \(list(demands))"
        }
    }
}

/// When a rule applies, in words that can be read back.
public struct ConditionText: ParamValue, Hashable {
    public let condition: Condition
    public init(_ condition: Condition) { self.condition = condition }

    public var text: String { condition.sentence }
    public var json: JSON { .string(text) }

    public static func parse(_ json: JSON, _ rules: ParamRules) throws(FieldError.Reason) -> ConditionText {
        guard case .string(let text) = json else { throw .init("must be text like “amount > 100000”, or “always”.") }
        return try parse(text: text, rules)
    }

    public static func parse(text: String, _ rules: ParamRules) throws(FieldError.Reason) -> ConditionText {
        guard text.utf8.count <= 2000 else { throw .init("must have at most 2,000 characters.") }
        var parser = NotationParser(text)
        return ConditionText(Condition(tests: try parser.condition()))
    }

    public static func schema(_ rules: ParamRules) -> JSON {
        ["type": "string", "maxLength": 2000, "examples": ["always"]]
    }
    public static var control: ParamControl { .line }
}

/// Reads the notation, a word at a time.
private struct NotationParser {
    private let words: [String]
    private var next = 0

    init(_ text: String) {
        var words: [String] = []
        var word = ""
        var wasSign = false
        func isSign(_ character: Character) -> Bool { "<>=".contains(character) }
        for character in text {
            let ends = character.isWhitespace || "(),".contains(character) || isSign(character) != wasSign
            if ends, !word.isEmpty {
                words.append(word)
                word = ""
            }
            if "(),".contains(character) {
                words.append(String(character))
            } else if !character.isWhitespace {
                word.append(character)
                wasSign = isSign(character)
                continue
            }
            wasSign = false
        }
        if !word.isEmpty { words.append(word) }
        self.words = words
    }

    var isAtEnd: Bool { next == words.count }
    var rest: String { String(words[next...].joined(separator: " ").prefix(40)) }
    private var word: String? { next < words.count ? words[next] : nil }

    private mutating func take(_ expected: String...) -> Bool {
        guard words[next...].starts(with: expected) else { return false }
        next += expected.count
        return true
    }

    mutating func demand(depth: Int) throws(FieldError.Reason) -> Demand {
        guard depth < 6 else { throw .init("has more brackets within brackets than anybody can read.") }
        if take("all", "of") { return .allOf(try list(depth)) }
        if take("any", "of") { return .anyOf(try list(depth)) }
        if let count = word.flatMap(Int.init) {
            next += 1
            // “1 security” is said by whoever counts people; a number before a list counts its members.
            if !take("of") {
                guard count == 1 else { throw .init("counts only lists: write “\(count) of (…, …)”.") }
                return try leaf()
            }
            let demands = try list(depth)
            guard (1...demands.count).contains(count) else {
                throw .init("asks for \(count) of \(demands.count).")
            }
            return .count(count, demands)
        }
        return try leaf()
    }

    private mutating func list(_ depth: Int) throws(FieldError.Reason) -> [Demand] {
        guard take("(") else { throw .init("needs a list in brackets after “of”.") }
        var out = [try demand(depth: depth + 1)]
        while take(",") { out.append(try demand(depth: depth + 1)) }
        guard take(")") else { throw .init("has a bracket that is not closed.") }
        return out
    }

    private mutating func leaf() throws(FieldError.Reason) -> Demand {
        if take("holder", "of") { return .permission(try name(/[a-z_]+\.[a-z_]+/, "a permission like tenant.suspend")) }
        var roles = [try name(/[a-z][a-z0-9_]*/, "a role like super_admin")]
        while take("or") { roles.append(try name(/[a-z][a-z0-9_]*/, "a role like super_admin")) }
        return .role(roles)
    }

    private mutating func name(_ pattern: Regex<Substring>, _ what: String) throws(FieldError.Reason) -> String {
        guard let word, word.wholeMatch(of: pattern) != nil, !["or", "of", "and"].contains(word) else {
            throw .init(word.map { "needs \(what), and not “\($0.prefix(40))”." } ?? "needs \(what) at its end.")
        }
        next += 1
        return word
    }

    mutating func condition() throws(FieldError.Reason) -> [String: [Condition.Test]] {
        if take("always"), isAtEnd { return [:] }
        next = 0
        var out: [String: [Condition.Test]] = [:]
        repeat {
            let name = try name(/[a-z][a-z0-9_]*/, "a measure like amount")
            guard let sign = word, ["=", ">", ">=", "<"].contains(sign) else {
                throw .init("needs =, >, >= or < after “\(name)”.")
            }
            next += 1
            guard let value = word, value.wholeMatch(of: /-?[A-Za-z0-9_]+/) != nil, value != "and" else {
                throw .init("needs a value after “\(name) \(sign)”.")
            }
            next += 1
            let test: Condition.Test
            switch (sign, Int64(value)) {
            case ("=", let number): test = .equals(number.map(JSON.int) ?? Self.word(value))
            case (">", let bound?): test = .greater(bound)
            case (">=", let bound?): test = .atLeast(bound)
            case ("<", let bound?): test = .less(bound)
            default: throw .init("compares “\(name)” with “\(value.prefix(40))”, which is no whole number.")
            }
            // A rule keeps one test of a kind for a measure.
            guard out[name]?.contains(where: { Self.kind($0) == Self.kind(test) }) != true else {
                throw .init("tests “\(name)” by \(sign) twice.")
            }
            out[name, default: []].append(test)
        } while take("and")
        guard isAtEnd else { throw .init("can't be read from “\(rest)” on: join tests by “and”.") }
        return out
    }

    private static func word(_ value: String) -> JSON {
        switch value {
        case "true": true
        case "false": false
        default: .string(value)
        }
    }

    private static func kind(_ test: Condition.Test) -> Int {
        switch test {
        case .equals: 0
        case .greater: 1
        case .atLeast: 2
        case .less: 3
        }
    }
}
