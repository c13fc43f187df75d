import HTML
import Kernel

/// `/tenants/{id}`
enum TenantPage {
    private enum Tab: String {
        case overview, members, history
    }

    static let page = Page("/tenants/{id}", permission: "tenant.view", menuPath: "/tenants") { call, reader in
        let seesUsers = call.caller.maySeeUsers
        var tab = call.first("tab").flatMap(Tab.init(rawValue:)) ?? .overview
        if let id = call.path["id"] { reader.foresee(foreseen(id, tab, people: seesUsers)) }
        let tenant = try TenantReads.find(call.readCall, in: reader)
        if tab == .members, !seesUsers {
            throw OperationError.forbidden(
                permission: "user.view",
                detail: "Seeing the members of a tenant needs user.view, which your roles do not hold.")
        }
        let owner =
            seesUsers && tenant.ownerID != nil
            ? try reader.first(TenantQueries.owner(of: tenant.id)).map { try User($0) } : nil
        let members = seesUsers ? try MemberCount.count(tenant, in: reader) : nil
        let csm =
            tenant.csmID == nil ? nil : try reader.first(TenantQueries.csm(of: tenant.id))?.string("name")
        let now = reader.now
        let notices = try TenantNotices.load(tenant, catalog: call.catalog, from: reader)
        let content: Node
        let disclosure: Disclosure
        switch tab {
        case .overview:
            content = try overview(tenant, notices, in: reader, call)
            disclosure = Disclosure(
                "tenant.view", target: ("tenant", tenant.id), tenant: tenant.id, count: 1, ids: [tenant.id])
        case .members:
            let page = try MemberPage.load(tenant.id, call.readCall, from: reader)
            content = memberList(page, tenant, isFirst: call.first("cursor") == nil, now: now)
            disclosure = page.disclosure
        case .history:
            let page = try StatusHistory.load(tenant.id, call.readCall, from: reader)
            content = try historyList(page, tenant, call, in: reader)
            disclosure = Disclosure(
                "tenant.history", target: ("tenant", tenant.id), tenant: tenant.id, count: page.lines.count,
                ids: page.lines.map(\.event))
        }
        let path = "/tenants/\(tenant.id)"
        let body =
            UI.crumbs([("Tenants", "/tenants")], here: tenant.name)
            + UI.title(
                tenant.name,
                trailing: el("span", .class("hint")) {
                    "Version \(Grouped.digits(tenant.version)), changed "
                    UI.time(tenant.updatedAt, now: now)
                }
            ) {
                tenant.status.chip
                UI.tag(titled(tenant.plan))
                el("span", .class("id")) { tenant.slug }
                UI.copyButton(tenant.id, label: "Copy the tenant id \(tenant.id)")
            }
            + UI.keyFacts(keyFacts(tenant, owner: owner, csm: csm, members: members, now: now))
            + notices.note(now)
            + UI.actionBar(
                tenant, path: path, catalog: call.catalog, caller: call.caller, now: now,
                waiting: try ApprovalList.waiting(on: tenant.id, for: call.caller, from: reader),
                locked: notices.hold.unavailable, elsewhere: tab == .overview ? notices.offered : [],
                more: BreakGlassNotice.door(to: tenant.slug, for: call.caller))
            + UI.tabs(
                label: tenant.name,
                [.init("Overview", href: path, isCurrent: tab == .overview)]
                    + (members.map {
                        [
                            .init(
                                "Members", href: "\(path)?tab=members",
                                count: $0.count > MemberCount.most ? nil : Int64($0.count), isCurrent: tab == .members)
                        ]
                    } ?? []) + [.init("History", href: "\(path)?tab=history", isCurrent: tab == .history)])
            + content
        return PageAnswer(title: tenant.name, body: body, disclosure: disclosure)
    }

