// What goes for good with the thing it is about (spec: audit-log §3).
extension Pipeline {
    /// Removes what the log holds sealed about a target that is gone: what was recorded of it before, the request for this, and
    /// the values of the very event that says so.
    ///
    /// In the transaction of that event, so that no crash comes between, and who may read the log never sees them.
    func erase(_ target: any Entity, with done: EventDraft, _ tx: any Writer) throws {
        var draft = EventDraft(at: done.at, .complianceConsole, "erasure.completed", actor: .system("erasure"))
        draft.retention = .erasureProof7y
        draft.tenant = target.tenantID
        draft.target = (type(of: target).type, target.id)
        draft.reasonCode = done.reasonCode
        draft.emergency = done.emergency
        draft.linked = done.id
        try records.erase(by: draft, in: tx)
    }
}
