import Synchronization

/// The only code that changes anything.
///
/// Order, normative (spec: operations §1):
///
///     a  parse every field → permission → step-up → justification
///     b  idempotency look-up, before anything is loaded
///     c  BEGIN, guards in sorted order, the target row locked
///     d  load, If-Match, gather, plan, measures, limits, approval rules — all inside the transaction
///     e  either the approval request with its event and the stored 202,
///        or changes, event, pending leaf, outbox rows and the stored response
///     f  COMMIT; then effects. A refusal is an event in a transaction of its own.
///
/// What waited for approval is carried out in `Execution.swift`, by d–f once more.
/// What a passkey signs of it is in `Signing.swift`, how what was done is taken back in `Undoing.swift`; reads, and events that are no operations, are in `Recording.swift`.
public struct Pipeline: Sendable {
    public let database: any Database
    public let records: any Records
    public let directory: any Directory
    public let catalog: Catalog
    public let settings: Settings
    let clock: Clock
    let hooks: Hooks
    private let running = RunningKeys()
    let folding = FoldingTable()
    let queue: EventQueue
    private let knownRules = KnownRules()

    public struct Settings: Sendable {
        /// How many requests one person may have open.
        public var openRequests = 20
        /// How people reach the console, without a slash at the end; one-time links begin with it.
        public var consoleURL = "http://localhost:8080"
        /// The site people's passkeys are bound to; `nil` where none can be used.
        public var passkeySite: PasskeySite?
        /// Seals the secrets that operations make; without it such operations are refused.
        public var masterKey: MasterKey?
        /// Whether mail is sent; otherwise none is queued, and none announced.
        public var sendsMail = false
        public init() {}
    }

    /// What the composition root connects.
    public struct Hooks: Sendable {
        /// A reason to refuse every write for now (the log can't be continued), or `nil`.
        public var blocked: @Sendable () -> String?
        /// After every commit that wrote events: wakes the sequencer and the outbox.
        public var committed: @Sendable () -> Void
        public init(
            blocked: @escaping @Sendable () -> String? = { nil }, committed: @escaping @Sendable () -> Void = {}
        ) {
            self.blocked = blocked
            self.committed = committed
        }
    }

    public init(
        database: any Database, records: any Records, directory: any Directory, catalog: Catalog,
        clock: Clock = .system, settings: Settings = Settings(), hooks: Hooks = Hooks()
    ) {
        self.database = database
        self.records = records
        self.directory = directory
        self.catalog = catalog
        self.clock = clock
        self.settings = settings
        self.hooks = hooks
        queue = EventQueue(database, records)
    }

    // MARK: - Mutations

    /// Carries an operation out, or stores the request for approval.
    public func run(_ request: OperationRequest, by caller: Caller) async throws(OperationError) -> Outcome {
        let admitted = try await admit(request, by: caller, isPreview: false)

        // b. The key is claimed in this process first, so that a second request with it answers 409 without waiting for
        //    the writer; across processes the transaction's advisory lock does the same.
        guard let key = request.idempotencyKey else {
            guard caller.isSystem || caller.isRuntime else { throw .keyMissing }
            return try await attempt(admitted, key: nil)
        }
        let scope = "\(caller.person)\u{0}\(key)"
        guard running.claim(scope) else { throw .keyRunning }
        defer { running.release(scope) }
        return try await attempt(admitted, key: key)
    }

    /// c–f, again up to three times when somebody else changed a row in between and the client did not say which version it saw.
    private func attempt(_ admitted: Admitted, key: String?) async throws(OperationError) -> Outcome {
        var tries = 0
        var isKeyKnown = false
        while true {
            tries += 1
            let step: Step
            do {
                step = try await database.write { [isKeyKnown] tx in
                    try transact(admitted, key: key, isKeyKnown: isKeyKnown, tx)
                }
            } catch StoreError.claimed where !isKeyKnown {
                isKeyKnown = true
                tries = 0
                continue
            } catch let error as StoreError where tries <= Self.retries && isWorthRetrying(error, admitted.request) {
                continue
            } catch {
                let failure = translate(error, admitted.request)
                if let refusal = Self.refusalToRecord(failure, isClash: error is StoreError) {
                    try await recordRefusal(refusal, failure, admitted)
                } else if case .notAsked = failure {
                    // Found out only with the target at hand: a denial like any other.
                    let spec = admitted.operation.spec
                    try await recordDenial(spec.permission, operation: spec.name, by: admitted.caller)
                }
                throw failure
            }
            switch step {
            case .done(var outcome):
                if !outcome.replayed {
                    hooks.committed()
                    // The event itself tells that this session has seen the result.
                    if case .applied(let applied) = outcome.result {
                        folding.remember(
                            Self.foldingKey(Self.resultShown(applied.eventID), admitted.caller), at: clock.now)
                    }
                    if let approval = outcome.isReady {
                        // Should this fail, the worker finds it.
                        outcome.execution = try? await execute(approval)
                    }
                }
                return outcome
            case .refused(let refusal):
                let failure = Self.error(for: refusal)
                try await recordRefusal(refusal, failure, admitted)
                throw failure
            }
        }
    }

    /// How often c–f are run again after a clash.
    private static let retries = 3

