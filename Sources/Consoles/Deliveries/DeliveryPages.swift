import HTML
import Kernel

/// `/deliveries`
enum DeliveryPages {
    static let list = Page("/deliveries", permission: "delivery.view", menuPath: "/deliveries") { call, reader in
        let listing = try DeliveryListing.load(call.readCall, from: reader)
        let now = reader.now
        // Beside the whole list only: a filter asks for something else.
        let isWhole =
            listing.state == nil && listing.webhook == nil && listing.tenant == nil && call.first("cursor") == nil
        let channels = isWhole ? try ChannelState.all(from: reader) : []
        let people = try DeliveryPeople(of: listing.items, call.catalog, for: call.caller, from: reader)
        // No index has both an endpoint and a tenant: counting would walk all that waits for one of them.
        let counted = listing.webhook == nil || listing.tenant == nil ? Self.counted : []
        let counting = counted.map { DeliveryQueries.count($0, webhook: listing.webhook, tenant: listing.tenant) }
        let counts = counting.isEmpty ? [] : try reader.query(counting).map { try $0.first?.int("count") ?? 0 }
        let body =
            UI.title("Deliveries", lead: "What other systems, the staff channel and mailboxes were told")
            + UI.stack {
                if isWhole { ChannelPanel.panel(channels, for: call.caller, now: now) }
                UI.views(
                    label: "Deliveries by state", views(listing, Dictionary(uniqueKeysWithValues: zip(counted, counts)))
                )
            }
            + UI.tools {
                for (name, id, title) in [
                    ("webhook", listing.webhook, "Endpoint"), ("tenant", listing.tenant, "Tenant"),
                ] {
                    if let id {
                        UI.activeFilter(
                            "\(title): \(listing.names[id] ?? id)", remove: address(listing, without: name).text)
                    }
                }
            }
            + UI.stack {
                if listing.items.isEmpty {
                    empty(listing)
                } else {
                    el("div", .class("panel sized")) { table(listing, people, now: now) }
                    UI.pages(
                        listing.items.count == 1 ? "1 delivery" : "\(listing.items.count) deliveries",
                        first: call.first("cursor") == nil ? nil : address(listing).text,
                        next: listing.next.map { address(listing).with("cursor", $0).text })
                }
            }
        return PageAnswer(title: "Deliveries", body: body, disclosure: people.disclosure(tenant: listing.tenant))
    }

    /// What somebody may have to look at. What ended is not counted: that grows for ever.
    private static let counted: [Delivery.State] = [.dead, .pending]

    private static func views(_ listing: DeliveryListing, _ counts: [Delivery.State: Int64]) -> [(
        title: String, href: String, count: Int64?, isCurrent: Bool
    )] {
        let states: [(String, Delivery.State?)] = [
            ("All", nil), ("Dead letters", .dead), ("Waiting", .pending), ("Delivered", .delivered),
            ("Superseded", .superseded), ("Dismissed", .dismissed),
        ]
        return states.map { title, state in
            let count = state.flatMap { counts[$0] }
            let most = DeliveryQueries.mostCounted
            let isMore = count.map { $0 > most } ?? false
            return (
                isMore ? "\(title), over \(Grouped.digits(most))" : title,
                address(listing, without: "state").with("state", state?.rawValue).text, isMore ? nil : count,
                listing.state == state
            )
        }
    }

    private static func address(_ listing: DeliveryListing, without left: String = "") -> PageAddress {
        var address = PageAddress(path: "/deliveries")
        for (name, value) in [
            ("state", listing.state?.rawValue), ("webhook", listing.webhook), ("tenant", listing.tenant),
        ] where name != left { address = address.with(name, value) }
        return address
    }

    private static func empty(_ listing: DeliveryListing) -> Node {
        if listing.state != nil || listing.webhook != nil || listing.tenant != nil {
            return UI.empty(
                "No delivery matches", "Take a filter away.",
                action: UI.linkButton("Show all deliveries", href: "/deliveries"))
        }
        return UI.empty(
            "Nothing was sent yet", "Notices appear here once an endpoint hears of events.",
            action: UI.linkButton("Webhooks", href: "/webhooks"))
    }

    private static func table(_ listing: DeliveryListing, _ people: DeliveryPeople, now: Instant) -> Node {
        UI.table(
            caption: "Deliveries, \(listing.items.count) on this page, dead letters first",
            columns: [
                Column("What", .wide, isRowHeader: true) { DeliveryWords.cell($0) },
                Column("State") { state($0.state, dense: true) },
                Column("Endpoint", .clip) { delivery in
                    let name = listing.names[delivery.webhookID] ?? delivery.webhookID
                    switch delivery.channel {
                    case .webhook: return el("a", .href("/webhooks/\(delivery.webhookID)")) { name }
                    case .slack: return Node(name)
                    case .mail: return Node(people.recipient(of: delivery).map { "Mail to \($0)" } ?? name)
                    }
                },
                Column("About", .clip, priority: 2) { delivery in
                    // A mail holds nothing of a customer, and whom it goes to is not whom it tells of.
                    let about = [
                        people.user(of: delivery)?.name, delivery.tenantID.map { listing.names[$0] ?? $0 },
                    ].compactMap(\.self)
                    return about.isEmpty ? UI.hint("no tenant") : UI.muted(about.joined(separator: ", "))
                },
                Column("Queued", .number, priority: 3) { UI.time($0.createdAt, now: now) },
                Column("Settled", .number, priority: 4) { delivery in
                    delivery.settledAt.map { UI.time($0, now: now) } ?? UI.hint("not yet")
                },
            ], rows: listing.items, stickyHead: true)
    }

