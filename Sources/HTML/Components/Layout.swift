import Kernel

extension UI {
    /// A box around what stands alone. `id` names its heading for assistive technology.
    public static func panel(
        _ title: String, id: String, hint text: String? = nil, actions: Node = .none, footer: Node = .none,
        sticky: Bool = false, @NodeBuilder _ body: () -> Node
    ) -> Node {
        el("section", .class(sticky ? "panel sticky" : "panel"), Attribute("aria-labelledby", id)) {
            el("header") {
                el("h2", .id(id)) { title }
                text.map(hint)
                if !actions.isEmpty { el("span", .class("push")) { actions } }
            }
            body()
            if !footer.isEmpty { el("footer") { footer } }
        }
    }

    /// The padded inside of a panel; tables go into a panel without it.
    public static func panelBody(@NodeBuilder _ body: () -> Node) -> Node {
        el("div", .class("panel__body"), body: body)
    }

    /// Things under each other with the usual gap.
    public static func stack(@NodeBuilder _ body: () -> Node) -> Node { el("div", .class("stack"), body: body) }
    public static func tightStack(@NodeBuilder _ body: () -> Node) -> Node {
        el("div", .class("stack stack--2"), body: body)
    }
    /// Things beside each other, wrapping.
    public static func row(@NodeBuilder _ body: () -> Node) -> Node { el("div", .class("row"), body: body) }

    public enum Split: String, Sendable {
        /// Main column and aside.
        case aside = "split"
        case wide = "split split--wide"
        case even = "split split--even"
    }
    /// Two columns that become one on narrow screens.
    public static func split(_ kind: Split = .aside, @NodeBuilder _ body: () -> Node) -> Node {
        el("div", .class(kind.rawValue), body: body)
    }

    /// The page's title line: name, state, tags; `trailing` stands at the right.
    public static func title(
        _ text: String, lead: String? = nil, trailing: Node = .none, @NodeBuilder marks: () -> Node = { .none }
    ) -> Node {
        el("div", .class("title")) {
            el("h1") { text }
            if let lead { el("span", .class("lead")) { lead } }
            marks()
            if !trailing.isEmpty { el("span", .class("push row")) { trailing } }
        }
    }

    /// Where the page stands: links, then the page itself.
    public static func crumbs(_ links: [(title: String, href: String)], here: String) -> Node {
        el("nav", .class("crumbs"), .label("Breadcrumb")) {
            for link in links {
                el("a", .href(link.href)) { link.title }
                icon("right")
            }
            el("span", Attribute("aria-current", "page")) { here }
        }
    }

    public struct Tab: Sendable {
        public let title: String
        public let href: String
        public let count: Int64?
        public let isCurrent: Bool
        public init(_ title: String, href: String, count: Int64? = nil, isCurrent: Bool) {
            self.title = title
            self.href = href
            self.count = count
            self.isCurrent = isCurrent
        }
    }

    public static func tabs(label: String, _ tabs: [Tab]) -> Node {
        el("nav", .class("tabs"), .label(label)) {
            for tab in tabs {
                el("a", .href(tab.href), .when(tab.isCurrent, Attribute("aria-current", "page"))) {
                    tab.title
                    if let count = tab.count { el("span", .class("n")) { Grouped.digits(count) } }
                }
            }
        }
    }

    /// The facts one looks for first, in a line under the title.
    public static func keyFacts(_ facts: [(label: String, value: Node)]) -> Node {
        el("dl", .class("keys")) {
            for fact in facts {
                el("div") {
                    el("dt") { fact.label }
                    el("dd") { fact.value }
                }
            }
        }
    }

    /// Labels and values under each other.
    public static func facts(_ facts: [(label: String, value: Node)], tight: Bool = false) -> Node {
        el("dl", .class(tight ? "facts facts--tight" : "facts")) {
            for fact in facts {
                el("dt") { fact.label }
                el("dd") { fact.value }
            }
        }
    }

    /// What is folded away; opens without script.
    public static func fold(_ title: String, open: Bool = false, @NodeBuilder _ body: () -> Node) -> Node {
        el("details", .class("fold"), .when(open, Attribute("open"))) {
            el("summary") {
                icon("right")
                title
            }
            body()
        }
    }

    /// A menu behind a button.
    public static func menu(_ title: Node, size: ButtonSize = .small, @NodeBuilder _ items: () -> Node) -> Node {
        el("details", .class("menu")) {
            el("summary", .class(buttonClass(.plain, size, block: false, iconOnly: false))) {
                title
                icon("down")
            }
            el("div", .class("pop")) { items() }
        }
    }
}
