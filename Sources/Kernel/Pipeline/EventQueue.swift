import Synchronization

/// Events of requests that run at the same time share a transaction: whoever comes while one is being committed waits for it and goes
/// into the next one together with all who came meanwhile.
///
///     a ──[ commit a ]
///     b    ·········──[ commit b c d ]
///     c      ·······──
///     d          ···──
///
/// Nobody is answered before the transaction with his own events is durable. What is wrong with one event fails nobody else: when a
/// transaction of several fails, each is tried by itself.
final class EventQueue: Sendable {
    private struct Waiting: Sendable {
        let events: [SealedEvent]
        let answer: CheckedContinuation<Void, any Error>
    }

    private struct State {
        var waiting: [Waiting] = []
        var isWriting = false
    }

    /// Requests in one transaction at most.
    private static let most = 64

    private let database: any Database
    private let records: any Records
    private let state = Mutex(State())

    init(_ database: any Database, _ records: any Records) {
        self.database = database
        self.records = records
    }

    /// How many wait for a commit to end.
    var waiting: Int { state.withLock { $0.waiting.count } }

    /// Records events in the order given; returns when they are durable.
    ///
    /// They MUST name no governed rows: rows locked for several requests in one transaction could wait for each other in a circle.
    func record(_ events: [SealedEvent]) async throws {
        let isFree = state.withLock { state in
            guard !state.isWriting else { return false }
            state.isWriting = true
            return true
        }
        // Nobody to wait for, as in most requests: no way through another task.
        if isFree {
            defer { handOver() }
            return try await commit(events)
        }
        try await withCheckedThrowingContinuation { (answer: CheckedContinuation<Void, any Error>) in
            let begins = state.withLock { state in
                state.waiting.append(Waiting(events: events, answer: answer))
                // Whoever was writing may have ended since.
                defer { state.isWriting = true }
                return !state.isWriting
            }
            if begins { handOver() }
        }
    }

    /// The turn of those who came meanwhile, in a task of its own: whoever was written need not wait for them.
    private func handOver() {
        let isOver = state.withLock { state in
            state.isWriting = !state.waiting.isEmpty
            return !state.isWriting
        }
        guard !isOver else { return }
        Task {
            while let batch = next() { await write(batch) }
        }
    }

    /// `nil` when nobody waits; then nobody is writing either.
    private func next() -> [Waiting]? {
        state.withLock { state in
            guard !state.waiting.isEmpty else {
                state.isWriting = false
                return nil
            }
            let batch = Array(state.waiting.prefix(Self.most))
            state.waiting.removeFirst(batch.count)
            return batch
        }
    }

    private func write(_ batch: [Waiting]) async {
        do {
            try await commit(batch.flatMap(\.events))
            for waiting in batch { waiting.answer.resume() }
        } catch let error where batch.count == 1 || Self.concernsAll(error) {
            for waiting in batch { waiting.answer.resume(throwing: error) }
        } catch {
            for waiting in batch {
                do {
                    try await commit(waiting.events)
                    waiting.answer.resume()
                } catch {
                    waiting.answer.resume(throwing: error)
                }
            }
        }
    }

    /// Trying each by itself would not help, or write twice what may be there already.
    private static func concernsAll(_ error: any Error) -> Bool {
        switch error {
        case StoreError.unavailable, StoreError.full: true
        default: false
        }
    }

    private func commit(_ events: [SealedEvent]) async throws {
        let records = records
        try await database.write { tx in tx.enqueue(records.insert(events)) }
    }
}
