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
///        or changes with what follows from them, event, pending leaf, outbox rows and the stored response
///     f  COMMIT; then effects. A refusal is an event in a transaction of its own.
///
/// What waited for approval is carried out in `Execution.swift`, by d–f once more.
/// Several operations of one message are carried out in `Together.swift`, by the same steps. What a key gets again is in `Repeating.swift`. Rules, and the request that waits, are in `Asking.swift`, what is sealed beside its plan in `Foretelling.swift`, previews in `Previewing.swift`, refusals in `Refusing.swift`. What a
/// passkey signs of it is in `Signing.swift`, how what was done is taken back in `Undoing.swift`, what goes for good with a target in
/// `Erasing.swift`; reads, and events that are no
/// operations, are in `Recording.swift`.
public struct Pipeline: Sendable {
    public let database: any Database
    public let records: any Records
    public let directory: any Directory
    public let catalog: Catalog
    public let settings: Settings
    public let clock: Clock
    let hooks: Hooks
    private let running = RunningKeys()
    let folding = FoldingTable()
    let queue: EventQueue
    let knownRules = KnownRules()

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
        /// Where the CISO is told by mail what waits for too long; `nil` where nobody said.
        public var ciso: String?
        public init() {}
    }

    /// What the composition root connects.
    public struct Hooks: Sendable {
        /// A reason to refuse every write for now (the log can't be continued), or `nil`.
        public var blocked: @Sendable () -> String?
        /// After every commit that wrote events: wakes the sequencer and the outbox.
        public var committed: @Sendable () -> Void
        /// Whether nobody set the clock: by one that was set, no time comes.
        public var isClockTrusted: @Sendable () -> Bool
        public init(
            blocked: @escaping @Sendable () -> String? = { nil }, committed: @escaping @Sendable () -> Void = {},
            isClockTrusted: @escaping @Sendable () -> Bool = { true }
        ) {
            self.blocked = blocked
            self.committed = committed
            self.isClockTrusted = isClockTrusted
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
        let scope = "\(caller.keyOwner)\u{0}\(key)"
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
                } else if Self.isDenial(failure) {
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
                        // It may have found it already.
                        if outcome.execution == nil { outcome.execution = try? await turn(of: approval) }
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
    static let retries = 3

    /// A request that passed step a.
    struct Admitted: Sendable {
        let request: OperationRequest
        let operation: AnyOperation
        let input: any OperationInput
        let justification: String?
        let ticket: String?
        let caller: Caller
    }

    enum Step: Sendable {
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
        if spec.isAtOnce, request.notBefore != nil {
            errors.append(
                FieldError(
                    pointer: "/not_before",
                    detail: "This is carried out once it is agreed to, and can’t be put off. Leave not_before out."))
        }
        guard let input, errors.isEmpty else {
            throw .invalid(errors + (isPreview ? [] : missing))
        }

        try await permit(spec, caller)
        if let target = request.target, !operation.creates, !Self.isPlausibleID(target) {
            throw .notFound("There is no \(operation.targetType) \(target.prefix(60)).")
        }
        if !isPreview {
            if !caller.isSystem, spec.risk >= .high {
                guard let authentication = caller.authentication, authentication.isFresh
                else { throw .stepUpRequired(maxAge: caller.authentication?.stepUpAge ?? Authentication.stepUpAge) }
                // What is agreed to rests on a factor of the person's own, not on what a provider says of them.
                if spec.name == Decisions.approve.spec.name, request.intent == nil,
                    let last = authentication.factors.last, [.oidc, .password].contains(last)
                {
                    throw .stepUpRequired(maxAge: authentication.stepUpAge)
                }
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

    /// Whether the caller may ask for an operation at all.
    private func permit(_ spec: OperationSpec, _ caller: Caller) async throws(OperationError) {
        guard !caller.isSystem else { return }
        let detail: String
        if caller.isAccount, spec.risk >= .high {
            // Nobody is there who could use a second factor.
            detail =
                "\(spec.title) is of \(spec.risk.rawValue) risk, which takes a person with a fresh second factor. Service accounts and assistants can't do it."
        } else if caller.permissions.contains(spec.permission) {
            return
        } else {
            detail =
                caller.isAccount
                ? "\(spec.title) needs the permission \(spec.permission), which is none of this account's scopes or which its owner does not hold now."
                : caller.emergency.flatMap { $0.isSolo ? $0.sentence : nil }
                    ?? "\(spec.title) needs the permission \(spec.permission), which none of your roles holds."
        }
        try await recordDenial(spec.permission, operation: spec.name, by: caller)
        throw .forbidden(permission: spec.permission, detail: detail)
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
    func transact(
        _ admitted: Admitted, key: String?, isKeyKnown: Bool, _ tx: any Writer
    ) throws -> Step {
        let request = admitted.request
        let operation = admitted.operation
        let caller = admitted.caller
        let fingerprint = Self.fingerprint(request)

        if let key {
            let lookUp = records.idempotency(person: caller.keyOwner, key: key)
            let name = "idempotency:\(caller.keyOwner):\(key)"
            if !isKeyKnown {
                try tx.claim(name, unless: lookUp)
            } else if try !tx.tryLock(name) {
                throw OperationError.keyRunning
            } else if let row = try tx.first(lookUp) {
                let stored = try records.storedOutcome(row)
                guard constantTimeEqual(stored.fingerprint, fingerprint) else { throw OperationError.keyReused }
                return .done(try repeated(stored, tx))
            }
        }

        try tx.lock(operation.guards(admitted.input, request.target, tx).sorted().map(\.name))
        let targetID = operation.creates ? nil : request.target
        // Who signed already is asked by every decision.
        let decided = operation.targetType == ApprovalRequest.type ? targetID : nil
        tx.foresee(
            operation.foresees(admitted.input, request.target) + [records.policy()]
                + (decided.map { [records.signatures(approval: $0)] } ?? []))
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
        try Self.confine(admitted, to: rehearsed)
        if let refusal = rehearsed.refusal { return .refused(refusal) }
        guard let plan = rehearsed.plan else { throw OperationError.internalError("a plan without a result") }

        let policy = try policy(for: operation, tx)
        let spending = Spending(rehearsed.measures, tenant: Self.tenant(rehearsed), person: caller.person)
        if let spending { try tx.lock(spending.guards.map(\.name)) }
        let verdict = try judge(
            operation, rehearsed.measures, spending, of: caller, under: policy.rules, about: Self.tenant(rehearsed),
            from: tx)
        if let sentence = verdict.overLimit { return .refused(.overLimit(sentence)) }
        if let sentence = try unsigned(admitted, tx) { return .refused(.conflict(sentence)) }
        let signed = try seed.map { seed in
            try checkSigned(admitted, stored: stored, verdict.needs, seed, tx)
        }

        var (draft, subjects) = draft(
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
                        measures: verdict.measures, stored: stored, undoWindow: policy.undoWindow, tx))
            }
            return .done(
                try storeRequest(
                    admitted, rehearsed, plan, verdict.needs, salt: salt, draft: draft, subjects: subjects,
                    fingerprint: fingerprint, key: key, spending: spending, measures: verdict.measures,
                    stored: stored, undoWindow: policy.undoWindow, tx))
        }
        if let start = request.notBefore, now < start {
            throw OperationError.invalid([
                FieldError(
                    pointer: "/not_before",
                    detail:
                        "This needs no approval and would be carried out at once. Leave not_before out, or ask then.")
            ])
        }
        if let signed, let seed {
            // What the digest in the signed action stands for, so that it can be looked at beside what was done.
            draft.sealed["plan"] = .init(
                Self.planJSON(signed.plan, measures: signed.rehearsed.measures, needs: []),
                subjects: Array(Set(subjects + Self.subjects(of: signed.plan))).sorted(), salt: seed.salt("details"))
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
    ///   - isQuestion: nothing is decided by it.
    func rehearsal(
        _ admitted: Admitted, stored: Row??, eventID: String, fresh: Fresh, at now: Instant? = nil,
        isQuestion: Bool = false
    ) -> AnyOperation.Rehearsal {
        let request = admitted.request
        let signing = settings.passkeySite.map {
            Signing(site: $0.id, console: settings.consoleURL, signed: request.intent, isQuestion: isQuestion)
        }
        return AnyOperation.Rehearsal(
            operation: request.operation, input: admitted.input,
            targetID: admitted.operation.creates ? nil : request.target, stored: stored,
            reasonCode: request.reasonCode, caller: admitted.caller, eventID: eventID, fresh: fresh,
            ifMatch: request.ifMatch, now: now, signing: signing, isClockTrusted: hooks.isClockTrusted(),
            records: records, directory: directory)
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
        let eventClass: EventClass = operation.spec.isIncident ? .incident : .mutation
        var draft = EventDraft(id: eventID, at: clock.now, eventClass, operation.spec.name, by: caller)
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

    /// e, second half: the changes and what follows from them, the event, the outbox rows and the stored response.
    ///
    /// - Parameter closing: what becomes of the request that this carries out.
    func carryOut(
        _ admitted: Admitted, _ rehearsed: AnyOperation.Rehearsed, _ plan: AnyOperation.ErasedPlan, draft: EventDraft,
        subjects: [String], undoWindow: Span, measures: Measures, fingerprint: [UInt8], key: String?,
        closing: Change? = nil, _ tx: any Writer
    ) throws -> Outcome {
        var draft = draft
        var plan = plan
        for follower in catalog.followers {
            guard let followed = try follower.follow(plan.changes, admitted.caller.person, tx) else { continue }
            plan.append(followed.changes)
            draft.facts.merge(followed.facts) { own, _ in own }
        }
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
        if plan.erasesTarget { draft.facts[EventDraft.erasureFact] = true }

        let event = SealedEvent(draft)
        tx.enqueue(records.insert(event))
        tx.enqueue(plan.firstWrite)
        for change in plan.changes { tx.enqueue(change.statements) }
        if let closing { tx.enqueue(closing.statements) }
        // A decision, the end of the request that is carried out, and those that end with whoever asked.
        for change in plan.changes + (closing.map { [$0] } ?? []) {
            if let request = change.after as? ApprovalRequest { tx.enqueue(records.follow(request)) }
        }
        tx.enqueue(plan.alsoWrite)

        // A batch tells of several tenants and people, each with its own version.
        let rows = plan.effects.isEmpty ? [] : plan.changes
        let versions = Dictionary(rows.map { ($0.id, $0.after.version) }, uniquingKeysWith: { first, _ in first })
        var queued: [QueuedEffect] = []
        for (slot, effect) in plan.effects.enumerated() where isPerformed(effect) && !effect.isWritten {
            let id = Identifier.make(
                "out", milliseconds: UInt64(now.microseconds / 1000),
                random: Array(sha256(Array("\(event.id):\(slot)".utf8)).prefix(10)))
            queued.append(
                QueuedEffect(
                    effect, version: effect.row.flatMap { versions[$0] }, id: id, event: event.id,
                    operationID: draft.operationID ?? "",
                    tenantVersion: effect.tenant.flatMap { versions[$0] ?? effect.tenantVersion }, at: now))
        }
        tx.enqueue(records.enqueue(queued))

        if plan.erasesTarget, let target = rehearsed.target { try erase(target, with: draft, tx) }

        let target = rehearsed.target?.id ?? main?.id
        let undo = self.undo(
            operation,
            .init(
                target: target ?? "", before: before, after: after, reasonCode: draft.reasonCode,
                also: Self.further(plan)), window: undoWindow, at: now)
        let sent = plan.effects.filter(isPerformed)
        // The page of the result is another request, and has the stored answer alone.
        let kept: JSON? = admitted.caller.client == .console ? .some(Self.kept(sent)) : .none
        var applied = Applied(
            operation: operation.spec.name, operationID: draft.operationID ?? "", eventID: event.id, target: target,
            before: before, after: after, consequence: plan.consequence,
            undo: undo.map { ($0.operation, $0.until) }, reveal: plan.reveal.mapValues(shown),
            version: main?.after.version,
            created: operation.creates && main?.before == nil)
        applied.sent = sent
        if let key {
            let body = JSON.members([
                ("kind", "applied"), ("operation_id", .string(applied.operationID)),
                ("target", target.map(JSON.string)),
                ("version", applied.version.map(JSON.int)), ("created", .bool(applied.created)),
                ("undo_operation", undo.map { .string($0.operation) }),
                ("undo_until", undo.map { .int($0.until.microseconds) }), ("answer", admitted.request.answer),
                ("sent", kept),
            ])
            tx.enqueue(
                records.storeOutcome(
                    StoredOutcome(
                        operation: operation.spec.name, fingerprint: fingerprint, eventID: event.id, body: body),
                    person: admitted.caller.keyOwner, key: key, at: now))
        }
        var outcome = Outcome(.applied(applied), replayed: false)
        outcome.answer = admitted.request.answer
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
    func isPerformed(_ effect: Effect) -> Bool {
        effect.kind != "mail" || settings.sendsMail || effect.isWritten
    }

    /// Those of effects that reach somebody.
    /// - Parameter queuing: with what they were queued; `nil` while they are not.
    func reaching(_ effects: [Effect], _ queuing: Queuing?, _ reader: any Reader) throws -> [Effect] {
        let performed = effects.filter(isPerformed)
        return try catalog.reaching?(performed, queuing, reader) ?? performed
    }

    /// - Parameter salt: makes the same values again, later, for a plan that is only compared.
    func fresh(at now: Instant, salt: [UInt8] = SecureRandom.bytes(32)) -> Fresh {
        Fresh(seed: sha256(Array("fresh:".utf8) + salt), at: now, masterKey: settings.masterKey)
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
