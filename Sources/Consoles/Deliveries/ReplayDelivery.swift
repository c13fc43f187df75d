import Kernel

/// Sends something again: what was given up, or what the receiver took and lost.
public enum ReplayDelivery: Operation {
    public typealias Target = Delivery
    public static let spec = OperationSpec(
        "delivery.replay", "Replay delivery",
        summary: "Sends the notice to its endpoint once more, behind everything that already waits for it.",
        permission: "delivery.replay", risk: .medium)

    /// The endpoint.
    public static func gather(_ input: NoInput, _ target: Delivery?, from reader: any Reader) throws -> Webhook? {
        try target.flatMap { try Webhook.load($0.webhookID, from: reader) }
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Delivery> {
        if let reason = unavailable(call.before, now: call.now) {
            throw .conflict("This delivery can't be replayed: \(reason).")
        }
        guard let webhook = call.facts, webhook.status == .active else {
            throw .conflict("The endpoint is disabled. Enable it first.", legal: ["webhook.enable"])
        }
        var after = call.before
        after.state = .pending
        after.settledAt = nil
        return Plan(
            after,
            alsoWrite: [
                OutboxQueries.openLane(after.lane, webhook: after.webhookID, at: call.now),
                OutboxQueries.enqueueLast(after.id, lane: after.lane),
            ], facts: ["name": .string(after.name), "from": .string(call.before.state.rawValue)],
            consequence:
                "\(after.name) is sent to \(webhook.displayName) again under the same id, so that a receiver which took it can tell."
        )
    }

    public static func undo(_ done: Done<Self>) -> Undo { .impossible("What was sent can't be taken back.") }

    public static func unavailable(_ target: Delivery, now: Instant) -> String? {
        switch target.state {
        case .pending: "it is still being sent"
        case .superseded: "a later one told the newer state"
        case .dead, .delivered: nil
        }
    }
}
