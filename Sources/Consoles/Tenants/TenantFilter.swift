import Kernel

/// What a list of tenants is narrowed to; several values of one kind mean any of them.
public struct TenantFilter: Sendable, Hashable {
    /// A filter's query parameter, which is also its column.
    public enum Kind: String, Sendable, CaseIterable {
        case status, plan, tier, region
    }
    public let values: [Kind: [String]]

    static let mostValues = 20

    /// Reads `?status=…&status=…&plan=…`; throws with every value that can't be.
    public init(_ query: [String: [String]]) throws(OperationError) {
        var values: [Kind: [String]] = [:]
        var errors: [FieldError] = []
        for kind in Kind.allCases {
            let given = Set((query[kind.rawValue] ?? []).filter { !$0.isEmpty }).sorted()
            guard !given.isEmpty else { continue }
            let known = kind == .status ? Set(TenantStatus.allCases.map(\.rawValue)) : nil
            if let bad = given.first(where: { !(known?.contains($0) ?? TenantWord.isValid($0)) }) {
                let hint =
                    kind == .status
                    ? "; it is one of \(TenantStatus.allCases.map(\.rawValue).joined(separator: ", "))" : ""
                errors.append(
                    FieldError(pointer: "?\(kind.rawValue)", detail: "\"\(bad)\" is no \(kind.rawValue)\(hint)."))
            }
            if given.count > Self.mostValues {
                errors.append(
                    FieldError(
                        pointer: "?\(kind.rawValue)",
                        detail: "\(kind.rawValue) may have at most \(Self.mostValues) values."))
            }
            values[kind] = given
        }
        guard errors.isEmpty else { throw .invalid(errors) }
        self.values = values
    }

    public subscript(kind: Kind) -> [String] { values[kind] ?? [] }
    public var isEmpty: Bool { values.isEmpty }

    /// The kind whose index the list walks where nothing was counted yet; the others are tested on the way. Status first
    /// when it names rare states, because nearly every tenant is active.
    var driving: Kind? {
        if !self[.status].isEmpty, !self[.status].contains(TenantStatus.active.rawValue) { return .status }
        return [.tier, .region, .plan, .status].first { !self[$0].isEmpty }
    }

    /// Names the list in a cursor.
    var scope: String {
        Kind.allCases.map { "\($0.rawValue)=\(self[$0].joined(separator: ","))" }.joined(separator: "&")
    }
}

/// How a list of tenants may be ordered.
public enum TenantSort: String, Sendable, CaseIterable {
    case created, name
    case lastActivity = "last_activity"

    /// The newest first, names from A to Z.
    var isDescending: Bool { self != .name }
}

/// One page of tenants.
public struct TenantListing: Sendable {
    public struct Item: Sendable {
        public let id: String
        public let version: Int64
        public let externalID: String
        public let slug: String
        public let name: String
        public let status: TenantStatus
        public let plan: String
        public let tier: String
        public let region: String
        public let createdAt: Instant
        public let lastActivityAt: Instant
        let nameKey: String

        init(_ row: Row) throws {
            id = try row.string("id")
            version = try row.int("version")
            externalID = try row.string("external_id")
            slug = try row.string("slug")
            name = try row.string("name")
            nameKey = try row.string("name_key")
            guard let status = TenantStatus(rawValue: try row.string("status")) else {
                throw StoreError.shape(column: "status")
            }
            self.status = status
            plan = try row.string("plan")
            tier = try row.string("tier")
            region = try row.string("region")
            createdAt = try row.instant("created_at")
            lastActivityAt = try row.instant("last_activity_at")
        }

        public var json: JSON {
            .object([
                "id": .string(id), "version": .int(version), "external_id": .string(externalID),
                "slug": .string(slug), "name": .string(name), "status": .string(status.rawValue),
                "plan": .string(plan), "tier": .string(tier), "region": .string(region),
                "created_at": .string(createdAt.rfc3339), "last_activity_at": .string(lastActivityAt.rfc3339),
            ])
        }

        func position(_ sort: TenantSort) -> [JSON] {
            switch sort {
            case .created: [.int(createdAt.microseconds), .string(id)]
            case .name: [.string(nameKey), .string(id)]
            case .lastActivity: [.int(lastActivityAt.microseconds), .string(id)]
            }
        }
    }

    public let filter: TenantFilter
    public let sort: TenantSort
    public let items: [Item]
    public let facets: TenantFacets
    /// There are fewer items than asked for because the search for them was ended after a while; it goes on at the cursor.
    public let isPartial: Bool
    /// The cursor of the following page; `nil` on the last one.
    public let next: String?
    /// The cursor of the page before; `nil` on the first one.
    public let previous: String?

