import HTML
import Kernel

enum StaffPages {
    static let list = Page("/staff", permission: "staff.view", menuPath: "/staff") { call, reader in
        let now = reader.now
        let invite =
            call.caller.permissions.contains("staff.invite")
            ? UI.linkButton("Invite somebody…", href: "/staff/new", style: .primary, icon: "plus") : .none
        let listing: StaffListing
        do {
            listing = try StaffListing.load(call.readCall, from: reader)
        } catch OperationError.invalid(let errors) {
            return PageAnswer(
                title: "Staff",
                body: UI.title("Staff", trailing: invite) + filters([:])
                    + UI.banner(.danger, announces: true) {
                        el("p") { el("b") { "These filters can’t be used." } }
                        for error in errors { el("p") { error.detail } }
                    })
        }
        let filter = listing.filter
        let others =
            UI.linkButton("Report", href: "/staff-report")
            + UI.linkButton("Grants that wait", href: "/pending-grants")
            + UI.linkButton(StaffFlagPages.title, href: "/staff-flags")
        let columns: [Column<StaffListing.Person>] = [
            Column("Name", isRowHeader: true) { person in
                el("a", .href("/staff/\(person.staff.id)")) { UI.person(person.staff.name) }
            },
            Column("E-mail", .clip, priority: 3) { UI.muted($0.staff.email) },
            Column("State") { status($0.staff.status, dense: true) },
            Column("Roles", priority: 2) { person in
                person.grants.isEmpty
                    ? UI.hint("none") : UI.row { for grant in person.grants { role(grant, now: now) } }
            },
            Column("Last seen", .number, priority: 4) { person in
                person.lastSeen.map { UI.time($0, now: now) } ?? UI.hint("never")
            },
        ]
        let count = listing.people.count
        let body =
            UI.title("Staff", trailing: others + invite)
            + (try RecoveryBanner.node(for: call.caller, from: reader))
            + filters(filter.typed)
            + el("section", .class("panel"), .label("People")) {
                if listing.people.isEmpty {
                    filter.typed.isEmpty
                        ? UI.empty("Nobody on this page", "Go back to the first page of the list.")
                        : UI.empty(
                            "Nobody fits these filters", "Take a filter away.",
                            action: UI.linkButton("Show everybody", href: "/staff"))
                } else {
                    UI.table(caption: "Staff, \(count) shown", columns: columns, rows: listing.people)
                }
            }
            + UI.pages(
                count == 1 ? "1 person" : "\(count) people",
                first: call.first("cursor") == nil ? nil : filter.address().text,
                next: listing.next.map { filter.address().with("cursor", $0).text })
        return PageAnswer(title: "Staff", body: body, disclosure: listing.disclosure)
    }

    /// A role, with when it ends where it does.
    private static func role(_ grant: Grant, now: Instant) -> Node {
        AccessNames.tag(grant.role)
            + (grant.expiresAt.map { end in
                el("span", .class("hint")) {
                    "ends "
                    UI.time(end, now: now)
                }
            } ?? .none)
    }

    private static func filters(_ typed: [String: String]) -> Node {
        func choice(_ name: String, _ label: String, _ words: [(code: String, title: String)]) -> Node {
            el("label", Attribute("for", "s-\(name)")) {
                el("span") { label }
                el("select", .class("input"), .id("s-\(name)"), .name(name)) {
                    el("option", .value("")) { "Any" }
                    for word in words {
                        el(
                            "option", .value(word.code), .when(typed[name] == word.code, Attribute("selected"))
                        ) { word.title }
                    }
                }
            }
        }
        return el(
            "form", .class("query no-print"), .id("filters"), Attribute("role", "search"), .label("Filter staff"),
            Attribute("action", "/staff")
        ) {
            el("label", Attribute("for", "s-email")) {
                // There is no room to say it in the box.
                el("span") { "E-mail, in full" }
                void(
                    "input",
                    [
                        .class("input"), .id("s-email"), .name("email"), .value(typed["email"] ?? ""),
                        Attribute("size", "24"),
                        Attribute("autocomplete", "off"), Attribute("spellcheck", "false"),
                        Attribute("autocapitalize", "none"),
                    ])
            }
            choice("role", "Role", Seeds.roles.map { ($0.id, $0.title) })
            choice("status", "State", Staff.Status.allCases.map { ($0.rawValue, titled($0.rawValue)) })
            choice("show", "Only", StaffFilter.Show.allCases.map { ($0.rawValue, $0.title) })
            UI.button("Filter")
        }
            + UI.tools {
                UI.filtersButton
                for name in StaffFilter.parameters {
                    if let value = typed[name] {
                        UI.activeFilter(
                            "\(filterTitles[name] ?? name): \(said(value, by: name))",
                            remove: StaffFilter.address(typed, without: name).text)
                    }
                }
                if !typed.isEmpty { UI.linkButton("Clear", href: "/staff", style: .quiet, size: .small) }
            }
    }

