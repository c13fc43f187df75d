import Synchronization

/// Idempotency keys whose request is being carried out by this process.
final class RunningKeys: Sendable {
    private let keys = Mutex<Set<String>>([])
    /// False when the key is already running.
    func claim(_ key: String) -> Bool { keys.withLock { $0.insert(key).inserted } }
    func release(_ key: String) { keys.withLock { _ = $0.remove(key) } }
}

/// Which disclosures were recorded lately: the same session on the same object within 60 s is one event.
final class FoldingTable: Sendable {
    static let span = Span.seconds(60)
    private struct State {
        var seen: [String: Instant] = [:]
        var prunedAt = Instant(microseconds: 0)
    }
    private let state = Mutex(State())

    /// True when the same disclosure was recorded less than a minute before `now`.
    func covers(_ key: String, at now: Instant) -> Bool {
        state.withLock { state in
            guard let last = state.seen[key] else { return false }
            return now < last + Self.span
        }
    }

    /// Call only after the event is committed.
    func remember(_ key: String, at now: Instant) {
        state.withLock { state in
            // Not with every key: a full table would be walked for each of them.
            if state.seen.count >= 20_000, now - state.prunedAt >= .seconds(5) {
                state.seen = state.seen.filter { now < $0.value + Self.span }
                state.prunedAt = now
            }
            state.seen[key] = now
        }
    }
}
