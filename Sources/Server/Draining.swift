import Logging
import ServiceLifecycle
import Web

/// The first that hears of a stop: this server calls itself not ready and goes on answering, so that whoever spreads requests
/// over several servers sends no new ones, before the listeners close.
struct Draining: Service {
    let stopping: Stopping
    let time: Duration
    let logger: Logger

    func run() async {
        // Ends when the stop begins.
        do { try await gracefulShutdown() } catch { return }
        stopping.begin()
        guard time > .zero else { return }
        logger.notice("stopping: not ready, and still answering", metadata: ["seconds": "\(time.components.seconds)"])
        try? await Task.sleep(for: time)
    }
}
