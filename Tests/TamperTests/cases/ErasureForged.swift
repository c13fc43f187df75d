import Kernel
import Store
import TestSupport
import Testing

@Suite struct `Attack: a value is removed under somebody else's erasure` {
    private static func erase(_ subject: String, _ log: LogFixture) async throws -> SealedEvent {
        var draft = EventDraft(
            at: TestDatabase.start, .complianceConsole, "erasure.completed", actor: .system("erasure"))
        draft.target = ("user", subject)
        let event = try await log.database.write { [draft] writer in try ErasureDoor.erase(by: draft, in: writer).event
        }
        try await log.sequencer.turn()
        return event
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the value is named, and the erasure that did not remove it`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            let events = try await log.fill(5)
            let erasure = try await Self.erase("usr_1", log)
            try await log.expectClean()
            // The administrator's address goes the way of the customer's data, with rows that say so.
            let removed =
                switch kind {
                case .sqlite: "json_remove(members, '$.actor_ip')"
                case .postgres: "(members::jsonb - 'actor_ip')::text"
                }
            try log.attack(
                "UPDATE sealed SET members = \(removed) WHERE event_id = '\(events[3].id)'",
                "INSERT INTO sealed_subject (event_id, member, subject) VALUES ('\(events[3].id)', 'actor_ip', 'usr_1')",
                "INSERT INTO sealed_erasure (event_id, member, erased_by) VALUES ('\(events[3].id)', 'actor_ip', '\(erasure.id)')"
            )
            let report = try await log.verify()
            #expect(report.kinds == [.valueDeleted])
            #expect(report.findings.contains { $0.event == events[3].id && $0.detail.contains("actor_ip") })
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a value that was erased can't come back unseen`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            let events = try await log.fill(5)
            let kept = try await log.database.read {
                try $0.first(log.records.sealedMembers(event: events[3].id))?.string("members") ?? ""
            }
            _ = try await Self.erase("usr_1", log)
            try log.attack(
                "UPDATE sealed SET members = '\(kept.replacing("'", with: "''"))' WHERE event_id = '\(events[3].id)'",
                "DELETE FROM sealed_erasure WHERE event_id = '\(events[3].id)'")
            let report = try await log.verify()
            #expect(report.kinds == [.valueDeleted], "\(report.findings)")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an export that names an erasure of its own invention is refused`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            let events = try await log.fill(5)
            let erasure = try await Self.erase("usr_1", log)
            let path = try await log.export()
            #expect(try OfflineVerifier.verify(path: path, key: log.key.verifier).isClean)
            let script = Shell.script("verify_export.py")
            let whole = try Shell.run("python3", [script, path, log.key.verifier.text])
            #expect(whole.status == 0, "\(whole.output)")
            let forged = try log.edit(path) { line in
                guard line.contains(events[3].id), case .object(var entry)? = try? JSON(parsing: line),
                    case .object(var sealed)? = entry["sealed"], case .object(var erased)? = entry["erased"]
                else { return line }
                sealed["actor_ip"] = nil
                erased["actor_ip"] = .string(erasure.id)
                entry["sealed"] = .object(sealed)
                entry["erased"] = .object(erased)
                return JSON.object(entry).canonicalText
            }
            let report = try OfflineVerifier.verify(path: forged, key: log.key.verifier)
            #expect(report.kinds == [.valueDeleted])
            let outside = try Shell.run("python3", [script, forged, log.key.verifier.text])
            #expect(outside.status == 1 && outside.output.contains(erasure.id), "\(outside.output)")
        }
    }
}