    private static let filterTitles = [
        "email": "E-mail", "role": "Role", "status": "State", "show": "Only", "days": "Days",
    ]

    /// What a filter narrows to, as its choices say it.
    private static func said(_ value: String, by name: String) -> String {
        switch name {
        case "role": RoleTitle.of(value)
        case "status": titled(value)
        case "show": StaffFilter.Show(rawValue: value)?.title ?? value
        default: value
        }
    }

    static let view = Page("/staff/{id}", permission: "staff.view", menuPath: "/staff") { call, reader in
        let detail = try StaffDetail.load(call.path["id"] ?? "", from: reader)
        let staff = detail.staff
        let now = reader.now
        let seesLog = call.caller.permissions.contains("audit.view")
        let sessions =
            call.caller.permissions.contains("session.view")
            ? try SessionListing.newest(shownSessions + 1, of: staff.id, from: reader) : nil
        let history = seesLog ? try ActivityPage.newest(10, of: .staff(staff.id), from: reader) : nil
        let isSelf = staff.id == call.caller.person
        let origin: (label: String, value: Node) =
            if let inviter = staff.invitedBy {
                ("Invited by", Node(detail.name(inviter)))
            } else {
                ("Set up", Node("on the server, as the first account"))
            }
        let accounts = try ServiceAccountPages.panel(of: staff, for: call.caller, from: reader)
        let sources = try PendingGrantListing.sources(detail.pending, from: reader)
        let looked = try reviews(of: staff, call.caller, from: reader)
        let body =
            UI.crumbs([("Staff", "/staff")], here: staff.name)
            + UI.title(staff.name) {
                status(staff.status, dense: false)
                if detail.lock != nil { UI.chip("Locked", .warn, .tri) }
                UI.id(staff.id, copy: "id of \(staff.name)")
            }
            + UI.keyFacts([
                ("E-mail", Node(staff.email)),
                ("Last seen", detail.lastSeen.map { UI.time($0, now: now) } ?? UI.hint("never")),
                origin,
                ("Since", UI.time(staff.createdAt, now: now)),
            ])
            + (isSelf
                ? el("p", .class("hint")) {
                    "This is you. A colleague changes your roles; the rest is under "
                    el("a", .href("/me")) { "My security" }
                    "."
                }
                : UI.actionBar(
                    staff, path: "/staff/\(staff.id)",
                    catalog: detail.pending.isEmpty
                        ? call.catalog.without(AcceptGrant.spec.name, DismissGrant.spec.name) : call.catalog,
                    caller: call.caller, now: now,
                    waiting: try ApprovalList.waiting(on: staff.id, for: call.caller, from: reader),
                    elsewhere: offered(detail, now)))
            + UI.stack {
                notices(detail, call.caller, now: now)
                UI.panel(
                    "Roles", id: "p-roles", hint: "what they may do is the sum of these",
                    actions: isSelf || staff.status == .deactivated
                        || !call.caller.permissions.contains(ChangeRoles.spec.permission)
                        ? .none : UI.linkButton("Compare roles…", href: "/staff/\(staff.id)/move", size: .small)
                ) {
                    if detail.grants.isEmpty {
                        UI.empty("No roles", "This person can sign in and see their own page, nothing else.")
                    } else {
                        grants(detail, canRevoke: !isSelf && call.caller.permissions.contains("staff.grant_role"), now)
                    }
                }
                if !detail.pending.isEmpty {
                    UI.panel("Grants that wait", id: "p-pending", hint: "the identity provider asks for these") {
                        PendingGrantPages.table(
                            detail.pending, detail.names, sources, caller: call.caller, now: now, showsPerson: false)
                    }
                }
                if !detail.flags.isEmpty {
                    UI.panel(
                        StaffFlagPages.title, id: "p-flags", hint: "otherwise kept apart; an exception allows it"
                    ) {
                        StaffFlagPages.table(
                            detail.flags, detail.names, caller: call.caller, now: now, showsPerson: false)
                    }
                }
                UI.panel("Factors", id: "p-factors") {
                    UI.panelBody {
                        if detail.factors.isEmpty {
                            UI.hint("None: the link to set them was not used.")
                            newLink(detail, call.caller, at: now)
                        } else {
                            UI.facts(detail.factors.strongestFirst.map { ($0.label, factorFact($0, now: now)) })
                        }
                    }
                }
                accounts
                looked
                if let sessions {
                    UI.panel(
                        "Sessions", id: "p-sessions",
                        actions: sessions.isEmpty
                            ? .none : el("a", .class("small"), .href("/staff/\(staff.id)/sessions")) { "All sessions" }
                    ) {
                        if sessions.isEmpty {
                            UI.panelBody { UI.hint("Signed in nowhere.") }
                        } else {
                            StaffSessions.table(
                                of: staff, Array(sessions.prefix(shownSessions)), caller: call.caller, now: now)
                        }
                    }
                }
                if let history {
                    UI.panel(
                        "History", id: "p-history",
                        actions: el("a", .class("small"), .href("/audit?target=\(staff.id)")) { "In the audit log" }
                            + Node(" · ")
                            + el("a", .class("small"), .href("/audit?actor=\(staff.id)")) { "What this person did" }
                    ) {
                        UI.panelBody { history.timeline(catalog: call.catalog, linked: true, now: now) }
                    }
                }
            }
        return PageAnswer(title: staff.name, body: body, disclosure: detail.disclosure)
    }

