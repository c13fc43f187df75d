import Consoles
import Kernel
import TestSupport
import Testing

/// An action's name is in people's filters, exports and leaves for ever: it is reviewed when it appears and never goes.
@Suite struct AuditActionsTests {
    /// Names of events that are not operations, found where they are written.
    private static var written: [(kind: String, pattern: Regex<(Substring, Substring)>)] {
        [
            ("access", /Disclosure\(\s*"([a-z_]+\.[a-z_]+)"/),
            ("authn", /\brecord\(\s*"([a-z_]+(?:\.[a-z_]+)?)"/),
            ("other", /EventDraft\([^"]{0,80}"([a-z_]+\.[a-z_]+)"/),
        ]
    }

    @Test func `the actions are the ones that were reviewed`() throws {
        var lines: Set<String> = []
        for operation in Catalog(Consoles.all).operations {
            lines.insert("\(operation.spec.name)\toperation\t\(operation.spec.risk.rawValue)")
        }
        for source in HouseRulesTests.sources {
            let text = source.code.map(\.text).joined(separator: "\n")
            for (kind, pattern) in Self.written {
                for match in text.matches(of: pattern) { lines.insert("\(match.1)\t\(kind)\t-") }
            }
        }
        // Folded: written under names that are put together.
        for word in ["failed", "throttled"] { lines.insert("signin.\(word)\tauthn\t-") }
        try Golden.expect(
            "audit-actions.txt", "# action\tclass\trisk\n" + lines.sorted().map { $0 + "\n" }.joined())
    }
}
