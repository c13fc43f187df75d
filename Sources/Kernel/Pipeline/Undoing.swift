// How what an event recorded is taken back: by an inverse operation that passes the pipeline like any other
// (spec: operations §1, "Undo").
extension Pipeline {
    /// How long what is done now can be undone.
    func undoWindow(_ reader: any Reader) throws -> Span {
        try reader.first(records.policy()).map(Self.undoWindow) ?? Undo.window
    }

    /// - Parameter row: what `Records.policy` answered.
    static func undoWindow(_ row: Row) throws -> Span {
        try row.optionalInt("undo_hours").map(Span.hours) ?? Undo.window
    }

    func undo(
        _ operation: AnyOperation, _ question: AnyOperation.UndoQuestion, window: Span, at now: Instant
    ) -> (operation: String, until: Instant)? {
        guard !question.target.isEmpty else { return nil }
        let answer = operation.undo(question)
        guard case .run(let name, _, _, let within) = answer else { return nil }
        return (name, now + (within ?? window))
    }

    func reversibility(
        _ operation: AnyOperation, _ question: AnyOperation.UndoQuestion, window: Span
    ) -> (sentence: String, operation: String?) {
        switch operation.undo(question) {
        case .impossible(let sentence): return (sentence, nil)
        case .run(let name, _, _, let within):
            let title = catalog[name]?.spec.title ?? name
            let hours = (within ?? window).seconds / 3600
            return ("Can be undone for \(hours == 1 ? "1 hour" : "\(hours) hours"), by \(title).", name)
        }
    }

    /// What a plan changes beside its target; nothing where only digests are recorded.
    static func further(_ plan: AnyOperation.ErasedPlan) -> [DoneChange] {
        guard !plan.recordsDigests else { return [] }
        return plan.changes.dropFirst().map {
            DoneChange(type: $0.type, id: $0.id, before: $0.before?.document, after: $0.after.document)
        }
    }

    /// What an event recorded, as far as undoing needs it.
    private struct Recorded {
        let operation: AnyOperation
        let target: String
        let at: Instant
        let reasonCode: String?
        let before: JSON?
        let after: JSON?
        let also: [DoneChange]
        let erased: Bool
    }

    private func recorded(_ eventID: String, _ reader: any Reader) throws -> Recorded {
        guard let row = try reader.first(records.event(eventID)) else {
            throw OperationError.notFound("There is no event \(eventID.prefix(60)).")
        }
        guard let leaf = try? JSON(parsing: try row.bytes("leaf")),
            leaf["class"]?.string == EventClass.mutation.rawValue,
            leaf["outcome"]?.string == EventOutcome.applied.rawValue, let name = leaf["action"]?.string,
            let operation = catalog[name], let target = leaf["target"]?["id"]?.string,
            let changes = leaf["changes"]?.array, let change = changes.first
        else { throw OperationError.conflict("This event records nothing that can be undone.", legal: nil) }
        let sealed = try reader.first(records.sealedMembers(event: eventID))?.json("members")
        let before = sealed?["changes.0.before"]?["value"]
        let after = sealed?["changes.0.after"]?["value"]
        let also = changes.enumerated().dropFirst().compactMap { index, change -> DoneChange? in
            guard let type = change["type"]?.string, let id = change["id"]?.string else { return nil }
            return DoneChange(
                type: type, id: id, before: sealed?["changes.\(index).before"]?["value"],
                after: sealed?["changes.\(index).after"]?["value"])
        }
        return Recorded(
            operation: operation, target: target, at: try row.instant("at"), reasonCode: leaf["reason_code"]?.string,
            before: before, after: after, also: also, erased: (change["before"] != nil && before == nil) || after == nil
        )
    }

    /// The window is the one that holds when it is asked for: a shorter one ends what was open.
    private func inverse(_ recorded: Recorded, window: Span, now: Instant) throws(OperationError) -> (
        request: OperationRequest, until: Instant
    ) {
        if recorded.erased {
            throw .conflict("What stood there before was erased, so this can't be undone.", legal: nil)
        }
        let answer = recorded.operation.undo(
            .init(
                target: recorded.target, before: recorded.before, after: recorded.after,
                reasonCode: recorded.reasonCode, also: recorded.also))
        switch answer {
        case .impossible(let sentence): throw .conflict(sentence, legal: nil)
        case .run(let name, let reasonCode, let input, let within):
            let until = recorded.at + (within ?? window)
            guard now <= until else {
                throw .conflict("This could be undone until \(until.minuteText); that has passed.", legal: nil)
            }
            return (
                OperationRequest(operation: name, target: recorded.target, input: input, reasonCode: reasonCode), until
            )
        }
    }