    /// What is offered beside a grant, with its role filled in.
    private static func offered(_ detail: StaffDetail, _ now: Instant) -> Set<String> {
        var names: Set<String> = []
        if detail.grants.contains(where: { $0.isLive(at: now) }) { names.insert(RevokeRole.spec.name) }
        if detail.pending.contains(where: { $0.state == .pending }) {
            names.formUnion([AcceptGrant.spec.name, DismissGrant.spec.name])
        }
        return names
    }

    /// As many sessions stand on a person's page.
    private static let shownSessions = 5

    private static func grants(_ detail: StaffDetail, canRevoke: Bool, _ now: Instant) -> Node {
        let staff = detail.staff
        var columns: [Column<Grant>] = [
            Column("Role", isRowHeader: true) { AccessNames.tag($0.role) },
            Column("State") { grant in
                switch grant.state(at: now) {
                case .inForce: UI.state("In force", .ok)
                case .expired: UI.state("Expired", .plain, .ring)
                case .revoked: UI.state("Revoked", .plain, .x)
                }
            },
            Column("Granted by", priority: 2) { grant in
                UI.muted(detail.name(grant.grantedBy))
                    + (grant.tokenHolder.map { UI.sub("through a token of \(detail.name($0))") } ?? .none)
            },
            Column("Granted", .number, priority: 3) { UI.time($0.grantedAt, now: now) },
            Column("Until", .number) { grant in
                let end = grant.state(at: now) == .revoked ? grant.revokedAt : grant.expiresAt
                return end.map { UI.time($0, now: now) } ?? UI.hint("no end")
            },
        ]
        if canRevoke {
            columns.append(
                Column("Revoke", .actions, hidesTitle: true) { grant in
                    grant.isLive(at: now)
                        ? UI.linkButton(
                            "Revoke…",
                            href: PageAddress(path: "/staff/\(staff.id)/revoke-role").with("input.role", grant.role)
                                .text,
                            size: .small) : .none
                })
        }
        return UI.table(caption: "Grants of \(staff.name)", columns: columns, rows: detail.grants, density: .plain)
    }

