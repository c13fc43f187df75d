import Kernel

extension UI {
    /// A state with the capsule around it: on object pages and above forms.
    public static func chip(_ text: String, _ tone: Tone = .plain, _ mark: Glyph? = nil) -> Node {
        el("span", .class(tone.suffix("chip"))) {
            mark.map(glyph)
            text
        }
    }

    /// A state without the capsule, for dense tables.
    public static func state(_ text: String, _ tone: Tone = .plain, _ mark: Glyph = .on) -> Node {
        el("span", .class(tone.suffix("state"))) {
            glyph(mark)
            text
        }
    }

    public static func tag(_ text: String) -> Node { el("span", .class("tag")) { text } }
    public static func hint(_ text: String) -> Node { el("span", .class("hint")) { text } }
    public static func muted(_ text: String) -> Node { el("span", .class("muted")) { text } }
    public static func key(_ text: String) -> Node { el("kbd", .class("key")) { text } }

    /// An id, in full, with a button that copies it and stays beside it.
    /// - Parameter what: "tenant id", for the button's label.
    public static func id(_ id: String, copy what: String? = nil) -> Node {
        let text = el("span", .class("id")) { id }
        guard let what else { return text }
        return el("span", .class("copied")) {
            text
            copyButton(id, label: "Copy the \(what) \(id)")
        }
    }

    /// A dotted code that may break at its dots: `tenant.<wbr>suspend`.
    public static func code(_ text: String) -> Node {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        var out = Node.none
        for (index, part) in parts.enumerated() {
            out = out + Node(index < parts.count - 1 ? "\(part)." : String(part))
            if index < parts.count - 1 { out = out + .raw("<wbr>") }
        }
        return out
    }

    /// What a code of the log's stands for, in words, and the code below; the code alone where nobody knows the words.
    public static func coded(_ words: Node?, _ code: String) -> Node {
        let text = el("span", .class("id")) { self.code(code) }
        return words.map { $0 + sub(text) } ?? text
    }

    /// Words in which what stands between backticks is code, as the declarations write it.
    public static func prose(_ text: String) -> Node {
        var out = Node.none
        for (index, part) in text.split(separator: "`", omittingEmptySubsequences: false).enumerated() {
            out = out + (index.isMultiple(of: 2) ? Node(String(part)) : el("code", .class("id")) { String(part) })
        }
        return out
    }

    /// Text with an address, a path or a name without spaces in it, that may break behind its slashes, dots, colons and
    /// underscores, when one of its words is long enough to need it.
    public static func breakable(_ text: String) -> Node {
        guard text.split(separator: " ").contains(where: { $0.count > 18 }) else { return Node(text) }
        var out = Node.none
        var piece = ""
        for character in text {
            piece.append(character)
            guard "/.:_,@+".contains(character) else { continue }
            out = out + Node(piece) + .raw("<wbr>")
            piece = ""
        }
        return out + Node(piece)
    }

    /// An amount of money in minor units, with as many digits after the point as the currency has.
    public static func money(minor: Int64, currency: String) -> Node {
        el("span", .class(minor < 0 ? "money money--minus" : "money")) {
            MoneyText.amount(minor: minor, currency: currency) + " "
            el("abbr") { currency }
        }
    }

    /// A person by name, with initials; `note` is a role or a shift.
    public static func person(_ name: String, note: String? = nil) -> Node {
        el("span", .class("person")) {
            face(name)
            el("span") {
                name
                if let note { Node(" ") + el("small") { note } }
            }
        }
    }

    /// Initials in a circle.
    public static func face(_ name: String) -> Node {
        el("span", .class("face"), Attribute("aria-hidden", "true")) { Initials.of(name) }
    }

    /// Something that acts without a person: the system, an assistant.
    public static func systemFace(icon name: String = "settings") -> Node {
        el("span", .class("face face--system"), Attribute("aria-hidden", "true")) { icon(name) }
    }

    /// An actor as the log knows it: staff by name, everything else by what it is.
    public static func actor(kind: String, id: String, name: String?) -> Node {
        if kind == Actor.Kind.staff.rawValue { return person(name ?? id) }
        return el("span", .class("person")) {
            systemFace(icon: kind == Actor.Kind.assistant.rawValue ? "agent" : "settings")
            el("span") {
                name ?? (kind == Actor.Kind.system.rawValue ? "System" : kind) + " "
                el("small") { id }
            }
        }
    }

    /// Whether an event is in the published log.
    public enum Proof: Sendable {
        /// Sequenced at this index of the log.
        case sequenced(Int64)
        case waiting
        case failed(Int64)
    }

    public static func proof(_ proof: Proof, href: String? = nil) -> Node {
        let (names, symbol, text): (String, String, String) =
            switch proof {
            case .sequenced(let index): ("proof", "proof", "#\(Grouped.digits(index))")
            case .waiting: ("proof proof--wait", "clock", "Waiting for the log")
            case .failed(let index): ("proof proof--bad", "alert", "Proof fails at #\(Grouped.digits(index))")
            }
        if let href {
            return el("a", .class(names), .href(href)) {
                icon(symbol)
                text
            }
        }
        return el("span", .class(names)) {
            icon(symbol)
            text
        }
    }

    /// A value that is not shown, and why.
    public static func sealed(_ why: String) -> Node {
        el("span", .class("sealed")) {
            icon("lock")
            el("span") { why }
        }
    }
}

enum Initials {
    static func of(_ name: String) -> String {
        let words = name.split(whereSeparator: { !$0.isLetter && !$0.isNumber })
        guard let first = words.first?.first else { return "?" }
        guard words.count > 1, let last = words.last?.first else {
            return String(words[0].prefix(2)).uppercased()
        }
        return "\(first)\(last)".uppercased()
    }
}

/// Sizes as text.
public enum ByteText {
    /// `812 bytes`, `14 KB`, `3.2 GB`: in thousands, with one digit after the point below ten.
    public static func words(_ bytes: Int64) -> String {
        guard bytes >= 1000 else { return "\(bytes) bytes" }
        var size = bytes
        var unit = 0
        while size >= 1_000_000, unit < 3 {
            size /= 1000
            unit += 1
        }
        let tenths = (size + 50) / 100
        let name = ["KB", "MB", "GB", "TB"][unit]
        return tenths < 100 ? "\(tenths / 10).\(tenths % 10) \(name)" : "\(Grouped.digits((tenths + 5) / 10)) \(name)"
    }
}
