/// A JSON value as Postern stores, hashes and answers it.
///
/// There are no floating point numbers: a number with a fraction or an exponent is kept as the text it arrived in
/// (`decimal`) so that a parameter can refuse it by name instead of rounding it.
public enum JSON: Sendable, Hashable {
    case null
    case bool(Bool)
    case int(Int64)
    /// A number that is not an `Int64`, as its source text.
    case decimal(String)
    case string(String)
    case array([JSON])
    case object([String: JSON])
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral
{
    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int64) { self = .int(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(arrayLiteral elements: JSON...) { self = .array(elements) }
    public init(nilLiteral: ()) { self = .null }
    public init(dictionaryLiteral elements: (String, JSON)...) {
        self = .object(Dictionary(elements, uniquingKeysWith: { _, last in last }))
    }
}

extension JSON {
    public subscript(key: String) -> JSON? {
        guard case .object(let members) = self else { return nil }
        return members[key]
    }

    public var string: String? { if case .string(let value) = self { value } else { nil } }
    public var int: Int64? { if case .int(let value) = self { value } else { nil } }
    public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    public var array: [JSON]? { if case .array(let value) = self { value } else { nil } }
    public var object: [String: JSON]? { if case .object(let value) = self { value } else { nil } }
    public var isNull: Bool { self == .null }

    /// `nil` becomes an absent member rather than `null`: the event format omits what is absent.
    public static func members(_ pairs: [(String, JSON?)]) -> JSON {
        var members: [String: JSON] = [:]
        for (name, value) in pairs { if let value { members[name] = value } }
        return .object(members)
    }

    public init(_ value: String?) { self = value.map(JSON.string) ?? .null }
    public init(_ value: Instant?) { self = value.map { .string($0.rfc3339) } ?? .null }
}
