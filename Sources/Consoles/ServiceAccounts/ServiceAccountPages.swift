import HTML
import Kernel

/// One page of accounts, as asked by the API and by the console: everybody's for who may see them, else one's own.
struct ServiceAccountListing {
    let items: [ServiceAccount]
    /// When each was last used, by id.
    let uses: [String: Instant]
    /// Names of the owners, by id.
    let owners: [String: String]
    let next: String?

    static let viewing = "service_account.view"

    static let ownerParameter = Read.Parameter(
        "owner", "Those of one person, by id. Without the permission service_account.view there are only your own.",
        schema: ["type": "string"])

    static func load(_ call: ReadCall, from reader: any Reader) throws -> ServiceAccountListing {
        let limit = try call.limit()
        let owner = call.caller.permissions.contains(viewing) ? call.first("owner") : call.caller.person
        if let asked = call.first("owner"), asked != owner {
            throw OperationError.forbidden(
                permission: viewing, detail: "You see your own accounts. Others’ need the permission \(viewing).")
        }
        let scope = "service_account.list/\(owner ?? "")"
        let before = try call.first("cursor").map { try call.cursors.decode($0, scope: scope).first?.string ?? "" }
        let found = try reader.query(ServiceAccount.page(of: owner, before: before, limit: limit + 1))
            .map(ServiceAccount.init)
        let items = Array(found.prefix(limit))
        return ServiceAccountListing(
            items: items, uses: try ServiceAccount.lastUses(of: items, from: reader),
            owners: try StaffDetail.names(items.map(\.ownerID), from: reader),
            next: found.count > limit ? items.last.map { call.cursors.encode(scope: scope, [.string($0.id)]) } : nil)
    }

    /// One's own, or anybody's for who may see them. That there is one of somebody else's is not told to the others.
    static func find(_ id: String, for caller: Caller, from reader: any Reader) throws -> ServiceAccount {
        guard let account = try ServiceAccount.load(id, from: reader) else {
            guard caller.permissions.contains(viewing) else { throw missing }
            throw OperationError.notFound(
                "There is no service account \(id.prefix(60)). The list is at /service-accounts.")
        }
        guard account.ownerID == caller.person || caller.permissions.contains(viewing) else { throw missing }
        return account
    }

    private static var missing: OperationError {
        .forbidden(permission: viewing, detail: "You see your own accounts. Others’ need the permission \(viewing).")
    }
}

/// `/service-accounts`
enum ServiceAccountPages {
    static let list = Page("/service-accounts", permission: nil, menuPath: "/service-accounts") { call, reader in
        let listing = try ServiceAccountListing.load(call.readCall, from: reader)
        let now = reader.now
        let create =
            call.caller.permissions.contains(CreateServiceAccount.spec.permission)
            ? UI.linkButton("Create account…", href: "/service-accounts/new", style: .primary, icon: "plus") : .none
        let seesAll = call.caller.permissions.contains(ServiceAccountListing.viewing)
        let owner = call.first("owner")
        let path = owner.map { PageAddress(path: "/service-accounts").with("owner", $0).text } ?? "/service-accounts"
        let count = listing.items.count
        let body =
            UI.title(
                "Service accounts", lead: seesAll ? "What programs of people use the API with" : "Your own",
                trailing: create)
            + el("section", .class("panel"), .label("Service accounts")) {
                if listing.items.isEmpty {
                    UI.empty(
                        "No account yet",
                        "A service account lets a program of yours use the API, with less than you hold yourself.",
                        action: create)
                } else {
                    table(listing, now: now, showsOwner: seesAll)
                }
            }
            + UI.pages(
                count == 0 ? "" : count == 1 ? "1 account" : "\(count) accounts",
                first: call.first("cursor") == nil ? nil : path,
                next: listing.next.map { path + (owner == nil ? "?" : "&") + "cursor=\($0)" })
        return PageAnswer(title: "Service accounts", body: body)
    }

    static func table(_ listing: ServiceAccountListing, now: Instant, showsOwner: Bool) -> Node {
        var columns: [Column<ServiceAccount>] = [
            ServiceAccount.nameColumn("Account"), Column("Kind", priority: 3) { kind($0.kind) },
            ServiceAccount.stateColumn(at: now),
        ]
        if showsOwner {
            columns.append(
                Column("Owner", priority: 2) { account in
                    el("a", .href("/staff/\(account.ownerID)")) {
                        UI.person(listing.owners[account.ownerID] ?? account.ownerID)
                    }
                })
        }
        columns.append(Column("Scopes", .number, priority: 4) { Node("\($0.scopes.count)") })
        columns += ServiceAccount.timeColumns(listing.uses, at: now)
        return UI.table(
            caption: "Service accounts, \(listing.items.count) shown", columns: columns, rows: listing.items)
    }

