import Kernel

/// One step in the story of an object.
public struct TimelineEntry: Sendable {
    public let at: Instant
    /// `nil`: not a person.
    public let personName: String?
    /// The icon when it isn't a person.
    public let systemIcon: String
    /// "Mira O. suspended …": what happened, already built.
    public let sentence: Node
    public let detail: String?
    public init(
        at: Instant, personName: String?, systemIcon: String = "settings", sentence: Node, detail: String? = nil
    ) {
        self.at = at
        self.personName = personName
        self.systemIcon = systemIcon
        self.sentence = sentence
        self.detail = detail
    }
}

extension UI {
    /// What happened, newest first, with a line for each day.
    public static func timeline(_ entries: [TimelineEntry], now: Instant) -> Node {
        var shown: Day? = now.day
        var items = Node.none
        for entry in entries {
            if entry.at.day != shown {
                shown = entry.at.day
                let yesterday = Day(daysSince1970: now.day.daysSince1970 - 1)
                items =
                    items
                    + el("li", .class("day")) { entry.at.day == yesterday ? "Yesterday" : TimeText.day(entry.at.day) }
            }
            items =
                items
                + el("li") {
                    entry.personName.map(face) ?? systemFace(icon: entry.systemIcon)
                    el("p") {
                        entry.sentence
                        if let detail = entry.detail { Node(" ") + sub(detail) }
                    }
                    el("span", .class("small")) { time(entry.at, now: now) }
                }
        }
        return el("ol", .class("timeline")) { items }
    }

    /// What is sent when the operation runs. `when` stands at the right: "at once", "after approval".
    public static func effects(_ effects: [Effect], when: String) -> Node {
        el("ul", .class("effects")) {
            for effect in effects {
                el("li") {
                    icon(effectIcon(effect.kind))
                    el("div") { el("p") { effect.summary } }
                    hint(when)
                }
            }
        }
    }

    static func effectIcon(_ kind: String) -> String {
        switch kind {
        case "mail": "mail"
        case "webhook": "hook"
        case "billing": "billing"
        default: "send"
        }
    }

    /// Who must agree before the operation runs.
    public static func approvalNeeds(_ needs: [ApprovalNeed]) -> Node {
        el("ul", .class("rule")) {
            for need in needs {
                el("li") {
                    glyph(.ring)
                    el("div") {
                        el("p") {
                            el("b") { need.demand.sentence }
                            ", not the person who asks, within \(TimeText.exactly(need.window))"
                        }
                        el("p", .class("small muted")) {
                            need.summary
                            if let cooldown = need.cooldown {
                                ". It then waits \(TimeText.exactly(cooldown)) before it runs."
                            }
                        }
                    }
                }
            }
        }
    }

    /// What would happen to whom, before the click. The sentence stands in the present tense, so that nothing has happened is
    /// said first.
    /// - Parameter isAllowed: it can be done now.
    public static func consequence(_ text: String, reversibility: String, isAllowed: Bool = true) -> Node {
        el("p", .class("consequence")) {
            "\(Preview.preface(isAllowed: isAllowed)) "
            el("b") { text }
            " \(reversibility)"
        }
    }

    /// A JSON document, indented, members sorted as in its canonical form.
    /// - Parameter rest: how to see what is beyond the first `atOnce` elements of a list; without it all are shown.
    public static func json(_ json: JSON, rest: Node? = nil) -> Node {
        var hidden = 0
        let text = el("pre", .class("json"), Attribute("tabindex", "0")) {
            pretty(json, indent: 0, most: rest == nil ? .max : atOnce, hidden: &hidden)
        }
        guard let rest, hidden > 0 else { return text }
        return text + more(hidden, rest)
    }

    private static func pretty(_ json: JSON, indent: Int, most: Int, hidden: inout Int) -> Node {
        let inner = String(repeating: "  ", count: indent + 1)
        let outer = String(repeating: "  ", count: indent)
        switch json {
        case .object(let members) where !members.isEmpty:
            var out = Node("{\n")
            for (index, name) in members.keys.sorted(by: { Array($0.utf16).lexicographicallyPrecedes(Array($1.utf16)) })
                .enumerated()
            {
                out =
                    out + Node(inner) + el("i") { JSON.string(name).canonicalText } + Node(": ")
                    + pretty(members[name] ?? .null, indent: indent + 1, most: most, hidden: &hidden)
                    + Node(index < members.count - 1 ? ",\n" : "\n")
            }
            return out + Node("\(outer)}")
        case .array(let elements) where !elements.isEmpty:
            var out = Node("[\n")
            for (index, element) in elements.prefix(most).enumerated() {
                out =
                    out + Node(inner) + pretty(element, indent: indent + 1, most: most, hidden: &hidden)
                    + Node(index < elements.count - 1 ? ",\n" : "\n")
            }
            if elements.count > most {
                hidden += elements.count - most
                out = out + Node("\(inner)… \(Grouped.digits(elements.count - most)) more\n")
            }
            return out + Node("\(outer)]")
        case .string: return el("b") { json.canonicalText }
        default: return Node(json.canonicalText)
        }
    }

    /// A hash in groups of eight, so that two can be compared by eye.
    public static func hash(_ hex: String) -> Node {
        var groups: [Substring] = []
        var rest = hex[...]
        while !rest.isEmpty {
            groups.append(rest.prefix(8))
            rest = rest.dropFirst(8)
        }
        return el("code", .class("id")) { groups.joined(separator: " ") }
    }
}
