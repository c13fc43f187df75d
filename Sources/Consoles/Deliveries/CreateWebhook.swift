import Kernel

/// Tells another system of what happens here.
public enum CreateWebhook: Operation {
    public typealias Target = Webhook
    public static let spec = OperationSpec(
        "webhook.create", "Create webhook",
        summary: "Sends signed notices of the chosen events to an address; the signing secret is shown once.",
        permission: "webhook.manage", risk: .high)
    public static let creates = true

    public struct Input: OperationInput {
        @Param("Address", help: "Where notices are posted: https://, without a user name. Redirects are not followed.")
        public var url: WebhookURL
        @Param("Events", .choices(WebhookEvent.names), help: "What the endpoint hears of, from now on.")
        public var events: [String]
        public init() {}
    }

    public static func concerns(_ input: Input) -> String? { WebhookURL.host(input.url.url) }
    public static let declaresConcerns = true

    /// How many are active.
    public static func gather(_ input: Input, _ target: Webhook?, from reader: any Reader) throws -> Int64 {
        try reader.first(Webhook.activeCount)?.int("count") ?? 0
    }

    public static func guards(_ input: Input, _ target: String?) -> [Guard] { [.webhooks] }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Webhook> {
        guard call.facts < Int64(Webhook.most) else { throw .conflict(Webhook.tooMany) }
        let events = Array(Set(call.input.events)).sorted()
        guard !events.isEmpty else { throw .field("events", "Choose at least one event.") }
        if let unknown = events.first(where: { !WebhookEvent.names.contains($0) }) {
            throw .field("events", "There is no event \(unknown).")
        }
        let id = call.fresh.id("whk")
        let secret = call.fresh.secret("webhook")
        let webhook = Webhook(
            id: id, version: 1, url: call.input.url.url, events: events, status: .active, disabledFor: nil,
            secret: try call.fresh.sealed(secret, for: Webhook.sealContext(id)), previousSecret: nil,
            previousUntil: nil, createdAt: call.now, updatedAt: call.now)
        return Plan(
            webhook, facts: ["events": .array(events.map(JSON.string))],
            reveal: ["signing_secret": .text(WebhookSignature.text(of: secret))],
            consequence:
                "\(webhook.displayName) hears \(events.count == 1 ? events[0] : "\(events.count) kinds of events") from now on."
        )
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("An endpoint stays in the record. Disable it instead.")
    }
}

extension Guard {
    /// How many endpoints are active is counted under it.
    static let webhooks = Guard("webhooks:active")
}

extension Webhook {
    static let tooMany = "\(most) webhooks are active, which is the most there may be. Disable one first."
}
