import Kernel
import Logging
import ServiceLifecycle
import Store
import Synchronization

/// The embedded database has no clock but this machine's. When somebody sets it, that is an incident in the log, and nothing
/// that goes by dates happens by itself any more until a person has looked and started the server again.
struct ClockWatch: Service {
    static let interval = Duration.seconds(1)

    let running: Running
    let logger: Logger

    func run() async {
        await cancelWhenGracefulShutdown {
            var jumps = ClockJumps()
            while !Task.isCancelled {
                try? await Task.sleep(for: Self.interval)
                if let jump = jumps.look() { await tell(jump) }
            }
        }
    }

    private func tell(_ jump: Span) async {
        running.clockWasSet.happened()
        logger.error(
            "the clock was set; what goes by dates stands still until this server is started again",
            metadata: ["seconds": "\(jump.seconds)"])
        var draft = EventDraft(at: Clock.system.now, .incident, "clock.jumped", actor: .system("clock"))
        draft.facts = ["seconds": .int(jump.seconds)]
        let event = SealedEvent(draft)
        let records = running.pipeline.records
        while !Task.isCancelled {
            do {
                try await running.database.write { $0.enqueue(records.insert(event)) }
                return running.sequencer.nudge()
            } catch {
                logger.warning("recording that failed and is tried again", metadata: ["error": "\(error)"])
                try? await Task.sleep(for: Self.interval)
            }
        }
    }
}

/// Whether the clock was set since this process began.
final class ClockWasSet: Sendable {
    private let flag = Atomic(false)
    var isTrue: Bool { flag.load(ordering: .relaxed) }
    func happened() { flag.store(true, ordering: .relaxed) }
}
