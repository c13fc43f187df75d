import Consoles
import Kernel
import TestSupport
import Testing

/// Laws over every operation of the catalogue: an operation is covered the day it is written.
@Suite struct LawsTests {
    /// One law after the other is tried on one request that the operation's preview allows: finding it takes longer than a law. Those
    /// that leave no trace come first, so that what each of them left is what the next one begins with.
    @Test(arguments: TestDatabase.Kind.allCases)
    func `every operation keeps the laws`(kind: TestDatabase.Kind) async throws {
        try await forEachOperation(kind) { world, operation, trial in
            var now = try await previewWritesNothingButOneAccessEvent(
                world, operation, trial, try await world.snapshot())
            if Self.isForPeople(operation) {
                now = try await withoutThePermissionNothingHappensButARecordedDenial(world, operation, trial, now)
            }
            if Self.isOfHighRisk(operation) {
                try await highRiskAsksForAFreshFactorAndAJustification(world, operation, trial, now)
            }
            if Self.changes(operation), trial.request.target != nil {
                now = try await aRefusalLeavesNoTraceButItsEvent(world, operation, trial, now)
            }
            // The refusal released the key: with it, and the right version, it goes through.
            let outcome = try await world.run(trial)
            now = try await aMutationIsOneEventThatNamesEveryRowItWrote(world, operation, outcome, now)
            try await theSameKeyAgainChangesNothingAndAnswersTheSame(world, operation, trial, outcome, now)
            try await undoRestoresEveryFieldExceptVersionTimesAndHistory(world, operation, trial, outcome)
        }
    }

    /// What the pipeline refused it with; nothing when it was allowed.
    private static func refusal(_ body: () async throws -> Void) async -> OperationError? {
        do {
            try await body()
            return nil
        } catch {
            return error as? OperationError
        }
    }

    private func previewWritesNothingButOneAccessEvent(
        _ world: World, _ operation: AnyOperation, _ trial: World.Trial, _ before: World.Snapshot
    ) async throws -> World.Snapshot {
        let preview = try await world.pipeline.preview(trial.request, by: trial.caller)
        #expect(preview.allowed || !preview.reasons.isEmpty, "\(operation.spec.name)")
        let after = try await world.snapshot()
        #expect(after.state == before.state, "\(operation.spec.name) changed something in a preview")
        let events = try await world.events(after: before)
        #expect(events.map(\.eventClass) == ["access"], "\(operation.spec.name)")
        return after
    }

    private func withoutThePermissionNothingHappensButARecordedDenial(
        _ world: World, _ operation: AnyOperation, _ trial: World.Trial, _ before: World.Snapshot
    ) async throws -> World.Snapshot {
        let nobody = world.person("nobody-\(operation.spec.name)", permissions: [])
        for dryRun in [false, true] {
            let refused = await Self.refusal {
                if dryRun {
                    _ = try await world.pipeline.preview(trial.request, by: nobody)
                } else {
                    _ = try await world.pipeline.run(trial.request, by: nobody)
                }
            }
            guard case .forbidden(let permission, _) = refused else {
                Issue.record(
                    "\(operation.spec.name) without \(operation.spec.permission): \(String(describing: refused))")
                continue
            }
            #expect(permission == operation.spec.permission)
        }
        let after = try await world.snapshot()
        #expect(after.state == before.state, "\(operation.spec.name)")
        let events = try await world.events(after: before)
        #expect(events.map(\.action) == ["authz.denied", "authz.denied"], "\(operation.spec.name)")
        return after
    }

