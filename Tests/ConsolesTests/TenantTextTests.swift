import Foundation
import Testing

@testable import Consoles
@testable import Kernel

@Suite struct TenantTextTests {
    @Test(arguments: [
        ("  Acme   Robotics ", "acme robotics"), ("Straße GmbH", "strasse gmbh"), ("ΟΔΟΣ", "οδοσ"), ("οδος", "οδοσ"),
        ("Ｆｕｌｌ　Width", "full width"), ("Cafe\u{301}", "café"), ("ﬁne", "fine"), ("TAB\there", "tab here"),
    ])
    func `names fold to one sort key`(name: String, key: String) {
        #expect(Array(NameKey.fold(name).utf8) == Array(key.precomposedUTF8))
    }

    @Test(arguments: [
        ("acme", "acmf"), ("a\u{10FFFF}", "b"), ("\u{D7FF}", "\u{E000}"), ("z", "{"), ("é", "ê"),
    ])
    func `the successor of a prefix is the next text of its length`(prefix: String, next: String) {
        #expect(NameKey.successor(of: prefix).map { Array($0.utf8) } == Array(next.utf8))
    }

    @Test func `nothing comes after the last prefix`() {
        #expect(NameKey.successor(of: "\u{10FFFF}\u{10FFFF}") == nil)
        #expect(NameKey.successor(of: "") == nil)
    }

    @Test func `metadata reads one pair per line and says what is wrong`() throws {
        #expect(
            try TenantMetadata.parse(text: "segment: robotics\r\n\nurl: https://a.test", .none).values
                == ["segment": "robotics", "url": "https://a.test"])
        #expect(try TenantMetadata.parse(text: " - ", .none).values.isEmpty)
        #expect(throws: FieldError.Reason.self) { try TenantMetadata.parse(text: "no colon", .none) }
        #expect(throws: FieldError.Reason.self) { try TenantMetadata.parse(text: "a: 1\na: 2", .none) }
        #expect(throws: FieldError.Reason.self) { try TenantMetadata.parse(["a": 1], .none) }
    }

    @Test(arguments: [
        ["b": "2", "a": "1"], ["billing:plan": "x: y", "url": "https://a.test/?q=1: 2"], [:], ["a b": "{\"c\": 1}"],
    ])
    func `metadata reads its own text, its arguments and its JSON`(values: [String: String]) throws {
        let value = TenantMetadata(values)
        #expect(try TenantMetadata.parse(value.json, .none) == value)
        #expect(value.arguments.count == 1)
        #expect(try TenantMetadata.parse(text: value.arguments[0], .none) == value)
        #expect(try Optional<TenantMetadata>.parse(text: value.arguments[0], .none) == value)
    }

    @Test(arguments: [
        "{\"a\":\"b\"}", "{\"a\": \"b\"}", "\"a\": b", "[a]: b", "a:: b", ": b",
    ])
    func `what is no key is refused, not stored`(text: String) {
        #expect(throws: FieldError.Reason.self) { try TenantMetadata.parse(text: text, .none) }
    }

    @Test func `keys are checked the same in JSON`() {
        for key in ["{\"a\"", "a: b", "a:", "\"a\"", ""] {
            #expect(throws: FieldError.Reason.self, "\(key)") {
                try TenantMetadata.parse(.object([key: "b"]), .none)
            }
        }
    }
}

extension String {
    fileprivate var precomposedUTF8: [UInt8] { Array(precomposedStringWithCanonicalMapping.utf8) }
}
