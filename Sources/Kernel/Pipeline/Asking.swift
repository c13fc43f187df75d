// What rules and limits say to an operation, and how one that needs other people is frozen and stored instead of done
// (spec: operations §1d and e, access §3).
extension Pipeline {
    /// The rules that cover an operation as they are now, the version of everything that decides, and how long what is done
    /// now can be undone.
    func policy(
        for operation: AnyOperation, _ reader: any Reader
    ) throws -> (rules: [ApprovalRule], version: Int64, undoWindow: Span) {
        guard let row = try reader.first(records.policy()) else { throw StoreError.shape(column: "mark") }
        let name = operation.spec.name
        // Other rules stand under another mark. Those that are read now may be newer than it, never older.
        let rules =
            try knownRules.rules(covering: name, at: row.string("mark"))
            ?? knownRules.rules(covering: name, reading: reader.query(records.rules()), records.rule)
        // What Postern does by itself, and deciding, wait for nobody: a rule over them would stop everything for good.
        let isExempt = operation.spec.systemOnly || operation.targetType == ApprovalRequest.type
        return (isExempt ? [] : rules, try row.int("version"), try Self.undoWindow(row))
    }

    /// What rules and limits say to an operation.
    struct Verdict {
        let needs: [ApprovalNeed]
        /// What the rules looked at; recorded, so that another rule can be tried on the past.
        let measures: Measures
        /// Why not, when it is over the caller's limit and no rule asks for a signature.
        let overLimit: String?
    }

    /// - Parameters:
    ///   - spending: the money it moves; its guards are held where this decides.
    ///   - approval: the request being carried out, which does not count against itself.
    ///   - tenant: the one it is about; who looks after it may be asked for.
    func judge(
        _ operation: AnyOperation, _ measures: Measures, _ spending: Spending?, of caller: Caller,
        under rules: [ApprovalRule], about tenant: String?, without approval: String? = nil, from reader: any Reader
    ) throws -> Verdict {
        let overLimit = try spending.flatMap { try self.overLimit(operation, $0, caller, from: reader) }
        var measures = measures
        if let spending, !rules.isEmpty {
            let since = reader.now - Spending.period
            let found = try reader.query([
                records.rates(), records.spent(tenant: spending.tenant, since: since, without: approval),
                records.spent(person: spending.person, since: since),
            ])
            measures = try spending.weighed(
                measures, covering: rules, rates: Rates(found[0]), tenantRows: found[1], personRows: found[2],
                isOverLimit: overLimit != nil)
        }
        var needs = rules.filter { $0.condition.matches(measures) }.map(ApprovalNeed.init)
        if let tenant, needs.contains(where: { $0.demand.asksManager }),
            let manager = try manager(of: tenant, for: caller, from: reader)
        {
            needs = needs.map { $0.asking(manager: manager) }
        }
        // What an assistant proposes waits for a person, whatever rules say; that person lifts no limit by it.
        let proposed = caller.actor.kind == .assistant ? [ApprovalNeed(proposing: operation.spec)] : []
        return Verdict(needs: needs + proposed, measures: measures, overLimit: needs.isEmpty ? overLimit : nil)
    }

    /// Who looks after a tenant; `nil` where nobody does, or where whoever asks named them so lately that they sign nothing
    /// for them.
    private func manager(of tenant: String, for caller: Caller, from reader: any Reader) throws -> String? {
        let since = reader.now - Standing.quarantine
        guard let row = try reader.first(directory.manager(of: tenant, since: since)) else { return nil }
        // Whoever was shown the token that asks is who asks.
        if let by = try row.optionalString("set_by"), by == caller.person || by == caller.mandate?.holder { return nil }
        return try row.optionalString("csm_id")
    }

    /// The tenant it is about: money to it counts together.
    static func tenant(_ rehearsed: AnyOperation.Rehearsed) -> String? {
        rehearsed.target?.tenantID ?? rehearsed.plan?.changes.first?.after.tenantID
    }

    /// Why somebody who opened break-glass alone can't do this: it is about another tenant, or about none.
    static func confinement(_ caller: Caller, to rehearsed: AnyOperation.Rehearsed) -> String? {
        caller.emergency?.refusal(on: tenant(rehearsed))
    }

    /// Refuses them, as a denial, before anything of the target is told.
    static func confine(_ admitted: Admitted, to rehearsed: AnyOperation.Rehearsed) throws(OperationError) {
        guard let sentence = confinement(admitted.caller, to: rehearsed) else { return }
        throw .forbidden(permission: admitted.operation.spec.permission, detail: sentence)
    }

