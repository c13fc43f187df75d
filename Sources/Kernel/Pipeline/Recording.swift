// Reads, which are recorded before they are answered, and events that are no operations (spec: audit-log §1).
extension Pipeline {
    /// Reads under a permission (`nil`: any signed-in person) in a READ ONLY transaction, and records the disclosure
    /// before returning: a read that can't be logged is not served.
    public func read<T: Sendable>(
        _ permission: String?, by caller: Caller,
        _ body: @escaping @Sendable (any Reader) throws -> (T, Disclosure?)
    ) async throws(OperationError) -> T {
        if let permission, !caller.isSystem, !caller.permissions.contains(permission) {
            try await recordDenial(permission, operation: nil, by: caller)
            throw .forbidden(
                permission: permission,
                detail: caller.emergency.flatMap { $0.isSolo ? $0.sentence : nil }
                    ?? "This needs the permission \(permission), which none of your roles holds.")
        }
        let value: T
        let disclosure: Disclosure?
        do {
            (value, disclosure) = try await database.read { reader in try body(reader) }
        } catch {
            let failure = translate(error, nil)
            // What a page finds out only while it reads is a denial like any other.
            if case .forbidden(let permission, _) = failure {
                try await recordDenial(permission, operation: nil, by: caller)
            }
            throw failure
        }
        // One's own pages ask for no permission; what is shown of a customer names the tenant, and a list is of none.
        if let permission, let sentence = caller.emergency?.refusal(on: disclosure?.tenant) {
            try await recordDenial(permission, operation: nil, by: caller)
            throw .forbidden(permission: permission, detail: sentence)
        }
        if let disclosure { try await disclose(disclosure, to: caller) }
        return value
    }

    /// Records that data was shown, folding repeats of the same session on the same object within 60 s.
    public func disclose(_ disclosure: Disclosure, to caller: Caller) async throws(OperationError) {
        let now = clock.now
        let key = Self.foldingKey(disclosure, caller)
        guard !folding.covers(key, at: now) else { return }
        var draft = EventDraft(at: now, .access, disclosure.action, by: caller)
        draft.tenant = disclosure.tenant
        draft.target = disclosure.target
        if let count = disclosure.count { draft.facts = ["count": .int(Int64(count))] }
        let ids = JSON.array(disclosure.ids.map(JSON.string)).canonical
        // The digest is sealed: unsalted digests of a handful of ids could be guessed.
        draft.sealed["details"] = .init(
            JSON.members([
                ("query", disclosure.query),
                ("ids_sha256", disclosure.count.map { _ in .string(sha256(ids).hex) }),
            ]),
            subjects: Set([caller.person] + (disclosure.target.map { [$0.id] } ?? []) + disclosure.subjects).sorted())
        try await record([draft])
        folding.remember(key, at: now)
    }

    static func foldingKey(_ disclosure: Disclosure, _ caller: Caller) -> String {
        "\(caller.authentication?.session ?? caller.actor.id)|\(disclosure.foldingKey)"
    }

    // MARK: - Events that are not operations

    /// Records events that are not operations (looks, refusals) in one transaction with `also`. Without it requests of the same
    /// moment share a transaction.
    public func record(_ drafts: [EventDraft], also statements: [Statement] = []) async throws(OperationError) {
        if let reason = hooks.blocked() { throw .unavailable(reason) }
        do {
            let events = drafts.map { SealedEvent($0) }
            if statements.isEmpty, events.allSatisfy(\.entities.isEmpty) {
                try await queue.record(events)
            } else {
                try await write(events, statements)
            }
        } catch {
            throw translate(error, nil)
        }
        hooks.committed()
    }

    private func write(_ events: [SealedEvent], _ statements: [Statement]) async throws {
        try await database.write { tx in
            tx.enqueue(records.insert(events))
            tx.enqueue(statements)
        }
    }

    /// Records that `caller` lacked a permission; five within ten minutes by one person raise a security event, by whichever of
    /// their accounts.
    public func recordDenial(_ permission: String, operation: String?, by caller: Caller) async throws(OperationError) {
        let now = clock.now
        do {
            try await database.write { tx in
                try tx.lock(["denials:\(caller.person)"])
                var draft = EventDraft(at: now, .authz, "authz.denied", .denied, by: caller)
                draft.facts =
                    JSON.members([
                        ("permission", .string(permission)), ("operation", operation.map(JSON.string)),
                    ]).object ?? [:]
                tx.enqueue(records.insert(SealedEvent(draft)))
                let count =
                    try tx.first(records.denials(person: caller.person, since: now - .minutes(10)))?.int("count") ?? 0
                if count == Self.denialBurst {
                    var burst = EventDraft(at: now, .authz, "authz.denial_burst", .blocked, by: caller)
                    burst.facts = ["count": .int(count), "minutes": 10]
                    burst.linked = draft.id
                    tx.enqueue(records.insert(SealedEvent(burst)))
                    if settings.sendsMail {
                        let notice = Effect(
                            kind: "mail", name: "mail.denial_burst", summary: "Mail to those who look after security",
                            payload: ["role": "security"], tenant: nil)
                        tx.enqueue(
                            records.enqueue(
                                notice, id: Identifier.mint("out", at: tx.now), event: burst.id, operationID: "",
                                tenantVersion: nil, at: tx.now))
                    }
                }
            }
        } catch {
            throw translate(error, nil)
        }
        hooks.committed()
    }

    /// How many denials within ten minutes raise a security event.
    static let denialBurst: Int64 = 5
}