    /// What nearly every page of a tenant asks about it.
    private static func foreseen(_ id: String, _ tab: Tab, people: Bool) -> [Statement] {
        var statements = [
            TenantQueries.csm(of: id), LifecycleQueries.hold(on: id), ApprovalListQueries.live(on: id),
        ]
        if people { statements += [TenantQueries.owner(of: id), MemberCount.statement(id)] }
        if tab == .overview {
            statements += [
                ActivityPage.foreseen(newestEvents, of: .tenant(id)), DriftQueries.drifts(of: [id]),
            ]
        }
        return statements
    }

    private static let newestEvents = 20

    private static func keyFacts(
        _ tenant: Tenant, owner: User?, csm: String?, members: MemberCount?, now: Instant
    ) -> [(label: String, value: Node)] {
        var facts: [(label: String, value: Node)] = []
        if let owner {
            facts.append(("Owner", el("a", .href("/users/\(owner.id)")) { owner.email }))
        } else if tenant.ownerID == nil {
            facts.append(("Owner", UI.muted("None")))
        }
        if let members {
            let most = MemberCount.most
            facts.append(
                (
                    "Members",
                    Node(members.count > most ? "more than \(Grouped.digits(most))" : Grouped.digits(members.count))
                ))
        }
        facts += [
            ("Tier", Node(titled(tenant.tier))), ("Region", value(tenant, .region)),
            ("CSM", csm.map { Node($0) } ?? UI.muted("None")),
            ("Last active", UI.time(tenant.lastActivityAt, now: now)),
        ]
        if let eligible = tenant.deletionEligibleAt {
            facts.append(("May be deleted", now >= eligible ? Node("Now") : "from " + UI.day(eligible.day)))
        }
        return facts
    }

    // MARK: Overview

    private static func overview(
        _ tenant: Tenant, _ notices: TenantNotices, in reader: any Reader, _ call: PageCall
    ) throws -> Node {
        let seesLog = call.caller.permissions.contains("audit.view")
        let now = reader.now
        let activity = try ActivityPage.newest(newestEvents, of: .tenant(tenant.id), from: reader)
        let drift = try DriftNotice.banner(of: tenant, from: reader)
        return UI.split {
            UI.stack {
                notices.node(call, now: now)
                drift
                UI.panel("Tenant", id: "t-tenant") {
                    UI.panelBody {
                        UI.facts(
                            [
                                ("External id", UI.id(tenant.externalID, copy: "external id")),
                                ("Id", UI.id(tenant.id)), ("Customer since", UI.day(tenant.createdAt.day)),
                                ("State since", UI.timeWithUTC(tenant.statusSince, now: now)),
                                ("Plan", value(tenant, .plan)), ("Data kept in", value(tenant, .region)),
                            ])
                    }
                }
                if !tenant.metadata.isEmpty {
                    UI.panel("Metadata", id: "t-meta", hint: "kept by your product") {
                        UI.panelBody {
                            UI.facts(tenant.metadata.sorted { $0.key < $1.key }.map { ($0.key, Node($0.value)) })
                        }
                    }
                }
            }
            UI.panel(
                "Activity", id: "t-activity",
                actions: seesLog
                    ? el("a", .class("small"), .href("/audit?tenant=\(tenant.id)")) { "All events" } : .none
            ) {
                UI.panelBody {
                    if activity.lines.isEmpty {
                        el("p", .class("muted")) { "Nothing is recorded yet." }
                    } else {
                        activity.timeline(catalog: call.catalog, linked: seesLog, now: now)
                    }
                }
            }
        }
    }

    /// "Pro, to become Business"
    private static func value(_ tenant: Tenant, _ field: TenantField) -> Node {
        let actual = Node(field == .plan ? titled(tenant.plan) : tenant.region)
        guard let wanted = tenant.desired[field] else { return actual }
        return actual
            + UI.muted(
                wanted.state == .pending ? ", to become \(wanted.value)" : ", change to \(wanted.value) failed")
    }

    // MARK: Members

