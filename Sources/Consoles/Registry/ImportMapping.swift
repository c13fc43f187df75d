import Foundation
import Kernel

/// How the columns or members of a file become our fields (docs/connecting-your-saas.md):
///
///     fields:
///       external_id: account_no                 # the column or member it comes from; a.b reaches into an object
///       slug: {from: company, as: slug}
///       plan: {from: edition, values: {Gold: business, Silver: team}, default: free}
///       region: {constant: eu-west}
///       metadata.segment: industry
///     members: {from: people, fields: {email: mail, role: {from: kind, values: {A: admin}, otherwise: member}}}
public struct ImportMapping: Sendable, Hashable {
    /// Where one field's value comes from.
    struct Rule: Sendable, Hashable {
        enum Form: String, Sendable, CaseIterable { case slug, lower }
        /// `nil` for a constant.
        var from: String?
        var constant: String?
        /// The source's word → ours.
        var values: [String: String]?
        /// For a word that `values` has not.
        var otherwise: String?
        /// For a value that is absent or empty.
        var fallback: String?
        var form: Form?

        init(from: String) { self.from = from }
    }

    /// What is wrong with a mapping.
    public struct Problem: Error, Sendable, Hashable {
        public let sentence: String
        init(_ sentence: String) { self.sentence = sentence }
    }

    /// Fields a file may fill, beside `metadata.…`.
    static let fields = [
        "external_id", "name", "slug", "plan", "tier", "region", "status", "onboarding", "owner_email",
        "member_emails", "created_at", "last_activity_at",
    ]
    static let needed = ["external_id", "name", "slug"]
    static let memberFields = ["email", "name", "external_id", "role", "last_login_at"]

    var fields: [String: Rule] = [:]
    /// Members as a list of objects, for files that have such.
    var membersFrom: String?
    var members: [String: Rule] = [:]
    /// As it was written; part of what an import is known by.
    public let json: JSON

    public init(_ json: JSON) throws(Problem) {
        self.json = json
        guard let root = json.object else {
            throw Problem("The mapping must have \"fields\": our field, then where it comes from.")
        }
        if let unknown = root.keys.sorted().first(where: { !["fields", "members"].contains($0) }) {
            throw Problem("The mapping has an unknown \"\(unknown.prefix(60))\"; known are fields and members.")
        }
        for (name, value) in (root["fields"]?.object ?? [:]).sorted(by: { $0.key < $1.key }) {
            guard Self.fields.contains(name) || Self.metadataKey(name) != nil else {
                throw Problem(
                    "The mapping fills \"\(name.prefix(60))\", which is not one of our fields: \(Self.fields.joined(separator: ", ")), metadata.…"
                )
            }
            fields[name] = try Self.rule(value, name)
        }
        if let people = root["members"], !people.isNull {
            guard let object = people.object, let from = object["from"]?.string, let rules = object["fields"]?.object
            else { throw Problem("In the mapping, members needs from (the list) and fields.") }
            if let unknown = object.keys.sorted().first(where: { !["from", "fields"].contains($0) }) {
                throw Problem("In the mapping, members has an unknown \"\(unknown.prefix(60))\".")
            }
            membersFrom = from
            for (name, value) in rules.sorted(by: { $0.key < $1.key }) {
                guard Self.memberFields.contains(name) else {
                    throw Problem(
                        "In the mapping, members fills \"\(name.prefix(60))\", which is not one of \(Self.memberFields.joined(separator: ", "))."
                    )
                }
                members[name] = try Self.rule(value, "members.\(name)")
            }
            guard members["email"] != nil else {
                throw Problem("In the mapping, members must say where email comes from.")
            }
            guard fields["member_emails"] == nil else {
                throw Problem("The mapping fills member_emails and members; keep one.")
            }
        }
        let missing = Self.needed.filter { fields[$0] == nil }
        guard missing.isEmpty else {
            throw Problem("The mapping does not say where \(missing.joined(separator: ", ")) comes from.")
        }
    }

