import Kernel

/// Keeps what stands here.
public enum DismissDrift: Operation {
    public typealias Target = Drift
    public static let spec = OperationSpec(
        "drift.dismiss", "Keep ours",
        summary: "Keeps the tenant as it is; the difference comes back when the product says something else.",
        permission: "drift.dismiss", risk: .medium,
        reasonCodes: [
            ReasonCode("decided_here", "It was decided here, and the product will follow"),
            ReasonCode("product_wrong", "The product is wrong"),
            ReasonCode("agreed_exception", "An exception agreed with the customer"),
        ])

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Drift> {
        guard call.before.state == .open else {
            throw .conflict("This difference is \(call.before.state.rawValue) already.", legal: [])
        }
        return Plan(
            call.before.settled(.dismissed, by: call.person, at: call.now),
            facts: ["field": .string(call.before.field.rawValue)],
            consequence:
                "The \(call.before.field.rawValue) stays as it is here, until the product says something else than “\(call.before.theirs)”."
        )
    }

    public static func undo(_ done: Done<Self>) -> Undo { .run("drift.reopen") }

    public static func unavailable(_ target: Drift, now: Instant) -> Unavailable? {
        target.state == .open ? nil : Unavailable("this difference is \(target.state.rawValue) already")
    }
}

/// Brings a difference back that was dismissed.
public enum ReopenDrift: Operation {
    public typealias Target = Drift
    public static let spec = OperationSpec(
        "drift.reopen", "Open again", summary: "Puts a difference that was dismissed back among the open ones.",
        permission: "drift.dismiss", risk: .low)

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Drift> {
        guard call.before.state == .dismissed else {
            throw .conflict("Only a difference where ours was kept can be opened again.", legal: [])
        }
        var after = call.before
        after.state = .open
        after.settledAt = nil
        after.settledBy = nil
        return Plan(
            after, facts: ["field": .string(after.field.rawValue)],
            consequence: "The difference in the \(after.field.rawValue) waits to be settled again.")
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("Keep ours again instead, with the reason that holds now.")
    }

    public static func unavailable(_ target: Drift, now: Instant) -> Unavailable? {
        target.state == .dismissed ? nil : Unavailable("ours was not kept")
    }
}
