import Foundation
import Testing

/// Rules of the house that the compiler can't see, checked on the sources themselves.
@Suite struct HouseRulesTests {
    struct Source: Sendable {
        /// From the package's root: `Sources/Kernel/ID/Base64.swift`.
        let path: String
        let lines: [Substring]
        /// `Kernel`
        var target: String { String(path.split(separator: "/")[1]) }
        var name: String { String(path.split(separator: "/").last ?? "") }

        /// Lines without comments, each with its number.
        var code: [(number: Int, text: Substring)] {
            lines.enumerated().filter { !$0.element.drop { $0 == " " }.hasPrefix("//") }.map {
                ($0.offset + 1, $0.element)
            }
        }
    }

    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    static func swiftFiles(_ folder: String) -> [Source] {
        let base = root.appendingPathComponent(folder)
        guard let walk = FileManager.default.enumerator(atPath: base.path) else { return [] }
        return walk.compactMap { $0 as? String }.filter { $0.hasSuffix(".swift") }.sorted().compactMap { path in
            guard let text = try? String(contentsOf: base.appendingPathComponent(path), encoding: .utf8) else {
                return nil
            }
            return Source(
                path: "\(folder)/\(path)", lines: text.split(separator: "\n", omittingEmptySubsequences: false))
        }
    }

    static let sources = swiftFiles("Sources")

    /// Every place where `pattern` stands in code outside the allowed files.
    /// - Parameter words: one of which stands wherever the pattern does: that is found much sooner.
    func places(
        of pattern: Regex<Substring>, with words: [String], outside isAllowed: (Source) -> Bool = { _ in false }
    ) -> [String] {
        Self.sources.filter { !isAllowed($0) }.flatMap { source in
            source.code.filter { line in
                words.contains { line.text.contains($0) } && line.text.firstMatch(of: pattern) != nil
            }.map {
                "\(source.path):\($0.number): \($0.text)"
            }
        }
    }

    static let ours: Set<String> = [
        "Kernel", "HTML", "Consoles", "Store", "StoreSQLite", "StorePostgres", "Credentials", "Web", "CommandLine",
        "Connectors", "Server", "TestSupport",
    ]

    /// Which of our targets a target may import. `Server`, the composition root, may import everything.
    static let allowed: [String: Set<String>] = [
        "Kernel": [], "HTML": ["Kernel"], "Consoles": ["HTML", "Kernel"], "Store": ["Kernel"],
        "StoreSQLite": ["Kernel", "Store"], "StorePostgres": ["Kernel", "Store"], "Credentials": ["Kernel"],
        "Web": ["HTML", "Kernel"], "CommandLine": ["HTML", "Kernel"], "Connectors": ["Kernel"],
        "Server": ours.subtracting(["Server", "TestSupport"]),
    ]

