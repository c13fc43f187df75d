import Kernel
import Testing

/// Times, ids, text, fields, cursors and demands: the small values everything stands on.
@Suite struct ValueTests {
    @Test(arguments: [
        ("1970-01-01T00:00:00Z", Int64(0)), ("2026-11-17T14:32:00.123456Z", 1_794_925_920_123_456),
        ("2026-11-17T15:32:00.123456+01:00", 1_794_925_920_123_456), ("1969-12-31T23:59:59.999999Z", -1),
        ("2024-02-29T00:00:00Z", 1_709_164_800_000_000),
    ])
    func `times are read and written to the microsecond`(_ text: String, _ microseconds: Int64) throws {
        let instant = try #require(Instant(rfc3339: text))
        #expect(instant.microseconds == microseconds)
        #expect(Instant(rfc3339: instant.rfc3339) == instant)
    }

    @Test(arguments: [
        "", "2026-11-17", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2025-02-29T00:00:00Z",
        "2026-11-17T24:00:00Z",
        "2026-11-17T14:60:00Z", "2026-11-17T14:32:00", "2026-11-17T14:32Z", " 2026-11-17T14:32:00Z",
    ])
    func `what is no time is refused`(_ text: String) {
        #expect(Instant(rfc3339: text) == nil)
    }

    @Test func `text is the same byte by byte only`() {
        let long = String(repeating: "Zoë, ", count: 20)
        for text in ["", "a", "Zoë", long] {
            #expect(text.hasSameBytes(as: String(decoding: Array(text.utf8), as: UTF8.self)))
            #expect(!text.hasSameBytes(as: text + "\u{0}") && !(text + "x").hasSameBytes(as: text))
        }
        // Equal to Swift, and two texts to the databases.
        let (one, two) = ("Zo\u{EB}", "Zoe\u{308}")
        #expect(one == two && !one.hasSameBytes(as: two))
    }

    @Test func `a time that stands on a page is read where one is typed`() throws {
        for text in ["2026-11-07T14:32:00Z", "2026-05-17T00:00:00Z", "2030-12-31T23:59:00Z"] {
            let instant = try #require(Instant(rfc3339: text))
            #expect(Instant(typed: instant.minuteText) == instant, "\(instant.minuteText)")
            #expect(try Instant.parse(text: " \(instant.minuteText) ", .none) == instant)
        }
        // With the seconds, as beside a relative time.
        #expect(Instant(typed: "17 Nov 2026, 14:32:04 UTC") == Instant(rfc3339: "2026-11-17T14:32:04Z"))
        for text in ["31 Nov 2026, 14:32 UTC", "17 Nox 2026, 14:32 UTC", "17 Nov 2026", "17 Nov 2026, 25:00 UTC"] {
            #expect(Instant(typed: text) == nil, "\(text)")
        }
    }

    @Test func `days count through four hundred years`() {
        var previous = Day(daysSince1970: -80_000)
        for number in -79_999...80_000 {
            let day = Day(daysSince1970: number)
            #expect(day.daysSince1970 == number && previous < day)
            if day.day != 1 { #expect(day.day == previous.day + 1) }
            previous = day
        }
    }

    @Test func `ids are ordered by their time and shaped alike`() {
        let early = Identifier.mint("ten", at: Instant(microseconds: 1_000_000_000_000))
        let late = Identifier.mint("ten", at: Instant(microseconds: 1_000_000_001_000))
        #expect(early.utf8.lexicographicallyPrecedes(late.utf8))
        #expect(Identifier.isValid(early, prefix: "ten") && !Identifier.isValid(early, prefix: "usr"))
        // the ULID specification's own example of time
        #expect(
            Identifier.make("x", milliseconds: 1_469_918_176_385, random: [UInt8](repeating: 0, count: 10))
                == "x_01ARYZ6S410000000000000000")
    }

