import HTML
import Kernel

/// What waits for the person who looks.
public enum HomeConsole {
    public static let console = Console(
        "Home", menu: [.init(.work, "Home", icon: "home", path: "/", permission: nil)],
        pages: [home, absent, SearchPage.page], search: SearchPage.box)

    private static let home = Page("/", permission: nil, menuPath: "/") { call, reader in
        let model = try HomeModel.load(call, from: reader)
        let notices =
            try RecoveryBanner.node(for: call.caller, from: reader) + ResetBanner.node(for: call.caller, from: reader)
            + ClockNotice.home(for: call.caller, from: reader) + noRole(call.caller)
            + BreakGlassNotice.home(for: call.caller, from: reader)
        return PageAnswer(
            title: "Home", body: HomeView.body(model, call: call, notices: notices), disclosure: model.disclosure)
    }

    /// For somebody who was invited without a role, or lost all of them.
    private static func noRole(_ caller: Caller) -> Node {
        guard caller.actor.kind == .staff, caller.emergency == nil, caller.permissions.granted.isEmpty else {
            return .none
        }
        return UI.banner(
            .info, "You hold no role.",
            "Your own account is yours to look after. What else you may do comes with a role that a colleague grants you.",
            action: UI.linkButton("My security", href: "/me"))
    }

    /// `/absent?on=tenant`: operations the person's roles never allow.
    private static let absent = Page("/absent", permission: nil, menuPath: "") { call, reader in
        let type = call.first("on").flatMap { type in
            call.catalog.operations(on: type).isEmpty ? nil : type
        }
        return PageAnswer(
            title: "What you can’t do",
            body: OperationViews.absent(call.catalog.operations, caller: call.caller, on: type))
    }
}

struct HomeModel: Sendable {
    let now: Instant
    let own: [ApprovalEntry]
    /// Requests the person could fill, soonest to expire first.
    let fillable: [ApprovalEntry]
    /// Changes in each of the last 24 hours, oldest first.
    let perHour: [Int64]
    let denied: Int64
    let undelivered: Int64
    let unsequenced: Int64
    let checkpoint: (size: Int64, at: Instant)?
    /// Exceptions of staff that wait for their review; `nil` when the person may not review them.
    let exceptions: Int64?
    /// Roles that an identity provider asks for and that wait; `nil` when the person may not accept them.
    let pendingGrants: Int64?
    /// Controls that do not hold; `nil` when the person may not see them.
    var compliance: Int64?
    /// Differences from the product that nobody has settled; `nil` when the person may not see them.
    var drift: Int64?
    /// Access reviews in which something waits for the person.
    var reviews: [AccessReviewOwed] = []
    /// The newest denials; `nil` when the person may not see the log.
    let denials: [EventRow]?
    /// The operations that were tried, by the id of the denial; those of nothing that is one are left out.
    var attempted: [String: String] = [:]

    /// More are said as "at least".
    static let mostDrift = 1000

    static func load(_ call: PageCall, from reader: any Reader) throws -> HomeModel {
        let now = reader.now
        let caller = call.caller
        let start = now - .hours(24)
        let counts = try reader.query([
            HomeQueries.changesPerHour(since: start), HomeQueries.denied(since: start), HomeQueries.undelivered,
            HomeQueries.unsequenced, EventQueries.checkpoint,
        ])
        var perHour = [Int64](repeating: 0, count: 24)
        for row in counts[0] {
            // Events committed after this transaction began belong to the last hour.
            let hour = min(23, max(0, Int(try row.int("hour"))))
            perHour[hour] += try row.int("count")
        }
        var filter = EventFilter()
        filter.outcome = .denied
        let exceptions =
            caller.permissions.contains(ClearStaffFlag.spec.permission)
            ? try reader.first(StaffFlag.countOpen)?.int("count") : nil
        let pendingGrants =
            caller.permissions.contains(AcceptGrant.spec.permission)
            ? try reader.first(PendingGrant.countWaiting)?.int("count") : nil
        let compliance =
            caller.permissions.contains("compliance.view")
            ? try reader.first(AccessReviewQueries.countExceptions)?.int("count") : nil
        let drift =
            caller.permissions.contains("tenant.view")
            ? try reader.first(DriftQueries.openCount(upTo: mostDrift))?.int("count") : nil
        let denials =
            caller.permissions.contains("audit.view")
            ? try EventRow.name(
                reader.query(EventQueries.page(filter, from: nil, .older, limit: 5)).map { try EventRow($0) },
                from: reader)
            : nil
        let attempted = try Self.attempted(denials ?? [], from: reader)
        return HomeModel(
            now: now, own: try ApprovalList.own(of: caller.person, from: reader),
            fillable: try ApprovalList.asking(caller, limit: 100, from: reader),
            perHour: perHour, denied: try counts[1].first?.int("count") ?? 0,
            undelivered: try counts[2].first?.int("count") ?? 0, unsequenced: try counts[3].first?.int("count") ?? 0,
            checkpoint: try counts[4].first.map { (try $0.int("size"), try $0.instant("at")) },
            exceptions: exceptions, pendingGrants: pendingGrants, compliance: compliance, drift: drift,
            reviews: try AccessReviewOwed.load(caller, from: reader), denials: denials, attempted: attempted)
    }

