// How what is refused or fails is recorded and answered.
extension Pipeline {
    func recordRefusal(_ refusal: Refusal, _ failure: OperationError, _ admitted: Admitted)
        async throws(OperationError)
    {
        let operation = admitted.operation
        var draft = EventDraft(at: clock.now, .mutation, operation.spec.name, .denied, by: admitted.caller)
        draft.target = admitted.request.target.map { (operation.targetType, $0) }
        draft.tenant = operation.targetType == "tenant" ? admitted.request.target : nil
        draft.reasonCode = admitted.request.reasonCode.flatMap { $0.isEmpty ? nil : $0 }
        draft.facts = ["refusal": .string(Self.word(failure))]
        let isErased = await self.isErased(admitted)
        let subjects = (isErased ? [] : admitted.request.target.map { [$0] } ?? []) + [admitted.caller.person]
        draft.sealed["details"] = .init(["reason": .string(Self.sentence(refusal))], subjects: subjects)
        // What somebody writes about a target that was erased would name it again, for good.
        if let text = admitted.justification, !isErased {
            draft.sealed["justification"] = .init(.string(text), subjects: subjects)
        }
        try await record([draft])
    }

    private func isErased(_ admitted: Admitted) async -> Bool {
        guard let id = admitted.request.target, let type = catalog.entity(admitted.operation.targetType) else {
            return false
        }
        return (try? await database.read { try type.load(id, false, $0)?.isErased }) ?? false
    }

    /// Failures that are a decision against the person who asked, as opposed to a malformed or repeated request.
    ///
    /// - Parameter isClash: a unique rule refused at commit what the plan would have refused a moment later.
    static func refusalToRecord(_ error: OperationError, isClash: Bool) -> Refusal? {
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

    /// Somebody may not do it, as opposed to it being impossible now.
    static func isDenial(_ error: OperationError) -> Bool {
        switch error {
        case .notAsked, .forbidden: true
        default: false
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

    static func word(_ error: OperationError) -> String {
        switch error {
        case .locked: "locked"
        case .overLimit: "over_limit"
        case .preconditionFailed: "precondition_failed"
        case .invalid: "invalid"
        case .notFound: "not_found"
        default: "conflict"
        }
    }

    func isWorthRetrying(_ error: StoreError, _ request: OperationRequest) -> Bool {
        switch error {
        case .retry: true
        case .rowCount: request.ifMatch == nil
        default: false
        }
    }

    public func translate(_ error: any Error, _ request: OperationRequest?) -> OperationError {
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
