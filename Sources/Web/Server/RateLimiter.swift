import HTTPTypes
import Hummingbird
import Kernel
import NIOHTTP1
import Synchronization

/// Token buckets in memory, one for each session or source. Each server counts for itself.
final class RateLimiter: Sendable {
    struct Verdict: Sendable {
        let policy: String
        let limit: Int
        let remaining: Int
        /// Seconds until the bucket is full again.
        let reset: Int
        /// `nil` when the request may go on.
        let retryAfter: Span?

        /// Says in an answer what is left; behind what another limit has said already.
        func mark(_ headers: inout HTTPFields) {
            func add(_ name: HTTPField.Name, _ text: String) {
                headers[name] = headers[name].map { "\($0), \(text)" } ?? text
            }
            add(.rateLimitPolicy, "\"\(policy)\";q=\(limit);w=60")
            add(.rateLimit, "\"\(policy)\";r=\(remaining);t=\(reset)")
        }
    }

    private struct Bucket {
        var tokens: Double
        var at: Instant
    }

    private let policy: String
    private let perMinute: Int
    private let clock: Clock
    private struct State {
        var buckets: [String: Bucket] = [:]
        var prunedAt = Instant(microseconds: 0)
    }
    private let state = Mutex(State())

    init(_ policy: String, perMinute: Int, clock: Clock) {
        self.policy = policy
        self.perMinute = perMinute
        self.clock = clock
    }

    /// Takes `cost` tokens of `key` if there is at least one; `nil` when there is no limit.
    /// - Parameter cost: 0 asks whether one is left.
    func take(_ key: String, cost: Double = 1) -> Verdict? {
        guard perMinute > 0 else { return nil }
        let now = clock.now
        let capacity = Double(perMinute)
        let rate = capacity / 60
        let (tokens, taken) = state.withLock { state in
            // Full buckets are forgotten, so that memory stays bounded by who came within the last minute. Not with every
            // request: a crowded table would be walked for each of them.
            if state.buckets.count > 10_000, now - state.prunedAt >= .seconds(5) {
                state.buckets = state.buckets.filter { now - $0.value.at < .seconds(60) }
                state.prunedAt = now
            }
            var bucket = state.buckets[key] ?? Bucket(tokens: capacity, at: now)
            let elapsed = max(0, Double((now - bucket.at).microseconds) / 1_000_000)
            bucket.tokens = min(capacity, bucket.tokens + elapsed * rate)
            bucket.at = now
            let taken = bucket.tokens >= 1
            if taken { bucket.tokens -= cost }
            state.buckets[key] = bucket
            return (bucket.tokens, taken)
        }
        let missing = taken ? 0 : (1 - tokens) / rate
        return Verdict(
            policy: policy, limit: perMinute, remaining: Int(tokens),
            reset: Int(((capacity - tokens) / rate).rounded(.up)),
            retryAfter: taken ? nil : Span(microseconds: Int64(missing * 1_000_000)))
    }

    /// Answers by `body` when a token is left. What is left stands on every answer: also on a refusal, whoever made it.
    func limiting(_ key: String, _ body: () async throws -> Response) async throws -> Response {
        guard let verdict = take(key) else { return try await body() }
        do {
            if let wait = verdict.retryAfter { throw OperationError.tooManyRequests(retryAfter: wait) }
            var response = try await body()
            verdict.mark(&response.headers)
            return response
        } catch let error as HTTPParserError {
            // Nothing that could be answered.
            throw error
        } catch {
            var problem = Problem(error)
            verdict.mark(&problem.headers)
            throw problem
        }
    }

    /// As `take`, but throws when nothing is left.
    @discardableResult
    func spend(_ key: String, cost: Double = 1) throws(OperationError) -> Verdict? {
        let verdict = take(key, cost: cost)
        if let wait = verdict?.retryAfter { throw .tooManyRequests(retryAfter: wait) }
        return verdict
    }
}