    /// The target must be as the event left it; otherwise the fields that moved are named, old, left and present.
    private func checkUnchangedSince(_ eventID: String, _ recorded: Recorded, _ reader: any Reader) throws {
        let type = recorded.operation.targetType
        guard let head = try reader.first(records.head(type: type, id: recorded.target)),
            try head.string("event_id") != eventID
        else { return }
        let current = try catalog.entity(type)?.load(recorded.target, false, reader)?.document
        let moved = (current?.object ?? [:]).keys.sorted().filter { name in
            !["version", "updated_at"].contains(name) && current?[name] != recorded.after?[name]
        }
        let changes = moved.map { name in
            "\(name.replacing("_", with: " ")) was \(Self.said(recorded.before?[name])), this made it "
                + "\(Self.said(recorded.after?[name])), now it is \(Self.said(current?[name]))"
        }
        throw OperationError.conflict(
            "It has changed since (event \(try head.string("event_id")))"
                + (changes.isEmpty ? "." : ": " + changes.joined(separator: "; ") + "."), legal: nil)
    }

    /// A value within a sentence.
    private static func said(_ value: JSON?) -> String {
        switch value ?? .null {
        case .null: "none"
        case .string(let text): Instant(rfc3339: text)?.minuteText ?? "“\(text)”"
        case let other: other.canonicalText
        }
    }

    func checkStillUndoable(_ eventID: String, _ request: OperationRequest, _ reader: any Reader) throws {
        let recorded = try recorded(eventID, reader)
        let window = try undoWindow(reader)
        let (inverse, _) = try inverse(recorded, window: window, now: reader.now)
        guard inverse.operation == request.operation, inverse.target == request.target else {
            throw OperationError.conflict(
                "\(request.operation) does not undo this event; \(inverse.operation) does.", legal: nil)
        }
        try checkUnchangedSince(eventID, recorded, reader)
    }

    /// Refuses somebody who opened break-glass alone what is about another tenant, before anything of it is told.
    private func confine(_ caller: Caller, to recorded: Recorded, _ reader: any Reader) throws {
        guard let emergency = caller.emergency, emergency.isSolo else { return }
        let target = try catalog.entity(recorded.operation.targetType)?.load(recorded.target, false, reader)
        if let sentence = emergency.refusal(on: target?.tenantID) {
            throw OperationError.forbidden(permission: recorded.operation.spec.permission, detail: sentence)
        }
    }

    /// The inverse of what an event recorded, ready to be previewed; throws `.conflict` with the reason when there is none.
    ///
    /// - Parameter checked: false leaves the look at later changes to `run`, which does it after the idempotency look-up:
    ///   a repeated undo then answers what the first one did.
    public func undoOffer(
        for eventID: String, by caller: Caller, checked: Bool = true
    ) async throws(OperationError) -> UndoOffer {
        let failure: OperationError
        do {
            return try await database.read { reader in
                let recorded = try self.recorded(eventID, reader)
                try self.confine(caller, to: recorded, reader)
                // A repeated undo hears what the first one came to, also when the time is over by now: `run` looks at the time
                // behind the idempotency look-up.
                let window = try self.undoWindow(reader)
                var (request, until) = try self.inverse(
                    recorded, window: window, now: checked ? reader.now : recorded.at)
                // Before anything of the target is told.
                if let spec = self.catalog[request.operation]?.spec, !caller.isSystem,
                    !caller.permissions.contains(spec.permission)
                {
                    throw OperationError.forbidden(
                        permission: spec.permission,
                        detail: "Undoing this needs the permission \(spec.permission), which none of your roles holds.")
                }
                if checked { try self.checkUnchangedSince(eventID, recorded, reader) }
                request.undoes = eventID
                return UndoOffer(request: request, until: until)
            }
        } catch {
            failure = translate(error, nil)
        }
        switch failure {
        case .forbidden(let permission, _): try await recordDenial(permission, operation: nil, by: caller)
        case .conflict:
            // What moved since is told with its values.
            try await disclose(
                Disclosure("audit.undo", target: ("event", eventID), count: 1, ids: [eventID]), to: caller)
        default: break
        }
        throw failure
    }

    /// An inverse operation, ready to be previewed and confirmed.
    public struct UndoOffer: Sendable {
        public let request: OperationRequest
        public let until: Instant
        public init(request: OperationRequest, until: Instant) {
            self.request = request
            self.until = until
        }
    }
}
