import HTTPTypes
import Hummingbird
import Kernel

extension AnyOperation {
    /// `/tenants/{id}/hard-delete`, or `/tenants` for an operation that makes its target.
    var apiPath: String { creates ? "/\(pluralPath)" : "/\(pluralPath)/{id}/\(spec.verbPath)" }
    var pluralPath: String { targetPlural.replacing("_", with: "-") }
}

extension StaffAPI {
    /// Every operation people may ask for, and the list of them.
    func operationRoutes() -> [Route] {
        var routes = [
            signed(.get, "/operations") { _, signed in
                .json([
                    "items": .array(
                        context.catalog.operations.filter { !$0.spec.systemOnly }
                            .map { Self.describe($0, for: signed.caller) }),
                    "next_cursor": nil,
                ])
            }
        ]
        for operation in context.catalog.operations where !operation.spec.systemOnly {
            routes.append(
                signed(.post, operation.apiPath) { exchange, signed in
                    let (request, intent) = try await operationRequest(operation, exchange)
                    let caller = try await asking(signed, exchange)
                    return try await answer(request, operation, intent: intent, exchange, signed, caller)
                })
        }
        return routes
    }

    private static func describe(_ operation: AnyOperation, for caller: Caller) -> JSON {
        let spec = operation.spec
        let isBeyond = caller.isAccount && spec.risk >= .high
        let allowed = !isBeyond && caller.permissions.contains(spec.permission)
        return .members([
            ("name", .string(spec.name)), ("title", .string(spec.title)), ("summary", .string(spec.summary)),
            ("target", .string(operation.targetType)), ("method", "POST"),
            ("path", .string("/api/v1" + operation.apiPath)),
            ("permission", .string(spec.permission)), ("risk", .string(spec.risk.rawValue)),
            (
                "reason_codes",
                .array(spec.reasonCodes.map { ["code": .string($0.code), "label": .string($0.label)] })
            ),
            ("requires_step_up", .bool(spec.risk >= .high)), ("requires_if_match", .bool(spec.requiresIfMatch)),
            ("ticket_required", .bool(spec.ticketRequired)), ("schema", OpenAPI.requestSchema(operation)),
            ("allowed", .bool(allowed)),
            (
                "why_not",
                allowed
                    ? nil
                    : .string(
                        isBeyond
                            ? "Service accounts and assistants do nothing of high or critical risk."
                            : caller.isAccount
                                ? "\(spec.permission) is none of this account's scopes, or its owner does not hold it."
                                : "None of your grants carries the permission \(spec.permission).")
            ),
        ])
    }

    /// Reads path, headers and body; every error at once.
    /// - Returns: with the request what a passkey signed of it, as it was sent.
    private func operationRequest(
        _ operation: AnyOperation, _ exchange: Exchange
    ) async throws -> (request: OperationRequest, intent: JSON?) {
        let key = try IdempotencyKey.read(exchange.headers[.idempotencyKey])
        let ifMatch = try ETag.version(ifMatch: exchange.headers[.ifMatch])
        var body = try await BodyReader(exchange)
        let input = body.object("input")
        let reasonCode = body.text("reason_code")
        let justification = body.text("justification")
        let ticket = body.text("ticket")
        let notBefore = body.time("not_before")
        let intent = Pipeline.signs(operation.spec) ? body.object("intent") : nil
        let request = OperationRequest(
            operation: operation.spec.name, target: operation.creates ? nil : exchange.parameters["id"],
            input: input ?? .object([:]), reasonCode: reasonCode, justification: justification, ticket: ticket,
            ifMatch: ifMatch, idempotencyKey: key, notBefore: notBefore)
        // The pipeline finds these too, but only once the members around them are right.
        try body.finish { operation.errors(in: request) }
        return (request, intent == .object([:]) ? nil : intent)
    }

    /// Answers what a passkey is to sign of a request, or runs or previews it.
    /// - Parameter intent: what a passkey signed of it, as it was sent.
    func answer(
        _ request: OperationRequest, _ operation: AnyOperation, intent: JSON?, _ exchange: Exchange, _ signed: Signed,
        _ caller: Caller
    ) async throws -> Response {
        if Pipeline.signs(operation.spec), exchange.query == ["intent": ["true"]] {
            let (action, nonce, options) = try await context.question(request, by: caller, try signed.session)
            return .json(["action": action, "nonce": .string(nonce), "publicKey": options])
        }
        guard let intent else { return try await answer(request, operation, exchange, caller) }
        var proven = request
        try context.signIns.spend(exchange.client.source)
        try await context.sign(
            &proven, nonce: intent["nonce"]?.string ?? "", with: intent["passkey"] ?? .null, by: caller,
            try signed.session, from: exchange.apiSource)
        // The factor is fresh from here on.
        return try await answer(
            proven, operation, exchange, try await authenticate(exchange, cookieDownload: false).caller)
    }

    /// Runs or previews a request and answers in the shapes of the API.
    func answer(
        _ request: OperationRequest, _ operation: AnyOperation, _ exchange: Exchange, _ caller: Caller
    ) async throws -> Response {
        do {
            if try Self.isDryRun(exchange) {
                let preview = try await context.pipeline.preview(request, by: caller)
                context.metrics.operation(operation.spec.name, outcome: "preview")
                var response = Response.json(preview.json)
                if let version = preview.version { response.headers[.eTag] = ETag.text(version) }
                return response
            }
            let outcome = try await context.pipeline.run(request, by: caller)
            var response: Response
            switch outcome.result {
            case .applied(let applied):
                var body = applied.json.object ?? [:]
                // A decision that completed a request says what came of it.
                if let execution = outcome.execution { body["execution"] = execution.json }
                response = .json(.object(body), status: applied.created ? .created : .ok)
                if applied.created, let id = applied.target {
                    response.headers[.location] = "/api/v1/\(operation.pluralPath)/\(URLText.encode(id))"
                }
                if let version = applied.version { response.headers[.eTag] = ETag.text(version) }
            case .pending(let pending):
                response = .json(pending.json, status: .accepted)
                response.headers[.location] = "/api/v1/approvals/\(URLText.encode(pending.approvalID))"
            }
            if outcome.replayed { response.headers[.idempotencyReplayed] = "true" }
            context.metrics.operation(operation.spec.name, outcome: outcome.metricsLabel)
            return response
        } catch {
            context.metrics.operation(operation.spec.name, outcome: Problem(error).kind.slug)
            if case OperationError.preconditionRequired = error, exchange.headers[.ifMatch]?.trimmed == "*" {
                // RFC 9110 lets * match whatever there is, which is what this operation must not be done to.
                throw Problem(
                    .versionRequired,
                    "If-Match: * does not say which version you looked at. Send the ETag of the one you read.")
            }
            throw error
        }
    }

    private static func isDryRun(_ exchange: Exchange) throws -> Bool {
        var errors: [FieldError] = []
        for name in exchange.query.keys.sorted() where name != "dry_run" {
            errors.append(
                FieldError(pointer: "?\(name)", detail: "\"\(name)\" is not a parameter here; known is dry_run."))
        }
        let text = exchange.first("dry_run")
        if let text, text != "true", text != "false" {
            errors.append(FieldError(pointer: "?dry_run", detail: "dry_run must be true or false."))
        }
        if !errors.isEmpty { throw Problem.invalid(errors) }
        return text == "true"
    }
}

extension Outcome {
    var metricsLabel: String {
        if replayed { return "replayed" }
        return switch result {
        case .applied: "applied"
        case .pending: "pending"
        }
    }
}