    private func highRiskAsksForAFreshFactorAndAJustification(
        _ world: World, _ operation: AnyOperation, _ trial: World.Trial, _ before: World.Snapshot
    ) async throws {
        let stale = world.person("stale", permissions: [operation.spec.permission], factorAge: .minutes(6))
        let unproven = await Self.refusal { _ = try await world.pipeline.run(trial.request, by: stale) }
        guard case .stepUpRequired = unproven else {
            Issue.record("\(operation.spec.name), a factor of six minutes ago: \(String(describing: unproven))")
            return
        }
        // Who agrees has read why it was asked for; who asks and who refuses say why.
        if operation.spec.name != "approval.approve" {
            for text in [nil, "", "too short"] {
                var bare = trial.request
                bare.justification = text
                let request = bare
                let refused = await Self.refusal { _ = try await world.pipeline.run(request, by: trial.caller) }
                guard case .invalid(let errors) = refused else {
                    Issue.record(
                        "\(operation.spec.name), justified by \(text ?? "nil"): \(String(describing: refused))")
                    continue
                }
                #expect(errors.map(\.pointer) == ["/justification"], "\(operation.spec.name)")
            }
        }
        let after = try await world.snapshot()
        #expect(after == before, "\(operation.spec.name)")
    }

    private func aRefusalLeavesNoTraceButItsEvent(
        _ world: World, _ operation: AnyOperation, _ trial: World.Trial, _ before: World.Snapshot
    ) async throws -> World.Snapshot {
        var stale = trial.request
        stale.ifMatch = 999_999
        let request = stale
        let refused = await Self.refusal { _ = try await world.pipeline.run(request, by: trial.caller) }
        guard case .preconditionFailed = refused else {
            Issue.record("\(operation.spec.name), a stale version: \(String(describing: refused))")
            return before
        }
        let after = try await world.snapshot()
        #expect(after.state == before.state, "\(operation.spec.name)")
        let events = try await world.events(after: before)
        #expect(events.map(\.outcome) == ["denied"], "\(operation.spec.name)")
        return after
    }

    private func aMutationIsOneEventThatNamesEveryRowItWrote(
        _ world: World, _ operation: AnyOperation, _ outcome: Outcome, _ before: World.Snapshot
    ) async throws -> World.Snapshot {
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
            #expect(events[0].eventClass == expected && events[0].outcome == "applied", "\(operation.spec.name)")
            #expect(applied.eventID == events[0].id)
        case .pending(let pending):
            #expect(events[0].eventClass == "approval" && events[0].outcome == "requested", "\(operation.spec.name)")
            #expect(named == ["approval \(pending.approvalID)"], "a request changes nothing but itself")
        }
        return after
    }

    private func theSameKeyAgainChangesNothingAndAnswersTheSame(
        _ world: World, _ operation: AnyOperation, _ trial: World.Trial, _ first: Outcome, _ before: World.Snapshot
    ) async throws {
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
        let end = try await world.snapshot()
        #expect(end.state == before.state, "\(operation.spec.name)")
    }

    private func undoRestoresEveryFieldExceptVersionTimesAndHistory(
        _ world: World, _ operation: AnyOperation, _ trial: World.Trial, _ outcome: Outcome
    ) async throws {
        guard case .applied(let applied) = outcome.result, let target = applied.target else { return }
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

    /// Tries the laws on each operation with a request that its preview allows, on data that is fresh to it.
    private func forEachOperation(
        _ kind: TestDatabase.Kind, _ laws: (World, AnyOperation, World.Trial) async throws -> Void
    ) async throws {
        let full = try await World.make(kind, drifted: true)
        let empty = try await World.make(kind, populated: false)
        for operation in full.catalog.operations {
            do {
                // Some only make sense before anybody is there.
                if let trial = try await full.trial(of: operation) {
                    try await laws(full, operation, trial)
                } else if let trial = try await empty.trial(of: operation) {
                    try await laws(empty, operation, trial)
                } else {
                    try await inFreshWorld(kind, operation, laws)
                }
            } catch {
                // The others are tried all the same.
                Issue.record("\(operation.spec.name): \(error)")
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
        _ laws: (World, AnyOperation, World.Trial) async throws -> Void
    ) async throws {
        let world = try await World.make(kind, drifted: true)
        do {
            var answers: Set<String> = []
            if let trial = try await world.trial(of: operation, refused: { answers.formUnion($0) }) {
                try await laws(world, operation, trial)
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
