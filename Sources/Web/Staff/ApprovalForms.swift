import HTML
import Hummingbird
import Kernel

extension StaffConsole {
    /// What is posted about a request beside the decisions on it, which are operations.
    func approvalFormRoutes() -> [FormRoute] {
        [
            FormRoute("/approvals/{id}/reveal") { posted in
                let id = posted.parameters["id"] ?? ""
                // Looked up before: what is taken is shown, whatever becomes of its name.
                let name = await self.name(ofRequest: id, posted.signed)
                guard let values = try await context.pipeline.takeReveal(of: id, by: posted.signed.caller) else {
                    throw OperationError.notFound(
                        "There is nothing to show: it was shown already, or its time is over.")
                }
                return framed(
                    OperationViews.revealedTitle(name),
                    OperationViews.revealed(values, of: name, back: "/approvals/\(URLText.encode(id))"),
                    posted.signed, menuPath: "/approvals")
            }
        ]
    }

    /// What a request is called, for who asked.
    private func name(ofRequest id: String, _ signed: Signed) async -> String? {
        let catalog = context.catalog
        let records = context.pipeline.records
        return try? await context.pipeline.read(nil, by: signed.caller) { reader -> (String?, Disclosure?) in
            guard let request = try ApprovalRequest.load(id, from: reader), request.isOwn(of: signed.caller) else {
                return (nil, nil)
            }
            return (try Self.name(of: request, catalog, records, from: reader), nil)
        }
    }
}
