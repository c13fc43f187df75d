import Kernel

/// Counts tokens that are nobody's by source, with growing delays; each counted one is an event.
struct TokenThrottle: Sendable {
    let pipeline: Pipeline
    let hooks: Pipeline.Hooks
    let clock: Clock
    /// Which door it stands at; sources are counted apart for each.
    let realm: String

    func key(_ source: Source) -> String { "\(realm)|\(NetworkPrefix.of(source.ip))" }

    /// How long this source has to wait.
    static func wait(_ rows: [Row], at now: Instant) throws -> Span? {
        let blocked = try rows.first?.instant("blocked_until")
        return blocked.flatMap { now < $0 ? $0 - now : nil }
    }

    /// Counts one more and records it; what the delay holds back is neither.
    func count(_ draft: EventDraft, from source: Source) async throws(OperationError) {
        // What can't be logged isn't counted either: the answer is the same.
        guard hooks.blocked() == nil else { return }
        let key = key(source)
        var draft = draft
        draft.client = source.client
        draft.requestID = source.requestID
        draft.sealed["actor_ip"] = .init(.string(source.ip), subjects: [])
        draft.sealed["user_agent"] = .init(.string(source.userAgent), subjects: [])
        let event = SealedEvent(draft)
        do {
            try await pipeline.database.write { tx in
                try tx.lock(["signin:\(key)"])
                let entry = try tx.first(SignInQueries.throttle([key])).map { row in
                    Throttle.Entry(
                        failures: try row.int("failures"), blockedUntil: try row.instant("blocked_until"),
                        updatedAt: try row.instant("updated_at"))
                }
                if let entry, tx.now < entry.blockedUntil { return }
                tx.enqueue(SignInQueries.setThrottle(key, Throttle.count(entry, on: Throttle.source, at: tx.now)))
                tx.enqueue(pipeline.records.insert(event))
            }
        } catch {
            throw Self.translate(error)
        }
        hooks.committed()
    }

    static func translate(_ error: any Error) -> OperationError {
        switch error {
        case let error as OperationError: error
        case StoreError.unavailable(let reason, _):
            .unavailable("The database can't be reached right now. (\(reason))")
        case StoreError.full(let reason): .unavailable("The database can't store anything: \(reason)")
        case StoreError.retry: .unavailable("The database is busy.")
        default: .internalError(String(describing: error))
        }
    }
}
