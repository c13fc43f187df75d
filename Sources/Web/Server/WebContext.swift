import HTML
import Hummingbird
import Kernel

/// What the routes of all listeners share.
struct WebContext: Sendable {
    let pipeline: Pipeline
    let signIn: any SignIn
    /// `nil`: nobody here knows of passkeys.
    let passkeys: (any Passkeys)?
    /// `nil`: nobody vouches for staff elsewhere.
    let provider: (any SingleSignOn)?
    /// `nil`: command lines sign in by password.
    let devices: (any DeviceSignIn)?
    /// `nil`: there are no service accounts.
    let accountDoor: (any AccountDoor)?
    /// `nil`: nobody here is told anything.
    let inboxes: (any Inboxes)?
    /// `nil`: Slack is not spoken with.
    let slack: (any SlackDesk)?
    let streams: Streams?
    let log: any TransparencyLog
    let consoles: [Console]
    let cursors: CursorCodec
    let configuration: WebConfiguration
    let clock: Clock
    let metrics: Metrics
    let health: Health
    let forms: FormSeal
    let qrSVG: @Sendable (String) -> String
    let requests: RateLimiter
    /// Of products, by their token.
    let tokens: RateLimiter
    /// Of service accounts and assistants.
    let accounts: RateLimiter
    let signIns: RateLimiter
    /// Look-ups of sessions and links that turned out to be nobody's, by source: each costs a look into the database.
    let strangers: RateLimiter
    /// Looks at enrolment links, by source: another site can cause these, so they have a bucket of their own.
    let links: RateLimiter
    /// Tokens that were somebody's when they were last shown.
    let acquainted = Acquainted()

    var catalog: Catalog { pipeline.catalog }

    /// Passkeys are known, and can be used at the console's address.
    var offersPasskeys: Bool { passkeys.map { $0.hindrance == nil } ?? false }

    /// What a passkey is to sign of a request.
    func question(
        _ request: OperationRequest, by caller: Caller, _ session: SessionInfo
    ) async throws(OperationError) -> (action: JSON, nonce: String, options: JSON) {
        guard let passkeys else { throw .notFound("Passkeys are not offered here.") }
        let (nonce, seed) = try await passkeys.intentNonce(session)
        let action = try await pipeline.question(of: request, by: caller, seed: seed)
        return (action, nonce, try await passkeys.signingOptions(action, nonce: nonce, of: session))
    }

    /// Puts what a passkey signed into a request, once it is found to be this very action. A request that comes again under its
    /// key was signed the first time: its answer is stored.
    func sign(
        _ request: inout OperationRequest, nonce: String, with answer: JSON, by caller: Caller, _ session: SessionInfo,
        from source: Source
    ) async throws(OperationError) {
        guard let passkeys else { throw .notFound("Passkeys are not offered here.") }
        if let key = request.idempotencyKey, (try? await pipeline.outcome(ofKey: key, by: caller)) != nil { return }
        let action = try await pipeline.action(of: request, by: caller, seed: passkeys.intentSeed(nonce))
        request.intent = try await passkeys.sign(action, nonce: nonce, with: answer, of: session, from: source)
    }

    /// Whether a person can use a passkey here. One that can't be looked up is not offered.
    func hasPasskey(_ session: SessionInfo) async -> Bool {
        guard offersPasskeys, let passkeys else { return false }
        return ((try? await passkeys.count(of: session)) ?? 0) > 0
    }

    /// Whose account a token belongs to; `nil` when it is nobody's. Whoever shows many such tokens waits.
    func authenticate(
        _ token: String, at door: any AccountDoor, _ exchange: Exchange
    ) async throws(OperationError) -> AccountCaller? {
        try await recognise(token, exchange) { source throws(OperationError) in
            try await door.authenticate(token: token, from: source)
        }
    }

    /// Who a token belongs to; `nil` when it is nobody's. Whoever shows many such tokens waits.
    /// - Parameter isUse: false for what a browser does by itself: it keeps no session alive.
    func authenticate(
        _ token: String, _ exchange: Exchange, _ source: Source, isUse: Bool = true
    ) async throws(OperationError) -> (Caller, SessionInfo)? {
        try await recognise(token, exchange) { _ throws(OperationError) in
            if isUse { return try await signIn.authenticate(token: token, from: source) }
            return try await signIn.recognise(token: token, from: source)
        }
    }

    /// Asks who a token belongs to; `nil` when it is nobody's, which is counted by source.
    func recognise<Found: Sendable>(
        _ token: String, _ exchange: Exchange, _ ask: (Source) async throws(OperationError) -> Found
    ) async throws(OperationError) -> Found? {
        let hash = sha256(Array(token.utf8))
        // A colleague behind the same address is not a stranger.
        if !acquainted.contains(hash) { try strangers.spend(exchange.client.source, cost: 0) }
        do throws(OperationError) {
            let found = try await ask(exchange.apiSource)
            acquainted.insert(hash)
            return found
        } catch {
            guard case .unauthenticated = error else { throw error }
            acquainted.remove(hash)
            _ = strangers.take(exchange.client.source)
            return nil
        }
    }
}
