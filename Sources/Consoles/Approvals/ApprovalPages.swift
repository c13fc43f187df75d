import HTML
import Kernel

enum ApprovalPages {
    static let list = Page("/approvals", permission: nil, menuPath: "/approvals") { call, reader in
        let listing = try ApprovalListing.load(call.readCall, from: reader)
        return PageAnswer(
            title: "Approvals",
            body: listBody(listing, held: try ClockJump.open(from: reader), call: call, now: reader.now),
            disclosure: listing.disclosure)
    }

    /// - Parameter held: why nothing is carried out by its time.
    static func listBody(
        _ listing: ApprovalListing, held: ClockJump? = nil, call: PageCall, now: Instant
    ) -> Node {
        typealias View = ApprovalListing.View
        var views: [(title: String, view: View)] = [("For you to decide", .asking), ("Your requests", .mine)]
        if call.caller.permissions.contains("approval.view") { views.append(("All that wait", .open)) }
        views.append(("Decided", .decided))
        func address(_ view: View) -> PageAddress {
            PageAddress(path: "/approvals").with("view", view == .asking ? nil : view.rawValue)
        }
        let notice = held.map { ClockNotice.node($0, call.caller) } ?? Node.none
        return UI.title("Approvals", lead: "What needs a second person")
            + UI.views(
                label: "Requests", views.map { ($0.title, address($0.view).text, nil, listing.view == $0.view) })
            + notice
            + UI.stack {
                if listing.entries.isEmpty {
                    empty(listing.view)
                } else {
                    el("div", .class("panel sized")) {
                        table(
                            caption(listing.view), listing.entries, call: call, now: now,
                            showsRequester: listing.view != .mine, isHeld: held != nil,
                            tellsDecision: listing.view == .decided)
                    }
                    UI.pages(
                        listing.entries.count == 1 ? "1 request" : "\(listing.entries.count) requests",
                        first: call.first("cursor") == nil ? nil : address(listing.view).text,
                        next: listing.next.map { address(listing.view).with("cursor", $0).text })
                }
            }
    }

    private static func caption(_ view: ApprovalListing.View) -> String {
        switch view {
        case .asking: "Requests your roles could sign, soonest to expire first"
        case .mine: "Your requests, newest first"
        case .open: "Requests that wait for signatures, soonest to expire first"
        case .decided: "Requests that were decided on, the latest decision first"
        }
    }

    private static func empty(_ view: ApprovalListing.View) -> Node {
        switch view {
        case .asking:
            UI.empty(
                "No request waits for your signature",
                "When a colleague’s request needs a signature you could give, it stands here.")
        case .mine:
            UI.empty("You asked for nothing yet", "When an operation needs a second person, your request stands here.")
        case .open: UI.empty("No request waits", "Requests stand here while they wait for signatures.")
        case .decided:
            UI.empty("Nothing was decided yet", "Requests stand here once they are signed, rejected or cancelled.")
        }
    }

    /// Requests as rows; also used on Home.
    /// - Parameters:
    ///   - isHeld: nothing is carried out by its time, and none is called expired.
    ///   - tellsDecision: they are in the order of their decisions, so that time is shown.
    static func table(
        _ caption: String, _ entries: [ApprovalEntry], call: PageCall, now: Instant, showsRequester: Bool,
        isHeld: Bool = false, tellsDecision: Bool = false
    ) -> Node {
        func asker(_ entry: ApprovalEntry) -> String { entry.requesterName ?? entry.request.requester }
        var columns: [Column<ApprovalEntry>] = [
            Column("Request", .wide, isRowHeader: true) { entry in
                el("a", .href("/approvals/\(entry.request.id)")) {
                    UI.breakable(title(entry, catalog: call.catalog))
                }
                    + (showsRequester ? UI.sub(insteadOfColumn: "Asked by \(asker(entry))") : .none)
            }
        ]
        if showsRequester { columns.append(Column("Asked by", priority: 3) { UI.person(asker($0)) }) }
        columns += [
            Column("Who must agree", priority: 2) { entry in
                UI.muted(entry.request.wanted)
            },
            Column(tellsDecision ? "Decided" : "Asked", .number, priority: 4) { entry in
                UI.time(entry.decidedAt ?? entry.request.createdAt, now: now)
            },
            Column("State") { state($0.request, isHeld: isHeld, now: now) },
            Column("Time left", .number) { timeLeft($0.request, isHeld: isHeld, now: now) },
        ]
        return UI.table(caption: caption, columns: columns, rows: entries, density: .normal)
    }

    /// By a clock that was set none is called expired.
    private static func state(_ request: ApprovalRequest, isHeld: Bool, now: Instant) -> Node {
        let isOverdue = !isHeld && request.state.isOpen && !request.isOpen(at: now)
        let (word, tone, mark) = words(request.state, expired: isOverdue)
        return UI.state(word, tone, mark)
    }

    /// Until it expires, or until it is carried out.
    private static func timeLeft(_ request: ApprovalRequest, isHeld: Bool, now: Instant) -> Node {
        if let start = request.executeAt, request.state.isDue {
            if isHeld { return UI.state("held", .warn, .stop) }
            return now < start ? Node("runs in \(TimeText.span(start - now))") : Node("due")
        }
        guard request.isOpen(at: now) else {
            return isHeld && request.state.isOpen ? UI.state("held", .warn, .stop) : UI.hint("none")
        }
        let left = request.expiresAt - now
        return left < .hours(1) ? UI.state(TimeText.span(left), .warn, .tri) : Node(TimeText.span(left))
    }

    /// - Parameter tellsSealed: false where it leaves the console: what something that is not there yet is called is sealed.
    static func title(_ entry: ApprovalEntry, catalog: Catalog, tellsSealed: Bool = true) -> String {
        let request = entry.request
        let title = catalog[request.operation]?.spec.title ?? request.operation
        let concerns = tellsSealed ? entry.concerns : nil
        let id = request.targetID ?? (concerns == nil ? request.aboutTenant : nil)
        let about = [id.map { entry.targetName ?? $0 }, concerns].compactMap(\.self)
        return about.isEmpty ? title : "\(title): \(about.joined(separator: ", "))"
    }

    static func stateChip(_ state: ApprovalRequest.State, expired: Bool) -> Node {
        let (word, tone, mark) = words(state, expired: expired)
        return UI.chip(word, tone, mark)
    }

    private static func words(_ state: ApprovalRequest.State, expired: Bool) -> (String, Tone, Glyph) {
        if expired { return ("Expired", .plain, .ring) }
        return switch state {
        case .pending: ("Waiting", .info, .ring)
        case .stale: ("Changed since, waiting", .warn, .tri)
        case .approved: ("Approved", .info, .half)
        case .scheduled: ("Scheduled", .info, .half)
        case .executed: ("Done", .ok, .check)
        case .rejected: ("Rejected", .danger, .x)
        case .expired: ("Expired", .plain, .ring)
        case .cancelled: ("Cancelled", .plain, .box)
        case .failed: ("Failed", .danger, .x)
        }
    }
}
