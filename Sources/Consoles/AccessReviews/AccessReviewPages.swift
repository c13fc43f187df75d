import HTML
import Kernel

/// `/access-reviews`
enum AccessReviewPages {
    static let permission = "access_review.view"

    // MARK: Campaigns

    static let list = Page("/access-reviews", permission: permission, menuPath: "/access-reviews") { call, reader in
        let listing = try AccessReviewListing.load(call.readCall, from: reader)
        let now = reader.now
        let states: [(String, AccessReview.State?)] = [
            ("All", nil), ("Open", .open), ("Closed", .closed), ("Cancelled", .cancelled),
        ]
        func address(_ state: AccessReview.State?) -> PageAddress {
            PageAddress(path: "/access-reviews").with("state", state?.rawValue)
        }
        let start =
            call.caller.permissions.contains(StartAccessReview.spec.permission)
            ? UI.linkButton("Start a review…", href: "/access-reviews/new", style: .primary, icon: "plus") : .none
        let owed = try owedBanners(call, now: now, from: reader)
        let schedule = try schedulePanel(AccessReviewList.schedule(from: reader), call, now: now, from: reader)
        let body =
            UI.title("Access reviews", lead: "Who holds which role, looked at again", trailing: start)
            + (owed.isEmpty ? .none : UI.stack { owed })
            + UI.views(
                label: "Reviews by state",
                states.map { ($0.0, address($0.1).text, nil, listing.state == $0.1) })
            + UI.stack {
                el("section", .class("panel"), .label("Reviews")) {
                    if listing.entries.isEmpty {
                        listing.state == nil
                            ? UI.empty("No review yet", "One starts by the schedule below, or by hand.")
                            : UI.empty(
                                "No review is in this state", "Take the filter away.",
                                action: UI.linkButton("Show all reviews", href: "/access-reviews"))
                    } else {
                        table(listing, now: now)
                    }
                }
                UI.pages(
                    listing.entries.count == 1 ? "1 review" : "\(listing.entries.count) reviews",
                    first: call.first("cursor") == nil ? nil : address(listing.state).text,
                    next: listing.next.map { address(listing.state).with("cursor", $0).text })
                schedule
            }
        return PageAnswer(title: "Access reviews", body: body, disclosure: listing.disclosure)
    }

    private static func table(_ listing: AccessReviewListing, now: Instant) -> Node {
        UI.table(
            caption: "Reviews, \(listing.entries.count) on this page, the newest first",
            columns: [
                Column("Review", isRowHeader: true) { entry in
                    el("a", .href("/access-reviews/\(entry.review.id)")) {
                        "\(TimeText.day(entry.review.startedAt.day))"
                    } + UI.sub(entry.review.isPlanned ? "by the schedule" : "by hand")
                },
                Column("Roles", priority: 2) { entry in tags(entry.review.roles) },
                Column("State") { entry in state(entry.review, now: now, dense: true) },
                Column("Decided", .number) { entry in
                    Node("\(entry.progress.decided) of \(entry.progress.total)")
                },
                Column("Due", .number, priority: 3) { entry in UI.time(entry.review.dueAt, now: now) },
                Column("Started by", priority: 4) { entry in
                    UI.muted(
                        entry.review.isPlanned
                            ? "Postern" : StaffDetail.called(entry.review.startedBy, listing.names))
                },
            ], rows: listing.entries)
    }

    private static func tags(_ roles: [String]) -> Node { UI.row { for role in roles { AccessNames.tag(role) } } }

    /// What waits for whoever looks.
    private static func owedBanners(_ call: PageCall, now: Instant, from reader: any Reader) throws -> Node {
        let reviews = try AccessReviewOwed.load(call.caller, from: reader)
        return reviews.reduce(Node.none) { out, one in
            out
                + UI.banner(
                    one.review.isOverdue(at: now) ? .danger : .info,
                    one.count == 1 ? "1 grant waits for your decision." : "\(one.count) grants wait for your decision.",
                    "In the review of \(one.review.displayName), due \(TimeText.relative(one.review.dueAt, now: now)).",
                    action: UI.linkButton(
                        "Decide…", href: "/access-reviews/\(one.review.id)?state=open&reviewer=me", size: .small))
        }
    }