    /// A refusal for want of a permission names no target and is called by itself: what was tried stands in its leaf.
    private static func attempted(_ denials: [EventRow], from reader: any Reader) throws -> [String: String] {
        let refused = denials.filter { $0.action == EventWords.refused }.map(\.id)
        guard !refused.isEmpty else { return [:] }
        var operations: [String: String] = [:]
        for row in try reader.query(EventQueries.leaves(refused)) {
            let facts = (try? JSON(parsing: try row.bytes("leaf")))?["facts"]
            operations[try row.string("id")] = facts?["operation"]?.string
        }
        return operations
    }

    /// Only the denials are a look into the log.
    var disclosure: Disclosure? {
        guard let denials, !denials.isEmpty else { return nil }
        return Disclosure(
            "audit.list", query: ["outcome": "denied", "limit": 5], count: denials.count, ids: denials.map(\.id))
    }
}

enum HomeView {
    /// More than these stand on the page of requests.
    private static let mostRequests = 10

    /// - Parameter notices: what comes before everything else.
    static func body(_ model: HomeModel, call: PageCall, notices: Node = .none) -> Node {
        let waiting = model.fillable.count
        let headline =
            switch waiting {
            case 0 where !model.reviews.isEmpty:
                model.reviews.map(\.count) == [1]
                    ? "1 grant waits for your decision"
                    : "\(model.reviews.reduce(0) { $0 + $1.count }) grants wait for your decision"
            // Other things may wait all the same, and stand below or in the menu.
            case 0: "No request waits for your signature"
            case 1: "1 request waits for a signature you could give"
            default: "\(waiting) requests wait for a signature you could give"
            }
        return UI.title(headline, lead: TimeText.utcMinute(model.now)) + notices
            + el("div", .class("home")) {
                UI.stack {
                    if waiting > 0 {
                        UI.panel("Your roles could sign these", id: "h-fill", hint: "soonest to expire first") {
                            ApprovalPages.table(
                                "Requests your roles could sign", Array(model.fillable.prefix(mostRequests)),
                                call: call, now: model.now, showsRequester: true)
                            if waiting > mostRequests {
                                UI.panelBody {
                                    UI.more(waiting - mostRequests, el("a", .href("/approvals")) { "All requests" })
                                }
                            }
                        }
                    }
                    reviews(model)
                    UI.panel("Your requests", id: "h-own") {
                        if model.own.isEmpty {
                            UI.empty(
                                "Nothing of yours waits for others",
                                "When an operation needs a second person, your request stands here until it is decided."
                            )
                        } else {
                            ApprovalPages.table(
                                "Your requests", model.own, call: call, now: model.now, showsRequester: false)
                        }
                    }
                    denials(model, call: call)
                }
                UI.stack {
                    watch(model, call.caller)
                    activity(model, call: call)
                }
            }
    }

    private static func reviews(_ model: HomeModel) -> Node {
        guard !model.reviews.isEmpty else { return .none }
        return UI.panel(
            "Reviews you owe", id: "h-reviews", hint: "soonest due first",
            actions: el("a", .class("small"), .href("/access-reviews")) { "All reviews" }
        ) {
            UI.table(
                caption: "Access reviews that wait for you",
                columns: [
                    Column("Review", .wide, isRowHeader: true) { one in
                        el("a", .href("/access-reviews/\(one.review.id)?state=open&reviewer=me")) {
                            "Access of \(AccessNames.roles(one.review.roles))"
                        }
                    },
                    Column("To decide", .number) { one in Node(one.count == 1 ? "1 grant" : "\(one.count) grants") },
                    Column("State") { AccessReviewPages.state($0.review, now: model.now, dense: true) },
                    Column("Due", .number) { UI.time($0.review.dueAt, now: model.now) },
                ], rows: model.reviews)
        }
    }

