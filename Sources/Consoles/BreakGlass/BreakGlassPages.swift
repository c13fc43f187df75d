import HTML
import Kernel

/// `/breakglass-sessions`
enum BreakGlassPages {
    private static let path = "/breakglass-sessions"

    // MARK: The list

    static let list = Page(path, permission: BreakGlassReads.permission, menuPath: path) { call, reader in
        let listing = try BreakGlassListing.load(call.readCall, from: reader)
        let now = reader.now
        let filter = listing.filter
        func address(_ state: BreakGlass.State?) -> PageAddress {
            PageAddress(path: path).with("state", state?.rawValue).with("tenant", call.first("tenant"))
                .with("person", call.first("person"))
        }
        let views: [(String, BreakGlass.State?)] = [
            ("All", nil), ("Open", .open), ("Review owed", .ended), ("Reviewed", .reviewed),
        ]
        let body =
            UI.title(
                "Break-glass", lead: "Emergencies: opened by two, reviewed by a third",
                trailing: call.caller.permissions.contains(OpenBreakGlass.spec.permission)
                    ? UI.linkButton("Open break-glass…", href: "\(path)/new", style: .warns) : .none)
            + UI.views(
                label: "Emergencies by state",
                views.map { ($0.0, address($0.1).text, nil, filter.state == $0.1) })
            + UI.stack {
                if listing.entries.isEmpty {
                    empty(filter)
                } else {
                    el("div", .class("panel sized")) { table(listing.entries, now: now) }
                    UI.pages(
                        listing.entries.count == 1 ? "1 emergency" : "\(listing.entries.count) emergencies",
                        first: call.first("cursor") == nil ? nil : address(filter.state).text,
                        next: listing.next.map { address(filter.state).with("cursor", $0).text })
                }
            }
        return PageAnswer(title: "Break-glass", body: body, disclosure: listing.disclosure)
    }

    private static func empty(_ filter: BreakGlassQueries.Filter) -> Node {
        if let state = filter.state {
            let none =
                switch state {
                case .open: "None is open"
                case .ended: "No review is owed"
                case .reviewed: "None is reviewed yet"
                }
            return UI.empty(
                none, "Look at the others.", action: UI.linkButton("Show all", href: path, size: .small))
        }
        return UI.empty(
            "Nobody ever had to break the glass",
            "In an emergency a super admin opens it for one tenant, another agrees within 10 minutes, and it lasts half an hour."
        )
    }

    private static func table(_ entries: [BreakGlassEntry], now: Instant) -> Node {
        UI.table(
            caption: "Emergencies, the newest first",
            columns: [
                Column("Tenant", isRowHeader: true) { entry in
                    el("a", .href("\(path)/\(entry.session.id)")) { entry.tenant }
                },
                Column("Opened by") { UI.person($0.person, note: $0.session.isSolo ? "alone" : nil) },
                Column("Why", priority: 3) { UI.muted(reason($0.session.reasonCode)) },
                Column("State") { entry in
                    state(entry.session.state, isOverdue: entry.session.isOverdue(at: now))
                },
                Column("Opened", .number, priority: 2) { UI.time($0.session.openedAt, now: now) },
                Column("Review", .number, priority: 2) { entry in
                    let session = entry.session
                    return switch session.state {
                    case .open: UI.hint("after its end")
                    case .ended: session.reviewDueAt.map { Node("owed ") + UI.time($0, now: now) } ?? .none
                    case .reviewed: Node(session.verdict.map(short) ?? "")
                    }
                },
            ], rows: entries, stickyHead: true)
    }

    // MARK: Words

    private static func words(_ state: BreakGlass.State, isOverdue: Bool) -> (String, Tone, Glyph) {
        switch state {
        case .open: ("Open", .danger, .half)
        case .ended where isOverdue: ("Review overdue", .danger, .tri)
        case .ended: ("Review owed", .warn, .ring)
        case .reviewed: ("Reviewed", .ok, .check)
        }
    }

    static func chip(_ state: BreakGlass.State, isOverdue: Bool) -> Node {
        let (word, tone, mark) = words(state, isOverdue: isOverdue)
        return UI.chip(word, tone, mark)
    }

    private static func state(_ state: BreakGlass.State, isOverdue: Bool) -> Node {
        let (word, tone, mark) = words(state, isOverdue: isOverdue)
        return UI.state(word, tone, mark)
    }

