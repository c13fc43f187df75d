import Kernel

/// The runtime realm's door. A token is looked up by its digest for every request, so that a revoked one is refused at
/// once. Tokens that are nobody's are counted by source, with growing delays, and each counted one is an event.
public struct RuntimeTokenDoor: RuntimeDoor {
    private let pipeline: Pipeline
    private let hooks: Pipeline.Hooks
    private let clock: Clock

    /// How often the time of last use is written.
    private static let touchEvery = Span.minutes(1)

    /// - Parameter hooks: the same as the pipeline's, so that the sequencer wakes for these events too.
    public init(pipeline: Pipeline, hooks: Pipeline.Hooks = .init(), clock: Clock = .system) {
        self.pipeline = pipeline
        self.hooks = hooks
        self.clock = clock
    }

    private enum Found: Sendable {
        case live(RuntimeToken, isDue: Bool)
        /// Unknown, or one that is over.
        case none(RuntimeToken?, RuntimeToken.State?, blockedFor: Span?)
    }

    public func authenticate(token text: String, from source: Source) async throws(OperationError) -> RuntimeCaller {
        let digest = RuntimeToken.digest(text)
        let key = "runtime|\(NetworkPrefix.of(source.ip))"
        let found: Found
        do {
            let isPlausible = text.utf8.count == RuntimeToken.textLength && text.hasPrefix(RuntimeToken.textPrefix)
            let snapshot = try await pipeline.database.snapshot([
                RuntimeToken.withDigest(digest), RuntimeToken.use(of: digest), SignInQueries.throttle([key]),
            ])
            found = try Self.look(snapshot, isPlausible: isPlausible)
        } catch {
            throw Self.translate(error)
        }
        switch found {
        case .live(let token, let isDue):
            if isDue {
                // A missed touch only shows an earlier use, so a busy database does not fail the request.
                try? await pipeline.database.write { tx in tx.enqueue(RuntimeToken.touch(token.id, at: tx.now)) }
            }
            let permissions = token.scopes.flatMap(\.permissions)
            return RuntimeCaller(
                caller: Caller(
                    actor: Actor(.runtime, token.id), person: token.id, displayName: token.name,
                    permissions: Permissions(
                        Dictionary(permissions.map { ($0, nil) }, uniquingKeysWith: { first, _ in first })),
                    client: .api, ip: source.ip, userAgent: source.userAgent, requestID: source.requestID),
                scopes: Set(token.scopes))
        case .none(_, _, let wait?):
            throw .tooManyRequests(retryAfter: Span(microseconds: max(wait.microseconds, 1_000_000)))
        case .none(let token, let state, nil):
            try await count(key, token, state, source)
            throw .unauthenticated
        }
    }

    private static func look(_ snapshot: Snapshot, isPlausible: Bool) throws -> Found {
        let now = snapshot.now
        let token = try isPlausible ? snapshot.rows[0].first.map(RuntimeToken.init) : nil
        let state = token?.state(at: now)
        if let token, state == .active {
            let used = try snapshot.rows[1].first?.instant("used_at")
            return .live(token, isDue: used.map { now - $0 >= touchEvery } ?? true)
        }
        let blocked = try snapshot.rows[2].first?.instant("blocked_until")
        return .none(token, state, blockedFor: blocked.flatMap { now < $0 ? $0 - now : nil })
    }

    /// Counts a token that is nobody's and records it; what the delay holds back is neither.
    private func count(
        _ key: String, _ token: RuntimeToken?, _ state: RuntimeToken.State?, _ source: Source
    ) async throws(OperationError) {
        // What can't be logged isn't counted either: the answer is the same.
        guard hooks.blocked() == nil else { return }
        let at = clock.now
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
                var draft = EventDraft(
                    at: at, .authn, "runtime_token.refused", .denied,
                    actor: Actor(.runtime, token?.id ?? "unknown"))
                draft.client = source.client
                draft.requestID = source.requestID
                draft.facts = ["why": .string(state?.rawValue ?? "unknown")]
                draft.target = token.map { (RuntimeToken.type, $0.id) }
                draft.sealed["actor_ip"] = .init(.string(source.ip), subjects: [])
                draft.sealed["user_agent"] = .init(.string(source.userAgent), subjects: [])
                tx.enqueue(pipeline.records.insert(SealedEvent(draft)))
            }
        } catch {
            throw Self.translate(error)
        }
        hooks.committed()
    }

    private static func translate(_ error: any Error) -> OperationError {
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
