import HTML
import Kernel

/// `/discrepancies`
enum DiscrepancyPages {
    static let list = Page("/discrepancies", permission: "integrity.view", menuPath: "/discrepancies") { call, reader in
        let listing = try DiscrepancyListing.load(call.readCall, from: reader)
        let now = reader.now
        let views: [(String, Discrepancy.State?)] = [
            ("All", nil), ("Open", .open), ("Kept", .adopted), ("Put back", .restored),
            ("Settled by itself", .vanished),
        ]
        func address(_ state: Discrepancy.State?) -> PageAddress {
            PageAddress(path: "/discrepancies").with("state", state?.rawValue)
        }
        let body =
            UI.title("Integrity", lead: "Rows that are not what the log says")
            + UI.views(
                label: "Cases by state", views.map { ($0.0, address($0.1).text, nil, listing.state == $0.1) })
            + UI.stack {
                if listing.items.isEmpty {
                    empty(listing.state)
                } else {
                    el("div", .class("panel sized")) { table(listing.items, now: now) }
                    UI.pages(
                        listing.items.count == 1 ? "1 case" : "\(listing.items.count) cases",
                        first: call.first("cursor") == nil ? nil : address(listing.state).text,
                        next: listing.next.map { address(listing.state).with("cursor", $0).text })
                }
            }
        return PageAnswer(title: "Integrity", body: body)
    }

    private static func empty(_ state: Discrepancy.State?) -> Node {
        guard state == nil else {
            return UI.empty(
                "No case matches", "Take the filter away.",
                action: UI.linkButton("Show all cases", href: "/discrepancies"))
        }
        return UI.empty(
            "Every row is what the log says",
            "The server compares all of them now and then, and opens a case here for each that somebody changed beside the log."
        )
    }

    private static func table(_ items: [Discrepancy], now: Instant) -> Node {
        UI.table(
            caption: "Rows that differ from the log, \(items.count) on this page, open cases first",
            columns: [
                Column("Row", isRowHeader: true) { found in
                    el("a", .href("/discrepancies/\(found.id)")) { DocumentDiff.label(found.rowType) } + Node(" ")
                        + UI.id(found.rowID)
                },
                Column("What is wrong") { Node(words($0.kind)) },
                Column("State") { state($0.state, dense: true) },
                Column("Found", .number) { UI.time($0.foundAt, now: now) },
                Column("Settled", .number, priority: 2) { found in
                    found.settledAt.map { UI.time($0, now: now) } ?? UI.hint("not yet")
                },
            ], rows: items, stickyHead: true)
    }

    static func words(_ kind: Discrepancy.Kind) -> String {
        switch kind {
        case .edited: "Changed beside the log"
        case .deleted: "Removed beside the log"
        case .unlogged: "Added beside the log"
        case .pointer: "The pointer to its last event was changed"
        }
    }

    static func state(_ state: Discrepancy.State, dense: Bool) -> Node {
        let (word, tone, mark): (String, Tone, Glyph) =
            switch state {
            case .open: ("Open", .danger, .tri)
            case .adopted: ("Kept as it is", .plain, .on)
            case .restored: ("Put back", .ok, .check)
            case .vanished: ("Agrees again", .ok, .on)
            }
        return dense ? UI.state(word, tone, mark) : UI.chip(word, tone, mark)
    }

    static let view = Page("/discrepancies/{id}", permission: "integrity.view", menuPath: "/discrepancies") {
        call, reader in
        let detail = try DiscrepancyDetail.load(call.path["id"] ?? "", from: reader)
        let found = detail.discrepancy
        let now = reader.now
        let title = found.displayName
        let lastEvent: Node =
            detail.comparison?.event.map { event in
                call.caller.permissions.contains("audit.view")
                    ? el("a", .href("/audit/\(event)")) { "the event" } : UI.id(event)
            } ?? UI.hint("none")
        let row = EventWords.path(type: found.rowType, id: found.rowID, for: call.caller)
        let body =
            UI.crumbs([("Integrity", "/discrepancies")], here: title)
            + UI.title(title) {
                state(found.state, dense: false)
                UI.id(found.id, copy: "case id")
            }
            + UI.keyFacts([
                ("What is wrong", Node(words(found.kind))), ("Found", UI.time(found.foundAt, now: now)),
                ("Settled", found.settledAt.map { UI.time($0, now: now) } ?? UI.hint("not yet")),
                ("Last in the log", lastEvent),
                ("Row", row.map { path in el("a", .href(path)) { "open it" } } ?? UI.id(found.rowID)),
            ])
            + UI.actionBar(
                found, path: "/discrepancies/\(found.id)", catalog: call.catalog, caller: call.caller, now: now)
            + UI.stack { comparison(detail) }
        return PageAnswer(title: title, body: body, disclosure: detail.disclosure)
    }

    private static func comparison(_ detail: DiscrepancyDetail) -> Node {
        guard detail.discrepancy.state == .open else { return .none }
        guard let comparison = detail.comparison else {
            return UI.banner(
                .warn, "Rows of this kind are put right by hand",
                "The case closes by itself when the row and the log agree again. postern verify says what differs.")
        }
        guard !comparison.agrees else {
            return UI.banner(.ok, "The row and the log agree again", "The next sweep closes the case.")
        }
        let logged = comparison.loggedDocument
        let stored = comparison.stored?.entity?.document
        return UI.panel("What differs", id: "i-diff", hint: "what the log says, and what stands in the table") {
            UI.panelBody {
                if logged != nil || stored != nil {
                    UI.diff(
                        before: logged, after: stored, caption: "The log beside the row",
                        captions: ("In the log", "In the table"), fields: .all, showsBefore: true)
                }
                for column in comparison.stored?.edited ?? [] {
                    el("p") {
                        "The column "
                        UI.code(column)
                        " is not as it would be stored."
                    }
                }
                if comparison.pointsElsewhere { el("p") { "The pointer to the row’s last event names another one." } }
            }
        } + ways(comparison)
    }

    private static func ways(_ comparison: RowComparison) -> Node {
        let shut = [
            comparison.whyNotRestored.map { ("It can’t be put back", $0) },
            comparison.whyNotAdopted.map { ("It can’t be kept as it is", $0) },
        ].compactMap(\.self)
        return shut.reduce(Node.none) { all, way in all + UI.banner(.info, way.0, sentence(way.1)) }
    }

    private static func sentence(_ clause: String) -> String {
        clause.prefix(1).uppercased() + clause.dropFirst() + "."
    }
}
