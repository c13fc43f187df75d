import Hummingbird
import Kernel

extension StaffAPI {
    /// What can be done with requests beside reading them and the decisions, which are operations.
    func approvalRoutes() -> [Route] {
        [
            signed(.post, "/approvals/{id}/intent") { exchange, signed in
                var body = try await BodyReader(exchange)
                let decision = body.text("decision", required: true)
                try body.finish()
                guard let decision, ApprovalSignature.Decision(rawValue: decision) != nil else {
                    throw Problem.invalid([
                        FieldError(pointer: "/decision", detail: "decision must be approve or reject.")
                    ])
                }
                let (action, nonce, options) = try await context.question(
                    OperationRequest(operation: "approval.\(decision)", target: exchange.parameters["id"] ?? ""),
                    by: signed.caller, try signed.session)
                return .json(["action": action, "nonce": .string(nonce), "publicKey": options])
            },
            signed(.get, "/approvals/{id}/evidence", cookieDownload: true) { exchange, signed in
                let id = exchange.parameters["id"] ?? ""
                let events = try await context.pipeline.evidence(of: id, by: signed.caller)
                let receipts = try await receipts(of: events)
                var registrations: [String] = []
                for factor in Set(receipts.compactMap(ApprovalEvidence.factor)).sorted() {
                    if let event = try await context.passkeys?.registration(of: factor), !registrations.contains(event)
                    {
                        registrations.append(event)
                    }
                }
                let bundle = ApprovalEvidence.bundle(
                    id, key: context.log.verifierKey, receipts: receipts,
                    registrations: try await self.receipts(of: registrations))
                var response = Response.json(bundle)
                response.headers[.contentDisposition] = "attachment; filename=\"\(id).evidence.json\""
                return response
            },
            signed(.post, "/approvals/{id}/reveal") { exchange, signed in
                var body = try await BodyReader(exchange)
                try body.finish()
                let id = exchange.parameters["id"] ?? ""
                let caller = try await asking(signed, exchange)
                guard let values = try await context.pipeline.takeReveal(of: id, by: caller) else {
                    throw OperationError.notFound(
                        "There is nothing to show: it was shown already, or its time is over.")
                }
                return .json(["reveal": .object(values.mapValues(JSON.string))])
            },
        ]
    }

    private func receipts(of events: [String]) async throws(OperationError) -> [JSON] {
        var receipts: [JSON] = []
        for event in events {
            receipts.append(ApprovalEvidence.bare(try await context.log.receipt(event: event, wait: .seconds(2))))
        }
        return receipts
    }
}
