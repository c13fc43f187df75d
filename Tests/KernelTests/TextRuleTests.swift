import Kernel
import Testing

@Suite struct TextRuleTests {
    @Test func `a letter under thousands of marks is as long as it is`() throws {
        let tower = "a" + String(repeating: "\u{0301}", count: 5_000)
        #expect(tower.count == 1)
        #expect(throws: FieldError.Reason.self) { try TextRule.line(1...200).check(tower) }
        #expect(throws: FieldError.Reason.self) { try String.parse(text: tower, .length(1...120)) }
        #expect(try TextRule.line(1...3).check("n\u{0303}o\u{0308}") == "\u{00F1}\u{00F6}")
    }

    @Test func `the least is counted as people count`() {
        #expect(throws: FieldError.Reason.self) {
            try TextRule.prose(10...4000).check("a" + String(repeating: "\u{0301}", count: 20))
        }
    }
}
