import HTML
import HTTPTypes
import Hummingbird
import Kernel

// What a person sees once an operation was done, or waits for others.
extension StaffConsole {
    /// What a request is about, with its target.
    struct Subject: Sendable {
        let name: String
        let target: (id: String, name: String)?
    }

    /// What a request that waits is about, for who may look at it.
    func asked(_ outcome: Outcome, _ signed: Signed) async throws(OperationError) -> Subject? {
        guard case .pending(let pending) = outcome.result else { return nil }
        let catalog = context.catalog
        let records = context.pipeline.records
        return try await context.pipeline.read(nil, by: signed.caller) { reader -> (Subject?, Disclosure?) in
            guard let request = try ApprovalRequest.load(pending.approvalID, from: reader),
                request.isOpen(to: signed.caller)
            else { return (nil, nil) }
            return (try Self.subject(of: request, catalog, records, from: reader), nil)
        }
    }

    /// What was queued with what was done and reaches somebody, and who was told beside; `nil` where that is not known any more.
    func sent(_ outcome: Outcome, _ signed: Signed) async -> [Effect]? {
        guard case .applied(let applied) = outcome.result, applied.sent != nil,
            let sent = try? await context.pipeline.queued(with: outcome)
        else { return nil }
        guard let inboxes = context.inboxes else { return sent }
        guard let told = try? await inboxes.told(of: applied, by: signed.caller) else { return nil }
        return sent + told
    }

    func result(
        _ outcome: Outcome, replayed: Bool, about subject: Subject? = nil, sent: [Effect]? = nil, _ signed: Signed
    ) -> Response {
        switch outcome.result {
        case .applied(let applied):
            guard let operation = context.catalog[applied.operation] else {
                return .seeOther("/audit/\(applied.eventID)")
            }
            var model = OperationResultModel(
                applied: applied, spec: operation.spec, undo: undo(applied, signed),
                target: link(operation, applied.target, applied.after ?? applied.before),
                replayed: replayed, now: context.clock.now,
                linksEvent: signed.caller.permissions.contains("audit.view"))
            model.sent = sent
            return framed(
                "\(model.heading): done", OperationViews.result(model), signed,
                menuPath: "/\(operation.pluralPath)")
        case .pending(let pending):
            guard let operation = context.catalog[pending.operation] else {
                return .seeOther("/approvals/\(pending.approvalID)")
            }
            var model = PendingResultModel(
                pending: pending, spec: operation.spec, target: nil, now: context.clock.now)
            model.name = subject?.name
            if let target = subject?.target, hasPage("/\(operation.pluralPath)/{id}") {
                model.target = (name: target.name, path: page(of: operation.pluralPath, target.id))
            }
            return framed(
                "\(model.heading): waiting", OperationViews.pending(model), signed,
                menuPath: "/\(operation.pluralPath)")
        }
    }

    /// The inverse this person may still run.
    private func undo(_ applied: Applied, _ signed: Signed) -> OperationResultModel.Undo? {
        guard let undo = applied.undo, let inverse = context.catalog[undo.operation]?.spec,
            signed.caller.permissions.contains(inverse.permission), context.clock.now <= undo.until
        else { return nil }
        return .init(title: inverse.title, until: undo.until)
    }

    private func link(_ operation: AnyOperation, _ id: String?, _ document: JSON?) -> (name: String, path: String)? {
        guard let id, hasPage("/\(operation.pluralPath)/{id}") else { return nil }
        let entity = document.flatMap { context.catalog.entity(operation.targetType)?.restored($0, nil) }
        let name = document?["name"]?.string ?? document?["email"]?.string ?? entity?.displayName ?? id
        return (name, page(of: operation.pluralPath, id))
    }
}
