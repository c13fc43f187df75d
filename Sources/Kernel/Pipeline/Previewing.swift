// What an operation would do, without doing it (spec: operations §1, "Preview").
extension Pipeline {
    /// Says what an operation would do. Writes nothing but one `access` event.
    public func preview(_ request: OperationRequest, by caller: Caller) async throws(OperationError) -> Preview {
        let admitted = try await admit(request, by: caller, isPreview: true)
        let operation = admitted.operation
        let preview: Preview
        let tenant: String?
        do {
            (preview, tenant) = try await database.read { reader in try self.rehearse(admitted, reader) }
        } catch {
            let failure = translate(error, request)
            // Its sentence may tell what the target holds, as an undo's does: it is a look like any other.
            if Self.refusalToRecord(failure, isClash: false) != nil {
                var draft = EventDraft(at: clock.now, .access, operation.spec.name, by: caller)
                draft.target = request.target.map { (operation.targetType, $0) }
                draft.facts = ["preview": true, "allowed": false]
                try await record([draft])
            }
            throw failure
        }
        var draft = EventDraft(at: clock.now, .access, operation.spec.name, by: caller)
        draft.tenant = tenant
        draft.target = preview.target.map { (operation.targetType, $0) }
        draft.facts = ["preview": true, "allowed": .bool(preview.allowed)]
        try await record([draft])
        return preview
    }

    func rehearse(_ admitted: Admitted, _ reader: any Reader) throws -> (Preview, tenant: String?) {
        let request = admitted.request
        let operation = admitted.operation
        let eventID = Identifier.mint("evt", at: reader.now)
        if let undone = request.undoes { try checkStillUndoable(undone, request, reader) }
        let rehearsed = try operation.rehearse(
            rehearsal(admitted, stored: nil, eventID: eventID, fresh: fresh(at: reader.now)), reader)
        var reasons: [String] = []
        if let refusal = rehearsed.refusal { reasons.append(Self.sentence(refusal)) }
        let policy = try policy(for: operation, reader)
        let spending = Spending(
            rehearsed.measures, tenant: Self.tenant(rehearsed), person: admitted.caller.person)
        let verdict =
            rehearsed.plan == nil
            ? nil
            : try judge(
                operation, rehearsed.measures, spending, of: admitted.caller, under: policy.rules, from: reader)
        let needs = verdict?.needs ?? []
        if let sentence = verdict?.overLimit { reasons.append(sentence) }
        if !needs.isEmpty, let target = rehearsed.target,
            let row = try reader.first(records.liveApproval(operation: operation.spec.name, target: target.id)),
            let sentence = Self.sentence(of: try ApprovalRequest(row), at: reader.now)
        {
            reasons.append(sentence)
        }
        let main = rehearsed.plan?.changes.first
        let question = AnyOperation.UndoQuestion(
            target: rehearsed.target?.id ?? main?.id ?? "", before: main?.before?.document, after: main?.after.document,
            reasonCode: request.reasonCode, also: rehearsed.plan.map(Self.further) ?? [])
        let (reversibility, undoOperation) = self.reversibility(
            operation, question, window: policy.undoWindow)
        return (
            Preview(
                operation: operation.spec.name, target: rehearsed.target?.id, allowed: reasons.isEmpty,
                reasons: reasons,
                consequence: rehearsed.plan?.consequence, changes: rehearsed.plan?.changes.map(EntityChange.init) ?? [],
                effects: (rehearsed.plan?.effects ?? []).filter(isPerformed), approvals: needs,
                reversibility: reversibility,
                undoOperation: undoOperation, version: rehearsed.target?.version),
            rehearsed.target?.tenantID
        )
    }
}
