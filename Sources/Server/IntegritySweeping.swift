import Consoles
import Kernel
import Logging
import ServiceLifecycle
import Store
import Synchronization

/// When a sweep of this process ended last.
final class LastSweep: Sendable {
    private let last = Mutex<Instant?>(nil)
    var at: Instant? { last.withLock { $0 } }
    func ended(_ at: Instant) { last.withLock { $0 = at } }
}

/// Compares the governed rows with the log while the server runs; of several servers one does.
struct IntegritySweeping: Service {
    let running: Running
    let interval: Duration
    let logger: Logger

    func run() async {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                await running.restarts.untilTold(.integrity) {
                    while !Task.isCancelled {
                        await turn()
                        try? await Task.sleep(for: interval)
                    }
                }
                // Until the one that was given up has let go of its lease.
                if !Task.isCancelled { try? await Task.sleep(for: .seconds(1)) }
            }
        }
    }

    /// One sweep. What fails is tried again with the next.
    func turn() async {
        do {
            guard let lease = try await running.leadership.acquire("integrity") else { return }
            running.leads.set(.integrity, true)
            defer {
                running.leads.set(.integrity, false)
                Task { await lease.release() }
            }
            logger.info("a sweep of governed rows begins")
            // As long again as each page took: half of one core at most.
            let sweep = DiscrepancySweep(store: SQLLogStore(), pipeline: running.pipeline)
            let outcome = try await sweep.run { took in
                try Task.checkCancellation()
                try await Task.sleep(for: took)
            }
            running.swept.ended(Clock.system.now)
            if outcome.opened > 0 {
                logger.error(
                    "rows differ from the log", metadata: ["opened": "\(outcome.opened)", "page": "/discrepancies"])
            }
            if outcome.closed > 0 {
                logger.notice("rows agree with the log again", metadata: ["closed": "\(outcome.closed)"])
            }
        } catch {
            // What was interrupted because the server ends is no failure.
            if Task.isCancelled { return }
            logger.warning("the sweep of governed rows failed and is tried again", metadata: ["error": "\(error)"])
        }
    }
}
