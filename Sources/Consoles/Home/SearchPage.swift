import Foundation
import HTML
import Kernel

/// `/search?q=`: tenants, people, events and requests by id, and operations in words ("suspend acme").
enum SearchPage {
    /// Without it only whole ids are looked up.
    private static let tenantView = "tenant.view"
    private static let eventView = "audit.view"

    /// The box of the frame: what can be found there is what the person may see.
    static func box(_ permissions: Permissions, _ catalog: Catalog) -> SearchBox? {
        let tenants = permissions.contains(tenantView)
        let words =
            (tenants ? ["tenants"] : []) + (tenants && permissions.contains("user.view") ? ["users"] : [])
            + (permissions.contains(eventView) ? ["events"] : [])
        guard !words.isEmpty else { return nil }
        let phrases = phrases(permissions, catalog)
        let example = phrases.doing.first { $0 == "suspend" } ?? phrases.doing.first
        return SearchBox(
            label: "Search \(words.joined(separator: ", "))"
                + (phrases.doing.isEmpty && phrases.making.isEmpty ? "" : ", or say what to do"),
            example: example.map { "\($0) acme" } ?? phrases.making.first)
    }

    /// What the person may say: "suspend", to be followed by whom, and "create tenant".
    static func phrases(_ permissions: Permissions, _ catalog: Catalog) -> (doing: [String], making: [String]) {
        let held = catalog.operations.filter { !$0.spec.systemOnly && permissions.contains($0.spec.permission) }
        let doing = held.filter { $0.targetType == Tenant.type && !$0.creates }
        return (
            permissions.contains(tenantView) ? doing.map { UI.shortTitle($0.spec).lowercased() }.sorted() : [],
            held.filter(\.creates).map { $0.spec.title.lowercased() }.sorted()
        )
    }

    /// Something that can be done with what was typed.
    private struct Deed {
        let operation: AnyOperation
        let title: String
        let href: String
        /// The tenant it would be done to, with what waits on it; `nil` for an operation that makes something.
        let tenant: Tenant?
        let waiting: [String: WaitingRequest]
        /// Whom it would be done to is only about what was typed.
        var isGuess = false
    }

    static let page = Page("/search", permission: tenantView, or: eventView, menuPath: "") { call, reader in
        guard let query = call.first("q")?.trimmingCharacters(in: .whitespacesAndNewlines), !query.isEmpty else {
            return PageAnswer(title: "Search", body: UI.title("Search") + prompt(call))
        }
        try TenantSearch.check(query)
        if let path = try path(ofID: query, call, in: reader) {
            return PageAnswer(
                title: "Search", body: .none,
                disclosure: Disclosure("tenant.search", query: ["q": .string(query)], count: 1, ids: [query]),
                redirect: path)
        }
        let people = call.caller.maySeeUsers
        let deeds = try deeds(query, call, people: people, in: reader)
        let search =
            call.caller.permissions.contains(tenantView)
            ? try TenantSearch.run(query, people: people, in: reader) : TenantSearch(tier: nil, hits: [])
        let shown = search.hits.map(\.id) + deeds.compactMap(\.tenant?.id)
        let disclosure = Disclosure(
            "tenant.search", query: ["q": .string(query)], count: shown.count, ids: shown, subjects: shown)
        let body =
            UI.title("Search", lead: "“\(query)”")
            + UI.stack {
                if !deeds.isEmpty { doing(deeds, call, now: reader.now) }
                if !search.hits.isEmpty { results(search) } else if deeds.isEmpty { nothing(call.caller) }
            }
        return PageAnswer(
            title: "Search", body: body, disclosure: disclosure,
            redirect: redirect(search, deeds, now: reader.now))
    }

    /// Whoever types a whole id, external id or slug wants that thing, and whoever says one thing to do with one tenant
    /// wants its form, not a list of one.
    private static func redirect(_ search: TenantSearch, _ deeds: [Deed], now: Instant) -> String? {
        if deeds.count == 1, search.hits.isEmpty || search.tier == .fuzzy, let deed = deeds.first, !deed.isGuess {
            let isOff = deed.tenant.map {
                deed.waiting[deed.operation.spec.name] != nil || deed.operation.unavailable($0, now) != nil
            }
            return isOff ?? false ? nil : deed.href
        }
        guard search.tier == .exact, search.hits.count == 1, deeds.isEmpty, let hit = search.hits.first else {
            return nil
        }
        return hit.kind == .tenant ? "/tenants/\(hit.id)" : "/users/\(hit.id)"
    }

