import HTML
import Kernel

/// A page of exceptions to the roles that are kept apart.
struct StaffFlagListing {
    let state: StaffFlag.State
    let items: [StaffFlag]
    /// Names of the people, by id.
    let names: [String: String]
    let next: String?

    static let stateParameter = Read.Parameter(
        "state", "Those that wait for their review, or those that are closed.",
        schema: [
            "type": "string", "enum": .array(StaffFlag.State.allCases.map { .string($0.rawValue) }), "default": "open",
        ])

    static func load(_ call: ReadCall, from reader: any Reader) throws -> StaffFlagListing {
        let limit = try call.limit()
        guard let state = call.first("state").map(StaffFlag.State.init) ?? .open else {
            throw OperationError.invalid([FieldError(pointer: "?state", detail: "state must be open or cleared.")])
        }
        let scope = "staff_flag.list/\(state.rawValue)"
        let before = try call.first("cursor").map { try call.cursors.decode($0, scope: scope).first?.string ?? "" }
        let found = try reader.query(StaffFlag.page(state, before: before, limit: limit + 1)).map(StaffFlag.init)
        let items = Array(found.prefix(limit))
        return StaffFlagListing(
            state: state, items: items, names: try StaffDetail.names(items.flatMap(people), from: reader),
            next: found.count > limit ? items.last.map { call.cursors.encode(scope: scope, [.string($0.id)]) } : nil)
    }

    static func people(_ flag: StaffFlag) -> [String] {
        [flag.staffID, flag.raisedBy] + [flag.clearedBy].compactMap { $0 }
    }

    var disclosure: Disclosure { Disclosure("staff_flag.list", count: items.count, ids: items.map(\.id)) }
}

/// `/staff-flags`
enum StaffFlagPages {
    /// What the page lists, wherever it is named.
    static let title = "Roles held together"

    static let list = Page("/staff-flags", permission: "staff.view", menuPath: "/staff") { call, reader in
        let listing = try StaffFlagListing.load(call.readCall, from: reader)
        let now = reader.now
        let isOpen = listing.state == .open
        let count = listing.items.count
        let path = isOpen ? "/staff-flags" : "/staff-flags?state=cleared"
        let other =
            isOpen
            ? UI.linkButton("Closed ones", href: "/staff-flags?state=cleared")
            : UI.linkButton("Those to review", href: "/staff-flags")
        let body =
            UI.crumbs([("Staff", "/staff")], here: title)
            + UI.title(
                title, lead: "People who hold two roles that are kept apart, and the reason why they may",
                trailing: other)
            + el("section", .class("panel"), .label(title)) {
                if listing.items.isEmpty {
                    isOpen
                        ? UI.empty(
                            "No exception waits for its review",
                            "One appears here when somebody is given two roles that are kept apart.")
                        : UI.empty("No review was closed yet", "Exceptions stay here once they were reviewed.")
                } else {
                    table(listing.items, listing.names, caller: call.caller, now: now, showsPerson: true)
                }
            }
            + UI.pages(
                count == 0 ? "" : count == 1 ? "1 exception" : "\(count) exceptions",
                first: call.first("cursor") == nil ? nil : path,
                next: listing.next.map { path + (isOpen ? "?" : "&") + "cursor=\($0)" })
        return PageAnswer(title: title, body: body, disclosure: listing.disclosure)
    }

    static func table(
        _ flags: [StaffFlag], _ names: [String: String], caller: Caller, now: Instant, showsPerson: Bool
    ) -> Node {
        func name(_ id: String) -> String { StaffDetail.called(id, names) }
        let reviews = caller.permissions.contains(ClearStaffFlag.spec.permission)
        var columns: [Column<StaffFlag>] = []
        if showsPerson {
            columns.append(
                Column("Person", isRowHeader: true) { flag in
                    el("a", .href("/staff/\(flag.staffID)")) { UI.person(name(flag.staffID)) }
                })
        }
        columns += [
            Column("Roles", isRowHeader: !showsPerson) { flag in
                UI.row { for role in flag.roles { AccessNames.tag(role) } }
            },
            Column("Why", .wide) { Node($0.reason) },
            Column("Made by", priority: 3) { flag in
                Node(name(flag.raisedBy)) + UI.sub(UI.time(flag.raisedAt, now: now))
            },
            Column("Review") { flag in
                guard flag.state == .cleared else { return UI.state("Waits", .warn, .ring) }
                let word = flag.outcome == "resolved" ? "Resolved" : "Accepted"
                return UI.state(word, .ok, .on)
                    + UI.sub(
                        Node(flag.clearedBy.map { "\(name($0)), " } ?? "")
                            + (flag.clearedAt.map { UI.time($0, now: now) } ?? .none))
            },
            Column("Close the review", .actions, hidesTitle: true) { flag in
                // Those it concerns leave it to somebody else.
                reviews && flag.state == .open && ![flag.staffID, flag.raisedBy].contains(caller.person)
                    ? UI.linkButton("Review…", href: "/staff-flags/\(flag.id)/clear", size: .small) : .none
            },
        ]
        return UI.table(caption: "\(title), \(flags.count)", columns: columns, rows: flags, density: .plain)
    }
}
