import Kernel
import Synchronization

/// How many tenants have each value of each filter, as of a moment. Counted anew every half minute where something
/// changed, by one process; a list that is shown never counts.
public struct TenantFacets: Sendable {
    let counts: [TenantFilter.Kind: [String: Int64]]
    /// When they were true; `nil` before they were ever counted.
    public let countedAt: Instant?

    /// How many values of one kind are kept, the most frequent ones.
    static let mostValues = 100
    /// How old a count may get although no change is known of.
    static let longestUnscanned = Span.minutes(5)

    /// The counts that were read last, by whichever list: good for guessing what a list will ask, and for nothing else.
    static var lately: TenantFacets? { last.withLock { $0 } }
    private static let last = Mutex<TenantFacets?>(nil)

    static func load(from reader: any Reader) throws -> TenantFacets {
        let rows = try reader.query([FacetQueries.facets, FacetQueries.state])
        var counts: [TenantFilter.Kind: [String: Int64]] = [:]
        for row in rows[0] {
            guard let kind = TenantFilter.Kind(rawValue: try row.string("kind")) else { continue }
            counts[kind, default: [:]][try row.string("value")] = try row.int("count")
        }
        let facets = TenantFacets(counts: counts, countedAt: try rows[1].first?.instant("counted_at"))
        last.withLock { $0 = facets }
        return facets
    }

    /// The values there are, in order; `nil` when nobody counted yet.
    func values(_ kind: TenantFilter.Kind, most: Int) -> [String]? {
        guard countedAt != nil else { return nil }
        return (counts[kind] ?? [:]).sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(most).map(\.key).sorted()
    }

    /// How many tenants have this value; `nil` when nobody counted yet.
    func count(_ kind: TenantFilter.Kind, _ value: String) -> Int64? {
        guard countedAt != nil else { return nil }
        return counts[kind]?[value] ?? 0
    }

    /// How many tenants a filter of one kind lets through.
    func count(_ filter: TenantFilter, _ kind: TenantFilter.Kind) -> Int64? {
        guard countedAt != nil else { return nil }
        return filter[kind].reduce(0) { $0 + (counts[kind]?[$1] ?? 0) }
    }

    /// The kind whose index a list should walk: the one that leaves the fewest.
    func driving(_ filter: TenantFilter) -> TenantFilter.Kind? {
        guard countedAt != nil else { return filter.driving }
        return TenantFilter.Kind.allCases.filter { !filter[$0].isEmpty }.min {
            count(filter, $0) ?? 0 < count(filter, $1) ?? 0
        }
    }

    /// Brings the counts up to date; for the one process that leads.
    ///
    /// - Returns: whether the tenants were counted, which is left out as long as no change is known of.
    @discardableResult
    public static func refresh(_ database: any Database) async throws -> Bool {
        let (rows, newest, isCounted) = try await database.read { reader -> ([[Row]], String?, Bool) in
            let newest = try reader.first(FacetQueries.newestChange)?.string("id")
            if let state = try reader.first(FacetQueries.state), try state.optionalString("newest_event") == newest,
                reader.now - (try state.instant("scanned_at")) < longestUnscanned
            {
                return ([], newest, false)
            }
            return (try reader.query(TenantFilter.Kind.allCases.map(FacetQueries.count)), newest, true)
        }
        try await database.write { tx in
            guard isCounted else { return tx.enqueue(FacetQueries.stillTrue(at: tx.now)) }
            tx.enqueue(FacetQueries.clear)
            for (kind, rows) in zip(TenantFilter.Kind.allCases, rows) where !rows.isEmpty {
                tx.enqueue(
                    FacetQueries.insert(kind, try rows.map { (try $0.string("value"), try $0.int("count")) }))
            }
            tx.enqueue(FacetQueries.counted(newest: newest, at: tx.now))
        }
        return isCounted
    }

    var json: [JSON] {
        TenantFilter.Kind.allCases.map { kind in
            [
                "name": .string(kind.rawValue),
                "values": .array(
                    (counts[kind] ?? [:]).sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map {
                        ["value": .string($0.key), "count": .int($0.value)]
                    }),
            ]
        }
    }

    static let schema: JSON = [
        "type": "object", "required": ["as_of", "facets"],
        "properties": [
            "as_of": ["type": ["string", "null"], "format": "date-time"],
            "facets": [
                "type": "array",
                "items": [
                    "type": "object", "required": ["name", "values"],
                    "properties": [
                        "name": ["type": "string"],
                        "values": [
                            "type": "array",
                            "items": [
                                "type": "object", "required": ["value", "count"],
                                "properties": ["value": ["type": "string"], "count": ["type": "integer"]],
                            ],
                        ],
                    ],
                ],
            ],
        ],
    ]
}
