import HTML
import Kernel

/// One page of tokens, as asked by the API and by the console.
struct RuntimeTokenListing {
    let items: [RuntimeToken]
    /// When each was last shown, by id.
    let uses: [String: Instant]
    /// Names of those who made them, by id.
    let makers: [String: String]
    let next: String?

    static func load(_ call: ReadCall, from reader: any Reader) throws -> RuntimeTokenListing {
        let limit = try call.limit()
        let scope = "runtime_token.list"
        var before: String?
        if let cursor = call.first("cursor") {
            before = try call.cursors.decode(cursor, scope: scope).first?.string ?? ""
        }
        let found = try reader.query(RuntimeToken.page(before: before, limit: limit + 1)).map(RuntimeToken.init)
        let items = Array(found.prefix(limit))
        return RuntimeTokenListing(
            items: items, uses: try RuntimeToken.lastUses(of: items, from: reader),
            makers: try StaffDetail.names(items.map(\.createdBy), from: reader),
            next: found.count > limit ? items.last.map { call.cursors.encode(scope: scope, [.string($0.id)]) } : nil)
    }

    static func find(_ id: String, from reader: any Reader) throws -> RuntimeToken {
        guard Identifier.isValid(id, prefix: RuntimeToken.idPrefix), let token = try RuntimeToken.load(id, from: reader)
        else {
            throw OperationError.notFound("There is no runtime token \(id.prefix(60)). The list is at /runtime-tokens.")
        }
        return token
    }
}

/// `/runtime-tokens`
enum RuntimeTokenPages {
    static let list = Page("/runtime-tokens", permission: "runtime_token.view", menuPath: "/runtime-tokens") {
        call, reader in
        let listing = try RuntimeTokenListing.load(call.readCall, from: reader)
        let now = reader.now
        let create =
            call.caller.permissions.contains(CreateRuntimeToken.spec.permission)
            ? UI.linkButton("Create token…", href: "/runtime-tokens/new", style: .primary, icon: "plus") : .none
        var columns: [Column<RuntimeToken>] = [
            RuntimeToken.nameColumn("Token"), RuntimeToken.stateColumn(at: now),
            Column("Scopes", priority: 2) { token in
                UI.row { for scope in token.scopes { UI.tag(scope.rawValue) } }
            },
            Column("Made by", priority: 4) { token in
                listing.makers[token.createdBy].map { UI.person($0) } ?? UI.muted(titled(token.createdBy))
            },
        ]
        columns += RuntimeToken.timeColumns(listing.uses, at: now)
        let body =
            UI.title("Runtime tokens", lead: "What your product talks to Postern with", trailing: create)
            + el("section", .class("panel"), .label("Tokens")) {
                if listing.items.isEmpty {
                    UI.empty(
                        "No token yet",
                        "Your product needs one to tell of its customers and users over the runtime listener.",
                        action: create)
                } else {
                    UI.table(caption: "Tokens, \(listing.items.count) shown", columns: columns, rows: listing.items)
                }
            }
            + UI.pages(
                listing.items.isEmpty
                    ? "" : listing.items.count == 1 ? "1 token" : "\(listing.items.count) tokens",
                first: call.first("cursor") == nil ? nil : "/runtime-tokens",
                next: listing.next.map { "/runtime-tokens?cursor=\($0)" })
        return PageAnswer(title: "Runtime tokens", body: body)
    }

    static let view = Page("/runtime-tokens/{id}", permission: "runtime_token.view", menuPath: "/runtime-tokens") {
        call, reader in
        let token = try RuntimeTokenListing.find(call.path["id"] ?? "", from: reader)
        let used = try RuntimeToken.lastUses(of: [token], from: reader)[token.id]
        let maker = try StaffDetail.names([token.createdBy], from: reader)[token.createdBy]
        let now = reader.now
        let reason = RevokeRuntimeToken.spec.reasonCodes.first { $0.code == token.revokedFor }?.label
        let body =
            UI.crumbs([("Runtime tokens", "/runtime-tokens")], here: token.name)
            + UI.title(token.name) {
                token.state(at: now).chip
                UI.id(token.id, copy: "token id")
            }
            + UI.keyFacts([
                ("Token begins with", UI.code(token.prefix)),
                ("Last used", RuntimeToken.lastUsed(used, at: now)), ("Until", token.until(at: now)),
                ("Made by", maker.map { UI.person($0) } ?? UI.muted(titled(token.createdBy))),
            ])
            + UI.actionBar(
                token, path: "/runtime-tokens/\(token.id)", catalog: call.catalog, caller: call.caller, now: now)
            + UI.stack {
                token.revocation(of: "token", for: reason, at: now)
                UI.panel("Scopes", id: "t-scopes", hint: "what it may be used for") {
                    UI.panelBody { UI.facts(token.scopes.map { (titled($0.rawValue), Node(summary($0))) }) }
                }
                if call.caller.permissions.contains("audit.view") {
                    el("p") { el("a", .href("/audit?actor=\(token.id)")) { "What was done with this token" } }
                }
            }
        return PageAnswer(title: token.name, body: body)
    }

    static func summary(_ scope: RuntimeScope) -> String {
        switch scope {
        case .registry: "Tell of tenants, users and memberships"
        case .flags: "Evaluate flags"
        case .impersonation: "Redeem and check impersonation sessions"
        case .agents: "Report agents’ tasks and hear of kill switches"
        }
    }
}