    static func imports(_ source: Source) -> [String] {
        source.code.compactMap { line in
            guard line.text.contains("import "),
                let match = line.text.firstMatch(
                    of:
                        /^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:public |internal |package |private )?import\s+(?:struct |class |enum |func |protocol |var |let )?(\w+)/
                )
            else { return nil }
            return String(match.1)
        }
    }

    @Test func `the sources are found`() {
        #expect(Self.sources.count > 100)
        #expect(Set(Self.sources.map(\.target)).isSuperset(of: ["Kernel", "Web", "Store", "Consoles"]))
    }

    @Test func `targets import only what they may`() {
        var wrong: [String] = []
        for source in Self.sources {
            guard let allowed = Self.allowed[source.target] else {
                if !source.target.hasPrefix("C") { wrong.append("\(source.path): \(source.target) has no rule here") }
                continue
            }
            for name in Self.imports(source) where Self.ours.contains(name) && !allowed.contains(name) {
                wrong.append("\(source.path) imports \(name)")
            }
        }
        #expect(wrong.isEmpty, "\(wrong.joined(separator: "\n"))")
    }

    @Test func `outside libraries stay where they belong`() {
        let homes: [(module: Regex<Substring>, name: String, targets: Set<String>)] = [
            (/^Hummingbird\w*$/, "Hummingbird", ["Web", "Server"]), (/^GRDB\w*$/, "GRDB", ["StoreSQLite"]),
            (/^CPQ$/, "libpq", ["StorePostgres"]),
            (/^C(?:Argon2|Fido2|QREncode)$/, "argon2, fido2 and qrencode", ["Credentials"]),
            (/^CZlib$/, "zlib", ["Web"]), (/^CCurl$/, "libcurl", ["Connectors"]),
            (/^NIO\w*$/, "NIO", ["Web", "CommandLine", "Connectors", "Server"]),
            (/^ArgumentParser$/, "the command line library", ["CommandLine", "Server"]),
            (/^AsyncHTTPClient$/, "the HTTP client", ["CommandLine", "Connectors", "Server"]),
            (/^Yams$/, "YAML", ["Server"]), (/^CryptoExtras$/, "RSA", ["Connectors"]),
        ]
        var wrong: [String] = []
        for source in Self.sources {
            for name in Self.imports(source) {
                for home in homes where name.wholeMatch(of: home.module) != nil && !home.targets.contains(source.target)
                {
                    wrong.append("\(source.path) imports \(name): \(home.name) belongs to \(home.targets.sorted())")
                }
            }
        }
        #expect(wrong.isEmpty, "\(wrong.joined(separator: "\n"))")
    }

    @Test func `the current time comes from the clock`() {
        let found = places(
            of: /\bDate\(\)|Date\.now|Date\(timeIntervalSinceNow|\bCFAbsoluteTimeGetCurrent/,
            with: ["Date", "CFAbsolute"]
        ) {
            $0.path.hasPrefix("Sources/Kernel/Clock/")
        }
        #expect(found.isEmpty, "\(found.joined(separator: "\n"))")
    }

    @Test func `SQL stands in the store and in files of queries`() {
        let found = places(
            of:
                /"[^"]*\b(?:SELECT\s.+\sFROM|SELECT 1|INSERT INTO|UPDATE \w+ SET|DELETE FROM|CREATE TABLE|ALTER TABLE)\b/,
            with: ["SELECT", "INSERT INTO", "UPDATE ", "DELETE FROM", "CREATE TABLE", "ALTER TABLE"]
        ) { source in
            source.target.hasPrefix("Store") || source.name.hasSuffix("Queries.swift")
        }
        #expect(found.isEmpty, "\(found.joined(separator: "\n"))")
    }

    @Test func `unchecked sendability is for the drivers`() {
        let found = places(
            of: /@unchecked\s+Sendable|nonisolated\(unsafe\)/, with: ["@unchecked", "nonisolated(unsafe)"]
        ) {
            // A sheet is written by one thread and read by all, which the compiler can't see (decision 21).
            ["StoreSQLite", "StorePostgres"].contains($0.target) || $0.path == "Sources/HTML/Sheet.swift"
        }
        #expect(found.isEmpty, "\(found.joined(separator: "\n"))")
    }

    @Test func `a target has no two files of one name`() {
        let groups = Dictionary(grouping: Self.sources) { "\($0.target)/\($0.name)" }.filter { $0.value.count > 1 }
        #expect(groups.isEmpty, "\(groups.keys.sorted())")
    }

    @Test func `types are named for what they are`() {
        let found = places(
            of: /\b(?:struct|class|enum|actor|protocol)\s+\w*(?:Manager|Helper|Utils|Impl|DTO)\b/,
            with: ["Manager", "Helper", "Utils", "Impl", "DTO"])
        #expect(found.isEmpty, "\(found.joined(separator: "\n"))")
    }

    @Test func `nothing is left for later in the code`() {
        let marks = ["TO" + "DO", "FIX" + "ME", "X" + "XX"]
        let found = (Self.sources + Self.swiftFiles("Tests")).flatMap { source in
            source.lines.enumerated().filter { line in
                marks.contains { line.element.contains($0 + ":") || line.element.contains($0 + "(") }
            }
            .map { "\(source.path):\($0.offset + 1)" }
        }
        #expect(found.isEmpty, "\(found.joined(separator: "\n"))")
    }

    @Test func `people are not shouted at`() {
        // A sentence in a string that ends with an exclamation mark.
        let found = places(of: /"[^"]*[a-z]{2} [a-z]+!(?:"|\s[A-Z])/, with: ["!\"", "! ", "!\t"])
        #expect(found.isEmpty, "\(found.joined(separator: "\n"))")
    }
}
