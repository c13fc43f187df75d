import Consoles
import Kernel
import Store
import TestSupport
import Testing

/// What the pipeline promises beyond the laws: races, keys, refusals, folding, the approval gate and undo.
@Suite struct PipelineTests {
    // MARK: - Keys

    @Test(arguments: TestDatabase.Kind.allCases)
    func `many requests with one key change one thing once`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind)
        let tenant = try await world.tenant("raced")
        let before = try await world.snapshot()
        let request = suspension(of: tenant, key: "one-key")
        let endings = await withTaskGroup(of: Ending.self) { group in
            for _ in 0..<24 {
                group.addTask { await ending { try await world.pipeline.run(request, by: world.everybody) } }
            }
            return await group.reduce(into: [Ending]()) { $0.append($1) }
        }
        let applied = endings.compactMap(\.applied)
        #expect(Set(applied.map(\.eventID)).count == 1)
        #expect(endings.filter { $0.isFirst }.count == 1)
        for ending in endings where ending.applied == nil {
            guard case .keyRunning = ending.error else {
                Issue.record("\(String(describing: ending.error))")
                continue
            }
        }
        let events = try await world.events(after: before)
        #expect(events.map(\.action) == ["tenant.suspend"])
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a key belongs to the person and to one request`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind)
        let first = try await world.tenant("first")
        let second = try await world.tenant("second")
        let ada = world.person("ada", permissions: world.catalog.permissions)
        let bob = world.person("bob", permissions: world.catalog.permissions)
        _ = try await world.pipeline.run(suspension(of: first, key: "shared"), by: ada)
        // another person may use the same key
        let other = try await world.pipeline.run(suspension(of: second, key: "shared"), by: bob)
        #expect(!other.replayed)
        // the same person may not, for another target or operation
        for request in [suspension(of: second, key: "shared"), archive(of: first, key: "shared")] {
            let ending = await ending { try await world.pipeline.run(request, by: ada) }
            guard case .keyReused = ending.error else {
                Issue.record("\(String(describing: ending.error))")
                continue
            }
        }
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a refused request releases its key`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind)
        let tenant = try await world.tenant("once")
        try await world.run("tenant.suspend", on: tenant, reason: "abuse")
        let again = suspension(of: tenant, key: "kept")
        let refused = await ending { try await world.pipeline.run(again, by: world.everybody) }
        guard case .conflict(_, let legal) = refused.error else {
            Issue.record("\(String(describing: refused.error))")
            return
        }
        #expect(legal?.contains("tenant.restore payment_recovered") == true)
        try await world.run("tenant.restore", on: tenant, reason: "investigation_closed")
        let outcome = try await world.pipeline.run(again, by: world.everybody)
        #expect(!outcome.replayed)
        await world.close()
    }

    @Test func `a mutation by a person needs a key`() async throws {
        let world = try await World.make(.sqlite)
        let tenant = try await world.tenant("keyless")
        let ending = await ending {
            try await world.pipeline.run(suspension(of: tenant, key: nil), by: world.everybody)
        }
        guard case .keyMissing = ending.error else {
            Issue.record("\(String(describing: ending.error))")
            return
        }
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `concurrent edits without a version all happen, one after the other`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind)
        let tenant = try await world.tenant("busy")
        let endings = await withTaskGroup(of: Ending.self) { group in
            for number in 0..<8 {
                group.addTask {
                    await ending {
                        try await world.pipeline.run(
                            OperationRequest(
                                operation: "tenant.update", target: tenant, input: ["name": .string("Busy \(number)")],
                                justification: "renamed in a race", idempotencyKey: "edit-\(number)"), by: world.system)
                    }
                }
            }
            return await group.reduce(into: [Ending]()) { $0.append($1) }
        }
        let versions = endings.compactMap { $0.applied?.version }
        #expect(versions.sorted() == Array(2...9).map(Int64.init), "\(endings.compactMap(\.error))")
        await world.close()
    }

    // MARK: - Refusals

    @Test(arguments: TestDatabase.Kind.allCases)
    func `five denials in ten minutes raise one security event`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind)
        let tenant = try await world.tenant("guarded")
        let curious = world.person("curious", permissions: [])
        let before = try await world.snapshot()
        for number in 0..<7 {
            _ = await ending { try await world.pipeline.run(suspension(of: tenant, key: "no-\(number)"), by: curious) }
        }
        let actions = try await world.events(after: before).map(\.action)
        #expect(actions.filter { $0 == "authz.denied" }.count == 7)
        #expect(actions.filter { $0 == "authz.denial_burst" }.count == 1)
        #expect(actions.firstIndex(of: "authz.denial_burst") == 5)
        await world.close()
    }

    @Test func `every field error is answered at once`() async throws {
        let world = try await World.make(.sqlite)
        let request = OperationRequest(
            operation: "tenant.create",
            input: [
                "name": "bad\u{202E}name", "slug": "No Spaces", "external_id": "a\u{0}b", "plan": 5, "nonsense": true,
            ], idempotencyKey: "bad")
        let ending = await ending { try await world.pipeline.run(request, by: world.everybody) }
        guard case .invalid(let errors) = ending.error else {
            Issue.record("\(String(describing: ending.error))")
            return
        }
        #expect(
            Set(errors.map(\.pointer)) == [
                "/input/name", "/input/slug", "/input/external_id", "/input/plan", "/input/region", "/input/nonsense",
            ])
        #expect(errors.first { $0.pointer == "/input/name" }?.detail.contains("U+202E") == true)
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a taken slug is refused alike by the preview and by the constraint`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind)
        try await world.tenant("taken")
        let request = OperationRequest(
            operation: "tenant.create",
            input: [
                "name": "Second", "slug": "taken", "external_id": "ext-second", "plan": "team", "region": "eu-west",
            ], justification: "a second one with the slug", idempotencyKey: "slug")
        let preview = try await world.pipeline.preview(request, by: world.everybody)
        #expect(!preview.allowed)
        let ending = await ending { try await world.pipeline.run(request, by: world.everybody) }
        guard case .invalid(let errors) = ending.error else {
            Issue.record("\(String(describing: ending.error))")
            return
        }
        #expect(errors.map(\.pointer) == ["/input/slug"])

        // both at once: the constraint decides, with the same answer
        let endings = await withTaskGroup(of: Ending.self) { group in
            for number in 0..<6 {
                group.addTask {
                    await PipelineEnding.ending {
                        try await world.pipeline.run(
                            OperationRequest(
                                operation: "tenant.create",
                                input: [
                                    "name": "Racer", "slug": "racer", "external_id": .string("ext-racer-\(number)"),
                                    "plan": "team", "region": "eu-west",
                                ], justification: "racing for the slug", idempotencyKey: "race-\(number)"),
                            by: world.everybody)
                    }
                }
            }
            return await group.reduce(into: [Ending]()) { $0.append($1) }
        }
        #expect(endings.compactMap(\.applied).count == 1)
        for error in endings.compactMap(\.error) {
            guard case .invalid(let errors) = error, errors.map(\.pointer) == ["/input/slug"] else {
                Issue.record("\(error)")
                continue
            }
        }
        await world.close()
    }

    // MARK: - The approval gate

    @Test(arguments: TestDatabase.Kind.allCases)
    func `nobody can delete for good, not even the system`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind)
        let departed = try await world.test.database.read {
            try $0.first(TestQueries.tenant(slug: "departed"))?.string("id")
        }
        let request = OperationRequest(
            operation: "tenant.hard_delete", target: departed, reasonCode: "retention_policy",
            justification: "kept for longer than the policy allows", idempotencyKey: "delete")
        for caller in [world.everybody, world.system] {
            let outcome = await ending { try await world.pipeline.run(request, by: caller) }
            if caller.isSystem {
                // the same request is waiting already
                guard case .conflict = outcome.error else {
                    Issue.record("\(String(describing: outcome.error))")
                    continue
                }
            } else {
                guard case .pending(let pending) = outcome.outcome?.result else {
                    Issue.record("\(String(describing: outcome.error))")
                    continue
                }
                #expect(pending.needs.map(\.demand) == [.role(["super_admin"])])
                #expect(pending.needs.first?.cooldown == .hours(24))
            }
        }
        let status = try await world.test.database.read {
            try $0.first(TestQueries.tenant(slug: "departed"))?.string("status")
        }
        #expect(status == "archived")

        // a repeated key answers the same request
        let again = try await world.pipeline.run(request, by: world.everybody)
        #expect(again.replayed)
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `twenty open requests are the most one person may have`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, populated: false)
        var settled: [String] = []
        for number in 0..<21 {
            settled.append(
                try await world.tenant("long-gone-\(number)", then: [("tenant.archive", "customer_departed")]))
        }
        world.test.clock.advance(.days(91))
        var endings: [Ending] = []
        for (number, tenant) in settled.enumerated() {
            endings.append(
                await ending {
                    try await world.pipeline.run(
                        OperationRequest(
                            operation: "tenant.hard_delete", target: tenant, reasonCode: "retention_policy",
                            justification: "kept for longer than the policy allows", idempotencyKey: "open-\(number)"),
                        by: world.everybody)
                })
        }
        #expect(endings.prefix(20).allSatisfy { $0.error == nil })
        guard case .conflict(let sentence, _) = endings[20].error else {
            Issue.record("\(String(describing: endings[20].error))")
            return
        }
        #expect(sentence.contains("20"))
        // Whoever looks first hears the same, and not that it can be asked for.
        let another = OperationRequest(
            operation: "tenant.hard_delete", target: settled[20], reasonCode: "retention_policy",
            justification: "kept for longer than the policy allows")
        let preview = try await world.pipeline.preview(another, by: world.everybody)
        #expect(!preview.allowed && preview.reasons == [sentence])
        let asked = OperationRequest(
            operation: "tenant.hard_delete", target: settled[0], reasonCode: "retention_policy",
            justification: "kept for longer than the policy allows")
        let twin = try await world.pipeline.preview(asked, by: world.everybody)
        #expect(twin.reasons.count == 1 && twin.reasons != [sentence])
        // Nobody else's count.
        let other = try await world.staff("another", roles: ["super_admin"])
        #expect(try await world.pipeline.preview(another, by: other).allowed)
        await world.close()
    }

    // MARK: - Undo

    @Test(arguments: TestDatabase.Kind.allCases)
    func `undo names what changed since`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind)
        let tenant = try await world.tenant("moved-on")
        let suspended = try await world.run("tenant.suspend", on: tenant, reason: "abuse")
        try await world.run("tenant.update", on: tenant, ["name": "Another Name"], by: world.system)
        let ending = await offerEnding {
            try await world.pipeline.undoOffer(for: suspended.eventID, by: world.everybody)
        }
        guard case .conflict(let sentence, _) = ending else {
            Issue.record("\(String(describing: ending))")
            return
        }
        #expect(sentence.contains("name") && sentence.contains("Another Name"))
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `undo ends with its deadline and is refused after erasure`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind)
        let tenant = try await world.tenant("late")
        let suspended = try await world.run("tenant.suspend", on: tenant, reason: "abuse")
        world.test.clock.advance(.hours(24) + .seconds(1))
        guard
            case .conflict(let late, _) = await offerEnding({
                try await world.pipeline.undoOffer(for: suspended.eventID, by: world.everybody)
            })
        else {
            Issue.record("an undo was offered after its deadline")
            return
        }
        #expect(late.contains("could be undone until"))

        let restored = try await world.run("tenant.restore", on: tenant, reason: "investigation_closed")
        let caller = world.system
        let at = world.test.clock.clock.now
        try await world.test.database.write { tx in
            var draft = EventDraft(at: at, .mutation, "erasure.completed", by: caller)
            draft.retention = .erasureProof7y
            draft.target = ("tenant", tenant)
            _ = try ErasureDoor.erase(by: draft, in: tx)
        }
        guard
            case .conflict(let erased, _) = await offerEnding({
                try await world.pipeline.undoOffer(for: restored.eventID, by: world.everybody)
            })
        else {
            Issue.record("an undo was offered after erasure")
            return
        }
        #expect(erased.contains("erased"))
        await world.close()
    }

    @Test func `undoing needs the permission of the inverse before anything is told`() async throws {
        let world = try await World.make(.sqlite)
        let tenant = try await world.tenant("private")
        let suspended = try await world.run("tenant.suspend", on: tenant, reason: "abuse")
        try await world.run("tenant.update", on: tenant, ["name": "A Secret Name"], by: world.system)
        let nobody = world.person("nobody", permissions: [])
        let ending = await offerEnding { try await world.pipeline.undoOffer(for: suspended.eventID, by: nobody) }
        guard case .forbidden(let permission, let detail) = ending else {
            Issue.record("\(String(describing: ending))")
            return
        }
        #expect(permission == "tenant.restore" && !detail.contains("Secret"))
        await world.close()
    }

    // MARK: - Reads

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the same look within a minute is one event`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind)
        let tenant = try await world.tenant("watched")
        let other = try await world.tenant("also-watched")
        let ada = world.person("ada", permissions: ["tenant.view"])
        let bob = world.person("bob", permissions: ["tenant.view"])
        let before = try await world.snapshot()
        func look(_ caller: Caller, _ id: String) async throws {
            try await world.pipeline.read("tenant.view", by: caller) { _ in
                ((), Disclosure("tenant.view", target: ("tenant", id), tenant: id, count: 1, ids: [id]))
            }
        }
        try await look(ada, tenant)
        try await look(ada, tenant)
        #expect(try await world.events(after: before).count == 1)
        try await look(ada, other)
        try await look(bob, tenant)
        #expect(try await world.events(after: before).count == 3)
        world.test.clock.advance(.seconds(61))
        try await look(ada, tenant)
        let events = try await world.events(after: before)
        #expect(events.count == 4)
        #expect(events.allSatisfy { $0.eventClass == "access" && $0.leaf["facts"]?["count"] == 1 })
        await world.close()
    }

    @Test func `a read that can't be logged is not served`() async throws {
        let test = try await TestDatabase.make(.sqlite)
        let pipeline = Pipeline(
            database: test.database, records: SQLRecords(), directory: StaffDirectory(),
            catalog: Catalog(operations: [], reads: [], entities: []),
            clock: test.clock.clock, hooks: .init(blocked: { "The log can't be continued." }))
        let world = try await World.make(.sqlite)
        let reader = world.person("reader", permissions: ["tenant.view"])
        var failure: OperationError?
        do throws(OperationError) {
            _ = try await pipeline.read("tenant.view", by: reader) { _ in
                (1, Disclosure("tenant.view", target: ("tenant", "ten_1"), tenant: "ten_1", count: 1, ids: ["ten_1"]))
            }
        } catch {
            failure = error
        }
        guard case .unavailable = failure else {
            Issue.record("\(String(describing: failure))")
            return
        }
        await world.close()
        await test.drop()
    }

    // MARK: - Limits

    @Test func `a rule's condition treats what can't be measured as the strict case`() {
        let condition = Condition(tests: ["amount": [.atLeast(10_000)]])
        #expect(condition.matches(Measures(["amount": 10_000])))
        #expect(!condition.matches(Measures(["amount": 9_999])))
        #expect(condition.matches(.none))
        #expect(condition.matches(Measures(["amount": "many"])))
        #expect(Condition(condition.json) == condition)
    }
}

