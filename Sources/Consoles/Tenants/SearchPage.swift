import HTML
import Kernel

/// `/search?q=`: tenants, people, and operations in words ("suspend acme").
enum SearchPage {
    /// An operation on a tenant that was found.
    private struct Deed {
        let title: String
        let href: String
        /// Why it can't be done now.
        let unavailable: String?
        let tenant: Tenant
    }

    static let page = Page("/search", permission: "tenant.view", menuPath: "") { call, reader in
        guard let query = call.first("q"), !query.allSatisfy(\.isWhitespace) else {
            return PageAnswer(title: "Search", body: UI.title("Search") + prompt)
        }
        let people = call.caller.maySeeUsers
        let deeds = try deeds(query, call, people: people, in: reader)
        let search = try TenantSearch.run(query, people: people, in: reader)
        let shown = search.hits.map(\.id) + deeds.map(\.tenant.id)
        let disclosure = Disclosure(
            "tenant.search", query: ["q": .string(query)], count: shown.count, ids: shown, subjects: shown)
        let body =
            UI.title("Search", lead: "“\(query)”")
            + UI.stack {
                if !deeds.isEmpty { doing(deeds) }
                if !search.hits.isEmpty { results(search) } else if deeds.isEmpty { nothing(people: people) }
            }
        // Whoever types a whole id, external id or slug wants that thing, not a list of one.
        var redirect: String?
        if search.tier == .exact, search.hits.count == 1, deeds.isEmpty, let hit = search.hits.first {
            redirect = hit.kind == .tenant ? "/tenants/\(hit.id)" : "/users/\(hit.id)"
        }
        return PageAnswer(title: "Search", body: body, disclosure: disclosure, redirect: redirect)
    }

    // MARK: Operations in words

    /// "suspend acme" → the operation's form for each tenant that "acme" finds; the longest operation name wins.
    private static func deeds(_ query: String, _ call: PageCall, people: Bool, in reader: any Reader) throws -> [Deed] {
        let offered = call.catalog.operations(on: Tenant.type).filter {
            !$0.creates && !$0.spec.systemOnly && call.caller.permissions.contains($0.spec.permission)
        }
        guard let (operation, rest) = OperationWords.match(query, offered) else { return [] }
        let found = try TenantSearch.run(rest, people: people, in: reader)
        let ids = found.hits.filter { $0.kind == .tenant }.prefix(5).map(\.id)
        guard !ids.isEmpty else { return [] }
        var tenants: [String: Tenant] = [:]
        for row in try reader.query(Tenant.select(Array(ids), lock: false, reader.dialect)) {
            let tenant = try Tenant(row)
            tenants[tenant.id] = tenant
        }
        return ids.compactMap { tenants[$0] }.map { tenant in
            Deed(
                title: OperationWords.title(operation.spec, of: tenant.name),
                href: "/tenants/\(tenant.id)/\(operation.spec.verbPath)",
                unavailable: operation.unavailable(tenant, reader.now), tenant: tenant)
        }
    }

    private static func doing(_ deeds: [Deed]) -> Node {
        UI.panel("Do it", id: "s-do", hint: "opens the form; nothing happens before you confirm") {
            UI.panelBody {
                UI.tightStack {
                    for deed in deeds {
                        el("p", .class("row")) {
                            if let why = deed.unavailable {
                                UI.offButton(deed.title, why: why)
                            } else {
                                UI.linkButton("\(deed.title)…", href: deed.href)
                            }
                            deed.tenant.status.mark
                            el("span", .class("id")) { deed.tenant.slug }
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
            search.tier == .exact ? "Exactly this" : "Beginning like this", id: "s-hits",
            hint: isFull ? "the first \(TenantSearch.most); type more to narrow it" : nil
        ) {
            UI.table(
                caption: "Results, \(search.hits.count)",
                columns: [
                    Column("Name", .clip, isRowHeader: true) { hit in
                        el("a", .href(hit.kind == .tenant ? "/tenants/\(hit.id)" : "/users/\(hit.id)")) { hit.title }
                    },
                    Column("What", priority: 3) { UI.muted($0.kind == .tenant ? "Tenant" : "User") },
                    Column("Slug or e-mail", .clip, priority: 2) { Node($0.handle) },
                    Column("State") { hit in
                        hit.kind == .tenant
                            ? TenantStatus(rawValue: hit.status)?.mark ?? Node(hit.status)
                            : UI.muted(titled(hit.status))
                    },
                    Column("Found by", priority: 3) { UI.muted($0.matched) },
                ], rows: search.hits)
        }
    }

    private static func nothing(people: Bool) -> Node {
        UI.empty(
            "Nothing found",
            people
                ? "Search looks for whole ids, external ids, slugs and e-mails, then for how a name, a slug or an e-mail begins. Try the first letters."
                : "Search looks for whole ids, external ids and slugs, then for how a name or a slug begins. People are not searched, because your roles do not hold user.view."
        )
    }

    private static var prompt: Node {
        UI.empty(
            "What are you looking for?",
            "Type an id, a slug, an e-mail or the beginning of a name. Or say what to do: “suspend acme”.")
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

    /// `hard delete`, `delete for good`, `delete`
    static func phrases(_ spec: OperationSpec) -> [[Substring]] {
        let verb = spec.verb.split(separator: "_")
        var title = spec.title.lowercased().split(separator: " ")
        if title.count > 1, let last = title.last, last == spec.noun { title.removeLast() }
        return [verb, title, Array(title.prefix(1))]
    }

    /// "Suspend Acme Robotics", "Delete for good: Acme Robotics"
    static func title(_ spec: OperationSpec, of name: String) -> String {
        let suffix = " \(spec.noun)"
        return spec.title.lowercased().hasSuffix(suffix)
            ? "\(spec.title.dropLast(suffix.count)) \(name)" : "\(spec.title): \(name)"
    }
}