    private static func denials(_ model: HomeModel, call: PageCall) -> Node {
        guard let denials = model.denials else { return .none }
        return UI.panel(
            "Last refused attempts", id: "h-denied",
            actions: el("a", .class("small"), .href("/audit?outcome=denied")) { "All" }
        ) {
            if denials.isEmpty {
                UI.empty("Nobody was refused anything", "Refused attempts and sign-ins are listed here.")
            } else {
                UI.table(
                    caption: "The newest attempts that were refused",
                    columns: [
                        Column("UTC", .tight) { UI.clock($0.at, now: model.now) },
                        Column("Refused attempt", isRowHeader: true) { event in
                            el("a", .href("/audit/\(event.id)"), .title(event.action)) {
                                EventWords.attempt(event, of: model.attempted[event.id], catalog: call.catalog)
                            }
                        },
                        Column("By") { Node(EventWords.trier($0)) },
                        Column("About", priority: 2) { UI.muted(EventWords.target($0)) },
                    ], rows: denials)
            }
        }
    }

    private static func watch(_ model: HomeModel, _ caller: Caller) -> Node {
        UI.panel("Needs watching", id: "h-watch") {
            el("ul", .class("watch")) {
                line(
                    model.undelivered, "Not delivered yet",
                    model.undelivered == 0
                        ? "Everything that was to be sent has arrived"
                        : "Webhooks, mails and messages that wait or were given up",
                    href: caller.permissions.contains("delivery.view") ? "/deliveries" : nil)
                line(
                    model.unsequenced, "Events outside the log",
                    model.unsequenced == 0
                        ? "Every event is in the log" : "Recorded, waiting to be taken into the log", warnsAbove: 100)
                if let drift = model.drift {
                    line(
                        drift, drift == 0 ? "No open drift" : "Drift",
                        drift == 0
                            ? "Nothing your product says otherwise waits for a decision"
                            : "Fields in which your product says something else than Postern", href: "/drifts",
                        most: Int64(HomeModel.mostDrift))
                }
                if let grants = model.pendingGrants, grants > 0 {
                    line(
                        grants, "Grants to accept", "Roles the identity provider asks for", href: "/pending-grants")
                }
                if let exceptions = model.exceptions, exceptions > 0 {
                    line(
                        exceptions, StaffFlagPages.title, "Exceptions for staff that wait for their review",
                        href: "/staff-flags")
                }
                if let compliance = model.compliance, compliance > 0 {
                    line(
                        compliance, "Compliance exceptions", "Controls that do not hold at the moment",
                        href: "/compliance-exceptions")
                }
            }
        }
    }

    private static func line(
        _ count: Int64, _ title: String, _ note: String, warnsAbove: Int64 = 0, href: String? = nil,
        most: Int64 = HomeQueries.bound
    ) -> Node {
        el("li", .class(count > warnsAbove ? "is-warn" : "is-ok")) {
            UI.glyph(count > warnsAbove ? .tri : .on)
            el("div") {
                el("span", .class("medium")) { href.map { path in el("a", .href(path)) { title } } ?? Node(title) }
                UI.sub(note)
            }
            el("b") { said(count, most) }
        }
    }

    private static func activity(_ model: HomeModel, call: PageCall) -> Node {
        let total = model.perHour.reduce(0, +)
        let top = model.perHour.max() ?? 0
        return UI.panel(
            "Last 24 hours", id: "h-24",
            actions: call.caller.permissions.contains("audit.view")
                ? el("a", .class("small"), .href("/audit")) { "Audit log" } : .none
        ) {
            UI.panelBody {
                UI.tightStack {
                    UI.sparkline(
                        model.perHour,
                        label:
                            "Changes per hour over the last 24 hours: \(said(total)) in all, at most \(said(top)) in one hour",
                        scale: top == 0 ? "No changes in any hour" : "Changes in each hour, at most \(said(top))",
                        ends: ("24 h ago", "now"))
                    UI.stats {
                        UI.stat("Changes", said(total))
                        UI.stat("Refused", said(model.denied))
                    }
                    if let checkpoint = model.checkpoint, checkpoint.size > 0 {
                        el("p", .class("small muted")) {
                            UI.icon("proof")
                            // As the event's own page counts it.
                            " The audit log is signed up to event #\(Grouped.digits(checkpoint.size - 1)), "
                            UI.time(checkpoint.at, now: model.now)
                        }
                    }
                }
            }
        }
    }

    /// A count that may have stopped at its bound.
    private static func said(_ count: Int64, _ most: Int64 = HomeQueries.bound) -> String {
        count >= most ? "at least \(Grouped.digits(most))" : Grouped.digits(count)
    }
}
