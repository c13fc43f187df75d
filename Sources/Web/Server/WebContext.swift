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
    let signIns: RateLimiter
    /// Look-ups of sessions and links that turned out to be nobody's, by source: each costs a look into the database.
    let strangers: RateLimiter

    var catalog: Catalog { pipeline.catalog }

    /// Who a token belongs to; `nil` when it is nobody's. Whoever shows many such tokens waits.
    func authenticate(
        _ token: String, _ exchange: Exchange, _ source: Source
    ) async throws(OperationError) -> (Caller, SessionInfo)? {
        try strangers.spend(exchange.client.source, cost: 0)
        do throws(OperationError) {
            return try await signIn.authenticate(token: token, from: source)
        } catch {
            guard case .unauthenticated = error else { throw error }
            _ = strangers.take(exchange.client.source)
            return nil
        }
    }
}
