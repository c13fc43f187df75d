import Kernel

/// The runtime realm's door. A token is looked up by its digest for every request, so that a revoked one is refused at
/// once. Tokens that are nobody's are counted by source, with growing delays, and each counted one is an event.
public struct RuntimeTokenDoor: RuntimeDoor {
    private let pipeline: Pipeline
    private let throttle: TokenThrottle

    /// How often the time of last use is written.
    private static let touchEvery = Span.minutes(1)

    /// - Parameter hooks: the same as the pipeline's, so that the sequencer wakes for these events too.
    public init(pipeline: Pipeline, hooks: Pipeline.Hooks = .init(), clock: Clock = .system) {
        self.pipeline = pipeline
        throttle = TokenThrottle(pipeline: pipeline, hooks: hooks, clock: clock, realm: "runtime")
    }

    private enum Found: Sendable {
        case live(RuntimeToken, isDue: Bool)
        /// Unknown, or one that is over.
        case none(RuntimeToken?, TokenState?, blockedFor: Span?)
    }

    public func authenticate(token text: String, from source: Source) async throws(OperationError) -> RuntimeCaller {
        let digest = RuntimeToken.digest(text)
        let found: Found
        do {
            let isPlausible = text.utf8.count == RuntimeToken.textLength && text.hasPrefix(RuntimeToken.textPrefix)
            let snapshot = try await pipeline.database.snapshot([
                RuntimeToken.withDigest(digest), RuntimeToken.use(of: digest),
                SignInQueries.throttle([throttle.key(source)]),
            ])
            found = try Self.look(snapshot, isPlausible: isPlausible)
        } catch {
            throw TokenThrottle.translate(error)
        }
        switch found {
        case .live(let token, let isDue):
            if isDue {
                // A missed touch only shows an earlier use, so a busy database does not fail the request.
                try? await pipeline.database.write { tx in tx.enqueue(RuntimeToken.touch(token.id, at: tx.now)) }
            }
            return RuntimeCaller(
                caller: Caller(
                    actor: Actor(.runtime, token.id), person: token.id, displayName: token.name,
                    permissions: RuntimeScope.permissions(of: token.scopes),
                    client: .api, ip: source.ip, userAgent: source.userAgent, requestID: source.requestID,
                    mandate: Mandate(token: token.id, holder: token.createdBy)),
                scopes: Set(token.scopes))
        case .none(_, _, let wait?):
            throw .wait(wait)
        case .none(let token, let state, nil):
            var draft = EventDraft(
                at: throttle.clock.now, .authn, "runtime_token.refused", .denied,
                actor: Actor(.runtime, token?.id ?? "unknown"))
            draft.facts = ["why": .string(state?.rawValue ?? "unknown")]
            draft.target = token.map { (RuntimeToken.type, $0.id) }
            try await throttle.count(draft, from: source)
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
        return .none(token, state, blockedFor: try TokenThrottle.wait(snapshot.rows[2], at: now))
    }
}
