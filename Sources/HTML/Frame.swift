import Kernel

/// Where the assets are, each with its fingerprint: `/assets/console.css?v=…`.
public struct AssetURLs: Sendable {
    public let stylesheets: [String]
    /// ES modules, loaded after the page is parsed.
    public let modules: [String]
    public let favicon: String
    /// What all tabs of a browser share: it holds the one stream.
    public let worker: String
    public init(stylesheets: [String], modules: [String], favicon: String, worker: String) {
        self.stylesheets = stylesheets
        self.modules = modules
        self.favicon = favicon
        self.worker = worker
    }

    /// The files of this version, addressed by `url` (name → URL with fingerprint).
    public init(_ url: (String) -> String) {
        self.init(
            stylesheets: [url("tokens.css"), url("console.css")],
            modules: [url("console.js")], favicon: url("favicon.svg"), worker: url("stream.js"))
    }
}

/// Which installation this is; production must be unmistakable.
public enum ConsoleEnvironment: String, Sendable, CaseIterable {
    case production, staging, demo
    var title: String { rawValue.prefix(1).uppercased() + rawValue.dropFirst() }
}

/// The colours a person prefers; `nil` elsewhere follows the system.
public enum Theme: String, Sendable {
    case light, dark
}

/// The search box of the top bar.
public struct SearchBox: Sendable {
    /// What can be found: "Search tenants, users, events and operations".
    public let label: String
    /// "suspend acme"; `nil` for who can only look things up.
    public let example: String?
    public init(label: String, example: String? = nil) {
        self.label = label
        self.example = example
    }
}

/// The whole document around a page.
public struct FrameModel: Sendable {
    public struct MenuItem: Sendable {
        public let title: String
        public let icon: String
        public let path: String
        public let isCurrent: Bool
        /// Things that wait for this person.
        public let due: Int64?
        public init(title: String, icon: String, path: String, isCurrent: Bool, due: Int64? = nil) {
            self.title = title
            self.icon = icon
            self.path = path
            self.isCurrent = isCurrent
            self.due = due
        }
    }
    public struct MenuSection: Sendable {
        public let title: String
        public let items: [MenuItem]
        public init(title: String, items: [MenuItem]) {
            self.title = title
            self.items = items
        }
    }
    /// Who is signed in.
    public struct Person: Sendable {
        public let name: String
        public let roles: [String]
        /// When a second factor was last used.
        public let mfaAt: Instant
        public let sessionEndsAt: Instant
        public let csrf: String
        public let limits: SessionLimits
        public init(
            name: String, roles: [String], mfaAt: Instant, sessionEndsAt: Instant, csrf: String,
            limits: SessionLimits = SessionLimits()
        ) {
            self.limits = limits
            self.name = name
            self.roles = roles
            self.mfaAt = mfaAt
            self.sessionEndsAt = sessionEndsAt
            self.csrf = csrf
        }
        public init(_ session: SessionInfo, roles: some Sequence<String>) {
            self.init(
                name: session.name, roles: roles.sorted(), mfaAt: session.mfaAt, sessionEndsAt: session.expiresAt,
                csrf: session.csrfToken, limits: session.limits)
        }
    }

    /// What the person has not read, and the session that hears of it.
    public struct Inbox: Sendable {
        public let unread: Int64
        public let session: String
        public init(unread: Int64, session: String) {
            self.unread = unread
            self.session = session
        }
    }

    public var title: String
    public var environment: ConsoleEnvironment
    /// The deployment's name, as in "Northwind Cloud".
    public var deployment: String
    public var menu: [MenuSection]
    public var person: Person
    public var inbox: Inbox?
    /// `nil` for who may not search.
    public var search: SearchBox?
    /// What stands in the search box.
    public var query: String
    public var now: Instant
    public var assets: AssetURLs
    public var theme: Theme?
    /// Break-glass or write impersonation is on: bar and frame turn red.
    public var isRed: Bool
    /// Above the page: what everybody whom it concerns has to know wherever they are.
    public var notice: Node

