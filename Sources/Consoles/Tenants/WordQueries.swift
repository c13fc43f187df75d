import Kernel

/// Words of tenants' names, the trigrams of the words, and the queue of tenants whose words are to be made.
enum WordQueries {
    // MARK: Searching

    /// How many words a trigram is looked up in at most: a frequent one tells little.
    static let mostPostings = 4000

    /// How many words of about this length each trigram stands in, counted up to the bound. `grams` MUST NOT be empty.
    static func frequencies(_ grams: [String], lengths: ClosedRange<Int>) -> Statement {
        let branches = grams.indices.map { index in
            """
            SELECT \(index) AS gram, COUNT(*) AS count FROM (SELECT 1 AS one FROM word_grams \
            WHERE gram = $\(index + 3) AND length BETWEEN $1 AND $2 LIMIT \(mostPostings)) AS g\(index)
            """
        }
        return Statement(
            branches.joined(separator: " UNION ALL "),
            [.int(Int64(lengths.lowerBound)), .int(Int64(lengths.upperBound))] + grams.map(Value.text))
    }

    /// The words that share most of these trigrams. `grams` MUST NOT be empty.
    static func similar(_ grams: [String], lengths: ClosedRange<Int>, limit: Int) -> Statement {
        let branches = grams.indices.map { index in
            """
            SELECT word FROM (SELECT word FROM word_grams WHERE gram = $\(index + 4) AND length BETWEEN $1 AND $2 \
            ORDER BY gram, length, word LIMIT \(mostPostings)) AS g\(index)
            """
        }
        return Statement(
            """
            SELECT word, COUNT(*) AS shared FROM (\(branches.joined(separator: " UNION ALL "))) AS found \
            GROUP BY word ORDER BY shared DESC, word LIMIT $3
            """,
            [.int(Int64(lengths.lowerBound)), .int(Int64(lengths.upperBound)), .int(Int64(limit))]
                + grams.map(Value.text))
    }

    /// Words that begin like this, each once, found by skipping along the index.
    static func beginning(_ prefix: String, limit: Int) -> Statement {
        let end = NameKey.successor(of: prefix).map(Value.text) ?? .text("\u{10FFFF}")
        return Statement(
            """
            WITH RECURSIVE found (word, n) AS (\
            SELECT MIN(word), 1 FROM tenant_words WHERE word >= $1 AND word < $2 \
            UNION ALL SELECT (SELECT MIN(word) FROM tenant_words WHERE word > found.word AND word < $2), n + 1 \
            FROM found WHERE found.word IS NOT NULL AND n < $3) SELECT word FROM found WHERE word IS NOT NULL
            """, [.text(prefix), end, .int(Int64(limit))])
    }

    /// Tenants with a word in their name.
    static func tenants(with word: String, limit: Int) -> Statement {
        Statement(
            "SELECT tenant_id FROM tenant_words WHERE word = $1 ORDER BY tenant_id LIMIT $2",
            [.text(word), .int(Int64(limit))])
    }

    // MARK: Indexing

    static let isWaiting = Statement("SELECT seq FROM tenant_reindex ORDER BY seq LIMIT 1")

    static func waiting(limit: Int) -> Statement {
        Statement("SELECT seq, tenant_id FROM tenant_reindex ORDER BY seq LIMIT $1", [.int(Int64(limit))])
    }

    static func done(_ sequences: [Int64]) -> Statement {
        Statement(
            "DELETE FROM tenant_reindex WHERE seq IN (\(placeholders(sequences.count)))", sequences.map(Value.int))
    }

    static func words(of tenants: [String]) -> Statement {
        Statement(
            "SELECT tenant_id, word FROM tenant_words WHERE tenant_id IN (\(placeholders(tenants.count)))",
            tenants.map(Value.text))
    }

    static func insert(_ pairs: [(word: String, tenant: String)]) -> Statement {
        let places = pairs.indices.map { "($\(2 * $0 + 1), $\(2 * $0 + 2))" }.joined(separator: ", ")
        return Statement(
            "INSERT INTO tenant_words (word, tenant_id) VALUES \(places) ON CONFLICT DO NOTHING",
            pairs.flatMap { [.text($0.word), .text($0.tenant)] })
    }

    static func remove(_ word: String, of tenant: String) -> Statement {
        Statement("DELETE FROM tenant_words WHERE word = $1 AND tenant_id = $2", [.text(word), .text(tenant)])
    }

    /// Which of these words some tenant has. `words` MUST NOT be empty.
    static func known(_ words: [String]) -> Statement {
        let branches = words.indices.map { index in
            "SELECT * FROM (SELECT word FROM tenant_words WHERE word = $\(index + 1) LIMIT 1) AS w\(index)"
        }
        return Statement(branches.joined(separator: " UNION ALL "), words.map(Value.text))
    }

    static func insertGrams(of word: String) -> Statement {
        let grams = NameWords.grams(word)
        let places = grams.indices.map { "($\($0 + 3), $1, $2)" }.joined(separator: ", ")
        return Statement(
            "INSERT INTO word_grams (gram, length, word) VALUES \(places) ON CONFLICT DO NOTHING",
            [.int(Int64(word.unicodeScalars.count)), .text(word)] + grams.map(Value.text))
    }

    static func removeGrams(of word: String) -> Statement {
        let grams = NameWords.grams(word)
        return Statement(
            "DELETE FROM word_grams WHERE length = $1 AND word = $2 AND gram IN (\(placeholders(grams.count, from: 3)))",
            [.int(Int64(word.unicodeScalars.count)), .text(word)] + grams.map(Value.text))
    }
}
