import Kernel

/// The counted facets of the list of tenants.
enum FacetQueries {
    static let facets = Statement("SELECT kind, value, count FROM tenant_facets ORDER BY kind, value LIMIT 1000")
    static let state = Statement(
        "SELECT counted_at, newest_event, scanned_at FROM tenant_facets_state WHERE id = 1")

    /// The newest change of anything: as long as it is the same, no tenant has changed.
    static let newestChange = Statement(
        "SELECT id FROM events WHERE class = 'mutation' ORDER BY at DESC, id DESC LIMIT 1")

    /// One pass over the shortest index that holds the column.
    static func count(_ kind: TenantFilter.Kind) -> Statement {
        let column = kind.rawValue
        return Statement(
            """
            SELECT \(column) AS value, COUNT(*) AS count FROM tenants GROUP BY \(column) \
            ORDER BY count DESC, value LIMIT \(TenantFacets.mostValues)
            """)
    }

    static let clear = Statement("DELETE FROM tenant_facets")

    static func insert(_ kind: TenantFilter.Kind, _ counts: [(value: String, count: Int64)]) -> Statement {
        let places = counts.indices.map { "($\(3 * $0 + 1), $\(3 * $0 + 2), $\(3 * $0 + 3))" }.joined(separator: ", ")
        return Statement(
            "INSERT INTO tenant_facets (kind, value, count) VALUES \(places)",
            counts.flatMap { [.text(kind.rawValue), .text($0.value), .int($0.count)] })
    }

    static func counted(newest: String?, at now: Instant) -> Statement {
        Statement(
            """
            INSERT INTO tenant_facets_state (id, counted_at, newest_event, scanned_at) VALUES (1, $1, $2, $3) \
            ON CONFLICT (id) DO UPDATE SET counted_at = excluded.counted_at, newest_event = excluded.newest_event, \
            scanned_at = excluded.scanned_at
            """, [Value(now), Value(newest), Value(now)])
    }

    static func stillTrue(at now: Instant) -> Statement {
        Statement("UPDATE tenant_facets_state SET counted_at = $1 WHERE id = 1", [Value(now)])
    }
}