    private static func schedulePanel(
        _ schedule: AccessReviewPlan, _ call: PageCall, now: Instant, from reader: any Reader
    ) throws -> Node {
        let last = try reader.first(AccessReviewQueries.lastPlanned).map { try AccessReview($0) }
        let isDue = schedule.isDue(at: now, last: last?.startedAt)
        let hindrance = try isDue ? AccessReviewList.load(schedule.roles, from: reader).hindrance : nil
        let next: Node
        if !schedule.isOn {
            next = UI.hint("none: switched off")
        } else if isDue {
            next = last?.state == .open ? Node("once the one that is open is closed") : Node("now")
        } else {
            next = UI.timeWithUTC(schedule.cadence.next(after: now), now: now)
        }
        return UI.panel(
            "Schedule", id: "r-schedule", hint: "reviews that start by themselves",
            actions: call.caller.permissions.contains(ChangeAccessReviewPlan.spec.permission)
                ? UI.linkButton(
                    "Change…", href: "/access-review-plans/\(AccessReviewPlan.only)/change", size: .small) : .none
        ) {
            UI.panelBody {
                if let hindrance { UI.banner(.danger, "The review that is due can’t start.", hindrance) }
                UI.facts([
                    ("Every", schedule.isOn ? Node(schedule.cadence.words) : UI.hint("never")),
                    ("Roles", tags(schedule.roles)),
                    ("Due after", Node("\(schedule.daysUntilDue) days")), ("Next", next),
                ])
            }
        }
    }

    static func state(_ review: AccessReview, now: Instant, dense: Bool) -> Node {
        let (word, tone, mark): (String, Tone, Glyph) =
            switch review.state {
            case .open where review.isOverdue(at: now): ("Overdue", .danger, .tri)
            case .open: ("Open", .info, .half)
            case .closed: ("Closed", .ok, .on)
            case .cancelled: ("Cancelled", .plain, .x)
            }
        return dense ? UI.state(word, tone, mark) : UI.chip(word, tone, mark)
    }

    static func state(_ state: AccessReviewItem.State) -> Node {
        switch state {
        case .open: UI.state("Undecided", .warn, .ring)
        case .kept: UI.state("Kept", .ok, .on)
        case .revoked: UI.state("Revoked", .danger, .x)
        case .ended: UI.state("Ended meanwhile", .plain, .box)
        }
    }

    // MARK: One campaign

    static let view = Page("/access-reviews/{id}", permission: permission, menuPath: "/access-reviews") {
        call, reader in
        // A row holds much; as many as one looks through before the next page.
        var query = call.query
        query["limit"] = query["limit"] ?? ["25"]
        let items = try AccessReviewItems.load(
            ReadCall(path: call.path, query: query, caller: call.caller, cursors: call.cursors), from: reader)
        let review = items.review
        let now = reader.now
        let exception = try review.exceptionID.flatMap { try ComplianceException.load($0, from: reader) }
        let said = notices(items, exception, call.caller, now: now)
        let body =
            UI.crumbs([("Access reviews", "/access-reviews")], here: TimeText.day(review.startedAt.day))
            + UI.title("Access review of \(TimeText.day(review.startedAt.day))", trailing: exits(review, call.caller)) {
                state(review, now: now, dense: false)
                UI.id(review.id, copy: "review id")
            }
            + UI.keyFacts(keyFacts(items, now: now))
            + UI.actionBar(
                review, path: "/access-reviews/\(review.id)", catalog: call.catalog, caller: call.caller, now: now,
                waiting: try ApprovalList.waiting(on: review.id, for: call.caller, from: reader),
                elsewhere: offered(items))
            + (said.isEmpty ? .none : UI.stack { said })
            + UI.views(label: "Grants by decision", views(items, address: address(items)))
            + reviewerFilter(items, call.caller)
            + UI.stack {
                if items.entries.isEmpty {
                    el("div", .class("panel")) { empty(items) }
                } else {
                    grants(items, call, now: now)
                    UI.pages(
                        items.entries.count == 1 ? "1 grant" : "\(items.entries.count) grants",
                        first: call.first("cursor") == nil ? nil : address(items).text,
                        next: items.next.map { address(items).with("cursor", $0).text })
                }
                if call.caller.permissions.contains("audit.view") {
                    el("p", .class("no-print")) {
                        el("a", .href("/audit?target=\(review.id)")) { "What was done about this review" }
                    }
                }
            }
        return PageAnswer(
            title: "Access review of \(TimeText.day(review.startedAt.day))", body: body, disclosure: items.disclosure)
    }