    /// The page of an event, a request or a colleague, for who may open it.
    private static func path(ofID id: String, _ call: PageCall, in reader: any Reader) throws -> String? {
        let permissions = call.caller.permissions
        if Identifier.isValid(id, prefix: "evt") {
            guard permissions.contains(eventView), try reader.first(EventQueries.event(id)) != nil else {
                return nil
            }
            return "/audit/\(id)"
        }
        if Identifier.isValid(id, prefix: "apr") {
            guard let row = try reader.first(ApprovalListQueries.one(id)),
                try ApprovalRequest(row).isOpen(to: call.caller)
            else { return nil }
            return "/approvals/\(id)"
        }
        if Identifier.isValid(id, prefix: Staff.idPrefix) {
            guard permissions.contains("staff.view"), try Staff.load(id, from: reader) != nil else { return nil }
            return "/staff/\(id)"
        }
        if Identifier.isValid(id, prefix: BreakGlass.idPrefix) {
            guard permissions.contains(BreakGlassReads.permission), try BreakGlass.load(id, from: reader) != nil else {
                return nil
            }
            return "/breakglass-sessions/\(id)"
        }
        if Identifier.isValid(id, prefix: AccessReview.idPrefix) {
            guard permissions.contains("access_review.view"), try AccessReview.load(id, from: reader) != nil else {
                return nil
            }
            return "/access-reviews/\(id)"
        }
        return nil
    }

    // MARK: Operations in words

    /// "suspend acme" → the operation's form for each tenant that "acme" finds, "invite ada@…" → the form that makes it;
    /// the longest operation name wins.
    private static func deeds(_ query: String, _ call: PageCall, people: Bool, in reader: any Reader) throws -> [Deed] {
        let held = call.catalog.operations.filter {
            !$0.spec.systemOnly && call.caller.permissions.contains($0.spec.permission)
        }
        // Who only says "create" means a tenant.
        let making =
            held.filter { $0.creates && $0.targetType == Tenant.type }
            + held.filter { $0.creates && $0.targetType != Tenant.type }
        if let (operation, rest) = OperationWords.match(query, making: making) {
            let plural = operation.targetPlural.replacing("_", with: "-")
            var address = PageAddress(path: "/\(plural)/new")
            let fields = operation.fields()
            let field =
                rest.contains("@")
                ? fields.first { $0.param.control == .email } : fields.first { $0.name == "name" }
            if let field, !rest.isEmpty { address = address.with("input.\(field.name)", rest) }
            return [
                Deed(operation: operation, title: operation.spec.title, href: address.text, tenant: nil, waiting: [:])
            ]
        }
        let offered =
            call.caller.permissions.contains(tenantView)
            ? held.filter { $0.targetType == Tenant.type && !$0.creates } : []
        guard let (operation, rest) = OperationWords.match(query, offered) else { return [] }
        let found = try TenantSearch.run(rest, people: people, in: reader)
        let ids = found.hits.filter { $0.kind == .tenant }.prefix(5).map(\.id)
        guard !ids.isEmpty else { return [] }
        var tenants: [String: Tenant] = [:]
        for row in try reader.query(Tenant.select(Array(ids), lock: false, reader.dialect)) {
            let tenant = try Tenant(row)
            tenants[tenant.id] = tenant
        }
        return try ids.compactMap { tenants[$0] }.map { tenant in
            Deed(
                operation: operation, title: OperationWords.title(operation.spec, of: tenant.name),
                href: "/tenants/\(tenant.id)/\(operation.spec.verbPath)", tenant: tenant,
                waiting: try ApprovalList.waiting(on: tenant.id, for: call.caller, from: reader),
                isGuess: found.tier == .fuzzy)
        }
    }

    private static func doing(_ deeds: [Deed], _ call: PageCall, now: Instant) -> Node {
        UI.panel("Do it", id: "s-do", hint: "opens the form; nothing happens before you confirm") {
            UI.panelBody {
                UI.tightStack {
                    for deed in deeds {
                        UI.row {
                            if let tenant = deed.tenant {
                                UI.offButton(
                                    deed.operation, on: tenant, path: "/tenants/\(tenant.id)", catalog: call.catalog,
                                    caller: call.caller, now: now, waiting: deed.waiting, title: deed.title)
                                    ?? UI.linkButton("\(deed.title)…", href: deed.href)
                                tenant.status.mark
                                el("span", .class("id")) { tenant.slug }
                            } else {
                                UI.linkButton("\(deed.title)…", href: deed.href)
                            }
                        }
                    }
                }
            }
        }
    }

    // MARK: Results

