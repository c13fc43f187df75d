// What a person signs with a passkey before it is done (spec: access §3, "Signed intent").
extension Pipeline {
    /// Whether an operation's action is signed where the person has a passkey: decisions, and what is of high risk.
    public static func signs(_ spec: OperationSpec) -> Bool { isDecision(spec.name) || spec.risk >= .high }

    /// Why an action has to be signed first; `nil` when it is, or need not be. In the console, where an authenticator is at hand,
    /// whoever has a passkey asks for what is of high risk with it and in no other way: several at once rest on the passkey as the
    /// factor that was used last. Over the API and on the command line a fresh factor does, and the record says so.
    func unsigned(_ admitted: Admitted, _ reader: any Reader) throws -> String? {
        let caller = admitted.caller
        guard settings.passkeySite != nil, caller.client == .console, admitted.operation.spec.risk >= .high,
            admitted.request.intent == nil,
            !admitted.request.isOneOfSeveral || caller.authentication?.factors.last != .webauthn,
            try directory.standings(of: [caller.person], from: reader)[caller.person]?.hasPasskey == true
        else { return nil }
        return
            "You have a passkey, so this is signed with it: use your passkey to confirm. Lost it? Sign in with a recovery code and remove it under My security."
    }

    private static func isDecision(_ name: String) -> Bool {
        name == Decisions.approve.spec.name || name == Decisions.reject.spec.name
    }

    /// What a passkey is asked to sign of a request: a look at what it would do, recorded like a preview.
    public func question(
        of request: OperationRequest, by caller: Caller, seed: IntentSeed
    ) async throws(OperationError) -> JSON {
        let (admitted, site) = try await admitToSign(request, by: caller)
        return try await look(admitted) { reader in
            let (action, target) = try self.action(admitted, seed, site: site, reader)
            return Look(value: action, target: target?.id, tenant: target?.tenantID, isAllowed: true)
        }
    }

    /// The canonical action of a request as it stands now, which has to be what was signed. A refusal is recorded like that of
    /// the request itself, which is not sent on after it.
    public func action(
        of request: OperationRequest, by caller: Caller, seed: IntentSeed
    ) async throws(OperationError) -> JSON {
        let (admitted, site) = try await admitToSign(request, by: caller)
        do {
            return try await database.read { reader in try self.action(admitted, seed, site: site, reader).action }
        } catch {
            let failure = translate(error, request)
            if let refusal = Self.refusalToRecord(failure, isClash: false) {
                try await recordRefusal(refusal, failure, admitted)
            } else if Self.isDenial(failure) {
                let spec = admitted.operation.spec
                try await recordDenial(spec.permission, operation: spec.name, by: caller)
            }
            throw failure
        }
    }

    private func admitToSign(
        _ request: OperationRequest, by caller: Caller
    ) async throws(OperationError) -> (Admitted, PasskeySite) {
        var request = request
        request.intent = nil
        let admitted = try await admit(request, by: caller, isPreview: true)
        guard let site = settings.passkeySite, Self.signs(admitted.operation.spec) else {
            throw .conflict("\(request.operation) is not signed with a passkey here.", legal: nil)
        }
        return (admitted, site)
    }

    private func action(
        _ admitted: Admitted, _ seed: IntentSeed, site: PasskeySite, _ reader: any Reader
    ) throws -> (action: JSON, target: (any Entity)?) {
        if let undone = admitted.request.undoes { try checkStillUndoable(undone, admitted.request, reader) }
        if Self.isDecision(admitted.operation.spec.name) { return try decision(admitted, reader) }
        let policy = try policy(for: admitted.operation, reader)
        let now = try plan(admitted, stored: nil, seed, reader)
        let spending = Spending(
            now.rehearsed.measures, tenant: Self.tenant(now.rehearsed), person: admitted.caller.person)
        let needs = try judge(
            admitted.operation, now.rehearsed.measures, spending, of: admitted.caller, under: policy.rules,
            about: Self.tenant(now.rehearsed), from: reader
        ).needs
        return (action(admitted, now, needs, seed, site: site), now.rehearsed.target)
    }

    private func decision(
        _ admitted: Admitted, _ reader: any Reader
    ) throws -> (action: JSON, target: (any Entity)?) {
        let rehearsed = try admitted.operation.rehearse(
            rehearsal(
                admitted, stored: nil, eventID: Identifier.mint("evt", at: reader.now), fresh: fresh(at: reader.now),
                isQuestion: true), reader)
        try Self.confine(admitted, to: rehearsed)
        if let refusal = rehearsed.refusal { throw Self.error(for: refusal) }
        guard
            let signature = rehearsed.plan?.changes.lazy.compactMap({ $0.after as? ApprovalSignature }).first
        else { throw OperationError.internalError("a decision without a statement") }
        return (signature.statement, rehearsed.target)
    }