    public init(
        title: String, environment: ConsoleEnvironment, deployment: String, menu: [MenuSection], person: Person,
        inbox: Inbox? = nil, search: SearchBox? = nil, query: String = "", now: Instant, assets: AssetURLs,
        theme: Theme? = nil, isRed: Bool = false, notice: Node = .none
    ) {
        self.notice = notice
        self.title = title
        self.environment = environment
        self.deployment = deployment
        self.menu = menu
        self.person = person
        self.inbox = inbox
        self.search = search
        self.query = query
        self.now = now
        self.assets = assets
        self.theme = theme
        self.isRed = isRed
    }

    /// The menu of a person: sections in order, items their permissions open, the current one marked.
    public static func menu(
        of consoles: [Console], permissions: Permissions, current path: String, due: [String: Int64] = [:]
    ) -> [MenuSection] {
        let items = consoles.flatMap(\.menu).filter { $0.permission.map(permissions.contains) ?? true }
        return Console.Section.allCases.compactMap { section in
            let own = items.filter { $0.section == section }
            guard !own.isEmpty else { return nil }
            return MenuSection(
                title: section.rawValue,
                items: own.map {
                    MenuItem(
                        title: $0.title, icon: $0.icon, path: $0.path, isCurrent: $0.path == path, due: due[$0.path])
                })
        }
    }
}

public enum Frame {
    /// The whole document of a signed-in person; `body` stands inside `<main>`.
    public static func render(_ model: FrameModel, body: Node) -> Node {
        document(title: model.title, assets: model.assets, theme: model.theme) {
            skip
            el("div", .class("app"), .when(model.isRed, Attribute("data-frame", "red"))) {
                topbar(model)
                rail(model.menu)
                el("main", .class("main"), .id("main"), Attribute("tabindex", "-1")) {
                    if !model.notice.isEmpty { el("div", .class("notice")) { model.notice } }
                    body
                }
            }
        }
    }

    /// The document without a session: sign-in, enrolment. `body` stands in the card.
    public static func renderDoor(
        title: String, environment: ConsoleEnvironment, deployment: String, host: String, assets: AssetURLs,
        theme: Theme? = nil, body: Node
    ) -> Node {
        document(title: title, assets: assets, theme: theme) {
            skip
            el("div", .class("door")) {
                el("header", .class("door__top")) {
                    brand
                    env(environment)
                }
                el("main", .id("main"), Attribute("tabindex", "-1")) {
                    el("div", .class("door__card")) { body }
                }
                el("footer") {
                    el("span") { "Every sign-in and every failed attempt is recorded." }
                    el("span") { "\(deployment), \(host)" }
                }
            }
        }
    }

    private static func document(title: String, assets: AssetURLs, theme: Theme?, @NodeBuilder _ body: () -> Node)
        -> Node
    {
        .raw("<!doctype html>\n")
            + el("html", Attribute("lang", "en"), theme.map { Attribute("data-theme", $0.rawValue) } ?? .none) {
                el("head") {
                    void("meta", Attribute("charset", "utf-8"))
                    void(
                        "meta", .name("viewport"), Attribute("content", "width=device-width, initial-scale=1"))
                    void("meta", .name("color-scheme"), Attribute("content", "light dark"))
                    void("meta", .name("referrer"), Attribute("content", "same-origin"))
                    el("title") { "\(title) · Postern" }
                    for sheet in assets.stylesheets { void("link", Attribute("rel", "stylesheet"), .href(sheet)) }
                    void("link", Attribute("rel", "icon"), .href(assets.favicon))
                    for module in assets.modules { el("script", .type("module"), Attribute("src", module)) }
                }
                el("body") { body() }
            }
    }

    private static var skip: Node { el("a", .class("skip"), .href("#main")) { "Skip to content" } }

    private static var brand: Node {
        el("a", .class("brand"), .href("/")) {
            UI.icon("postern")
            el("span") { "Postern" }
        }
    }

    private static func env(_ environment: ConsoleEnvironment) -> Node {
        el("span", .class("env env--\(environment.rawValue)")) { environment.title }
    }

