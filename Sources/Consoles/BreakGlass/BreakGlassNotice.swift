import HTML
import Kernel

/// What stands above every page while an emergency is on, and what waits for its review.
enum BreakGlassNotice {
    /// Only who opened one, and who may look at them, is told.
    private static func concerns(_ caller: Caller) -> Bool {
        caller.emergency != nil || caller.permissions.contains(BreakGlassReads.permission)
    }

    static func foresees(_ caller: Caller) -> [Statement] { concerns(caller) ? [BreakGlassQueries.named] : [] }

    private static func entries(_ caller: Caller, from reader: any Reader) throws -> [BreakGlassEntry] {
        guard concerns(caller) else { return [] }
        return try reader.query(BreakGlassQueries.named).map(BreakGlassEntry.init)
    }

    /// Reviews that are owed and that this person may be asked for.
    static func due(_ caller: Caller, _ reader: any Reader) throws -> Int64 {
        guard caller.permissions.contains(ReviewBreakGlass.spec.permission) else { return 0 }
        return Int64(
            try entries(caller, from: reader).count { $0.session.state == .ended && $0.session.person != caller.person }
        )
    }

    /// Above every page: what is open, and that one is locked.
    /// - Parameter page: the path of the page it stands on; what leads there is left out.
    static func node(_ caller: Caller, on page: String, _ reader: any Reader) throws -> Node {
        let now = reader.now
        return try entries(caller, from: reader).reduce(.none) { out, entry in
            out + node(entry, caller, on: page, now: now)
        }
    }

    private static func node(_ entry: BreakGlassEntry, _ caller: Caller, on page: String, now: Instant) -> Node {
        let session = entry.session
        let path = "/breakglass-sessions/\(session.id)"
        func look(_ words: String) -> Node {
            page == path ? .none : UI.linkButton(words, href: path, size: .small)
        }
        let isMine = session.person == caller.person
        if session.isOn(at: now) {
            let end =
                caller.permissions.contains(EndBreakGlass.spec.permission)
                ? UI.linkButton("End it…", href: "\(path)/end", style: .warns, size: .small) : .none
            let said =
                isMine
                ? "Everything you do is recorded with it and reviewed."
                    + (session.isSolo ? " You opened it alone: on anything else you can do nothing until then." : "")
                : session.isSolo
                    ? "Opened alone. Everything they do is listed on its page."
                    : "Everything they do is listed on its page."
            let ways = look("Look at it") + end
            return UI.banner(.danger, action: ways.isEmpty ? .none : UI.row { ways }) {
                el("p") {
                    el("b") {
                        isMine
                            ? "Break-glass is open for \(entry.tenant): "
                            : "\(entry.person) has break-glass open for \(entry.tenant): "
                        UI.countdown(to: session.endsAt, now: now)
                        " left."
                    }
                }
                el("p") { said }
            }
        }
        guard isMine, session.isSolo else { return .none }
        return UI.banner(
            .warn, "Your privileges are locked.",
            "You opened break-glass alone for \(entry.tenant). Until somebody else has reviewed it you can do nothing else"
                + (session.reviewDueAt.map { due in
                    now < due
                        ? "; the review is owed \(TimeText.relative(due, now: now))." : "; the review is overdue."
                } ?? "."), action: look("How it stands"))
    }

    /// On a colleague's page: that they are locked, or can't open another, and until what.
    static func ofColleague(_ entry: BreakGlassEntry, _ caller: Caller, now: Instant) -> Node {
        let session = entry.session
        let seesIt = caller.permissions.contains(BreakGlassReads.permission)
        let tenant = seesIt ? entry.tenant : "a tenant"
        let look =
            seesIt ? UI.linkButton("Look at it", href: "/breakglass-sessions/\(session.id)", size: .small) : .none
        let review =
            session.isOn(at: now)
            ? "It is open until \(session.endsAt.minuteText), and is reviewed then."
            : session.reviewDueAt.map { due in
                session.isOverdue(at: now)
                    ? "Its review was owed by \(due.minuteText), and is overdue."
                    : "Its review is owed \(TimeText.relative(due, now: now)), by \(due.minuteText)."
            } ?? "It has ended, and its review is owed."
        guard session.isSolo else {
            guard !session.isOn(at: now) else { return .none }
            return UI.banner(
                .info, "\(entry.person) can’t open break-glass until their last one is reviewed.",
                "It was for \(tenant). \(review)", action: look)
        }
        return UI.banner(
            .warn, "\(entry.person) is locked until somebody else has reviewed their break-glass.",
            "They opened it alone, for \(tenant), and can do nothing else until then. \(review)", action: look)
    }

    /// The way to open one for a tenant, from its page.
    static func door(to slug: String, for caller: Caller) -> Node {
        guard caller.permissions.contains(OpenBreakGlass.spec.permission), caller.emergency == nil else { return .none }
        return UI.linkButton(
            "Break-glass…",
            href: PageAddress(path: "/breakglass-sessions/new").with("input.tenant", slug).text, style: .warns)
    }

    /// On Home: reviews that are owed, the overdue ones loudly.
    static func home(for caller: Caller, from reader: any Reader) throws -> Node {
        let now = reader.now
        let reviews = caller.permissions.contains(ReviewBreakGlass.spec.permission)
        return try entries(caller, from: reader).reduce(.none) { out, entry in
            let session = entry.session
            guard session.state == .ended, let due = session.reviewDueAt else { return out }
            let isMine = session.person == caller.person
            let path = "/breakglass-sessions/\(session.id)"
            let isLate = session.isOverdue(at: now)
            let headline =
                isMine
                ? "Your break-glass for \(entry.tenant) is not reviewed yet."
                : isLate
                    ? "The review of \(entry.person)’s break-glass for \(entry.tenant) is overdue."
                    : "\(entry.person)’s break-glass for \(entry.tenant) is to be reviewed."
            let when =
                isLate
                ? "It was owed by \(TimeText.utcMinute(due)); the CISO, every super admin and security were told."
                : "Its review is owed \(TimeText.relative(due, now: now)), by \(TimeText.utcMinute(due))."
            return out
                + UI.banner(
                    isLate ? .danger : .warn, headline,
                    when + (isMine ? " Until then you can’t open another." : ""),
                    action: UI.linkButton(reviews && !isMine ? "Review…" : "Look at it", href: path, size: .small))
        }
    }
}
