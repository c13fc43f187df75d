import Consoles
import Kernel
import Store
import TestSupport
import Testing

/// Rows that somebody changes beside the log are found by the sweep, and settled through the pipeline.
@Suite struct DiscrepancyTests {
    private static func with(
        _ kind: TestDatabase.Kind, _ body: (World, DiscrepancySweep) async throws -> Void
    ) async throws {
        let world = try await World.make(kind)
        try await body(world, DiscrepancySweep(store: SQLLogStore(), pipeline: world.pipeline))
        await world.close()
    }

    private static func open(_ world: World) async throws -> [Discrepancy] {
        try await all(world).filter { $0.state == .open }
    }

    private static func all(_ world: World) async throws -> [Discrepancy] {
        try await world.test.database.read {
            try $0.query(Discrepancy.selectAll(after: "", limit: 100)).map(Discrepancy.init)
        }
    }

    private static func settle(_ operation: String, _ id: String, _ reason: String, _ world: World) async throws {
        try await world.run(operation, on: id, reason: reason)
    }

    private static func tenant(_ slug: String, _ world: World) async throws -> Tenant {
        let row = try await world.test.database.read { try $0.first(TestQueries.tenant(slug: slug)) }
        return try Tenant(try #require(row))
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a whole database has no case`(kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { world, sweep in
            let outcome = try await sweep.run()
            #expect(outcome == .init())
            #expect(try await Self.all(world).isEmpty)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an edit beside the log is named once, and put back`(kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { world, sweep in
            let before = try await Self.tenant("suspended", world)
            try await world.test.tamper([
                DiscrepancyTestQueries.set("status", "active", tenant: before.id),
                DiscrepancyTestQueries.set("name_key", "somebody else", tenant: before.id),
            ])
            #expect(try await sweep.run() == .init(opened: 1))
            #expect(try await sweep.run() == .init())
            let found = try #require(try await Self.open(world).first)
            #expect(found.rowType == "tenant" && found.rowID == before.id && found.kind == .edited)

            try await Self.settle("discrepancy.restore", found.id, "unauthorised_change", world)
            let after = try await Self.tenant("suspended", world)
            #expect(after.status == .suspended && after.version == before.version + 1)
            #expect(World.lasting(after.document) == World.lasting(before.document))
            #expect(try await sweep.run() == .init())
            #expect(try await Self.all(world).map(\.state) == [.restored])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an edit that was meant is adopted with the difference`(kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { world, sweep in
            let before = try await Self.tenant("active", world)
            try await world.test.tamper([
                DiscrepancyTestQueries.set("plan", "enterprise", tenant: before.id),
                // Whoever edits by hand may set the version back, or ahead.
                DiscrepancyTestQueries.set("version", 40, tenant: before.id),
            ])
            try await sweep.run()
            let found = try #require(try await Self.open(world).first)
            let applied = try await world.run("discrepancy.adopt", on: found.id, reason: "authorised_maintenance")
            let after = try await Self.tenant("active", world)
            #expect(after.plan == "enterprise" && after.version == 41)
            let event = try await world.test.database.read {
                try $0.first(SQLRecords().sealedMembers(event: applied.eventID))?.json("members")
            }
            #expect(event?["changes.1.before"]?["value"]?["plan"] == "team")
            #expect(event?["changes.1.after"]?["value"]?["plan"] == "enterprise")
            #expect(try await sweep.run() == .init())
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a row that was removed is put back, and can't be adopted`(kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { world, sweep in
            let before = try await Self.tenant("archived", world)
            try await world.test.tamper([DiscrepancyTestQueries.remove(tenant: before.id)])
            try await sweep.run()
            let found = try #require(try await Self.open(world).first)
            #expect(found.kind == .deleted)
            await #expect(throws: OperationError.self) {
                try await Self.settle("discrepancy.adopt", found.id, "emergency_fix", world)
            }
            try await Self.settle("discrepancy.restore", found.id, "mistake", world)
            let after = try await Self.tenant("archived", world)
            #expect(World.lasting(after.document) == World.lasting(before.document))
            #expect(after.version == before.version + 1)
            #expect(try await sweep.run() == .init())
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a row added beside the log has nothing to go back to`(kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { world, sweep in
            try await world.test.tamper([DiscrepancyTestQueries.grant("grt_forged", to: "stf_rogue")])
            try await sweep.run()
            let found = try #require(try await Self.open(world).first)
            #expect(found.rowType == "grant" && found.kind == .unlogged)
            await #expect(throws: OperationError.self) {
                try await Self.settle("discrepancy.restore", found.id, "unauthorised_change", world)
            }
            let kept = try await world.pipeline.preview(
                OperationRequest(
                    operation: "discrepancy.adopt", target: found.id, reasonCode: "emergency_fix",
                    justification: "it was agreed on"), by: world.everybody)
            #expect(kept.consequence?.contains("can’t be shown: no event ever named it.") == true)
            // Taken away by hand again.
            try await world.test.tamper([DiscrepancyTestQueries.revoke("grt_forged")])
            #expect(try await sweep.run() == .init(closed: 1))
            #expect(try await Self.all(world).map(\.state) == [.vanished])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a signature nobody gave, and a request edited beside the log, are named`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await ApprovalStage(kind)
        let world = stage.world
        let sweep = DiscrepancySweep(store: SQLLogStore(), pipeline: world.pipeline)
        let id = try await stage.ask().approvalID
        #expect(try await sweep.run() == .init())
        let stored = try await world.approval(id)
        typealias Edit = (type: String, row: String, kind: Discrepancy.Kind, there: Statement, back: Statement)
        func edited(_ column: String, _ value: Value, from before: Value) -> Edit {
            (
                ApprovalRequest.type, id, .edited, DiscrepancyTestQueries.set(column, value, approval: id),
                DiscrepancyTestQueries.set(column, before, approval: id)
            )
        }
        let edits: [Edit] = [
            (
                ApprovalSignature.type, "sig_forged", .unlogged,
                DiscrepancyTestQueries.sign(id, as: stage.signer.person), DiscrepancyTestQueries.unsign
            ), edited("state", .text("approved"), from: .text("pending")),
            edited("action", .text("{}"), from: Value(stored.action)),
            edited("demands", .text("[]"), from: Value(stored.demands)),
            // One byte more, which says nothing else.
            edited("demands", .text(stored.demands.canonicalText + " "), from: Value(stored.demands)),
        ]
        for edit in edits {
            try await world.test.tamper([edit.there])
            #expect(try await sweep.run() == .init(opened: 1), "\(edit.there)")
            let found = try #require(try await Self.open(world).first)
            #expect(found.rowType == edit.type && found.rowID == edit.row && found.kind == edit.kind)
            try await world.test.tamper([edit.back])
            #expect(try await sweep.run() == .init(closed: 1), "\(edit.back)")
        }
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a row that grants power is kept by two, and by nobody whom it is about`(kind: TestDatabase.Kind) async throws
    {
        try await Self.with(kind) { world, sweep in
            let rogue = try await world.staff("rogue", roles: ["security"])
            let other = try await world.staff("other", roles: ["security"])
            try await world.test.tamper([DiscrepancyTestQueries.grant("grt_forged", to: rogue.person)])
            try await sweep.run()
            let found = try #require(try await Self.open(world).first)
            do {
                _ = try await world.ask("discrepancy.adopt", on: found.id, reason: "emergency_fix", by: rogue)
                Issue.record("somebody kept what they were given")
            } catch OperationError.conflict(let sentence, _) {
                #expect(sentence.contains("about you"))
            }
            let asked = try await world.ask("discrepancy.adopt", on: found.id, reason: "emergency_fix", by: other)
            #expect(asked.needs.map(\.rule) == ["discrepancy_adopt"])
            // Nor do they sign for it, least of all by what was given them.
            let request = try await world.approval(asked.approvalID)
            #expect(request.barred == [rogue.person])
            let armed = try await world.caller(rogue.person)
            do {
                try await world.run("approval.approve", on: request.id, by: armed)
                Issue.record("somebody signed for what they were given")
            } catch OperationError.conflict(let sentence, _) {
                #expect(sentence.contains("about you"))
            }
            let third = try await world.staff("third", roles: ["security"])
            try await world.run("approval.approve", on: request.id, by: third)
            #expect(try await world.approval(request.id).state == .executed)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a manager written into a tenant is kept by two, and not by them`(kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { world, sweep in
            let named = try await world.staff("named", roles: ["security"])
            let other = try await world.staff("other", roles: ["security"])
            let tenant = try await Self.tenant("active", world)
            try await world.test.tamper([DiscrepancyTestQueries.set("csm_id", named.person, tenant: tenant.id)])
            try await sweep.run()
            let found = try #require(try await Self.open(world).first)
            await #expect(throws: OperationError.self) {
                _ = try await world.ask("discrepancy.adopt", on: found.id, reason: "emergency_fix", by: named)
            }
            let asked = try await world.ask("discrepancy.adopt", on: found.id, reason: "emergency_fix", by: other)
            #expect(asked.needs.map(\.rule) == ["discrepancy_adopt"])
            #expect(try await world.approval(asked.approvalID).barred == [named.person])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a secret that was changed can't be put back from a digest`(kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { world, sweep in
            try await world.test.tamper([DiscrepancyTestQueries.forgeWebhookSecrets])
            try await sweep.run()
            let found = try #require(try await Self.open(world).first)
            #expect(found.rowType == "webhook")
            do {
                try await Self.settle("discrepancy.restore", found.id, "unauthorised_change", world)
                Issue.record("a secret came from nowhere")
            } catch OperationError.conflict(let sentence, _) {
                #expect(sentence.contains("secret"))
            }
        }
    }

    /// What makes putting back possible for every kind of row: a document is enough to write it again.
    @Test(arguments: TestDatabase.Kind.allCases)
    func `every governed row can be made from its document and its secrets`(kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { world, _ in
            for type in world.catalog.entities {
                let rows = try await world.test.database.read { reader in
                    try type.page("", 50, reader).map { ($0.entity, try type.stored($0.entity.id, reader)) }
                }
                for (entity, stored) in rows {
                    let made = type.restored(entity.document, stored?.row)
                    #expect(made?.values == entity.values, "\(type.type) \(entity.id)")
                }
            }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a wrong pointer is found and set right by keeping the row`(kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { world, sweep in
            let tenant = try await Self.tenant("suspended", world)
            try await world.test.tamper([DiscrepancyTestQueries.pointElsewhere(of: tenant.id)])
            try await sweep.run()
            let found = try #require(try await Self.open(world).first)
            #expect(found.rowID == tenant.id)
            try await Self.settle("discrepancy.adopt", found.id, "data_repair", world)
            #expect(try await sweep.run() == .init())
        }
    }
}