    private static func topbar(_ model: FrameModel) -> Node {
        el("header", .class("topbar")) {
            el("a", .class("topbar__menu"), .href("#menu"), .label("Menu")) { UI.icon("menu") }
            brand
            env(model.environment)
            if let box = model.search { search(box, model.query) }
            el("div", .class("topbar__facts")) {
                if let inbox = model.inbox { bell(inbox, model) }
                el(
                    "a", .class("long"), .href("/me"),
                    .title(
                        "Operations of high risk ask for a factor used in the last \(TimeText.span(model.person.limits.stepUpAge))"
                    )
                ) {
                    UI.icon("key")
                    el("span") {
                        "Factor used "
                        el("b") { TimeText.span(model.now - model.person.mfaAt) }
                        " ago"
                    }
                }
                el(
                    "a", .class("long"), .href("/me"),
                    .title(
                        "The session ends at \(TimeText.utc(model.person.sessionEndsAt)), or after \(TimeText.span(model.person.limits.idle)) without activity"
                    )
                ) {
                    UI.icon("clock")
                    el("span") {
                        el("b") { TimeText.span(model.person.sessionEndsAt - model.now) }
                        " left"
                    }
                }
                el("details", .class("menu who")) {
                    el("summary") {
                        UI.person(model.person.name, note: model.person.roles.map(RoleTitle.of).joined(separator: ", "))
                        UI.icon("down")
                    }
                    el("div", .class("pop")) {
                        el("a", .href("/me")) { "My security" }
                        el("a", .href("/absent")) { "What can’t I do?" }
                        el("button", .type("button"), Attribute("data-theme-switch"), Attribute("hidden")) {
                            "Switch light and dark"
                        }
                        el("form", Attribute("method", "post"), Attribute("action", "/signout")) {
                            UI.hiddenField("csrf", model.person.csrf)
                            el("button", .type("submit")) { "Sign out" }
                        }
                    }
                }
            }
        }
    }

    /// The inbox with its number; the script keeps it true.
    private static func bell(_ inbox: FrameModel.Inbox, _ model: FrameModel) -> Node {
        el(
            "a", .class("bell"), .href("/inbox"), Attribute("data-inbox", inbox.session),
            Attribute("data-worker", model.assets.worker), Attribute("data-csrf", model.person.csrf)
        ) {
            UI.icon("mail")
            el("span", .class("vh")) { "Inbox" }
            el("span", .class("count"), Attribute("data-unread"), .when(inbox.unread == 0, Attribute("hidden"))) {
                el("span", Attribute("data-number")) { unread(inbox.unread) }
                UI.hiddenText(" unread")
            }
        }
    }

    /// More are not counted.
    private static func unread(_ count: Int64) -> String { count >= 100 ? "99+" : Grouped.digits(count) }

    private static func search(_ box: SearchBox, _ query: String) -> Node {
        el("form", .class("search"), Attribute("role", "search"), Attribute("action", "/search")) {
            el("label", .class("vh"), Attribute("for", "q")) { box.label }
            UI.icon("search")
            void(
                "input",
                [
                    .id("q"), .name("q"), .type("search"), .value(query), Attribute("autocomplete", "off"),
                    Attribute("placeholder", box.example.map { "Search, or say what to do: “\($0)”" } ?? "Search"),
                ])
            el("kbd", Attribute("aria-hidden", "true")) { "/" }
        }
    }

    private static func rail(_ menu: [FrameModel.MenuSection]) -> Node {
        el("nav", .class("rail"), .id("menu"), .label("Console")) {
            el("a", .class("rail__close"), .href("#main")) {
                UI.icon("x")
                "Close menu"
            }
            for section in menu {
                el("h2") { section.title }
                el("ul") {
                    for item in section.items {
                        el("li") {
                            el("a", .href(item.path), .when(item.isCurrent, Attribute("aria-current", "page"))) {
                                UI.icon(item.icon)
                                item.title
                                if let due = item.due, due > 0 {
                                    el("span", .class("count count--due")) {
                                        Grouped.digits(due)
                                        UI.hiddenText(" waiting for you")
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
