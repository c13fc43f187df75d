import HTML
import Kernel

/// A page of roles that providers ask for.
struct PendingGrantListing {
    let state: PendingGrant.State
    let items: [PendingGrant]
    /// Names of the people, by id.
    let names: [String: String]
    /// Names of the tokens, by id.
    let sources: [String: String]
    let next: String?

    static let stateParameter = Read.Parameter(
        "state", "Those that wait, or those that are decided.",
        schema: [
            "type": "string", "enum": .array(PendingGrant.State.allCases.map { .string($0.rawValue) }),
            "default": "pending",
        ])

    static func load(_ call: ReadCall, from reader: any Reader) throws -> PendingGrantListing {
        let limit = try call.limit()
        guard let state = call.first("state").map(PendingGrant.State.init) ?? .pending else {
            let words = PendingGrant.State.allCases.map(\.rawValue).joined(separator: ", ")
            throw OperationError.invalid([FieldError(pointer: "?state", detail: "state must be one of \(words).")])
        }
        let scope = "pending_grant.list/\(state.rawValue)"
        let before = try call.first("cursor").map { try call.cursors.decode($0, scope: scope).first?.string ?? "" }
        let found = try reader.query(PendingGrant.page(state, before: before, limit: limit + 1)).map(PendingGrant.init)
        let items = Array(found.prefix(limit))
        return PendingGrantListing(
            state: state, items: items,
            names: try StaffDetail.names(items.flatMap { [$0.staffID, $0.decidedBy ?? ""] }, from: reader),
            sources: try sources(items, from: reader),
            next: found.count > limit ? items.last.map { call.cursors.encode(scope: scope, [.string($0.id)]) } : nil)
    }

    static func sources(_ items: [PendingGrant], from reader: any Reader) throws -> [String: String] {
        let ids = Set(items.map(\.source)).filter { $0.hasPrefix(ScimToken.idPrefix + "_") }.sorted()
        guard !ids.isEmpty else { return [:] }
        let tokens = try reader.query(ScimToken.select(ids, lock: false, reader.dialect)).map(ScimToken.init)
        return Dictionary(uniqueKeysWithValues: tokens.map { ($0.id, $0.name) })
    }
}

/// `/pending-grants`
enum PendingGrantPages {
    static let list = Page("/pending-grants", permission: "staff.view", menuPath: "/staff") { call, reader in
        let listing = try PendingGrantListing.load(call.readCall, from: reader)
        let now = reader.now
        let count = listing.items.count
        let isWaiting = listing.state == .pending
        let path = isWaiting ? "/pending-grants" : "/pending-grants?state=\(listing.state.rawValue)"
        let others = PendingGrant.State.allCases.map { state in
            UI.Tab(
                titled(state.rawValue),
                href: state == .pending ? "/pending-grants" : "/pending-grants?state=\(state.rawValue)",
                isCurrent: state == listing.state)
        }
        let body =
            UI.crumbs([("Staff", "/staff")], here: "Grants that wait")
            + UI.title(
                "Grants that wait",
                lead: "Roles that sign approvals or hold power, and that the identity provider asks for")
            + UI.tabs(label: "States", others)
            + el("section", .class("panel"), .label("Grants")) {
                if listing.items.isEmpty {
                    isWaiting
                        ? UI.empty(
                            "Nothing waits",
                            "A role appears here when the identity provider puts somebody into its group.")
                        : UI.empty("None", "What is decided is kept here.")
                } else {
                    table(
                        listing.items, listing.names, listing.sources, caller: call.caller, now: now, showsPerson: true)
                }
            }
            + UI.pages(
                count == 0 ? "" : count == 1 ? "1 grant" : "\(count) grants",
                first: call.first("cursor") == nil ? nil : path,
                next: listing.next.map { path + (isWaiting ? "?" : "&") + "cursor=\($0)" })
        return PageAnswer(title: "Grants that wait", body: body)
    }

    static func table(
        _ grants: [PendingGrant], _ names: [String: String], _ sources: [String: String], caller: Caller, now: Instant,
        showsPerson: Bool
    ) -> Node {
        let decides = caller.permissions.contains(AcceptGrant.spec.permission)
        var columns: [Column<PendingGrant>] = []
        if showsPerson {
            columns.append(
                Column("Person", isRowHeader: true) { grant in
                    el("a", .href("/staff/\(grant.staffID)")) { UI.person(names[grant.staffID] ?? grant.staffID) }
                })
        }
        columns += [
            Column("Role", isRowHeader: !showsPerson) { AccessNames.tag($0.role) },
            Column("Asked by", priority: 3) { grant in
                UI.muted(
                    sources[grant.source] ?? (grant.source == ClaimedRoles.person ? "Single sign-on" : grant.source))
            },
            Column("Asked", .number, priority: 2) { UI.time($0.requestedAt, now: now) },
            Column("State") { grant in
                state(grant.state)
                    + (grant.decidedBy.map { person in
                        UI.sub(
                            Node("\(names[person] ?? (isProvider(person) ? "The provider" : person)), ")
                                + (grant.decidedAt.map { UI.time($0, now: now) } ?? .none))
                    } ?? .none)
            },
            Column("Decide", .actions, hidesTitle: true) { grant in
                guard decides, grant.state == .pending, grant.staffID != caller.person else { return .none }
                func link(_ word: String, _ verb: String) -> Node {
                    UI.linkButton(
                        word,
                        href: PageAddress(path: "/staff/\(grant.staffID)/\(verb)").with("input.role", grant.role).text,
                        size: .small)
                }
                return UI.row {
                    link("Accept…", AcceptGrant.spec.verbPath)
                    link("Dismiss…", DismissGrant.spec.verbPath)
                }
            },
        ]
        return UI.table(caption: "Grants, \(grants.count)", columns: columns, rows: grants, density: .plain)
    }

    private static func isProvider(_ person: String) -> Bool {
        [ScimDoor.person, ClaimedRoles.person].contains(person)
    }

    static func state(_ state: PendingGrant.State) -> Node {
        switch state {
        case .pending: UI.state("Waits", .warn, .ring)
        case .accepted: UI.state("Accepted", .ok, .on)
        case .dismissed: UI.state("Dismissed", .plain, .x)
        case .withdrawn: UI.state("Withdrawn", .plain, .box)
        }
    }
}
