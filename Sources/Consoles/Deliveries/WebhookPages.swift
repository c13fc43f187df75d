import HTML
import Kernel

/// `/webhooks`
enum WebhookPages {
    static func page(_ call: ReadCall, from reader: any Reader) throws -> (items: [Webhook], next: String?) {
        let limit = try call.limit()
        let scope = "webhook.list"
        let after = try call.first("cursor").map { try call.cursors.decode($0, scope: scope).first?.string ?? "" } ?? ""
        let found = try reader.query(Webhook.selectAll(after: after, limit: limit + 1)).map(Webhook.init)
        let items = Array(found.prefix(limit))
        return (
            items, found.count > limit ? items.last.map { call.cursors.encode(scope: scope, [.string($0.id)]) } : nil
        )
    }

    static func find(_ id: String, from reader: any Reader) throws -> Webhook {
        guard Identifier.isValid(id, prefix: Webhook.idPrefix), let webhook = try Webhook.load(id, from: reader) else {
            throw OperationError.notFound("There is no webhook \(id.prefix(60)). The list is at /webhooks.")
        }
        return webhook
    }

    static let list = Page("/webhooks", permission: "delivery.view", menuPath: "/webhooks") { call, reader in
        let (items, next) = try page(call.readCall, from: reader)
        let now = reader.now
        let create =
            call.caller.permissions.contains(CreateWebhook.spec.permission)
            ? UI.linkButton("Create webhook…", href: "/webhooks/new", style: .primary, icon: "plus") : .none
        let columns: [Column<Webhook>] = [
            Column("Endpoint", .clip, isRowHeader: true) { webhook in
                el("a", .href("/webhooks/\(webhook.id)")) { webhook.url }
            },
            Column("State") { status($0.status, dense: true) },
            Column("Hears", priority: 2) { webhook in
                UI.muted(
                    webhook.events.count == WebhookEvent.all.count
                        ? "everything" : webhook.events.joined(separator: ", "))
            },
            Column("Since", .number, priority: 3) { UI.day($0.createdAt.day) },
            Column("Changed", .number, priority: 4) { UI.time($0.updatedAt, now: now) },
        ]
        let body =
            UI.title("Webhooks", lead: "Who is told of what happens here", trailing: create)
            + el("section", .class("panel"), .label("Endpoints")) {
                if items.isEmpty {
                    UI.empty(
                        "Nobody is told yet",
                        "An endpoint gets signed notices of the events it hears: your product, a queue, a chat.")
                } else {
                    UI.table(caption: "Endpoints, \(items.count) shown", columns: columns, rows: items)
                }
            }
            + UI.pages(
                items.isEmpty ? "" : items.count == 1 ? "1 endpoint" : "\(items.count) endpoints",
                first: call.first("cursor") == nil ? nil : "/webhooks",
                next: next.map { "/webhooks?cursor=\($0)" })
        return PageAnswer(title: "Webhooks", body: body)
    }

    static let view = Page("/webhooks/{id}", permission: "delivery.view", menuPath: "/webhooks") { call, reader in
        let webhook = try find(call.path["id"] ?? "", from: reader)
        let waiting = try reader.first(Webhook.waitingCount(webhook.id))?.int("count") ?? 0
        let recent = try reader.query(
            DeliveryQueries.page(state: nil, webhook: webhook.id, tenant: nil, after: nil, limit: 10)
        ).map(Delivery.init)
        let now = reader.now
        let columns: [Column<Delivery>] = [
            Column("What", .wide, isRowHeader: true) { DeliveryWords.cell($0) },
            Column("State") { DeliveryPages.state($0.state, dense: true) },
            Column("Queued", .number) { UI.time($0.createdAt, now: now) },
        ]
        let body =
            UI.crumbs([("Webhooks", "/webhooks")], here: webhook.displayName)
            + UI.title(webhook.displayName) {
                status(webhook.status, dense: false)
                UI.id(webhook.id, copy: "webhook id")
            }
            + UI.actionBar(
                webhook, path: "/webhooks/\(webhook.id)", catalog: call.catalog, caller: call.caller, now: now)
            + UI.split {
                UI.stack {
                    if webhook.status == .disabled { disabled(webhook, waiting: waiting) }
                    UI.panel("Endpoint", id: "w-endpoint") {
                        UI.panelBody {
                            UI.facts([
                                ("Address", Node(webhook.url)), ("Since", UI.timeWithUTC(webhook.createdAt, now: now)),
                                ("Signing secret", secret(webhook, now: now)),
                            ])
                        }
                    }
                    UI.panel("Hears", id: "w-events") {
                        UI.panelBody {
                            UI.facts(
                                WebhookEvent.all.filter { webhook.events.contains($0.name) }.map {
                                    ($0.name, Node($0.summary))
                                })
                        }
                    }
                }
                UI.panel(
                    "Deliveries", id: "w-deliveries", hint: "undelivered first",
                    actions: el("a", .class("small"), .href("/deliveries?webhook=\(webhook.id)")) { "All" }
                ) {
                    if recent.isEmpty {
                        UI.empty("Nothing was sent yet", "Send a test to see whether the endpoint answers.")
                    } else {
                        UI.table(caption: "Deliveries to this endpoint", columns: columns, rows: recent)
                    }
                }
            }
        return PageAnswer(title: webhook.displayName, body: body)
    }

    private static func disabled(_ webhook: Webhook, waiting: Int64) -> Node {
        let reason = DisableWebhook.spec.reasonCodes.first { $0.code == webhook.disabledFor }?.label
        return UI.banner(
            .warn, "Nothing is sent to this endpoint.",
            (reason.map { "\($0). " } ?? "")
                + (waiting == 0
                    ? "Nothing waits for it."
                    : "\(Grouped.digits(waiting)) undelivered; what waits is sent when the endpoint is enabled."))
    }

    private static func secret(_ webhook: Webhook, now: Instant) -> Node {
        guard let until = webhook.previousUntil, now < until else {
            return Node("set; it was shown once and can’t be shown again")
        }
        return Node("rotated; the old one signs too until ") + UI.time(until, now: now)
    }

    static func status(_ status: Webhook.Status, dense: Bool) -> Node {
        let (word, tone, mark): (String, Tone, Glyph) =
            switch status {
            case .active: ("Active", .ok, .on)
            case .disabled: ("Disabled", .plain, .stop)
            }
        return dense ? UI.state(word, tone, mark) : UI.chip(word, tone, mark)
    }
}
