/// What `body` answers within `limit`; `nil` when it takes longer. It is cancelled then, and nobody waits for its end.
public func answer<T: Sendable>(within limit: Duration, _ body: @escaping @Sendable () async -> T) async -> T? {
    let (answers, answering) = AsyncStream.makeStream(of: T?.self)
    let asking = Task { answering.yield(await body()) }
    let waiting = Task {
        try await Task.sleep(for: limit)
        answering.yield(nil)
    }
    defer {
        asking.cancel()
        waiting.cancel()
        answering.finish()
    }
    for await first in answers { return first }
    return nil
}
