/// The sprite every icon comes from. Its address carries the first 12 hex digits of the file's SHA-256, so that browsers
/// may keep it for ever; a test fails when the file changes and this doesn't.
public enum IconSprite {
    public static let version = "8a6f50c05b38"
    public static let url = "/assets/icons.svg?v=\(version)"
}

/// State glyphs: the shape carries the meaning, the colour only repeats it.
public enum Glyph: String, Sendable, CaseIterable {
    case on, ring, half, pause, stop, x, tri, box, check
}

/// What a colour means. `plain` is ink: colour marks the exception.
public enum Tone: String, Sendable, CaseIterable {
    case plain, ok, warn, danger, info

    func suffix(_ base: String) -> String { self == .plain ? base : "\(base) \(base)--\(rawValue)" }
}

/// The components: the only source of markup.
public enum UI {
    private static let symbol = OpenTag("svg", .class("i"), Attribute("aria-hidden", "true"))
    private static let mark = OpenTag("svg", .class("g"), Attribute("aria-hidden", "true"))
    private static let uses = Dictionary(
        uniqueKeysWithValues: Glyph.allCases.map {
            ($0, el("use", .href("\(IconSprite.url)#g-\($0.rawValue)")).text)
        })

    /// A 16 px symbol of `icons.svg`, hidden from assistive technology; words beside it carry the meaning.
    public static func icon(_ name: String) -> Node {
        symbol { el("use", .href("\(IconSprite.url)#\(name)")) }
    }

    /// A 10 px state glyph.
    public static func glyph(_ glyph: Glyph) -> Node {
        mark { Node(checked: uses[glyph] ?? "") }
    }

    /// Words for screen readers only.
    public static func hiddenText(_ text: String) -> Node { el("span", .class("vh")) { text } }
}
