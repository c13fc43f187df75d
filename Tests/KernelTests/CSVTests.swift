import Testing

@testable import Kernel

@Suite struct CSVTests {
    private static func record(_ cells: CSV.Cell...) -> String {
        var out: [UInt8] = []
        CSV.append(cells, to: &out)
        return String(decoding: out, as: UTF8.self)
    }

    @Test func `a record is written as RFC 4180 says`() {
        #expect(Self.record(.text("a"), .number(-3), .empty, .text("é😀")) == "a,-3,,é😀\r\n")
        #expect(Self.record(.text("a,b"), .text("say \"hi\"")) == "\"a,b\",\"say \"\"hi\"\"\"\r\n")
        #expect(Self.record(.text("one\ntwo"), .text("one\r\ntwo")) == "\"one\ntwo\",\"one\r\ntwo\"\r\n")
        #expect(Self.record(.text(" a"), .text("b ")) == "\" a\",\"b \"\r\n")
        #expect(Self.record(.text("")) == "\r\n")
    }

    @Test(arguments: ["=1+1", "+49 30", "-3", "@SUM(A1)", "\tx", "\rx", "\nx", "＝1", "＋1", "－1", "＠a"])
    func `what a spreadsheet would calculate has an apostrophe before it`(text: String) {
        let record = Self.record(.text(text))
        #expect(record == "'\(text)\r\n" || record == "\"'\(text)\"\r\n")
    }

    @Test func `what only looks like a formula within stays as it is`() {
        #expect(Self.record(.text("a=b"), .text("'tis"), .text("1-2")) == "a=b,'tis,1-2\r\n")
        // A number can't be a formula, and an apostrophe would make text of it.
        #expect(Self.record(.number(.min)) == "-9223372036854775808\r\n")
        // A combining mark makes another character of the sign, but not for a spreadsheet.
        #expect(Self.record(.text("=\u{0301}1")) == "'=\u{0301}1\r\n")
    }

    @Test func `members of the API stand as text, numbers or JSON`() {
        #expect(CSV.Cell(JSON.null) == .empty && CSV.Cell(nil as JSON?) == .empty)
        #expect(CSV.Cell(JSON.bool(true)) == .text("true"))
        #expect(CSV.Cell(["b": 1, "a": [2]]) == .text("{\"a\":[2],\"b\":1}"))
    }
}
