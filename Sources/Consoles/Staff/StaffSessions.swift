import HTML
import Kernel

/// A session that is going on.
struct SessionRow: Sendable {
    let id: String
    let client: String
    let userAgent: String
    let ip: String
    let createdAt: Instant
    let lastSeenAt: Instant
    /// When it ends however active it is.
    let expiresAt: Instant

    /// A row of `SignInQueries.openSessions`.
    init(_ row: Row) throws {
        id = try row.string("id")
        client = try row.string("client")
        userAgent = try row.string("user_agent")
        ip = try row.string("ip")
        createdAt = try row.instant("created_at")
        lastSeenAt = try row.instant("last_seen_at")
        let limits = try SessionLimits(row)
        // A shorter length than when it began ends it earlier.
        expiresAt = min(try row.instant("expires_at"), createdAt + limits.length)
    }

    /// The net the address is in: enough to tell places apart.
    var network: String { NetworkPrefix.of(ip, v4: 24, v6: 48) }

    /// To the person whose session it is.
    func json(current: String?) -> JSON {
        guard case .object(var members) = json else { return .null }
        members["current"] = .bool(id == current)
        members["ip"] = .string(ip)
        return .object(members)
    }

    /// To somebody else.
    var json: JSON {
        [
            "id": .string(id), "client": .string(client), "user_agent": .string(userAgent),
            "network": .string(network), "created_at": JSON(createdAt), "last_seen_at": JSON(lastSeenAt),
            "expires_at": JSON(expiresAt),
        ]
    }
}

/// A page of a person's sessions, the newest first.
struct SessionListing {
    let items: [SessionRow]
    let next: String?

    static func load(of staff: String, _ call: ReadCall, from reader: any Reader) throws -> SessionListing {
        let limit = try call.limit()
        let scope = "session.list/\(staff)"
        let before = try call.first("cursor").map { try call.cursors.decode($0, scope: scope).first?.string ?? "" }
        let found = try reader.query(
            SignInQueries.openSessions(of: staff, before: before, at: reader.now, limit: limit + 1)
        ).map(SessionRow.init)
        let items = Array(found.prefix(limit))
        return SessionListing(
            items: items,
            next: found.count > limit ? items.last.map { call.cursors.encode(scope: scope, [.string($0.id)]) } : nil)
    }

    static func newest(_ limit: Int, of staff: String, from reader: any Reader) throws -> [SessionRow] {
        try reader.query(SignInQueries.openSessions(of: staff, before: nil, at: reader.now, limit: limit))
            .map(SessionRow.init)
    }

    static func disclosure(of staff: String, _ items: [SessionRow]) -> Disclosure {
        Disclosure("staff.sessions", target: (Staff.type, staff), count: items.count, ids: items.map(\.id))
    }
}

/// `/staff/{id}/sessions`
enum StaffSessions {
    static let page = Page("/staff/{id}/sessions", permission: "session.view", menuPath: "/staff") { call, reader in
        let staff = try StaffDetail.find(call.path["id"] ?? "", from: reader)
        let listing = try SessionListing.load(of: staff.id, call.readCall, from: reader)
        let path = "/staff/\(staff.id)/sessions"
        let count = listing.items.count
        let endsAll =
            count > 0 && call.caller.permissions.contains(RevokeStaffSessions.spec.permission)
            ? UI.linkButton("End all sessions…", href: "/staff/\(staff.id)/revoke-sessions", style: .warns) : .none
        let body =
            UI.crumbs([("Staff", "/staff"), (staff.name, "/staff/\(staff.id)")], here: "Sessions")
            + UI.title("Sessions of \(staff.name)", trailing: endsAll)
            + el("section", .class("panel"), .label("Sessions")) {
                if listing.items.isEmpty {
                    UI.empty("Signed in nowhere", "A session appears here once \(staff.name) signs in.")
                } else {
                    table(of: staff, listing.items, caller: call.caller, now: reader.now)
                }
            }
            + UI.pages(
                count == 0 ? "" : count == 1 ? "1 session" : "\(count) sessions",
                first: call.first("cursor") == nil ? nil : path, next: listing.next.map { "\(path)?cursor=\($0)" })
        return PageAnswer(
            title: "Sessions of \(staff.name)", body: body,
            disclosure: SessionListing.disclosure(of: staff.id, listing.items))
    }

    static func table(of staff: Staff, _ sessions: [SessionRow], caller: Caller, now: Instant) -> Node {
        let ends = caller.permissions.contains(RevokeStaffSessions.spec.permission)
        return UI.table(
            caption: "Sessions of \(staff.name), \(sessions.count)",
            columns: [
                Column("Device", isRowHeader: true) { session in
                    Node(MyPage.browser(session.userAgent))
                        + UI.sub("\(session.network), \(session.client)")
                },
                Column("Began", .number, priority: 3) { UI.time($0.createdAt, now: now) },
                Column("Last used", .number) { UI.time($0.lastSeenAt, now: now) },
                Column("Ends", .number, priority: 2) { UI.time($0.expiresAt, now: now) },
                Column("End session", .actions, hidesTitle: true) { session in
                    ends
                        ? UI.linkButton(
                            "End…",
                            href: PageAddress(path: "/staff/\(staff.id)/revoke-sessions").with(
                                "input.session", session.id
                            ).text, size: .small) : .none
                },
            ], rows: sessions, density: .plain)
    }
}
