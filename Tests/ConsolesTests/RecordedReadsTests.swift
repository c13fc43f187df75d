import Consoles
import HTML
import Kernel
import TestSupport
import Testing

/// Reads of personal data are events, each once, and what is refused is one too.
@Suite struct RecordedReadsTests {
    private static func with(
        _ kind: TestDatabase.Kind, _ body: (World, _ since: World.Snapshot) async throws -> Void
    ) async throws {
        let world = try await World.make(kind)
        do {
            try await body(world, try await world.snapshot())
        } catch {
            await world.close()
            throw error
        }
        await world.close()
    }

    private static func failure(_ body: () async throws -> Void) async -> OperationError? {
        do {
            try await body()
            return nil
        } catch {
            return error as? OperationError
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `each page of a list is recorded, and the same page again is not`(kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { world, before in
            for ids in [["stf_a", "stf_b"], ["stf_c"], ["stf_a", "stf_b"]] {
                try await world.pipeline.disclose(
                    Disclosure("staff.list", count: ids.count, ids: ids), to: world.everybody)
            }
            let events = try await world.events(after: before)
            #expect(events.map { $0.leaf["facts"]?["count"]?.int } == [2, 1])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a stored result is for who may still do it, and looking at it later is recorded`(
        kind: TestDatabase.Kind
    ) async throws {
        try await Self.with(kind) { world, _ in
            let operation = try #require(world.catalog["tenant.suspend"])
            let trial = try #require(try await world.trial(of: operation))
            try await world.run(trial)
            let key = trial.request.idempotencyKey ?? ""
            var before = try await world.snapshot()
            // The page right after the confirm: the mutation itself tells that it was seen.
            _ = try await world.pipeline.outcome(ofKey: key, by: trial.caller)
            #expect(try await world.events(after: before).isEmpty)

            world.test.clock.advance(.minutes(2))
            _ = try await world.pipeline.outcome(ofKey: key, by: trial.caller)
            _ = try await world.pipeline.outcome(ofKey: key, by: trial.caller)
            #expect(try await world.events(after: before).map(\.action) == ["operation.result"])

            before = try await world.snapshot()
            let demoted = world.person("everybody", permissions: ["tenant.view"])
            let failure = await Self.failure { _ = try await world.pipeline.outcome(ofKey: key, by: demoted) }
            guard case .forbidden("tenant.suspend", _) = failure else {
                Issue.record("\(String(describing: failure))")
                return
            }
            #expect(try await world.events(after: before).map(\.action) == ["authz.denied"])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a refused undo tells what changed, so it is recorded`(kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { world, _ in
            let id = try await world.tenant("moving")
            let first = try await world.run("tenant.suspend", on: id, reason: "abuse")
            try await world.run("tenant.restore", on: id, reason: "investigation_closed")
            let before = try await world.snapshot()
            let failure = await Self.failure {
                _ = try await world.pipeline.undoOffer(for: first.eventID, by: world.everybody)
            }
            guard case .conflict(let detail, _) = failure else {
                Issue.record("\(String(describing: failure))")
                return
            }
            #expect(detail.contains("status"))
            #expect(try await world.events(after: before).map(\.action) == ["audit.undo"])

            let request = OperationRequest(
                operation: "tenant.restore", target: id, reasonCode: "investigation_closed", undoes: first.eventID)
            let second = try await world.snapshot()
            #expect(await Self.failure { _ = try await world.pipeline.preview(request, by: world.everybody) } != nil)
            let events = try await world.events(after: second)
            #expect(events.map(\.action) == ["tenant.restore"] && events.map(\.eventClass) == ["access"])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a page that finds a permission missing records the denial`(kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { world, before in
            let caller = world.person("curious", permissions: ["tenant.view"])
            let failure = await Self.failure {
                try await world.pipeline.read("tenant.view", by: caller) { _ in
                    throw OperationError.forbidden(permission: "user.view", detail: "no")
                }
            }
            guard case .forbidden = failure else {
                Issue.record("\(String(describing: failure))")
                return
            }
            let events = try await world.events(after: before)
            #expect(events.map(\.action) == ["authz.denied"])
            #expect(events.first?.leaf["facts"]?["permission"] == "user.view")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `home says what somebody tried whose roles do not allow it`(kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { world, _ in
            let tenant = try await world.tenant("wanted")
            world.test.clock.advance(.minutes(1))
            let caller = world.person("curious", permissions: ["tenant.view"])
            let failures = [
                await Self.failure {
                    _ = try await world.run("tenant.suspend", on: tenant, reason: "abuse", by: caller)
                },
                await Self.failure {
                    _ = try await world.pipeline.read("user.view", by: caller) { _ in (0, nil) }
                },
            ]
            #expect(failures.allSatisfy { $0 != nil })
            let page = try #require(HomeConsole.console.pages.first { $0.path == "/" })
            let call = PageCallFixture.make(world.person("watcher", permissions: ["audit.view"]))
            let shown = try await world.test.database.read { try page.render(call, $0).body.text }
            #expect(shown.contains(">Tried to suspend tenant</a>"))
            #expect(shown.contains(">Tried what their roles don’t allow</a>"))
            #expect(!shown.contains("permission missing"))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a request whose window is over makes room for a new one`(kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { world, _ in
            let operation = try #require(world.catalog["tenant.hard_delete"])
            let trial = try #require(try await world.trial(of: operation))
            func ask() async throws -> PendingApproval? {
                var request = trial.request
                request.idempotencyKey = world.key()
                let now = world.person("everybody", permissions: world.catalog.permissions)
                guard case .pending(let pending) = try await world.pipeline.run(request, by: now).result else {
                    return nil
                }
                return pending
            }
            let first = try #require(try await ask())
            #expect(await Self.failure { _ = try await ask() } != nil)
            world.test.clock.advance(.hours(25))
            let second = try #require(try await ask())
            #expect(second.approvalID != first.approvalID)
            let documents = try await world.snapshot().documents
            #expect(documents["approval \(first.approvalID)"]?["state"] == "expired")
            #expect(
                try await world.entities(named: second.eventID)
                    == ["approval \(first.approvalID)", "approval \(second.approvalID)"])
        }
    }

    /// While the undo waits for the row, somebody else changes it: what they did must not be taken back unseen.
    @Test func `an undo that waited for the row looks at it again`() async throws {
        try await Self.with(.postgres) { world, _ in
            let id = try await world.tenant("raced")
            let first = try await world.run("tenant.suspend", on: id, reason: "abuse")
            let undo = try await world.pipeline.undoOffer(for: first.eventID, by: world.everybody).request
            let key = world.key()
            let system = world.system
            let records = world.pipeline.records
            let at = world.test.clock.clock.now
            let caller = world.everybody
            async let undone: OperationError? = Self.failure {
                var request = undo
                request.idempotencyKey = key
                // Waits for the row that the other transaction has locked.
                try await Self.untilLocked(world)
                _ = try await world.pipeline.run(request, by: caller)
            }
            try await world.test.database.write { tx in
                guard let before = try Tenant.load(id, lock: true, from: tx) else { throw StoreError.other("gone") }
                var after = before
                after.name = "Second"
                after.version += 1
                let change = Change.update(before, to: after)
                var draft = EventDraft(at: at, .mutation, "tenant.update", by: system)
                draft.target = ("tenant", id)
                draft.changes = [EventDraft.ChangeRecord(change)]
                _ = try tx.query(RecordedReadsQueries.announce)
                while try tx.first(RecordedReadsQueries.waiting) == nil {}
                tx.enqueue(records.insert(SealedEvent(draft)))
                tx.enqueue(after.update(expecting: before.version))
            }
            let failure = await undone
            guard case .conflict(let detail, _) = failure else {
                Issue.record("the undo went through: \(String(describing: failure))")
                return
            }
            #expect(detail.contains("Second"))
        }
    }

    private static func untilLocked(_ world: World) async throws {
        while try await world.test.database.read({ try $0.first(RecordedReadsQueries.announced) }) == nil {}
    }
}
