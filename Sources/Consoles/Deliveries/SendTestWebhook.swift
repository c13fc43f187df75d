import Kernel

/// Tries an endpoint with a notice that means nothing.
public enum SendTestWebhook: Operation {
    public typealias Target = Webhook
    public static let spec = OperationSpec(
        "webhook.send_test", "Send test",
        summary: "Posts one signed webhook.test notice to the endpoint, whatever it hears otherwise.",
        permission: "webhook.manage", risk: .low)

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Webhook> {
        guard call.before.status == .active else {
            throw .conflict("\(call.before.displayName) is disabled. Enable it first.", legal: ["webhook.enable"])
        }
        let name = call.before.displayName
        return Plan(
            nil,
            effects: [
                Effect(
                    kind: "webhook", name: WebhookEvent.test, summary: "Webhook \(WebhookEvent.test) to \(name)",
                    payload: ["webhook": .string(call.before.id)], tenant: nil)
            ],
            consequence: "\(name) gets a test notice; how it answered stands under Deliveries in a moment.")
    }

    public static func undo(_ done: Done<Self>) -> Undo { .impossible("What was sent can't be taken back.") }

    public static func unavailable(_ target: Webhook, now: Instant) -> Unavailable? {
        target.status == .disabled ? Unavailable("it is disabled", lifting: ["webhook.enable"]) : nil
    }
}