    static func words(_ verdict: BreakGlass.Verdict) -> String {
        switch verdict {
        case .justified: "Justified: all of it was right"
        case .findings: "Justified, and something is to be mended"
        case .unjustified: "Not justified"
        }
    }

    private static func short(_ verdict: BreakGlass.Verdict) -> String {
        switch verdict {
        case .justified: "justified"
        case .findings: "with findings"
        case .unjustified: "not justified"
        }
    }

    private static func reason(_ code: String) -> String {
        OpenBreakGlass.spec.reasonCodes.first { $0.code == code }?.label ?? code
    }

    private static func ended(_ detail: BreakGlassDetail) -> String {
        let session = detail.session
        return switch session.endReason {
        case nil: ""
        case .manual: "by \(detail.entry.person)"
        case .expiry: "its 30 minutes were over"
        case .killSwitch: "stopped by \(session.endedBy.map(detail.name) ?? "somebody")"
        case .roleLost: "\(detail.entry.person) may not open one any more"
        }
    }

    // MARK: One of them

    static let view = Page("\(path)/{id}", permission: BreakGlassReads.permission, menuPath: path) { call, reader in
        let detail = try BreakGlassDetail.load(call.path["id"] ?? "", from: reader)
        let session = detail.session
        let now = reader.now
        let events = try BreakGlassEvents.load(session, call.readCall, from: reader)
        let time = BreakGlassEvents.time(of: session, at: now)
        let asked = try ApprovalList.name(
            reader.query(BreakGlassQueries.asked(by: session.person, from: time.from, until: time.until))
                .map(ApprovalRequest.init), from: reader
        ).map { entry in
            // What is not there yet is called by what is sealed: for whoever may open the request.
            var entry = entry
            if !entry.request.isOpen(to: call.caller) { entry.concerns = nil }
            return entry
        }
        let isHeld = try !asked.isEmpty && ClockJump.open(from: reader) != nil
        let title = "Break-glass for \(detail.entry.tenant)"
        let body =
            UI.crumbs([("Break-glass", path)], here: title)
            + UI.title(title) { chip(session.state, isOverdue: session.isOverdue(at: now)) }
            + UI.keyFacts(keyFacts(detail, call, now: now))
            + actions(detail, call, now: now)
            + UI.split {
                UI.stack {
                    banners(detail, now: now)
                    done(detail, events, call, now: now)
                    if !asked.isEmpty {
                        UI.panel("What was asked of others", id: "b-asked", hint: "it waives no signature") {
                            ApprovalPages.table(
                                "Requests made within it", asked, call: call, now: now, showsRequester: false,
                                isHeld: isHeld)
                        }
                    }
                }
                UI.stack {
                    review(detail, now: now)
                    why(detail)
                    signatures(detail, now: now)
                    UI.panel("The record", id: "b-record") { UI.panelBody { record(detail, call) } }
                }
            }
        return PageAnswer(title: title, body: body, disclosure: detail.disclosure)
    }

    private static func keyFacts(
        _ detail: BreakGlassDetail, _ call: PageCall, now: Instant
    ) -> [(label: String, value: Node)] {
        let session = detail.session
        let tenant =
            call.caller.permissions.contains("tenant.view")
            ? el("a", .href("/tenants/\(session.tenant)")) { detail.entry.tenant } : Node(detail.entry.tenant)
        var facts: [(label: String, value: Node)] = [
            ("Opened by", UI.person(detail.entry.person)), ("Tenant", tenant),
            ("Ticket", detail.ticket.map { Node($0) } ?? UI.hint("erased")),
            ("Opened", UI.timeWithUTC(session.openedAt, now: now)),
        ]
        if session.isOn(at: now) {
            facts.append(
                (
                    "Time left",
                    el("b") { UI.countdown(to: session.endsAt, now: now) } + Node(" ")
                        + UI.muted("until \(TimeText.utcMinute(session.endsAt))")
                ))
        } else {
            facts.append(("Ended", UI.timeWithUTC(session.endedAt ?? session.endsAt, now: now)))
        }
        return facts
    }

