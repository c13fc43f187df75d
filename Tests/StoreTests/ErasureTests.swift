import Kernel
import Store
import TestSupport
import Testing

@Suite struct ErasureTests {
    @Test(arguments: TestDatabase.Kind.allCases)
    func `an erasure removes a person's sealed values and nothing else`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            let mixed = Fixture.event(sealed: [
                "details": .init(["name": "Ada", "tick": "✓"], subjects: ["usr_1", "ten_1"]),
                "justification": .init("keeps", subjects: ["stf_1"]),
            ])
            let held = Fixture.event(
                sealed: ["details": .init("held", subjects: ["usr_1"])], retention: .legalHold)
            let billed = Fixture.event(
                sealed: ["details": .init("billed", subjects: ["usr_1"])], retention: .financial7y)
            let other = Fixture.event(sealed: ["details": .init("other", subjects: ["usr_2"])])
            for event in [mixed, held, billed, other] { try await store.write(Fixture.records.insert(event)) }

            let erasure = Fixture.event("erasure.execute")
            let outcome = try await store.database.write { writer in
                writer.enqueue(Fixture.records.insert(erasure))
                return try ErasureDoor.erase(subject: "usr_1", event: erasure.id, in: writer)
            }
            #expect(outcome.erased == [.init(event: mixed.id, member: "details")])
            #expect(
                Set(outcome.retained) == [
                    .init(event: held.id, member: "details", ground: "legal_hold"),
                    .init(event: billed.id, member: "details", ground: "financial_7y"),
                ])

            func members(_ event: SealedEvent) async throws -> JSON? {
                try await store.database.read {
                    try $0.first(Fixture.records.sealedMembers(event: event.id))?.json("members")
                }
            }
            let left = try await members(mixed)
            #expect(left?["details"] == nil)
            // What stays still opens its commitment.
            let kept = try #require(mixed.members.first { $0.name == "justification" })
            #expect(left?["justification"]?["value"] == kept.value)
            #expect(left?["justification"]?["salt"]?.string == Base64.encode(kept.salt))
            #expect(try await members(held)?["details"]?["value"] == "held")
            #expect(try await members(other)?["details"]?["value"] == "other")
            let recorded = try await store.database.read {
                try $0.query(Statement("SELECT event_id, member, erased_by FROM sealed_erasure"))
            }
            #expect(recorded.count == 1)
            #expect(try recorded.first?.string("erased_by") == erasure.id)

            // Again: nothing is left to erase.
            let second = Fixture.event("erasure.execute")
            let again = try await store.database.write { writer in
                writer.enqueue(Fixture.records.insert(second))
                return try ErasureDoor.erase(subject: "usr_1", event: second.id, in: writer)
            }
            #expect(again.erased.isEmpty)
            #expect(again.retained.count == 2)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the door stays shut without an erasure event of the same transaction`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            let sealed = Fixture.event(sealed: ["details": .init("x", subjects: ["usr_1"])])
            let earlier = Fixture.event("erasure.execute")
            try await store.write(Fixture.records.insert(sealed) + Fixture.records.insert(earlier))
            let decoy = Fixture.event("tenant.update")
            let attempts: [(insert: [Statement], event: String)] = [
                ([], earlier.id), ([], "evt_none"), (Fixture.records.insert(decoy), decoy.id),
            ]
            for attempt in attempts {
                let failure = await store.failure { writer in
                    writer.enqueue(attempt.insert)
                    _ = try ErasureDoor.erase(subject: "usr_1", event: attempt.event, in: writer)
                }
                guard case .ungoverned = failure else {
                    Issue.record("\(attempt.event): \(String(describing: failure))")
                    continue
                }
            }
            let members = try await store.database.read {
                try $0.first(Fixture.records.sealedMembers(event: sealed.id))?.json("members")
            }
            #expect(members?["details"]?["value"] == "x")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the door shuts with its transaction`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            let sealed = Fixture.event(sealed: ["details": .init("x", subjects: ["usr_1"])])
            let erasure = Fixture.event("erasure.execute")
            let failure = await store.failure { writer in
                writer.enqueue(Fixture.records.insert(sealed) + Fixture.records.insert(erasure))
                _ = try ErasureDoor.erase(subject: "usr_1", event: erasure.id, in: writer)
                try writer.execute(Statement("UPDATE sealed SET members = '{}'"))
            }
            guard case .constraint = failure else {
                Issue.record("\(String(describing: failure))")
                return
            }
            try await store.expect(0, in: "sealed")
        }
    }
}
