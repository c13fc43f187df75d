/// The design tokens as the stylesheet declares them, so that a page shows what is in force and not a copy of it.
public struct TokenSheet: Sendable {
    public struct Token: Sendable {
        /// `ink-2`
        public let name: String
        /// As it stands in the sheet.
        public let value: String
    }

    /// Red, green and blue from 0 to 255, and how opaque.
    public struct Colour: Sendable, Hashable {
        public let red: Double
        public let green: Double
        public let blue: Double
        public let alpha: Double
        /// `#12161c`, or `rgb(16 20 28 / .42)`
        public let text: String
    }

    public let tokens: [Token]

    /// Reads the custom properties of the first `:root` block that has any.
    public init(_ css: String) {
        var text = ""
        var rest = css[...]
        while let start = rest.firstRange(of: "/*") {
            text += rest[..<start.lowerBound]
            guard let end = rest[start.upperBound...].firstRange(of: "*/") else { break }
            rest = rest[end.upperBound...]
        }
        text += rest
        let blocks = text.components(of: ":root {", to: "}").first { $0.contains("--") } ?? ""
        tokens = blocks.split(separator: ";").compactMap { declaration in
            let parts = declaration.split(separator: ":", maxSplits: 1)
            guard parts.count == 2 else { return nil }
            let name = parts[0].filter { !$0.isWhitespace }
            guard name.hasPrefix("--") else { return nil }
            let value = parts[1].split(whereSeparator: \.isWhitespace).joined(separator: " ")
            return Token(name: String(name.dropFirst(2)), value: value)
        }
    }

    public subscript(name: String) -> String? { tokens.first { $0.name == name }?.value }

    /// A colour in both themes; `nil` for what is none.
    public func colour(_ name: String) -> (light: Colour, dark: Colour)? {
        guard let value = self[name] else { return nil }
        guard value.hasPrefix("light-dark("), value.hasSuffix(")") else {
            return Self.parse(value).map { ($0, $0) }
        }
        // The comma between the two stands outside of every bracket of theirs.
        var depth = 0
        let inner = value.dropFirst("light-dark(".count).dropLast()
        for index in inner.indices {
            switch inner[index] {
            case "(": depth += 1
            case ")": depth -= 1
            case "," where depth == 0:
                guard let light = Self.parse(String(inner[..<index])),
                    let dark = Self.parse(String(inner[inner.index(after: index)...]))
                else { return nil }
                return (light, dark)
            default: break
            }
        }
        return nil
    }

    private static func parse(_ text: String) -> Colour? {
        let text = text.trimmed
        if text.hasPrefix("#"), text.count == 7, let number = Int(text.dropFirst(), radix: 16) {
            return Colour(
                red: Double(number >> 16 & 255), green: Double(number >> 8 & 255), blue: Double(number & 255), alpha: 1,
                text: text)
        }
        guard text.hasPrefix("rgb("), text.hasSuffix(")") else { return nil }
        let numbers = text.dropFirst(4).dropLast().split { $0 == " " || $0 == "/" || $0 == "," }.compactMap {
            Double($0.hasPrefix(".") ? "0" + $0 : String($0))
        }
        guard numbers.count == 3 || numbers.count == 4 else { return nil }
        return Colour(
            red: numbers[0], green: numbers[1], blue: numbers[2], alpha: numbers.count == 4 ? numbers[3] : 1, text: text
        )
    }

    /// WCAG 2.2's contrast of two opaque colours, from 1 to 21.
    public static func contrast(_ a: Colour, _ b: Colour) -> Double {
        let (x, y) = (luminance(a), luminance(b))
        return (max(x, y) + 0.05) / (min(x, y) + 0.05)
    }

    private static func luminance(_ colour: Colour) -> Double {
        func linear(_ channel: Double) -> Double {
            let value = channel / 255
            return value <= 0.04045 ? value / 12.92 : power((value + 0.055) / 1.055)
        }
        return 0.2126 * linear(colour.red) + 0.7152 * linear(colour.green) + 0.0722 * linear(colour.blue)
    }

    // x^2.4 without a mathematics library: x² · (x²)^(1/5), the fifth root by Newton's steps.
    private static func power(_ x: Double) -> Double {
        guard x > 0 else { return 0 }
        let square = x * x
        var root = 1.0
        for _ in 0..<60 { root = (4 * root + square / (root * root * root * root)) / 5 }
        return square * root
    }

    /// Words on what, and how much contrast they must have: 4.5 for text, 3 for what is only a shape.
    public static let pairs: [(ink: String, ground: String, least: Double)] = {
        var pairs: [(ink: String, ground: String, least: Double)] = []
        func add(_ least: Double, _ ink: String, on grounds: String...) {
            for ground in grounds { pairs.append((ink, ground, least)) }
        }
        for ink in ["ink", "ink-2", "ink-3"] { add(4.5, ink, on: "canvas", "wash", "sunk", "rail", "raised") }
        add(4.5, "accent", on: "canvas", "accent-wash")
        add(4.5, "on-accent", on: "accent-solid", "accent-press", "danger-solid", "danger-press", "glass")
        for tone in ["ok", "warn", "danger", "info"] { add(4.5, tone, on: "canvas", "\(tone)-wash") }
        add(4.5, "on-bar", on: "bar", "bar-field")
        add(4.5, "on-bar-2", on: "bar")
        add(4.5, "on-env-prod", on: "env-prod")
        add(4.5, "on-glass-2", on: "glass")
        add(4.5, "on-face", on: "face")
        add(4.5, "on-inverse", on: "inverse")
        add(4.5, "inverse-link", on: "inverse")
        add(3, "control", on: "canvas")
        add(3, "focus", on: "canvas", "wash")
        return pairs
    }()
}

extension String {
    fileprivate var trimmed: String {
        String(drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed())
    }

    /// What stands between each `start` and the next `end`.
    fileprivate func components(of start: String, to end: Character) -> [String] {
        var found: [String] = []
        var rest = self[...]
        while let open = rest.firstRange(of: start) {
            let tail = rest[open.upperBound...]
            found.append(String(tail.prefix { $0 != end }))
            rest = tail
        }
        return found
    }
}
