import Synchronization

/// Whether what is committed also becomes provable.
public enum LogHealth: Sendable, Hashable {
    case healthy
    /// Events have waited for the tree since then. Mutations are answered 503 with `Retry-After`.
    case behind(since: Instant)
    /// The sequencer refuses to go on, and why.
    case refused(String)

    /// A sentence for readiness and for people; `nil` when all is well.
    public var problem: String? {
        switch self {
        case .healthy: nil
        case .behind(let since): "The audit log has been behind since \(since.rfc3339). Try again shortly."
        case .refused(let reason): reason
        }
    }
}

/// Wakes a loop. Signals that come while it works are folded into one.
public final class Wake: Sendable {
    private let stream: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation

    public init() { (stream, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1)) }
    public func signal() { continuation.yield() }
    func finish() { continuation.finish() }
    var signals: AsyncStream<Void> { stream }
}
