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
    private let seen = Mutex<[String: Instant]>([:])

    /// True when the same disclosure was recorded less than a minute before `now`.
    func covers(_ key: String, at now: Instant) -> Bool {
        seen.withLock { seen in
            guard let last = seen[key] else { return false }
            return now < last + Self.span
        }
    }

    /// Call only after the event is committed.
    func remember(_ key: String, at now: Instant) {
        seen.withLock { seen in
            if seen.count >= 20_000 { seen = seen.filter { now < $0.value + Self.span } }
            seen[key] = now
        }
    }
}
