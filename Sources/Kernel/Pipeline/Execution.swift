/// What became of a request when its time had come.
public struct Execution: Sendable, Hashable {
    public let approvalID: String
    public let operation: String
    public let state: ApprovalRequest.State
    /// The event that tells of it.
    public let eventID: String
    /// In one sentence.
    public let detail: String

    public var json: JSON {
        [
            "approval_id": .string(approvalID), "operation": .string(operation), "state": .string(state.rawValue),
            "event_id": .string(eventID), "detail": .string(detail),
        ]
    }
}

// Carrying out what waited for approval (spec: access §3). In one transaction, under the operation's guards and those of
// everybody it rests on:
//
//     the request is due and nobody cancelled it           else nothing
//     who asked is active and holds the permission          else failed
//     every leaf is filled by a signature that still counts else pending again
//     the operation still plans, with today's clock         else failed
//     planned with the frozen clock it comes to the same,
//     and today's rules ask for nobody else                 else stale, to be signed anew
//     → changes, event, leaf, outbox, and the request's end
extension Pipeline {
    /// Carries out whatever is due. Safe to run in several processes at once: each request is taken under its row's lock.
    ///
    /// - Parameter isClockTrusted: asked before each of them, once what is due was read: nothing happens by a clock that was set.
    /// - Returns: how many were ended or sent back.
    @discardableResult public func executeDue(
        limit: Int = 50, while isClockTrusted: @Sendable () -> Bool = { true }
    ) async throws(OperationError) -> Int {
        try await each(limit, records.dueApprovals) { id throws(OperationError) in
            guard isClockTrusted() else { return false }
            return try await execute(id) != nil
        }
    }

    /// Says of requests whose window is over that they have expired. They are dead before it does; but that nobody answered opens
    /// the emergency door for one, so it is not said by a clock that was set.
    @discardableResult public func expireOverdue(
        limit: Int = 50, while isClockTrusted: @Sendable () -> Bool = { true }
    ) async throws(OperationError) -> Int {
        try await each(limit, records.expiredApprovals) { id throws(OperationError) in
            guard isClockTrusted() else { return false }
            return try await expire(id)
        }
    }

    private func each(
        _ limit: Int, _ find: @escaping @Sendable (Instant, Int) -> Statement,
        _ body: (String) async throws(OperationError) -> Bool
    ) async throws(OperationError) -> Int {
        if let reason = hooks.blocked() { throw .unavailable(reason) }
        let found: [String]
        do {
            found = try await database.read { reader in
                try reader.query(find(reader.now, limit)).map { try $0.string("id") }
            }
        } catch {
            throw translate(error, nil)
        }
        var count = 0
        for id in found where try await body(id) { count += 1 }
        return count
    }

    /// Carries one request out; `nil` when it is not due.
    func execute(_ id: String) async throws(OperationError) -> Execution? {
        if let reason = hooks.blocked() { throw .unavailable(reason) }
        var tries = 0
        while true {
            tries += 1
            do {
                let execution = try await database.write { tx in try perform(id, tx) }
                if execution != nil { hooks.committed() }
                return execution
            } catch {
                if let error = error as? StoreError, Self.isPassing(error), tries <= 3 { continue }
                let failure = translate(error, nil)
                // The database is away or busy: it stays due. Anything else would fail for ever.
                if case .unavailable = failure { throw failure }
                if let error = error as? StoreError, Self.isPassing(error) { throw failure }
                return try await transaction { tx in
                    guard let request = try due(id, tx) else { return nil }
                    return try close(request, .failed, because: Self.said(failure), tx)
                }
            }
        }
    }

    /// What became of a request that somebody else carried out; `nil` while it is due.
    func turn(of id: String) async throws(OperationError) -> Execution? {
        let found: ApprovalRequest?
        do { found = try await database.read { try ApprovalRequest.load(id, from: $0) } } catch {
            throw translate(error, nil)
        }
        guard let request = found, !request.state.isDue else { return nil }
        let detail =
            switch request.state {
            case .executed: "It was carried out."
            case .failed: "It was approved and could not be carried out."
            case .cancelled: "It was cancelled."
            default: "It waits to be signed again."
            }
        return Execution(
            approvalID: id, operation: request.operation, state: request.state,
            eventID: request.outcomeEventID ?? request.eventID, detail: detail)
    }

