import HTML
import Kernel

/// `/drifts`
enum DriftPages {
    static let list = Page("/drifts", permission: "tenant.view", menuPath: "/drifts") { call, reader in
        // What waits is what people come for.
        var asked = call.query
        if asked["state"] == nil, asked["tenant"] == nil { asked["state"] = [Drift.State.open.rawValue] }
        if asked["state"] == ["all"] { asked["state"] = nil }
        let readCall = ReadCall(path: call.path, query: asked, caller: call.caller, cursors: call.cursors)
        let listing = try DriftListing.load(readCall, from: reader)
        let people =
            call.caller.maySeeUsers ? try DriftListing.people(listing.items, listing.tenants, from: reader) : [:]
        let now = reader.now
        let body =
            UI.title("Drift", lead: "Where your product and Postern say different things of a tenant")
            + UI.views(label: "Differences by state", views(listing))
            + UI.tools {
                el("span", .class("row")) {
                    UI.hint(listing.field == nil ? "Field" : "Or")
                    for field in Drift.Field.allCases where field != listing.field {
                        el("a", .class("small"), .href(address(listing, field: field).text)) { titled(field.rawValue) }
                    }
                }
                if let field = listing.field {
                    UI.activeFilter(
                        "Field: \(titled(field.rawValue))", remove: address(listing, without: "field").text)
                }
                if let tenant = listing.tenant {
                    UI.activeFilter(
                        "Tenant: \(listing.tenants[tenant]?.name ?? tenant)",
                        remove: address(listing, without: "tenant").text)
                }
            }
            + UI.stack {
                if listing.items.isEmpty {
                    empty(listing)
                } else {
                    el("div", .class("panel sized")) { table(listing, people, now: now) }
                    UI.pages(
                        listing.items.count == 1 ? "1 difference" : "\(listing.items.count) differences",
                        first: call.first("cursor") == nil ? nil : address(listing).text,
                        next: listing.next.map { address(listing).with("cursor", $0).text })
                }
            }
        return PageAnswer(
            title: "Drift", body: body, disclosure: disclosure("drift.list", listing.items, people, tenant: nil))
    }

    /// Who owns a tenant is told by name: a look at people.
    private static func disclosure(
        _ action: String, _ items: [Drift], _ people: [String: String], tenant: String?
    ) -> Disclosure? {
        guard !people.isEmpty else { return nil }
        return Disclosure(
            "drift.list", tenant: tenant, count: items.count, ids: items.map(\.id), subjects: people.keys.sorted())
    }

    private static func views(_ listing: DriftListing) -> [(
        title: String, href: String, count: Int64?, isCurrent: Bool
    )] {
        let states: [(String, Drift.State?)] = [
            ("Open", .open), ("Ours kept", .dismissed), ("Theirs accepted", .accepted), ("Vanished", .resolved),
            ("All", nil),
        ]
        return states.map { title, state in
            (
                title,
                address(listing, without: "state").with("state", state?.rawValue ?? "all").text, nil,
                listing.state == state
            )
        }
    }

    private static func address(
        _ listing: DriftListing, without left: String = "", field: Drift.Field? = nil
    ) -> PageAddress {
        var address = PageAddress(path: "/drifts")
        for (name, value) in [
            ("state", listing.state?.rawValue ?? "all"), ("field", (field ?? listing.field)?.rawValue),
            ("tenant", listing.tenant),
        ] where name != left { address = address.with(name, value) }
        return address
    }

    private static func empty(_ listing: DriftListing) -> Node {
        if listing.state == .open, listing.field == nil, listing.tenant == nil {
            return UI.empty(
                "Nothing to settle",
                "What your product says of plans, tiers, regions, owners and states is as it is here.")
        }
        return UI.empty(
            "No difference matches", "Take a filter away.",
            action: UI.linkButton("Show all differences", href: "/drifts?state=all"))
    }

    private static func table(_ listing: DriftListing, _ people: [String: String], now: Instant) -> Node {
        UI.table(
            caption: "Differences, \(listing.items.count) on this page, the newest first",
            columns: [
                Column("Tenant", .clip, isRowHeader: true) { drift in
                    el("a", .href("/drifts/\(drift.id)")) { listing.tenants[drift.tenant]?.name ?? drift.tenant }
                },
                Column("Field") { Node(titled($0.field.rawValue)) },
                Column("Here", .clip) { drift in
                    value(present(drift, listing.tenants), drift.field, people)
                },
                Column("Your product", .clip) { drift in value(drift.theirs, drift.field, people) },
                Column("State") { drift in
                    state(drift, agrees: present(drift, listing.tenants) == drift.theirs, dense: true)
                },
                Column("Since", .number, priority: 3) { UI.time($0.openedAt, now: now) },
            ], rows: listing.items, stickyHead: true)
    }

