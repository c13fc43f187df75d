import Kernel

/// Says what came of looking at an emergency: not for who opened it, nor for who agreed to it.
public enum ReviewBreakGlass: Operation {
    public typealias Target = BreakGlass
    public static let spec = OperationSpec(
        "breakglass.review", "Close the review",
        summary: "Says what was found about an emergency and what was done within it; its opener is free again.",
        permission: "breakglass.review", risk: .high)

    public struct Input: OperationInput {
        @Param(
            "Verdict",
            help: "justified: all of it was right. findings: it was right, and something is to be mended. unjustified."
        )
        public var verdict: BreakGlass.Verdict
        @Param(
            "Findings", .prose(20...4000),
            help: "What happened, what was done within it, and what is to be mended. The opener reads it.")
        public var findings: String
        @Param(
            "Follow-up", .length(1...100),
            help: "The ticket for what is to be mended. Needed unless the verdict is justified.")
        public var followUp: String?
        public init() {}
    }

    /// Who can't review it, beside its opener.
    public struct Facts: Sendable {
        /// Who agreed to it.
        let signers: [String]
        /// When each of them did.
        let signedAt: [String: Instant]
        /// Whom its opener invited, gave a role or had new factors made for within 72 hours.
        let touched: [String]
        /// Who invited its opener or had new factors made for them as lately, and could have opened it as them.
        let makers: [String]

        static let nobody = Facts(signers: [], signedAt: [:], touched: [], makers: [])

        init(signers: [String], signedAt: [String: Instant], touched: [String], makers: [String]) {
            self.signers = signers
            self.signedAt = signedAt
            self.touched = touched
            self.makers = makers
        }

        init(_ session: BreakGlass, from reader: any Reader) throws {
            let since = reader.now - Standing.quarantine
            let rows = try reader.query([
                BreakGlassQueries.signers(of: session.eventID),
                BreakGlassQueries.touched(by: session.person, since: since), StaffQueries.resets(since: since),
            ])
            let resets = try rows[2].compactMap { try ResetTouch($0) }.filter { $0.touch.by == session.person }
            let directory = StaffDirectory()
            let opener = try directory.standings(of: [session.person]).read(from: reader)[session.person]
            // Before it was opened: nobody can become unfit to review by what the opener had done to them since.
            let makers = (opener?.touches ?? []).filter {
                $0.kind != .granted && $0.at <= session.openedAt && session.openedAt - $0.at < Standing.quarantine
            }
            let signed = try rows[0].map { (try $0.string("person"), try $0.instant("at")) }
            self.init(
                signers: signed.map(\.0), signedAt: Dictionary(signed, uniquingKeysWith: { first, _ in first }),
                touched: try rows[1].map { try $0.string("id") } + resets.map(\.staffID), makers: makers.map(\.by))
        }

        /// Why this person leaves it to somebody else; `nil` when they may.
        func hindrance(of person: String, _ session: BreakGlass) -> String? {
            if person == session.person { return "You opened this yourself, so somebody else reviews it." }
            if signers.contains(person) {
                return "You agreed to opening this, so you would review your own decision. Somebody else does."
            }
            if touched.contains(person) {
                return
                    "Whoever opened this made your account what it is less than 72 hours ago, so somebody else reviews it."
            }
            if makers.contains(person) {
                return
                    "You invited whoever opened this, or had their factors reset, less than 72 hours before, so somebody else reviews it."
            }
            return nil
        }
    }

    public static func gather(_ input: Input, _ target: BreakGlass?, from reader: any Reader) throws -> Facts {
        try target.map { try Facts($0, from: reader) } ?? .nobody
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<BreakGlass> {
        let before = call.before
        switch before.state {
        case .open:
            throw .conflict(
                before.isOn(at: call.now)
                    ? "It is still open, until \(before.endsAt.minuteText). End it first."
                    : "Its end is just being recorded. Try again in a moment.", legal: ["breakglass.end"])
        case .reviewed: throw .conflict("This review is closed already.", legal: [])
        case .ended: break
        }
        if let hindrance = call.facts.hindrance(of: call.person, before) { throw .conflict(hindrance) }
        if call.input.verdict != .justified, call.input.followUp == nil {
            throw .field("follow_up", "Name the ticket for what is to be mended.")
        }
        var after = before
        after.state = .reviewed
        after.reviewedAt = call.now
        after.reviewedBy = call.person
        after.verdict = call.input.verdict
        after.findings = call.input.findings
        after.followUp = call.input.followUp
        return Plan(
            after, effects: [MailNotice.breakglassReviewed.effect(to: before.person, breakglass: before.id)],
            facts: [
                "verdict": .string(call.input.verdict.rawValue), "late": .bool(before.isOverdue(at: call.now)),
                "solo": .bool(before.isSolo),
            ],
            consequence: before.isSolo
                ? "The review is closed: whoever opened it has their other privileges back."
                : "The review is closed: whoever opened it may open another.")
    }

    public static func undo(_ done: Done<Self>) -> Undo { .impossible("A review stays closed; it is in the record.") }

    public static func unavailable(_ target: BreakGlass, now: Instant) -> Unavailable? {
        switch target.state {
        case .open:
            target.isOn(at: now)
                ? Unavailable("it is still open", lifting: [EndBreakGlass.spec.name])
                : Unavailable("its end is just being recorded", note: "It takes a moment.")
        case .ended: nil
        case .reviewed: Unavailable("it is reviewed already", isMoot: true)
        }
    }
}

/// Nobody reviewed it within 48 hours. The worker says so, once.
public enum EscalateBreakGlass: Operation {
    public typealias Target = BreakGlass
    public static let spec = OperationSpec(
        "breakglass.escalate", "Break-glass review is overdue",
        summary: "Tells the CISO, every super admin and security that an emergency was not reviewed in time.",
        permission: "breakglass.review", risk: .medium, justification: OperationSpec.Justification.none,
        systemOnly: true)

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<BreakGlass> {
        let before = call.before
        guard before.state == .ended else {
            throw .conflict(
                before.state == .open ? "It is still open." : "Its review is closed already.", legal: [])
        }
        guard before.escalatedAt == nil else { throw .conflict("It was said already.", legal: []) }
        guard before.isOverdue(at: call.now), let due = before.reviewDueAt else {
            throw .conflict("Its review is owed by \((before.reviewDueAt ?? call.now).minuteText).", legal: [])
        }
        var after = before
        after.escalatedAt = call.now
        return Plan(
            after,
            effects: [MailNotice.breakglassOverdue.effectToCISO(unless: OpenBreakGlass.withSay, breakglass: before.id)]
                + OpenBreakGlass.told(.breakglassOverdue, of: before),
            facts: ["due_at": .string(due.rfc3339), "solo": .bool(before.isSolo)],
            consequence: "It was to be reviewed by \(due.minuteText), and was not.")
    }

    public static func undo(_ done: Done<Self>) -> Undo { .impossible("What was said is said.") }
}