    private static func isPassing(_ error: StoreError) -> Bool {
        switch error {
        case .retry, .rowCount: true
        default: false
        }
    }

    private static func said(_ failure: OperationError) -> String {
        switch failure {
        case .conflict(let detail, _), .locked(let detail), .overLimit(let detail), .notFound(let detail),
            .forbidden(_, let detail), .notAsked(let detail), .unavailable(let detail):
            detail
        case .invalid(let errors): errors.map(\.detail).joined(separator: " ")
        case .internalError: "It could not be carried out because of an internal error."
        default: "It could not be carried out."
        }
    }

    private func transaction<T: Sendable>(
        _ body: @escaping @Sendable (any Writer) throws -> T
    ) async throws(OperationError) -> T {
        let value: T
        do { value = try await database.write(body) } catch { throw translate(error, nil) }
        hooks.committed()
        return value
    }

    /// The request, locked, when it may be carried out now.
    private func due(_ id: String, _ tx: any Writer) throws -> ApprovalRequest? {
        guard let request = try ApprovalRequest.load(id, lock: true, from: tx), request.state.isDue,
            let start = request.executeAt, start <= tx.now
        else { return nil }
        return request
    }

    private func perform(_ id: String, _ tx: any Writer) throws -> Execution? {
        guard let peek = try ApprovalRequest.load(id, from: tx), peek.state.isDue else { return nil }
        let signers = try tx.query(records.signatures(approval: id)).map { try $0.string("person") }
        let asked = try asked(peek, tx)
        // Whoever takes a role away meanwhile comes before this or after it, never in between.
        let people = Set(signers + peek.askers).map { Guard.staff($0) }
        let guards = Set(try asked.map { try $0.operation.guards($0.input, peek.targetID, tx) } ?? []).union(people)
        try tx.lock(guards.sorted().map(\.name))
        guard let request = try due(id, tx) else { return nil }
        guard let asked else {
            return try close(request, .failed, because: "What it was asked with was erased or is no longer valid.", tx)
        }

        let signatures = try ApprovalSignatures(
            of: request, rows: tx.query(records.signatures(approval: id)),
            and: Set([asked.actor.isAccount ? asked.actor.id : nil, asked.mandate?.token].compactMap(\.self)),
            directory, isClockTrusted: hooks.isClockTrusted(), from: tx)
        guard let caller = caller(for: request, asked, signatures) else {
            return try close(request, .failed, because: Self.absence(of: asked, from: request, signatures), tx)
        }
        let counting = signatures.counting
        guard request.needs.allSatisfy({ $0.demand.isMet(by: counting) }) else {
            return try reopen(request, signatures, tx)
        }

        // With today's clock and fresh values: this is what is carried out.
        let admitted = Admitted(
            request: asked.request, operation: asked.operation, input: asked.input,
            justification: asked.request.justification, ticket: asked.request.ticket, caller: caller)
        let stored = try (asked.operation.creates ? nil : request.targetID).map {
            try tx.first(asked.operation.selectLocked($0, tx.dialect))
        }
        let eventID = Identifier.mint("evt", at: tx.now)
        let salt = SecureRandom.bytes(32)
        if let undone = asked.request.undoes { try checkStillUndoable(undone, asked.request, tx) }
        let rehearsed = try asked.operation.rehearse(
            rehearsal(admitted, stored: stored, eventID: eventID, fresh: fresh(at: tx.now, salt: salt)), tx)
        if let sentence = Self.confinement(caller, to: rehearsed) {
            return try close(request, .failed, because: sentence, tx)
        }
        if let refusal = rehearsed.refusal { return try close(request, .failed, because: Self.sentence(refusal), tx) }
        guard let plan = rehearsed.plan else { throw OperationError.internalError("a plan without a result") }
        // Who signs nothing is frozen with the action: whoever is one of them only by now could have signed it.
        guard Set(plan.barred).isSubset(of: request.barred) else {
            return try close(
                request, .failed, because: "It is about somebody else by now, so it has to be asked for anew.", tx)
        }

        let policy = try policy(for: asked.operation, tx)
        let spending = Spending(rehearsed.measures, tenant: Self.tenant(rehearsed), person: caller.person)
        if let spending { try tx.lock(spending.guards.map(\.name)) }
        let verdict = try judge(
            asked.operation, rehearsed.measures, spending, of: caller, under: policy.rules,
            about: Self.tenant(rehearsed), without: request.id, from: tx)
        let needs = verdict.needs
        // With the frozen clock and the same fresh values, so that any difference is one of substance.
        let again = try asked.operation.rehearse(
            rehearsal(
                admitted, stored: stored, eventID: request.planEventID,
                fresh: fresh(at: request.plannedAt, salt: asked.salt), at: request.plannedAt), tx)
        let isSame = again.plan.map { plan in
            PlanDigest.hex(
                Self.planJSON(plan, measures: again.measures, needs: request.demands), salt: asked.salt)
                == request.planDigest
        }
        guard isSame == true, needs.allSatisfy({ $0.demand.isMet(by: counting) }) else {
            let needsJSON = JSON.array(needs.map(\.json))
            let new = Self.planJSON(plan, measures: rehearsed.measures, needs: needsJSON)
            // What is made anew each time differs always, and is no difference to anybody who signs.
            let comparable = again.plan.map { Self.planJSON($0, measures: again.measures, needs: needsJSON) } ?? new
            let foretold = try foretold(
                admitted, plan, new, on: rehearsed.target, planned: tx.now, stored: stored,
                undoWindow: policy.undoWindow, tx)
            return try turnStale(
                request, to: new, of: plan, beside: foretold, needs: needs,
                difference: PlanDigest.difference(from: asked.plan, to: comparable), eventID: eventID, salt: salt, tx)
        }
        if let sentence = verdict.overLimit { return try close(request, .failed, because: sentence, tx) }

        var (draft, subjects) = draft(
            admitted, rehearsed, plan, eventID: eventID, operationID: asked.operationID,
            policyVersion: policy.version)
        draft.approvalID = request.id
        // It belongs to the emergency it was asked for in, however long the others took.
        draft.emergency = asked.emergency
        if draft.linked == nil { draft.linked = request.eventID }
        var after = request
        after.state = .executed
        after.outcomeEventID = eventID
        after.version += 1
        let outcome = try carryOut(
            admitted, rehearsed, plan, draft: draft, subjects: subjects, undoWindow: policy.undoWindow,
            measures: verdict.measures, fingerprint: [], key: nil, closing: .update(request, to: after), tx)
        guard case .applied(let applied) = outcome.result else {
            throw OperationError.internalError("an approved operation waits again")
        }
        tell(after, of: applied.eventID, tx)
        // What is shown once is for who asked, and not for who agreed.
        if !applied.reveal.isEmpty, let masterKey = settings.masterKey {
            let text = JSON.object(applied.reveal.mapValues(JSON.string)).canonical
            tx.enqueue(
                records.keepReveal(
                    masterKey.seal(text, context: Self.revealContext(request.id)), approval: request.id,
                    until: tx.now + Self.revealed))
        }
        return Execution(
            approvalID: request.id, operation: request.operation, state: .executed, eventID: eventID,
            detail: applied.consequence)
    }

