import Kernel
import Testing

/// A small, seeded generator, so that a failing run can be repeated.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }
    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }
}

@Suite struct JSONTests {
    @Test(arguments: [
        (#"{"a":1,"b":[true,false,null]}"#, JSON.object(["a": 1, "b": [true, false, nil]])),
        (#"  "a\u00e9\n\/"  "#, JSON.string("aé\n/")), (#""\ud83d\ude00""#, JSON.string("😀")),
        ("-0", JSON.int(0)), ("9223372036854775807", JSON.int(.max)),
        ("9223372036854775808", JSON.decimal("9223372036854775808")),
        ("1.50", JSON.decimal("1.50")), ("1e3", JSON.decimal("1e3")), ("{}", JSON.object([:])), ("[]", JSON.array([])),
    ])
    func `what RFC 8259 allows is read`(_ text: String, _ value: JSON) throws {
        #expect(try JSON(parsing: text) == value)
    }

    @Test(arguments: [
        "", " ", "{", "[", "[1,]", "{\"a\":}", "{\"a\" 1}", "{a:1}", "{\"a\":1,}", "01", "+1", "1.", ".5", "1e", "--1",
        "tru", "nul",
        "\"", "\"\\x\"", "\"\\u12g4\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"\u{1}\"", "[1] 2",
        "{\"a\":1,\"a\":2}",
        "'a'", "NaN", "Infinity", "// no", "[1 2]", "\u{FEFF}1",
    ])
    func `what it does not allow is refused with a place`(_ text: String) {
        #expect(throws: JSONSyntaxError.self) { try JSON(parsing: text) }
    }

    @Test func `invalid UTF-8 is refused`() {
        for bytes: [UInt8] in [
            [0x22, 0xFF, 0x22], [0x22, 0xC0, 0x80, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22],
            [0x22, 0xF5, 0x80, 0x80, 0x80, 0x22],
        ] {
            #expect(throws: JSONSyntaxError.self) { try JSON(parsing: bytes) }
        }
    }

    @Test func `depth is bounded`() throws {
        let deep = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
        #expect(throws: JSONSyntaxError.self) { try JSON(parsing: "[" + deep + "]") }
        _ = try JSON(parsing: Array((String(repeating: "[", count: 60) + String(repeating: "]", count: 60)).utf8))
        #expect(throws: JSONSyntaxError.self) {
            try JSON(parsing: String(repeating: "[", count: 1_000_000))
        }
    }

    @Test func `canonical bytes follow RFC 8785`() throws {
        // RFC 8785 §3.2.3: names sort by UTF-16 code units, so the emoji comes before U+FB33.
        let sorting = try JSON(
            parsing:
                #"{"\u20ac":"Euro","\r":"CR","\ufb33":"Dalet","1":"One","\ud83d\ude00":"Smile","\u0080":"Control","\u00f6":"o"}"#
        )
        #expect(
            sorting.canonicalText
                == "{\"\\r\":\"CR\",\"1\":\"One\",\"\u{80}\":\"Control\",\"ö\":\"o\",\"€\":\"Euro\",\"😀\":\"Smile\",\"\u{FB33}\":\"Dalet\"}"
        )
        #expect(JSON.string("\u{8}\u{9}\u{A}\u{C}\u{D}\u{1F}\"\\/é").canonicalText == #""\b\t\n\f\r\u001f\"\\/é""#)
        // beyond ±(2⁵³−1) a JavaScript verifier could not read a number back
        #expect(JSON.int(9_007_199_254_740_991).canonicalText == "9007199254740991")
        #expect(JSON.int(9_007_199_254_740_992).canonicalText == "\"9007199254740992\"")
        #expect(JSON.int(-9_007_199_254_740_992).canonicalText == "\"-9007199254740992\"")
    }

    @Test func `names stand in the order of their UTF-16, however many and however alike they are`() throws {
        var generator = SeededGenerator(3_2_3)
        let letters = ["\u{0}", "a", "b", "A", "é", "\u{FB33}", "😀"]
        for count in [0, 1, 2, 5, 16, 31, 32, 33, 34, 80] {
            for _ in 0..<20 {
                var members: [String: JSON] = [:]
                for number in 0..<count {
                    let length = Int.random(in: 0...12, using: &generator)
                    // Nearly all begin alike, so that the first bytes do not tell.
                    let head = Bool.random(using: &generator) ? "aaaaaaaa" : ""
                    let name = (0..<length).map { _ in
                        Int.random(in: 0..<3, using: &generator) > 0 ? "a" : letters.randomElement(using: &generator)!
                    }.joined()
                    members[head + name] = .int(Int64(number))
                }
                let sorted = members.keys.sorted { $0.utf16.lexicographicallyPrecedes($1.utf16) }
                let expected = sorted.map { "\(JSON.string($0).canonicalText):\(members[$0]!.canonicalText)" }
                #expect(JSON.object(members).canonicalText == "{\(expected.joined(separator: ","))}")
            }
        }
    }

    @Test func `a value survives writing and reading`() throws {
        var generator = SeededGenerator(8785)
        for _ in 0..<500 {
            let value = random(depth: 0, &generator)
            let text = value.canonicalText
            let read = try JSON(parsing: text)
            #expect(read.canonicalText == text)
        }
    }

    @Test func `no bytes crash the parser, and what it takes it can write`() {
        var generator = SeededGenerator(4)
        let seeds = [#"{"a":[1,-2.5e3,"x\u00e9\ud83d\ude00",null,true,{"b":""}]}"#, "[[[[\"\\n\"]]]]", "0"].map {
            Array($0.utf8)
        }
        for _ in 0..<20_000 {
            var bytes = seeds.randomElement(using: &generator)!
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                switch Int.random(in: 0..<3, using: &generator) {
                case 0 where !bytes.isEmpty:
                    bytes[Int.random(in: 0..<bytes.count, using: &generator)] = .random(in: 0...255, using: &generator)
                case 1 where !bytes.isEmpty: bytes.remove(at: Int.random(in: 0..<bytes.count, using: &generator))
                default:
                    bytes.insert(
                        .random(in: 0...255, using: &generator), at: Int.random(in: 0...bytes.count, using: &generator))
                }
            }
            if let value = try? JSON(parsing: bytes) {
                #expect((try? JSON(parsing: value.canonical)) != nil)
            }
        }
    }

    private func random(depth: Int, _ generator: inout SeededGenerator) -> JSON {
        switch Int.random(in: 0..<(depth > 4 ? 4 : 6), using: &generator) {
        case 0: return .null
        case 1: return .bool(Bool.random(using: &generator))
        case 2: return .int(Int64.random(in: -JSON.largestExactInteger...JSON.largestExactInteger, using: &generator))
        case 3: return .string(text(&generator))
        case 4:
            return .array(
                (0..<Int.random(in: 0...4, using: &generator)).map { _ in random(depth: depth + 1, &generator) })
        default:
            return .object(
                Dictionary(
                    (0..<Int.random(in: 0...4, using: &generator)).map { _ in
                        (text(&generator), random(depth: depth + 1, &generator))
                    },
                    uniquingKeysWith: { first, _ in first }))
        }
    }

    private func text(_ generator: inout SeededGenerator) -> String {
        var scalars = String.UnicodeScalarView()
        for _ in 0..<Int.random(in: 0...6, using: &generator) {
            // ASCII, so that no two names are canonically equal
            scalars.append(Unicode.Scalar(UInt8.random(in: 0..<0x80, using: &generator)))
        }
        return String(scalars)
    }
}
