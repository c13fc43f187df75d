import Foundation
import TestSupport
import Testing

@testable import Consoles
@testable import Kernel

/// Everything a file comes to, in pieces of a size, from a place.
private struct Reading: Equatable {
    var rows: [RegistryRow] = []
    var problems: [RegistrySource.Problem] = []
    var ends: [Int64] = []
    var lines: [Int] = []
    var fault: RegistrySource.Problem?
}

private func reading(
    _ bytes: [UInt8], _ format: RegistrySource.Format, _ mapping: ImportMapping? = nil,
    _ encoding: TextEncoding = .utf8, chunk: Int = 1 << 16, from offset: Int64 = 0, line: Int = 1
) -> Reading {
    var reading = Reading()
    func take(_ item: RegistrySource.Item) {
        switch item.content {
        case .row(let row): reading.rows.append(row)
        case .problems(let problems): reading.problems += problems
        }
        reading.ends.append(item.end)
        reading.lines.append(item.nextLine)
    }
    var source = RegistrySource(format, mapping: mapping, encoding: encoding)
    do {
        var start = 0
        if offset > 0 {
            var place = 0
            while !source.isOpen, place < bytes.count {
                try source.feed(Array(bytes[place..<min(place + chunk, bytes.count)])) { _ in }
                place += chunk
            }
            source = source.continuing(at: offset, line: line)
            start = Int(offset)
        }
        for place in stride(from: start, to: bytes.count, by: chunk) {
            try source.feed(Array(bytes[place..<min(place + chunk, bytes.count)]), take)
        }
        try source.finish(take)
    } catch { reading.fault = error as? RegistrySource.Problem }
    return reading
}

@Suite struct RegistrySourceTests {
    private static let mapping: JSON = [
        "fields": [
            "external_id": "Account No", "name": "Company", "slug": ["from": "Company", "as": "slug"],
            "plan": ["from": "Edition", "values": ["Gold": "business", "Silver": "team"], "default": "free"],
            "region": ["constant": "eu-west"], "owner_email": "Owner", "metadata.sector": "Sector",
        ]
    ]