    /// The page that `call` asks for by filters, `sort`, `limit` and `cursor`.
    /// - Parameter reach: how many tenants of one value are looked at where filters are combined.
    static func load(
        _ call: ReadCall, from reader: any Reader, reach: Int = TenantListQueries.reach
    ) throws -> TenantListing {
        let filter = try TenantFilter(call.query)
        let sort = try sort(call.first("sort"))
        let limit = try call.limit()
        let scope = "tenant.list?\(filter.scope)&sort=\(sort.rawValue)"
        var start: TenantListQueries.Start?
        if let cursor = call.first("cursor") {
            let position = try call.cursors.decode(cursor, scope: scope)
            guard position.count == 3, let id = position[1].string, let direction = position[2].string else {
                throw OperationError.internalError("a signed cursor of an unknown shape")
            }
            let key: Value = position[0].int.map(Value.int) ?? .text(position[0].string ?? "")
            start = .init(
                key: key, id: id, isBackward: direction.hasPrefix("previous"), isInclusive: direction.hasSuffix("_at"))
        }
        let isBackward = start?.isBackward ?? false
        /// The page by the index of one kind, as long as it is looked for at all.
        func page(
            _ facets: TenantFacets, _ driving: TenantFilter.Kind?, end: TenantListQueries.Start? = nil
        ) -> Statement {
            // One row more than asked tells whether a further page exists.
            TenantListQueries.page(
                filter, sort, from: start, limit: limit + 1, driving: driving, end: end,
                reach: isLong(facets, driving) ? reach : nil)
        }
        func isLong(_ facets: TenantFacets, _ driving: TenantFilter.Kind?) -> Bool {
            guard filter.values.count > 1, let driving else { return false }
            return facets.count(filter, driving) ?? .max > Int64(reach)
        }
        // Which index is the best say the counts. They are nearly always those of the list before, so that the page is asked for
        // together with them.
        if let facets = TenantFacets.lately {
            let driving = facets.driving(filter)
            if !isLong(facets, driving) || filter[driving ?? .status].count == 1 {
                reader.foresee([page(facets, driving)])
            }
        }
        let facets = try TenantFacets.load(from: reader)
        let driving = facets.driving(filter)
        let isLong = isLong(facets, driving)
        func ends(within reach: Int) throws -> TenantListQueries.Start? {
            guard isLong, let driving else { return nil }
            let ends = try reader.query(
                TenantListQueries.ends(filter, sort, from: start, driving: driving, reach: reach))
            return try TenantListQueries.nearest(ends.flatMap { $0 }, sort, isBackward: isBackward)
        }
        var rows: [Row] = []
        var end: TenantListQueries.Start?
        if isLong, let driving, filter[driving].count > 1 {
            // Branches that are merged must end together. Most pages fill from the first rows of each.
            for distance in [min(reach, 1000), reach] {
                end = try ends(within: distance)
                rows = try reader.query(page(facets, driving, end: end))
                if rows.count > limit || end == nil || distance == reach { break }
            }
        } else {
            rows = try reader.query(page(facets, driving))
            // Where the look ended is of interest only when it ended too soon.
            if rows.count <= limit { end = try ends(within: reach) }
        }
        var items = try rows.prefix(limit).map(Item.init)
        let isMore = rows.count > limit
        let isPartial = !isMore && end != nil
        if isBackward { items.reverse() }
        /// Behind an item, or where the look at a partial page ended; from an empty page back to where it began.
        func cursor(_ item: Item?, _ direction: JSON, at place: TenantListQueries.Start? = nil) -> String? {
            if let place {
                let key: JSON = if case .int(let number) = place.key { .int(number) } else { .string(place.keyText) }
                return call.cursors.encode(scope: scope, [key, .string(place.id), direction])
            }
            return item.map { call.cursors.encode(scope: scope, $0.position(sort) + [direction]) }
        }
        let further = isMore || isPartial
        return TenantListing(
            filter: filter, sort: sort, items: items, facets: facets, isPartial: isPartial,
            next: isBackward
                ? items.isEmpty ? cursor(nil, "next_at", at: start) : cursor(items.last, "next")
                : further ? cursor(items.last, "next", at: isPartial ? end : nil) : nil,
            previous: isBackward
                ? further ? cursor(items.first, "previous", at: isPartial ? end : nil) : nil
                : start == nil
                    ? nil : items.isEmpty ? cursor(nil, "previous_at", at: start) : cursor(items.first, "previous"))
    }

    private static func sort(_ text: String?) throws(OperationError) -> TenantSort {
        guard let text else { return .created }
        guard let sort = TenantSort(rawValue: text) else {
            throw .invalid([
                FieldError(
                    pointer: "?sort",
                    detail: "sort is one of \(TenantSort.allCases.map(\.rawValue).joined(separator: ", ")).")
            ])
        }
        return sort
    }
}
