import Kernel

/// What the product reports of the changes it was asked for (spec: operations §1, "Where the truth lives"), and of what
/// happens to a tenant outside of Postern (spec: operations §3).
enum TenantRuntime {
    static let endpoints: [RuntimeEndpoint] = [
        RuntimeEndpoint(
            .post, "/tenants/{external_id}/changes/{field}", name: "reportChange",
            summary: "Says that a change of plan or region that staff asked for was carried out, or could not be.",
            scope: .registry, body: .object, bodySchema: schema, answerSchema: Tenant.schema, mayWait: true
        ) { call throws(OperationError) in
            try await report(call)
        },
        RuntimeEndpoint(
            .post, "/tenants/{external_id}/subscription", name: "reportSubscription",
            summary: "Says that a trial has ended, or that a subscription was made or has ended.", scope: .registry,
            body: .object, bodySchema: subscriptionSchema, answerSchema: Tenant.schema
        ) { call throws(OperationError) in
            try await reportSubscription(call)
        },
    ]

    private enum ChangeOutcome: String, CaseIterable { case confirmed, failed }

    private static let schema: JSON = [
        "type": "object", "additionalProperties": false, "required": ["outcome"],
        "properties": [
            "outcome": ["type": "string", "enum": .array(ChangeOutcome.allCases.map { .string($0.rawValue) })],
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
        var errors = unknown(call, besides: ["outcome", "value", "reason"])
        let outcome = call.body["outcome"]?.string.flatMap(ChangeOutcome.init)
        if outcome == nil { errors.append(FieldError(pointer: "/outcome", detail: "outcome is confirmed or failed.")) }
        let extra = outcome == .failed ? "value" : "reason"
        if call.body[extra] != nil {
            errors.append(
                FieldError(pointer: "/\(extra)", detail: "\(extra) goes with the other outcome; leave it out."))
        }
        guard let outcome, errors.isEmpty else { throw .invalid(errors) }

        let tenant = try await tenant(call)
        let input = JSON.members([
            ("field", .string(field.rawValue)), ("value", call.body["value"]), ("reason", call.body["reason"]),
        ])
        let request = request(
            outcome == .confirmed ? ConfirmChange.spec.name : FailChange.spec.name, on: tenant, input, call)
        return try await answer(try await call.pipeline.run(request, by: call.caller.registry), call)
    }

    // MARK: Subscriptions

    /// What became of a trial or a subscription, as the product says or its billing provider through it.
    private enum SubscriptionEvent: String, CaseIterable {
        case trialEnded = "trial_ended"
        case subscribed, cancelled

        /// The operation that records it, and the status it leads to.
        var report: (operation: String, status: TenantStatus) {
            switch self {
            case .trialEnded: (ExpireTenant.spec.name, .expired)
            case .subscribed: (ConvertTenant.spec.name, .active)
            case .cancelled: (CancelTenant.spec.name, .cancelled)
            }
        }
    }

    private static let subscriptionSchema: JSON = [
        "type": "object", "additionalProperties": false, "required": ["event"],
        "properties": [
            "event": ["type": "string", "enum": .array(SubscriptionEvent.allCases.map { .string($0.rawValue) })]
        ],
    ]

    private static func reportSubscription(_ call: RuntimeCall) async throws(OperationError) -> RuntimeAnswer {
        var errors = unknown(call, besides: ["event"])
        let event = call.body["event"]?.string.flatMap(SubscriptionEvent.init)
        if event == nil {
            errors.append(FieldError(pointer: "/event", detail: "event is trial_ended, subscribed or cancelled."))
        }
        guard let event, errors.isEmpty else { throw .invalid(errors) }
        let (operation, status) = event.report
        let tenant = try await tenant(call)
        let request = request(operation, on: tenant, .object([:]), call)
        if let before = try await call.pipeline.outcome(of: request, by: call.caller.registry) {
            return try await answer(before, call)
        }
        // Said again, or known already: there is nothing to record.
        if tenant.status == status {
            try VersionCheck.check(call.ifMatch, tenant.version)
            if let known = try await call.pipeline.keepUnchanged(request, by: call.caller.registry) {
                return try await answer(known, call)
            }
            return RuntimeAnswer(.object(tenant.document), version: tenant.version)
        }
        return try await answer(try await call.pipeline.run(request, by: call.caller.registry), call)
    }

    // MARK: What reports have in common

    private static func unknown(_ call: RuntimeCall, besides known: Set<String>) -> [FieldError] {
        call.body.keys.filter { !known.contains($0) }.sorted().map {
            FieldError(pointer: "/\($0)", detail: "\($0) is not known here.")
        }
    }

    private static func request(
        _ operation: String, on tenant: Tenant, _ input: JSON, _ call: RuntimeCall
    ) -> OperationRequest {
        OperationRequest(
            operation: operation, target: tenant.id, input: input, ifMatch: call.ifMatch,
            idempotencyKey: call.idempotencyKey)
    }

    /// The tenant as the report left it, also when it is repeated later.
    private static func answer(_ done: Outcome, _ call: RuntimeCall) async throws(OperationError) -> RuntimeAnswer {
        switch done.result {
        case .pending(let pending): return RuntimeAnswer(.pending(pending), isReplayed: done.replayed)
        case .applied(let applied):
            guard let after = applied.after else { break }
            return RuntimeAnswer(.object(after), version: applied.version, isReplayed: done.replayed)
        }
        let tenant = try await tenant(call)
        return RuntimeAnswer(.object(tenant.document), version: tenant.version, isReplayed: done.replayed)
    }

    private static func tenant(_ call: RuntimeCall) async throws(OperationError) -> Tenant {
        let id = call.path["external_id"] ?? ""
        // The answer to a report holds what its event holds.
        return try await call.pipeline.read("tenant.view", by: call.caller) { reader in
            guard let row = try reader.first(TenantQueries.tenants(by: .externalID, [id])) else {
                throw OperationError.notFound("There is no tenant with the external id \"\(id.prefix(128))\".")
            }
            return (try Tenant(row), nil)
        }
    }
}