    private static func exits(_ review: AccessReview, _ caller: Caller) -> Node {
        UI.linkButton("Printable result", href: "/access-reviews/\(review.id)/report", icon: "print")
            + (caller.permissions.contains(AccessReviewEvidence.source.permission)
                ? UI.linkButton(
                    "Evidence", href: "/api/v1/access-reviews/\(review.id)/evidence", icon: "download") : .none)
    }

    private static func keyFacts(_ items: AccessReviewItems, now: Instant) -> [(label: String, value: Node)] {
        let review = items.review
        let progress = items.progress
        let starter = review.isPlanned ? "the schedule" : items.name(review.startedBy)
        let reviewers = review.reviewers.map(items.name).joined(separator: ", ")
        var facts: [(label: String, value: Node)] = [
            ("Roles", tags(review.roles)),
            ("Started", UI.time(review.startedAt, now: now) + Node(" by \(starter)")),
            (review.state == .open ? "Due" : "Was due", UI.time(review.dueAt, now: now)),
            ("Decided", Node("\(progress.decided) of \(progress.total) ") + meter(progress)),
            (
                "Reviewers",
                review.reviewers.isEmpty ? UI.hint("nobody") : el("span", .class("long")) { reviewers }
            ),
        ]
        if let at = review.endedAt {
            facts.append(("Ended", UI.time(at, now: now) + Node(" by \(items.name(review.endedBy ?? ""))")))
        }
        return facts
    }

    private static func meter(_ progress: AccessReviewProgress) -> Node {
        let total = Double(max(1, progress.total))
        return UI.meter(
            [
                (.ok, Double(progress.kept) / total), (.danger, Double(progress.revoked) / total),
                (.info, Double(progress.ended) / total),
            ],
            label:
                "\(progress.kept) kept, \(progress.revoked) revoked, \(progress.ended) ended meanwhile, \(progress.open) undecided"
        )
    }

    /// Grants on this page for which there is no reviewer.
    private static func lost(_ items: AccessReviewItems) -> Int {
        items.entries.count { $0.standing == .open && $0.item.reviewer == nil }
    }

    /// What the notices offer.
    private static func offered(_ items: AccessReviewItems) -> Set<String> {
        guard items.review.state == .open else { return [] }
        var names: Set<String> = []
        if items.progress.open == 0 { names.insert(CloseAccessReview.spec.name) }
        if lost(items) > 0 { names.insert(ReassignAccessReview.spec.name) }
        return names
    }

    private static func notices(
        _ items: AccessReviewItems, _ exception: ComplianceException?, _ caller: Caller, now: Instant
    ) -> Node {
        let review = items.review
        var out = Node.none
        if let exception, !exception.status.isOver {
            out =
                out
                + UI.banner(
                    .danger, "This review was not finished in time.",
                    "An exception to \(exception.controlID) is open since \(TimeText.relative(exception.openedAt, now: now)). It is closed with the review.",
                    action: caller.permissions.contains("compliance.view")
                        ? UI.linkButton(
                            "See the exception", href: "/compliance-exceptions/\(exception.id)", size: .small)
                        : .none)
        }
        guard review.state == .open else { return out }
        if items.progress.open == 0, caller.permissions.contains(CloseAccessReview.spec.permission) {
            out =
                out
                + UI.banner(
                    .ok, "Every grant is decided.", "Close the review: from then on it is evidence.",
                    action: UI.linkButton(
                        "Close review…", href: "/access-reviews/\(review.id)/close", style: .primary, size: .small))
        }
        let lost = lost(items)
        if lost > 0 {
            out =
                out
                + UI.banner(
                    .warn, lost == 1 ? "For 1 grant there is no reviewer." : "For \(lost) grants there is no reviewer.",
                    "Nobody decides on their own. Name somebody else who may.",
                    action: caller.permissions.contains(ReassignAccessReview.spec.permission)
                        ? UI.linkButton("Reassign…", href: "/access-reviews/\(review.id)/reassign", size: .small)
                        : .none)
        }
        return out
    }

