// What is sealed beside a plan that waits, so that whoever decides is told what will really happen: what comes out otherwise
// when it runs (a preview tells that as well), how it is taken back afterwards, and what is shown once to who asked. The plan's
// digest is not made of it: two plans that differ in nothing else do the same (spec: access §3).
extension Pipeline {
    /// Members of the sealed details.
    ///
    /// - Parameters:
    ///   - json: the plan as it is sealed, made at `planned`.
    ///   - stored: the target's row, as it was read and locked.
    func foretold(
        _ admitted: Admitted, _ plan: AnyOperation.ErasedPlan, _ json: JSON, on target: (any Entity)?,
        planned: Instant, stored: Row??, undoWindow: Span, _ reader: any Reader
    ) throws -> [String: JSON] {
        let question = Self.undoQuestion(plan, on: target, reasonCode: admitted.request.reasonCode)
        let sentence = reversibility(admitted.operation, question, window: undoWindow).sentence
        var members: [String: JSON] = [
            "anew": try madeAnew(admitted, plan, json, planned: planned, stored: stored, reader).json,
            "reversibility": .string(sentence),
        ]
        // Without a master key nothing is kept for whoever asked.
        if !plan.reveal.isEmpty, settings.masterKey != nil {
            members["reveals"] = .array(plan.reveal.keys.sorted().map(JSON.string))
        }
        return members
    }

    /// What of a plan is made anew: planned once more from other fresh values, by another clock.
    /// - Parameter shifts: how much later, tried until one is not refused.
    func madeAnew(
        _ admitted: Admitted, _ plan: AnyOperation.ErasedPlan, _ json: JSON, planned: Instant, stored: Row??,
        shifts: [Span] = MadeAnew.shifts, _ reader: any Reader
    ) throws -> MadeAnew {
        for later in shifts {
            let time = planned + later
            let rehearsed = try admitted.operation.rehearse(
                rehearsal(
                    admitted, stored: stored, eventID: Identifier.mint("evt", at: time), fresh: fresh(at: time),
                    at: time, isQuestion: true), reader)
            // It may be refused by then, as what ends tomorrow is.
            guard let again = rehearsed.plan else { continue }
            return MadeAnew(
                in: json, planned: planned, besides: Self.planJSON(again, measures: .none, needs: []), later: later,
                sameConsequence: again.consequence == plan.consequence)
        }
        return MadeAnew()
    }

    /// What is asked of an operation to know how its plan would be taken back.
    static func undoQuestion(
        _ plan: AnyOperation.ErasedPlan?, on target: (any Entity)?, reasonCode: String?
    ) -> AnyOperation.UndoQuestion {
        let main = plan?.changes.first
        return AnyOperation.UndoQuestion(
            target: target?.id ?? main?.id ?? "", before: main?.before?.document, after: main?.after.document,
            reasonCode: reasonCode, also: plan.map(further) ?? [])
    }
}
