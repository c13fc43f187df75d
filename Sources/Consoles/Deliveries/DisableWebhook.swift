import Kernel

/// Stops sending. What was to be sent waits.
public enum DisableWebhook: Operation {
    public typealias Target = Webhook
    public static let spec = OperationSpec(
        "webhook.disable", "Disable webhook",
        summary: "Sends nothing more to the endpoint; undelivered notices wait until it is enabled.",
        permission: "webhook.manage", risk: .medium,
        reasonCodes: [
            ReasonCode("maintenance", "The receiver is being worked on"),
            ReasonCode("compromised", "The receiver or the secret is not safe"),
            ReasonCode("unused", "Nobody needs it any more"),
            ReasonCode("gone", "The receiver answered 410 Gone"),
        ])

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Webhook> {
        guard call.before.status == .active else {
            throw .conflict("\(call.before.displayName) is disabled already.", legal: ["webhook.enable"])
        }
        var after = call.before
        after.status = .disabled
        after.disabledFor = call.reasonCode
        after.updatedAt = call.now
        return Plan(
            after, alsoWrite: [Webhook.holdLanes(after.id)],
            consequence: "\(after.displayName) hears nothing more; what is undelivered waits until it is enabled.")
    }

    public static func undo(_ done: Done<Self>) -> Undo { .run("webhook.enable") }

    public static func unavailable(_ target: Webhook, now: Instant) -> Unavailable? {
        target.status == .disabled ? Unavailable("it is disabled already") : nil
    }
}
