import CommandLine
import Kernel
import Logging

/// The server's own log on standard error: lines for people, or one JSON object a line for collectors.
enum ServerLog {
    static func make(_ configuration: Configuration) -> Logger {
        let isJSON = configuration.value("log_format") == "json"
        var logger = Logger(label: "postern") { label -> any LogHandler in
            if isJSON { return JSONLinesHandler() }
            return StreamLogHandler.standardError(label: label)
        }
        logger.logLevel = Logger.Level(rawValue: configuration.value("log_level")) ?? .info
        return logger
    }
}

private struct JSONLinesHandler: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .info
    private let terminal = Terminal.standard(environment: [:])

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var members: [String: JSON] = [:]
        for (name, value) in metadata.merging(event.metadata ?? [:], uniquingKeysWith: { _, last in last }) {
            members[name] = .string("\(value)")
        }
        members["at"] = .string(Clock.system.now.rfc3339)
        members["level"] = .string(event.level.rawValue)
        members["message"] = .string("\(event.message)")
        terminal.note(JSON.object(members).canonicalText)
    }
}
