import Kernel

/// The words of a tenant's name and slug, by which somebody finds it who types one with a slip.
///
///     "Northwind Traders", "northwind-traders" → northwind, traders → " no" "nor" "ort" …
enum NameWords {
    /// Beyond these a name tells nothing more.
    static let most = 12
    static let lengths = 2...40

    /// Words of letters. What has a digit in it is a number or a code, which people copy and don't misspell.
    static func words(_ texts: [String]) -> [String] {
        var words: [String] = []
        for text in texts {
            for part in text.split(whereSeparator: { !$0.isLetter && !$0.isNumber }) where words.count < most {
                let word = String(part)
                guard lengths.contains(word.unicodeScalars.count), !word.contains(where: \.isNumber),
                    !words.contains(word)
                else { continue }
                words.append(word)
            }
        }
        return words
    }

    static func words(of tenant: Tenant) -> [String] {
        // Nothing of a deleted one is found any more.
        tenant.status == .deleted ? [] : words([tenant.nameKey, tenant.slug])
    }

    /// Three characters each, the word's beginning and end counted as one.
    static func grams(_ word: String) -> [String] {
        let scalars = Array(" \(word) ".unicodeScalars)
        guard scalars.count >= 3 else { return [] }
        var grams: Set<String> = []
        for index in 0...(scalars.count - 3) {
            var gram = String.UnicodeScalarView()
            gram.append(contentsOf: scalars[index..<index + 3])
            grams.insert(String(gram))
        }
        return grams.sorted()
    }

    /// How many slips lie between two words: one left out, one too many, one for another, or two in the wrong order.
    /// `nil` when there are more than `most`.
    static func distance(_ a: String, _ b: String, most: Int) -> Int? {
        let a = Array(a.unicodeScalars)
        let b = Array(b.unicodeScalars)
        guard abs(a.count - b.count) <= most else { return nil }
        if a.isEmpty || b.isEmpty { return max(a.count, b.count) }
        var older = [Int](repeating: 0, count: b.count + 1)
        var last = Array(0...b.count)
        for i in 1...a.count {
            var row = [i] + [Int](repeating: 0, count: b.count)
            for j in 1...b.count {
                row[j] = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1))
                if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] { row[j] = min(row[j], older[j - 2] + 1) }
            }
            guard (row.min() ?? 0) <= most else { return nil }
            (older, last) = (last, row)
        }
        return last[b.count] <= most ? last[b.count] : nil
    }

    /// How many slips a word of this length may hold and still be meant.
    static func slips(in word: String) -> Int {
        switch word.unicodeScalars.count {
        case ...3: 0
        case 4...5: 1
        case 6...8: 2
        default: 3
        }
    }
}
