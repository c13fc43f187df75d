import Foundation
import HTML
import Kernel
import Store
import StorePostgres
import StoreSQLite
import TestSupport
import Testing

@testable import Consoles

/// Access reviews, by who verifies their evidence without the server (spec: access §6).
@Suite struct AccessReviewTestsAuditor {
    /// What is packed about a campaign: its rows, and the receipts of a log of its own.
    private struct Evidence {
        let contents: EvidenceContents
        let receipts: [(event: String, receipt: JSON)]
        let key: VerifierKey
        let packedBy: Caller
        let packedAt: Instant

        init(of id: String, _ stage: AccessReviewStage, _ kind: TestDatabase.Kind) async throws {
            let world = stage.world
            let folder = NSTemporaryDirectory() + "evidence-\(SecureRandom.bytes(8).hex)"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(atPath: folder) }
            let log = try LogKey.generate(name: "postern.test/log")
            let sequencer = Sequencer(
                database: world.test.database, store: SQLLogStore(),
                leadership: kind == .sqlite
                    ? SQLiteLeadership(path: world.test.location) : PostgresLeadership(url: world.test.url), key: log,
                file: CheckpointFile(path: folder + "/checkpoints.log"), clock: world.test.clock.clock)
            try await sequencer.turn()
            let published = PublishedLog(database: world.test.database, store: SQLLogStore(), key: log.verifier)
            let call = ReadCall(path: ["id": id], query: [:], caller: stage.dot, cursors: AccessReviewStage.cursors)
            let (contents, _) = try await world.test.database.read { try AccessReviewEvidence.source.gather(call, $0) }
            var receipts: [(event: String, receipt: JSON)] = []
            for event in contents.events {
                receipts.append((event, try await published.receipt(event: event, wait: .seconds(1))))
            }
            await sequencer.stop()
            self.contents = contents
            self.receipts = receipts
            key = log.verifier
            packedBy = stage.dot
            packedAt = stage.now
        }

        func pack(
            _ contents: EvidenceContents? = nil, _ receipts: [(event: String, receipt: JSON)]? = nil
        ) -> [UInt8] {
            EvidencePack.archive(
                contents ?? self.contents, receipts: receipts ?? self.receipts, log: key.text, by: packedBy.person,
                at: packedAt)
        }

        func report(_ archive: [UInt8]) throws -> EvidencePack.Report { try EvidencePack(archive).verify(log: key) }

        func changed(_ change: (inout [EvidenceContents.Row]) -> Void) -> EvidenceContents {
            var rows = contents.rows
            change(&rows)
            return EvidenceContents(
                subject: contents.subject, title: contents.title, framework: contents.framework,
                controls: contents.controls, window: contents.window, rows: rows, events: contents.events,
                beside: contents.beside, people: contents.people)
        }

