import Kernel

/// Says that a dead letter need not be sent: it stops asking for somebody's attention, and stays in the record.
public enum DismissDelivery: Operation {
    public typealias Target = Delivery
    public static let spec = OperationSpec(
        "delivery.dismiss", "Dismiss delivery",
        summary: "Takes a dead letter off the list of what needs somebody; it can still be replayed.",
        permission: "delivery.replay", risk: .medium,
        reasonCodes: [
            ReasonCode("told_otherwise", "The receiver was told in another way"),
            ReasonCode("not_needed", "The receiver does not need it any more"),
            ReasonCode("receiver_gone", "The receiver is gone for good"),
        ])

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Delivery> {
        if let unavailable = unavailable(call.before, now: call.now) {
            throw .conflict("This delivery can't be dismissed: \(unavailable.reason).")
        }
        var after = call.before
        after.state = .dismissed
        after.settledAt = call.now
        return Plan(
            after, facts: ["name": .string(after.name)],
            consequence: "\(after.name) is not sent, and no longer counts as undelivered.")
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("A dismissed delivery is sent after all by replaying it.")
    }

    public static func unavailable(_ target: Delivery, now: Instant) -> Unavailable? {
        switch target.state {
        case .dead: nil
        case .pending: Unavailable("it is still being sent")
        case .delivered: Unavailable("it was delivered")
        case .superseded: Unavailable("a later one told the newer state")
        case .dismissed: Unavailable("it was dismissed already")
        }
    }
}
