import Hummingbird
import Kernel

extension StaffAPI {
    /// What can be done with requests beside reading them and the decisions, which are operations.
    func approvalRoutes() -> [Route] {
        [
            signed(.post, "/approvals/{id}/reveal") { exchange, signed in
                var body = try await BodyReader(exchange)
                try body.finish()
                let id = exchange.parameters["id"] ?? ""
                guard let values = try await context.pipeline.takeReveal(of: id, by: signed.caller) else {
                    throw OperationError.notFound(
                        "There is nothing to show: it was shown already, or its time is over.")
                }
                return .json(["reveal": .object(values.mapValues(JSON.string))])
            }
        ]
    }
}
