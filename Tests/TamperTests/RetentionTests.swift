import Foundation
import Kernel
import Store
import TestSupport
import Testing

/// Logs with events old enough to leave.
enum OldEvents {
    /// Ten thousand days are longer than any class keeps.
    static func draft(_ eventClass: EventClass, daysOld: Int64, _ action: String = "tenant.view") -> EventDraft {
        var draft = EventDraft(
            at: TestDatabase.start - .days(daysOld), eventClass, action, actor: Actor(.staff, "stf_1"))
        draft.sealed["details"] = .init(["query": "ada"], subjects: ["usr_1"])
        draft.sealed["actor_ip"] = .init("203.0.113.7", subjects: ["stf_1"])
        return draft
    }

    static func record(_ drafts: [EventDraft], _ log: LogFixture) async throws -> [SealedEvent] {
        let events = drafts.map { SealedEvent($0) }
        let records = log.records
        try await log.database.write { writer in for event in events { writer.enqueue(records.insert(event)) } }
        return events
    }

    /// New events, four old views and three old sign-ins between them, sequenced.
    static func fill(_ log: LogFixture) async throws -> (views: [SealedEvent], signIns: [SealedEvent]) {
        try await log.record(3)
        let views = try await record((0..<4).map { draft(.access, daysOld: 1100 + $0) }, log)
        try await log.record(2)
        let signIns = try await record((0..<3).map { draft(.authn, daysOld: 400 + $0, "signin.failed") }, log)
        try await log.record(2)
        try await log.sequencer.turn()
        return (views, signIns)
    }

    static func prune(
        _ log: LogFixture, _ periods: RetentionPeriods = RetentionPeriods(), isDry: Bool = false
    ) async throws -> Pruner.Outcome {
        let outcome = try await Pruner(
            database: log.database, store: log.store, key: log.key.verifier, periods: periods
        ).run(into: isDry ? nil : log.folder)
        try await log.sequencer.turn()
        return outcome
    }
}

@Suite struct `Retention` {
    @Test(arguments: TestDatabase.Kind.allCases)
    func `what has ended leaves with its proof, and the log stays whole`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            let (views, signIns) = try await OldEvents.fill(log)
            let before = try #require(try await log.published.checkpoint())
            let dry = try await OldEvents.prune(log, isDry: true)
            #expect(dry.moved == ["access_3y": 4, "operational_1y": 3] && dry.files.isEmpty)
            try await log.db.expect(14, in: "events")

            let outcome = try await OldEvents.prune(log)
            #expect(outcome.moved == dry.moved && outcome.files.count == 2 && outcome.kept == 0)
            try await log.db.expect(9, in: "events")
            try await log.db.expect(7, in: "sealed")
            try await log.db.expect(0, in: "sealed_subject WHERE event_id = '\(views[0].id)'")
            let report = try await log.verify(against: [before])
            #expect(report.isClean, "\(report.findings)")
            #expect(report.eventsArchived == 7 && report.size == 16)

            // Again: nothing is left to go.
            #expect(try await OldEvents.prune(log).total == 0)