    static let view = Page("/service-accounts/{id}", permission: nil, menuPath: "/service-accounts") { call, reader in
        let account = try ServiceAccountListing.find(call.path["id"] ?? "", for: call.caller, from: reader)
        let used = try ServiceAccount.lastUses(of: [account], from: reader)[account.id]
        let directory = StaffDirectory()
        let standings = try directory.standings(of: [account.id]).read(from: reader)
        let owner = standings[account.ownerID]
        let held = standings[account.id]?.permissions ?? .none
        let now = reader.now
        let waiting = try ApprovalList.waiting(on: account.id, for: call.caller, from: reader)
        let isOwn = account.ownerID == call.caller.person
        let reason = RevokeServiceAccount.spec.reasonCodes.first { $0.code == account.revokedFor }?.label
        let body =
            UI.crumbs([("Service accounts", "/service-accounts")], here: account.name)
            + UI.title(account.name) {
                account.state(at: now).chip
                kind(account.kind)
                UI.id(account.id, copy: "account id")
            }
            + UI.keyFacts([
                ("Owner", ownerLink(account, name: owner?.name, isOwn: isOwn)),
                ("Token begins with", UI.code(account.token.prefix)),
                ("Last used", ServiceAccount.lastUsed(used, at: now)), ("Until", account.until(at: now)),
            ])
            + actions(account, call, isOwn: isOwn, waiting: waiting, now: now)
            + UI.stack {
                notices(account, reason: reason, owner: owner, now: now)
                UI.panel(
                    "Scopes", id: "a-scopes",
                    hint: account.kind == .assistant
                        ? "what it may read, and propose for somebody else to agree to" : "what it may do"
                ) {
                    UI.table(
                        caption: "Scopes of \(account.name)", columns: scopeColumns(held), rows: account.scopes,
                        density: .plain)
                }
                if call.caller.permissions.contains("audit.view") {
                    el("p") { el("a", .href("/audit?actor=\(account.id)")) { "What was done with this account" } }
                }
            }
        return PageAnswer(title: account.name, body: body)
    }

    private static func ownerLink(_ account: ServiceAccount, name: String?, isOwn: Bool) -> Node {
        // Whoever has an account may see their own page, and perhaps nobody else's.
        let href = isOwn ? "/me" : "/staff/\(account.ownerID)"
        let link = el("a", .href(href)) { name ?? account.ownerID }
        return isOwn ? link + Node(" (you)") : link
    }

    /// Its owner changes it; others, where they may, end it.
    private static func actions(
        _ account: ServiceAccount, _ call: PageCall, isOwn: Bool, waiting: [String: WaitingRequest], now: Instant
    ) -> Node {
        let catalog =
            isOwn
            ? call.catalog : call.catalog.without(RotateServiceAccountToken.spec.name, ChangeServiceAccount.spec.name)
        return UI.actionBar(
            account, path: "/service-accounts/\(account.id)", catalog: catalog, caller: call.caller, now: now,
            waiting: waiting)
    }

    private static func notices(_ account: ServiceAccount, reason: String?, owner: Standing?, now: Instant) -> Node {
        let why = account.revokedFor == DeactivateStaff.accountReason ? "Its owner left" : reason
        if let revocation = account.revocation(of: "account", for: why, at: now) { return revocation }
        if owner?.isActive != true {
            return UI.banner(.warn, "This account does not work.", "Its owner is not active.")
        }
        if let previous = account.token.previous, now < previous.until {
            return UI.banner(
                .info, "The token before this one works on.",
                "Until \(previous.until.minuteText); replace the token again to end it sooner.")
        }
        return .none
    }

    private static func scopeColumns(_ held: Permissions) -> [Column<String>] {
        [
            Column("Permission", isRowHeader: true) { code in
                UI.coded(PermissionCatalog[code].map { Node($0.title) }, code)
            },
            Column("Risk", priority: 2) { code in UI.muted(PermissionCatalog[code]?.risk.rawValue ?? "unknown") },
            Column("Now") { code in
                held.contains(code)
                    ? UI.state("In force", .ok, .on) : UI.state("Its owner does not hold it", .plain, .ring)
            },
        ]
    }

    static func kind(_ kind: ServiceAccount.Kind) -> Node { UI.tag(kind == .assistant ? "Assistant" : "Service") }

    /// Those of a person that were not revoked, for who may see them.
    static func panel(of staff: Staff, for caller: Caller, from reader: any Reader) throws -> Node {
        guard caller.permissions.contains(ServiceAccountListing.viewing) else { return .none }
        let items = try reader.query(ServiceAccount.live(of: staff.id)).map(ServiceAccount.init)
        guard !items.isEmpty else { return .none }
        let listing = ServiceAccountListing(
            items: Array(items.suffix(20).reversed()), uses: try ServiceAccount.lastUses(of: items, from: reader),
            owners: [:], next: nil)
        return UI.panel(
            "Service accounts", id: "p-accounts", hint: "what their programs use the API with",
            actions: el("a", .class("small"), .href("/service-accounts?owner=\(staff.id)")) { "All of theirs" }
        ) { table(listing, now: reader.now, showsOwner: false) }
    }

    /// One's own, for the page of one's own security: the newest that were not revoked.
    static func own(_ call: PageCall, from reader: any Reader) throws -> Node {
        let items = try reader.query(ServiceAccount.live(of: call.caller.person)).map(ServiceAccount.init)
        let mayCreate = call.caller.permissions.contains(CreateServiceAccount.spec.permission)
        guard !items.isEmpty || mayCreate else { return .none }
        let listing = ServiceAccountListing(
            items: Array(items.suffix(20).reversed()), uses: try ServiceAccount.lastUses(of: items, from: reader),
            owners: [:], next: nil)
        return UI.panel(
            "Service accounts", id: "p-accounts", hint: "what your programs use the API with",
            actions: (mayCreate
                ? el("a", .class("small"), .href("/service-accounts/new")) { "Create account…" } + Node(" · ") : .none)
                + el("a", .class("small"), .href("/service-accounts?owner=\(call.caller.person)")) { "All of yours" }
        ) {
            if items.isEmpty {
                UI.panelBody { UI.hint("None. What your programs do with one is yours to answer for.") }
            } else {
                table(listing, now: reader.now, showsOwner: false)
            }
        }
    }
}
