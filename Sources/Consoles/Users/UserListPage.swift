import HTML
import Kernel

/// `/users`
enum UserListPage {
    static let page = Page("/users", permission: "user.view", menuPath: "/users") { call, reader in
        let typed = UserFilter.typed(call.query)
        let listing: UserListing
        do {
            listing = try UserListing.load(call.readCall, from: reader)
        } catch OperationError.invalid(let errors) {
            // A filter that can't be read is shown again as it was typed, with what is wrong.
            return PageAnswer(
                title: "Users",
                body: UI.title("Users") + filters(typed)
                    + UI.banner(.danger, announces: true) {
                        el("p") { el("b") { "These filters can’t be used." } }
                        for error in errors { el("p") { error.detail } }
                    })
        }
        let seesTenants = call.caller.permissions.contains("tenant.view")
        let export =
            call.caller.permissions.contains(UserReads.export.permission)
            ? UI.linkButton(
                "Export as CSV", href: address(typed, path: "/api/v1/users/export").text, icon: "download") : .none
        let body =
            UI.title("Users", lead: "The people of your customers", trailing: export) + filters(typed)
            + content(listing, seesTenants: seesTenants, isFirst: call.first("cursor") == nil, now: reader.now)
        return PageAnswer(title: "Users", body: body, disclosure: listing.disclosure)
    }

    private static func content(_ listing: UserListing, seesTenants: Bool, isFirst: Bool, now: Instant) -> Node {
        let typed = listing.filter.typed
        guard !listing.items.isEmpty else {
            if listing.isPartial, let next = listing.next {
                return UI.empty(
                    "None found yet", "Hardly anybody fits all of these filters; not all were looked at.",
                    action: UI.linkButton("Search on", href: address(typed).with("cursor", next).text))
            }
            return typed.isEmpty
                ? UI.empty("No users yet", "They come with your customers, by import or from your product.")
                : UI.empty(
                    "Nobody fits these filters", "Take a filter away, or type less of the address.",
                    action: UI.linkButton("Show all users", href: "/users"))
        }
        let count = listing.items.count
        return el("div", .class("panel sized")) {
            UI.table(
                caption: "Users, \(count) on this page, \(listing.filter.isByEmail ? "by e-mail" : "the newest first")",
                columns: [
                    Column("User", isRowHeader: true) { item in
                        el("a", .href("/users/\(item.user.id)")) { item.user.displayName }
                    },
                    Column("E-mail", .wide, priority: 2) { Node($0.user.email) },
                    Column("State") { $0.user.status.mark },
                    Column("Tenants", .clip, priority: 2) { places($0.places, linked: seesTenants) },
                    Column("Known since", .number, priority: 4) { UI.day($0.user.createdAt.day) },
                    Column("Last sign-in", .number, priority: 3) { item in
                        item.user.lastLoginAt.map { last in
                            el("span", .class("muted")) { UI.time(last, now: now) }
                        } ?? UI.muted("never")
                    },
                ], rows: listing.items, stickyHead: true)
        }
            + (listing.isPartial
                ? UI.hint("Hardly anybody fits all of these filters, so the search was ended for now. Go on with Next.")
                : .none)
            + UI.pages(
                count == 1 ? "1 user" : "\(count) users", first: isFirst ? nil : address(typed).text,
                next: listing.next.map { address(typed).with("cursor", $0).text })
    }

    /// "Acme Robotics and 2 more"
    private static func places(_ places: UserListing.Places, linked: Bool) -> Node {
        guard let first = places.tenants.first else { return UI.muted("none") }
        let name = linked ? el("a", .class("plain"), .href("/tenants/\(first.id)")) { first.name } : Node(first.name)
        return places.count == 1 ? name : name + Node(" and \(Grouped.digits(Int64(places.count - 1))) more")
    }

    private static func address(
        _ typed: [String: String], without: String? = nil, path: String = "/users"
    ) -> PageAddress {
        var address = PageAddress(path: path)
        for name in UserFilter.parameters where name != without {
            for value in (typed[name] ?? "").split(separator: ",") {
                let text = value.drop { $0 == " " }
                if !text.isEmpty { address = address.with(name, String(text)) }
            }
        }
        return address
    }

    private static func filters(_ typed: [String: String]) -> Node {
        func text(_ name: String, _ label: String, _ placeholder: String) -> Node {
            el("label", Attribute("for", "u-\(name)")) {
                el("span") { label }
                void(
                    "input",
                    [
                        .class("input"), .id("u-\(name)"), .name(name), .value(typed[name] ?? ""),
                        Attribute("placeholder", placeholder), Attribute("size", "16"),
                        Attribute("autocomplete", "off"), Attribute("spellcheck", "false"),
                        Attribute("autocapitalize", "none"),
                    ])
            }
        }
        return el(
            "form", .class("query no-print"), .id("filters"), Attribute("role", "search"), .label("Filter users"),
            Attribute("action", "/users")
        ) {
            text("q", "E-mail begins with", "ada@")
            text("tenant", "Tenant", "acme")
            el("label", Attribute("for", "u-status")) {
                el("span") { "State" }
                el("select", .class("input"), .id("u-status"), .name("status")) {
                    el("option", .value("")) { "Any" }
                    for status in UserStatus.allCases {
                        el(
                            "option", .value(status.rawValue),
                            .when(typed["status"] == status.rawValue, Attribute("selected"))
                        ) { titled(status.rawValue) }
                    }
                }
            }
            UI.button("Filter")
        }
            + UI.tools {
                UI.filtersButton
                for name in UserFilter.parameters where typed[name] != nil {
                    UI.activeFilter(
                        "\(titles[name] ?? name): \(typed[name] ?? "")", remove: address(typed, without: name).text)
                }
                if !typed.isEmpty { UI.linkButton("Clear", href: "/users", style: .quiet, size: .small) }
            }
    }

    private static let titles = ["q": "E-mail", "tenant": "Tenant", "status": "State"]
}
