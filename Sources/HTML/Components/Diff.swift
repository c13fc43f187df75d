import Kernel

/// The difference of two JSON documents, field by field.
public struct DocumentDiff: Sendable, Equatable {
    public struct Line: Sendable, Equatable {
        /// `settings.locale`
        public let path: String
        /// `nil` when the field was absent.
        public let before: JSON?
        public let after: JSON?
    }

    /// Changed fields only, in path order.
    public let lines: [Line]

    /// Nested objects are flattened by dotted path; lists of plain values are compared as a whole. A `nil` document has no fields: a
    /// created entity shows all of its fields, a removed one all it had.
    public init(before: JSON?, after: JSON?) {
        var old: [String: JSON] = [:]
        var new: [String: JSON] = [:]
        if let before { Self.flatten(before, "", into: &old) }
        if let after { Self.flatten(after, "", into: &new) }
        lines = Set(old.keys).union(new.keys).sorted().compactMap { path in
            old[path] == new[path] ? nil : Line(path: path, before: old[path], after: new[path])
        }
    }

    /// Lists of objects are numbered from 1: `demands.1.rule`.
    private static func flatten(_ json: JSON, _ path: String, into out: inout [String: JSON]) {
        switch json {
        case .object(let members) where !members.isEmpty || path.isEmpty:
            for (name, value) in members { flatten(value, path.isEmpty ? name : "\(path).\(name)", into: &out) }
        case .array(let elements) where elements.contains { !($0.object ?? [:]).isEmpty }:
            for (index, value) in elements.enumerated() { flatten(value, "\(path).\(index + 1)", into: &out) }
        default: out[path.isEmpty ? "value" : path] = json
        }
    }

    /// A field's path as people say it: `status_since` → "Status since", `settings.locale` → "Settings, locale".
    public static func label(_ path: String) -> String {
        let words = path.replacing(".", with: ", ").split(separator: "_").map { $0 == "email" ? "e-mail" : String($0) }
            .joined(separator: " ")
        return words.prefix(1).uppercased() + words.dropFirst()
    }

    /// What every change moves by itself, and what a new thing does not have: left out where a person decides, never in
    /// the record.
    var essential: [Line] {
        lines.filter { line in
            if line.path == "version" || line.path == "updated_at" { return false }
            guard line.before == nil, let after = line.after else { return true }
            if let text = after.string, Self.isOwnID(text) || line.path.hasSuffix("_at") { return false }
            return after != .null && after != .object([:])
        }
    }

    /// An id of Postern's: what a new thing refers to is said by its title and by who asks.
    private static func isOwnID(_ text: String) -> Bool {
        text.split(separator: "_", maxSplits: 1).first.map { Identifier.isValid(text, prefix: String($0)) } ?? false
    }

    /// Without the lines that only say that something empty got members, or lost them: those stand in lines of their own.
    private static func withoutEmpty(_ lines: [Line]) -> [Line] {
        lines.filter { line in
            let isEmpty = [line.before, line.after].allSatisfy { $0 == nil || $0 == .object([:]) || $0 == .array([]) }
            return !isEmpty || !lines.contains { $0.path.hasPrefix(line.path + ".") }
        }
    }

    /// The lines a page shows.
    func shown(_ fields: UI.DiffFields) -> [Line] { Self.withoutEmpty(fields == .all ? lines : essential) }

    /// A value as people say it: times without fractions, "none" for what is empty.
    public static func spoken(_ value: JSON) -> String {
        switch value {
        case .null: return "none"
        case .bool(let isOn): return isOn ? "yes" : "no"
        case .object(let members) where members.isEmpty: return "none"
        case .array(let elements) where elements.isEmpty: return "none"
        case .string(let text):
            guard text.utf8.count >= 20, text.hasSuffix("Z"), let instant = Instant(rfc3339: text) else {
                return words(value)
            }
            return TimeText.utc(instant)
        default: return words(value)
        }
    }

    /// A value as it is: text bare, lists joined by commas, everything else as JSON.
    public static func words(_ value: JSON) -> String {
        switch value {
        case .string(let text): text.isEmpty ? "\"\"" : text
        case .array(let elements) where !elements.isEmpty && elements.allSatisfy({ $0.string != nil || $0.int != nil }):
            elements.map { $0.string ?? $0.canonicalText }.joined(separator: ", ")
        default: value.canonicalText
        }
    }
}

