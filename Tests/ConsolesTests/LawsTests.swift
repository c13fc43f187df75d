import Consoles
import Kernel
import TestSupport
import Testing

/// Laws over every operation of the catalogue: an operation is covered the day it is written.
@Suite struct LawsTests {
    @Test(arguments: TestDatabase.Kind.allCases)
    func `a preview writes nothing but one access event`(kind: TestDatabase.Kind) async throws {
        try await forEachOperation(kind) { world, operation, trial in
            let before = try await world.snapshot()
            let preview = try await world.pipeline.preview(trial.request, by: trial.caller)
            #expect(preview.allowed || !preview.reasons.isEmpty, "\(operation.spec.name)")
            let after = try await world.snapshot()
            #expect(after.state == before.state, "\(operation.spec.name) changed something in a preview")
            let events = try await world.events(after: before)
            #expect(events.map(\.eventClass) == ["access"], "\(operation.spec.name)")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a mutation writes exactly one event that names every row it wrote`(kind: TestDatabase.Kind) async throws {
        try await forEachOperation(kind) { world, operation, trial in
            let before = try await world.snapshot()
            let outcome = try await world.run(trial)
            let after = try await world.snapshot()
            let events = try await world.events(after: before)
            let changed = Set(after.documents.filter { before.documents[$0.key] != $0.value }.keys)
            try #require(events.count == 1, "\(operation.spec.name): \(events.map(\.action))")
            let named = try await world.entities(named: events[0].id)
            #expect(named == changed, "\(operation.spec.name)")
            switch outcome.result {
            case .applied(let applied):
                let expected =
                    operation.targetType == ApprovalRequest.type
                    ? "approval" : operation.spec.isIncident ? "incident" : "mutation"
                #expect(events[0].eventClass == expected && events[0].outcome == "applied")
                #expect(applied.eventID == events[0].id)
            case .pending(let pending):
                #expect(events[0].eventClass == "approval" && events[0].outcome == "requested")
                #expect(named == ["approval \(pending.approvalID)"], "a request changes nothing but itself")
            }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the same key again changes nothing and answers the same`(kind: TestDatabase.Kind) async throws {
        try await forEachOperation(kind) { world, operation, trial in
            let first = try await world.run(trial)
            let before = try await world.snapshot()
            let second = try await world.run(trial)
            let after = try await world.snapshot()
            #expect(second.replayed && !first.replayed, "\(operation.spec.name)")
            #expect(after == before, "\(operation.spec.name)")
            #expect(
                world.answer(first, revealed: false) == world.answer(second, revealed: false), "\(operation.spec.name)")

            var other = trial.request
            other.ticket = "OTHER-1"
            await #expect(throws: OperationError.self, "\(operation.spec.name) took a used key for another request") {
                _ = try await world.pipeline.run(other, by: trial.caller)
            }
            #expect(try await world.snapshot().state == before.state)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `without the permission nothing happens but a recorded denial`(kind: TestDatabase.Kind) async throws {
        try await forEachOperation(kind, where: Self.isForPeople) { world, operation, trial in
            let nobody = world.person("nobody-\(operation.spec.name)", permissions: [])
            let before = try await world.snapshot()
            for dryRun in [false, true] {
                do {
                    if dryRun {
                        _ = try await world.pipeline.preview(trial.request, by: nobody)
                    } else {
                        _ = try await world.pipeline.run(trial.request, by: nobody)
                    }
                    Issue.record("\(operation.spec.name) was allowed without \(operation.spec.permission)")
                } catch OperationError.forbidden(let permission, _) {
                    #expect(permission == operation.spec.permission)
                }
            }
            #expect(try await world.snapshot().state == before.state)
            let events = try await world.events(after: before)
            #expect(events.map(\.action) == ["authz.denied", "authz.denied"], "\(operation.spec.name)")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a refusal leaves no trace but its event`(kind: TestDatabase.Kind) async throws {
        try await forEachOperation(kind, where: Self.changes) { world, operation, trial in
            guard trial.request.target != nil else { return }
            var stale = trial.request
            stale.ifMatch = 999_999
            let before = try await world.snapshot()
            do {
                _ = try await world.pipeline.run(stale, by: trial.caller)
                Issue.record("\(operation.spec.name) accepted a stale version")
            } catch OperationError.preconditionFailed {}
            #expect(try await world.snapshot().state == before.state)
            let events = try await world.events(after: before)
            #expect(events.map(\.outcome) == ["denied"], "\(operation.spec.name)")
            // the key was released: the right version goes through with it
            _ = try await world.run(trial)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `undo restores every field except version, times and history`(kind: TestDatabase.Kind) async throws {
        try await forEachOperation(kind) { world, operation, trial in
            guard case .applied(let applied) = try await world.run(trial).result, let target = applied.target else {
                return
            }
            guard let undo = applied.undo else {
                await #expect(throws: OperationError.self, "\(operation.spec.name)") {
                    _ = try await world.pipeline.undoOffer(for: applied.eventID, by: trial.caller)
                }
                return
            }
            var offer = try await world.pipeline.undoOffer(for: applied.eventID, by: trial.caller).request
            #expect(offer.operation == undo.operation)
            offer.idempotencyKey = world.key()
            offer.justification = "taking back what was done by mistake"
            offer.ifMatch = applied.version
            if offer.reasonCode == nil {
                offer.reasonCode = world.catalog[offer.operation]?.spec.reasonCodes.first?.code
            }
            let taken = try await world.pipeline.run(offer, by: trial.caller).result
            // Taking back what made something stricter may take a second person, as asking for it would.
            if case .pending = taken, operation.spec.name == "access_review_plan.change" { return }
            guard case .applied(let undone) = taken else {
                Issue.record("the undo of \(operation.spec.name) did not apply")
                return
            }
            #expect(undone.target == target)
            #expect(
                World.lasting(undone.after) == World.lasting(applied.before),
                "\(operation.spec.name), undone by \(offer.operation)")
            // and it can't be undone twice
            await #expect(throws: OperationError.self) {
                _ = try await world.pipeline.undoOffer(for: applied.eventID, by: trial.caller)
            }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `high and critical operations ask for a fresh factor and a justification`(kind: TestDatabase.Kind) async throws
    {
        try await forEachOperation(kind, where: Self.isOfHighRisk) { world, operation, trial in
            let before = try await world.snapshot()
            let stale = world.person("stale", permissions: [operation.spec.permission], factorAge: .minutes(6))
            do {
                _ = try await world.pipeline.run(trial.request, by: stale)
                Issue.record("\(operation.spec.name) took a factor of six minutes ago")
            } catch OperationError.stepUpRequired {}
            // Who agrees has read why it was asked for; who asks and who refuses say why.
            guard operation.spec.name != "approval.approve" else { return }
            for text in [nil, "", "too short"] {
                var bare = trial.request
                bare.justification = text
                do {
                    _ = try await world.pipeline.run(bare, by: trial.caller)
                    Issue.record("\(operation.spec.name) took the justification \(text ?? "nil")")
                } catch OperationError.invalid(let errors) {
                    #expect(errors.map(\.pointer) == ["/justification"], "\(operation.spec.name)")
                }
            }
            #expect(try await world.snapshot() == before)
        }
    }

    @Test func `every field and reason code says what it is`() {
        for operation in Catalog(Consoles.all).operations {
            #expect(!operation.spec.summary.isEmpty && operation.spec.summary.hasSuffix("."), "\(operation.spec.name)")
            for field in operation.fields() {
                #expect(!field.param.label.isEmpty && !field.param.help.isEmpty, "\(operation.spec.name) \(field.name)")
                #expect(field.name.wholeMatch(of: /[a-z][a-z0-9_]*/) != nil, "\(operation.spec.name) \(field.name)")
            }
            // What gives a request its name is found without reading what it would do.
            let name = operation.concerns(Samples.input(for: operation, number: 1))
            #expect((name != nil) == operation.declaresConcerns, "\(operation.spec.name)")
            for code in operation.spec.reasonCodes {
                #expect(
                    code.code.wholeMatch(of: /[a-z][a-z0-9_]*/) != nil && !code.label.isEmpty, "\(operation.spec.name)")
            }
        }
    }

    private static func changes(_ operation: AnyOperation) -> Bool { !operation.creates }

    private static func isForPeople(_ operation: AnyOperation) -> Bool { !operation.spec.systemOnly }

    private static func isOfHighRisk(_ operation: AnyOperation) -> Bool {
        isForPeople(operation) && operation.spec.risk >= .high
    }

    /// Runs a law on each operation it is about with a request that its preview allows, on data that is fresh to it.
    private func forEachOperation(
        _ kind: TestDatabase.Kind, where isAbout: (AnyOperation) -> Bool = { _ in true },
        _ law: (World, AnyOperation, World.Trial) async throws -> Void
    ) async throws {
        let full = try await World.make(kind, drifted: true)
        let empty = try await World.make(kind, populated: false)
        for operation in full.catalog.operations where isAbout(operation) {
            // Some only make sense before anybody is there.
            if let trial = try await full.trial(of: operation) {
                try await law(full, operation, trial)
            } else if let trial = try await empty.trial(of: operation) {
                try await law(empty, operation, trial)
            } else {
                try await inFreshWorld(kind, operation, law)
            }
        }
        await full.close()
        await empty.close()
    }

    /// Those before it may have taken everything it could be done to: each takes the first that its preview allows, and
    /// which that is hangs on ids, which are random. To confirm a change needs one of three tenants that wait for one,
    /// say, and whatever archives, expires or reverts takes any.
    private func inFreshWorld(
        _ kind: TestDatabase.Kind, _ operation: AnyOperation,
        _ law: (World, AnyOperation, World.Trial) async throws -> Void
    ) async throws {
        let world = try await World.make(kind, drifted: true)
        do {
            var answers: Set<String> = []
            if let trial = try await world.trial(of: operation, refused: { answers.formUnion($0) }) {
                try await law(world, operation, trial)
            } else {
                let said = answers.isEmpty ? "nothing to try it on" : answers.sorted().joined(separator: " | ")
                Issue.record(
                    """
                    nothing in the test world lets \(operation.spec.name) through; add it to World. \
                    Previews answered: \(said)
                    """)
            }
        } catch {
            await world.close()
            throw error
        }
        await world.close()
    }
}
