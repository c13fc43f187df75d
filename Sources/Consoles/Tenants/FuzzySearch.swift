import Kernel

/// The last tier of the search: tenants whose name holds about these words.
///
/// For each word that was typed, the words of names that share its rarest trigrams are ranked in SQL, and the best fifty
/// again by how many slips lie between; then the tenants that have them are ranked by all that was typed.
enum FuzzySearch {
    /// More words than these say nothing more.
    private static let mostWords = 4
    /// How many similar words are looked at more closely.
    private static let mostSimilar = 50
    /// How many trigram postings all words may cost together, and one of many at least.
    private static let mostPostings = 9_000
    private static let fewestPostings = 4_000
    /// How many tenants one word may bring in.
    private static let mostTenants = 200

    /// A word of a name that may be meant, and how far it is from what was typed.
    private struct Candidate {
        let word: String
        let slips: Int
    }

    static func run(_ query: String, in reader: any Reader) throws -> [Tenant] {
        let typed = Array(NameWords.words([NameKey.fold(query)]).prefix(mostWords))
        guard !typed.isEmpty else { return [] }
        let found = try search(typed, in: reader)
        // "north wind" may be one word.
        guard found.isEmpty, typed.count > 1, typed.count < 4 else { return found }
        return try search([typed.joined()], in: reader)
    }

    private static func search(_ typed: [String], in reader: any Reader) throws -> [Tenant] {
        let budget = max(fewestPostings, mostPostings / typed.count)
        let meant = try typed.map { try candidates($0, budget, in: reader) }
        var holders: [(word: Int, tenants: [String])] = []
        for (index, candidates) in meant.enumerated() where !candidates.isEmpty {
            let rows = try reader.query(candidates.map { WordQueries.tenants(with: $0.word, limit: mostTenants) })
            var ids: [String] = []
            for row in rows.joined() where ids.count < mostTenants { ids.append(try row.string("tenant_id")) }
            holders.append((index, ids))
        }
        // The rarest word says most; what else was typed decides among its tenants.
        guard let rarest = holders.min(by: { $0.tenants.count < $1.tenants.count }), !rarest.tenants.isEmpty else {
            return []
        }
        let tenants = try reader.query(
            Tenant.select(Set(rarest.tenants).sorted(), lock: false, reader.dialect)
        ).map(Tenant.init)
        let ranked = tenants.map { tenant in (tenant: tenant, fit: fit(tenant, meant)) }
        // All that was typed, or else all but one word.
        for missing in 0...1 where missing < max(typed.count, 2) - 1 || missing == 0 {
            let hits = ranked.filter { $0.fit.missing == missing }
            if !hits.isEmpty {
                return hits.sorted { a, b in
                    (a.fit.slips, a.fit.rest, a.tenant.nameKey, a.tenant.id)
                        < (b.fit.slips, b.fit.rest, b.tenant.nameKey, b.tenant.id)
                }.map(\.tenant)
            }
        }
        return []
    }

    /// How well a tenant's name fits: words that are missing, slips in the others, and words beside.
    private static func fit(_ tenant: Tenant, _ meant: [[Candidate]]) -> (missing: Int, slips: Int, rest: Int) {
        let words = NameWords.words(of: tenant)
        var missing = 0
        var slips = 0
        for candidates in meant {
            if let best = candidates.filter({ words.contains($0.word) }).map(\.slips).min() {
                slips += best
            } else {
                missing += 1
            }
        }
        return (missing, slips, max(0, words.count - meant.count))
    }

    /// Words of names that may be meant by a typed one, the nearest first.
    private static func candidates(_ word: String, _ budget: Int, in reader: any Reader) throws -> [Candidate] {
        let most = NameWords.slips(in: word)
        var found: [String: Int] = [:]
        // The beginning of a word is no slip, but a whole word fits better.
        for row in try reader.query(WordQueries.beginning(word, limit: 20)) {
            let other = try row.string("word")
            found[other] = other == word ? 0 : 1
        }
        if most > 0 {
            let length = word.unicodeScalars.count
            let lengths = max(2, length - most)...(length + most)
            let grams = try rarest(NameWords.grams(word), budget, lengths: lengths, in: reader)
            if !grams.isEmpty {
                for row in try reader.query(WordQueries.similar(grams, lengths: lengths, limit: mostSimilar)) {
                    let other = try row.string("word")
                    guard let slips = NameWords.distance(word, other, most: most) else { continue }
                    found[other] = min(found[other] ?? .max, slips)
                }
            }
        }
        return found.map(Candidate.init).sorted { ($0.slips, $0.word) < ($1.slips, $1.word) }
    }

    /// The trigrams that tell most: rare ones first, as long as their postings stay few.
    private static func rarest(
        _ grams: [String], _ budget: Int, lengths: ClosedRange<Int>, in reader: any Reader
    ) throws -> [String] {
        var counted: [(gram: String, count: Int64)] = []
        for row in try reader.query(WordQueries.frequencies(grams, lengths: lengths)) {
            counted.append((grams[Int(try row.int("gram"))], try row.int("count")))
        }
        var cost: Int64 = 0
        return counted.filter { $0.count > 0 }.sorted { ($0.count, $0.gram) < ($1.count, $1.gram) }.prefix { entry in
            cost += entry.count
            return cost <= budget
        }.map(\.gram)
    }
}
