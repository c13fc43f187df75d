import Kernel

/// One page of differences, as asked by the API and by the console.
struct DriftListing {
    let state: Drift.State?
    let field: Drift.Field?
    let tenant: String?
    let items: [Drift]
    /// The tenants the items are about, by id.
    let tenants: [String: Tenant]
    let next: String?

    static let parameters: [Read.Parameter] = [
        .limit, .cursor,
        .init(
            "state", "What became of it.",
            schema: ["type": "string", "enum": .array(Drift.State.allCases.map { .string($0.rawValue) })]),
        .init(
            "field", "The field that differs.",
            schema: ["type": "string", "enum": .array(Drift.Field.allCases.map { .string($0.rawValue) })]),
        .init("tenant", "The tenant it is about: an id or a slug."),
    ]

    static func load(_ call: ReadCall, from reader: any Reader) throws -> DriftListing {
        let limit = try call.limit()
        let state: Drift.State? = try word("state", call)
        let field: Drift.Field? = try word("field", call)
        var tenant = call.first("tenant")
        if let text = tenant, !Identifier.isValid(text, prefix: Tenant.idPrefix) {
            // A slug nobody has matches no row.
            tenant = try reader.first(DriftQueries.tenant(slug: text.lowercased()))?.string("id") ?? "unknown"
        }
        let scope = "drift.list \(state?.rawValue ?? "") \(field?.rawValue ?? "") \(tenant ?? "")"
        var position: DriftQueries.Position?
        if let cursor = call.first("cursor") {
            let parts = try call.cursors.decode(cursor, scope: scope)
            guard parts.count == 2, let at = parts[0].int, let id = parts[1].string else {
                throw OperationError.invalid([
                    FieldError(pointer: "?cursor", detail: "cursor is not one this list gave out.")
                ])
            }
            position = .init(at: Instant(microseconds: at), id: id)
        }
        let found = try reader.query(
            DriftQueries.page(state: state, field: field, tenant: tenant, after: position, limit: limit + 1)
        ).map(Drift.init)
        let items = Array(found.prefix(limit))
        return DriftListing(
            state: state, field: field, tenant: tenant, items: items, tenants: try tenants(of: items, from: reader),
            next: found.count > limit
                ? items.last.map {
                    call.cursors.encode(scope: scope, [.int($0.openedAt.microseconds), .string($0.id)])
                } : nil)
    }

    private static func word<Word: RawRepresentable<String> & CaseIterable>(
        _ name: String, _ call: ReadCall
    ) throws -> Word? {
        guard let text = call.first(name) else { return nil }
        guard let word = Word(rawValue: text) else {
            let words = Word.allCases.map(\.rawValue).joined(separator: ", ")
            throw OperationError.invalid([
                FieldError(pointer: "?\(name)", detail: "\(name) must be one of \(words).")
            ])
        }
        return word
    }

    static func tenants(of items: [Drift], from reader: any Reader) throws -> [String: Tenant] {
        let ids = Set(items.map(\.tenant)).sorted()
        guard !ids.isEmpty else { return [:] }
        var tenants: [String: Tenant] = [:]
        for row in try reader.query(DriftQueries.tenants(ids)) {
            let tenant = try Tenant(row)
            tenants[tenant.id] = tenant
        }
        return tenants
    }

    static func find(_ id: String, from reader: any Reader) throws -> Drift {
        guard Identifier.isValid(id, prefix: Drift.idPrefix), let drift = try Drift.load(id, from: reader) else {
            throw OperationError.notFound("There is no difference \(id.prefix(60)). The list is at /drifts.")
        }
        return drift
    }

    /// Names of the people that owners are, for who may see users.
    static func people(_ items: [Drift], _ tenants: [String: Tenant], from reader: any Reader) throws -> [String:
        String]
    {
        let owners = items.filter { $0.field == .owner }
        let ids = Set(owners.flatMap { [$0.ours, $0.theirs, tenants[$0.tenant]?.ownerID ?? ""] }).subtracting([""])
            .sorted()
        guard !ids.isEmpty else { return [:] }
        var names: [String: String] = [:]
        for row in try reader.query(DriftQueries.users(ids)) {
            let name = try row.string("name")
            names[try row.string("id")] = name.isEmpty ? try row.string("email") : name
        }
        return names
    }
}