    /// A plan as it is signed: made with the clock of the question, and with values that come out the same for the answer.
    typealias SignedPlan = (rehearsed: AnyOperation.Rehearsed, plan: AnyOperation.ErasedPlan)

    private func plan(
        _ admitted: Admitted, stored: Row??, _ seed: IntentSeed, _ reader: any Reader
    ) throws -> SignedPlan {
        let rehearsed = try admitted.operation.rehearse(
            rehearsal(
                admitted, stored: stored, eventID: seed.eventID,
                fresh: fresh(at: seed.at, salt: seed.salt("details")), at: seed.at, isQuestion: true), reader)
        try Self.confine(admitted, to: rehearsed)
        if let refusal = rehearsed.refusal { throw Self.error(for: refusal) }
        guard let plan = rehearsed.plan else { throw OperationError.internalError("a plan without a result") }
        return (rehearsed, plan)
    }

    /// Ids, commitments and digests only, so that it can be published.
    private func action(
        _ admitted: Admitted, _ signed: SignedPlan, _ needs: [ApprovalNeed], _ seed: IntentSeed, site: PasskeySite
    ) -> JSON {
        let target = signed.rehearsed.target
        let needsJSON = JSON.array(needs.map(\.json))
        let planned = Self.planJSON(signed.plan, measures: signed.rehearsed.measures, needs: needsJSON)
        var commitments: [String: JSON] = [:]
        for (name, text) in [("justification", admitted.justification), ("ticket", admitted.ticket)] {
            guard let text else { continue }
            commitments[name] = .string(
                Base64.encode(SealedMember.commitment(salt: seed.salt(name), value: .string(text))))
        }
        let code = admitted.request.reasonCode.flatMap { $0.isEmpty ? nil : $0 }
        return .members([
            ("intent", .string(SignedIntent.form)), ("decision", "request"),
            ("operation", .string(admitted.operation.spec.name)), ("operation_id", .string(seed.operationID)),
            ("target", target.map { ["type": .string(type(of: $0).type), "id": .string($0.id)] }),
            ("version", target.map { .int($0.version) }), ("reason_code", code.map(JSON.string)),
            ("undoes", admitted.request.undoes.map(JSON.string)),
            ("not_before", admitted.request.notBefore.map { .string($0.rfc3339) }),
            ("person", .string(admitted.caller.person)),
            ("sealed", .object(commitments)),
            ("plan_digest", .string(PlanDigest.hex(planned, salt: seed.salt("details")))),
            ("demands_sha256", .string(sha256(needsJSON.canonical).hex)),
            ("rules", .array(needs.map { ["rule": .string($0.rule), "version": .int($0.version)] })),
            ("expires_at", .string((seed.at + (needs.map(\.window).min() ?? .minutes(5))).rfc3339)),
            ("rp_id", .string(site.id)),
        ])
    }

    /// Holds what was signed against what would be done now.
    func checkSigned(
        _ admitted: Admitted, stored: Row??, _ needs: [ApprovalNeed], _ seed: IntentSeed, _ tx: any Writer
    ) throws -> SignedPlan {
        let signed = try plan(admitted, stored: stored, seed, tx)
        guard let site = settings.passkeySite, let intent = admitted.request.intent,
            intent.person == admitted.caller.person,
            action(admitted, signed, needs, seed, site: site) == intent.action
        else { throw OperationError.conflict(PasskeyRefusal.otherAction.sentence, legal: nil) }
        return signed
    }
}

extension Pipeline {
    /// The events that tell of a request, oldest first: what was asked, each decision of it, and what came of it.
    public func evidence(of id: String, by caller: Caller) async throws(OperationError) -> [String] {
        try await read("audit.view", by: caller) { reader in
            guard Identifier.isValid(id, prefix: ApprovalRequest.idPrefix),
                let request = try ApprovalRequest.load(id, from: reader)
            else { throw OperationError.notFound("There is no request \(id.prefix(60)).") }
            let signatures = try reader.query(self.records.signatures(approval: id)).map(ApprovalSignature.init)
            var events = [request.eventID]
            for event in [request.planEventID] + signatures.map(\.eventID) + [request.outcomeEventID].compactMap({ $0 })
            where !events.contains(event) { events.append(event) }
            return (
                events,
                Disclosure(
                    "approval.evidence", target: (ApprovalRequest.type, id), tenant: request.aboutTenant, count: 1,
                    ids: [id])
            )
        }
    }
}
