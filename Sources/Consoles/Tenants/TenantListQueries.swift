import Kernel

/// Pages of tenants by keyset: every order and filter walks an index from where the page before ended.
enum TenantListQueries {
    struct Start {
        let key: Value
        let id: String
        /// Towards the first page.
        let isBackward: Bool
    }

    private static let columns = """
        id, version, slug, name, name_key, status, plan, tier, region, created_at, last_activity_at
        """

    static func page(_ filter: TenantFilter, _ sort: TenantSort, from start: Start?, limit: Int) -> Statement {
        let key =
            switch sort {
            case .created: "created_at"
            case .name: "name_key"
            case .lastActivity: "last_activity_at"
            }
        let isDescending = sort.isDescending != (start?.isBackward ?? false)
        let order = isDescending ? "ORDER BY \(key) DESC, id DESC" : "ORDER BY \(key), id"
        var values: [Value] = []
        func bind(_ value: Value) -> String {
            values.append(value)
            return "$\(values.count)"
        }
        // Shared by all branches.
        var shared: [String] = []
        for kind in TenantFilter.Kind.allCases where kind != filter.driving && !filter[kind].isEmpty {
            shared.append("\(kind.rawValue) IN (\(filter[kind].map { bind(.text($0)) }.joined(separator: ", ")))")
        }
        if let start {
            shared.append("(\(key), id) \(isDescending ? "<" : ">") (\(bind(start.key)), \(bind(.text(start.id))))")
        }
        let most = bind(.int(Int64(limit)))
        func branch(_ conditions: [String]) -> String {
            let condition = conditions.isEmpty ? "" : "WHERE \(conditions.joined(separator: " AND ")) "
            return "SELECT \(columns) FROM tenants \(condition)\(order) LIMIT \(most)"
        }
        guard let driving = filter.driving else { return Statement(branch(shared), values) }
        // One branch for each value, each in order by its own index; merging them reads `limit` rows of each at most.
        let branches = filter[driving].map { branch(["\(driving.rawValue) = \(bind(.text($0)))"] + shared) }
        if branches.count == 1 { return Statement(branches[0], values) }
        let union = branches.enumerated().map { "SELECT * FROM (\($1)) AS b\($0)" }.joined(separator: " UNION ALL ")
        return Statement("SELECT * FROM (\(union)) AS pages \(order) LIMIT \(most)", values)
    }

    /// The values a filter can have, found by skipping along its index; at most 30.
    static func known(_ kind: TenantFilter.Kind) -> Statement {
        let column = kind.rawValue
        return Statement(
            """
            WITH RECURSIVE known (value, n) AS (SELECT MIN(\(column)), 1 FROM tenants \
            UNION ALL SELECT (SELECT MIN(\(column)) FROM tenants WHERE \(column) > known.value), n + 1 \
            FROM known WHERE known.value IS NOT NULL AND n < 30) SELECT value FROM known WHERE value IS NOT NULL
            """)
    }
}
