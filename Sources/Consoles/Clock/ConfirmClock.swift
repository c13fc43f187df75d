import Kernel

/// Somebody has looked at a clock that was set: what goes by dates goes on.
public enum ConfirmClock: Operation {
    public typealias Target = ClockJump
    public static let spec = OperationSpec(
        "clock.confirm", "Confirm the clock",
        summary: "Says that the clock is right after it was set, so that what goes by dates goes on.",
        permission: "clock.confirm", risk: .high, requiresIfMatch: true)

    public struct Facts: Sendable {
        /// Who asked for or signed what waited for its time when the clock was set, or would be alone by it.
        let waiting: Set<String>
        /// Those of accounts, which wait for somebody to say no.
        let recoveries: [Recovery]
    }

    public static func gather(_ input: NoInput, _ target: ClockJump?, from reader: any Reader) throws -> Facts {
        guard let target else { return Facts(waiting: [], recoveries: []) }
        let rows = try reader.query([ClockJump.waiting(at: target.lastAt), Recovery.waiting])
        return Facts(
            waiting: Set(try rows[0].map { try $0.string("person") }), recoveries: try rows[1].map(Recovery.init))
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<ClockJump> {
        let before = call.before
        guard before.isOpen else { throw .conflict("This was confirmed already.", legal: []) }
        // Whoever can set the clock would shorten their own wait.
        guard !call.facts.waiting.contains(call.person) else {
            throw .conflict(
                """
                A request that you asked for or signed waited when the clock was set, and would be carried out by it, or be called \
                unanswered. Somebody else confirms this, or the request is cancelled first.
                """)
        }
        // Whoever asked on the server's machine is nobody who could be kept from this: it waits as long as it would have.
        let moved = call.facts.recoveries.compactMap { recovery in
            before.sparing(recovery, at: call.now).map { (before: recovery, after: $0) }
        }
        var after = before
        after.confirmedAt = call.now
        after.confirmedBy = call.person
        let said = moved.map {
            " The account of \($0.after.name) is recovered at \($0.after.executeAt.minuteText), so that there is as long to say no."
        }
        return Plan(
            after, also: moved.map { .update($0.before, to: $0.after) },
            facts: ["seconds": .int(before.seconds), "times": .int(before.times)],
            consequence: """
                By this server it is \(call.now.minuteText). Whatever is due by then is carried out, expires or is reminded of, and \
                what comes later goes on by this clock.
                """ + said.joined())
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("What was due by then has happened. Set the clock right: that has to be confirmed again.")
    }

    public static func unavailable(_ target: ClockJump, now: Instant) -> Unavailable? {
        target.isOpen ? nil : Unavailable("it was confirmed already", isMoot: true)
    }
}

extension ClockJump {
    /// A recovery that was asked for before the clock was set forward, with a time that leaves as long to say no as there was: as
    /// much later as it was set. Where it was set several times nobody knows by how much, and the day begins anew.
    /// - Returns: `nil` where it takes nothing from it.
    func sparing(_ recovery: Recovery, at now: Instant) -> Recovery? {
        guard recovery.requestedAt <= lastAt, times > 1 || seconds > 0 else { return nil }
        var after = recovery
        after.executeAt =
            times > 1 ? max(recovery.executeAt, now + Recovery.delay) : recovery.executeAt + .seconds(seconds)
        return after
    }
}
