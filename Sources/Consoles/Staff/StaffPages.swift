import HTML
import Kernel

enum StaffPages {
    static let list = Page("/staff", permission: "staff.view", menuPath: "/staff") { call, reader in
        let listing = try StaffListing.load(call.readCall, from: reader)
        let now = reader.now
        let invite =
            call.caller.permissions.contains("staff.invite")
            ? UI.linkButton("Invite somebody…", href: "/staff/new", style: .primary, icon: "plus") : .none
        let columns: [Column<StaffListing.Person>] = [
            Column("Name", isRowHeader: true) { person in
                el("a", .href("/staff/\(person.staff.id)")) { UI.person(person.staff.name) }
            },
            Column("E-mail", .clip, priority: 3) { UI.muted($0.staff.email) },
            Column("State") { status($0.staff.status, dense: true) },
            Column("Roles", priority: 2) { person in
                person.roles.isEmpty ? UI.hint("none") : UI.row { for role in person.roles { UI.tag(role) } }
            },
            Column("Last seen", .number, priority: 4) { person in
                person.lastSeen.map { UI.time($0, now: now) } ?? UI.hint("never")
            },
        ]
        let body =
            UI.title("Staff", trailing: invite)
            + el("section", .class("panel"), .label("People")) {
                if listing.people.isEmpty {
                    UI.empty("Nobody on this page", "Go back to the first page of the list.")
                } else {
                    UI.table(caption: "Staff, \(listing.people.count) shown", columns: columns, rows: listing.people)
                }
            }
            + UI.pages(
                listing.people.count == 1 ? "1 person" : "\(listing.people.count) people",
                first: call.first("cursor") == nil ? nil : "/staff",
                next: listing.next.map { "/staff?cursor=\($0)" })
        return PageAnswer(title: "Staff", body: body, disclosure: listing.disclosure)
    }

    static let view = Page("/staff/{id}", permission: "staff.view", menuPath: "/staff") { call, reader in
        let detail = try StaffDetail.load(call.path["id"] ?? "", from: reader)
        let staff = detail.staff
        let now = reader.now
        func name(_ id: String) -> String { detail.names[id] ?? id }
        let grants: [Column<Grant>] = [
            Column("Role", isRowHeader: true) { UI.tag($0.role) },
            Column("State") { grant in
                if grant.isLive(at: now) { return UI.state("In force", .ok) }
                return grant.revokedAt == nil ? UI.state("Expired", .plain, .ring) : UI.state("Revoked", .plain, .x)
            },
            Column("Granted by", priority: 2) { UI.muted(name($0.grantedBy)) },
            Column("Granted", .number, priority: 3) { UI.time($0.grantedAt, now: now) },
            Column("Until", .number) { grant in
                (grant.revokedAt ?? grant.expiresAt).map { UI.time($0, now: now) } ?? UI.hint("no end")
            },
        ]
        let body =
            UI.crumbs([("Staff", "/staff")], here: staff.name)
            + UI.title(staff.name) {
                status(staff.status, dense: false)
                UI.id(staff.id, copy: "id of \(staff.name)")
            }
            + UI.keyFacts([
                ("E-mail", Node(staff.email)),
                ("Last seen", detail.lastSeen.map { UI.time($0, now: now) } ?? UI.hint("never")),
                ("Invited by", staff.invitedBy.map { Node(name($0)) } ?? UI.hint("the first person")),
                ("Since", UI.time(staff.createdAt, now: now)),
            ])
            + UI.actionBar(
                staff, path: "/staff/\(staff.id)", catalog: call.catalog, caller: call.caller, now: now,
                waiting: try ApprovalList.waiting(on: staff.id, for: call.caller, from: reader))
            + UI.stack {
                UI.panel("Roles", id: "p-roles", hint: "what they may do is the sum of these") {
                    if detail.grants.isEmpty {
                        UI.empty("No roles", "This person can sign in and see their own page, nothing else.")
                    } else {
                        UI.table(
                            caption: "Grants of \(staff.name)", columns: grants, rows: detail.grants, density: .plain)
                    }
                }
                UI.panel("Factors", id: "p-factors") {
                    UI.panelBody {
                        if detail.factors.isEmpty {
                            UI.hint("None yet: the enrolment link was not used.")
                            newLink(detail, call.caller, at: now)
                        } else {
                            UI.facts(detail.factors.map { ($0.label, factorFact($0, now: now)) })
                        }
                    }
                }
                if call.caller.permissions.contains("audit.view") {
                    el("p") {
                        el("a", .href("/audit?target=\(staff.id)")) { "What was done to this account" }
                        " · "
                        el("a", .href("/audit?actor=\(staff.id)")) { "What this person did" }
                    }
                }
            }
        return PageAnswer(title: staff.name, body: body, disclosure: detail.disclosure)
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
