import Kernel

/// A group of filters on the left of a list.
public struct Facet: Sendable {
    public struct Option: Sendable {
        public let value: String
        public let label: String
        /// How many rows have it; `nil` when it isn't counted.
        public let count: Int64?
        public let isOn: Bool
        public init(_ value: String, _ label: String, count: Int64? = nil, isOn: Bool) {
            self.value = value
            self.label = label
            self.count = count
            self.isOn = isOn
        }
    }
    /// The query parameter.
    public let name: String
    public let title: String
    public let options: [Option]
    public init(_ name: String, _ title: String, _ options: [Option]) {
        self.name = name
        self.title = title
        self.options = options
    }
}

extension UI {
    /// The filters of a list: a form that sends them in the URL.
    /// - Parameters:
    ///   - keep: other query parameters that must survive filtering (sort, search words).
    ///   - countedAt: "as of 14:32 UTC", when the counts are older than the page.
    public static func facets(
        _ facets: [Facet], action: String, keep: [(String, String)] = [], countedAt: String? = nil
    ) -> Node {
        el("form", .class("facets"), .id("filters"), .label("Filters"), Attribute("action", action)) {
            for (name, value) in keep { hiddenField(name, value) }
            for facet in facets {
                el("fieldset") {
                    el("legend") { facet.title }
                    for option in facet.options {
                        el("label") {
                            void(
                                "input", .type("checkbox"), .name(facet.name), .value(option.value),
                                .when(option.isOn, Attribute("checked")))
                            el("span") { option.label }
                            if let count = option.count { el("span", .class("n")) { Grouped.digits(count) } }
                        }
                    }
                }
            }
            if let countedAt { el("p", .class("hint")) { countedAt } }
            el("p") { button("Apply filters", size: .small) }
        }
    }

    /// A filter that is on, with a link that takes it away.
    public static func activeFilter(_ text: String, remove href: String) -> Node {
        el("span", .class("filter")) {
            text + " "
            el("a", .href(href), .label("Remove filter \(text)")) { icon("x") }
        }
    }

    /// The list page: facets left, everything else right.
    public static func list(facets: Node, @NodeBuilder _ body: () -> Node) -> Node {
        el("div", .class("list")) {
            facets
            el("div") { body() }
        }
    }

    /// The line over a list: active filters left, what is shown right. On a phone a button leads to the facets.
    public static func tools(@NodeBuilder _ body: () -> Node) -> Node { el("div", .class("tools"), body: body) }

    /// The button that opens the filters on a phone.
    public static var filtersButton: Node {
        el("a", .class("btn btn--small narrow-only"), .href("#filters")) { "Filters" }
    }

    /// Saved views over a list.
    /// - Parameter last: what can be done with them, behind the last one.
    public static func views(
        label: String, _ views: [(title: String, href: String, count: Int64?, isCurrent: Bool)], last: Node = .none
    ) -> Node {
        el("nav", .class("views"), .label(label)) {
            for view in views {
                el("a", .href(view.href), .when(view.isCurrent, Attribute("aria-current", "true"))) {
                    view.title
                    if let count = view.count { el("span", .class("n")) { Grouped.digits(count) } }
                }
            }
            last
        }
    }

    /// Older and newer pages of a keyset list; a side that is `nil` is off.
    /// - Parameter summary: what is shown, as in "50 of 1,204".
    public static func pager(_ summary: String, newer: String?, older: String?) -> Node {
        el("nav", .class("pager"), .label("Pages")) {
            el("span") { summary }
            if newer != nil || older != nil {
                el("span", .class("push btns")) {
                    pagerLink("Newer", newer, leading: "left", rel: "prev")
                    pagerLink("Older", older, trailing: "right", rel: "next")
                }
            }
        }
    }

    /// As `pager`, for lists that aren't in time order.
    public static func pages(_ summary: String, first: String?, next: String?) -> Node {
        summary.isEmpty && first == nil && next == nil
            ? .none
            : el("nav", .class("pager"), .label("Pages")) {
                el("span") { summary }
                if first != nil || next != nil {
                    el("span", .class("push btns")) {
                        pagerLink("First page", first, leading: "left", rel: "prev")
                        pagerLink("Next", next, trailing: "right", rel: "next")
                    }
                }
            }
    }

    private static func pagerLink(
        _ text: String, _ href: String?, leading: String? = nil, trailing: String? = nil, rel: String
    ) -> Node {
        el(
            "a", .class("btn btn--small"), href.map(Attribute.href) ?? Attribute("aria-disabled", "true"),
            .when(href != nil, Attribute("rel", rel)), .when(href == nil, Attribute("role", "link"))
        ) {
            leading.map(icon)
            text
            trailing.map(icon)
        }
    }
}
