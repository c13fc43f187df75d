import Kernel

/// The door of service accounts and assistants. A token is looked up by its digest for every request, and what it may do is
/// resolved from its scopes and its owner's grants as they are then: whoever leaves, loses a role or has an account revoked
/// ends it with the next request.
public struct ServiceAccountDoor: AccountDoor {
    private let pipeline: Pipeline
    private let throttle: TokenThrottle

    /// How often the time of last use is written.
    private static let touchEvery = Span.minutes(1)

    /// - Parameter hooks: the same as the pipeline's, so that the sequencer wakes for these events too.
    public init(pipeline: Pipeline, hooks: Pipeline.Hooks = .init(), clock: Clock = .system) {
        self.pipeline = pipeline
        throttle = TokenThrottle(pipeline: pipeline, hooks: hooks, clock: clock, realm: "service")
    }

    public func knows(token: String) -> Bool { token.hasPrefix(ServiceAccount.letters) }

    private enum Found: Sendable {
        case live(ServiceAccount, isDue: Bool)
        /// Unknown, or one that is over.
        case none(ServiceAccount?, why: String, blockedFor: Span?)
    }

    public func authenticate(token text: String, from source: Source) async throws(OperationError) -> AccountCaller {
        let found: Found
        let standing: Standing?
        do {
            let digest = AccountToken.digest(text)
            let snapshot = try await pipeline.database.snapshot([
                ServiceAccount.withDigest(digest), ServiceAccount.use(of: digest),
                SignInQueries.throttle([throttle.key(source)]),
            ])
            let looked = try Self.look(
                snapshot, digest, isPlausible: AccountToken.isPlausible(text, ServiceAccount.letters))
            // What it may do is said where it is said of everybody.
            if case .live(let account, _) = looked {
                let question = pipeline.directory.standings(of: [account.id])
                let rows = try await pipeline.database.snapshot(question.statements)
                // What is still to be asked is asked with the rest in one snapshot, so that all are of one mark.
                let standings =
                    try await question.further(rows.rows).isEmpty
                    ? question.read(rows.rows, [], at: rows.now)
                    : pipeline.database.read { try question.read(from: $0) }
                standing = standings[account.id]
            } else {
                standing = nil
            }
            found =
                if case .live(let account, _) = looked, standing?.isActive != true {
                    .none(account, why: "owner", blockedFor: nil)
                } else { looked }
        } catch {
            throw TokenThrottle.translate(error)
        }
        switch found {
        case .live(let account, let isDue):
            if isDue {
                // A missed touch only shows an earlier use, so a busy database does not fail the request.
                try? await pipeline.database.write { tx in tx.enqueue(ServiceAccount.touch(account.id, at: tx.now)) }
            }
            return AccountCaller(
                caller: Caller(
                    actor: Actor(account.kind.actor, account.id), person: account.ownerID, displayName: account.name,
                    permissions: standing?.permissions ?? .none, client: source.client, ip: source.ip,
                    userAgent: source.userAgent, requestID: source.requestID, emergency: standing?.emergency),
                name: account.name, expiresAt: account.expiresAt)
        case .none(_, _, let wait?):
            throw .wait(wait)
        case .none(let account, let why, nil):
            var draft = EventDraft(
                at: throttle.clock.now, .authn, "service_account.refused", .denied,
                actor: Actor(account?.kind.actor ?? .service, account?.id ?? "unknown"))
            draft.facts = ["why": .string(why)]
            draft.target = account.map { (ServiceAccount.type, $0.id) }
            try await throttle.count(draft, from: source)
            throw .unauthenticated
        }
    }

    private static func look(_ snapshot: Snapshot, _ digest: String, isPlausible: Bool) throws -> Found {
        let now = snapshot.now
        let account = try isPlausible ? snapshot.rows[0].first.map(ServiceAccount.init) : nil
        let why: String
        if let account {
            if account.state(at: now) != .active {
                why = account.state(at: now).rawValue
            } else if account.token.opens(digest, at: now) {
                let used = try snapshot.rows[1].first?.instant("used_at")
                return .live(account, isDue: used.map { now - $0 >= touchEvery } ?? true)
            } else {
                why = "replaced"
            }
        } else {
            why = "unknown"
        }
        return .none(account, why: why, blockedFor: try TokenThrottle.wait(snapshot.rows[2], at: now))
    }
}
