import Kernel
import TestSupport
import Testing

@testable import Consoles

/// Notices of many events that are written together (decision 27).
@Suite struct TellingTests {
    private enum Step {
        case tell([String], Notice.Kind, event: Int, about: Int?)
        case settle(Int, of: String?, [Notice.Kind])
        case settleBut(Int, [String])
        case close(Int)

        static func random(_ random: inout ServiceAccountTests.Seeded) -> Step {
            let people = ["ada", "ben", "cem"].filter { _ in Bool.random(using: &random) }
            let about = Int.random(in: 1...3, using: &random)
            let kinds: [Notice.Kind] = [.asked, .askedAgain, .scheduled, .signed]
            switch Int.random(in: 0..<8, using: &random) {
            case 0...3:
                return .tell(
                    people, kinds.randomElement(using: &random) ?? .asked, event: Int.random(in: 1...6, using: &random),
                    about: Int.random(in: 0..<8, using: &random) == 0 ? nil : about)
            case 4, 5: return .settle(about, of: people.first, Notice.Kind.asking)
            case 6: return .settleBut(about, people)
            default: return .close(about)
            }
        }

        /// Everything is about what is called by this prefix, so that one database holds both.
        func run(_ prefix: String, _ telling: inout Telling) {
            func name(_ about: Int) -> String { "\(prefix)-about-\(about)" }
            switch self {
            case .tell(let people, let kind, let event, let about):
                telling.tell(
                    people, kind, of: "\(prefix)-event-\(event)", about: about.map { ("approval", name($0)) })
            case .settle(let about, let staff, let kinds): telling.settle(name(about), of: staff, kinds: kinds)
            case .settleBut(let about, let people): telling.settle(name(about), but: people, kinds: [.asked, .signed])
            case .close(let about): telling.close(name(about))
            }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `what is told together ends as it does one by one`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            var random = ServiceAccountTests.Seeded(27)
            for round in 0..<40 {
                let steps = (0..<Int.random(in: 1...60, using: &random)).map { _ in Step.random(&random) }
                let (one, other) = ("one\(round)", "other\(round)")
                try await store.database.write { tx in
                    var together = Telling(tx)
                    for step in steps { step.run(one, &together) }
                    try together.finish()
                    for step in steps {
                        var alone = Telling(tx)
                        step.run(other, &alone)
                        try alone.finish()
                    }
                }
                func rows(_ prefix: String) async throws -> [String] {
                    try await store.database.read { reader in
                        try reader.query(
                            Statement(
                                "SELECT staff_id, kind, event_id, about_id, read_at, is_moot FROM notifications WHERE event_id LIKE $1",
                                [.text(prefix + "-%")])
                        ).map { row in
                            """
                            \(try row.string("staff_id")) \(try row.string("kind")) \
                            \(try row.string("event_id").dropFirst(prefix.count)) \
                            \(try row.optionalString("about_id")?.dropFirst(prefix.count) ?? "nothing") \
                            \(try row.optionalInstant("read_at") == nil) \(try row.int("is_moot"))
                            """
                        }.sorted()
                    }
                }
                let (written, expected) = (try await rows(one), try await rows(other))
                #expect(written == expected, "round \(round)")
                #expect(steps.count < 20 || !written.isEmpty)
            }
        }
    }
}
