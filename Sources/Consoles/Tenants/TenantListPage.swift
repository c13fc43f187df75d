import HTML
import Kernel

/// `/tenants`
enum TenantListPage {
    static let page = Page("/tenants", permission: "tenant.view", menuPath: "/tenants") { call, reader in
        let seen = SegmentQueries.seen(by: call.caller.person, after: nil, limit: mostViews + 1)
        reader.foresee([seen])
        let listing = try TenantListing.load(call.readCall, from: reader)
        let kinds = [TenantFilter.Kind.plan, .tier, .region]
        let counted = kinds.compactMap { listing.facets.values($0, most: TenantListQueries.mostKnown) }
        // Before anybody counted them they are looked up.
        let known =
            counted.count == kinds.count
            ? counted
            : try reader.query(kinds.map { TenantListQueries.known($0) }).map { try $0.map { try $0.string("value") } }
        let views = try reader.query(seen).map(Segment.init)
        return PageAnswer(
            title: "Tenants", body: body(listing, known: known, views: views, call, now: reader.now))
    }

    /// As many saved views as stand above the list; the others are a click away.
    private static let mostViews = 8

    private static func body(
        _ listing: TenantListing, known: [[String]], views: [Segment], _ call: PageCall, now: Instant
    ) -> Node {
        let filter = listing.filter
        let mayCreate = call.caller.permissions.contains(CreateTenant.spec.permission)
        let create = mayCreate ? UI.linkButton("Create tenant", href: "/tenants/new", icon: "plus") : .none
        let export =
            call.caller.permissions.contains(TenantReads.export.permission)
            ? UI.linkButton(
                "Export as CSV",
                href: address(filter, listing.sort, path: "/api/v1/tenants/export").text, icon: "download") : .none
        return UI.title("Tenants", trailing: export + create)
            + savedViews(views, listing, call)
            + UI.list(facets: facets(listing, known: known, now: now)) {
                UI.tools {
                    UI.filtersButton
                    for kind in TenantFilter.Kind.allCases where !filter[kind].isEmpty {
                        UI.activeFilter(
                            "\(title(kind)): \(filter[kind].map(titled).joined(separator: ", "))",
                            remove: address(filter, listing.sort, without: kind).text)
                    }
                    if filter.values.count > 1 {
                        el("a", .class("small"), .href(sorted(PageAddress(path: "/tenants"), listing.sort).text)) {
                            "Clear all"
                        }
                    }
                }
                if listing.items.isEmpty {
                    if listing.isPartial { searching(listing) } else { empty(listing, create: create) }
                } else {
                    el("div", .class("panel sized")) { table(listing, now: now) }
                    if listing.isPartial { UI.hint(partly) }
                    pager(listing)
                }
            }
    }

    /// What somebody sees again and again, by name. What is shown is in the address; a view is a way there.
    private static func savedViews(_ views: [Segment], _ listing: TenantListing, _ call: PageCall) -> Node {
        let text = TenantView(listing.filter, listing.sort).text
        var links = [(title: "All", href: "/tenants", count: Int64?.none, isCurrent: text.isEmpty)]
        links += views.prefix(mostViews).map { ($0.name, $0.address, nil, $0.view.text == text) }
        var last = Node.none
        if !text.isEmpty, !views.contains(where: { $0.view.text == text }),
            call.caller.permissions.contains(SaveSegment.spec.permission)
        {
            let href = PageAddress(path: "/segments/new").with("input.filter", text).text
            last = el("a", .class("dim"), .href(href)) { UI.icon("plus") + Node("Save view") }
        }
        if !views.isEmpty {
            last =
                last
                + el("a", .class("dim"), .href("/segments")) {
                    views.count > mostViews ? "All views" : "Manage views"
                }
        }
        guard links.count > 1 || !last.isEmpty else { return .none }
        return UI.views(label: "Saved views", links, last: last)
    }

    private static let partly =
        "Hardly anybody fits all of these filters, so the search was ended for now. Go on with the button below."

    private static func searching(_ listing: TenantListing) -> Node {
        UI.empty(
            "None found yet",
            "Hardly anybody fits all of these filters. \(Grouped.digits(TenantListQueries.reach)) tenants were looked at.",
            action: UI.linkButton("Search on", href: onward(listing)))
    }

    private static func onward(_ listing: TenantListing) -> String {
        address(listing.filter, listing.sort).with("cursor", listing.next ?? listing.previous).text
    }

