import Consoles
import Kernel
import Logging
import ServiceLifecycle

/// Carries approved requests out when their time has come, says of others that they have expired, and reminds those who could sign
/// the rest. Several servers may do it at once: each request is taken under its row's lock. While the clock is doubted nothing is
/// carried out because its time has come, nor called unanswered, which opens the emergency door for one; that somebody is reminded
/// too early does no harm.
struct ApprovalTurns: Service {
    static let interval = Duration.seconds(1)

    let pipeline: Pipeline
    let reminders: ReminderTurn
    let clockWasSet: ClockWasSet
    let logger: Logger

    init(running: Running, logger: Logger) {
        pipeline = running.pipeline
        reminders = ReminderTurn(pipeline: running.pipeline, channels: running.channels)
        clockWasSet = running.clockWasSet
        self.logger = logger
    }

    func run() async {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                await turn()
                try? await Task.sleep(for: Self.interval)
            }
        }
    }

    /// One round. What fails is due again in the next.
    func turn() async {
        do throws(OperationError) {
            let carried = try await pipeline.executeDue(while: { !clockWasSet.isTrue })
            if carried > 0 { logger.notice("requests whose time had come", metadata: ["count": "\(carried)"]) }
            try await pipeline.expireOverdue(while: { !clockWasSet.isTrue })
            do {
                try await reminders.turn()
            } catch {
                throw pipeline.translate(error, nil)
            }
        } catch {
            if Task.isCancelled { return }
            logger.warning("carrying out approved requests failed and is tried again", metadata: ["error": "\(error)"])
        }
    }
}
