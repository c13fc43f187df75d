import HTML
import Kernel

/// What is told to other systems: the endpoints, and what became of each notice.
public enum DeliveriesConsole {
    public static let console = Console(
        "Deliveries",
        menu: [
            .init(.scale, "Deliveries", icon: "send", path: "/deliveries", permission: "delivery.view"),
            .init(.scale, "Webhooks", icon: "hook", path: "/webhooks", permission: "delivery.view"),
        ],
        operations: [
            AnyOperation(CreateWebhook.self), AnyOperation(RotateWebhook.self), AnyOperation(DisableWebhook.self),
            AnyOperation(EnableWebhook.self), AnyOperation(SendTestWebhook.self), AnyOperation(ReplayDelivery.self),
            AnyOperation(DismissDelivery.self), AnyOperation(SendTestMessage.self),
        ],
        reads: [listDeliveries, viewDelivery, listChannels, listWebhooks, viewWebhook],
        entities: [AnyEntityType(Webhook.self), AnyEntityType(Delivery.self)],
        pages: [DeliveryPages.list, DeliveryPages.view, WebhookPages.list, WebhookPages.view],
        choices: [
            "webhook.create/events": { _ in WebhookEvent.choices },
            "delivery.send_test/channel": { _ in SendTestMessage.choices },
        ],
        reaching: { effects, queuing, reader in try Receivers.reaching(effects, queuing, from: reader) },
        specimens: [
            .init("Deliveries", Delivery.State.allCases.map { DeliveryPages.state($0, dense: false) }),
            .init("Webhooks", Webhook.Status.allCases.map { WebhookPages.status($0, dense: false) }),
        ])

    private static let listDeliveries = Read(
        "delivery.list", summary: "Deliveries, dead letters first, then what waits, each the newest first.",
        path: "/deliveries", permission: "delivery.view", parameters: DeliveryListing.parameters,
        schema: Delivery.schema, isList: true
    ) { call, reader in
        let listing = try DeliveryListing.load(call, from: reader)
        return .list(listing.items.map(\.answer), next: listing.next)
    }

    private static let viewDelivery = Read(
        "delivery.view", summary: "One delivery with its attempts, the newest first.", path: "/deliveries/{id}",
        permission: "delivery.view", schema: Delivery.schema, hasVersion: true
    ) { call, reader in
        let detail = try DeliveryDetail.load(call.path["id"] ?? "", from: reader)
        return ReadAnswer(detail.json, version: detail.delivery.version)
    }

    private static let listChannels = Read(
        "delivery.channels", summary: "How the staff channel and mail fare.", path: "/delivery-channels",
        permission: "delivery.view", schema: ChannelState.schema, isList: true
    ) { call, reader in
        .list(try ChannelState.all(from: reader).map(\.json), next: nil)
    }

    private static let listWebhooks = Read(
        "webhook.list", summary: "Endpoints that hear of events, the oldest first. Secrets are never shown.",
        path: "/webhooks", permission: "delivery.view", parameters: [.limit, .cursor], schema: Webhook.schema,
        isList: true
    ) { call, reader in
        let (items, next) = try WebhookPages.page(call, from: reader)
        return .list(items.map(\.document), next: next)
    }

    private static let viewWebhook = Read(
        "webhook.view", summary: "One endpoint.", path: "/webhooks/{id}", permission: "delivery.view",
        schema: Webhook.schema, hasVersion: true
    ) { call, reader in
        let webhook = try WebhookPages.find(call.path["id"] ?? "", from: reader)
        return ReadAnswer(webhook.document, version: webhook.version)
    }
}
