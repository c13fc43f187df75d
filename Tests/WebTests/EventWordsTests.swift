import Foundation
import Testing

@testable import Consoles

@Suite struct EventWordsTests {
    /// Every action the sources record, found where it is written.
    private static let written: Set<String> = {
        let place = /(?:Disclosure|EventDraft|record)\(\s*[^"()]*"([a-z_]+(?:\.[a-z_]+)?)"/
        var found: Set<String> = []
        for source in HouseRulesTests.sources {
            let text = source.code.map(\.text).joined(separator: "\n")
            for match in text.matches(of: place) { found.insert(String(match.1)) }
        }
        // Made of words: folded sign-ins, and the object a form is about.
        for fold in StaffSignIn.Fold.allCases { found.insert(fold.action) }
        for type in Set(Sample.operations.filter { !$0.creates && !$0.spec.systemOnly }.map(\.targetType)) {
            found.insert("\(type).view")
        }
        return found
    }()

    @Test func `every action that is recorded has words`() {
        #expect(Self.written.count > 20, "\(Self.written.sorted())")
        let known = Set(EventWords.plain.keys).union(Sample.operations.map(\.spec.name))
        #expect(Self.written.subtracting(known).isEmpty, "\(Self.written.subtracting(known).sorted())")
    }

    @Test func `nothing has words that is never recorded`() {
        #expect(Set(EventWords.plain.keys).subtracting(Self.written).isEmpty)
    }
}
