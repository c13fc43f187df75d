import Kernel
import TestSupport
import Testing

@Suite struct `Attack: a write hides behind an event about something else` {
    @Test(arguments: TestDatabase.Kind.allCases)
    func `the database refuses the commit`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            _ = try await log.fill(5)
            try await log.change(nil, TestRole("billing", title: "Billing"))
            let before = TestRole("support", title: "Support")
            var after = before
            after.title = "Admin"
            after.version = 2
            var draft = LogFixture.draft("role.update")
            let other = TestRole("billing", title: "Billing").document
            draft.changes = [
                .init(
                    type: "role", id: "billing", before: .init(other, subjects: []), after: .init(other, subjects: []))
            ]
            let decoy = SealedEvent(draft)
            let (records, changed) = (log.records, after)
            await #expect {
                try await log.database.write { writer in
                    writer.enqueue(records.insert(decoy))
                    writer.enqueue(changed.update(expecting: 1))
                }
            } throws: { error in
                if case .ungoverned = error as? StoreError { true } else { false }
            }
            #expect(try await log.database.read { try TestRole.load("support", from: $0) } == before)
            try await log.sequencer.turn()
            try await log.expectClean()
        }
    }
}
