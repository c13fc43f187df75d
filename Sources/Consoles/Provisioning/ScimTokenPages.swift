import HTML
import Kernel

/// One page of SCIM tokens, as asked by the API and by the console.
struct ScimTokenListing {
    let items: [ScimToken]
    /// When each was last shown, by id.
    let uses: [String: Instant]
    /// Names of those who made them, by id.
    let makers: [String: String]
    let next: String?

    static let viewing = "scim.view"

    static func load(_ call: ReadCall, from reader: any Reader) throws -> ScimTokenListing {
        let limit = try call.limit()
        let scope = "scim_token.list"
        let before = try call.first("cursor").map { try call.cursors.decode($0, scope: scope).first?.string ?? "" }
        let found = try reader.query(ScimToken.page(before: before, limit: limit + 1)).map(ScimToken.init)
        let items = Array(found.prefix(limit))
        return ScimTokenListing(
            items: items, uses: try ScimToken.lastUses(of: items, from: reader),
            makers: try StaffDetail.names(items.map(\.createdBy), from: reader),
            next: found.count > limit ? items.last.map { call.cursors.encode(scope: scope, [.string($0.id)]) } : nil)
    }

    static func find(_ id: String, from reader: any Reader) throws -> ScimToken {
        guard let token = try ScimToken.load(id, from: reader) else {
            throw OperationError.notFound("There is no SCIM token \(id.prefix(60)). The list is at /scim-tokens.")
        }
        return token
    }
}

/// `/scim-tokens`
enum ScimTokenPages {
    static let list = Page("/scim-tokens", permission: ScimTokenListing.viewing, menuPath: "/scim-tokens") {
        call, reader in
        let listing = try ScimTokenListing.load(call.readCall, from: reader)
        let now = reader.now
        let create =
            call.caller.permissions.contains(CreateScimToken.spec.permission)
            ? UI.linkButton("Create token…", href: "/scim-tokens/new", style: .primary, icon: "plus") : .none
        let count = listing.items.count
        let waiting =
            call.caller.permissions.contains("staff.view")
            ? UI.linkButton("Grants that wait", href: "/pending-grants") : .none
        var columns: [Column<ScimToken>] = [
            ScimToken.nameColumn("Provider"), ScimToken.stateColumn(at: now),
            Column("Made by", priority: 4) { UI.muted(listing.makers[$0.createdBy] ?? $0.createdBy) },
        ]
        columns += ScimToken.timeColumns(listing.uses, at: now)
        let body =
            UI.title(
                "Provisioning", lead: "What identity providers tell of staff with, at /scim/v2",
                trailing: waiting + create)
            + el("section", .class("panel"), .label("SCIM tokens")) {
                if listing.items.isEmpty {
                    UI.empty(
                        "No provider yet",
                        "With a token your identity provider creates and deactivates staff, and asks for their roles.",
                        action: create)
                } else {
                    UI.table(caption: "SCIM tokens, \(count) shown", columns: columns, rows: listing.items)
                }
            }
            + UI.pages(
                count == 0 ? "" : count == 1 ? "1 token" : "\(count) tokens",
                first: call.first("cursor") == nil ? nil : "/scim-tokens",
                next: listing.next.map { "/scim-tokens?cursor=\($0)" })
        return PageAnswer(title: "Provisioning", body: body)
    }

    static let view = Page("/scim-tokens/{id}", permission: ScimTokenListing.viewing, menuPath: "/scim-tokens") {
        call, reader in
        let token = try ScimTokenListing.find(call.path["id"] ?? "", from: reader)
        let used = try ScimToken.lastUses(of: [token], from: reader)[token.id]
        let maker = try Staff.load(token.createdBy, from: reader)
        let before = try token.previousBy.flatMap { try StaffDetail.names([$0], from: reader)[$0] }
        let now = reader.now
        let reason = RevokeScimToken.spec.reasonCodes.first { $0.code == token.revokedFor }?.label
        let body =
            UI.crumbs([("Provisioning", "/scim-tokens")], here: token.name)
            + UI.title(token.name) {
                token.state(at: now).chip
                UI.id(token.id, copy: "token id")
            }
            + UI.keyFacts([
                ("Token begins with", UI.code(token.token.prefix)),
                ("Last used", ScimToken.lastUsed(used, at: now)), ("Until", token.until(at: now)),
                ("Made by", maker.map { UI.person($0.name) } ?? UI.muted(token.createdBy)),
            ])
            + UI.actionBar(
                token, path: "/scim-tokens/\(token.id)", catalog: call.catalog, caller: call.caller, now: now,
                waiting: try ApprovalList.waiting(on: token.id, for: call.caller, from: reader))
            + UI.stack {
                notice(token, shownTo: maker, before: before, reason: reason, now: now)
                UI.panel("For the provider", id: "t-setup", hint: "what its settings ask for") {
                    UI.panelBody {
                        UI.facts([
                            ("Address", UI.code("/scim/v2") + Node(" below the console’s own address")),
                            ("Authentication", Node("OAuth bearer token, or HTTP header: the token as it was shown")),
                            ("Groups", Node("one for each role, found by its title or its code")),
                        ])
                    }
                }
                if call.caller.permissions.contains("audit.view") {
                    el("p") { el("a", .href("/audit?actor=\(ScimDoor.person)")) { "What identity providers did" } }
                }
            }
        return PageAnswer(title: token.name, body: body)
    }

    private static func notice(
        _ token: ScimToken, shownTo holder: Staff?, before: String?, reason: String?, now: Instant
    ) -> Node {
        if let revocation = token.revocation(of: "token", for: reason, at: now) { return revocation }
        var out = Node.none
        if let holder, holder.status == .deactivated, token.state(at: now) == .active {
            out =
                out
                + UI.banner(
                    .warn, "\(holder.name) was shown this token and has left.",
                    "Whoever knows it can send what the provider sends. Replace it.")
        }
        if let previous = token.token.previous, now < previous.until {
            out =
                out
                + UI.banner(
                    .info, "The token before this one works on.",
                    "Until \(previous.until.minuteText), so that the provider can be given the new one."
                        + (before.map { " It was shown to \($0)." } ?? ""))
        }
        return out
    }
}
