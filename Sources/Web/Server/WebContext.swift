import HTML
import Hummingbird
import Kernel

/// What the routes of all listeners share.
struct WebContext: Sendable {
    let pipeline: Pipeline
    let signIn: any SignIn
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
    let signIns: RateLimiter
    /// Look-ups of sessions and links that turned out to be nobody's, by source: each costs a look into the database.
    let strangers: RateLimiter
    /// Looks at enrolment links, by source: another site can cause these, so they have a bucket of their own.
    let links: RateLimiter
    /// Tokens that were somebody's when they were last shown.
    let acquainted = Acquainted()

    var catalog: Catalog { pipeline.catalog }

    /// Who a token belongs to; `nil` when it is nobody's. Whoever shows many such tokens waits.
    func authenticate(
        _ token: String, _ exchange: Exchange, _ source: Source
    ) async throws(OperationError) -> (Caller, SessionInfo)? {
        let hash = sha256(Array(token.utf8))
        // A colleague behind the same address is not a stranger.
        if !acquainted.contains(hash) { try strangers.spend(exchange.client.source, cost: 0) }
        do throws(OperationError) {
            let found = try await signIn.authenticate(token: token, from: source)
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
