import Kernel
import Store
import TestSupport
import Testing

@Suite struct `Erased members` {
    @Test(arguments: TestDatabase.Kind.allCases)
    func `an erased value is gone, said to be, and everything else stays provable`(kind: TestDatabase.Kind) async throws
    {
        try await LogFixture.with(kind) { log in
            let events = try await log.fill(5)
            var draft = EventDraft(
                at: TestDatabase.start, .complianceConsole, "erasure.completed", actor: .system("erasure"))
            draft.retention = .erasureProof7y
            draft.target = ("user", "usr_1")
            let (erasure, outcome) = try await log.database.write { [draft] writer in
                try ErasureDoor.erase(by: draft, in: writer)
            }
            #expect(outcome.erased.members.count == 5)
            try await log.sequencer.turn()
            let report = try await log.verify()
            #expect(report.isClean, "\(report.findings)")
            #expect(report.erasedValues == 5)

            let receipt = try Receipt(try await log.published.receipt(event: events[0].id, wait: .seconds(2)))
            try receipt.verify(key: log.key.verifier)
            #expect(receipt.erased == ["justification": erasure.id] && Set(receipt.sealed.keys) == ["actor_ip"])
            let contents = try await log.database.read {
                try SealedReader(log.store).contents(of: events[0].id, from: $0)
            }
            #expect(contents.isErased("justification") && contents["justification"] == nil)
            #expect(contents["actor_ip"] == "203.0.113.7")
        }
    }
}
