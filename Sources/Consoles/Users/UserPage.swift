import HTML
import Kernel

/// `/users/{id}`
enum UserPage {
    static let page = Page("/users/{id}", permission: "user.view", menuPath: "/tenants") { call, reader in
        let user = try UserReads.find(call.readCall, in: reader)
        let places = try Place.load(user.id, from: reader)
        let now = reader.now
        let seesTenants = call.caller.permissions.contains("tenant.view")
        let body =
            UI.crumbs(seesTenants ? [("Tenants", "/tenants")] : [], here: user.displayName)
            + UI.title(user.displayName) {
                user.status.chip
                UI.copyButton(user.id, label: "Copy the user id \(user.id)")
            }
            + UI.keyFacts([
                ("E-mail", Node(user.email)), ("External id", UI.id(user.externalID)),
                ("Known since", UI.day(user.createdAt.day)),
                ("Last sign-in", user.lastLoginAt.map { UI.time($0, now: now) } ?? UI.muted("Never")),
            ])
            + UI.actionBar(
                user, path: "/users/\(user.id)", catalog: call.catalog, caller: call.caller, now: now,
                waiting: try ApprovalList.waiting(on: user.id, for: call.caller, from: reader))
            + UI.panel("Tenants", id: "u-tenants", hint: places.count >= Place.most ? "the first \(Place.most)" : nil) {
                if places.isEmpty {
                    UI.empty("Member of no tenant", "Nothing can be reached with this account.")
                } else {
                    UI.table(
                        caption: "Tenants of \(user.displayName)",
                        columns: [
                            Column("Tenant", .clip, isRowHeader: true) { place in
                                (seesTenants
                                    ? el("a", .href("/tenants/\(place.tenant)")) { place.name } : Node(place.name))
                                    + el("span", .class("aside p5")) { place.slug }
                            },
                            Column("Tenant’s state") { place in
                                TenantStatus(rawValue: place.tenantStatus)?.mark ?? Node(place.tenantStatus)
                            },
                            Column("Plan", priority: 3) { Node(titled($0.plan)) },
                            Column("Role") { Node(titled($0.role)) },
                            Column("Membership") { membershipMark($0.status, user: user.status.rawValue) },
                            Column("Joined", .number, priority: 2) { place in
                                place.joinedAt.map { UI.day($0.day) } ?? UI.muted("–")
                            },
                        ], rows: places)
                }
            }
        return PageAnswer(title: user.displayName, body: body, disclosure: UserReads.disclosure(of: user))
    }

}

extension UserStatus {
    private var words: (String, Tone, Glyph) {
        switch self {
        case .active: ("Active", .ok, .on)
        case .suspended: ("Suspended", .warn, .pause)
        case .deleted: ("Deleted", .plain, .x)
        }
    }

    /// With the capsule, for titles.
    var chip: Node { UI.chip(words.0, words.1, words.2) }
    /// Without it, for dense tables.
    var mark: Node { UI.state(words.0, words.1, words.2) }
}
