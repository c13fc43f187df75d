import Synchronization

/// Digests of tokens that were found to be somebody's lately. Bounded: the oldest half is forgotten when it is full.
final class Acquainted: Sendable {
    private struct State {
        var young: Set<[UInt8]> = []
        var old: Set<[UInt8]> = []
    }
    private let state = Mutex(State())
    private let limit: Int

    init(limit: Int = 20_000) { self.limit = limit }

    func contains(_ digest: [UInt8]) -> Bool {
        state.withLock { $0.young.contains(digest) || $0.old.contains(digest) }
    }

    func insert(_ digest: [UInt8]) {
        state.withLock { state in
            guard state.young.insert(digest).inserted, state.young.count > limit / 2 else { return }
            state.old = state.young
            state.young = []
        }
    }

    func remove(_ digest: [UInt8]) {
        state.withLock { state in
            state.young.remove(digest)
            state.old.remove(digest)
        }
    }
}
