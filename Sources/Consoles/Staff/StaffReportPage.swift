import HTML
import Kernel

/// `/staff-report`: accounts that can't be signed in to, that nobody has signed in to for long, roles that end soon, and people who
/// have not enrolled. A session that was begun before may have been used since: that is what "last seen" says.
enum StaffReportPage {
    /// As many of each stand here; the list shows all.
    private static let shown = 10

    private struct Part {
        let title: String
        let id: String
        let hint: String
        let query: [String: [String]]
        let empty: (String, String)
    }

    static let page = Page("/staff-report", permission: "staff.view", menuPath: "/staff") { call, reader in
        var days = StaffFilter.shippedDays
        var problem: String?
        if let text = call.first("days") {
            if let value = Int64(text), StaffFilter.daysRange.contains(value) {
                days = value
            } else {
                problem =
                    "Days must be a whole number from \(StaffFilter.daysRange.lowerBound) to \(StaffFilter.daysRange.upperBound)."
            }
        }
        // The worst first: who is shut out, access that stands and is not used, access that ends, and what only waits.
        let parts = [
            Part(
                title: "Without a factor", id: "sr-factor", hint: "active accounts that nobody can sign in to",
                query: ["show": ["no_factor"], "status": ["active"]],
                empty: ("Everybody can sign in", "Every active account has a factor beside the password.")),
            Part(
                title: days == 1 ? "No sign-in for a day" : "No sign-in for \(days) days", id: "sr-dormant",
                hint: "active accounts older than that, with none since",
                query: ["show": ["dormant"], "days": [String(days)]],
                empty: (
                    "Everybody has signed in", "Somebody signed in since then to every active account that is older."
                )),
            Part(
                title: "A role ends within 7 days", id: "sr-expiring", hint: "they are without it after that",
                query: ["show": ["expiring"]], empty: ("No role ends soon", "No grant runs out within 7 days.")),
            Part(
                title: "Invited, not enrolled", id: "sr-invited", hint: "they can’t sign in before they enrol",
                query: ["status": ["invited"]],
                empty: ("No invitation waits", "Everybody who was invited has enrolled.")),
        ]
        let now = reader.now
        var ids: [String] = []
        var found: [Node] = []
        var nothing: [Node] = []
        for part in parts {
            var query = part.query
            query["limit"] = [String(shown)]
            let listing = try StaffListing.load(
                ReadCall(path: [:], query: query, caller: call.caller, cursors: call.cursors), longestAway: true,
                from: reader)
            ids += listing.people.map(\.staff.id)
            let node = panel(part, listing, now: now)
            if listing.people.isEmpty { nothing.append(node) } else { found.append(node) }
        }
        let body =
            UI.crumbs([("Staff", "/staff")], here: "Report")
            + UI.title("People report", lead: "Accounts and grants that should be looked at")
            + (problem.map { problem in UI.stack { UI.banner(.danger, problem, announces: true) } } ?? .none)
            + el(
                "form", .class("query no-print"), .id("filters"), Attribute("role", "search"), .label("Days"),
                Attribute("action", "/staff-report")
            ) {
                el("label", Attribute("for", "sr-days")) {
                    el("span") { "Days not signed in" }
                    void(
                        "input",
                        [
                            .class("input"), .id("sr-days"), .name("days"), .value(call.first("days") ?? String(days)),
                            Attribute("size", "5"), Attribute("inputmode", "numeric"), Attribute("autocomplete", "off"),
                        ])
                }
                UI.button("Show")
            }
            + UI.tools { UI.filtersButton }
            + UI.stack { for panel in found + nothing { panel } }
        return PageAnswer(
            title: "People report", body: body, disclosure: Disclosure("staff.list", count: ids.count, ids: ids))
    }

    private static func panel(_ part: Part, _ listing: StaffListing, now: Instant) -> Node {
        UI.panel(
            part.title, id: part.id, hint: part.hint,
            actions: listing.next == nil
                ? .none : el("a", .class("small"), .href(listing.filter.address().text)) { "All of them" }
        ) {
            if listing.people.isEmpty {
                UI.empty(part.empty.0, part.empty.1)
            } else {
                UI.table(
                    caption: "\(part.title), \(listing.people.count) shown",
                    columns: [
                        Column("Name", isRowHeader: true) { person in
                            el("a", .href("/staff/\(person.staff.id)")) { UI.person(person.staff.name) }
                        },
                        Column("Roles", priority: 2) { person in
                            person.grants.isEmpty
                                ? UI.hint("none")
                                : UI.row {
                                    for grant in person.grants {
                                        AccessNames.tag(grant.role)
                                        if let end = grant.expiresAt {
                                            el("span", .class("hint")) {
                                                "ends "
                                                UI.time(end, now: now)
                                            }
                                        }
                                    }
                                }
                        },
                        Column("Last seen", .number) { person in
                            person.lastSeen.map { UI.time($0, now: now) } ?? UI.hint("never")
                        },
                    ], rows: listing.people, density: .plain)
            }
        }
    }
}
