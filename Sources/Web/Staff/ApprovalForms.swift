import HTML
import Hummingbird
import Kernel

extension StaffConsole {
    /// What is posted about a request beside the decisions on it, which are operations.
    func approvalFormRoutes() -> [FormRoute] {
        [
            FormRoute("/approvals/{id}/reveal") { posted in
                let id = posted.parameters["id"] ?? ""
                guard let values = try await context.pipeline.takeReveal(of: id, by: posted.signed.caller) else {
                    throw OperationError.notFound(
                        "There is nothing to show: it was shown already, or its time is over.")
                }
                return framed(
                    "Shown once", OperationViews.revealed(values, back: "/approvals/\(URLText.encode(id))"),
                    posted.signed, menuPath: "/approvals")
            }
        ]
    }
}