    // MARK: What was asked

    /// A request as it was asked for, read back from its events.
    private struct Asked {
        let operation: AnyOperation
        let request: OperationRequest
        let input: any OperationInput
        let operationID: String
        let actor: Actor
        /// Of the plan as it now stands.
        let salt: [UInt8]
        let plan: JSON
        /// The break-glass it was asked for within.
        let emergency: String?
        /// In whose name a part of Postern asked.
        let mandate: Mandate?
    }

    /// `nil` when a sealed value it needs is erased, or the operation takes it no more.
    private func asked(_ approval: ApprovalRequest, _ reader: any Reader) throws -> Asked? {
        guard let operation = catalog[approval.operation],
            let row = try reader.first(records.event(approval.eventID)),
            let leaf = try? JSON(parsing: try row.bytes("leaf")),
            let members = try reader.first(records.sealedMembers(event: approval.eventID))?.json("members"),
            let details = members["details"]?["value"], let fields = details["input"],
            let kind = leaf["actor"]?["type"]?.string.flatMap(Actor.Kind.init), let actor = leaf["actor"]?["id"]?.string
        else { return nil }
        let justification = members["justification"]?["value"]?.string
        let ticket = members["ticket"]?["value"]?.string
        let sealed = leaf["sealed"]
        // A member that was there and is gone is not the same as none.
        guard (sealed?["justification"] == nil) == (justification == nil), (sealed?["ticket"] == nil) == (ticket == nil)
        else { return nil }
        let planned =
            approval.planEventID == approval.eventID
            ? members["details"]
            : try reader.first(records.sealedMembers(event: approval.planEventID))?.json("members")["details"]
        guard let plan = planned?["value"]?["plan"], let salt = planned?["salt"]?.string.flatMap(Base64.decode),
            let input = try? operation.parse(fields)
        else { return nil }
        let isUndo = leaf["facts"]?["undo"] == true
        return Asked(
            operation: operation,
            request: OperationRequest(
                operation: approval.operation, target: approval.targetID, input: fields,
                reasonCode: leaf["reason_code"]?.string, justification: justification, ticket: ticket,
                undoes: isUndo ? leaf["linked"]?.string : nil),
            input: input, operationID: leaf["operation_id"]?.string ?? "", actor: Actor(kind, actor), salt: salt,
            plan: plan, emergency: leaf["facts"]?[EventDraft.emergencyFact]?.string,
            mandate: approval.holder.map {
                // The token stands among the facts where it is not the actor itself.
                Mandate(token: leaf["facts"]?[EventDraft.tokenFact]?.string ?? actor, holder: $0)
            })
    }