    static func state(_ state: Delivery.State, dense: Bool) -> Node {
        let (word, tone, mark): (String, Tone, Glyph) =
            switch state {
            case .pending: ("Waiting", .info, .ring)
            case .dead: ("Dead letter", .danger, .x)
            case .delivered: ("Delivered", .ok, .on)
            case .superseded: ("Superseded", .plain, .box)
            case .dismissed: ("Dismissed", .plain, .stop)
            }
        return dense ? UI.state(word, tone, mark) : UI.chip(word, tone, mark)
    }

    static let view = Page("/deliveries/{id}", permission: "delivery.view", menuPath: "/deliveries") { call, reader in
        let detail = try DeliveryDetail.load(call.path["id"] ?? "", from: reader)
        let delivery = detail.delivery
        let now = reader.now
        let people = try DeliveryPeople(
            of: [delivery], about: delivery.tenantID, call.catalog, for: call.caller, from: reader)
        let title = DeliveryWords.title(delivery.name)
        let seesLog = call.caller.permissions.contains("audit.view")
        let seesTenants = call.caller.permissions.contains("tenant.view")
        let tenant: Node =
            delivery.tenantID.map { id in
                let name = detail.names[id] ?? id
                return seesTenants ? el("a", .href("/tenants/\(id)")) { name } : Node(name)
            } ?? UI.hint("none")
        let attempts: [Column<DeliveryAttempt>] = [
            Column("Attempt", .tight, isRowHeader: true) { Node("\($0.number)") },
            Column("At", .tight) { UI.clock($0.at, now: now) },
            Column("Answer", .wide) { attempt in
                attempt.note.map { Node($0) } ?? UI.muted("No answer yet, or the server ended before it came")
            },
            Column("Code", .number) { $0.status.map { Node("\($0)") } ?? UI.hint("none") },
            Column("Took", .number, priority: 2) { attempt in
                attempt.took.map { Node("\(Grouped.digits($0.microseconds / 1000)) ms") } ?? UI.hint("unknown")
            },
        ]
        var facts: [(label: String, value: Node)] = [
            ("Endpoint", endpoint(detail, people, for: call.caller)), ("Tenant", tenant),
        ]
        if let user = people.user(of: delivery) {
            facts.append(("User", el("a", .href("/users/\(user.id)")) { user.name }))
        }
        facts.append(("Queued", UI.time(delivery.createdAt, now: now)))
        facts.append(("Next attempt", nextAttempt(detail, now: now)))
        facts.append(
            (
                "Caused by",
                seesLog
                    ? el("a", .href("/audit/\(delivery.eventID)")) { cause(detail, call.catalog) }
                    : UI.id(delivery.eventID)
            ))
        let body =
            UI.crumbs([("Deliveries", "/deliveries")], here: title)
            + UI.title(title) {
                UI.coded(nil, delivery.name)
                state(delivery.state, dense: false)
                UI.id(delivery.id, copy: "delivery id")
            }
            + UI.keyFacts(facts)
            + UI.actionBar(
                delivery, path: "/deliveries/\(delivery.id)", catalog: call.catalog, caller: call.caller, now: now)
            + UI.panel("Attempts", id: "d-attempts", hint: "the newest first") {
                if detail.attempts.isEmpty, delivery.state != .pending {
                    UI.empty("No attempt is kept", "Attempts are forgotten some time after a delivery has ended.")
                } else if detail.attempts.isEmpty {
                    UI.empty("Nothing was tried yet", "The first attempt follows within a second of its turn.")
                } else {
                    UI.table(caption: "Attempts", columns: attempts, rows: detail.attempts, density: .plain)
                }
            }
        return PageAnswer(title: title, body: body, disclosure: people.disclosure(tenant: delivery.tenantID))
    }

    /// The event it tells of, by what was done: "“Suspend tenant”".
    private static func cause(_ detail: DeliveryDetail, _ catalog: Catalog) -> String {
        guard let action = detail.action else { return "the event" }
        return catalog[action].map { "“\($0.spec.title)”" } ?? EventWords.plain[action] ?? action
    }

    private static func endpoint(_ detail: DeliveryDetail, _ people: DeliveryPeople, for caller: Caller) -> Node {
        let id = detail.delivery.webhookID
        switch detail.delivery.channel {
        case .webhook: return el("a", .href("/webhooks/\(id)")) { detail.webhook?.displayName ?? id }
        case .slack: return Node("Slack, the staff channel")
        case .mail:
            let person = Endpoint.recipient(id) ?? ""
            let name = people.recipient(of: detail.delivery) ?? ""
            return Node("Mail to ")
                + (person != Endpoint.ciso && caller.permissions.contains("staff.view")
                    ? el("a", .href("/staff/\(person)")) { name } : Node(name))
        }
    }

    private static func nextAttempt(_ detail: DeliveryDetail, now: Instant) -> Node {
        guard detail.delivery.state == .pending else { return UI.hint("none") }
        if detail.webhook?.status == .disabled { return Node("when the endpoint is enabled") }
        if detail.isBehind {
            return Node(
                detail.delivery.channel == .webhook ? "after an earlier one of this tenant" : "after an earlier one")
        }
        if detail.isUnderWay { return Node("under way") }
        return detail.nextAt.map { $0 <= now ? Node("now") : UI.time($0, now: now) } ?? Node("now")
    }
}
