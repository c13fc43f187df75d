// What an operation would do, without doing it (spec: operations §1, "Preview").
extension Pipeline {
    /// Says what an operation would do. Writes nothing but one `access` event.
    /// - Parameter foretells: also finds out what of it comes out otherwise when it is carried out (`Preview.anew`), which plans it
    ///   once more; not of a batch, nor of what would be refused a day later.
    public func preview(
        _ request: OperationRequest, by caller: Caller, foretells: Bool = false
    ) async throws(OperationError) -> Preview {
        let admitted = try await admit(request, by: caller, isPreview: true)
        return try await look(admitted) { reader in
            let (preview, tenant) = try self.rehearse(admitted, foretells: foretells, reader)
            return Look(value: preview, target: preview.target, tenant: tenant, isAllowed: preview.allowed)
        }
    }

    /// What somebody was shown of an operation that is not carried out.
    struct Look<Value: Sendable>: Sendable {
        let value: Value
        let target: String?
        let tenant: String?
        let isAllowed: Bool
    }

    /// Reads what an operation would do and records that it was looked at.
    func look<Value: Sendable>(
        _ admitted: Admitted, _ body: @escaping @Sendable (any Reader) throws -> Look<Value>
    ) async throws(OperationError) -> Value {
        let operation = admitted.operation
        let look: Look<Value>
        do {
            look = try await database.read(body)
        } catch {
            let failure = translate(error, admitted.request)
            // Its sentence may tell what the target holds, as an undo's does: it is a look like any other.
            if Self.refusalToRecord(failure, isClash: false) != nil {
                var draft = EventDraft(at: clock.now, .access, operation.spec.name, by: admitted.caller)
                draft.target = admitted.request.target.map { (operation.targetType, $0) }
                draft.facts = ["preview": true, "allowed": false]
                try await record([draft])
            } else if Self.isDenial(failure) {
                // Who tries whether they are asked is denied, as by the decision itself.
                try await recordDenial(operation.spec.permission, operation: operation.spec.name, by: admitted.caller)
            }
            throw failure
        }
        var draft = EventDraft(at: clock.now, .access, operation.spec.name, by: admitted.caller)
        draft.tenant = look.tenant
        draft.target = look.target.map { (operation.targetType, $0) }
        draft.facts = ["preview": true, "allowed": .bool(look.isAllowed)]
        try await record([draft])
        return look.value
    }

    func rehearse(
        _ admitted: Admitted, foretells: Bool = false, _ reader: any Reader
    ) throws -> (Preview, tenant: String?) {
        let request = admitted.request
        let operation = admitted.operation
        let eventID = Identifier.mint("evt", at: reader.now)
        if let undone = request.undoes { try checkStillUndoable(undone, request, reader) }
        // A preview in the console comes before the passkey. On the command line none can be used: what would be refused there is
        // said at once.
        let rehearsed = try operation.rehearse(
            rehearsal(
                admitted, stored: nil, eventID: eventID, fresh: fresh(at: reader.now),
                isQuestion: admitted.caller.client != .cli), reader)
        try Self.confine(admitted, to: rehearsed)
        var reasons: [String] = []
        if let refusal = rehearsed.refusal { reasons.append(Self.sentence(refusal)) }
        let policy = try policy(for: operation, reader)
        let spending = Spending(
            rehearsed.measures, tenant: Self.tenant(rehearsed), person: admitted.caller.person)
        let verdict =
            rehearsed.plan == nil
            ? nil
            : try judge(
                operation, rehearsed.measures, spending, of: admitted.caller, under: policy.rules,
                about: Self.tenant(rehearsed), from: reader)
        let needs = verdict?.needs ?? []
        if let sentence = verdict?.overLimit { reasons.append(sentence) }
        if !needs.isEmpty, let target = rehearsed.target,
            let row = try reader.first(records.liveApproval(operation: operation.spec.name, target: target.id)),
            let sentence = Self.sentence(of: try ApprovalRequest(row), at: reader.now)
        {
            reasons.append(sentence)
        } else if !needs.isEmpty, let sentence = try tooManyOpen(of: admitted.caller.person, reader) {
            reasons.append(sentence)
        }
        let question = Self.undoQuestion(
            rehearsed.plan, on: rehearsed.target, reasonCode: request.reasonCode)
        let (reversibility, undoOperation) = self.reversibility(
            operation, question, window: policy.undoWindow)
        var preview = Preview(
            operation: operation.spec.name, target: rehearsed.target?.id, allowed: reasons.isEmpty, reasons: reasons,
            consequence: rehearsed.plan?.consequence, changes: rehearsed.plan?.changes.map(EntityChange.init) ?? [],
            effects: try reaching(rehearsed.plan?.effects ?? [], nil, reader), approvals: needs,
            reversibility: reversibility, undoOperation: undoOperation, version: rehearsed.target?.version)
        if let refusal = rehearsed.refusal, case .invalid(let errors) = Self.error(for: refusal) {
            preview.errors = errors
        }
        if !needs.isEmpty { preview.calls = (rehearsed.plan?.calls ?? []).filter(isPerformed) }
        // Somebody waits for it, and may look again and again: it is planned twice at most, and a batch once.
        if foretells, let plan = rehearsed.plan, !plan.recordsDigests {
            preview.anew = try madeAnew(
                admitted, plan, Self.planJSON(plan, measures: .none, needs: []), planned: reader.now, stored: nil,
                shifts: Array(MadeAnew.shifts.prefix(1)), reader)
        }
        return (preview, rehearsed.target?.tenantID)
    }
}