    /// A request that passed step a.
    struct Admitted: Sendable {
        let request: OperationRequest
        let operation: AnyOperation
        let input: any OperationInput
        let justification: String?
        let ticket: String?
        let caller: Caller
    }

    private enum Step: Sendable {
        case done(Outcome)
        /// The plan said no: nothing was written.
        case refused(Refusal)
    }

    func admit(
        _ request: OperationRequest, by caller: Caller, isPreview: Bool
    ) async throws(OperationError) -> Admitted {
        guard let operation = catalog[request.operation] else { throw .unknownOperation(request.operation) }
        let spec = operation.spec
        if spec.systemOnly ? !caller.isSystem && !caller.isRuntime : caller.isRuntime {
            throw .unknownOperation(request.operation)
        }
        if let reason = hooks.blocked() { throw .unavailable(reason) }

        var errors: [FieldError] = []
        var input: (any OperationInput)?
        do throws(InvalidFields) {
            input = try operation.parse(request.input)
        } catch {
            errors += error.errors
        }
        let (justification, ticket, missing) = Self.justify(request, spec, malformed: &errors)
        if let start = request.notBefore, start > clock.now + OperationRequest.longestDelay {
            errors.append(
                FieldError(
                    pointer: "/not_before",
                    detail: "not_before must be within \(OperationRequest.longestDelay.seconds / 86_400) days from now."
                ))
        }
        guard let input, errors.isEmpty else {
            throw .invalid(errors + (isPreview ? [] : missing))
        }

        guard caller.isSystem || caller.permissions.contains(spec.permission) else {
            try await recordDenial(spec.permission, operation: spec.name, by: caller)
            throw .forbidden(
                permission: spec.permission,
                detail: "\(spec.title) needs the permission \(spec.permission), which none of your roles holds.")
        }
        if let target = request.target, !operation.creates, !Self.isPlausibleID(target) {
            throw .notFound("There is no \(operation.targetType) \(target.prefix(60)).")
        }
        if !isPreview {
            if !caller.isSystem, spec.risk >= .high {
                guard let authentication = caller.authentication, authentication.isFresh
                else { throw .stepUpRequired(maxAge: caller.authentication?.stepUpAge ?? Authentication.stepUpAge) }
            }
            if !missing.isEmpty, !caller.isSystem { throw .invalid(missing) }
            // An undo names its version by the event: it refuses when the target changed since.
            if spec.requiresIfMatch, request.ifMatch == nil, request.undoes == nil, !caller.isSystem {
                throw .preconditionRequired
            }
        }
        return Admitted(
            request: request, operation: operation, input: input, justification: justification, ticket: ticket,
            caller: caller)
    }

    /// Checks the text of justification, ticket and reason code. Malformed ones join the field errors; absent ones are
    /// answered apart, after step-up.
    static func justify(
        _ request: OperationRequest, _ spec: OperationSpec, malformed errors: inout [FieldError]
    ) -> (justification: String?, ticket: String?, missing: [FieldError]) {
        var missing: [FieldError] = []
        func text(_ value: String?, _ pointer: String, _ label: String, _ rule: TextRule) -> String? {
            guard let value, !value.isEmpty else { return nil }
            do throws(FieldError.Reason) {
                return try rule.check(value)
            } catch {
                errors.append(FieldError(pointer: pointer, detail: "\(label) \(error.text)"))
                return nil
            }
        }
        let justification = text(
            request.justification, "/justification", "Justification", .prose(0...OperationRequest.longestJustification))
        let ticket = text(request.ticket, "/ticket", "Ticket", .line(0...OperationRequest.longestTicket))
        let codes = spec.reasonCodes.map(\.code)
        if let code = request.reasonCode, !code.isEmpty {
            if !codes.contains(code) {
                let detail =
                    codes.isEmpty
                    ? "This operation takes no reason code."
                    : "Reason code must be one of \(codes.joined(separator: ", "))."
                errors.append(FieldError(pointer: "/reason_code", detail: detail))
            }
        } else if !codes.isEmpty {
            missing.append(
                FieldError(pointer: "/reason_code", detail: "Choose a reason code: \(codes.joined(separator: ", "))."))
        }
        // What is there and malformed is named once, not as missing too.
        func isMalformed(_ pointer: String) -> Bool { errors.contains { $0.pointer == pointer } }
        if case .required(let count) = spec.justification, !isMalformed("/justification") {
            let length = justification?.count ?? 0
            if length < count {
                missing.append(
                    FieldError(
                        pointer: "/justification",
                        detail: length == 0
                            ? "Justification is required: say in at least \(count) characters why this is done."
                            : "Justification must have at least \(count) characters; it has \(length)."))
            }
        }
        if spec.ticketRequired, ticket == nil, !isMalformed("/ticket") {
            missing.append(FieldError(pointer: "/ticket", detail: "Ticket is required."))
        }
        return (justification, ticket, missing)
    }