extension UI {
    /// How many parts of one thing a page shows at once; the rest is a click away.
    public static let atOnce = 50

    public struct DiffGroup: Sendable {
        public let title: String?
        /// Stands behind the title.
        public let id: String?
        public let before: JSON?
        public let after: JSON?
        public init(title: String?, id: String? = nil, before: JSON?, after: JSON?) {
            self.title = title
            self.id = id
            self.before = before
            self.after = after
        }

        /// "Membership of ada@example.com mem_…": what changes, by noun, name and id.
        public init(type: String, name: String?, id: String, before: JSON?, after: JSON?) {
            let noun = DocumentDiff.label(type)
            let called = name.flatMap { $0.isEmpty || $0 == id ? nil : $0 }
            self.init(title: called.map { "\(noun) \($0)" } ?? noun, id: id, before: before, after: after)
        }
    }

    /// Which of the changed fields a difference shows.
    public enum DiffFields: Sendable {
        /// Those a person decides about.
        case essential
        /// Every one: the record.
        case all
    }

    /// Before → after, grey and tinted; a change is neither good nor bad. Unchanged fields are hidden; names and values
    /// are in words, what the log holds stands in their titles.
    /// - Parameters:
    ///   - captions: "Now"/"After" in a preview, "Before"/"After" in the record.
    ///   - showsCaption: false where the heading above says the same.
    ///   - rest: how to see the groups beyond the first `atOnce`; without it all are shown.
    public static func diff(
        _ groups: [DiffGroup], caption: String, captions: (before: String, after: String) = ("Before", "After"),
        fields: DiffFields = .essential, showsCaption: Bool = true, rest: Node? = nil
    ) -> Node {
        let shown = rest == nil ? groups[...] : groups.prefix(atOnce)
        let table = el("table", .class("diff")) {
            el("caption", .when(!showsCaption, .class("vh"))) { caption }
            el("thead") {
                el("tr") {
                    el("th", Attribute("scope", "col")) { hiddenText("Field") }
                    el("th", Attribute("scope", "col")) { captions.before }
                    el("th", Attribute("scope", "col")) { captions.after }
                }
            }
            for group in shown { body(group, fields) }
        }
        guard let rest, groups.count > shown.count else { return table }
        return table + more(groups.count - shown.count, rest)
    }

    /// "And 12 more", with the way to see them.
    public static func more(_ count: Int, _ way: Node) -> Node {
        el("p", .class("row more")) {
            muted("and \(Grouped.digits(count)) more")
            way
        }
    }

    private static func body(_ group: DiffGroup, _ fields: DiffFields) -> Node {
        let difference = DocumentDiff(before: group.before, after: group.after)
        let lines = difference.shown(fields)
        return el("tbody") {
            if let title = group.title {
                el("tr", .class("group")) {
                    el("th", Attribute("scope", "rowgroup"), Attribute("colspan", "3")) {
                        title
                        if let id = group.id { Node(" ") + self.id(id) }
                    }
                }
            }
            if lines.isEmpty {
                el("tr") { el("td", .class("same"), Attribute("colspan", "3")) { "No field changes." } }
            }
            for line in lines {
                el("tr") {
                    el("th", Attribute("scope", "row"), .title(line.path)) { DocumentDiff.label(line.path) }
                    el("td", .class("long")) {
                        if let before = line.before { value("del", before) } else { hiddenText("absent") }
                    }
                    el("td", .class("long")) {
                        if let after = line.after { value("ins", after) } else { el("ins") { "removed" } }
                    }
                }
            }
        }
    }

    private static func value(_ tag: StaticString, _ value: JSON) -> Node {
        let spoken = DocumentDiff.spoken(value)
        let exact = DocumentDiff.words(value)
        return el(tag, .when(spoken != exact, .title(exact))) { spoken }
    }

    /// The differences of one entity.
    public static func diff(
        before: JSON?, after: JSON?, caption: String = "What changed",
        captions: (before: String, after: String) = ("Before", "After"), fields: DiffFields = .essential
    ) -> Node {
        diff(
            [DiffGroup(title: nil, before: before, after: after)], caption: caption, captions: captions, fields: fields)
    }
}
