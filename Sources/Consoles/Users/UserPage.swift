import HTML
import Kernel

/// `/users/{id}`
enum UserPage {
    static let page = Page("/users/{id}", permission: "user.view", menuPath: "/users") { call, reader in
        let user = try UserReads.find(call.readCall, in: reader)
        let places = try Place.load(user.id, from: reader)
        let activity = try ActivityPage.newest(20, of: .user(user.id), from: reader)
        let now = reader.now
        let seesTenants = call.caller.permissions.contains("tenant.view")
        let seesLog = call.caller.permissions.contains("audit.view")
        let joined = places.filter { $0.status == MembershipStatus.joined.rawValue }.count
        let body =
            UI.crumbs([("Users", "/users")], here: user.displayName)
            + UI.title(
                user.displayName,
                trailing: el("span", .class("hint")) { "Version \(Grouped.digits(user.version))" }
            ) {
                user.status.chip
                UI.id(user.id, copy: "user id")
            }
            + UI.keyFacts(keyFacts(user, joined: joined, now: now))
            + UI.actionBar(
                user, path: "/users/\(user.id)", catalog: call.catalog, caller: call.caller, now: now,
                waiting: try ApprovalList.waiting(on: user.id, for: call.caller, from: reader))
            + notice(user)
            + UI.split {
                UI.panel(
                    "Tenants", id: "u-tenants", hint: places.count >= Place.most ? "the first \(Place.most)" : nil
                ) {
                    if places.isEmpty {
                        UI.empty("Member of no tenant", "Nothing can be reached with this account.")
                    } else {
                        memberships(places, of: user, linked: seesTenants)
                    }
                }
                UI.panel(
                    "Activity", id: "u-activity",
                    actions: seesLog
                        ? el("a", .class("small"), .href("/audit?target=\(user.id)")) { "In the audit log" } : .none
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
        return PageAnswer(title: user.displayName, body: body, disclosure: UserReads.disclosure(of: user))
    }

    private static func keyFacts(_ user: User, joined: Int, now: Instant) -> [(label: String, value: Node)] {
        var facts: [(label: String, value: Node)] = [("E-mail", Node(user.email))]
        // Where your product knows the account by another id than Postern, which stands above.
        if user.externalID != user.id { facts.append(("External id", UI.id(user.externalID))) }
        facts.append(("Known since", UI.day(user.createdAt.day)))
        facts.append(("Last sign-in", user.lastLoginAt.map { UI.time($0, now: now) } ?? UI.muted("Never")))
        facts.append(("Tenants", Node(Grouped.digits(joined))))
        return facts
    }

    private static func notice(_ user: User) -> Node {
        switch user.status {
        case .active: .none
        case .suspended: UI.banner(.warn, "\(user.displayName) can’t sign in.", "The account is suspended.")
        case .deleted:
            UI.banner(.plain, "This account was deleted.", "What stays is its id and its place in the audit log.")
        }
    }

    private static func memberships(_ places: [Place], of user: User, linked: Bool) -> Node {
        UI.table(
            caption: "Tenants of \(user.displayName)",
            columns: [
                Column("Tenant", isRowHeader: true) { place in
                    (linked ? el("a", .href("/tenants/\(place.tenant)")) { place.name } : Node(place.name))
                        + el("span", .class("aside p5")) { place.slug }
                },
                Column("Tenant’s state", priority: 2) { place in
                    TenantStatus(rawValue: place.tenantStatus)?.mark ?? Node(place.tenantStatus)
                },
                Column("Role") { Node(titled($0.role)) },
                Column("Membership") { membershipMark($0.status, user: user.status.rawValue) },
                Column("Invited", .number, priority: 4) { place in day(place.invitedAt) },
                Column("Joined", .number, priority: 2) { place in day(place.joinedAt) },
                Column("Revoked", .number, priority: 4) { place in day(place.revokedAt) },
            ], rows: places)
    }

    private static func day(_ instant: Instant?) -> Node { instant.map { UI.day($0.day) } ?? UI.muted("–") }
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
