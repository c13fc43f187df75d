import Testing

@testable import Kernel

/// What fields of a pattern take, as their descriptions say it.
struct SpellingTests {
    @Test(arguments: [
        ("a", true), ("acme-robotics", true), ("a--b", true), ("7", true), (String(repeating: "a", count: 63), true),
        ("-a", false), ("a-", false), ("Acme", false), ("a_b", false), ("ä", false),
        (String(repeating: "a", count: 64), false),
    ])
    func slugs(text: String, isOne: Bool) { #expect(takes(text, .slug) == isOne) }

    @Test(arguments: [
        ("mia@example.com", true), ("m.i+a@mail.example.co", true), ("ü@exämple.de", true), ("a@b.c", true),
        ("a@.b.c", true), (String(repeating: "a", count: 64) + "@b.c", true),
        (String(repeating: "a", count: 65) + "@b.c", false), ("a@b", false), ("a@.b", false), ("a@b.", false),
        ("@b.c", false), ("a@b@c.d", false), ("a b@c.d", false), ("a@b\u{A0}.c", false), ("a@b,c.d", false),
        ("\"a\"@b.c", false), ("<a@b.c>", false), ("a", false),
        ("a@" + String(repeating: "b", count: 251) + ".c", false),
    ])
    func addresses(text: String, isOne: Bool) { #expect(takes(text, .email) == isOne) }

    @Test(arguments: [("EUR", true), ("eur", false), ("EU", false), ("EURO", false), ("EÜR", false)])
    func currencies(text: String, isOne: Bool) { #expect(takes(text, .currency) == isOne) }

    private func takes(_ text: String, _ pattern: ParamRules.Pattern) -> Bool {
        var rules = ParamRules()
        rules.pattern = pattern
        rules.length = 1...400
        return (try? String.parse(text: text, rules)) != nil
    }
}
