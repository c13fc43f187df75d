import Kernel

/// Pages of tenants by keyset: every order and filter walks an index from where the page before ended.
enum TenantListQueries {
    struct Start {
        let key: Value
        let id: String
        /// Towards the first page.
        let isBackward: Bool
        /// The row itself belongs to the page, too.
        var isInclusive = false

        var keyText: String { if case .text(let text) = key { text } else { "" } }
    }

    /// How many tenants of one value a page looks at when further filters are tested on the way: a combination that
    /// hardly anybody fits is looked for in several steps, not in one long one.
    static let reach = 20_000

    private static let columns = """
        id, version, external_id, slug, name, name_key, status, plan, tier, region, created_at, last_activity_at
        """

    /// - Parameters:
    ///   - driving: the kind whose index is walked.
    ///   - end: the last row to look at, where `ends` found one.
    ///   - reach: how many rows are looked at, where a filter of several kinds walks the index of one value. The walk ends where the
    ///     page is full, so that a page which fills soon costs no more than one without a filter.
    static func page(
        _ filter: TenantFilter, _ sort: TenantSort, from start: Start?, limit: Int, driving: TenantFilter.Kind? = nil,
        end: Start? = nil, reach: Int? = nil
    ) -> Statement {
        let walk = Walk(sort, start)
        var bound = Bound()
        let driving = driving ?? filter.driving
        // Shared by all branches. As expressions, so that no other index is walked than the one meant.
        var tested: [String] = []
        for kind in TenantFilter.Kind.allCases where kind != driving && !filter[kind].isEmpty {
            tested.append(
                "(\(kind.rawValue) || '') IN (\(filter[kind].map { bound.add(.text($0)) }.joined(separator: ", ")))")
        }
        if let reach, let driving, filter[driving].count == 1, !tested.isEmpty {
            var walked = ["\(driving.rawValue) = \(bound.add(.text(filter[driving][0])))"]
            if let start { walked.append(walk.beyond(start, &bound)) }
            return Statement(
                """
                SELECT * FROM (SELECT \(columns) FROM tenants WHERE \(walked.joined(separator: " AND ")) \
                \(walk.order) LIMIT \(bound.add(.int(Int64(reach))))) AS walked \
                WHERE \(tested.joined(separator: " AND ")) \(walk.order) LIMIT \(bound.add(.int(Int64(limit))))
                """, bound.values)
        }
        var shared = tested
        if let start { shared.append(walk.beyond(start, &bound)) }
        if let end { shared.append(walk.upTo(end, &bound)) }
        let most = bound.add(.int(Int64(limit)))
        func branch(_ conditions: [String]) -> String {
            let condition = conditions.isEmpty ? "" : "WHERE \(conditions.joined(separator: " AND ")) "
            return "SELECT \(columns) FROM tenants \(condition)\(walk.order) LIMIT \(most)"
        }
        guard let driving else { return Statement(branch(shared), bound.values) }
        // One branch for each value, each in order by its own index; merging them reads `limit` rows of each at most.
        let branches = filter[driving].map { branch(["\(driving.rawValue) = \(bound.add(.text($0)))"] + shared) }
        if branches.count == 1 { return Statement(branches[0], bound.values) }
        let union = branches.enumerated().map { "SELECT * FROM (\($1)) AS b\($0)" }.joined(separator: " UNION ALL ")
        return Statement("SELECT * FROM (\(union)) AS pages \(walk.order) LIMIT \(most)", bound.values)
    }

    /// Where a page that walks the index of `driving` has to stop: for each of its values, the row `reach` steps on; none
    /// where there are fewer.
    static func ends(
        _ filter: TenantFilter, _ sort: TenantSort, from start: Start?, driving: TenantFilter.Kind, reach: Int
    ) -> [Statement] {
        let walk = Walk(sort, start)
        return filter[driving].map { value in
            var bound = Bound()
            var conditions = ["\(driving.rawValue) = \(bound.add(.text(value)))"]
            if let start { conditions.append(walk.beyond(start, &bound)) }
            let skipped = bound.add(.int(Int64(reach - 1)))
            return Statement(
                """
                SELECT \(walk.key) AS key, id FROM tenants WHERE \(conditions.joined(separator: " AND ")) \
                \(walk.order) LIMIT 1 OFFSET \(skipped)
                """, bound.values)
        }
    }

    /// The nearest of the ends in walking direction.
    static func nearest(_ rows: [Row], _ sort: TenantSort, isBackward: Bool) throws -> Start? {
        let ends = try rows.map { Start(key: $0["key"], id: try $0.string("id"), isBackward: isBackward) }
        return ends.min { a, b in
            let isBefore =
                switch (a.key, b.key) {
                case (.int(let a), .int(let b)) where a != b: a < b
                case (.text(let a), .text(let b)) where a != b: a.utf8.lexicographicallyPrecedes(b.utf8)
                default: a.id.utf8.lexicographicallyPrecedes(b.id.utf8)
                }
            return isBefore != Walk(sort, a).isDescending
        }
    }

    /// The order of a list and the direction it is walked in.
    private struct Walk {
        let key: String
        let isDescending: Bool

        init(_ sort: TenantSort, _ start: Start?) {
            key =
                switch sort {
                case .created: "created_at"
                case .name: "name_key"
                case .lastActivity: "last_activity_at"
                }
            isDescending = sort.isDescending != (start?.isBackward ?? false)
        }

        var order: String { isDescending ? "ORDER BY \(key) DESC, id DESC" : "ORDER BY \(key), id" }

        func beyond(_ place: Start, _ bound: inout Bound) -> String {
            "(\(key), id) \(isDescending ? "<" : ">")\(place.isInclusive ? "=" : "") (\(bound.add(place.key)), \(bound.add(.text(place.id))))"
        }

        func upTo(_ place: Start, _ bound: inout Bound) -> String {
            "(\(key), id) \(isDescending ? ">=" : "<=") (\(bound.add(place.key)), \(bound.add(.text(place.id))))"
        }
    }

    private struct Bound {
        var values: [Value] = []
        mutating func add(_ value: Value) -> String {
            values.append(value)
            return "$\(values.count)"
        }
    }

    /// Values of one kind that are offered at most.
    static let mostKnown = 30

    /// The values a filter can have, found by skipping along its index.
    static func known(_ kind: TenantFilter.Kind) -> Statement {
        let column = kind.rawValue
        return Statement(
            """
            WITH RECURSIVE known (value, n) AS (SELECT MIN(\(column)), 1 FROM tenants \
            UNION ALL SELECT (SELECT MIN(\(column)) FROM tenants WHERE \(column) > known.value), n + 1 \
            FROM known WHERE known.value IS NOT NULL AND n < \(mostKnown)) SELECT value FROM known WHERE value IS NOT NULL
            """)
    }
}
