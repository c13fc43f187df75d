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

    var catalog: Catalog { pipeline.catalog }
}