    /// What stands here now, which may have changed since the product told its value.
    private static func present(_ drift: Drift, _ tenants: [String: Tenant]) -> String {
        tenants[drift.tenant].map { drift.field.value(of: $0) ?? "" } ?? drift.ours
    }

    private static func value(_ text: String, _ field: Drift.Field, _ people: [String: String]) -> Node {
        if text.isEmpty { return UI.hint("none") }
        switch field {
        case .owner: return people[text].map { Node($0) } ?? UI.muted(text)
        case .status: return TenantStatus(rawValue: text)?.mark ?? Node(text)
        case .plan, .tier: return Node(titled(text))
        case .region: return Node(text)
        }
    }

    static func state(_ drift: Drift, agrees: Bool, dense: Bool) -> Node {
        let (word, tone, mark): (String, Tone, Glyph) =
            switch drift.state {
            case .open where agrees: ("Agrees now", .info, .half)
            case .open: ("Open", .warn, .tri)
            case .dismissed: ("Ours kept", .plain, .stop)
            case .accepted: ("Theirs accepted", .ok, .on)
            case .resolved: ("Vanished", .ok, .on)
            }
        return dense ? UI.state(word, tone, mark) : UI.chip(word, tone, mark)
    }

    // MARK: One

    static let view = Page("/drifts/{id}", permission: "tenant.view", menuPath: "/drifts") { call, reader in
        let drift = try DriftListing.find(call.path["id"] ?? "", from: reader)
        let tenants = try DriftListing.tenants(of: [drift], from: reader)
        let people = call.caller.maySeeUsers ? try DriftListing.people([drift], tenants, from: reader) : [:]
        let tenant = tenants[drift.tenant]
        let name = tenant?.name ?? drift.tenant
        let now = reader.now
        let here = present(drift, tenants)
        let settler = try drift.settledBy.map { id in
            try TenantPage.staffNames([id], in: reader)[id].map { UI.person($0) } ?? UI.muted(source(id))
        }
        let body =
            UI.crumbs([("Drift", "/drifts")], here: "\(titled(drift.field.rawValue)) of \(name)")
            + UI.title("\(titled(drift.field.rawValue)) of \(name)") {
                state(drift, agrees: here == drift.theirs, dense: false)
                UI.id(drift.id, copy: "drift id")
            }
            + UI.keyFacts(
                [
                    ("Tenant", el("a", .href("/tenants/\(drift.tenant)")) { name }),
                    ("Told by", try teller(drift.source, from: reader)), ("Since", UI.time(drift.openedAt, now: now)),
                    ("Settled", drift.settledAt.map { UI.time($0, now: now) } ?? UI.hint("not yet")),
                ] + (settler.map { [("Settled by", $0)] } ?? []))
            + UI.actionBar(
                drift, path: "/drifts/\(drift.id)", catalog: call.catalog, caller: call.caller, now: now,
                waiting: try ApprovalList.waiting(on: drift.id, for: call.caller, from: reader))
            + UI.stack {
                if drift.state == .open, here == drift.theirs {
                    UI.banner(
                        .info, "Both say the same now.",
                        "It was changed here since. This closes by itself with your product’s next word.")
                }
                UI.panel("Difference", id: "d-values") {
                    UI.panelBody {
                        UI.facts([
                            ("Here", value(here, drift.field, people)),
                            ("Your product says", value(drift.theirs, drift.field, people)),
                        ])
                    }
                }
                if call.caller.permissions.contains("audit.view") {
                    el("p") { el("a", .href("/audit?target=\(drift.id)")) { "What was done about it" } }
                }
            }
        return PageAnswer(
            title: "\(titled(drift.field.rawValue)) of \(name)", body: body,
            disclosure: disclosure("drift.list", [drift], people, tenant: drift.tenant))
    }

    /// Who told the product's value: the token by its name.
    private static func teller(_ id: String, from reader: any Reader) throws -> Node {
        guard id.hasPrefix("rtk_") else { return Node(source(id)) }
        let name = try RuntimeToken.load(id, from: reader)?.name
        return Node("Your product, by \(name.map { "“\($0)”" } ?? id)")
    }

    private static func source(_ id: String) -> String { id.hasPrefix("rtk_") ? "Your product" : titled(id) }
}
