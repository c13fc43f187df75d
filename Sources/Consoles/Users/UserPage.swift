import HTML
import Kernel

/// `/users/{id}`
enum UserPage {
    static let page = Page("/users/{id}", permission: "user.view", menuPath: "/tenants") { call, reader in
        let user = try UserReads.find(call.readCall, in: reader)
        let places = try Place.load(user.id, from: reader)
        let now = reader.now
        let body =
            UI.crumbs([("Tenants", "/tenants")], here: user.displayName)
            + UI.title(user.displayName) {
                mark(user.status)
                UI.copyButton(user.id, label: "Copy the user id \(user.id)")
            }
            + UI.keyFacts([
                ("E-mail", Node(user.email)), ("External id", UI.id(user.externalID)),
                ("Known since", UI.day(user.createdAt.day)),
                ("Last sign-in", user.lastLoginAt.map { UI.time($0, now: now) } ?? UI.muted("Never")),
            ])
            + UI.actionBar(user, path: "/users/\(user.id)", catalog: call.catalog, caller: call.caller, now: now)
            + UI.panel("Tenants", id: "u-tenants", hint: places.count >= Place.most ? "the first \(Place.most)" : nil) {
                if places.isEmpty {
                    UI.empty("Member of no tenant", "Nothing can be reached with this account.")
                } else {
                    UI.table(
                        caption: "Tenants of \(user.displayName)",
                        columns: [
                            Column("Tenant", .clip, isRowHeader: true) { place in
                                el("a", .href("/tenants/\(place.tenant)")) { place.name }
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

    private static func mark(_ status: UserStatus) -> Node {
        switch status {
        case .active: UI.chip("Active", .ok, .on)
        case .suspended: UI.chip("Suspended", .warn, .pause)
        case .deleted: UI.chip("Deleted", .plain, .x)
        }
    }
}
