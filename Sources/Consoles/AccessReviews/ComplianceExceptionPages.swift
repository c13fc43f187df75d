import HTML
import Kernel

/// `/compliance-exceptions`
enum ComplianceExceptionPages {
    private static let permission = "compliance.view"

    static let list = Page("/compliance-exceptions", permission: permission, menuPath: "/compliance-exceptions") {
        call, reader in
        let listing = try ComplianceExceptionListing.load(call.readCall, from: reader)
        let now = reader.now
        func address(_ view: ComplianceExceptionListing.View) -> PageAddress {
            PageAddress(path: "/compliance-exceptions").with("view", view == .open ? nil : view.rawValue)
        }
        let body =
            UI.title("Compliance exceptions", lead: "Controls that do not hold at the moment, and until when")
            + UI.views(
                label: "Compliance exceptions by state",
                [
                    ("Open", address(.open).text, nil, listing.view == .open),
                    ("Closed", address(.closed).text, nil, listing.view == .closed),
                ])
            + UI.stack {
                el("section", .class("panel"), .label("Compliance exceptions")) {
                    if listing.items.isEmpty {
                        listing.view == .open
                            ? UI.empty(
                                "No exception is open", "One appears here when a control was not carried out in time.")
                            : UI.empty("None was closed yet", "Exceptions that are closed are kept here.")
                    } else {
                        UI.table(
                            caption: "Compliance exceptions, \(listing.items.count) on this page, the newest first",
                            columns: [
                                Column("What", .wide, isRowHeader: true) { one in
                                    el("a", .href("/compliance-exceptions/\(one.id)")) { one.title }
                                }, Column("Control", .tight) { UI.tag($0.controlID) },
                                Column("Severity") { severity($0.severity) },
                                Column("State") { status($0, now: now, dense: true) },
                                Column("Owner", priority: 3) { one in
                                    one.owner.map { UI.person(listing.names[$0] ?? $0) } ?? UI.hint("nobody")
                                },
                                Column("Open since", .number, priority: 4) { UI.time($0.openedAt, now: now) },
                                Column("To be closed", .number, priority: 2) { UI.time($0.targetClose, now: now) },
                            ], rows: listing.items)
                    }
                }
                UI.pages(
                    listing.items.count == 1 ? "1 exception" : "\(listing.items.count) exceptions",
                    first: call.first("cursor") == nil ? nil : address(listing.view).text,
                    next: listing.next.map { address(listing.view).with("cursor", $0).text })
            }
        return PageAnswer(title: "Compliance exceptions", body: body, disclosure: listing.disclosure)
    }

    static let view = Page(
        "/compliance-exceptions/{id}", permission: permission, menuPath: "/compliance-exceptions"
    ) { call, reader in
        let exception = try ComplianceExceptionListing.find(call.path["id"] ?? "", from: reader)
        let names = try StaffDetail.names([exception.owner, exception.closedBy].compactMap { $0 }, from: reader)
        let now = reader.now
        let source =
            !call.caller.permissions.contains("access_review.view")
            ? UI.id(exception.sourceID)
            : exception.sourceType == AccessReviewPlan.type
                ? el("a", .href("/access-reviews#r-schedule")) { "The schedule of access reviews" }
                : exception.sourceType == AccessReview.type
                    ? el("a", .href("/access-reviews/\(exception.sourceID)")) { "The access review" }
                    : UI.id(exception.sourceID)
        let body =
            UI.crumbs([("Compliance exceptions", "/compliance-exceptions")], here: exception.title)
            + UI.title(exception.title) {
                status(exception, now: now, dense: false)
                severity(exception.severity)
                UI.id(exception.id, copy: "exception id")
            }
            + UI.keyFacts([
                ("Control", UI.tag(exception.controlID)), ("About", source),
                ("Owner", exception.owner.map { UI.person(names[$0] ?? $0) } ?? UI.hint("nobody")),
                ("Open since", UI.time(exception.openedAt, now: now)),
                ("To be closed", UI.time(exception.targetClose, now: now)),
                (
                    "Closed",
                    exception.closedAt.map { at in
                        UI.time(at, now: now) + Node(exception.closedBy.map { " by \(names[$0] ?? $0)" } ?? "")
                    } ?? UI.hint("not yet")
                ),
            ])
            + UI.stack {
                el("p") {
                    exception.status.isOver
                        ? "It is kept as it was. What happened is in the audit log."
                        : "It is closed when what it is about is finished. Whoever owns it sees to that."
                }
                if call.caller.permissions.contains("audit.view") {
                    el("p") {
                        el("a", .href("/audit?target=\(exception.sourceID)")) { "What was done about it" }
                    }
                }
            }
        return PageAnswer(
            title: exception.title, body: body,
            disclosure: Disclosure(
                "compliance_exception.view", target: (ComplianceException.type, exception.id), count: 1,
                ids: [exception.id]))
    }

    static func severity(_ severity: ComplianceException.Severity) -> Node {
        switch severity {
        case .low: UI.state("Low", .plain, .ring)
        case .medium: UI.state("Medium", .info, .half)
        case .high: UI.state("High", .warn, .tri)
        case .critical: UI.state("Critical", .danger, .tri)
        }
    }

    static func status(_ exception: ComplianceException, now: Instant, dense: Bool) -> Node {
        let (word, tone, mark): (String, Tone, Glyph) =
            switch exception.status {
            case .open where exception.targetClose <= now: ("Past its time", .danger, .tri)
            case .open: ("Open", .warn, .ring)
            case .mitigating: ("Mitigating", .info, .half)
            case .closed: ("Closed", .ok, .on)
            case .accepted: ("Accepted", .plain, .stop)
            }
        return dense ? UI.state(word, tone, mark) : UI.chip(word, tone, mark)
    }
}
