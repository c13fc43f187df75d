import Kernel

/// The emergency is over, or has to be: by the opener, or by whoever looks after security.
public enum EndBreakGlass: Operation {
    public typealias Target = BreakGlass
    public static let spec = OperationSpec(
        "breakglass.end", "End break-glass",
        summary: "Ends an emergency at once, one’s own or a colleague’s; its review is then owed.",
        permission: "breakglass.end", risk: .medium, isDestructive: true)

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<BreakGlass> {
        let before = call.before
        guard before.state == .open else { throw .conflict("This break-glass has ended already.", legal: []) }
        guard before.isOn(at: call.now) else {
            throw .conflict("Its time was over at \(before.endsAt.minuteText): it ends by itself.", legal: [])
        }
        let isOwn = before.person == call.person
        let after = before.ended(isOwn ? .manual : .killSwitch, by: call.person, at: call.now)
        return Plan(
            after, effects: OpenBreakGlass.told(.breakglassEnded, of: after),
            facts: ["end_reason": .string(isOwn ? "manual" : "kill_switch")],
            consequence:
                "It ends now. What was done is to be reviewed until \((after.reviewDueAt ?? call.now).minuteText), by somebody who did not open it."
        )
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("What has ended stays so. Once it is reviewed, another can be opened.")
    }

    public static func unavailable(_ target: BreakGlass, now: Instant) -> Unavailable? {
        target.isOn(at: now) ? nil : Unavailable("it has ended already", isMoot: true)
    }
}

/// Its half hour is over, or its opener may not open one any more. The worker does this.
public enum ExpireBreakGlass: Operation {
    public typealias Target = BreakGlass
    public static let spec = OperationSpec(
        "breakglass.expire", "Let break-glass end",
        summary: "Ends an emergency whose time is over, or whose opener has left or lost what let them open it.",
        permission: "breakglass.end", risk: .medium, justification: OperationSpec.Justification.none, systemOnly: true)

    /// Why it can't stand any longer; `nil` when it can.
    public static func gather(
        _ input: NoInput, _ target: BreakGlass?, from reader: any Reader
    ) throws -> BreakGlass.EndReason? {
        try target.flatMap { try reason(to: $0, from: reader) }
    }

    static func reason(to session: BreakGlass, from reader: any Reader) throws -> BreakGlass.EndReason? {
        let now = reader.now
        if session.endsAt <= now { return .expiry }
        let opener = try reader.first(
            BreakGlassQueries.standing(of: session.person, OpenBreakGlass.spec.permission, at: now))
        guard let opener, try opener.bool("holds") else { return .roleLost }
        // Whoever had the factors reset does not trust whoever used them.
        return try opener.optionalInstant("reset_at").map { $0 > session.openedAt } ?? false ? .killSwitch : nil
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<BreakGlass> {
        let before = call.before
        guard before.state == .open else { throw .conflict("This break-glass has ended already.", legal: []) }
        guard let reason = call.facts else {
            throw .conflict("Its time is over at \(before.endsAt.minuteText).", legal: [])
        }
        let after = before.ended(reason, by: call.person, at: call.now)
        return Plan(
            after, effects: OpenBreakGlass.told(.breakglassEnded, of: after),
            facts: ["end_reason": .string(reason.rawValue)],
            consequence: reason == .expiry
                ? "Its 30 minutes were over."
                : reason == .roleLost
                    ? "Whoever opened it may not open one any more." : "The factors of whoever opened it were reset.")
    }

    public static func undo(_ done: Done<Self>) -> Undo { .impossible("What has ended stays so.") }
}

extension BreakGlass {
    /// What a person has open ends with their sessions: whoever ends those does not trust them, or who uses their account.
    /// - Parameter rows: what `BreakGlassQueries.live(of:)` answered.
    static func stopped(_ rows: [BreakGlass], by person: String, at now: Instant) -> [Change] {
        rows.filter { $0.isOn(at: now) }.map { .update($0, to: $0.ended(.killSwitch, by: person, at: now)) }
    }
}