    private static func rule(_ json: JSON, _ name: String) throws(Problem) -> Rule {
        if case .string(let source) = json, !source.isEmpty { return Rule(from: source) }
        guard let object = json.object else {
            throw Problem("In the mapping, \(name) must be the name of a column or member, or say from or constant.")
        }
        let known: Set = ["from", "constant", "values", "otherwise", "default", "as"]
        if let unknown = object.keys.sorted().first(where: { !known.contains($0) }) {
            throw Problem(
                "In the mapping, \(name) has an unknown \"\(unknown.prefix(60))\"; known are \(known.sorted().joined(separator: ", "))."
            )
        }
        func text(_ key: String) throws(Problem) -> String? {
            guard let value = object[key], !value.isNull else { return nil }
            guard let text = scalar(value) else { throw Problem("In the mapping, \(key) of \(name) must be a text.") }
            return text
        }
        var rule = Rule(from: "")
        rule.from = try text("from")
        rule.constant = try text("constant")
        guard (rule.from == nil) != (rule.constant == nil) else {
            throw Problem("In the mapping, \(name) needs either from or constant.")
        }
        rule.otherwise = try text("otherwise")
        rule.fallback = try text("default")
        if let values = object["values"], !values.isNull {
            guard let table = values.object else { throw Problem("In the mapping, values of \(name) must be a table.") }
            var words: [String: String] = [:]
            for (word, ours) in table {
                guard let ours = scalar(ours) else {
                    throw Problem(
                        "In the mapping, values of \(name) has something else than a text for \"\(word.prefix(60))\".")
                }
                words[word] = ours
            }
            rule.values = words
        }
        if rule.otherwise != nil, rule.values == nil {
            throw Problem("In the mapping, otherwise of \(name) stands without values.")
        }
        if let form = try text("as") {
            rule.form = Rule.Form(rawValue: form)
            guard rule.form != nil else {
                throw Problem(
                    "In the mapping, as of \(name) must be one of \(Rule.Form.allCases.map(\.rawValue).joined(separator: ", "))."
                )
            }
        }
        return rule
    }

    /// `segment` of `metadata.segment`.
    static func metadataKey(_ name: String) -> String? {
        name.hasPrefix("metadata.") && name.utf8.count > 9 ? String(name.dropFirst(9)) : nil
    }

    /// A single value as the text a column would hold; `nil` for lists and objects.
    static func scalar(_ json: JSON) -> String? {
        switch json {
        case .null: ""
        case .bool(let value): value ? "true" : "false"
        case .int(let value): String(value)
        case .decimal(let text), .string(let text): text
        case .array, .object: nil
        }
    }

    // MARK: Use

    /// Our text for a source's text; `nil` when it is absent. The reason ends a sentence that starts with "The row".
    static func apply(_ rule: Rule, to text: String?) throws(FieldError.Reason) -> String? {
        var value = rule.constant ?? (text ?? "").trimmingCharacters(in: .whitespaces)
        if value.isEmpty { return rule.fallback }
        if let values = rule.values, rule.constant == nil {
            guard let ours = values[value] ?? rule.otherwise else {
                throw .init("has \"\(value.prefix(60))\" as \(rule.from ?? ""), for which the mapping has no value.")
            }
            value = ours
        }
        switch rule.form {
        case nil: break
        case .lower: value = value.lowercased()
        case .slug: value = slug(value)
        }
        return value.isEmpty ? rule.fallback : value
    }

    /// "Bäcker & Söhne" → `backer-sohne`
    static func slug(_ text: String) -> String {
        let plain = text.folding(options: [.diacriticInsensitive, .widthInsensitive, .caseInsensitive], locale: nil)
            .lowercased()
        var out: [UInt8] = []
        for byte in plain.utf8 {
            if (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) {
                out.append(byte)
            } else if out.last != 0x2D, !out.isEmpty {
                out.append(0x2D)
            }
        }
        out = Array(out.prefix(63))
        while out.last == 0x2D { out.removeLast() }
        return String(decoding: out, as: UTF8.self)
    }
}
