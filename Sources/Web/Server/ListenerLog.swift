import Logging
import Synchronization

/// What the HTTP library may say of a listener. Of how it ends nothing: why is thrown, and whoever runs the listener says it
/// in a sentence; what breaks off then is no news.
struct ListenerLog: LogHandler {
    /// Set when the listener was told to end at once.
    final class Ending: Sendable {
        private let flag = Atomic(false)
        var hasBegun: Bool { flag.load(ordering: .acquiring) }
        func begin() { flag.store(true, ordering: .releasing) }
    }

    private var base: any LogHandler
    private let ending: Ending

    init(_ base: any LogHandler, _ ending: Ending) {
        self.base = base
        self.ending = ending
    }

    var metadata: Logger.Metadata {
        get { base.metadata }
        set { base.metadata = newValue }
    }

    var logLevel: Logger.Level {
        get { base.logLevel }
        set { base.logLevel = newValue }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { base[metadataKey: key] }
        set { base[metadataKey: key] = newValue }
    }

    func log(event: LogEvent) {
        // A part that is cancelled may speak before the whole hears of it.
        guard event.source != "ServiceLifecycle", !ending.hasBegun, !Task.isCancelled else { return }
        base.log(event: event)
    }
}
