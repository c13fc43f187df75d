import Foundation
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

    /// Of few members, and of more than an event records one by one.
    @Test(arguments: TestDatabase.Kind.allCases, [2, 320])
    func `a tenant that is deleted for good leaves no sealed value behind`(
        kind: TestDatabase.Kind, members: Int
    ) async throws {
        let world = try await World.make(kind, populated: false)
        for name in ["asked", "signer"] { try await world.staff(name, roles: ["super_admin"]) }
        let people = (0..<members).map { JSON.object(["email": .string("m\($0)@people.test"), "role": "member"]) }
        try await world.run(
            "registry.import_batch",
            ["rows": [["external_id": "c-1", "name": "Zyxville", "slug": "zyxville", "members": .array(people)]]],
            by: world.system)
        let found = try await world.test.database.read { try $0.first(TestQueries.tenant(slug: "zyxville")) }
        let id = try #require(found).string("id")
        try await world.run("tenant.set_note", on: id, ["note": "Call Ada of Zyxville first."])
        // The product says something else of its plan, and nobody settles it.
        try await world.run(
            "registry.put_tenant",
            ["tenant": ["external_id": "c-1", "name": "Zyxville", "slug": "zyxville", "plan": "enterprise"]],
            by: world.system)
        try await world.run("tenant.archive", on: id, reason: "customer_departed")
        world.test.clock.advance(.days(91))
        let pending = try await world.ask(
            "tenant.hard_delete", on: id, reason: "gdpr_erasure_request", by: world.caller("stf_asked"))
        try await world.run("approval.approve", on: pending.approvalID, by: world.caller("stf_signer"))
        func named() async throws -> Int {
            try await world.test.database.read {
                try $0.query(Statement("SELECT event_id FROM sealed WHERE members LIKE '%yxville%'")).count
            }
        }
        // The note, the end of the contract, and the request with its plan.
        #expect(try await named() >= 3)

        world.test.clock.advance(.hours(25))
        let before = try await world.snapshot()
        #expect(try await world.pipeline.executeDue() == 1)
        let events = try await world.events(after: before)
        try #require(events.map(\.action) == ["tenant.hard_delete", "erasure.completed"])
        #expect(events[1].leaf["linked"]?.string == events[0].id)
        #expect(events[1].leaf["target"]?["id"]?.string == id)
        #expect(events[1].leaf["retention_class"] == "erasure_proof_7y")
        #expect(try await named() == 0)
        #expect(events[0].leaf["facts"]?["drift_closed"] == 1)
        let drifts = try await world.test.database.read { reader in
            try reader.query(Statement("SELECT state FROM drifts WHERE tenant_id = $1", [.text(id)])).map {
                try $0.string("state")
            }
        }
        #expect(drifts == ["resolved"])
        // Nor does a refused attempt on what is left of it.
        await #expect(throws: OperationError.self) {
            _ = try await world.pipeline.run(
                OperationRequest(
                    operation: "tenant.restore", target: id, reasonCode: "customer_return",
                    justification: "The people of Zyxville came back.", idempotencyKey: world.key()),
                by: world.caller("stf_asked"))
        }
        #expect(try await named() == 0)
        let left = try await world.test.database.read { reader in
            try reader.query(
                Statement(
                    """
                    SELECT s.event_id FROM sealed_subject s WHERE s.subject = $1 AND NOT EXISTS (
                        SELECT 1 FROM sealed_erasure x WHERE x.event_id = s.event_id AND x.member = s.member)
                    """, [.text(id)])
            ).count
        }
        #expect(left == 0)

        let folder = NSTemporaryDirectory() + "erased-\(SecureRandom.bytes(8).hex)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let key = try LogKey.generate(name: LogFixture.origin)
        let file = CheckpointFile(path: folder + "/checkpoints.log")
        let sequencer = Sequencer(
            database: world.test.database, store: SQLLogStore(), leadership: LogFixture.leadership(world.test),
            key: key, file: file, clock: world.test.clock.clock)
        try await sequencer.turn()
        await sequencer.stop()
        let report = try await Verifier(
            database: world.test.database, store: SQLLogStore(), catalog: world.catalog, key: key.verifier, file: file
        ).run()
        #expect(report.isClean, "\(report.findings)")
        // Tombstone and memberships can be compared still. What the product said of it is its own data: only a digest stays.
        #expect(report.erasedValues > 0 && report.governedRowsErased == (members == 2 ? 1 : 0))
        await world.close()
    }
}
