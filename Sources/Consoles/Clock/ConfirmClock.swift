import Kernel

/// Somebody has looked at a clock that was set: what goes by dates goes on.
public enum ConfirmClock: Operation {
    public typealias Target = ClockJump
    public static let spec = OperationSpec(
        "clock.confirm", "Confirm the clock",
        summary: "Says that the clock is right after it was set, so that what goes by dates goes on.",
        permission: "clock.confirm", risk: .high, requiresIfMatch: true)

    public struct Facts: Sendable {
        /// Who asked for or signed what waited for its time when the clock was set.
        let waiting: Set<String>
    }

    public static func gather(_ input: NoInput, _ target: ClockJump?, from reader: any Reader) throws -> Facts {
        guard let target else { return Facts(waiting: []) }
        let rows = try reader.query(ClockJump.waiting(at: target.lastAt))
        return Facts(waiting: Set(try rows.map { try $0.string("person") }))
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<ClockJump> {
        let before = call.before
        guard before.isOpen else { throw .conflict("This was confirmed already.", legal: []) }
        // Whoever can set the clock would shorten their own wait.
        guard !call.facts.waiting.contains(call.person) else {
            throw .conflict(
                """
                A request that you asked for or signed waited for its time when the clock was set, and would be carried out by \
                it. Somebody else confirms this, or the request is cancelled first.
                """)
        }
        var after = before
        after.confirmedAt = call.now
        after.confirmedBy = call.person
        return Plan(
            after, facts: ["seconds": .int(before.seconds), "times": .int(before.times)],
            consequence: """
                By this server it is \(call.now.minuteText). Whatever is due by then is carried out, expires or is reminded of, and \
                what comes later goes on by this clock.
                """)
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("What was due by then has happened. Set the clock right: that has to be confirmed again.")
    }

    public static func unavailable(_ target: ClockJump, now: Instant) -> Unavailable? {
        target.isOpen ? nil : Unavailable("it was confirmed already", isMoot: true)
    }
}