    /// A sentence when the caller's grant carries a limit below the amount, or below what they come to with it in a day.
    private func overLimit(
        _ operation: AnyOperation, _ spending: Spending, _ caller: Caller, from reader: any Reader
    ) throws -> String? {
        let permission = operation.spec.permission
        guard let limits = caller.permissions.limitsByRole(on: permission) else { return nil }
        // The limit stands on the permission: what others allow to move is no part of its day.
        let names = catalog.operations.filter { $0.spec.permission == permission }.map(\.spec.name)
        let found = try reader.query([
            records.rates(),
            records.spent(person: spending.person, by: names, since: reader.now - Spending.period),
        ])
        return try spending.sentence(over: limits, rates: Rates(found[0]), rows: found[1])
    }

    // MARK: The request

    /// e, first half: a rule matched, so the action is frozen and waits.
    ///
    /// - Parameters:
    ///   - stored: the target's row, as it was read and locked.
    ///   - undoWindow: how long what is done now can be undone.
    func storeRequest(
        _ admitted: Admitted, _ rehearsed: AnyOperation.Rehearsed, _ plan: AnyOperation.ErasedPlan,
        _ needs: [ApprovalNeed], salt: [UInt8], draft: EventDraft, subjects: [String], fingerprint: [UInt8],
        key: String?, spending: Spending?, measures: Measures, stored: Row??, undoWindow: Span, _ tx: any Writer
    ) throws -> Outcome {
        let request = admitted.request
        let operation = admitted.operation
        let now = tx.now
        let target = rehearsed.target
        var expired: (request: ApprovalRequest, change: Change)?
        if let target,
            let row = try tx.first(records.liveApproval(operation: operation.spec.name, target: target.id))
        {
            let twin = try ApprovalRequest(row)
            if let sentence = Self.sentence(of: twin, at: now) {
                throw OperationError.conflict(sentence, legal: nil)
            }
            // One whose window is over makes room.
            var after = twin
            after.state = .expired
            after.decidedAt = now
            after.version += 1
            expired = (after, .update(twin, to: after))
        }
        // Requests about different targets meet here, so that two can't both be the last one allowed.
        try tx.lock(["approvals:\(admitted.caller.person)"])
        if let sentence = try tooManyOpen(of: admitted.caller.person, tx) {
            throw OperationError.conflict(sentence, legal: nil)
        }

        // The plan and the fields may hold personal data: they are sealed with the event, and the frozen action carries
        // their commitments.
        let needsJSON = JSON.array(needs.map(\.json))
        let planJSON = Self.planJSON(plan, measures: rehearsed.measures, needs: needsJSON)
        let foretold = try foretold(
            admitted, plan, planJSON, on: target, planned: request.intent?.seed?.at ?? now, stored: stored,
            undoWindow: undoWindow, tx)
        let details = JSON.members([
            ("consequence", .string(plan.consequence)), ("input", request.input), ("plan", planJSON),
            ("measures", measures.values.isEmpty ? nil : .object(measures.values)), ("anew", foretold["anew"]),
            ("reversibility", foretold["reversibility"]), ("reveals", foretold["reveals"]),
        ])
        var draft = draft
        draft.eventClass = .approval
        draft.outcome = .requested
        draft.linked = request.undoes
        let approvalID = Identifier.mint("apr", at: now)
        draft.approvalID = approvalID
        draft.sealed["details"] = .init(
            details, subjects: Array(Set(subjects + Self.subjects(of: plan))).sorted(), salt: salt)

        var commitments: [String: JSON] = [:]
        for (name, value) in draft.sealed where ["justification", "ticket", "details"].contains(name) {
            let salt = value.salt ?? SecureRandom.bytes(32)
            draft.sealed[name] = .init(value.value, subjects: value.subjects, salt: salt)
            commitments[name] = .string(
                Base64.encode(SealedMember.commitment(salt: salt, value: value.value)))
        }
        let action = JSON.members([
            ("operation", .string(operation.spec.name)), ("operation_id", draft.operationID.map(JSON.string)),
            ("target", target.map { ["type": .string(type(of: $0).type), "id": .string($0.id)] }),
            ("version", target.map { .int($0.version) }), ("reason_code", draft.reasonCode.map(JSON.string)),
            ("requester", .string(admitted.caller.person)),
            ("holder", admitted.caller.mandate.map { .string($0.holder) }), ("sealed", .object(commitments)),
            ("rules", .array(needs.map { .string($0.rule) })),
            ("not_before", request.notBefore.map { .string($0.rfc3339) }),
            ("undoes", request.undoes.map(JSON.string)),
            ("barred", plan.barred.isEmpty ? nil : .array(plan.barred.map(JSON.string))),
        ])
        let window = needs.map(\.window).min() ?? .hours(24)
        let pending = ApprovalRequest(
            id: approvalID, operation: operation.spec.name, targetType: target.map { type(of: $0).type },
            targetID: target?.id, aboutTenant: draft.tenant, requester: admitted.caller.person, action: action,
            planDigest: PlanDigest.hex(planJSON, salt: salt), demands: needsJSON, eventID: draft.id,
            plannedAt: request.intent?.seed?.at, createdAt: now, expiresAt: (request.intent?.seed?.at ?? now) + window,
            notBefore: request.notBefore, account: admitted.caller.isAccount ? admitted.caller.actor.id : nil)
        let change = Change.create(pending)
        draft.changes = ([change] + [expired?.change].compactMap { $0 }).map(EventDraft.ChangeRecord.init)

        let event = SealedEvent(draft)
        tx.enqueue(records.insert(event))
        if let expired {
            tx.enqueue(expired.change.statements)
            tx.enqueue(records.follow(expired.request))
        }
        tx.enqueue(change.statements)
        tx.enqueue(records.follow(pending))
        if let spending { tx.enqueue(records.spend(spending, event: draft.id, approval: approvalID, at: now)) }
        for call in plan.calls where isPerformed(call) {
            var payload = call.payload.object ?? [:]
            payload["request"] = .string(approvalID)
            let said = Effect(
                kind: call.kind, name: call.name, summary: call.summary, payload: .object(payload), tenant: call.tenant)
            tx.enqueue(
                records.enqueue(
                    said, id: Identifier.mint("out", at: now), event: event.id, operationID: draft.operationID ?? "",
                    tenantVersion: nil, at: now))
        }
        let answer = PendingApproval(
            approvalID: approvalID, operation: operation.spec.name, operationID: draft.operationID ?? "",
            eventID: event.id, needs: needs, expiresAt: pending.expiresAt)
        if let key {
            let body: JSON = [
                "kind": "pending", "approval_id": .string(approvalID), "operation_id": .string(answer.operationID),
                "demands": needsJSON, "expires_at": .int(pending.expiresAt.microseconds),
            ]
            tx.enqueue(
                records.storeOutcome(
                    StoredOutcome(
                        operation: operation.spec.name, fingerprint: fingerprint, eventID: event.id, body: body),
                    person: admitted.caller.keyOwner, key: key, at: now))
        }
        return Outcome(.pending(answer), replayed: false)
    }