    private static func actions(_ detail: BreakGlassDetail, _ call: PageCall, now: Instant) -> Node {
        let session = detail.session
        let here = "\(path)/\(session.id)"
        var buttons = Node.none
        if session.isOn(at: now), call.caller.permissions.contains(EndBreakGlass.spec.permission) {
            buttons = buttons + UI.linkButton("End break-glass…", href: "\(here)/end", style: .warns)
        }
        if session.state == .ended, call.caller.permissions.contains(ReviewBreakGlass.spec.permission) {
            let hindrance = detail.facts.hindrance(of: call.caller.person, session)
            buttons =
                buttons
                + (hindrance.map { why in UI.offButton("Review", why: "not by you", detail: el("p") { why }) }
                    ?? UI.linkButton("Close the review…", href: "\(here)/review", style: .primary))
        }
        return buttons.isEmpty
            ? .none : el("div", .class("actions"), Attribute("role", "group"), .label("Actions")) { buttons }
    }

    private static func banners(_ detail: BreakGlassDetail, now: Instant) -> Node {
        let session = detail.session
        var out = Node.none
        if session.isSolo, session.state != .reviewed {
            out =
                out
                + UI.banner(
                    .warn, "\(detail.entry.person) opened it alone.",
                    "Everything else they may do is locked until somebody has reviewed it.")
        }
        if session.isOverdue(at: now), let due = session.reviewDueAt {
            out =
                out
                + UI.banner(
                    .danger, "Its review is overdue.",
                    "It was owed by \(TimeText.utcMinute(due))"
                        + (session.escalatedAt.map {
                            "; the CISO, every super admin and security were told at \(TimeText.utcMinute($0))."
                        }
                            ?? "."))
        }
        return out
    }

    private static func done(
        _ detail: BreakGlassDetail, _ events: BreakGlassEvents, _ call: PageCall, now: Instant
    ) -> Node {
        let here = "\(path)/\(detail.session.id)"
        func address(_ show: BreakGlassEvents.Show) -> PageAddress {
            PageAddress(path: here).with("show", show == .everything ? nil : show.rawValue)
        }
        let seesLog = call.caller.permissions.contains("audit.view")
        return UI.panel(
            "What \(detail.entry.person) did within it", id: "b-done",
            hint: detail.session.isOn(at: now) ? "so far" : nil
        ) {
            UI.panelBody {
                UI.views(
                    label: "What is shown",
                    BreakGlassEvents.Show.allCases.map { ($0.title, address($0).text, nil, events.show == $0) })
            }
            if events.rows.isEmpty {
                UI.empty("Nothing", "Every event of theirs is listed here as it happens.")
            } else {
                UI.table(
                    caption: "Events, the newest first",
                    columns: [
                        Column("UTC", .tight) { UI.clock($0.at, now: now) },
                        Column("Action", isRowHeader: true) { event in
                            let words = DoneWords.of(event, catalog: call.catalog)
                            let name = seesLog ? el("a", .href("/audit/\(event.id)")) { words } : Node(words)
                            guard let side = events.side(of: event) else { return name }
                            return name + UI.sub(beside(side))
                        },
                        Column("Target", .clip, priority: 2) { target(of: $0, in: detail.session) },
                        Column("On") { event in
                            event.tenantID == detail.session.tenant
                                ? UI.muted("the tenant")
                                : event.tenantID == nil ? UI.hint("no tenant") : UI.state("another", .warn, .tri)
                        },
                        Column("Outcome") { EventWords.outcome($0) },
                    ], rows: events.rows, density: .dense)
                if events.rows.contains(where: { events.side(of: $0) != nil }) {
                    UI.panelBody {
                        el("p", .class("hint")) {
                            let seconds = BreakGlassEvents.tolerance.seconds
                            "Servers’ clocks may differ by \(seconds) seconds. So events up to \(seconds) seconds before "
                            "it was opened or after its end are listed too, and marked."
                        }
                    }
                }
            }
        }
            + UI.pages(
                events.rows.count == 1 ? "1 event" : "\(events.rows.count) events",
                first: call.first("cursor") == nil ? nil : address(events.show).text,
                next: events.next.map { address(events.show).with("cursor", $0).text })
    }

    private static func beside(_ side: BreakGlassEvents.Side) -> String {
        switch side {
        case .before: "just before it was opened"
        case .after: "just after its end"
        }
    }

