import Kernel

/// Sends something again: what was given up, or what the receiver took and lost.
public enum ReplayDelivery: Operation {
    public typealias Target = Delivery
    public static let spec = OperationSpec(
        "delivery.replay", "Replay delivery",
        summary: "Sends the notice to its endpoint once more, behind everything that already waits for it.",
        permission: "delivery.replay", risk: .medium)

    public struct Facts: Sendable {
        /// How the endpoint is called.
        let receiver: String
        let isOn: Bool
        /// What it tells is still there.
        let isKept: Bool
    }

    public static func gather(_ input: NoInput, _ target: Delivery?, from reader: any Reader) throws -> Facts {
        guard let target else { return Facts(receiver: "", isOn: false, isKept: false) }
        let isKept = try reader.first(ChannelQueries.outboxRow(target.outboxID)) != nil
        guard target.channel == .webhook else {
            return Facts(
                receiver: target.channel == .slack ? "the staff channel" : "the same mailbox",
                isOn: try ChannelState.isOn(target.channel, reader), isKept: isKept)
        }
        let webhook = try Webhook.load(target.webhookID, from: reader)
        return Facts(
            receiver: webhook?.displayName ?? "", isOn: webhook?.status == .active, isKept: isKept)
    }

    /// What it tells is not forgotten meanwhile.
    public static func guards(_ input: NoInput, _ target: String?) -> [Guard] { [.outboxPruning] }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Delivery> {
        if let unavailable = unavailable(call.before, now: call.now) {
            throw .conflict("This delivery can't be replayed: \(unavailable.reason).")
        }
        guard call.facts.isKept else {
            throw .conflict("This delivery can't be replayed: what it tells is not kept any more.")
        }
        guard call.facts.isOn else {
            guard call.before.channel == .webhook else {
                throw .conflict("No server is set up for \(call.before.channel == .slack ? "Slack" : "mail") any more.")
            }
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
            consequence: "\(after.name) is sent to \(call.facts.receiver) again"
                + (after.channel == .slack
                    ? "." : " under the same id, so that a receiver which took it can tell."))
    }

    public static func undo(_ done: Done<Self>) -> Undo { .impossible("What was sent can't be taken back.") }

    public static func unavailable(_ target: Delivery, now: Instant) -> Unavailable? {
        switch target.state {
        case .pending: Unavailable("it is still being sent")
        case .superseded: Unavailable("a later one told the newer state")
        case .dead, .delivered, .dismissed: nil
        }
    }
}