/// How a request ended, as a value: tests compare many of them.
struct Ending: Sendable {
    var outcome: Outcome?
    var error: OperationError?

    var applied: Applied? { if case .applied(let applied) = outcome?.result { applied } else { nil } }
    var isFirst: Bool { outcome.map { !$0.replayed } ?? false }
}

enum PipelineEnding {
    static func ending(_ body: () async throws -> Outcome) async -> Ending {
        do {
            return Ending(outcome: try await body())
        } catch {
            return Ending(error: error as? OperationError ?? .internalError("\(error)"))
        }
    }
}

private func ending(_ body: () async throws -> Outcome) async -> Ending { await PipelineEnding.ending(body) }

private func offerEnding(_ body: () async throws -> Pipeline.UndoOffer) async -> OperationError? {
    do {
        _ = try await body()
        return nil
    } catch {
        return error as? OperationError ?? .internalError("\(error)")
    }
}

private func suspension(of tenant: String, key: String?) -> OperationRequest {
    OperationRequest(
        operation: "tenant.suspend", target: tenant, reasonCode: "abuse", justification: "reported for abuse",
        idempotencyKey: key)
}

private func archive(of tenant: String, key: String) -> OperationRequest {
    OperationRequest(
        operation: "tenant.archive", target: tenant, reasonCode: "customer_departed",
        justification: "the customer left",
        idempotencyKey: key)
}
