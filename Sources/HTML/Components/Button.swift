extension UI {
    /// How loud a button is. `warns` opens harm, `danger` does it; one primary a page.
    public enum ButtonStyle: String, Sendable {
        case plain, primary, danger, warns, quiet
    }

    public enum ButtonSize: String, Sendable {
        case normal, small, large
    }

    static func buttonClass(_ style: ButtonStyle, _ size: ButtonSize, block: Bool, iconOnly: Bool) -> String {
        var names = "btn"
        if style != .plain { names += " btn--\(style.rawValue)" }
        if size != .normal { names += " btn--\(size.rawValue)" }
        if block { names += " btn--block" }
        if iconOnly { names += " btn--icon" }
        return names
    }

    /// A button that sends its form, with `name=value` when given.
    public static func button(
        _ text: String, style: ButtonStyle = .plain, size: ButtonSize = .normal, icon name: String? = nil,
        block: Bool = false, name field: String? = nil, value: String? = nil, disabled: Bool = false,
        attributes: [Attribute] = []
    ) -> Node {
        el(
            "button",
            [
                .class(buttonClass(style, size, block: block, iconOnly: false)), .type("submit"),
                field.map(Attribute.name) ?? .none, value.map(Attribute.value) ?? .none,
                .when(disabled, Attribute("disabled")),
            ] + attributes
        ) {
            name.map(icon)
            text
        }
    }

    /// A link that looks like a button: opens a form, starts a download.
    public static func linkButton(
        _ text: String, href: String, style: ButtonStyle = .plain, size: ButtonSize = .normal, icon name: String? = nil,
        block: Bool = false, attributes: [Attribute] = []
    ) -> Node {
        el("a", [.class(buttonClass(style, size, block: block, iconOnly: false)), .href(href)] + attributes) {
            name.map(icon)
            text
        }
    }

    /// A button that only shows an icon; `label` says what it does and to what.
    public static func iconButton(
        _ label: String, icon name: String, size: ButtonSize = .small, attributes: [Attribute] = []
    )
        -> Node
    {
        el(
            "button",
            [
                .class(buttonClass(.quiet, size, block: false, iconOnly: true)), .type("button"), .label(label),
                .title(label),
            ] + attributes
        ) { icon(name) }
    }

    /// Copies a text; shown only where script runs, because without it there is nothing it could do.
    /// - Parameter label: what is copied, as in "Copy the tenant id ten_…".
    public static func copyButton(_ text: String, label: String) -> Node {
        iconButton(label, icon: "copy", attributes: [Attribute("data-copy", text), Attribute("hidden")])
    }

    /// A button with words that copies a text; hidden without script.
    public static func copyTextButton(_ title: String, text: String, size: ButtonSize = .small) -> Node {
        el(
            "button", .class(buttonClass(.quiet, size, block: false, iconOnly: false)), .type("button"),
            Attribute("data-copy", text), Attribute("hidden")
        ) {
            icon("copy")
            title
        }
    }

    /// Something that can't be used now: says why on its face and, opened, who can or what to do. It is told in words and not
    /// by `aria-disabled`, which would call what opens inoperable (decision 35).
    public static func offButton(
        _ text: String, why: String, detail: Node = .none, size: ButtonSize = .normal
    ) -> Node {
        el("details", .class("off")) {
            el("summary", .class(buttonClass(.plain, size, block: false, iconOnly: false))) {
                icon("lock")
                text
                hiddenText(", can’t be used now: ")
                el("span", .class("off__why")) { why }
            }
            el("div", .class("pop")) { detail.isEmpty ? el("p") { why } : detail }
        }
    }

    /// Two or more buttons joined.
    public static func buttonGroup(@NodeBuilder _ body: () -> Node) -> Node {
        el("span", .class("btns"), body: body)
    }

    public static func hiddenField(_ name: String, _ value: String) -> Node {
        void("input", .type("hidden"), .name(name), .value(value))
    }
}