    /// When their roles were looked at last, and what came of it.
    private static func reviews(of staff: Staff, _ caller: Caller, from reader: any Reader) throws -> Node {
        guard caller.permissions.contains("access_review.view") else { return .none }
        let items = try reader.query(AccessReviewQueries.items(about: staff.id, limit: 5)).map {
            try AccessReviewItem($0)
        }
        guard !items.isEmpty else { return .none }
        let now = reader.now
        return UI.panel("Access reviews", id: "p-reviews", hint: "the newest first") {
            UI.table(
                caption: "Reviews of \(staff.name)",
                columns: [
                    Column("Role", isRowHeader: true) { item in
                        el("a", .href("/access-reviews/\(item.reviewID)")) { RoleTitle.of(item.role) }
                    }, Column("Decision") { AccessReviewPages.state($0.state) },
                    Column("When", .number) { item in
                        item.decidedAt.map { UI.time($0, now: now) } ?? UI.hint("not yet")
                    },
                ], rows: items, density: .plain)
        }
    }

    /// What whoever looks should know first.
    private static func notices(_ detail: StaffDetail, _ caller: Caller, now: Instant) -> Node {
        let staff = detail.staff
        var out = Node.none
        if staff.status == .deactivated {
            out = out + UI.banner(.plain, "\(staff.name) has left.", "The account holds no role and can’t sign in.")
        }
        if let recovery = detail.recovery { out = out + RecoveryBanner.node(recovery, caller, now: now) }
        if let entry = detail.emergency { out = out + BreakGlassNotice.ofColleague(entry, caller, now: now) }
        if let at = staff.resetAt, now - at < Standing.quarantine {
            let who = staff.resetBy.map(detail.name) ?? "somebody"
            let isColleague = staff.resetBy?.hasPrefix("\(Staff.idPrefix)_") == true
            let what =
                at == staff.createdAt
                ? "\(staff.name) came through a token of \(who)" : "The factors of \(staff.name) were reset by \(who)"
            out =
                out
                + UI.banner(
                    .info, "\(what) \(TimeText.relative(at, now: now)).",
                    isColleague
                        ? "Until \((at + Standing.quarantine).minuteText) this account signs nothing that \(who) asks for: whoever set its factors up could be using it."
                        : "Whoever runs the server can say who asked for it.")
        }
        return out
    }

    /// The invitation again, filled in; for whoever may invite.
    private static func newLink(_ detail: StaffDetail, _ caller: Caller, at now: Instant) -> Node {
        let staff = detail.staff
        guard staff.status == .invited, caller.permissions.contains(InviteStaff.spec.permission) else {
            return .none
        }
        var address = PageAddress(path: "/staff/new").with("input.email", staff.email).with("input.name", staff.name)
        for grant in detail.grants where grant.isLive(at: now) {
            address = address.with("input.roles", grant.role)
        }
        return el("p", .class("row")) { UI.linkButton("Send a new link…", href: address.text, size: .small) }
    }

    static func factorFact(_ factor: Factor, now: Instant) -> Node {
        let since = Node("set ") + UI.time(factor.createdAt, now: now)
        if factor.kind == .oidc { return Node("linked ") + UI.time(factor.createdAt, now: now) }
        guard factor.kind == .recovery else { return since }
        return Node("\(factor.recoveryDigests.count) of \(RecoveryCode.count) left, ") + since
    }

    static func status(_ status: Staff.Status, dense: Bool) -> Node {
        let (word, tone, mark): (String, Tone, Glyph) =
            switch status {
            case .invited: ("Invited", .info, .ring)
            case .active: ("Active", .ok, .on)
            case .deactivated: ("Deactivated", .plain, .box)
            }
        return dense ? UI.state(word, tone, mark) : UI.chip(word, tone, mark)
    }
}