        /// Without the last event about an item, and with the row as it was before: nothing else gives it away.
        func shortened(to item: AccessReviewItem, without event: String) throws -> EvidencePack.Report {
            let place = try #require(contents.rows.firstIndex { $0.id == item.id })
            let reason = item.eventID == nil ? nil : contents.rows[place].reason
            return try report(
                pack(changed { $0[place] = .init(item, reason: reason) }, receipts.filter { $0.event != event }))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a decision that came last can't be left out once the review has ended`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await AccessReviewStage(kind)
        let id = try await stage.start()
        try await stage.decide("keep", stage.item(stage.ada, in: id), by: stage.dot)
        try await stage.decide("keep", stage.item(stage.ben, in: id), by: stage.dot)
        let kept = try await stage.item(stage.ben, in: id)
        let gone = try await stage.decide("revoke", stage.item(stage.ben, in: id), by: stage.cyd)
        try await stage.world.revoke("security", of: stage.cyd.person)
        let closed = try await stage.world.run("access_review.close", on: id, by: try await stage.fresh(stage.dot))
        let evidence = try await Evidence(of: id, stage, kind)
        let right = try evidence.report(evidence.pack())
        #expect(right.holds && !right.lines.contains { $0.contains("No event here") || $0.contains("by counts") })
        let short = try evidence.shortened(to: kept, without: gone.eventID)
        #expect(
            short.findings == [
                "\(closed.eventID): its rows ended in other versions than the package has: an event is missing.",
                "\(closed.eventID): it counts 1 kept, and the package has 2.",
                "\(closed.eventID): it counts 1 revoked, and the package has 0.",
            ])
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `nothing says what came last while a review is open, and its evidence says so`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await AccessReviewStage(kind)
        let id = try await stage.start()
        try await stage.decide("keep", stage.item(stage.ada, in: id), by: stage.dot)
        let evidence = try await Evidence(of: id, stage, kind)
        let report = try evidence.report(evidence.pack())
        #expect(report.holds && report.lines.contains { $0.hasPrefix("No event here says how it ended") })
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a review that is cancelled commits to what was decided until then`(kind: TestDatabase.Kind) async throws {
        let stage = try await AccessReviewStage(kind)
        let id = try await stage.start()
        let pending = try await stage.world.ask(
            "access_review.cancel", on: id, reason: "superseded", by: try await stage.fresh(stage.ada))
        let undecided = try await stage.item(stage.ben, in: id)
        // Decided while the request waits, which does not start it anew.
        let gone = try await stage.decide("keep", stage.item(stage.ben, in: id), by: stage.dot)
        try await stage.world.run("approval.approve", on: pending.approvalID, by: try await stage.fresh(stage.cyd))
        #expect(try await stage.review(id).state == .cancelled)
        let evidence = try await Evidence(of: id, stage, kind)
        let right = try evidence.report(evidence.pack())
        #expect(right.holds, "\(right.findings)")
        let short = try evidence.shortened(to: undecided, without: gone.eventID)
        #expect(short.findings.count == 1 && short.findings[0].contains("an event is missing"), "\(short.findings)")
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an end that commits to no versions is compared by its counts, and that is said`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await AccessReviewStage(kind)
        let id = try await stage.start()
        for person in [stage.ada, stage.ben] {
            try await stage.decide("keep", stage.item(person, in: id), by: stage.dot)
        }
        let kept = try await stage.item(stage.ben, in: id)
        let gone = try await stage.decide("revoke", stage.item(stage.ben, in: id), by: stage.cyd)
        // As it was written before.
        let (review, last, now) = (
            try await stage.review(id), try await stage.item(stage.cyd, "security", in: id), stage.now
        )
        var closed = review.ended(.closed, by: stage.dot.person, at: now)
        closed.version += 1
        var ended = last
        ended.state = .ended
        ended.version += 1
        var draft = EventDraft(at: now, .mutation, "access_review.close", by: stage.dot)
        draft.target = (AccessReview.type, id)
        draft.facts = ["kept": 1, "revoked": 1, "ended": 1, "was_overdue": false]
        draft.changes = [
            EventDraft.ChangeRecord(Change(before: review, after: closed)),
            EventDraft.ChangeRecord(Change(before: last, after: ended)),
        ]
        let records = stage.world.pipeline.records
        try await stage.world.test.database.write { [draft, closed, ended] tx in
            tx.enqueue(records.insert(SealedEvent(draft)))
            tx.enqueue(closed.update(expecting: review.version))
            tx.enqueue(ended.update(expecting: last.version))
        }
        let evidence = try await Evidence(of: id, stage, kind)
        let right = try evidence.report(evidence.pack())
        #expect(right.holds, "\(right.findings)")
        #expect(right.lines.contains { $0.hasPrefix("\(draft.id) commits to no versions") })
        let short = try evidence.shortened(to: kept, without: gone.eventID)
        #expect(
            short.findings == [
                "\(draft.id): it counts 1 kept, and the package has 2.",
                "\(draft.id): it counts 1 revoked, and the package has 0.",
            ])
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the evidence proves every row, and shows whatever was changed in it`(kind: TestDatabase.Kind) async throws {
        let stage = try await AccessReviewStage(kind)
        let world = stage.world
        let id = try await stage.start()
        try await stage.decide("keep", stage.item(stage.ada, in: id), by: stage.dot)
        try await stage.decide("keep", stage.item(stage.ben, in: id), by: stage.dot)
        try await stage.decide("revoke", stage.item(stage.ben, in: id), by: stage.cyd)
        try await world.run(
            "access_review.reassign", on: id, ["reviewer": .string(stage.ben.person)],
            by: try await stage.fresh(stage.dot))
        try await world.revoke("security", of: stage.cyd.person)
        try await world.run("access_review.close", on: id, by: try await stage.fresh(stage.dot))

        let evidence = try await Evidence(of: id, stage, kind)
        let (contents, receipts) = (evidence.contents, evidence.receipts)
        #expect(contents.events.count == 6)
        func pack(_ contents: EvidenceContents, _ receipts: [(event: String, receipt: JSON)]) -> [UInt8] {
            evidence.pack(contents, receipts)
        }
        func findings(_ archive: [UInt8]) throws -> [String] { try evidence.report(archive).findings }
        let archive = pack(contents, receipts)
        #expect(archive == pack(contents, receipts))
        let report = try evidence.report(archive)
        #expect(report.holds, "\(report.findings)")
        #expect(report.lines.contains { $0.hasPrefix("ben, super_admin: revoked by cyd (stf_cyd)") }, "\(report.lines)")
        let text = String(decoding: archive, as: UTF8.self)
        #expect(!text.contains("127.0.0.1") && !text.contains("@staff.test"))

        // An event kept back, a row told otherwise, a reason told otherwise, a row left out.
        for left in receipts.indices {
            var fewer = receipts
            fewer.remove(at: left)
            #expect(try !findings(pack(contents, fewer)).isEmpty, "without \(receipts[left].event)")
        }
        func other(_ change: (inout [EvidenceContents.Row]) -> Void) -> EvidenceContents { evidence.changed(change) }
        let ada = try await stage.item(stage.ada, in: id)
        #expect(try !findings(pack(other { $0.removeAll { $0.id == ada.id } }, receipts)).isEmpty)
        var forged = ada
        forged.state = .revoked
        let place = try #require(contents.rows.firstIndex { $0.id == ada.id })
        let reason = contents.rows[place].reason
        #expect(try !findings(pack(other { $0[place] = .init(forged, reason: reason) }, receipts)).isEmpty)
        #expect(try !findings(pack(other { $0[place] = .init(ada, reason: "Because.") }, receipts)).isEmpty)
        #expect(try !findings(pack(other { $0[place] = .init(ada) }, receipts)).isEmpty)
        // Another log's key, and a byte changed in a file.
        let stranger = try LogKey.generate(name: "postern.test/log").verifier
        #expect(try !EvidencePack(archive).verify(log: stranger).holds)
        var files = try Tar.files(in: archive)
        let rows = try #require(files.firstIndex { $0.path == "rows.json" })
        files[rows] = Tar.File(
            "rows.json",
            Array(String(decoding: files[rows].bytes, as: UTF8.self).replacing("needed", with: "needeD").utf8))
        #expect(try findings(Tar.archive(files)).contains { $0.contains("rows.json is not the file") })
        files.append(Tar.File("more.txt", [1]))
        #expect(try findings(Tar.archive(files)).contains { $0.contains("more.txt is not named") })
        #expect(throws: NoteError.self) { try EvidencePack(Array(archive.prefix(3000))) }
        #expect(throws: NoteError.self) { try EvidencePack(Array("no archive".utf8)) }
        await world.close()
    }
}
