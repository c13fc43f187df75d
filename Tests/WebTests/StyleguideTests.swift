import Foundation
import HTML
import Kernel
import TestSupport
import Testing

@testable import Consoles

@Suite struct StyleguideTests {
    private static let tokens: TokenSheet = {
        let file = HouseRulesTests.root.appendingPathComponent("Sources/Web/Assets/tokens.css")
        return TokenSheet((try? String(contentsOf: file, encoding: .utf8)) ?? "")
    }()

    private static let guide = Styleguide(
        tokens: tokens, catalog: Sample.catalog, specimens: Consoles.all.flatMap(\.specimens), now: Sample.now)

    private static func code(_ folder: String) -> String {
        HouseRulesTests.sources.filter { $0.path.hasPrefix("Sources/HTML/\(folder)/") }.flatMap { $0.code.map(\.text) }
            .joined(separator: "\n")
    }

    /// Everything a page may draw with, found where it is declared.
    private static func components(_ folder: String) -> Set<String> {
        Set(
            code(folder).matches(of: /^ {4}public static (?:func|var) (\w+)/.anchorsMatchLineEndings()).map {
                String($0.1)
            })
    }

    @Test func `every component is in the styleguide`() {
        let components = Self.components("Components")
        #expect(components.count > 50, "\(components.sorted())")
        let shown = Self.code("Styleguide")
        // `words`, `digits` and the like make text, not markup; `precedes` orders it.
        let texts: Set<String> = [
            "words", "spoken", "label", "subject", "digits", "amount", "day", "clock", "utc", "utcMinute",
            "short", "span", "exactly", "relative", "shortTitle", "whenItRuns", "precedes",
        ]
        let missing = components.subtracting(texts).filter { !shown.contains("UI.\($0)") }
        #expect(missing.isEmpty, "not in Sources/HTML/Styleguide: \(missing.sorted())")
    }

    @Test func `every view is in the styleguide`() {
        let shown = Self.code("Styleguide")
        for (name, views) in [
            (
                "OperationViews",
                ["form", "preview", "result", "pending", "several", "revealed", "error", "absent"]
            ),
            (
                "SignInViews",
                [
                    "signIn", "leaving", "signedOut", "code", "enrolment", "newAuthenticator", "recoveryCodes",
                    "stepUp",
                ]
            ),
            ("DeviceViews", ["ask", "found", "decided"]),
        ] {
            for view in views {
                #expect(Self.components("Views").contains(view), "\(name).\(view) is gone; take it from this list")
                #expect(shown.contains("\(name).\(view)("), "\(name).\(view)")
            }
        }
        // Texts and parts: what these make stands within a view.
        let parts: Set<String> = [
            "cli", "curl", "optionName", "fingerprint", "groups", "ids", "showAll", "revealedTitle",
        ]
        #expect(Self.components("Views").subtracting(parts).count == 19)
    }

    @Test func `every icon of the sprite is shown, and no other`() throws {
        let sprite = try String(
            contentsOf: HouseRulesTests.root.appendingPathComponent("Sources/Web/Assets/icons.svg"), encoding: .utf8)
        let symbols = sprite.matches(of: /symbol id="([^"]+)"/).map { String($0.1) }
        #expect(Set(symbols) == Set(Styleguide.icons).union(Glyph.allCases.map { "g-\($0.rawValue)" }))
    }

    @Test(arguments: Styleguide.Section.allCases)
    func `a page is small, and its ids stand once`(_ section: Styleguide.Section) {
        let html = Self.guide.page(section, theme: .dark).text
        #expect(html.utf8.count < 60_000, "\(html.utf8.count) bytes")
        #expect(html.utf8.count > 2_000)
        #expect(!html.contains("style=\""))
        let ids = html.matches(of: /\sid="([^"]+)"/).map { String($0.1) }
        let twice = Dictionary(grouping: ids, by: \.self).filter { $0.value.count > 1 }.keys
        #expect(twice.isEmpty, "\(twice.sorted())")
    }

    @Test func `words have the contrast they need in both themes`() throws {
        #expect(Self.tokens.tokens.count > 80)
        for pair in TokenSheet.pairs {
            let ink = try #require(Self.tokens.colour(pair.ink), "\(pair.ink) is no colour")
            let ground = try #require(Self.tokens.colour(pair.ground), "\(pair.ground) is no colour")
            for (theme, contrast) in [
                ("light", TokenSheet.contrast(ink.light, ground.light)),
                ("dark", TokenSheet.contrast(ink.dark, ground.dark)),
            ] {
                #expect(contrast >= pair.least, "\(pair.ink) on \(pair.ground), \(theme): \(contrast)")
            }
        }
    }

    @Test func `contrast is WCAG's`() throws {
        let sheet = TokenSheet(
            ":root { --a: #000000; --b: light-dark(#ffffff, rgb(119 119 119 / .5)); /* no */ --c: 1rem }")
        let (a, b) = (try #require(sheet.colour("a")), try #require(sheet.colour("b")))
        #expect(TokenSheet.contrast(a.light, b.light) == 21)
        // The grey that everybody's checker gives 4.69 on black, and 4.48 on white.
        #expect(abs(TokenSheet.contrast(a.dark, b.dark) - 4.69) < 0.005)
        #expect(abs(TokenSheet.contrast(b.light, b.dark) - 4.48) < 0.005)
        #expect(sheet.colour("c") == nil && sheet["c"] == "1rem")
    }
}
