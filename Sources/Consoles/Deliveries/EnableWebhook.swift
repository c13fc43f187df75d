import Kernel

/// Sends again, and what waited first.
public enum EnableWebhook: Operation {
    public typealias Target = Webhook
    public static let spec = OperationSpec(
        "webhook.enable", "Enable webhook",
        summary: "Sends to the endpoint again, beginning with what waited; events of the time between are not sent.",
        permission: "webhook.manage", risk: .high)

    public static func gather(_ input: NoInput, _ target: Webhook?, from reader: any Reader) throws -> Int64 {
        try reader.first(Webhook.activeCount)?.int("count") ?? 0
    }

    public static func guards(_ input: NoInput, _ target: String?) -> [Guard] { [.webhooks] }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Webhook> {
        guard call.before.status == .disabled else {
            throw .conflict("\(call.before.displayName) is active already.", legal: ["webhook.disable"])
        }
        guard call.facts < Int64(Webhook.most) else { throw .conflict(Webhook.tooMany) }
        var after = call.before
        after.status = .active
        after.disabledFor = nil
        after.updatedAt = call.now
        return Plan(
            after, alsoWrite: [Webhook.releaseLanes(after.id, at: call.now)],
            consequence: "\(after.displayName) hears of its events again, first of what waited.")
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .run("webhook.disable", reasonCode: done.before?["disabled_for"]?.string ?? "maintenance")
    }

    public static func unavailable(_ target: Webhook, now: Instant) -> Unavailable? {
        target.status == .active ? Unavailable("it is active already") : nil
    }
}