    @Test func `a mapping renames, translates, makes slugs and fills in`() throws {
        let text = """
            \u{FEFF}Account No,Company,Edition,Owner,Sector,Ignored\r
            A-1,"Bäcker & Söhne ""Nord"" KG",Gold,Jo@b.example,"food,
            fresh",x\r
            A-2, Zweiter ,,,,\r
            A-3,Dritter,Bronze,,,\r

            """
        let read = reading(Array(text.utf8), .csv, try ImportMapping(Self.mapping))
        #expect(read.fault == nil && read.rows.count == 2)
        let first = try #require(read.rows.first)
        #expect(first.slug == "backer-sohne-nord-kg" && first.plan == "business" && first.region == "eu-west")
        #expect(first.name == "Bäcker & Söhne \"Nord\" KG" && first.ownerEmail == "jo@b.example")
        #expect(first.metadata == ["sector": "food, fresh"])
        #expect(read.rows[1].plan == "free" && read.rows[1].name == "Zweiter" && read.rows[1].metadata == nil)
        #expect(
            read.problems.map(\.sentence) == [
                "Line 5, column Edition (plan): the row has \"Bronze\" as Edition, for which the mapping has no value."
            ])
        #expect(read.problems[0].column == "Edition")
    }

    @Test func `JSON lines are mapped through objects and lists`() throws {
        let mapping = try ImportMapping([
            "fields": ["external_id": "id", "name": "org.title", "slug": "org.key", "status": ["constant": "active"]],
            "members": [
                "from": "people",
                "fields": [
                    "email": "mail", "external_id": "uid",
                    "role": ["from": "kind", "values": ["A": "admin"], "otherwise": "member"],
                ],
            ],
        ])
        let text = """
            {"id": 42, "org": {"title": "Fjord", "key": "fjord"}, "people": [{"mail": "X@f.example", "kind": "A"}, {"mail": "y@f.example", "kind": "Q", "uid": 7}]}

            {"id": 43, "org": {"title": ["no"], "key": "k"}}
            nonsense
            [1]
            """
        let read = reading(Array(text.utf8), .jsonl, mapping)
        #expect(read.rows.count == 1 && read.rows[0].externalID == "42")
        #expect(read.rows[0].members.map(\.role) == [.admin, .member] && read.rows[0].members[1].externalID == "7")
        #expect(read.problems.map(\.line) == [3, 4, 5])
        #expect(read.problems[0].sentence.hasPrefix("Line 3, column org.title (name): the row has a list"))
    }

    @Test func `members of JSON lines without a mapping are ours`() {
        let text =
            #"{"external_id":"a","name":"A","slug":"a","members":[{"email":"x@a.example","role":"admin"}],"plan":"pro"}"#
        #expect(reading(Array(text.utf8), .jsonl).rows.first?.members.first?.role == .admin)
        let wrong = reading(Array(#"{"external_id":"a","name":"A","slug":"a","colour":"red"}"#.utf8), .jsonl)
        #expect(wrong.problems.first?.sentence == "Line 1, column colour: the row has an unknown member \"colour\".")
    }

    @Test func `Latin-1 is read where it is said and refused where it is not`() {
        let latin = Array("external_id,name,slug\nx,Caf".utf8) + [0xE9, 0x20, 0x80] + Array(",cafe\n".utf8)
        #expect(reading(latin, .csv, nil, .latin1).rows.first?.name == "Café €")
        #expect(reading(latin, .csv).fault?.sentence.contains("--encoding latin1") == true)
        let lines = Array(#"{"external_id":"x","slug":"cafe","name":"Caf"#.utf8) + [0xE9] + Array("\"}\n".utf8)
        #expect(reading(lines, .jsonl, nil, .latin1).rows.first?.name == "Café")
        #expect(reading(lines, .jsonl).fault?.line == 1)
        for encoding in TextEncoding.allCases {
            #expect(String(validating: encoding.decoded(Array(0x20...0x7E)), as: UTF8.self) != nil)
        }
        #expect(String(validating: TextEncoding.latin1.decoded(Array(0x20...0xFF)), as: UTF8.self) != nil)
    }

    @Test func `a line that is too long is one row, not the memory`() {
        let long = Array(#"{"external_id":"x","slug":"x","name":""#.utf8) + Array(repeating: 0x61, count: 1 << 21)
        let text = long + Array("\"}\n{\"external_id\":\"y\",\"slug\":\"y\",\"name\":\"Y\"}\n".utf8)
        let read = reading(text, .jsonl, chunk: 1 << 12)
        #expect(read.problems.map(\.sentence) == ["Line 1 is longer than 1 MiB."] && read.rows.map(\.slug) == ["y"])
    }

    @Test(arguments: [
        ("[]", "fields"), (#"{"fields":{"name":"a"}}"#, "external_id"), (#"{"fields":{"colour":"a"}}"#, "colour"),
        (#"{"fields":{"external_id":{"from":"a","constant":"b"},"name":"n","slug":"s"}}"#, "either"),
        (#"{"fields":{"external_id":"a","name":"n","slug":{"from":"s","as":"loud"}}}"#, "as of slug"),
        (
            #"{"fields":{"external_id":"a","name":"n","slug":"s"},"members":{"from":"p","fields":{"name":"n"}}}"#,
            "email"
        ),
        (#"{"fields":{"external_id":"a","name":"n","slug":{"from":"s","otherwise":"x"}}}"#, "otherwise"),
        (
            #"{"fields":{"external_id":"a","name":"n","slug":"s","member_emails":"m"},"members":{"from":"p","fields":{"email":"n"}}}"#,
            "keep one"
        ),
        (#"{"files":{}}"#, "files"),
    ])
    func `a mapping that can't be used says what is wrong`(text: String, word: String) throws {
        let json = try JSON(parsing: text)
        do throws(ImportMapping.Problem) {
            _ = try ImportMapping(json)
            Issue.record("\(text) was taken")
        } catch { #expect(error.sentence.contains(word), "\(error.sentence)") }
    }

    @Test func `a column the mapping wants is missed by name`() throws {
        let read = reading(Array("Account No,Firm,Edition,Owner,Sector\n".utf8), .csv, try ImportMapping(Self.mapping))
        #expect(
            read.fault?.sentence.contains("names no column \"Company\"") == true, "\(String(describing: read.fault))")
    }

    // MARK: Fuzz

    private struct Random: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
    }

    private static let csv = Array(
        """
        external_id,name,slug,plan,owner_email,member_emails,metadata.note
        a-1,"One, ""Ltd"" Co",one,pro,o@one.example,a@one.example;b@one.example,"x
        y"
        a-2,Zwei é,zwei,,,,
        a-3,"",three,pro,nobody,,n

        a-4,Four,four,pro,o@four.example,,

        """.utf8)
    private static let jsonl = Array(
        """
        {"external_id":"a-1","name":"One","slug":"one","members":[{"email":"a@one.example","role":"admin"}]}
        {"external_id":"a-2","name":"Zwei é","slug":"zwei","metadata":{"note":"x"}}

        {"external_id":"a-3","name":"","slug":"three"}
        {"external_id":"a-4","name":"Four","slug":"four","created_at":"2026-01-01"}

        """.utf8)

    /// Bytes changed, taken out, put in and repeated at random.
    private static func mutated(_ bytes: [UInt8], _ random: inout Random) -> [UInt8] {
        var bytes = bytes
        let signs: [UInt8] = [0x22, 0x2C, 0x0A, 0x0D, 0x00, 0x7B, 0x7D, 0x5C, 0xEF, 0xC3, 0xFF, 0x5B, 0x3A, 0x20]
        for _ in 0..<Int.random(in: 1...6, using: &random) {
            let place = Int.random(in: 0..<max(1, bytes.count), using: &random)
            switch Int.random(in: 0..<4, using: &random) {
            case 0: bytes.insert(signs.randomElement(using: &random)!, at: min(place, bytes.count))
            case 1 where !bytes.isEmpty: bytes[place] = UInt8.random(in: 0...255, using: &random)
            case 2 where !bytes.isEmpty: bytes.remove(at: place)
            default:
                let end = min(bytes.count, place + Int.random(in: 1...40, using: &random))
                if place < end { bytes.insert(contentsOf: bytes[place..<end], at: place) }
            }
        }
        return bytes
    }

    @Test(arguments: [(RegistrySource.Format.csv, UInt64(1)), (.csv, 2), (.jsonl, 3), (.jsonl, 4)])
    func `whatever a file holds, pieces and stops don't matter and what is taken is sound`(
        format: RegistrySource.Format, seed: UInt64
    ) throws {
        var random = Random(state: seed)
        for round in 0..<300 {
            let bytes = Self.mutated(format == .csv ? Self.csv : Self.jsonl, &random)
            let encoding: TextEncoding = round % 3 == 0 ? .latin1 : .utf8
            let whole = reading(bytes, format, nil, encoding)
            for chunk in [1, 7, 64] {
                #expect(reading(bytes, format, nil, encoding, chunk: chunk) == whole, "seed \(seed), round \(round)")
            }
            for row in whole.rows { #expect(try RegistryRow(row.json) == row, "seed \(seed), round \(round)") }
            #expect(whole.problems.allSatisfy { $0.sentence.hasPrefix("Line \($0.line)") && $0.line > 0 })
            // From every place where it may have been stopped, the rest is read as it would have been.
            for (index, end) in whole.ends.enumerated() {
                let rest = reading(bytes, format, nil, encoding, chunk: 16, from: end, line: whole.lines[index])
                #expect(rest.ends == Array(whole.ends.dropFirst(index + 1)), "seed \(seed), round \(round), \(index)")
                #expect(rest.fault == whole.fault, "seed \(seed), round \(round), \(index)")
            }
        }
    }

    @Test func `whatever a mapping holds, it is taken or refused with a sentence`() throws {
        var random = Random(state: 5)
        let bytes = Self.mapping.canonical
        var refused = 0
        for _ in 0..<2_000 {
            guard let json = try? JSON(parsing: Self.mutated(bytes, &random)) else { continue }
            do throws(ImportMapping.Problem) {
                _ = reading(Self.csv, .csv, try ImportMapping(json))
            } catch {
                refused += 1
                #expect(error.sentence.hasSuffix(".") || error.sentence.hasSuffix("…"), "\(error.sentence)")
            }
        }
        #expect(refused > 20)
    }
}