    /// Why nobody stands for what was asked.
    private static func absence(
        of asked: Asked, from request: ApprovalRequest, _ signatures: ApprovalSignatures
    ) -> String {
        if signatures.isRenewed(request.requester, since: request.createdAt) {
            return
                "The person who asked was given new factors since, so that somebody else may have asked as them. Nothing was changed; they can ask for it anew."
        }
        return asked.mandate != nil
            ? "The token that asked was revoked or has run out. Nothing was changed; it can be asked for anew with another."
            : "The person who asked is not active any more, or no longer holds \(asked.operation.spec.permission). Nothing was changed; somebody who holds it can ask for it anew."
    }

    /// Who asked, as they stand today; `nil` when they may not do it any more, or somebody else may have asked as them. What
    /// Postern asked for itself needs nobody.
    private func caller(for request: ApprovalRequest, _ asked: Asked, _ signatures: ApprovalSignatures) -> Caller? {
        // An account stands for itself too: it may have been revoked, or lost the scope, while its owner still holds everything.
        let standing = signatures.standings[asked.actor.isAccount ? asked.actor.id : request.requester]
        if asked.actor.kind != .system {
            guard let standing, standing.isActive, standing.permissions.contains(asked.operation.spec.permission) else {
                return nil
            }
            if signatures.isRenewed(request.requester, since: request.createdAt) { return nil }
        }
        // What a token asked for ends with it.
        if let token = asked.mandate.flatMap({ signatures.standings[$0.token] }), !token.isActive { return nil }
        return Caller(
            actor: asked.actor, person: request.requester, displayName: standing?.name ?? request.requester,
            roles: standing?.roles ?? [], permissions: standing?.permissions ?? .none, client: .worker,
            requestID: Identifier.mint("req", at: signatures.now), emergency: standing?.emergency,
            mandate: asked.mandate)
    }

    // MARK: Other ends

