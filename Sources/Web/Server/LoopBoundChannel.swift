import HummingbirdCore
import Logging
import NIOCore
import Synchronization

/// A connection whose requests are answered on the thread that reads and writes its bytes: what waited for the database goes on
/// there and its answer is written from there, without a thread in between.
struct LoopBoundChannel: ServerChildChannel {
    let base: HTTP1Channel

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<HTTP1Channel.Value> {
        base.setup(channel: channel, logger: logger)
    }

    func handle(value: HTTP1Channel.Value, logger: Logger) async {
        await withTaskExecutorPreference(LoopExecutor.of(value.channel.eventLoop)) {
            await base.handle(value: value, logger: logger)
        }
    }
}

/// Runs the steps of tasks on an event loop.
private final class LoopExecutor: TaskExecutor {
    private let loop: any EventLoop

    private init(_ loop: any EventLoop) { self.loop = loop }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        loop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }

    private static let known = Mutex<[ObjectIdentifier: LoopExecutor]>([:])

    /// One for each loop; loops live as long as the process.
    static func of(_ loop: any EventLoop) -> LoopExecutor {
        known.withLock { known in
            let key = ObjectIdentifier(loop)
            if let executor = known[key] { return executor }
            let executor = LoopExecutor(loop)
            known[key] = executor
            return executor
        }
    }
}
