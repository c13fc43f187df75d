import Kernel
import Logging
import ServiceLifecycle

/// Carries approved requests out when their time has come, and says of others that they have expired. Several servers may
/// do it at once: each request is taken under its row's lock.
struct ApprovalTurns: Service {
    static let interval = Duration.seconds(1)

    let pipeline: Pipeline
    let logger: Logger

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
            let carried = try await pipeline.executeDue()
            if carried > 0 { logger.notice("requests whose time had come", metadata: ["count": "\(carried)"]) }
            try await pipeline.expireOverdue()
        } catch {
            if Task.isCancelled { return }
            logger.warning("carrying out approved requests failed and is tried again", metadata: ["error": "\(error)"])
        }
    }
}
