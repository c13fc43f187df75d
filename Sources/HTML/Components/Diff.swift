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
    public static func diff(
        _ groups: [DiffGroup], caption: String, captions: (before: String, after: String) = ("Before", "After")
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
                let lines = DocumentDiff(before: group.before, after: group.after).lines
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
                            el("th", Attribute("scope", "row"), .class("id")) { code(line.path) }
                            el("td", .class("long")) {
                                if let before = line.before {
                                    el("del") { DocumentDiff.words(before) }
                                } else {
                                    hiddenText("absent")
                                }
                            }
                            el("td", .class("long")) {
                                if let after = line.after {
                                    el("ins") { DocumentDiff.words(after) }
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
        captions: (before: String, after: String) = ("Before", "After")
    ) -> Node {
        diff([DiffGroup(title: nil, before: before, after: after)], caption: caption, captions: captions)
    }
}
