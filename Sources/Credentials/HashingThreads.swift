import Dispatch
import Foundation
import Kernel
import Synchronization

/// A fixed number of threads with a bounded queue, outside the cooperative pool.
final class HashingThreads: Sendable {
    private struct State {
        var waiting: [@Sendable () -> Void] = []
        var running = 0
        var isStopped = false
    }

    private let state = Mutex(State())
    private let work = DispatchSemaphore(value: 0)
    private let count: Int
    private let queue: Int

    init(count: Int, queue: Int) {
        self.count = count
        self.queue = queue
        for index in 0..<count {
            // The threads keep this object alive until `stop`.
            let thread = Thread { self.loop() }
            thread.name = "password-\(index)"
            thread.start()
        }
    }

    /// Lets the threads end once what waits is done.
    func stop() {
        state.withLock { $0.isStopped = true }
        for _ in 0..<count { work.signal() }
    }

    /// Runs `body` on one of the threads; `.tooManyRequests` when the queue is full.
    func run<T: Sendable>(
        _ body: @escaping @Sendable () throws(OperationError) -> T
    ) async throws(OperationError) -> T {
        let result: Result<T, OperationError> = await withCheckedContinuation { continuation in
            let job: @Sendable () -> Void = {
                do throws(OperationError) {
                    continuation.resume(returning: .success(try body()))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
            let accepted = state.withLock { state in
                guard state.waiting.count + state.running < queue + count, !state.isStopped else { return false }
                state.waiting.append(job)
                return true
            }
            if accepted {
                work.signal()
            } else {
                continuation.resume(returning: .failure(.tooManyRequests(retryAfter: .seconds(2))))
            }
        }
        return try result.get()
    }

    private func loop() {
        while true {
            work.wait()
            let job: (@Sendable () -> Void)? = state.withLock { state in
                guard !state.waiting.isEmpty else { return nil }
                state.running += 1
                return state.waiting.removeFirst()
            }
            guard let job else {
                if state.withLock({ $0.isStopped }) { return }
                continue
            }
            job()
            state.withLock { $0.running -= 1 }
        }
    }
}
