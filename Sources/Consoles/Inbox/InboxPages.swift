import HTML
import Kernel

enum InboxPages {
    static let list = Page("/inbox", permission: nil, menuPath: "/inbox") { call, reader in
        let listing = try InboxListing.load(call.readCall, catalog: call.catalog, from: reader)
        return PageAnswer(
            title: "Inbox", body: body(listing, call: call, now: reader.now), disclosure: listing.disclosure)
    }

    static func body(_ listing: InboxListing, call: PageCall, now: Instant) -> Node {
        func address(_ view: InboxListing.View) -> PageAddress {
            PageAddress(path: "/inbox").with("view", view == .unread ? nil : view.rawValue)
        }
        let views: [(title: String, view: InboxListing.View)] = [("Unread", .unread), ("All", .all)]
        let unread = listing.entries.filter { $0.notice.readAt == nil }
        // What came after this page was made stays unread.
        let newest = listing.entries.map(\.notice.createdAt).max()
        let everythingRead =
            unread.isEmpty || call.first("cursor") != nil
            ? Node.none
            : form("/inbox/read-all", call) {
                UI.hiddenField("until", newest.map { String($0.microseconds) } ?? "")
                UI.button("Mark all as read", size: .small)
            }
        return UI.title("Inbox", lead: "What concerns you", trailing: everythingRead)
            + UI.views(
                label: "Inbox",
                views.map { ($0.title, address($0.view).text, nil, listing.view == $0.view) })
            + el("p", .class("banner"), Attribute("data-inbox-new"), Attribute("hidden")) {
                el("span") { "Something new is here." }
                el("a", .href(address(listing.view).text)) { "Show it" }
            }
            + UI.stack {
                if listing.entries.isEmpty {
                    UI.empty(
                        listing.view == .unread ? "You have read everything" : "Nothing was told to you yet",
                        "Requests you could sign, what became of yours, emergencies and reviews that need you, and changes of your account are told here."
                    )
                } else {
                    el("div", .class("panel sized")) {
                        UI.table(
                            caption: listing.view == .unread
                                ? "What you have not read, newest first" : "Everything you were told, newest first",
                            columns: columns(call, now: now), rows: listing.entries, density: .normal, isCards: true)
                    }
                    UI.pages(
                        listing.entries.count == 1 ? "1 notice" : "\(listing.entries.count) notices",
                        first: call.first("cursor") == nil ? nil : address(listing.view).text,
                        next: listing.next.map { address(listing.view).with("cursor", $0).text })
                }
            }
    }

    private static func columns(_ call: PageCall, now: Instant) -> [Column<InboxEntry>] {
        [
            Column("What", .wide, isRowHeader: true) { entry in
                let isUnread = entry.notice.readAt == nil
                let text = el("span", .class(isUnread ? "medium" : "muted")) { UI.breakable(entry.title) }
                return
                    (entry.path.map { path in
                        el(
                            "a", .href(path),
                            .when(isUnread, Attribute("data-read", "/inbox/\(entry.notice.id)/read"))
                        ) { text }
                    } ?? text) + (entry.detail.map { UI.sub($0) } ?? .none) + asker(entry)
            },
            Column("Who", priority: 3) { entry in
                entry.who.map { UI.sub(deed(entry.notice.kind)) + UI.person($0) } ?? UI.hint("Postern")
            },
            Column("State", priority: 2) { state($0) },
            Column("Told", .number) { UI.time($0.notice.createdAt, now: now) },
            Column("Mark as read", .actions, hidesTitle: true) { entry in
                guard entry.notice.readAt == nil else { return .none }
                return form("/inbox/\(entry.notice.id)/read", call) {
                    UI.hiddenField("view", call.first("view") ?? "")
                    UI.button(
                        "Mark as read", size: .small, attributes: [.label("Mark as read: \(entry.title)")])
                }
            },
        ]
    }

    /// Who it comes from, where there is no room for a column.
    private static func asker(_ entry: InboxEntry) -> Node {
        entry.who.map { UI.sub(insteadOfColumn: "\(deed(entry.notice.kind)) \($0)") } ?? .none
    }

    /// What whoever is named did: beside what waits for somebody, a name alone reads as if it waited for them.
    private static func deed(_ kind: Notice.Kind) -> String {
        switch kind {
        case .asked, .askedAgain, .remindedAtHalf, .remindedAtLast: "Asked by"
        case .signed, .scheduled: "Signed by"
        case .rejected: "Rejected by"
        case .cancelled: "Cancelled by"
        case .rolesChanged: "Changed by"
        case .factorsReset: "Reset by"
        case .emergencyOpened: "Opened by"
        case .sessionsEnded, .emergencyEnded, .emergencyOwed: "Ended by"
        case .emergencyReviewed: "Reviewed by"
        // By the start, by whoever handed grants on, or because a reviewer left.
        case .accessReviewAsked: "Given to you by"
        case .grantKept, .grantRevoked: "Decided by"
        // The others are Postern's, but for an exception.
        default: "Caused by"
        }
    }

    private static func state(_ entry: InboxEntry) -> Node {
        state(isUnread: entry.notice.readAt == nil, isMoot: entry.notice.isMoot)
    }

    static func state(isUnread: Bool, isMoot: Bool) -> Node {
        if isMoot { return UI.state("Decided by others", .plain, .box) }
        return isUnread ? UI.state("Unread", .info, .on) : UI.state("Read", .plain, .ring)
    }

    private static func form(_ action: String, _ call: PageCall, @NodeBuilder _ body: () -> Node) -> Node {
        el("form", Attribute("method", "post"), Attribute("action", action)) {
            UI.hiddenField("csrf", call.csrf)
            body()
        }
    }
}
