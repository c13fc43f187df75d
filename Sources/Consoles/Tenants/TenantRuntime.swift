import Kernel

/// What the product reports of the changes it was asked for (spec: operations §1, "Where the truth lives").
enum TenantRuntime {
    static let endpoints = [
        RuntimeEndpoint(
            .post, "/tenants/{external_id}/changes/{field}", name: "reportChange",
            summary: "Says that a change of plan or region that staff asked for was carried out, or could not be.",
            scope: .registry, body: .object, bodySchema: schema, answerSchema: Tenant.schema
        ) { call throws(OperationError) in
            try await report(call)
        }
    ]

    private enum Outcome: String, CaseIterable { case confirmed, failed }

    private static let schema: JSON = [
        "type": "object", "additionalProperties": false, "required": ["outcome"],
        "properties": [
            "outcome": ["type": "string", "enum": .array(Outcome.allCases.map { .string($0.rawValue) })],
            "value": ["type": "string", "pattern": "^[a-z0-9_-]{1,40}$"],
            "reason": ["type": "string", "minLength": 1, "maxLength": 500],
        ],
    ]

    private static func report(_ call: RuntimeCall) async throws(OperationError) -> RuntimeAnswer {
        guard let field = TenantField(rawValue: call.path["field"] ?? "") else {
            throw .notFound(
                "Changes are of \(TenantField.allCases.map(\.rawValue).joined(separator: " and ")), at /changes/{field}."
            )
        }
        var errors = call.body.keys.filter { !["outcome", "value", "reason"].contains($0) }.sorted().map {
            FieldError(pointer: "/\($0)", detail: "\($0) is not known here.")
        }
        let outcome = call.body["outcome"]?.string.flatMap(Outcome.init)
        if outcome == nil { errors.append(FieldError(pointer: "/outcome", detail: "outcome is confirmed or failed.")) }
        let extra = outcome == .failed ? "value" : "reason"
        if call.body[extra] != nil {
            errors.append(
                FieldError(pointer: "/\(extra)", detail: "\(extra) goes with the other outcome; leave it out."))
        }
        guard let outcome, errors.isEmpty else { throw .invalid(errors) }

        let id = call.path["external_id"] ?? ""
        let tenant = try await tenant(id, call)
        let system = Caller(
            actor: .system("registry"), person: "registry", displayName: "Registry", client: .worker,
            requestID: call.caller.requestID)
        let input = JSON.members([
            ("field", .string(field.rawValue)), ("value", call.body["value"]), ("reason", call.body["reason"]),
        ])
        var request = OperationRequest(
            operation: outcome == .confirmed ? ConfirmChange.spec.name : FailChange.spec.name, target: tenant.id,
            input: input, idempotencyKey: call.idempotencyKey)
        request.ifMatch = call.ifMatch
        let done = try await call.pipeline.run(request, by: system)
        let after = try await self.tenant(id, call)
        return RuntimeAnswer(.object(after.document), version: after.version, isReplayed: done.replayed)
    }

    private static func tenant(_ id: String, _ call: RuntimeCall) async throws(OperationError) -> Tenant {
        // The answer to a report holds what its event holds.
        try await call.pipeline.read("tenant.view", by: call.caller) { reader in
            guard let row = try reader.first(TenantQueries.tenants(by: .externalID, [id])) else {
                throw OperationError.notFound("There is no tenant with the external id \"\(id.prefix(128))\".")
            }
            return (try Tenant(row), nil)
        }
    }
}
