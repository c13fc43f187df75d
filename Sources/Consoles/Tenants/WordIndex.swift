import Kernel

/// Keeps the words of tenants' names up to date. A trigger notes each tenant that is made or renamed; the one process
/// that leads takes them in small batches, so that making and renaming cost one row.
public enum WordIndex {
    static let batch = 100

    /// Makes the words of the tenants that wait longest. Returns false when none waits.
    public static func turn(_ database: any Database) async throws -> Bool {
        guard try await database.read({ try $0.first(WordQueries.isWaiting) }) != nil else { return false }
        return try await database.write { tx in
            let waiting = try tx.query(WordQueries.waiting(limit: batch))
            guard !waiting.isEmpty else { return false }
            tx.enqueue(WordQueries.done(try waiting.map { try $0.int("seq") }))
            // After the queue: a change that is committed later has a row of its own.
            let ids = Set(try waiting.map { try $0.string("tenant_id") }).sorted()
            let found = try tx.query([
                Tenant.select(ids, lock: false, tx.dialect), WordQueries.words(of: ids),
            ])
            var wanted: [String: [String]] = [:]
            for row in found[0] {
                let tenant = try Tenant(row)
                wanted[tenant.id] = NameWords.words(of: tenant)
            }
            var present: [String: Set<String>] = [:]
            for row in found[1] { present[try row.string("tenant_id"), default: []].insert(try row.string("word")) }

            var added: [(word: String, tenant: String)] = []
            var removed: [(word: String, tenant: String)] = []
            for id in ids {
                let (new, old) = (wanted[id] ?? [], present[id] ?? [])
                added += new.filter { !old.contains($0) }.map { ($0, id) }
                removed += old.subtracting(new).sorted().map { ($0, id) }
            }
            try write(added, removed, tx)
            return true
        }
    }

    private static func write(
        _ added: [(word: String, tenant: String)], _ removed: [(word: String, tenant: String)], _ tx: any Writer
    ) throws {
        let words = Set(added.map(\.word)).sorted()
        if !words.isEmpty {
            let known = Set(
                try stride(from: 0, to: words.count, by: 100).flatMap { start in
                    try tx.query(WordQueries.known(Array(words[start..<min(start + 100, words.count)])))
                        .map { try $0.string("word") }
                })
            for word in words where !known.contains(word) { tx.enqueue(WordQueries.insertGrams(of: word)) }
            for start in stride(from: 0, to: added.count, by: 100) {
                tx.enqueue(WordQueries.insert(Array(added[start..<min(start + 100, added.count)])))
            }
        }
        guard !removed.isEmpty else { return }
        for (word, tenant) in removed { tx.enqueue(WordQueries.remove(word, of: tenant)) }
        // A word that nobody has any more is not offered any more.
        for word in Set(removed.map(\.word)).sorted()
        where try tx.query(WordQueries.known([word])).isEmpty {
            tx.enqueue(WordQueries.removeGrams(of: word))
        }
    }
}