    @Test func `base 64 is read only as it is written`() {
        #expect(Base64.decode("AQI=") == [1, 2])
        for text in ["AQI", "AQJ=", "A QI=", "AQI=\n", "AQ-="] { #expect(Base64.decode(text) == nil, "\(text)") }
        for text in ["=", "====", "A===", "AQ=I", "AQ==AQ==", "AQIé", "AQI\u{0}", "AR=="] {
            #expect(Base64.decode(text) == nil, "\(text)")
        }
        for count in 0..<70 {
            let bytes = SecureRandom.bytes(count)
            #expect(Base64.decode(Base64.encode(bytes)) == bytes)
        }
        #expect(Base64.decodeURL(Base64.encodeURL([0xFB, 0xFF, 0xFE])) == [0xFB, 0xFF, 0xFE])
        #expect(Base64.decodeURL("-_8=") == nil)
    }

    @Test func `text from outside keeps to its rules`() throws {
        #expect(try TextRule.line(1...5).check("  a\u{301}  ") == "á")
        for text in ["a\u{0}", "a\u{202E}b", "a\u{2066}b", "a\nb", "a\u{85}b", "", "   ", "abcdef"] {
            #expect(throws: FieldError.Reason.self) { try TextRule.line(1...5).check(text) }
        }
        #expect(try TextRule.prose(1...9).check("a\n\tb") == "a\n\tb")
    }

    struct Sample: OperationInput {
        @Param("Name", .length(2...10), help: "h") var name: String
        @Param("Count", .range(1...9), help: "h") var count: Int64 = 3
        @Param("Mail", .email, help: "h") var mail: String?
        @Param("Words", .choices(["a", "b"]), help: "h") var words: [String] = []
        @Param("When", help: "h") var resumesOn: Day?
        init() {}
    }

    @Test func `fields are read with their defaults and names`() throws {
        let input = try Sample.parse(["name": "Ada", "resumes_on": "2026-11-17", "mail": nil])
        #expect(input.name == "Ada" && input.count == 3 && input.mail == nil && input.words.isEmpty)
        #expect(input.resumesOn == Day(year: 2026, month: 11, day: 17))
        #expect(input.fields.map(\.name) == ["name", "count", "mail", "words", "resumes_on"])
        #expect(Sample().fields.map(\.param.isRequired) == [true, false, false, false, false])
    }

    @Test func `every wrong field is named at once`() {
        do throws(InvalidFields) {
            _ = try Sample.parse(["count": 10, "mail": "no", "words": ["c"], "resumes_on": 5, "a/b": 1])
            Issue.record("wrong fields were taken")
        } catch {
            #expect(
                error.errors.map(\.pointer)
                    == [
                        "/input/name", "/input/count", "/input/mail", "/input/words", "/input/resumes_on",
                        "/input/a~1b",
                    ])
        }
    }

    @Test func `one input does not share its values with another`() throws {
        let first = try Sample.parse(["name": "Ada"])
        let second = try Sample.parse(["name": "Bob"])
        #expect(first.name == "Ada" && second.name == "Bob")
    }

