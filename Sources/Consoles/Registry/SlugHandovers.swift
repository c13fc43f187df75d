import Kernel

/// Slugs that pass from one customer to another within a batch: a rename that makes room for the next, or two customers that swap.
///
/// A row may have the slug of a customer whose own row in the same batch takes another one. Should that row be refused, its slug
/// stays where it is, and whoever counted on it is refused with it, and so on.
struct SlugHandovers: Sendable {
    /// Slugs whose holders take another one, until somebody takes them or the holder has left.
    private(set) var free: Set<String> = []
    /// Customers whose own row names another slug, but is refused.
    private(set) var stuck: Set<String> = []

    /// - Parameter staying: customers whose own row is refused for another reason than its slug, by external id.
    init(_ records: [RegistryRecord], _ facts: RegistryFacts, staying others: Set<String> = []) {
        var seen: Set<String> = []
        let rows = records.compactMap { record -> RegistryRow? in
            guard case .tenant(let row) = record, seen.insert(row.externalID).inserted,
                facts.tenants[row.externalID]?.status != .deleted
            else { return nil }
            return row
        }
        // Only who is there and moves can hand a slug on; most batches have nobody of that kind.
        let moving = rows.filter { row in facts.tenants[row.externalID].map { $0.slug != row.slug } ?? false }
        guard !moving.isEmpty else { return }
        var leaving = Set(moving.map(\.externalID)).subtracting(others)
        while true {
            // In their order, as the batch takes them. Whoever turns out to stay may hold what another row counted on.
            var takers: [String: String] = [:]
            var refused: Set<String> = []
            for row in rows {
                let holder = facts.slugs[row.slug]?.externalID
                let isHeld = holder.map { $0 != row.externalID && !leaving.contains($0) } ?? false
                if isHeld || takers[row.slug] != nil || others.contains(row.externalID) {
                    refused.insert(row.externalID)
                } else {
                    takers[row.slug] = row.externalID
                }
            }
            let staying = leaving.intersection(refused)
            if staying.isEmpty { break }
            leaving.subtract(staying)
        }
        for row in moving {
            guard let slug = facts.tenants[row.externalID]?.slug else { continue }
            if leaving.contains(row.externalID) { free.insert(slug) } else { stuck.insert(row.externalID) }
        }
    }

    /// Whether a slug that somebody holds may be taken. Once.
    mutating func take(_ slug: String) -> Bool { free.remove(slug) != nil }

    /// Its holder has left, and nobody has it.
    mutating func leave(_ slug: String) { free.remove(slug) }
}
