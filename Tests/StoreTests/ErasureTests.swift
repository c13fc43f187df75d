import Kernel
import Store
import TestSupport
import Testing

@Suite struct ErasureTests {
    private static func erasure(of subject: String) -> EventDraft {
        var draft = EventDraft(
            at: TestDatabase.start, .complianceConsole, "erasure.execute", actor: .system("erasure"))
        draft.target = ("user", subject)
        // What the erasure itself says of the person stays.
        draft.sealed["justification"] = .init("They asked for it.", subjects: [subject])
        return draft
    }

    /// Pushes at the door past what the program does to open it.
    private static func push(_ subject: String, _ event: String, _ writer: any Writer) throws {
        switch writer.dialect {
        case .postgres:
            try writer.execute(Statement("SELECT * FROM postern_erase($1, $2, '')", [.text(subject), .text(event)]))
        case .sqlite: try writer.execute(Statement("SELECT postern_erase_under($1) AS open", [.text(event)]))
        }
    }

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

            let (erasure, outcome) = try await store.database.write { writer in
                try ErasureDoor.erase(by: Self.erasure(of: "usr_1"), in: writer)
            }
            #expect(outcome.erased.members == [.init(event: mixed.id, member: "details")])
            let leaf = try JSON(parsing: erasure.leaf)
            #expect(leaf["facts"]?["erased"] == 1)
            #expect(
                leaf["facts"]?["erased_sha256"]?.string == sha256(Array("[[\"\(mixed.id)\",\"details\"]]".utf8)).hex)
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
            let again = try await store.database.write { writer in
                try ErasureDoor.erase(by: Self.erasure(of: "usr_1"), in: writer)
            }
            #expect(again.outcome.erased.members == [.init(event: erasure.id, member: "justification")])
            #expect(again.outcome.retained.count == 2)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `more than one portion is erased in one transaction, and nothing of it is left`(
        kind: TestDatabase.Kind
    ) async throws {
        try await TestDatabase.with(kind) { store in
            let held = Fixture.event(
                sealed: ["details": .init("held", subjects: ["usr_1"])], retention: .legalHold)
            // Just more than a portion of what is planned and of what is erased.
            let events = (0..<501).map { number in
                Fixture.event(sealed: [
                    "details": .init(.string("\(number)"), subjects: ["usr_1"]),
                    "justification": .init("why", subjects: ["usr_1"]),
                ])
            }
            try await store.write(([held] + events).flatMap { Fixture.records.insert($0) })
            let outcome = try await store.database.write { writer in
                try ErasureDoor.erase(by: Self.erasure(of: "usr_1"), in: writer).outcome
            }
            #expect(outcome.erased.members.count == 1002)
            #expect(outcome.retained == [.init(event: held.id, member: "details", ground: "legal_hold")])
            let left = try await store.database.read {
                try $0.query(Statement(#"SELECT event_id FROM sealed WHERE members LIKE '%"why"%'"#)).count
            }
            #expect(left == 0)
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
                    try Self.push("usr_1", attempt.event, writer)
                }
                guard case .ungoverned = failure else {
                    Issue.record("\(attempt.event): \(String(describing: failure))")
                    continue
                }
            }
            // Under the erasure of somebody else, and by an event that erases nobody.
            var nobody = Self.erasure(of: "usr_1")
            nobody.target = nil
            var update = EventDraft(at: TestDatabase.start, .mutation, "tenant.update", actor: .system("test"))
            update.target = ("user", "usr_1")
            for draft in [nobody, update] {
                guard case .ungoverned = await store.failure({ _ = try ErasureDoor.erase(by: draft, in: $0) }) else {
                    Issue.record("\(draft.action)")
                    continue
                }
            }
            if kind == .postgres {
                let other = SealedEvent(Self.erasure(of: "usr_2"))
                guard
                    case .ungoverned = await store.failure({ writer in
                        writer.enqueue(Fixture.records.insert(other))
                        try Self.push("usr_1", other.id, writer)
                    })
                else {
                    Issue.record("the erasure of somebody else opened the door")
                    return
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
            let failure = await store.failure { writer in
                writer.enqueue(Fixture.records.insert(sealed))
                _ = try ErasureDoor.erase(by: Self.erasure(of: "usr_1"), in: writer)
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