    static func title(_ kind: TenantFilter.Kind) -> String {
        switch kind {
        case .status: "State"
        case .plan: "Plan"
        case .tier: "Tier"
        case .region: "Region"
        }
    }

    private static func facets(_ listing: TenantListing, known: [[String]], now: Instant) -> Node {
        let filter = listing.filter
        func options(_ kind: TenantFilter.Kind, _ values: [String]) -> Facet {
            // A value that is filtered by stays visible, even when no tenant has it any more.
            let all = values + filter[kind].filter { !values.contains($0) }
            return Facet(
                kind.rawValue, title(kind),
                all.map {
                    .init($0, titled($0), count: listing.facets.count(kind, $0), isOn: filter[kind].contains($0))
                })
        }
        let order: [TenantStatus] = [
            .active, .ready, .pending, .failed, .expired, .suspended, .cancelled, .archived, .deleted,
        ]
        let facets = [
            options(.status, order.map(\.rawValue)), options(.plan, known[0]), options(.tier, known[1]),
            options(.region, known[2]),
        ]
        return UI.facets(
            facets.filter { !$0.options.isEmpty }, action: "/tenants",
            keep: listing.sort == .created ? [] : [("sort", listing.sort.rawValue)],
            countedAt: listing.facets.countedAt.map { "All tenants, as of \(TimeText.short($0, now: now)) UTC" })
    }

    private static func table(_ listing: TenantListing, now: Instant) -> Node {
        func sort(_ sort: TenantSort) -> Column<TenantListing.Item>.Sort {
            .init(
                href: address(listing.filter, sort).text,
                ascending: listing.sort == sort ? !sort.isDescending : nil)
        }
        return UI.table(
            caption: "Tenants, \(listing.items.count) on this page, \(words(listing.sort))",
            columns: [
                Column("Tenant", .clip, isRowHeader: true, sort: sort(.name)) { item in
                    el("a", .href("/tenants/\(item.id)")) { item.name }
                        + el("span", .class("aside p5")) { item.slug }
                },
                Column("State") { $0.status.mark },
                Column("Plan", priority: 2) { Node(titled($0.plan)) },
                Column("Tier", priority: 4) { UI.muted(titled($0.tier)) },
                Column("Region", priority: 4) { UI.muted($0.region) },
                Column("Customer since", .number, priority: 3, sort: sort(.created)) { UI.day($0.createdAt.day) },
                Column("Last active", .number, priority: 2, sort: sort(.lastActivity)) {
                    item in el("span", .class("muted")) { UI.time(item.lastActivityAt, now: now) }
                },
            ], rows: listing.items, stickyHead: true)
    }

    static func words(_ sort: TenantSort) -> String {
        switch sort {
        case .created: "the newest first"
        case .name: "by name"
        case .lastActivity: "the last active first"
        }
    }

    private static func pager(_ listing: TenantListing) -> Node {
        let here = address(listing.filter, listing.sort)
        let summary = listing.items.count == 1 ? "1 tenant" : "\(listing.items.count) tenants"
        let next = listing.next.map { here.with("cursor", $0).text }
        if listing.sort == .name {
            return UI.pages(summary, first: listing.previous == nil ? nil : here.text, next: next)
        }
        return UI.pager(summary, newer: listing.previous.map { here.with("cursor", $0).text }, older: next)
    }

    private static func empty(_ listing: TenantListing, create: Node) -> Node {
        if listing.filter.isEmpty {
            return UI.empty(
                "No tenants yet",
                "Import your customers with postern import csv FILE, or create the first one by hand.", action: create)
        }
        return UI.empty(
            "No tenant matches these filters", "Take a filter away, or search for the name in the box above.",
            action: UI.linkButton("Show all tenants", href: "/tenants"))
    }

    private static func address(
        _ filter: TenantFilter, _ sort: TenantSort, without: TenantFilter.Kind? = nil, path: String = "/tenants"
    ) -> PageAddress {
        var address = PageAddress(path: path)
        for kind in TenantFilter.Kind.allCases where kind != without {
            for value in filter[kind] { address = address.with(kind.rawValue, value) }
        }
        return sorted(address, sort)
    }

    private static func sorted(_ address: PageAddress, _ sort: TenantSort) -> PageAddress {
        address.with("sort", sort == .created ? nil : sort.rawValue)
    }
}