    /// Why somebody can't ask for anything more at the moment; `nil` when they can.
    func tooManyOpen(of person: String, _ reader: any Reader) throws -> String? {
        let open = try reader.first(records.openApprovals(requester: person, at: reader.now))?.int("count") ?? 0
        guard open >= settings.openRequests else { return nil }
        return
            "You have \(open) requests waiting for approval, which is the most one person may have. Wait until some are decided on or expire."
    }

    /// Why another request for the same must wait; `nil` when this one's window is over.
    static func sentence(of twin: ApprovalRequest, at now: Instant) -> String? {
        if let start = twin.executeAt, twin.state.isDue {
            return
                "The same is approved already and is carried out at \(start.minuteText): \(twin.id). Cancel that request first."
        }
        guard now < twin.expiresAt else { return nil }
        return
            "The same request is already waiting for approval: \(twin.id). Wait until it is decided on; it expires at \(twin.expiresAt.minuteText)."
    }

    /// Whose data a plan holds.
    static func subjects(of plan: AnyOperation.ErasedPlan) -> [String] {
        plan.changes.flatMap { ($0.before?.subjects ?? []) + $0.after.subjects }
    }

    /// What the approvers look at; `PlanDigest` reduces it to what their signatures are bound to.
    static func planJSON(_ plan: AnyOperation.ErasedPlan, measures: Measures, needs: JSON) -> JSON {
        .object([
            "changes": .array(plan.changes.map { EntityChange($0).json }),
            "effects": .array(
                plan.effects.map { ["kind": .string($0.kind), "name": .string($0.name), "payload": $0.payload] }),
            "measures": .object(measures.values), "demands": needs,
        ])
    }
}