    private static func memberList(_ page: MemberPage, _ tenant: Tenant, isFirst: Bool, now: Instant) -> Node {
        if page.members.isEmpty {
            return UI.empty("Nobody belongs to this tenant", "Members come with the next import or from your product.")
        }
        let path = "/tenants/\(tenant.id)?tab=members"
        return el("div", .class("panel sized")) {
            UI.table(
                caption: "Members of \(tenant.name), \(page.members.count) on this page",
                columns: [
                    Column("Member", .clip, isRowHeader: true) { member in
                        el("a", .href("/users/\(member.user)")) { member.name.isEmpty ? member.email : member.name }
                    },
                    Column("E-mail", .clip, priority: 2) { Node($0.email) },
                    Column("Role") { Node(titled($0.role)) },
                    Column("State") { member in membershipMark(member.status, user: member.userStatus) },
                    Column("Joined", .number, priority: 3) { member in
                        member.joinedAt.map { UI.day($0.day) } ?? UI.muted("–")
                    },
                    Column("Last sign-in", .number, priority: 2) { member in
                        member.lastLoginAt.map { UI.time($0, now: now) } ?? UI.muted("never")
                    },
                ], rows: page.members, stickyHead: true)
        }
            + UI.pages(
                page.members.count == 1 ? "1 member" : "\(page.members.count) members", first: isFirst ? nil : path,
                next: page.next.map {
                    PageAddress(path: "/tenants/\(tenant.id)").with("tab", "members").with("cursor", $0).text
                })
    }

    // MARK: History

    private static func historyList(
        _ page: StatusHistory, _ tenant: Tenant, _ call: PageCall, in reader: any Reader
    ) throws -> Node {
        let seesLog = call.caller.permissions.contains("audit.view")
        if page.lines.isEmpty {
            return UI.empty("No change of state is recorded", "The first one will stand here with who made it and why.")
        }
        let names = try staffNames(page.lines.map(\.actor), in: reader)
        let reasons = Dictionary(
            call.catalog.operations(on: Tenant.type).flatMap(\.spec.reasonCodes).map { ($0.code, $0.label) },
            uniquingKeysWith: { first, _ in first })
        let entries = page.lines.map { line in
            let name = line.actorKind == "staff" ? names[line.actor] ?? line.actor : nil
            let to =
                seesLog
                ? el("a", .class("what"), .href("/audit/\(line.event)")) { line.to } : el("b") { line.to }
            let why = [line.reasonCode.map { reasons[$0] ?? $0 }, page.justifications?[line.event]].compactMap { $0 }
            return TimelineEntry(
                at: line.at, personName: name,
                sentence: el("b") { name ?? DocumentDiff.label(line.actorKind) }
                    + (line.from.map { from in
                        Node(" moved it from \(from) to ") + to
                    } ?? Node(" registered it as ") + to),
                detail: why.isEmpty ? nil : why.joined(separator: ": "))
        }
        return UI.panel("Status history", id: "t-history", hint: "the latest first") {
            UI.panelBody { UI.timeline(entries, now: reader.now) }
        }
            + UI.pages(
                page.lines.count == 1 ? "1 change" : "\(page.lines.count) changes",
                first: call.first("cursor") == nil ? nil : "/tenants/\(tenant.id)?tab=history",
                next: page.next.map {
                    PageAddress(path: "/tenants/\(tenant.id)").with("tab", "history").with("cursor", $0).text
                })
    }

    static func staffNames(_ ids: [String], in reader: any Reader) throws -> [String: String] {
        let staff = Set(ids.filter { $0.hasPrefix("stf_") }).sorted()
        guard !staff.isEmpty else { return [:] }
        var names: [String: String] = [:]
        for row in try reader.query(TenantQueries.staffNames(staff)) {
            names[try row.string("id")] = try row.string("name")
        }
        return names
    }
}

/// A membership's state; that of the person wins where it shuts them out.
func membershipMark(_ status: String, user: String) -> Node {
    switch (user, status) {
    case ("suspended", _): UI.state("Suspended", .warn, .pause)
    case ("deleted", _): UI.state("Deleted", .plain, .x)
    case (_, "joined"): UI.state("Joined", .ok, .on)
    case (_, "invited"): UI.state("Invited", .info, .ring)
    default: UI.state("Revoked", .plain, .stop)
    }
}