    /// Ids are compared as bytes and never contain anything but these.
    private static func isPlausibleID(_ text: String) -> Bool {
        (1...120).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                    || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ":") || byte == UInt8(ascii: ".")
                    || byte == UInt8(ascii: "-")
            }
    }

    /// c–e, inside the transaction.
    ///
    /// A key is nearly always new. That it is travels as a claim with the first reads, and is made sure of before them; one that is
    /// running or done is found by the claim, and looked up by itself the next time.
    private func transact(
        _ admitted: Admitted, key: String?, isKeyKnown: Bool, _ tx: any Writer
    ) throws -> Step {
        let request = admitted.request
        let operation = admitted.operation
        let caller = admitted.caller
        let fingerprint = Self.fingerprint(request)

        if let key {
            let lookUp = records.idempotency(person: caller.person, key: key)
            let name = "idempotency:\(caller.person):\(key)"
            if !isKeyKnown {
                try tx.claim(name, unless: lookUp)
            } else if try !tx.tryLock(name) {
                throw OperationError.keyRunning
            } else if let row = try tx.first(lookUp) {
                let stored = try records.storedOutcome(row)
                guard constantTimeEqual(stored.fingerprint, fingerprint) else { throw OperationError.keyReused }
                return .done(Outcome(try replay(stored, tx), replayed: true))
            }
        }

        try tx.lock(operation.guards(admitted.input, request.target).sorted().map(\.name))
        tx.foresee(operation.foresees(admitted.input, request.target) + [records.policy()])
        let targetID = operation.creates ? nil : request.target
        // Locked first: whatever is found out about it from here on holds until the commit.
        let stored = try targetID.map { try tx.first(operation.selectLocked($0, tx.dialect)) }
        let now = tx.now
        let eventID = Identifier.mint("evt", at: now)
        // What was signed names the operation it is.
        let seed = request.intent?.seed
        let operationID = seed?.operationID ?? Identifier.mint("op", at: now)
        if let undone = request.undoes {
            try checkStillUndoable(undone, request, tx)
        }
        // Should it wait for approval, the plan is made once more from the same values to see whether it is still the same.
        // Never from what was signed: its nonce is published, and what is carried out may make secrets.
        let salt = SecureRandom.bytes(32)
        let rehearsed = try operation.rehearse(
            rehearsal(admitted, stored: stored, eventID: eventID, fresh: fresh(at: now, salt: salt)), tx)
        if let refusal = rehearsed.refusal { return .refused(refusal) }
        guard let plan = rehearsed.plan else { throw OperationError.internalError("a plan without a result") }

        let policy = try policy(for: operation, tx)
        let spending = Spending(rehearsed.measures, tenant: Self.tenant(rehearsed), person: caller.person)
        if let spending { try tx.lock(spending.guards.map(\.name)) }
        let verdict = try judge(operation, rehearsed.measures, spending, of: caller, under: policy.rules, from: tx)
        if let sentence = verdict.overLimit { return .refused(.overLimit(sentence)) }
        let signed = try seed.map { seed in
            try checkSigned(admitted, stored: stored, verdict.needs, seed, tx)
        }

        let (draft, subjects) = draft(
            admitted, rehearsed, plan, eventID: eventID, operationID: operationID, policyVersion: policy.version)
        if !verdict.needs.isEmpty {
            if let signed, let seed {
                // What waits is what was signed: planned then, under the id it was planned with.
                let (draft, subjects) = self.draft(
                    admitted, signed.rehearsed, signed.plan, eventID: seed.eventID, operationID: operationID,
                    policyVersion: policy.version)
                return .done(
                    try storeRequest(
                        admitted, signed.rehearsed, signed.plan, verdict.needs, salt: seed.salt("details"),
                        draft: draft,
                        subjects: subjects, fingerprint: fingerprint, key: key, spending: spending,
                        measures: verdict.measures, tx))
            }
            return .done(
                try storeRequest(
                    admitted, rehearsed, plan, verdict.needs, salt: salt, draft: draft, subjects: subjects,
                    fingerprint: fingerprint, key: key, spending: spending, measures: verdict.measures, tx))
        }
        if let start = request.notBefore, now < start {
            throw OperationError.invalid([
                FieldError(
                    pointer: "/not_before",
                    detail:
                        "This needs no approval and would be carried out at once. Leave not_before out, or ask then.")
            ])
        }
        if let spending { tx.enqueue(records.spend(spending, event: eventID, approval: nil, at: now)) }
        return .done(
            try carryOut(
                admitted, rehearsed, plan, draft: draft, subjects: subjects, undoWindow: policy.undoWindow,
                measures: verdict.measures, fingerprint: fingerprint, key: key, tx))
    }

    /// - Parameters:
    ///   - stored: the target's row, when it was read and locked already.
    ///   - now: the clock reading to plan with, when it is not the transaction's.
    func rehearsal(
        _ admitted: Admitted, stored: Row??, eventID: String, fresh: Fresh, at now: Instant? = nil,
        signing: Signing? = nil
    ) -> AnyOperation.Rehearsal {
        let request = admitted.request
        let signing =
            signing
            ?? request.intent.flatMap { intent in
                settings.passkeySite.map { Signing(site: $0.id, signed: intent) }
            }
        return AnyOperation.Rehearsal(
            operation: request.operation, input: admitted.input,
            targetID: admitted.operation.creates ? nil : request.target, stored: stored,
            reasonCode: request.reasonCode, caller: admitted.caller, eventID: eventID, fresh: fresh,
            ifMatch: request.ifMatch, now: now, signing: signing, records: records, directory: directory)
    }

    /// The event as far as it is the same whether the operation is carried out or asked for, and whose data it is about.
    func draft(
        _ admitted: Admitted, _ rehearsed: AnyOperation.Rehearsed, _ plan: AnyOperation.ErasedPlan, eventID: String,
        operationID: String, policyVersion: Int64
    ) -> (EventDraft, subjects: [String]) {
        let request = admitted.request
        let operation = admitted.operation
        let caller = admitted.caller
        // A batch is about all its rows, not about the first one.
        let main = rehearsed.target ?? (plan.recordsDigests ? nil : plan.changes.first?.after)
        var draft = EventDraft(id: eventID, at: clock.now, .mutation, operation.spec.name, by: caller)
        draft.tenant = main?.tenantID
        draft.target = main.map { (type(of: $0).type, $0.id) }
        draft.reasonCode = request.reasonCode.flatMap { $0.isEmpty ? nil : $0 }
        draft.policyVersion = policyVersion
        draft.operationID = operationID
        draft.linked = request.undoes
        draft.facts = plan.facts
        if request.undoes != nil { draft.facts["undo"] = true }
        let subjects = main?.subjects ?? []
        // Where it was signed, under the salts of the commitments that were.
        let seed = request.intent?.seed
        if let text = admitted.justification {
            draft.sealed["justification"] = .init(
                .string(text), subjects: subjects + [caller.person], salt: seed?.salt("justification"))
        }
        if let ticket = admitted.ticket {
            draft.sealed["ticket"] = .init(.string(ticket), subjects: subjects, salt: seed?.salt("ticket"))
        }

        // Nobody's data: it holds ids, commitments and digests, and stays when people are erased.
        if let intent = request.intent { draft.sealed["intent"] = .init(intent.evidence, subjects: []) }

        // A decision is about the request's tenant, and found with the request.
        if let request = rehearsed.target as? ApprovalRequest {
            draft.eventClass = .approval
            draft.approvalID = request.id
        }
        return (draft, subjects)
    }

    /// e, second half: the changes, the event, the outbox rows and the stored response.
    ///
    /// - Parameter closing: what becomes of the request that this carries out.
    func carryOut(
        _ admitted: Admitted, _ rehearsed: AnyOperation.Rehearsed, _ plan: AnyOperation.ErasedPlan, draft: EventDraft,
        subjects: [String], undoWindow: Span, measures: Measures, fingerprint: [UInt8], key: String?,
        closing: Change? = nil, _ tx: any Writer
    ) throws -> Outcome {
        var draft = draft
        let operation = admitted.operation
        let now = tx.now
        let main = plan.recordsDigests ? nil : plan.changes.first
        // Made once, for event, answer and undo.
        let before = main?.before?.document
        let after = main?.after.document
        var details: [String: JSON] = ["consequence": .string(plan.consequence)]
        if case .object(let members) = plan.details?.value { details.merge(members) { _, own in own } }
        if !measures.values.isEmpty { details["measures"] = .object(measures.values) }
        if plan.recordsDigests {
            details["rows"] = draft.nameByDigest(plan.changes.map(\.after))
        } else {
            draft.changes = plan.changes.enumerated().map { index, change in
                index == 0
                    ? EventDraft.ChangeRecord(change, before: before, after: after) : EventDraft.ChangeRecord(change)
            }
        }
        draft.sealed["details"] = .init(.object(details), subjects: plan.details?.subjects ?? subjects)
        if let closing { draft.changes.append(.init(closing)) }

        let event = SealedEvent(draft)
        tx.enqueue(records.insert(event))
        for change in plan.changes { tx.enqueue(change.statements) }
        if let closing { tx.enqueue(closing.statements) }
        // A decision, the end of the request that is carried out, and those that end with whoever asked.
        for change in plan.changes + (closing.map { [$0] } ?? []) {
            if let request = change.after as? ApprovalRequest { tx.enqueue(records.follow(request)) }
        }
        tx.enqueue(plan.alsoWrite)

        let tenantVersion = plan.changes.first { $0.type == "tenant" }?.after.version
        for (slot, effect) in plan.effects.enumerated() where isPerformed(effect) && !effect.isWritten {
            let id = Identifier.make(
                "out", milliseconds: UInt64(now.microseconds / 1000),
                random: Array(sha256(Array("\(event.id):\(slot)".utf8)).prefix(10)))
            tx.enqueue(
                records.enqueue(
                    effect, id: id, event: event.id, operationID: draft.operationID ?? "", tenantVersion: tenantVersion,
                    at: now))
        }

        let target = rehearsed.target?.id ?? main?.id
        let undo = self.undo(
            operation,
            .init(
                target: target ?? "", before: before, after: after, reasonCode: draft.reasonCode,
                also: Self.further(plan)), window: undoWindow, at: now)
        let applied = Applied(
            operation: operation.spec.name, operationID: draft.operationID ?? "", eventID: event.id, target: target,
            before: before, after: after, consequence: plan.consequence,
            undo: undo.map { ($0.operation, $0.until) }, reveal: plan.reveal.mapValues(shown),
            version: main?.after.version,
            created: operation.creates && main?.before == nil)
        if let key {
            let body = JSON.members([
                ("kind", "applied"), ("operation_id", .string(applied.operationID)),
                ("target", target.map(JSON.string)),
                ("version", applied.version.map(JSON.int)), ("created", .bool(applied.created)),
                ("undo_operation", undo.map { .string($0.operation) }),
                ("undo_until", undo.map { .int($0.until.microseconds) }),
            ])
            tx.enqueue(
                records.storeOutcome(
                    StoredOutcome(
                        operation: operation.spec.name, fingerprint: fingerprint, eventID: event.id, body: body),
                    person: admitted.caller.person, key: key, at: now))
        }
        var outcome = Outcome(.applied(applied), replayed: false)
        if let approval = main?.after as? ApprovalRequest, approval.state == .approved {
            outcome.isReady = approval.id
        }
        return outcome
    }

    private func shown(_ revealed: Revealed) -> String {
        switch revealed {
        case .page(let path): settings.consoleURL + path
        case .text(let text): text
        }
    }

    /// Mail where none is sent is no effect.
    private func isPerformed(_ effect: Effect) -> Bool {
        effect.kind != "mail" || settings.sendsMail || effect.isWritten
    }

    /// - Parameter salt: makes the same values again, later, for a plan that is only compared.
    func fresh(at now: Instant, salt: [UInt8] = SecureRandom.bytes(32)) -> Fresh {
        Fresh(seed: sha256(Array("fresh:".utf8) + salt), at: now, masterKey: settings.masterKey)
    }

    /// e, first half: a rule matched, so the action is frozen and waits.
    private func storeRequest(
        _ admitted: Admitted, _ rehearsed: AnyOperation.Rehearsed, _ plan: AnyOperation.ErasedPlan,
        _ needs: [ApprovalNeed], salt: [UInt8], draft: EventDraft, subjects: [String], fingerprint: [UInt8],
        key: String?, spending: Spending?, measures: Measures, _ tx: any Writer
    ) throws -> Outcome {
        let request = admitted.request
        let operation = admitted.operation
        let now = tx.now
        let target = rehearsed.target
        var expired: (request: ApprovalRequest, change: Change)?
        if let target,
            let row = try tx.first(records.liveApproval(operation: operation.spec.name, target: target.id))
        {
            let twin = try ApprovalRequest(row)
            if let sentence = Self.sentence(of: twin, at: now) {
                throw OperationError.conflict(sentence, legal: nil)
            }
            // One whose window is over makes room.
            var after = twin
            after.state = .expired
            after.decidedAt = now
            after.version += 1
            expired = (after, .update(twin, to: after))
        }
        // Requests about different targets meet here, so that two can't both be the last one allowed.
        try tx.lock(["approvals:\(admitted.caller.person)"])
        let open = try tx.first(records.openApprovals(requester: admitted.caller.person, at: now))?.int("count") ?? 0
        guard open < settings.openRequests else {
            throw OperationError.conflict(
                "You have \(open) requests waiting for approval, which is the most one person may have. Wait until some are decided on or expire.",
                legal: nil)
        }

        // The plan and the fields may hold personal data: they are sealed with the event, and the frozen action carries
        // their commitments.
        let needsJSON = JSON.array(needs.map(\.json))
        let planJSON = Self.planJSON(plan, measures: rehearsed.measures, needs: needsJSON)
        let details = JSON.members([
            ("consequence", .string(plan.consequence)), ("input", request.input), ("plan", planJSON),
            ("measures", measures.values.isEmpty ? nil : .object(measures.values)),
        ])
        var draft = draft
        draft.eventClass = .approval
        draft.outcome = .requested
        draft.linked = request.undoes
        let approvalID = Identifier.mint("apr", at: now)
        draft.approvalID = approvalID
        let planSubjects = plan.changes.flatMap { ($0.before?.subjects ?? []) + $0.after.subjects }
        draft.sealed["details"] = .init(
            details, subjects: Array(Set(subjects + planSubjects)).sorted(), salt: salt)

        var commitments: [String: JSON] = [:]
        for (name, value) in draft.sealed where ["justification", "ticket", "details"].contains(name) {
            let salt = value.salt ?? SecureRandom.bytes(32)
            draft.sealed[name] = .init(value.value, subjects: value.subjects, salt: salt)
            commitments[name] = .string(
                Base64.encode(SealedMember.commitment(salt: salt, value: value.value)))
        }
        let action = JSON.members([
            ("operation", .string(operation.spec.name)), ("operation_id", draft.operationID.map(JSON.string)),
            ("target", target.map { ["type": .string(type(of: $0).type), "id": .string($0.id)] }),
            ("version", target.map { .int($0.version) }), ("reason_code", draft.reasonCode.map(JSON.string)),
            ("requester", .string(admitted.caller.person)), ("sealed", .object(commitments)),
            ("rules", .array(needs.map { .string($0.rule) })),
        ])
        let window = needs.map(\.window).min() ?? .hours(24)
        let pending = ApprovalRequest(
            id: approvalID, operation: operation.spec.name, targetType: target.map { type(of: $0).type },
            targetID: target?.id, aboutTenant: draft.tenant, requester: admitted.caller.person, action: action,
            planDigest: PlanDigest.hex(planJSON, salt: salt), demands: needsJSON, eventID: draft.id,
            plannedAt: request.intent?.seed?.at, createdAt: now, expiresAt: (request.intent?.seed?.at ?? now) + window,
            notBefore: request.notBefore)
        let change = Change.create(pending)
        draft.changes = ([change] + [expired?.change].compactMap { $0 }).map(EventDraft.ChangeRecord.init)

        let event = SealedEvent(draft)
        tx.enqueue(records.insert(event))
        if let expired {
            tx.enqueue(expired.change.statements)
            tx.enqueue(records.follow(expired.request))
        }
        tx.enqueue(change.statements)
        tx.enqueue(records.follow(pending))
        if let spending { tx.enqueue(records.spend(spending, event: draft.id, approval: approvalID, at: now)) }
        let answer = PendingApproval(
            approvalID: approvalID, operation: operation.spec.name, operationID: draft.operationID ?? "",
            eventID: event.id, needs: needs, expiresAt: pending.expiresAt)
        if let key {
            let body: JSON = [
                "kind": "pending", "approval_id": .string(approvalID), "operation_id": .string(answer.operationID),
                "demands": needsJSON, "expires_at": .int(pending.expiresAt.microseconds),
            ]
            tx.enqueue(
                records.storeOutcome(
                    StoredOutcome(
                        operation: operation.spec.name, fingerprint: fingerprint, eventID: event.id, body: body),
                    person: admitted.caller.person, key: key, at: now))
        }
        return Outcome(.pending(answer), replayed: false)
    }

    /// Why another request for the same must wait; `nil` when this one's window is over.
    private static func sentence(of twin: ApprovalRequest, at now: Instant) -> String? {
        if let start = twin.executeAt, twin.state.isDue {
            return
                "The same is approved already and is carried out at \(start.minuteText): \(twin.id). Cancel that request first."
        }
        guard now < twin.expiresAt else { return nil }
        return
            "The same request is already waiting for approval: \(twin.id). Wait until it is decided on; it expires at \(twin.expiresAt.rfc3339)."
    }

    /// What the approvers look at; `PlanDigest` reduces it to what their signatures are bound to.
    static func planJSON(_ plan: AnyOperation.ErasedPlan, measures: Measures, needs: JSON) -> JSON {
        .object([
            "changes": .array(plan.changes.map { EntityChange($0).json }),
            "effects": .array(
                plan.effects.map { ["kind": .string($0.kind), "name": .string($0.name), "payload": $0.payload] }),
            "measures": .object(measures.values), "demands": needs,
        ])
    }

    // MARK: - Rules and limits

    /// The rules that cover an operation as they are now, the version of everything that decides, and how long what is done
    /// now can be undone.
    func policy(
        for operation: AnyOperation, _ reader: any Reader
    ) throws -> (rules: [ApprovalRule], version: Int64, undoWindow: Span) {
        guard let row = try reader.first(records.policy()) else { throw StoreError.shape(column: "mark") }
        let name = operation.spec.name
        // Other rules stand under another mark. Those that are read now may be newer than it, never older.
        let rules =
            try knownRules.rules(covering: name, at: row.string("mark"))
            ?? knownRules.rules(covering: name, reading: reader.query(records.rules()), records.rule)
        // What Postern does by itself, and deciding, wait for nobody: a rule over them would stop everything for good.
        let isExempt = operation.spec.systemOnly || operation.targetType == ApprovalRequest.type
        return (isExempt ? [] : rules, try row.int("version"), try Self.undoWindow(row))
    }

    /// What rules and limits say to an operation.
    struct Verdict {
        let needs: [ApprovalNeed]
        /// What the rules looked at; recorded, so that another rule can be tried on the past.
        let measures: Measures
        /// Why not, when it is over the caller's limit and no rule asks for a signature.
        let overLimit: String?
    }

    /// - Parameters:
    ///   - spending: the money it moves; its guards are held where this decides.
    ///   - approval: the request being carried out, which does not count against itself.
    func judge(
        _ operation: AnyOperation, _ measures: Measures, _ spending: Spending?, of caller: Caller,
        under rules: [ApprovalRule], without approval: String? = nil, from reader: any Reader
    ) throws -> Verdict {
        let overLimit = Self.overLimit(operation, measures, caller)
        var measures = measures
        if let spending, !rules.isEmpty {
            let since = reader.now - Spending.period
            let found = try reader.query([
                records.rates(), records.spent(tenant: spending.tenant, since: since, without: approval),
                records.spent(person: spending.person, since: since),
            ])
            var micros: [String: Int64] = [:]
            for row in found[0] { micros[try row.string("id")] = try row.int("micros") }
            measures = try spending.weighed(
                measures, covering: rules, rates: Rates(micros: micros), tenantRows: found[1], personRows: found[2],
                isOverLimit: overLimit != nil)
        }
        let needs = rules.filter { $0.condition.matches(measures) }.map(ApprovalNeed.init)
        return Verdict(needs: needs, measures: measures, overLimit: needs.isEmpty ? overLimit : nil)
    }

    /// The tenant it is about: money to it counts together.
    static func tenant(_ rehearsed: AnyOperation.Rehearsed) -> String? {
        rehearsed.target?.tenantID ?? rehearsed.plan?.changes.first?.after.tenantID
    }

    /// A sentence when the caller's grant carries a limit below the measured amount and no rule covers it.
    static func overLimit(_ operation: AnyOperation, _ measures: Measures, _ caller: Caller) -> String? {
        guard let amount = measures.values["amount"]?.int, let currency = measures.values["currency"]?.string,
            let limits = caller.permissions.limits(on: operation.spec.permission), !limits.isEmpty
        else { return nil }
        // A currency without its own row falls under the strictest.
        let limit = limits.first { $0.currency == currency } ?? limits.min { $0.amount < $1.amount }!
        guard amount > limit.amount else { return nil }
        return "Your limit for this is \(limit.amount) \(limit.currency) in minor units; this is \(amount) \(currency)."
    }

    // MARK: - Idempotency

    /// SHA-256 of the canonical {operation, target, body, If-Match}.
    static func fingerprint(_ request: OperationRequest) -> [UInt8] {
        sha256(
            JSON.members([
                ("operation", .string(request.operation)), ("target", request.target.map(JSON.string)),
                ("input", request.input), ("reason_code", request.reasonCode.map(JSON.string)),
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
                guard let row = try reader.first(self.records.idempotency(person: caller.person, key: key)) else {
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
        return Outcome(result, replayed: true)
    }

    private static func resultShown(_ eventID: String) -> Disclosure {
        Disclosure("operation.result", target: ("event", eventID), count: 1, ids: [eventID])
    }

    private func replay(_ stored: StoredOutcome, _ reader: any Reader) throws -> Outcome.Result {
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
        return .applied(
            Applied(
                operation: stored.operation, operationID: operationID, eventID: stored.eventID,
                target: body["target"]?.string, before: value("changes.0.before"), after: value("changes.0.after"),
                consequence: value("details")?["consequence"]?.string ?? "", undo: undo, reveal: [:],
                version: body["version"]?.int, created: body["created"]?.bool ?? false))
    }

    // MARK: - Preview

    /// Says what an operation would do. Writes nothing but one `access` event.
    public func preview(_ request: OperationRequest, by caller: Caller) async throws(OperationError) -> Preview {
        let admitted = try await admit(request, by: caller, isPreview: true)
        let operation = admitted.operation
        let preview: Preview
        let tenant: String?
        do {
            (preview, tenant) = try await database.read { reader in try self.rehearse(admitted, reader) }
        } catch {
            let failure = translate(error, request)
            // Its sentence may tell what the target holds, as an undo's does: it is a look like any other.
            if Self.refusalToRecord(failure, isClash: false) != nil {
                var draft = EventDraft(at: clock.now, .access, operation.spec.name, by: caller)
                draft.target = request.target.map { (operation.targetType, $0) }
                draft.facts = ["preview": true, "allowed": false]
                try await record([draft])
            }
            throw failure
        }
        var draft = EventDraft(at: clock.now, .access, operation.spec.name, by: caller)
        draft.tenant = tenant
        draft.target = preview.target.map { (operation.targetType, $0) }
        draft.facts = ["preview": true, "allowed": .bool(preview.allowed)]
        try await record([draft])
        return preview
    }

    private func rehearse(_ admitted: Admitted, _ reader: any Reader) throws -> (Preview, tenant: String?) {
        let request = admitted.request
        let operation = admitted.operation
        let eventID = Identifier.mint("evt", at: reader.now)
        if let undone = request.undoes { try checkStillUndoable(undone, request, reader) }
        let rehearsed = try operation.rehearse(
            rehearsal(admitted, stored: nil, eventID: eventID, fresh: fresh(at: reader.now)), reader)
        var reasons: [String] = []
        if let refusal = rehearsed.refusal { reasons.append(Self.sentence(refusal)) }
        let policy = try policy(for: operation, reader)
        let spending = Spending(
            rehearsed.measures, tenant: Self.tenant(rehearsed), person: admitted.caller.person)
        let verdict =
            rehearsed.plan == nil
            ? nil
            : try judge(
                operation, rehearsed.measures, spending, of: admitted.caller, under: policy.rules, from: reader)
        let needs = verdict?.needs ?? []
        if let sentence = verdict?.overLimit { reasons.append(sentence) }
        if !needs.isEmpty, let target = rehearsed.target,
            let row = try reader.first(records.liveApproval(operation: operation.spec.name, target: target.id)),
            let sentence = Self.sentence(of: try ApprovalRequest(row), at: reader.now)
        {
            reasons.append(sentence)
        }
        let main = rehearsed.plan?.changes.first
        let question = AnyOperation.UndoQuestion(
            target: rehearsed.target?.id ?? main?.id ?? "", before: main?.before?.document, after: main?.after.document,
            reasonCode: request.reasonCode, also: rehearsed.plan.map(Self.further) ?? [])
        let (reversibility, undoOperation) = self.reversibility(
            operation, question, window: policy.undoWindow)
        return (
            Preview(
                operation: operation.spec.name, target: rehearsed.target?.id, allowed: reasons.isEmpty,
                reasons: reasons,
                consequence: rehearsed.plan?.consequence, changes: rehearsed.plan?.changes.map(EntityChange.init) ?? [],
                effects: (rehearsed.plan?.effects ?? []).filter(isPerformed), approvals: needs,
                reversibility: reversibility,
                undoOperation: undoOperation, version: rehearsed.target?.version),
            rehearsed.target?.tenantID
        )
    }

    // MARK: - Refusals and failures

    private func recordRefusal(_ refusal: Refusal, _ failure: OperationError, _ admitted: Admitted)
        async throws(OperationError)
    {
        let operation = admitted.operation
        var draft = EventDraft(at: clock.now, .mutation, operation.spec.name, .denied, by: admitted.caller)
        draft.target = admitted.request.target.map { (operation.targetType, $0) }
        draft.tenant = operation.targetType == "tenant" ? admitted.request.target : nil
        draft.reasonCode = admitted.request.reasonCode.flatMap { $0.isEmpty ? nil : $0 }
        draft.facts = ["refusal": .string(Self.word(failure))]
        let subjects = (admitted.request.target.map { [$0] } ?? []) + [admitted.caller.person]
        draft.sealed["details"] = .init(["reason": .string(Self.sentence(refusal))], subjects: subjects)
        if let text = admitted.justification {
            draft.sealed["justification"] = .init(.string(text), subjects: subjects)
        }
        try await record([draft])
    }

    /// Failures that are a decision against the person who asked, as opposed to a malformed or repeated request.
    ///
    /// - Parameter isClash: a unique rule refused at commit what the plan would have refused a moment later.
    private static func refusalToRecord(_ error: OperationError, isClash: Bool) -> Refusal? {
        switch error {
        case .invalid(let errors) where isClash:
            errors.first.map { .field(String($0.pointer.split(separator: "/").last ?? ""), $0.detail) }
        case .conflict(let detail, let legal): .conflict(detail, legal: legal)
        case .locked(let detail): .locked(detail)
        case .overLimit(let detail): .overLimit(detail)
        case .preconditionFailed(let current): .conflict("It changed meanwhile: the current version is \(current).")
        default: nil
        }
    }

    static func error(for refusal: Refusal) -> OperationError {
        switch refusal {
        case .conflict(let detail, let legal): .conflict(detail, legal: legal)
        case .field(let field, let detail): .invalid([FieldError(pointer: "/input/\(field)", detail: detail)])
        case .locked(let detail): .locked(detail)
        case .overLimit(let detail): .overLimit(detail)
        case .notFound(let detail): .notFound(detail)
        }
    }

    static func sentence(_ refusal: Refusal) -> String {
        switch refusal {
        case .conflict(let detail, _), .field(_, let detail), .locked(let detail), .overLimit(let detail),
            .notFound(let detail):
            detail
        }
    }

    private static func word(_ error: OperationError) -> String {
        switch error {
        case .locked: "locked"
        case .overLimit: "over_limit"
        case .preconditionFailed: "precondition_failed"
        case .invalid: "invalid"
        case .notFound: "not_found"
        default: "conflict"
        }
    }

    private func isWorthRetrying(_ error: StoreError, _ request: OperationRequest) -> Bool {
        switch error {
        case .retry: true
        case .rowCount: request.ifMatch == nil
        default: false
        }
    }

    func translate(_ error: any Error, _ request: OperationRequest?) -> OperationError {
        if let error = error as? OperationError { return error }
        if let error = error as? InvalidFields { return .invalid(error.errors) }
        if let error = error as? Refusal { return Self.error(for: error) }
        guard let error = error as? StoreError else { return .internalError(String(describing: error)) }
        switch error {
        case .unique(let constraint):
            if constraint == "approvals_live" {
                return .conflict("The same request is already waiting for approval.", legal: nil)
            }
            if let field = catalog.uniqueRules[constraint] { return .invalid([field]) }
            return .conflict("Another record already has this value (\(constraint)).", legal: nil)
        case .rowCount, .retry:
            return .conflict("Somebody else changed this at the same moment. Look at it again, then retry.", legal: nil)
        case .unavailable(let detail, let mayHaveCommitted):
            return .unavailable(
                mayHaveCommitted
                    ? "The database went away while committing. Retry with the same idempotency key to learn the outcome. (\(detail))"
                    : "The database can't be reached right now. (\(detail))")
        case .claimed: return .keyRunning
        case .full(let detail): return .unavailable("The database can't store anything: \(detail)")
        case .ungoverned(let detail): return .internalError("a governed row was written without its event: \(detail)")
        case .constraint(let detail), .other(let detail): return .internalError(detail)
        case .shape(let column): return .internalError("unexpected value in column \(column)")
        }
    }
}

extension ApprovalNeed {
    /// Reads what `json` wrote.
    public init(json: JSON) throws {
        guard let rule = json["rule"]?.string, let version = json["version"]?.int,
            let summary = json["summary"]?.string, let demand = json["demand"].flatMap(Demand.init),
            let window = json["window_seconds"]?.int
        else { throw StoreError.shape(column: "demands") }
        self.init(
            rule: rule, version: version, summary: summary, demand: demand, window: .seconds(window),
            cooldown: json["cooldown_seconds"]?.int.map(Span.seconds))
    }
}