    /// Ends a request without carrying it out.
    private func close(
        _ request: ApprovalRequest, _ state: ApprovalRequest.State, because reason: String, _ tx: any Writer
    ) throws -> Execution {
        var draft = about(
            request, EventDraft(at: tx.now, .approval, "approval.failed", .failed, actor: .system("approvals")))
        draft.sealed["details"] = .init(["reason": .string(reason)], subjects: [])
        var after = request
        after.state = state
        after.executeAt = nil
        after.outcomeEventID = draft.id
        return record(draft, request, after, saying: reason, tx)
    }

    /// A signature counts no more: it is open for another round while the time lasts for which it could be signed. Nobody signs
    /// twice in one, and whose signature fell may hold tomorrow what it takes, when nobody is left to complete it.
    private func reopen(
        _ request: ApprovalRequest, _ signatures: ApprovalSignatures, _ tx: any Writer
    ) throws -> Execution {
        var draft = about(
            request, EventDraft(at: tx.now, .approval, "approval.reopened", actor: .system("approvals")))
        let lapsed = signatures.lapsed
        draft.sealed["details"] = .init(
            [
                "lapsed": .array(
                    lapsed.map { ["person": .string($0.person), "reason": .string($0.reason)] })
            ], subjects: lapsed.map(\.person))
        var after = request
        after.state = .pending
        after.executeAt = nil
        after.decidedAt = nil
        after.round += 1
        if request.expiresAt <= tx.now { after.expiresAt = tx.now + Self.window(request.needs) }
        return record(
            draft, request, after,
            saying: "A signature counts no more, so it has to be signed again before anything is carried out.", tx)
    }

    /// It would do something else by now, or today's rules ask for somebody else: the approvers see what differs, and sign
    /// the plan as it is.
    ///
    /// - Parameter foretold: what is sealed beside the plan.
    private func turnStale(
        _ request: ApprovalRequest, to plan: JSON, of erased: AnyOperation.ErasedPlan, beside foretold: [String: JSON],
        needs: [ApprovalNeed], difference: JSON, eventID: String, salt: [UInt8], _ tx: any Writer
    ) throws -> Execution {
        var draft = about(
            request, EventDraft(id: eventID, at: tx.now, .approval, "approval.stale", actor: .system("approvals")))
        let subjects = Set(erased.changes.flatMap { ($0.before?.subjects ?? []) + $0.after.subjects }).sorted()
        let details: [String: JSON] = [
            "consequence": .string(erased.consequence), "plan": plan, "difference": difference,
        ]
        draft.sealed["details"] = .init(
            .object(details.merging(foretold) { own, _ in own }), subjects: subjects, salt: salt)
        var after = request
        after.state = .stale
        after.round += 1
        after.planDigest = PlanDigest.hex(plan, salt: salt)
        after.planEventID = eventID
        after.plannedAt = tx.now
        after.executeAt = nil
        after.decidedAt = nil
        // Rules that ask for nobody any more still leave a changed plan to be agreed to, by whoever agreed to the first.
        if !needs.isEmpty { after.demands = .array(needs.map(\.json)) }
        after.expiresAt = tx.now + Self.window(after.needs)
        draft.facts["plan_digest"] = .string(after.planDigest)
        return record(
            draft, request, after,
            saying: "It would do something else by now than what was agreed to, so it has to be agreed to again.", tx)
    }

    private func expire(_ id: String) async throws(OperationError) -> Bool {
        try await transaction { tx in
            guard let request = try ApprovalRequest.load(id, lock: true, from: tx), request.state.isOpen,
                request.expiresAt <= tx.now
            else { return false }
            let draft = about(
                request, EventDraft(at: tx.now, .approval, "approval.expired", actor: .system("approvals")))
            var after = request
            after.state = .expired
            after.decidedAt = tx.now
            after.outcomeEventID = draft.id
            _ = record(draft, request, after, saying: "Nobody agreed in time.", tx)
            return true
        }
    }

    private static func window(_ needs: [ApprovalNeed]) -> Span { needs.map(\.window).min() ?? .hours(24) }

