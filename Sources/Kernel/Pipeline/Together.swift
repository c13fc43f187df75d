/// Why several operations that were to be carried out together were not, none of them.
public struct StoppedTogether: Error, Sendable {
    /// The one that is refused, by its place among them.
    public let step: Int
    public let error: OperationError
}

// Several operations that one message of an outsider asks for: all of them happen, or none (RFC 7644 §3.5.2).
extension Pipeline {
    /// Carries operations out in one transaction, in their order, each with an event of its own, and each planned on what those
    /// before it left behind.
    ///
    ///     a  for each                                   a refusal: nothing is begun
    ///     c  BEGIN, the guards of all in sorted order
    ///     d–e for each, on top of the others            a refusal: rolled back, and recorded as that one's
    ///     f  COMMIT
    ///
    /// For parts of Postern alone: nobody else has operations without a key of their own. One that would wait for approval stops
    /// the others, because half of a message would wait.
    public func run(
        together requests: [OperationRequest], by caller: Caller
    ) async throws(StoppedTogether) -> [Applied] {
        var admitted: [Admitted] = []
        for (step, request) in requests.enumerated() {
            do throws(OperationError) {
                guard caller.isSystem else { throw .keyMissing }
                admitted.append(try await admit(request, by: caller, isPreview: false))
            } catch {
                throw StoppedTogether(step: step, error: error)
            }
        }
        guard !admitted.isEmpty else { return [] }
        var tries = 0
        while true {
            tries += 1
            do {
                let applied = try await database.write { [admitted] tx in try transact(all: admitted, tx) }
                hooks.committed()
                return applied
            } catch {
                // What is found out at the commit alone is everybody's.
                let stopped = error as? Halt ?? Halt(step: admitted.count - 1, cause: error)
                let one = admitted[stopped.step]
                if let clash = stopped.cause as? StoreError, tries <= Self.retries, isWorthRetrying(clash, one.request)
                {
                    continue
                }
                let failure = translate(stopped.cause, one.request)
                do throws(OperationError) {
                    if let refusal = stopped.cause as? Refusal
                        ?? Self.refusalToRecord(failure, isClash: stopped.cause is StoreError)
                    {
                        try await recordRefusal(refusal, failure, one)
                    }
                } catch {
                    throw StoppedTogether(step: stopped.step, error: error)
                }
                throw StoppedTogether(step: stopped.step, error: failure)
            }
        }
    }

    /// What ends the transaction, and where.
    private struct Halt: Error {
        let step: Int
        let cause: any Error
    }

    private func transact(all admitted: [Admitted], _ tx: any Writer) throws -> [Applied] {
        let guards = try admitted.map { try $0.operation.guards($0.input, $0.request.target, tx) }.joined()
        try tx.lock(Set(guards).sorted().map(\.name))
        return try admitted.enumerated().map { step, one in
            do {
                let done = try transact(one, key: nil, isKeyKnown: true, tx)
                // Sent before the next, so that what is wrong with it is said of it.
                _ = try tx.query([])
                switch done {
                case .refused(let refusal): throw refusal
                case .done(let outcome):
                    guard case .applied(let applied) = outcome.result else {
                        throw OperationError.conflict(
                            "\(one.operation.spec.title) waits for somebody’s approval, as the policy has it, so nothing of what was sent with it is done.",
                            legal: nil)
                    }
                    return applied
                }
            } catch {
                throw Halt(step: step, cause: error)
            }
        }
    }
}
