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

    /// Nested objects are flattened by dotted path; arrays are compared as a whole. A `nil` document has no fields: a
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

    private static func flatten(_ json: JSON, _ path: String, into out: inout [String: JSON]) {
        if case .object(let members) = json, !members.isEmpty || path.isEmpty {
            for (name, value) in members { flatten(value, path.isEmpty ? name : "\(path).\(name)", into: &out) }
        } else {
            out[path.isEmpty ? "value" : path] = json
        }
    }

    /// A field's path as people say it: `status_since` → "Status since", `settings.locale` → "Settings, locale".
    public static func label(_ path: String) -> String {
        let words = path.replacing(".", with: ", ").split(separator: "_").map { $0 == "id" ? "id" : String($0) }
            .joined(separator: " ")
        return words.prefix(1).uppercased() + words.dropFirst()
    }

    /// What every change moves by itself, and what a new thing does not have: left out where a person decides, never in
    /// the record.
    var essential: [Line] {
        lines.filter { line in
            if line.path == "version" || line.path == "updated_at" { return false }
            guard line.before == nil, let after = line.after else { return true }
            return after != .null && after != .object([:]) && line.path != "created_at" && line.path != "id"
        }
    }

    /// A value for a person who decides: times without fractions, "none" for what is empty.
    static func spoken(_ value: JSON) -> String {
        switch value {
        case .null: return "none"
        case .bool(let isOn): return isOn ? "yes" : "no"
        case .string(let text):
            guard text.utf8.count >= 20, text.hasSuffix("Z"), let instant = Instant(rfc3339: text) else {
                return words(value)
            }
            return TimeText.utc(instant)
        default: return words(value)
        }
    }

    /// A value as people read it: text bare, lists joined by commas, everything else as JSON.
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
    public struct DiffGroup: Sendable {
        public let title: String?
        public let before: JSON?
        public let after: JSON?
        public init(title: String?, before: JSON?, after: JSON?) {
            self.title = title
            self.before = before
            self.after = after
        }
        public init(_ change: EntityChange, title: String? = nil) {
            self.init(title: title, before: change.before, after: change.after)
        }
    }

    /// Before → after, grey and tinted; a change is neither good nor bad. Unchanged fields are hidden.
    /// - Parameter captions: "Now"/"After" in a preview, "Before"/"After" in the record.
    /// - Parameter exact: names and values as the log holds them, every field; otherwise in words, the essential ones.
    public static func diff(
        _ groups: [DiffGroup], caption: String, captions: (before: String, after: String) = ("Before", "After"),
        exact: Bool = true
    ) -> Node {
        let text = exact ? DocumentDiff.words : DocumentDiff.spoken
        return table(groups, caption: caption, captions: captions, exact: exact, text: text)
    }

    private static func table(
        _ groups: [DiffGroup], caption: String, captions: (before: String, after: String), exact: Bool,
        text: (JSON) -> String
    ) -> Node {
        el("table", .class("diff")) {
            el("caption") { caption }
            el("thead") {
                el("tr") {
                    el("th", Attribute("scope", "col")) { hiddenText("Field") }
                    el("th", Attribute("scope", "col")) { captions.before }
                    el("th", Attribute("scope", "col")) { captions.after }
                }
            }
            for group in groups {
                let difference = DocumentDiff(before: group.before, after: group.after)
                let lines = exact ? difference.lines : difference.essential
                el("tbody") {
                    if let title = group.title {
                        el("tr", .class("group")) {
                            el("th", Attribute("scope", "rowgroup"), Attribute("colspan", "3")) { title }
                        }
                    }
                    if lines.isEmpty {
                        el("tr") { el("td", .class("same"), Attribute("colspan", "3")) { "No field changes." } }
                    }
                    for line in lines {
                        el("tr") {
                            if exact {
                                el("th", Attribute("scope", "row"), .class("id")) { code(line.path) }
                            } else {
                                el("th", Attribute("scope", "row"), .title(line.path)) { DocumentDiff.label(line.path) }
                            }
                            el("td", .class("long")) {
                                if let before = line.before {
                                    el("del") { text(before) }
                                } else {
                                    hiddenText("absent")
                                }
                            }
                            el("td", .class("long")) {
                                if let after = line.after {
                                    el("ins") { text(after) }
                                } else {
                                    el("ins") { "removed" }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    /// The differences of one entity.
    public static func diff(
        before: JSON?, after: JSON?, caption: String = "What changed",
        captions: (before: String, after: String) = ("Before", "After"), exact: Bool = true
    ) -> Node {
        diff(
            [DiffGroup(title: nil, before: before, after: after)], caption: caption, captions: captions, exact: exact)
    }
}