    /// An event about a turn in a request's life that nobody asked for.
    private func about(_ request: ApprovalRequest, _ draft: EventDraft) -> EventDraft {
        var draft = draft
        draft.client = .worker
        draft.target = (ApprovalRequest.type, request.id)
        draft.tenant = request.aboutTenant
        draft.approvalID = request.id
        draft.linked = request.eventID
        return draft
    }

    private func record(
        _ draft: EventDraft, _ before: ApprovalRequest, _ after: ApprovalRequest, saying detail: String,
        _ tx: any Writer
    ) -> Execution {
        var draft = draft
        var after = after
        after.version = before.version + 1
        let change = Change.update(before, to: after)
        draft.facts["state"] = .string(after.state.rawValue)
        draft.facts["round"] = .int(after.round)
        draft.changes = [.init(change)]
        tx.enqueue(records.insert(SealedEvent(draft)))
        tx.enqueue(change.statements)
        tx.enqueue(records.follow(after))
        tell(after, of: draft.id, tx)
        return Execution(
            approvalID: before.id, operation: before.operation, state: after.state, eventID: draft.id, detail: detail)
    }

    private func tell(_ request: ApprovalRequest, of event: String, _ tx: any Writer) {
        guard settings.sendsMail, let news = request.news else { return }
        tx.enqueue(
            records.enqueue(
                news, id: Identifier.mint("out", at: tx.now), event: event, operationID: "", tenantVersion: nil,
                at: tx.now))
    }

    // MARK: What is shown once

    /// How long the requester may fetch what an approved operation answered.
    public static let revealed = Span.hours(24)

    private static func revealContext(_ id: String) -> String { "approval_reveal:\(id)" }

    /// Hands the requester, once, what the approved operation answered: a one-time link. `nil` when there is nothing, or
    /// it was handed out or has run out.
    public func takeReveal(
        of approvalID: String, by caller: Caller
    ) async throws(OperationError) -> [String: String]? {
        guard let masterKey = settings.masterKey else { return nil }
        let text: [UInt8]?
        do throws(OperationError) {
            text = try await openReveal(of: approvalID, with: masterKey, by: caller)
        } catch {
            if case .forbidden(let permission, _) = error {
                try await recordDenial(permission, operation: nil, by: caller)
            }
            throw error
        }
        guard let text, let members = (try? JSON(parsing: text))?.object else { return nil }
        return members.compactMapValues(\.string)
    }

    private func openReveal(
        of approvalID: String, with masterKey: MasterKey, by caller: Caller
    ) async throws(OperationError) -> [UInt8]? {
        let now = clock.now
        return try await transaction { tx in
            guard let request = try ApprovalRequest.load(approvalID, from: tx) else {
                throw OperationError.notFound("There is no request \(approvalID.prefix(60)).")
            }
            guard request.requester == caller.person else {
                throw OperationError.forbidden(
                    permission: "approval.decide", detail: "Only the person who asked is shown this.")
            }
            guard !caller.isAccount else {
                throw OperationError.forbidden(
                    permission: "approval.decide", detail: "Only a person is shown this, with a fresh second factor.")
            }
            // A link makes whoever follows it somebody: it is for who may still ask for it.
            if let permission = catalog[request.operation]?.spec.permission, !caller.permissions.contains(permission) {
                throw OperationError.forbidden(
                    permission: permission, detail: "This is shown to you only while you may ask for it.")
            }
            guard caller.isSystem || caller.authentication?.isFresh == true else {
                throw OperationError.stepUpRequired(
                    maxAge: caller.authentication?.stepUpAge ?? Authentication.stepUpAge)
            }
            guard let row = try tx.first(records.takeReveal(approval: approvalID, at: tx.now)) else { return nil }
            var draft = EventDraft(at: now, .access, "approval.reveal", by: caller)
            draft.target = (ApprovalRequest.type, approvalID)
            draft.approvalID = approvalID
            tx.enqueue(records.insert(SealedEvent(draft)))
            return masterKey.open(try row.string("sealed"), context: Self.revealContext(approvalID))
        }
    }
}

extension Guard {
    /// Held by whoever changes what a person may do, and by whoever acts on what they agreed to.
    public static func staff(_ person: String) -> Guard { Guard("staff:\(person)") }
}
