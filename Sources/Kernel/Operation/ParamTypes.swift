import Foundation

extension String: ParamValue {
    public static func parse(_ json: JSON, _ rules: ParamRules) throws(FieldError.Reason) -> String {
        guard case .string(let text) = json else { throw .init("must be text.") }
        return try parse(text: text, rules)
    }

    public static func parse(text: String, _ rules: ParamRules) throws(FieldError.Reason) -> String {
        let length = rules.length ?? (rules.prose ? 1...4000 : 1...200)
        let value = try (rules.prose ? TextRule.prose(length) : .line(length)).check(text)
        if let choices = rules.choices, !choices.contains(value) {
            throw .init("must be one of \(choices.joined(separator: ", ")).")
        }
        switch rules.pattern {
        case nil: return value
        case .slug:
            guard Spelling.isSlug(value) else {
                throw .init("must be 1 to 63 lower-case letters, digits and inner hyphens.")
            }
            return value
        case .email:
            let folded = value.lowercased()
            guard folded.utf8.count <= 254, Spelling.isEmail(folded) else { throw .init("must be an e-mail address.") }
            return folded
        case .externalID:
            guard value.utf8.count <= 128, value.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
                throw .init("must be 1 to 128 printable ASCII characters without spaces.")
            }
            return value
        case .currency:
            guard value.utf8.count == 3, value.utf8.allSatisfy({ (0x41...0x5A).contains($0) }) else {
                throw .init("must be an ISO 4217 code of three capital letters.")
            }
            return value
        }
    }

    public var json: JSON { .string(self) }
    public var text: String { self }
    public static func schema(_ rules: ParamRules) -> JSON {
        let length = rules.length ?? (rules.prose ? 1...4000 : 1...200)
        var members: [String: JSON] = [
            "type": "string", "minLength": .int(Int64(length.lowerBound)), "maxLength": .int(Int64(length.upperBound)),
        ]
        if let choices = rules.choices { members["enum"] = .array(choices.map(JSON.string)) }
        switch rules.pattern {
        case .slug: members["pattern"] = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
        case .email:
            members["format"] = "email"
            members["maxLength"] = 254
        case .externalID: members["pattern"] = "^[!-~]{1,128}$"
        case .currency: members["pattern"] = "^[A-Z]{3}$"
        case nil: break
        }
        return .object(members)
    }
    public static var control: ParamControl { .line }
}

extension Int64: ParamValue {
    public static func parse(_ json: JSON, _ rules: ParamRules) throws(FieldError.Reason) -> Int64 {
        guard case .int(let value) = json else { throw .init("must be a whole number.") }
        if let range = rules.range, !range.contains(value) {
            throw .init("must be from \(range.lowerBound) to \(range.upperBound).")
        }
        return value
    }
    public static func parse(text: String, _ rules: ParamRules) throws(FieldError.Reason) -> Int64 {
        guard let value = Int64(text.trimmingCharacters(in: .whitespaces)) else {
            throw .init("must be a whole number.")
        }
        return try parse(.int(value), rules)
    }
    public var json: JSON { .int(self) }
    public var text: String { String(self) }
    public static func schema(_ rules: ParamRules) -> JSON {
        var members: [String: JSON] = ["type": "integer"]
        if let range = rules.range {
            members["minimum"] = .int(range.lowerBound)
            members["maximum"] = .int(range.upperBound)
        }
        return .object(members)
    }
    public static var control: ParamControl { .number }
}

extension Bool: ParamValue {
    public static func parse(_ json: JSON, _ rules: ParamRules) throws(FieldError.Reason) -> Bool {
        guard case .bool(let value) = json else { throw .init("must be true or false.") }
        return value
    }
    public static func parse(text: String, _ rules: ParamRules) throws(FieldError.Reason) -> Bool {
        switch text.lowercased() {
        case "true", "on", "yes", "1": return true
        case "false", "off", "no", "0", "": return false
        default: throw .init("must be true or false.")
        }
    }
    public var json: JSON { .bool(self) }
    public var text: String { self ? "true" : "false" }
    public static func schema(_ rules: ParamRules) -> JSON { ["type": "boolean"] }
    public static var control: ParamControl { .checkbox }
}

extension Day: ParamValue {
    public static func parse(_ json: JSON, _ rules: ParamRules) throws(FieldError.Reason) -> Day {
        guard case .string(let text) = json else { throw .init("must be a day like 2026-11-17.") }
        return try parse(text: text, rules)
    }
    public static func parse(text: String, _ rules: ParamRules) throws(FieldError.Reason) -> Day {
        guard let day = Day(text) else { throw .init("must be a day like 2026-11-17.") }
        return day
    }
    public var json: JSON { .string(text) }
    public static func schema(_ rules: ParamRules) -> JSON { ["type": "string", "format": "date"] }
    public static var control: ParamControl { .day }
}

