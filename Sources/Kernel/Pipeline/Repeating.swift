// What a key stands for, and the answer it gets again (spec: operations §1, "Idempotency").
extension Pipeline {
    /// SHA-256 of the canonical {operation, target, body, If-Match}.
    static func fingerprint(_ request: OperationRequest) -> [UInt8] {
        sha256(
            JSON.members([
                ("operation", .string(request.operation)), ("target", request.target.map(JSON.string)),
                ("input", request.sent ?? request.input), ("reason_code", request.reasonCode.map(JSON.string)),
                ("justification", request.justification.map(JSON.string)), ("ticket", request.ticket.map(JSON.string)),
                ("if_match", request.ifMatch.map(JSON.int)), ("undoes", request.undoes.map(JSON.string)),
                ("not_before", request.notBefore.map { .int($0.microseconds) }),
            ]).canonical)
    }

    /// What the request with this key of the caller's came to, for a result page; `.notFound` when nothing is stored.
    ///
    /// Like every repetition it is only for who may still carry the operation out, and looking at it later is a read
    /// of its own.
    public func outcome(ofKey key: String, by caller: Caller) async throws(OperationError) -> Outcome {
        let stored: StoredOutcome
        let result: Outcome.Result
        do {
            (stored, result) = try await database.read { reader in
                guard let row = try reader.first(self.records.idempotency(person: caller.keyOwner, key: key)) else {
                    throw OperationError.notFound("There is no result under this key; results are kept for a day.")
                }
                let stored = try self.records.storedOutcome(row)
                return (stored, try self.replay(stored, reader))
            }
        } catch {
            throw translate(error, nil)
        }
        if let spec = catalog[stored.operation]?.spec, !caller.isSystem, !caller.permissions.contains(spec.permission) {
            try await recordDenial(spec.permission, operation: spec.name, by: caller)
            throw .forbidden(
                permission: spec.permission,
                detail: "Seeing this result needs the permission \(spec.permission), which none of your roles holds.")
        }
        if case .applied(let applied) = result, applied.before != nil || applied.after != nil {
            try await disclose(Self.resultShown(stored.eventID), to: caller)
        }
        var outcome = Outcome(result, replayed: true)
        outcome.storedAt = stored.storedAt
        return outcome
    }

    /// What was queued with what was done, as far as it reached somebody; `nil` where that is not known any more. It is looked up
    /// afterwards, for whoever is shown it: no mutation waits for that.
    public func queued(with outcome: Outcome) async throws(OperationError) -> [Effect]? {
        guard case .applied(let applied) = outcome.result, let sent = applied.sent else { return nil }
        do {
            return try await database.read { reader in
                let queuing = Queuing(at: outcome.storedAt ?? reader.now, event: applied.eventID)
                return try self.reaching(sent, queuing, reader)
            }
        } catch {
            throw translate(error, nil)
        }
    }

    /// What a request with this key got before; `nil` where none came.
    /// - Throws: `.keyReused` where the key stands for something else.
    public func outcome(of request: OperationRequest, by caller: Caller) async throws(OperationError) -> Outcome? {
        guard let key = request.idempotencyKey else { return nil }
        do {
            return try await database.read { reader -> Outcome? in
                guard let row = try reader.first(self.records.idempotency(person: caller.keyOwner, key: key)) else {
                    return nil
                }
                let stored = try self.records.storedOutcome(row)
                guard constantTimeEqual(stored.fingerprint, Self.fingerprint(request)) else {
                    throw OperationError.keyReused
                }
                return try self.repeated(stored, reader)
            }
        } catch {
            throw translate(error, request)
        }
    }

    /// Keeps the answer to a request that found nothing to change, so that its key stands for it from then on. There is no event.
    /// - Returns: what the same request came to meanwhile, which is its answer then; nothing is kept.
    /// - Throws: `.keyReused` where the key stands for something else.
    public func keepUnchanged(
        _ request: OperationRequest, by caller: Caller
    ) async throws(OperationError) -> Outcome? {
        guard let key = request.idempotencyKey else { return nil }
        let fingerprint = Self.fingerprint(request)
        do {
            return try await database.write { tx -> Outcome? in
                guard try tx.tryLock("idempotency:\(caller.keyOwner):\(key)") else { throw OperationError.keyRunning }
                if let row = try tx.first(self.records.idempotency(person: caller.keyOwner, key: key)) {
                    let stored = try self.records.storedOutcome(row)
                    guard constantTimeEqual(stored.fingerprint, fingerprint) else { throw OperationError.keyReused }
                    return try self.repeated(stored, tx)
                }
                let body = JSON.members([("kind", "unchanged"), ("answer", request.answer)])
                tx.enqueue(
                    self.records.storeOutcome(
                        StoredOutcome(operation: request.operation, fingerprint: fingerprint, eventID: "", body: body),
                        person: caller.keyOwner, key: key, at: tx.now))
                return nil
            }
        } catch {
            throw translate(error, request)
        }
    }

    func repeated(_ stored: StoredOutcome, _ reader: any Reader) throws -> Outcome {
        var outcome = Outcome(try replay(stored, reader), replayed: true)
        outcome.answer = stored.body["answer"]
        outcome.storedAt = stored.storedAt
        return outcome
    }

    static func resultShown(_ eventID: String) -> Disclosure {
        Disclosure("operation.result", target: ("event", eventID), count: 1, ids: [eventID])
    }

    func replay(_ stored: StoredOutcome, _ reader: any Reader) throws -> Outcome.Result {
        let body = stored.body
        let operationID = body["operation_id"]?.string ?? ""
        if body["kind"]?.string == "pending" {
            let needs = try body["demands"]?.array?.map(ApprovalNeed.init(json:)) ?? []
            return .pending(
                PendingApproval(
                    approvalID: body["approval_id"]?.string ?? "", operation: stored.operation,
                    operationID: operationID,
                    eventID: stored.eventID, needs: needs,
                    expiresAt: Instant(microseconds: body["expires_at"]?.int ?? 0)))
        }
        let sealed = try reader.first(records.sealedMembers(event: stored.eventID))?.json("members")
        func value(_ name: String) -> JSON? { sealed?[name]?["value"] }
        let undo = body["undo_operation"]?.string.flatMap { name in
            body["undo_until"]?.int.map { (operation: name, until: Instant(microseconds: $0)) }
        }
        var applied = Applied(
            operation: stored.operation, operationID: operationID, eventID: stored.eventID,
            target: body["target"]?.string, before: value("changes.0.before"), after: value("changes.0.after"),
            consequence: value("details")?["consequence"]?.string ?? "", undo: undo, reveal: [:],
            version: body["version"]?.int, created: body["created"]?.bool ?? false)
        applied.sent = body["sent"]?.array.map { effects in
            effects.map { effect in
                Effect(
                    kind: effect["kind"]?.string ?? "", name: effect["name"]?.string ?? "",
                    summary: effect["summary"]?.string ?? "", payload: .null, tenant: nil)
            }
        }
        return .applied(applied)
    }

    /// What was sent, as the stored answer keeps it: lines of a preview, which name nobody.
    static func kept(_ effects: [Effect]) -> JSON {
        .array(
            effects.map {
                ["kind": .string($0.kind), "name": .string($0.name), "summary": .string($0.summary)]
            })
    }
}