    /// What an event was about. An id says nothing to a person, and stands in full where the pointer rests.
    private static func target(of event: EventRow, in session: BreakGlass) -> Node {
        guard let id = event.targetID else { return .none }
        let noun = event.targetType.map { $0 == ApprovalRequest.type ? "Request" : DocumentDiff.label($0) }
        let words = event.targetName ?? (id == session.id ? "this emergency" : noun ?? id)
        return el("span", .class("muted"), .title(id)) { words }
    }

    private static func review(_ detail: BreakGlassDetail, now: Instant) -> Node {
        let session = detail.session
        guard session.state != .open else { return .none }
        var facts: [(label: String, value: Node)] = []
        if let reviewer = session.reviewedBy, let at = session.reviewedAt {
            facts = [("By", UI.person(detail.name(reviewer))), ("Closed", UI.timeWithUTC(at, now: now))]
        }
        if let ticket = session.followUp { facts.append(("Follow-up", Node(ticket))) }
        return UI.panel("Review", id: "b-review") {
            UI.panelBody {
                if let verdict = session.verdict {
                    UI.tightStack {
                        el("p") {
                            switch verdict {
                            case .justified: UI.state(words(verdict), .ok, .check)
                            case .findings: UI.state(words(verdict), .warn, .tri)
                            case .unjustified: UI.state(words(verdict), .danger, .x)
                            }
                        }
                        el("p", .class("prose")) {
                            if let findings = session.findings {
                                findings
                            } else {
                                UI.sealed("What was found went with the tenant, which is deleted for good.")
                            }
                        }
                        UI.facts(facts, tight: true)
                    }
                } else if let due = session.reviewDueAt {
                    el("p") {
                        "Owed "
                        UI.time(due, now: now)
                        ", by somebody who neither opened it nor agreed to it. Until then \(detail.entry.person) can’t open another."
                    }
                }
            }
        }
    }

    private static func why(_ detail: BreakGlassDetail) -> Node {
        let session = detail.session
        return UI.panel("Why", id: "b-why") {
            UI.panelBody {
                UI.tightStack {
                    el("p") { el("b") { reason(session.reasonCode) } }
                    el("p", .class("prose")) {
                        if let text = detail.justification {
                            "“\(text)”"
                        } else {
                            UI.sealed("What was written was erased.")
                        }
                    }
                    if let tried = session.tried {
                        el("p", .class("small muted")) { "Whom they tried to reach" }
                        el("p", .class("prose")) { "“\(tried)”" }
                    }
                }
            }
        }
    }

    private static func signatures(_ detail: BreakGlassDetail, now: Instant) -> Node {
        func when(_ at: Instant?) -> Node {
            guard let at else { return .none }
            return Node(" ") + el("span", .class("small muted")) { UI.timeWithUTC(at, now: now) }
        }
        // Alone nobody else is asked: it is opened as it is asked for.
        let asked = detail.askedAt ?? (detail.session.isSolo ? detail.session.openedAt : nil)
        return UI.panel("Signatures", id: "b-signed") {
            UI.panelBody {
                UI.tightStack {
                    el("p") {
                        UI.state("\(detail.entry.person) asked for it", .plain, .on)
                        when(asked)
                    }
                    for signer in detail.signers {
                        el("p") {
                            UI.state("\(detail.name(signer)) agreed", .ok, .check)
                            when(detail.facts.signedAt[signer])
                        }
                    }
                    if detail.session.isSolo {
                        el("p") { UI.state("Nobody else: it was opened alone", .warn, .tri) }
                    }
                }
            }
        }
    }

    private static func record(_ detail: BreakGlassDetail, _ call: PageCall) -> Node {
        let session = detail.session
        func linked(_ id: String, _ place: String, _ permission: String) -> Node {
            call.caller.permissions.contains(permission)
                ? el("a", .href("/\(place)/\(id)")) { UI.id(id) } : UI.id(id)
        }
        var facts: [(label: String, value: Node)] = [
            ("Break-glass", UI.id(session.id, copy: "break-glass id")),
            ("Event", linked(session.eventID, "audit", "audit.view")),
        ]
        if let request = detail.approvalID {
            facts.append(("Request", linked(request, "approvals", "approval.view")))
        }
        if session.state != .open { facts.append(("Ended", Node(ended(detail)))) }
        return UI.facts(facts)
    }
}