/// A moment. A person may leave the seconds out and then means UTC.
extension Instant: ParamValue {
    public static func parse(_ json: JSON, _ rules: ParamRules) throws(FieldError.Reason) -> Instant {
        guard case .string(let text) = json, let value = Instant(rfc3339: text) else {
            throw .init("must be a time such as 2026-11-17T18:00:00Z.")
        }
        return value
    }
    public static func parse(text: String, _ rules: ParamRules) throws(FieldError.Reason) -> Instant {
        guard let value = Instant(typed: text.trimmingCharacters(in: .whitespaces)) else {
            throw .init("must be a time such as 2026-11-17T18:00:00Z, or 2026-11-17 18:00 for UTC.")
        }
        return value
    }
    public var json: JSON { .string(rfc3339) }
    public var text: String { rfc3339 }
    public static func schema(_ rules: ParamRules) -> JSON { ["type": "string", "format": "date-time"] }
    public static var control: ParamControl { .line }
}

extension Optional: EmptyParam {
    static var empty: Any { Self.none as Any }
}

extension Optional: ParamValue where Wrapped: ParamValue {
    public static func parse(_ json: JSON, _ rules: ParamRules) throws(FieldError.Reason) -> Wrapped? {
        json == .null ? nil : try Wrapped.parse(json, rules)
    }
    public static func parse(text: String, _ rules: ParamRules) throws(FieldError.Reason) -> Wrapped? {
        text.isEmpty ? nil : try Wrapped.parse(text: text, rules)
    }
    public var json: JSON { self?.json ?? .null }
    public var text: String { self?.text ?? "" }
    public var arguments: [String] { self?.arguments ?? [] }
    public static func schema(_ rules: ParamRules) -> JSON { Wrapped.schema(rules) }
    public static var control: ParamControl { Wrapped.control }
    public static var isOptional: Bool { true }
}

/// A set of words or values; a form sends one per line or one per ticked box.
extension Array: ParamValue where Element: ParamValue {
    public static func parse(_ json: JSON, _ rules: ParamRules) throws(FieldError.Reason) -> [Element] {
        guard case .array(let elements) = json else { throw .init("must be a list.") }
        guard elements.count <= 1000 else { throw .init("must have at most 1000 entries.") }
        var out: [Element] = []
        for element in elements { out.append(try Element.parse(element, rules)) }
        return out
    }
    public static func parse(text: String, _ rules: ParamRules) throws(FieldError.Reason) -> [Element] {
        var out: [Element] = []
        for line in text.split(whereSeparator: { $0 == "\n" || $0 == "," }) {
            out.append(try Element.parse(text: line.trimmingCharacters(in: .whitespaces), rules))
        }
        return out
    }
    public var json: JSON { .array(map(\.json)) }
    public var text: String { map(\.text).joined(separator: "\n") }
    public var arguments: [String] { map(\.text) }
    public static func schema(_ rules: ParamRules) -> JSON {
        ["type": "array", "items": Element.schema(rules), "maxItems": 1000]
    }
    public static var control: ParamControl { .choices([]) }
}

/// An enum of words, such as a plan or a region: `enum Plan: String, ParamChoice { case free, team }`.
public protocol ParamChoice: ParamValue, CaseIterable, RawRepresentable where RawValue == String {}

extension ParamChoice {
    public static func parse(_ json: JSON, _ rules: ParamRules) throws(FieldError.Reason) -> Self {
        guard case .string(let text) = json else { throw .init("must be text.") }
        return try parse(text: text, rules)
    }
    public static func parse(text: String, _ rules: ParamRules) throws(FieldError.Reason) -> Self {
        guard let value = Self(rawValue: text) else {
            throw .init("must be one of \(allCases.map(\.rawValue).joined(separator: ", ")).")
        }
        return value
    }
    public var json: JSON { .string(rawValue) }
    public var text: String { rawValue }
    public static func schema(_ rules: ParamRules) -> JSON {
        ["type": "string", "enum": .array(allCases.map { .string($0.rawValue) })]
    }
    public static var control: ParamControl { .choice(allCases.map(\.rawValue)) }
}

/// Compared by hand: a regular expression costs a hundred times as much, and every row of an import asks.
private enum Spelling {
    /// 1 to 63 lower-case letters, digits and hyphens, none of these first or last.
    static func isSlug(_ text: String) -> Bool {
        let bytes = text.utf8
        return (1...63).contains(bytes.count) && bytes.first != 0x2D && bytes.last != 0x2D
            && bytes.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D }
    }

    /// One `@` behind 1 to 64 characters, and a domain with a dot in it and something on both sides of its last one.
    static func isEmail(_ text: String) -> Bool {
        let parts = text.split(separator: "@", omittingEmptySubsequences: false)
        guard parts.count == 2, (1...64).contains(parts[0].count), let dot = parts[1].lastIndex(of: ".") else {
            return false
        }
        return dot != parts[1].startIndex && parts[1].index(after: dot) != parts[1].endIndex
            && parts.allSatisfy { $0.unicodeScalars.allSatisfy(isPlain) }
    }

    private static func isPlain(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "<", ">", "\"", "(", ")", ",", ":", ";", "\\": false
        default: !scalar.properties.isWhitespace
        }
    }
}