    static func address(_ items: AccessReviewItems) -> PageAddress {
        PageAddress(path: "/access-reviews/\(items.review.id)").with("state", items.state?.rawValue)
            .with("reviewer", items.reviewer)
    }

    private static func views(
        _ items: AccessReviewItems, address: PageAddress
    ) -> [(title: String, href: String, count: Int64?, isCurrent: Bool)] {
        let all: [(String, AccessReviewItem.State?)] = [
            ("All", nil), ("Undecided", .open), ("Kept", .kept), ("Revoked", .revoked), ("Ended meanwhile", .ended),
        ]
        return all.map { title, state in
            (
                title,
                PageAddress(path: "/access-reviews/\(items.review.id)").with("state", state?.rawValue)
                    .with("reviewer", items.reviewer).text,
                // The counts are of everybody's.
                items.reviewer == nil ? Int64(state.map { items.progress[$0] } ?? items.progress.total) : nil,
                items.state == state
            )
        }
    }

    private static func reviewerFilter(_ items: AccessReviewItems, _ caller: Caller) -> Node {
        let people = items.review.reviewers.map { (id: $0, name: items.name($0)) }.sorted { $0.name < $1.name }
        guard !people.isEmpty else { return .none }
        return el(
            "form", .class("query no-print"), .id("filters"), Attribute("role", "search"), .label("Filter by reviewer"),
            Attribute("action", "/access-reviews/\(items.review.id)")
        ) {
            if let state = items.state { UI.hiddenField("state", state.rawValue) }
            el("label", Attribute("for", "r-reviewer")) {
                el("span") { "Reviewer" }
                el("select", .class("input"), .id("r-reviewer"), .name("reviewer")) {
                    el("option", .value("")) { "Everybody" }
                    for person in people {
                        el(
                            "option", .value(person.id), .when(items.reviewer == person.id, Attribute("selected"))
                        ) { person.id == caller.person ? "\(person.name) (you)" : person.name }
                    }
                }
            }
            UI.button("Filter")
        }
            + UI.tools {
                UI.filtersButton
                if let reviewer = items.reviewer {
                    UI.activeFilter(
                        "Reviewer: \(items.names[reviewer] ?? reviewer)",
                        remove: PageAddress(path: "/access-reviews/\(items.review.id)")
                            .with("state", items.state?.rawValue).text)
                }
            }
    }

    private static func empty(_ items: AccessReviewItems) -> Node {
        if items.state == .open, items.reviewer == nil {
            return UI.empty("Everything is decided", "Nothing is left to look at in this review.")
        }
        return UI.empty(
            "No grant fits", "Take a filter away.",
            action: UI.linkButton("Show all grants", href: "/access-reviews/\(items.review.id)"))
    }

    /// Whether this person may decide on it, as far as can be said without asking the operation.
    private static func decides(_ entry: AccessReviewItems.Entry, _ items: AccessReviewItems, _ caller: Caller) -> Bool
    {
        items.review.state == .open && entry.standing == .open && entry.item.staffID != caller.person
            && items.review.reviewers.contains(caller.person)
            && caller.permissions.contains(KeepReviewedGrant.spec.permission)
    }

    /// Of when the columns below tell, and of what: their ages grow while what they say stands still.
    private static func frozen(_ review: AccessReview) -> Node {
        let events = Grouped.digits(Int64(AccessReviewQueries.lookedThrough))
        // It leaves with the column of the sign-in.
        return el("p", .class("panel__body hint p4")) {
            "Sign-in and use are as they were when the review started, \(TimeText.utcMinute(review.startedAt)). Use "
            "counts operations of high risk only, as far as a person’s newest \(events) events tell."
        }
    }

