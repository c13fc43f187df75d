import Consoles
import Kernel
import Logging
import ServiceLifecycle
import Store

/// What is due every half minute while the server runs: failed sign-ins that were only counted become events, and what
/// has run out is removed (challenges, delays, stored outcomes, abandoned imports, what was needed to send). In between, memory
/// that is free is given back.
struct Housekeeping: Service {
    static let interval = Duration.seconds(30)
    /// How often memory is given back between two rounds.
    private static let rests = 6
    /// Outcomes are kept for replay at least a day.
    static let outcomesKept = Span.hours(36)

    let running: Running
    let logger: Logger

    func run() async {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                await turn()
                for _ in 0..<Self.rests where !Task.isCancelled {
                    Allocator.giveBack()
                    try? await Task.sleep(for: Self.interval / Self.rests)
                }
            }
        }
    }

    /// One round. What fails is tried again with the next: everything due is still in the database then.
    func turn() async {
        do {
            try await running.signIn.sweep()
            try await Self.forgetOutcomes(in: running.database)
            try await running.database.write { tx in tx.enqueue(SQLRecords().forgetSpending(at: tx.now)) }
            try await ImportRun.forgetAbandoned(in: running.database)
            let told = Int64(running.deployment.configuration.value("inbox_kept")) ?? 90
            try await StaffInbox.forget(after: .days(told), in: running.database)
            try await StaffSlack.forget(in: running.database)
            let kept = Int64(running.deployment.configuration.value("deliveries_kept")) ?? 30
            try await DeliveryPruner(database: running.database, kept: .days(kept)).run()
        } catch {
            // A server that ends before its first round is over leaves it to the next one.
            if Task.isCancelled { return }
            logger.warning("housekeeping failed and is tried again", metadata: ["error": "\(error)"])
        }
    }

    /// What was counted since the last round is recorded before the server ends, if that takes no time: it stays in the
    /// database, and the next server's first round records it.
    func finish() async {
        let (done, signal) = AsyncStream.makeStream(of: Void.self)
        Task {
            try? await running.signIn.sweep(isLast: true)
            // Beside a running loop a turn may be none.
            await running.sequencer.stop()
            try? await running.sequencer.turn()
            signal.finish()
        }
        Task {
            try? await Task.sleep(for: .milliseconds(250))
            signal.finish()
        }
        for await _ in done {}
    }

    private static func forgetOutcomes(in database: any Database) async throws {
        while !Task.isCancelled {
            let count = try await database.write { tx in
                try tx.execute(SQLRecords().forgetOutcomes(storedBefore: tx.now - outcomesKept)).count
            }
            guard count > 0 else { return }
        }
    }
}