    @Test func `a cursor works only where it was given out`() throws {
        let codec = CursorCodec(key: [UInt8](repeating: 7, count: 32))
        let cursor = codec.encode(scope: "tenants?sort=name", ["Acme", "ten_1"])
        #expect(try codec.decode(cursor, scope: "tenants?sort=name") == ["Acme", "ten_1"])
        #expect(throws: OperationError.self) { try codec.decode(cursor, scope: "tenants?sort=created") }
        #expect(throws: OperationError.self) {
            try CursorCodec(key: [UInt8](repeating: 8, count: 32)).decode(cursor, scope: "tenants?sort=name")
        }
        var generator = SeededGenerator(9)
        let bytes = Array(cursor.utf8)
        for _ in 0..<2_000 {
            var forged = bytes
            let at = Int.random(in: 0..<forged.count, using: &generator)
            forged[at] = UInt8.random(in: 0x21..<0x7F, using: &generator)
            guard forged != bytes else { continue }
            let text = String(decoding: forged, as: UTF8.self)
            #expect(throws: OperationError.self, "\(text)") { try codec.decode(text, scope: "tenants?sort=name") }
        }
    }

    @Test func `demands survive writing and say themselves`() {
        let demand = Demand.allOf([
            .role(["security"]),
            .anyOf([.permission("tenant.suspend"), .count(2, [.role(["a"]), .role(["b"]), .role(["c"])])]),
        ])
        #expect(Demand(demand.json) == demand)
        #expect(Demand(["n": 4, "n_of": [["role": ["a"]]]]) == nil)
        #expect(Demand(["all_of": []]) == nil)
    }

    @Test func `a demand is said with the titles of roles, and counts people`() {
        let admin = Demand.role(["super_admin"])
        let either = Demand.role(["super_admin", "security"])
        let holder = Demand.permission("tenant.suspend")
        let sentences: [(Demand, String)] = [
            (admin, "1 person with Super admin"), (either, "1 person with Super admin or Security"),
            (.role(["night_shift"]), "1 person with night_shift"),
            (.role([Demand.managerRole, "legal"]), "1 person with Customer success manager or Legal"),
            (.allOf([admin, admin]), "2 people with Super admin"),
            (
                .allOf([admin, .allOf([holder, admin]), holder]),
                "2 people with Super admin and 2 holders of tenant.suspend"
            ),
            (.count(2, [admin, admin, admin]), "2 people with Super admin"),
            (.count(2, [admin, holder]), "1 person with Super admin and 1 holder of tenant.suspend"),
            (
                .count(2, [admin, holder, either]),
                "2 of: 1 person with Super admin, 1 holder of tenant.suspend, 1 person with Super admin or Security"
            ),
            (
                .allOf([admin, .anyOf([holder, .allOf([either, admin])])]),
                "1 person with Super admin and (1 holder of tenant.suspend or "
                    + "(1 person with Super admin or Security and 1 person with Super admin))"
            ),
        ]
        for (demand, sentence) in sentences { #expect(demand.sentence == sentence) }
    }

    @Test func `what several rules ask for is said once`() {
        let admin = Demand.role(["super_admin"])
        let either = Demand.role(["super_admin", "security"])
        let holder = Demand.permission("tenant.suspend")
        #expect(Demand.sentence(of: [admin, .allOf([admin, admin])]) == "2 people with Super admin")
        #expect(Demand.sentence(of: [.allOf([admin, admin]), admin, admin]) == "2 people with Super admin")
        // Whoever meets the narrow one meets the wide one, and not the other way round.
        #expect(Demand.sentence(of: [either, admin]) == "1 person with Super admin")
        #expect(
            Demand.sentence(of: [.allOf([either, either]), admin])
                == "2 people with Super admin or Security; 1 person with Super admin")
        #expect(Demand.sentence(of: [admin, holder]) == "1 person with Super admin; 1 holder of tenant.suspend")
        #expect(
            Demand.sentence(of: [.anyOf([admin, holder]), .allOf([holder, admin])])
                == "1 holder of tenant.suspend and 1 person with Super admin")
        #expect(Demand.sentence(of: []).isEmpty)
    }

    @Test func `fresh values are new in each call and stable within one`() {
        let at = Instant(microseconds: 1_000)
        let one = Fresh(at: at)
        #expect(one.id("grt", slot: 1) == one.id("grt", slot: 1))
        #expect(one.id("grt", slot: 1) != one.id("grt", slot: 2))
        #expect(one.secret("a") != one.secret("b"))
        #expect(one.secret("a") != Fresh(at: at).secret("a"))
    }

    @Test func `a clock that goes back is not followed`() {
        let clock = ManualClock(Instant(microseconds: 100))
        let monotone = Clock.monotone(clock.clock)
        #expect(monotone.now.microseconds == 100)
        clock.advance(Span(microseconds: -50))
        #expect(monotone.now.microseconds == 100)
        clock.advance(Span(microseconds: 60))
        #expect(monotone.now.microseconds == 110)
    }
}