    private static func grants(_ items: AccessReviewItems, _ call: PageCall, now: Instant) -> Node {
        let caller = call.caller
        let mine = items.entries.filter { decides($0, items, caller) }
        let isDeciding = !mine.isEmpty
        var columns = self.columns(items, call, now: now)
        if isDeciding || (items.review.state == .open && items.review.reviewers.contains(caller.person)) {
            columns.append(
                Column("Decide", .actions, hidesTitle: true) { entry in
                    let path = "/access-review-items/\(entry.item.id)"
                    let who = entry.item.displayName
                    guard entry.item.staffID != caller.person else { return UI.hint("yours: others decide") }
                    // In every row, so it is not coloured before it is chosen.
                    let revoking = UI.linkButton(
                        "Revoke…", href: "\(path)/revoke", style: .quiet, size: .small,
                        attributes: [.label("Revoke \(who)…")])
                    if decides(entry, items, caller) {
                        return UI.linkButton(
                            "Keep…", href: "\(path)/keep", size: .small, attributes: [.label("Keep \(who)…")])
                            + Node(" ") + revoking
                    }
                    return entry.item.state == .kept && entry.isLive ? revoking : .none
                })
        }
        let caption = "Grants, \(items.entries.count) on this page"
        guard isDeciding else {
            return el("div", .class("panel sized")) {
                frozen(items.review)
                UI.table(caption: caption, columns: columns, rows: items.entries, density: .plain, isCards: true)
            }
        }
        return el("form", Attribute("method", "post"), Attribute("action", "/several")) {
            UI.hiddenField("csrf", call.csrf)
            UI.hiddenField("back", address(items).text)
            el("div", .class("panel sized")) {
                frozen(items.review)
                UI.table(
                    caption: caption, columns: columns, rows: items.entries, density: .plain, isCards: true,
                    select: { entry in
                        decides(entry, items, caller) ? (value: entry.item.id, label: entry.item.displayName) : nil
                    })
            }
            el("div", .class("selbar"), Attribute("role", "group"), .label("What is ticked")) {
                el("span") { "What is ticked:" }
                UI.button("Keep…", size: .small, name: "operation", value: KeepReviewedGrant.spec.name)
                UI.button("Revoke…", size: .small, name: "operation", value: RevokeReviewedGrant.spec.name)
            }
        }
    }

    private static func columns(
        _ items: AccessReviewItems, _ call: PageCall, now: Instant
    ) -> [Column<AccessReviewItems.Entry>] {
        let seesStaff = call.caller.permissions.contains("staff.view")
        return [
            Column("Person", isRowHeader: true) { entry in
                seesStaff
                    ? el("a", .href("/staff/\(entry.item.staffID)")) { UI.person(entry.item.name) }
                    : UI.person(entry.item.name)
            },
            Column("Role") { entry in AccessNames.tag(entry.item.role) },
            Column("Granted", priority: 3) { entry in
                UI.time(entry.item.grantedAt, now: now) + UI.sub("by \(items.name(entry.item.grantedBy))")
            },
            Column("Until", priority: 4) { entry in
                entry.item.expiresAt.map { UI.time($0, now: now) } ?? UI.hint("no end")
            },
            Column("Signed in", priority: 4) { entry in
                entry.item.lastSignInAt.map { UI.time($0, now: now) } ?? UI.hint("never")
            },
            Column("Used", priority: 5) { entry in use(entry.item, call.catalog, now: now) },
            Column("Decision") { entry in decision(entry, items, now: now) },
        ]
    }

    /// A request counts as use: who asks for it has need of the role, whether or not anything came of it.
    private static func use(_ item: AccessReviewItem, _ catalog: Catalog, now: Instant) -> Node {
        guard let at = item.lastUsedAt else { return UI.hint("no operation of high risk") }
        return UI.time(at, now: now)
            + (item.lastUsedFor.map { UI.sub("last done or asked for: \(catalog[$0]?.spec.title ?? $0)") } ?? .none)
    }

    private static func decision(_ entry: AccessReviewItems.Entry, _ items: AccessReviewItems, now: Instant) -> Node {
        let item = entry.item
        switch entry.standing {
        case .open:
            return state(.open)
                + UI.sub(item.reviewer.map { "with \(items.name($0))" } ?? "nobody looks at it")
        case .kept, .revoked:
            return state(item.state)
                + UI.sub(
                    Node("\(item.decidedBy.map(items.name) ?? ""), ")
                        + (item.decidedAt.map { UI.time($0, now: now) } ?? .none))
                + UI.sub(entry.reason ?? "the reason was erased")
        case .ended:
            return state(.ended) + (entry.endedAt.map { UI.sub(UI.time($0, now: now)) } ?? .none)
        }
    }

