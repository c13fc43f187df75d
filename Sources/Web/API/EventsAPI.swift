import HTTPTypes
import Hummingbird
import Kernel

extension StaffAPI {
    /// What can be done with recorded events beside reading them.
    func eventRoutes() -> [Route] {
        [
            signed(.post, "/audit-events/{id}/undo") { exchange, signed in
                let key = try IdempotencyKey.read(exchange.headers[.idempotencyKey])
                let ifMatch = try ETag.version(ifMatch: exchange.headers[.ifMatch])
                var body = try await BodyReader(exchange)
                let reasonCode = body.text("reason_code")
                let justification = body.text("justification")
                let ticket = body.text("ticket")
                let notBefore = body.time("not_before")
                let sent = body.object("intent")
                let intent: JSON? = sent == .object([:]) ? nil : sent
                try body.finish()
                let id = exchange.parameters["id"] ?? ""
                let caller = try await asking(signed, exchange)
                var request = try await context.pipeline.undoOffer(for: id, by: caller, checked: false).request
                request.undoes = id
                request.idempotencyKey = key
                request.ifMatch = ifMatch ?? request.ifMatch
                request.reasonCode = reasonCode ?? request.reasonCode
                request.justification = justification ?? request.justification
                request.ticket = ticket ?? request.ticket
                request.notBefore = notBefore
                guard let operation = context.catalog[request.operation] else {
                    throw OperationError.unknownOperation(request.operation)
                }
                guard intent == nil || Pipeline.signs(operation.spec) else {
                    throw Problem.invalid([
                        FieldError(
                            pointer: "/intent",
                            detail: "intent is for what is of high risk, and this is undone by \(request.operation).")
                    ])
                }
                return try await answer(request, operation, intent: intent, exchange, signed, caller)
            },
            signed(.get, "/audit-events/{id}/receipt", cookieDownload: true) { exchange, signed in
                let id = exchange.parameters["id"] ?? ""
                let isThere = try await context.pipeline.read("audit.view", by: signed.caller) { reader in
                    guard Identifier.isValid(id, prefix: "evt") else {
                        throw OperationError.notFound("There is no event \(id.prefix(60)).")
                    }
                    // What was typed into the address never reaches the log: only an event that exists is named there.
                    let isThere = try reader.first(context.pipeline.records.event(id)) != nil
                    return (
                        isThere,
                        isThere
                            ? Disclosure("audit.receipt", target: (type: "event", id: id), count: 1, ids: [id]) : nil
                    )
                }
                // Of an event that left for the archive it says so.
                let receipt = try await context.log.receipt(event: id, wait: .seconds(2))
                guard isThere else { throw OperationError.notFound("There is no event \(id).") }
                var response = Response.json(receipt)
                response.headers[.contentDisposition] = "attachment; filename=\"\(Self.fileName(id)).receipt.json\""
                return response
            },
        ]
    }

    private static func fileName(_ id: String) -> String {
        String(id.filter { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }.prefix(64))
    }
}