            // What left can be checked from its file alone, by a program that is not ours as well.
            let script = Shell.script("verify_export.py")
            for file in outcome.files {
                let archive = try OfflineVerifier.verify(path: file, key: log.key.verifier)
                #expect(archive.isClean && archive.valuesChecked == 0, "\(archive.findings)")
                let outside = try Shell.run("python3", [script, file, log.key.verifier.text])
                #expect(outside.status == 0, "\(outside.output)")
                let text = try String(contentsOfFile: file, encoding: .utf8)
                #expect(!text.contains("sealed\":{\"actor_ip\":{") && !text.contains("\"salt\""))
                let mode = try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? Int
                #expect(mode == 0o600)
            }
            let kept = try outcome.files.map { try String(contentsOfFile: $0, encoding: .utf8) }.joined()
            for event in views + signIns { #expect(kept.contains(Base64.encode(event.leaf))) }

            // The event that let them go names the file and its digest.
            let named = try await log.database.read { reader in
                try reader.query(Statement("SELECT leaf FROM events WHERE action = 'retention.pruned'"))
                    .map { try JSON(parsing: try $0.bytes("leaf")) }
            }
            for file in outcome.files {
                let digest = sha256(Array(try Data(contentsOf: URL(fileURLWithPath: file)))).hex
                #expect(
                    named.contains {
                        $0["facts"]?["archive_sha256"]?.string == digest
                            && $0["facts"]?["archive"]?.string.map(file.hasSuffix) == true
                    })
            }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a full export says what left and stays provable`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            let (views, _) = try await OldEvents.fill(log)
            _ = try await OldEvents.prune(log)
            let path = try await log.export()
            let report = try OfflineVerifier.verify(path: path, key: log.key.verifier)
            #expect(report.isClean && report.eventsArchived == 7, "\(report.findings)")
            let script = Shell.script("verify_export.py")
            let outside = try Shell.run("python3", [script, path, log.key.verifier.text])
            #expect(outside.status == 0, "\(outside.output)")

            // One more entry is passed off as archived.
            let retention = try await log.database.read { try log.store.pruned(event: views[0].id, $0)?.by }
            let forged = try log.edit(path) { line in
                guard let json = try? JSON(parsing: line), json["index"]?.int == 0,
                    let leaf = json["leaf"]?.string.flatMap(Base64.decode)
                else { return line }
                return JSON.object([
                    "id": json["id"]!, "index": 0, "hash": .string(MerkleTree.leafHash(leaf).base64),
                    "pruned_by": .string(retention!),
                ]).canonicalText
            }
            #expect(try OfflineVerifier.verify(path: forged, key: log.key.verifier).kinds == [.rowDeleted])
            let refused = try Shell.run("python3", [script, forged, log.key.verifier.text])
            #expect(refused.status == 1 && refused.output.contains(retention!), "\(refused.output)")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `receipts and bundles of what left say where it is`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            let (views, signIns) = try await OldEvents.fill(log)
            _ = try await OldEvents.prune(log)
            do {
                _ = try await log.published.receipt(event: views[0].id, wait: .seconds(1))
                Issue.record("it was served")
            } catch OperationError.notFound(let sentence) {
                #expect(sentence.contains("archive"))
            }
            func bundle(_ index: Int64, _ width: Int?) async throws -> PrunedBundle? {
                guard case .pruned(let bundle)? = try await log.published.entries(index: index, width: width) else {
                    return nil
                }
                return bundle
            }
            let held = try #require(try await bundle(0, 10))
            #expect(held.archived.map { $0.entries } == [3...6, 9...9] && held.minimumIndex == 16)
            let (first, second) = try await log.database.read {
                (try log.store.pruned(event: views[0].id, $0), try log.store.pruned(event: signIns[0].id, $0))
            }
            #expect(held.archived.map { $0.by } == [first?.by, second?.by])
            // Nothing has left of the first three.
            guard case .leaves? = try await log.published.entries(index: 0, width: 3) else {
                Issue.record("a whole bundle is not served")
                return
            }
            // Hashes are served as ever.
            let tile = try await log.published.tile(level: 0, index: 0, width: 14)
            #expect(tile?.count == 14 * 32)

            // In a longer log everything from the next bundle on is whole.
            _ = try await log.fill(600)
            let whole = try #require(try await bundle(0, nil))
            #expect(whole.archived.map { $0.entries } == [3...6, 9...11] && whole.minimumIndex == 256)
            guard case .leaves? = try await log.published.entries(index: 1, width: nil) else {
                Issue.record("what stands above is not served")
                return
            }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `holds, longer periods, erasures and the last word about a row stay`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            var held = OldEvents.draft(.access, daysOld: 9000)
            held.retention = .legalHold
            var erasure = OldEvents.draft(.complianceConsole, daysOld: 9000, "erasure.completed")
            erasure.target = ("user", "usr_9")
            let younger = OldEvents.draft(.authn, daysOld: 380, "signin.failed")
            let events = try await OldEvents.record([held, erasure, younger], log)
            // Two changes of a role: the first may go, the second is what the row is compared with.
            var first = TestRole("support", title: "One")
            var change = EventDraft(
                at: TestDatabase.start - .days(4000), .mutation, "role.create", actor: .system("test"))
            change.changes = [
                .init(type: "role", id: first.id, before: nil, after: .init(first.document, subjects: []))
            ]
            let made = SealedEvent(change)
            let records = log.records
            try await log.database.write { [first] writer in
                writer.enqueue(records.insert(made))
                writer.enqueue(first.insert())
            }
            first.version = 2
            change = EventDraft(at: TestDatabase.start - .days(3900), .mutation, "role.update", actor: .system("test"))
            change.changes = [
                .init(type: "role", id: first.id, before: nil, after: .init(first.document, subjects: []))
            ]
            let last = SealedEvent(change)
            try await log.database.write { [first] writer in
                writer.enqueue(records.insert(last))
                writer.enqueue(first.update(expecting: 1))
            }
            try await log.sequencer.turn()
            try await log.expectClean()

            let outcome = try await OldEvents.prune(log, try RetentionPeriods("operational_1y=2y"))
            #expect(outcome.moved == ["soc2_iso_7y": 1] && outcome.kept == 1)
            for id in events.map(\.id) + [last.id] {
                try await log.db.expect(1, in: "events WHERE id = '\(id)'")
            }
            try await log.db.expect(0, in: "events WHERE id = '\(made.id)'")
            try await log.expectClean()

            // An erasure reaches what is left, and what it removed of an event that then leaves is still accounted for.
            var draft = EventDraft(
                at: TestDatabase.start, .complianceConsole, "erasure.completed", actor: .system("erasure"))
            draft.target = ("user", "usr_1")
            _ = try await log.database.write { [draft] writer in try ErasureDoor.erase(by: draft, in: writer) }
            try await log.sequencer.turn()
            #expect(try await OldEvents.prune(log).moved == ["operational_1y": 1])
            try await log.expectClean()
            let report = try OfflineVerifier.verify(path: try await log.export(), key: log.key.verifier)
            #expect(report.isClean, "\(report.findings)")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an event that is not as the log says is not moved`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            let (views, _) = try await OldEvents.fill(log)
            try log.attack("UPDATE events SET tenant_id = 'ten_2' WHERE id = '\(views[1].id)'")
            do {
                _ = try await OldEvents.prune(log)
                Issue.record("it was moved")
            } catch let damage as LogDamage {
                #expect(damage.description.contains(views[1].id))
            }
            try await log.db.expect(1, in: "events WHERE id = '\(views[1].id)'")
            #expect(try await log.verify().kinds == [.projectionEdited])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the door opens for due events of its own transaction only`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            let fresh = try await log.record(1)[0]
            let (views, _) = try await OldEvents.fill(log)
            let old = try #require(try await log.database.read { try log.store.find(event: views[0].id, $0)?.event })
            let young = try #require(try await log.database.read { try log.store.find(event: fresh.id, $0)?.event })
            @Sendable func retention(_ action: String = RetentionClass.pruned) -> SealedEvent {
                SealedEvent(EventDraft(at: TestDatabase.start, .system, action, actor: .system("retention")))
            }
            let store = log.store
            for (events, action) in [([old, young], RetentionClass.pruned), ([old], "tenant.update")] {
                let failure = await log.db.failure { try store.prune(events, naming: [], by: retention(action), $0) }
                guard case .ungoverned = failure else {
                    Issue.record("\(action): \(String(describing: failure))")
                    continue
                }
            }
            // Nobody removes a row beside it.
            for sql in [
                "DELETE FROM events WHERE id = '\(old.id)'", "DELETE FROM sealed WHERE event_id = '\(old.id)'",
                "INSERT INTO log_pruned (idx, pruned_by) VALUES (0, '\(old.id)')",
            ] { #expect(await log.db.failure([Statement(sql)]) != nil, "\(sql)") }
            try await log.expectClean()
        }
    }

    @Test func `periods are only ever longer`() throws {
        #expect(try RetentionPeriods("access_3y=5y").days(.access3y) == 5 * 366)
        #expect(try RetentionPeriods(" operational_1y = 400d,access_3y=1100d").days(.operational1y) == 400)
        #expect(try RetentionPeriods("").days(.legalHold) == nil)
        for text in [
            "access_3y=2y", "access_3y=1097d", "legal_hold=9y", "access=5y", "access_3y", "access_3y=5",
            "access_3y=-5y",
            "access_3y=99999999999999999999y",
        ] { #expect(throws: NoteError.self, "\(text)") { try RetentionPeriods(text) } }
    }
}