    // MARK: The result on paper

    static let report = Page("/access-reviews/{id}/report", permission: permission, menuPath: "/access-reviews") {
        call, reader in
        let items = try AccessReviewItems.whole(
            AccessReviewListing.find(call.path["id"] ?? "", from: reader), from: reader)
        let review = items.review
        let now = reader.now
        let exception = try review.exceptionID.flatMap { try ComplianceException.load($0, from: reader) }
        let progress = items.progress
        let body =
            UI.crumbs(
                [
                    ("Access reviews", "/access-reviews"),
                    (TimeText.day(review.startedAt.day), "/access-reviews/\(review.id)"),
                ],
                here: "Result")
            + UI.title(
                "Result of the access review",
                trailing: el("span", .class("hint no-print")) { "Print this page, or save it as PDF." }
            ) { state(review, now: now, dense: false) }
            + el("div", .class("print-only evidence")) {
                el("p") {
                    el("b") { "Postern evidence for CC6.2 and CC6.3" }
                    ", printed \(TimeText.utc(now)) by \(call.caller.displayName), request \(call.caller.requestID)."
                }
            }
            + UI.stack {
                UI.panel("The review", id: "rr-facts") {
                    UI.panelBody {
                        UI.facts([
                            ("Review", UI.id(review.id)), ("Roles", Node(AccessNames.roles(review.roles))),
                            (
                                "Started",
                                Node(
                                    "\(TimeText.utc(review.startedAt)) by \(review.isPlanned ? "the schedule" : items.name(review.startedBy))"
                                )
                            ),
                            ("Due", Node(TimeText.utc(review.dueAt))),
                            (
                                "Ended",
                                review.endedAt.map {
                                    Node("\(TimeText.utc($0)) by \(items.name(review.endedBy ?? ""))")
                                } ?? UI.hint("not yet")
                            ), ("Reviewers", Node(review.reviewers.map(items.name).joined(separator: ", "))),
                            (
                                "Result",
                                Node(
                                    "\(progress.total) grants: \(progress.kept) kept, \(progress.revoked) revoked, \(progress.ended) ended meanwhile, \(progress.open) undecided"
                                )
                            ),
                            (
                                "In time",
                                exception.map {
                                    Node("No: exception \($0.id) to \($0.controlID), \($0.status.rawValue)")
                                }
                                    ?? (review.state == .open
                                        ? UI.hint(review.isOverdue(at: now) ? "no" : "it is not due yet")
                                        : Node(review.state == .closed ? "Yes" : "It was cancelled"))
                            ),
                        ])
                    }
                }
                el("section", .class("panel"), .label("Every grant")) {
                    UI.table(
                        caption: "Every grant of the review, \(items.entries.count)",
                        columns: [
                            Column("No.", .number) { Node(String($0.item.place)) },
                            Column("Person", isRowHeader: true) { entry in
                                Node(entry.item.name) + UI.sub(entry.item.staffID)
                            },
                            Column("Role") { Node(RoleTitle.of($0.item.role)) },
                            Column("Granted", priority: 2) { entry in
                                Node(entry.item.grantedAt.minuteText) + UI.sub("by \(items.name(entry.item.grantedBy))")
                            },
                            Column("Decision") { entry in
                                state(entry.standing)
                                    + UI.sub(
                                        entry.item.decidedAt.map {
                                            "\(items.name(entry.item.decidedBy ?? "")), \($0.minuteText)"
                                        } ?? entry.endedAt?.minuteText ?? "")
                            },
                            Column("Why", .wide) { entry in
                                entry.item.decidedBy == nil ? .none : Node(entry.reason ?? "the reason was erased")
                            },
                            Column("Event", priority: 3) { entry in entry.item.eventID.map { UI.id($0) } ?? .none },
                        ], rows: items.entries, density: .plain)
                }
                el("p", .class("small muted")) {
                    "Each decision is an event of the audit log. The evidence of this review holds the receipts, to be checked without this server: postern verify evidence."
                }
            }
        return PageAnswer(title: "Result of the access review", body: body, disclosure: items.disclosure)
    }
}