    private static func results(_ search: TenantSearch) -> Node {
        let isFull = search.hits.count >= TenantSearch.most
        return UI.panel(
            search.tier == .exact
                ? "Exactly this" : search.tier == .prefix ? "Beginning like this" : "Names like this", id: "s-hits",
            hint: isFull ? "the first \(TenantSearch.most); type more to narrow it" : nil
        ) {
            UI.table(
                caption: "Results, \(search.hits.count)",
                columns: [
                    Column("Name", .clip, isRowHeader: true) { hit in
                        el("a", .href(hit.kind == .tenant ? "/tenants/\(hit.id)" : "/users/\(hit.id)")) { hit.title }
                    },
                    Column("What", priority: 3) { UI.muted($0.kind == .tenant ? "Tenant" : "User") },
                    Column("Slug or e-mail", priority: 2) { Node($0.handle) },
                    Column("State") { hit in
                        hit.kind == .tenant
                            ? TenantStatus(rawValue: hit.status)?.mark ?? Node(hit.status)
                            : UserStatus(rawValue: hit.status)?.mark ?? Node(hit.status)
                    },
                    Column("Found by", priority: 3) { UI.muted($0.matched) },
                ], rows: search.hits)
        }
    }

    private static func nothing(_ caller: Caller) -> Node {
        let sentence =
            if !caller.permissions.contains(tenantView) {
                "Search looks for whole ids of what your roles let you open. Tenants and their people are not searched, because your roles do not hold tenant.view."
            } else if caller.maySeeUsers {
                "Search looks for whole ids, external ids, slugs and e-mails, then for how a name, a slug or an e-mail begins, then for names that are about the same. Try the first letters."
            } else {
                "Search looks for whole ids, external ids and slugs, then for how a name or a slug begins, then for names that are about the same. People are not searched, because your roles do not hold user.view."
            }
        return UI.empty("Nothing found", sentence)
    }

    private static func prompt(_ call: PageCall) -> Node {
        let (doing, making) = phrases(call.caller.permissions, call.catalog)
        return UI.empty(
            "What are you looking for?",
            call.caller.permissions.contains(tenantView)
                ? "Type an id, a slug, an e-mail or the beginning of a name." : "Type the id of an event.",
            action: doing.isEmpty && making.isEmpty
                ? .none
                : el("span") {
                    "Or say what to do: "
                    (doing.map { "\($0) acme" } + making).joined(separator: ", ") + "."
                })
    }
}

/// Operations as people say them.
enum OperationWords {
    /// The operation a query begins with, and what remains of the query.
    static func match(_ query: String, _ operations: [AnyOperation]) -> (operation: AnyOperation, rest: String)? {
        // The rest is kept as typed: ids have capitals.
        let typed = query.split(whereSeparator: \.isWhitespace)
        let words = typed.map { $0.lowercased()[...] }
        var best: (operation: AnyOperation, length: Int)?
        for operation in operations {
            for phrase in phrases(operation.spec) where phrase.count < words.count && words.starts(with: phrase) {
                if phrase.count > best?.length ?? 0 { best = (operation, phrase.count) }
            }
        }
        guard let best else { return nil }
        return (best.operation, typed.dropFirst(best.length).joined(separator: " "))
    }

    /// The operation that makes something which a query begins with, and what remains: "create tenant acme", "invite
    /// ada@example.com".
    static func match(
        _ query: String, making operations: [AnyOperation]
    ) -> (operation: AnyOperation, rest: String)? {
        let typed = query.split(whereSeparator: \.isWhitespace)
        let words = typed.map { $0.lowercased()[...] }
        var best: (operation: AnyOperation, length: Int)?
        for operation in operations {
            let spec = operation.spec
            let title = spec.title.lowercased().split(separator: " ")
            for phrase in phrases(spec) + [title, ["new"] + spec.noun.split(separator: "_")]
            where phrase.count > best?.length ?? 0 && words.starts(with: phrase) {
                best = (operation, phrase.count)
            }
        }
        guard let best else { return nil }
        return (best.operation, typed.dropFirst(best.length).joined(separator: " "))
    }

    /// `hard delete`, `delete for good`, `delete`
    static func phrases(_ spec: OperationSpec) -> [[Substring]] {
        let verb = spec.verb.split(separator: "_")
        var title = spec.title.lowercased().split(separator: " ")
        if title.count > 1, let last = title.last, last == spec.noun { title.removeLast() }
        return [verb, title, Array(title.prefix(1))]
    }

    /// "Suspend Acme Robotics", "Delete for good: Acme Robotics"
    static func title(_ spec: OperationSpec, of name: String) -> String {
        let verb = UI.shortTitle(spec)
        return verb == spec.title ? "\(verb): \(name)" : "\(verb) \(name)"
    }
}
