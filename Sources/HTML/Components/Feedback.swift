extension UI {
    /// A message above the content: what is so, then what to do.
    /// - Parameter announces: read out at once (`role`): only after the person's own action.
    public static func banner(
        _ tone: Tone = .plain, _ headline: String, _ text: String? = nil, action: Node = .none, announces: Bool = false
    ) -> Node {
        banner(tone, announces: announces, action: action) {
            el("p") { el("b") { headline } }
            if let text { el("p") { text } }
        }
    }

    public static func banner(
        _ tone: Tone = .plain, announces: Bool = false, action: Node = .none, @NodeBuilder _ body: () -> Node
    ) -> Node {
        let symbol =
            switch tone {
            case .plain, .info: "info"
            case .ok: "check"
            case .warn, .danger: "alert"
            }
        return el(
            "div", .class(tone.suffix("banner")),
            .when(announces, Attribute("role", tone == .danger ? "alert" : "status"))
        ) {
            icon(symbol)
            el("div") { body() }
            if !action.isEmpty { el("span", .class("push")) { action } }
        }
    }

    /// A short confirmation that needs no answer.
    public static func toast(_ text: String, action: Node = .none) -> Node {
        el("p") {
            el("span", .class("toast"), Attribute("role", "status")) {
                text
                action
            }
        }
    }

    /// Nothing to show: what would stand here and what to do.
    public static func empty(_ headline: String, _ text: String, action: Node = .none) -> Node {
        el("div", .class("empty")) {
            el("p", .class("empty__head")) { headline }
            el("p") { text }
            if !action.isEmpty { el("p", .class("row")) { action } }
        }
    }

    public enum StepState: Sendable { case done, current, ahead }

    /// Where one stands in a sequence.
    public static func steps(label: String, _ steps: [(title: String, note: String, state: StepState)]) -> Node {
        el("ol", .class("steps"), .label(label)) {
            for step in steps {
                el(
                    "li", .when(step.state == .done, .class("is-done")),
                    .when(step.state == .current, Attribute("aria-current", "step"))
                ) {
                    glyph(step.state == .done ? .check : step.state == .current ? .half : .ring)
                    el("b") { step.title }
                    el("small") { step.note }
                }
            }
        }
    }

    /// One number with its name; several go into `stats`.
    public static func stat(_ label: String, _ value: String, note: String? = nil) -> Node {
        el("div", .class("stat")) {
            el("dt") { label }
            el("dd") {
                value
                if let note { Node(" ") + el("small") { note } }
            }
        }
    }

    public static func stats(@NodeBuilder _ body: () -> Node) -> Node { el("dl", .class("stats"), body: body) }

    /// A line over time, drawn by the server.
    /// - Parameters:
    ///   - label: what it shows, for those who don't see it.
    ///   - scale: what its height stands for: "Changes in each hour, at most 17".
    ///   - ends: when it begins and ends: "24 h ago", "now".
    public static func sparkline(
        _ values: [Int64], label: String, scale: String, ends: (from: String, to: String)
    ) -> Node {
        guard values.count > 1 else { return .none }
        let top = max(1, values.max() ?? 1)
        var points = ""
        for (index, value) in values.enumerated() {
            let x = Double(index) * 100 / Double(values.count - 1)
            let y = 34 - Double(value) * 30 / Double(top)
            points += "\(index == 0 ? "M" : " ")\(tenths(x)) \(tenths(y))"
        }
        return el("div") {
            el("p", .class("small muted")) { scale }
            el(
                "svg", .class("spark"), Attribute("viewBox", "0 0 100 36"), Attribute("preserveAspectRatio", "none"),
                Attribute("role", "img"), .label(label)
            ) {
                el("path", .class("area"), Attribute("d", "\(points) L100 36 L0 36z"))
                el("path", .class("line"), Attribute("d", points))
            }
            el("p", .class("sparkends small muted")) {
                el("span") { ends.from }
                el("span") { ends.to }
            }
        }
    }

    /// A bar of parts of a whole; widths in percent as attributes, because the CSP refuses inline styles.
    public static func meter(_ parts: [(tone: Tone, share: Double)], label: String) -> Node {
        var x = 0.0
        var rects = Node.none
        for part in parts {
            let fill =
                switch part.tone {
                case .ok: "f-ok"
                case .warn: "f-warn"
                case .danger: "f-bad"
                case .info: "f-accent"
                case .plain: "f-quiet"
                }
            rects =
                rects
                + el(
                    "rect", .class(fill), Attribute("x", "\(tenths(x * 100))%"),
                    Attribute("width", "\(tenths(part.share * 100))%"), Attribute("height", "100%"))
            x += part.share
        }
        return el("svg", .class("meterbar"), Attribute("role", "img"), .label(label)) { rects }
    }

    private static func tenths(_ value: Double) -> String {
        let scaled = Int((value * 10).rounded())
        return "\(scaled / 10).\(abs(scaled % 10))"
    }
}
