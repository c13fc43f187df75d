import Consoles
import Kernel
import Logging
import ServiceLifecycle
import Synchronization

/// How often each worker was told to start anew, as this process last read it.
final class Restarts: Sendable {
    private let versions = Mutex<[Worker.Name: Int64]>([:])

    /// Takes what the table says. Answers those that were told so since it was taken last: none at first, as a process that begins
    /// starts everything anew.
    func take(_ read: [Worker.Name: Int64]) -> [Worker.Name] {
        versions.withLock { known in
            let told = Worker.Name.allCases.filter { name in
                guard let before = known[name], let now = read[name] else { return false }
                return now != before
            }
            known.merge(read) { _, now in now }
            return told
        }
    }

    private func version(of worker: Worker.Name) -> Int64? { versions.withLock { $0[worker] } }

    /// Runs a worker until it ends, or until it is told to start anew: then its task is cancelled. Answers once it has ended.
    func untilTold(_ worker: Worker.Name, _ work: @escaping @Sendable () async -> Void) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await work() }
            group.addTask { await self.told(worker) }
            _ = await group.next()
            group.cancelAll()
        }
    }

    /// How soon a worker hears of it once this process has read it.
    private static let poll = Duration.milliseconds(250)

    private func told(_ worker: Worker.Name) async {
        var known = version(of: worker)
        while !Task.isCancelled {
            try? await Task.sleep(for: Self.poll)
            let now = version(of: worker)
            if let known, let now, now != known { return }
            known = now ?? known
        }
    }
}

/// Looks whether somebody told a worker to start anew, and has this process's part of it do so.
struct Restarting: Service {
    static let interval = Duration.seconds(1)

    let running: Running
    let logger: Logger

    func run() async {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                await turn()
                try? await Task.sleep(for: Self.interval)
            }
        }
    }

    /// What can't be read is read with the next.
    private func turn() async {
        do {
            let versions = try await Worker.versions(in: running.database)
            // None waits for another.
            await withTaskGroup(of: Void.self) { group in
                for worker in running.restarts.take(versions) {
                    logger.notice("a worker starts anew", metadata: ["worker": "\(worker.rawValue)"])
                    group.addTask { await restart(worker) }
                }
            }
        } catch {
            if Task.isCancelled { return }
            logger.warning(
                "looking for workers to start anew failed and is tried again", metadata: ["error": "\(error)"])
        }
    }

    private func restart(_ worker: Worker.Name) async {
        switch worker {
        case .sequencer: await running.sequencer.restart()
        case .outbox: await running.outbox.restart()
        // These run within `untilTold`.
        case .chores, .integrity: break
        }
    }
}
