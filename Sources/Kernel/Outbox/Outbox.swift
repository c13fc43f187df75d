/// How something travels.
public enum DeliveryChannel: String, Sendable, CaseIterable {
    case webhook, slack, mail
}

/// One attempt to deliver something, as leased from the outbox.
public struct Parcel: Sendable {
    public let channel: DeliveryChannel
    /// The delivery's id: the same at every attempt, so that a receiver can tell a repetition.
    public let delivery: String
    /// What is sent in order, one at a time: an endpoint's deliveries of one tenant.
    public let lane: String
    /// Proves that this attempt is the one that may report; another is handed out once the time of this one is over.
    public let lease: String
    public let attempt: Int64
    /// The operation that caused it.
    public let operation: String
    public let endpoint: String
    /// Of a webhook; of the staff channel the method, when it isn't a new message.
    public let url: String
    /// Sealed under the master key, the newest first.
    public let sealedSecrets: [String]
    /// What the secrets are sealed for.
    public let sealContext: String
    /// A webhook's body, a message for Slack, or a `MailMessage`; empty when there is nobody to tell any more.
    public let body: [UInt8]

    public init(
        channel: DeliveryChannel = .webhook, delivery: String, lane: String, lease: String, attempt: Int64,
        operation: String, endpoint: String, url: String = "", sealedSecrets: [String] = [], sealContext: String = "",
        body: [UInt8]
    ) {
        self.channel = channel
        self.delivery = delivery
        self.lane = lane
        self.lease = lease
        self.attempt = attempt
        self.operation = operation
        self.endpoint = endpoint
        self.url = url
        self.sealedSecrets = sealedSecrets
        self.sealContext = sealContext
        self.body = body
    }
}

/// How an attempt ended.
public enum SendOutcome: Sendable, Equatable {
    /// - Parameter receipt: what the receiver calls it, where it is needed to change it later.
    case delivered(status: Int64, receipt: String? = nil)
    /// It will be tried again; `note` says why in words of ours, never in the receiver's.
    /// - Parameter retryAfter: what the receiver asked for: not before that.
    case failed(status: Int64?, note: String, retryAfter: Span? = nil)
    /// The receiver will never take this one: given up at once.
    case refused(status: Int64?, note: String)
    /// The receiver says that it is gone for good.
    case gone
    /// Broken off before an answer came, as the server stopped or its outbox was started anew: tried again at once.
    case interrupted
}

/// Carries a parcel to its receiver. MUST answer within half the time of a lease, and at once when its task is cancelled.
public protocol Courier: Sendable {
    func deliver(_ parcel: Parcel) async -> SendOutcome
}

/// What waits to be sent. Several processes may share one.
public protocol Outbox: Sendable {
    /// Turns what was committed since into deliveries, one for each receiver. Answers true when more waits.
    func distribute() async throws -> Bool
    /// Leases attempts that are due: the first of each lane that has none under way.
    /// - Parameter inFlight: how many attempts this process has under way, by endpoint: a slow one must not take every place.
    func claim(_ limit: Int, inFlight: [String: Int]) async throws -> [Parcel]
    /// Records how an attempt ended and what comes next. Answers false when the lease had run out and the attempt was given
    /// to somebody else: then nothing is recorded.
    @discardableResult func settle(_ parcel: Parcel, _ outcome: SendOutcome, took: Span) async throws -> Bool
}

/// When a failed attempt is repeated.
public struct RetrySchedule: Sendable {
    /// The first pause; each further one is four times as long.
    public var first: Span = .seconds(5)
    public var longest: Span = .hours(8)
    /// How long after the first attempt it is given up.
    public var patience: Span = .days(3)
    public init() {}
    public init(longest: Span) { self.longest = longest }

    /// No pause lasts longer, whatever chance adds to it.
    public var longestPause: Span { Span(microseconds: longest.microseconds * 5 / 4) }

    /// How long to wait after this many failures in a row; `nil` when the patience is over by then.
    /// - Parameters:
    ///   - elapsed: since the first attempt.
    ///   - jitter: 0 to 1; spreads receivers that failed together over half the pause.
    public func pause(after failures: Int64, elapsed: Span, jitter: Double) -> Span? {
        var pause = first.microseconds
        for _ in 1..<max(1, min(failures, 20)) { pause = min(pause * 4, longest.microseconds) }
        pause = min(pause, longest.microseconds)
        let spread = Span(microseconds: pause * 3 / 4 + Int64(Double(pause) / 2 * min(max(jitter, 0), 1)))
        return elapsed + spread < patience ? spread : nil
    }
}
