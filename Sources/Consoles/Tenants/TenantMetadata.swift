import Kernel

/// Words a product keeps with a tenant: `{"segment": "robotics"}`; in a form one `segment: robotics` per line.
public struct TenantMetadata: ParamValue {
    public let values: [String: String]
    public init(_ values: [String: String]) { self.values = values }

    static let maximum = 50
    static let longestKey = 60
    static let longestValue = 500

    public static func parse(_ json: JSON, _ rules: ParamRules) throws(FieldError.Reason) -> TenantMetadata {
        guard let members = json.object else { throw .init("must be an object of texts.") }
        var values: [String: String] = [:]
        for (key, value) in members.sorted(by: { $0.key < $1.key }) {
            guard let text = value.string else { throw .init("must have a text under \"\(key)\".") }
            try add(key, text, to: &values)
        }
        return TenantMetadata(values)
    }

    public static func parse(text: String, _ rules: ParamRules) throws(FieldError.Reason) -> TenantMetadata {
        var values: [String: String] = [:]
        // A form can't tell "left empty" from "emptied": the hyphen says the latter.
        if text.allSatisfy({ $0 == "-" || $0.isWhitespace }) { return TenantMetadata([:]) }
        for line in text.split(whereSeparator: \.isNewline) where !line.allSatisfy(\.isWhitespace) {
            guard let colon = separator(in: line) else {
                throw .init("must have one \"key: value\" per line; \"\(line)\" has no colon.")
            }
            try add(String(line[..<colon]), String(line[line.index(after: colon)...]), to: &values)
        }
        return TenantMetadata(values)
    }

    /// The colon between key and value: the first with a space behind it, so that keys may hold one themselves.
    private static func separator(in line: Substring) -> Substring.Index? {
        line.indices.first { line[$0] == ":" && line[line.index(after: $0)...].first?.isWhitespace ?? true }
            ?? line.firstIndex(of: ":")
    }

    private static func add(
        _ key: String, _ value: String, to values: inout [String: String]
    ) throws(FieldError.Reason) {
        let name: String
        let text: String
        do throws(FieldError.Reason) {
            name = try TextRule.line(1...longestKey).check(key)
            text = try TextRule.line(1...longestValue).check(value)
        } catch {
            throw .init("has an entry \"\(key.prefix(longestKey))\" whose key or value \(error.text)")
        }
        // What another notation uses as punctuation is no key: {"a": "b"} read as a line would be kept as nonsense.
        if let sign = name.first(where: { "{}[]\"\\".contains($0) }) {
            throw .init("has a key \(name) with \(sign) in it. Write one \"key: value\" per line, not JSON.")
        }
        if name.hasSuffix(":") || name.contains(": ") {
            throw .init("has a key \"\(name)\" with a colon where the value would begin.")
        }
        guard values.updateValue(text, forKey: name) == nil else { throw .init("names \"\(name)\" twice.") }
        guard values.count <= maximum else { throw .init("must have at most \(maximum) entries.") }
    }

    public var json: JSON { .object(values.mapValues(JSON.string)) }
    public var text: String {
        values.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }.joined(separator: "\n")
    }
    public var arguments: [String] { [values.isEmpty ? "-" : text] }
    public static func schema(_ rules: ParamRules) -> JSON {
        [
            "type": "object", "maxProperties": .int(Int64(maximum)),
            "propertyNames": [
                "type": "string", "minLength": 1, "maxLength": .int(Int64(longestKey)),
                "pattern": "^[^{}\\[\\]\"\\\\]+$",
            ],
            "additionalProperties": ["type": "string", "minLength": 1, "maxLength": .int(Int64(longestValue))],
        ]
    }
    public static var control: ParamControl { .prose }
}

/// A word such as a plan, a tier or a region: lower case letters, digits, hyphens and underscores.
public struct TenantWord: ParamValue, Hashable {
    public let word: String
    public init(_ word: String) { self.word = word }

    public static func parse(_ json: JSON, _ rules: ParamRules) throws(FieldError.Reason) -> TenantWord {
        guard case .string(let text) = json else { throw .init("must be text.") }
        return try parse(text: text, rules)
    }
    public static func parse(text: String, _ rules: ParamRules) throws(FieldError.Reason) -> TenantWord {
        guard isValid(text) else {
            throw .init("must be 1 to 40 lower-case letters, digits, hyphens or underscores.")
        }
        return TenantWord(text)
    }
    static func isValid(_ text: String) -> Bool {
        (1...40).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) || byte == 0x2D || byte == 0x5F
            }
    }
    public var json: JSON { .string(word) }
    public var text: String { word }
    public static func schema(_ rules: ParamRules) -> JSON { ["type": "string", "pattern": "^[a-z0-9_-]{1,40}$"] }
    public static var control: ParamControl { .line }
}
