import CommandLine
import Consoles
@preconcurrency import Dispatch
import Foundation
import Kernel
import Synchronization
import Yams

extension ServerInstallation {
    func importFile(_ question: ImportQuestion) async throws -> ImportResult {
        var source = ImportRun.Source(
            question.file, format: question.format == "jsonl" ? .jsonl : .csv,
            encoding: TextEncoding(rawValue: question.encoding) ?? .utf8)
        source.mapping = try question.mapping.map(MappingFile.load)
        let running = try await Running.open(try Deployment.load(environment: environment))
        do {
            if !question.isDryRun {
                try await running.continueLog()
                // Takes the batches into the log where no server does; a log that is behind would stop the import.
                await running.sequencer.start()
            }
            let interruption = Interruption()
            defer { interruption.end() }
            let run = ImportRun(source, through: running.pipeline, isStopping: { interruption.isAsked })
            let result = try await Self.carryOut(run, question, terminal)
            if !question.isDryRun {
                // Beside a running loop a turn may be none.
                await running.sequencer.stop()
                try await running.continueLog()
            }
            await running.close()
            return result
        } catch {
            terminal.endProgress()
            await running.close()
            throw Self.failure(error, question, running.storage)
        }
    }

    private static func carryOut(
        _ run: ImportRun, _ question: ImportQuestion, _ terminal: Terminal
    ) async throws -> ImportResult {
        let reading = RateMeter(terminal: terminal)
        let staging = RateMeter(terminal: terminal)
        let checking = RateMeter(terminal: terminal)
        let report = try await run.validate { step in
            switch step.phase {
            case .reading: reading.show("Reading", step.done, of: step.total, "bytes")
            case .staging: staging.show("Staging", step.done, of: step.total, "bytes")
            case .checking: checking.show("Checking", step.done, of: step.total, "rows")
            }
        }
        terminal.endProgress()
        let path = question.rejected ?? question.file + ".rejected.csv"
        if report.rejected > 0 { try await run.writeRejected(report, to: path) }
        func result(_ report: ImportRun.Report, isApplied: Bool) -> ImportResult {
            ImportResult(
                rows: report.rows, created: report.created, updated: report.updated, unchanged: report.unchanged,
                drifted: report.drifted, rejected: report.rejected, rejectedFile: report.rejected > 0 ? path : nil,
                problems: report.problems.map(\.sentence), problemCount: report.problemCount, isApplied: isApplied,
                done: report.done)
        }
        if question.isDryRun || question.isStrict && report.rejected > 0 { return result(report, isApplied: false) }
        guard report.rows > 0 else {
            if report.rejected > 0 { return result(report, isApplied: false) }
            throw CommandFailure(.usage, "\(question.file) holds no tenants.")
        }
        if report.done > 0 { terminal.note("Going on: \(report.done) of \(report.rows) are in.") }
        let applying = RateMeter(terminal: terminal, from: Int64(report.done))
        let end = try await run.apply(report, strict: question.isStrict, rejectedTo: path) {
            applying.show("Importing", Int64($0.done), of: Int64($0.total), "rows")
        }
        terminal.endProgress()
        return result(end, isApplied: !end.isStopped)
    }

    private static func failure(_ error: any Error, _ question: ImportQuestion, _ storage: Storage) -> any Error {
        func stopped(_ progress: ImportRun.Progress, _ reason: String) -> String {
            let count = progress.total > 0 ? " after \(progress.done) of \(progress.total) rows" : ""
            return """
                Stopped\(count)\(reason)
                What is in stays in; run the same command again to go on.
                """
        }
        switch error as? ImportRun.Failure {
        case nil:
            guard error is StoreError else { return error }
            let reason = CommandFailure(error, storage)
            return CommandFailure(
                reason.status, "\(reason.message)\nWhat is in stays in; run the same command again to go on.")
        case .unreadable(let reason): return CommandFailure(.usage, reason)
        case .faulty(let problem):
            return CommandFailure(
                .usage,
                "\(problem.sentence.printableText)\n\(question.file) can't be read any further; nothing was imported.")
        case .changed:
            return CommandFailure(.refused, "\(question.file) changed while it was read. Run the command again.")
        case .busy:
            return CommandFailure(
                .refused, "Another command imports \(question.file) right now. Wait for it, then run this again.")
        case .notApplicable: return CommandFailure(.usage, "\(question.file) can't be imported.")
        case .stopped(let progress): return CommandFailure(.unexpected, stopped(progress, "."))
        case .refused(let error, let progress):
            let reason = CommandFailure(error)
            return CommandFailure(reason.status, stopped(progress, ": \(reason.message)"))
        }
    }
}

/// Ctrl-C ends what runs between two transactions instead of in the middle of one.
private final class Interruption: Sendable {
    private let asked = Mutex(false)
    private let sources: [any DispatchSourceSignal]

    init() {
        sources = [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            return DispatchSource.makeSignalSource(signal: number, queue: .global())
        }
        for source in sources {
            source.setEventHandler { [weak self] in self?.asked.withLock { $0 = true } }
            source.resume()
        }
    }

    var isAsked: Bool { asked.withLock { $0 } }

    func end() {
        for source in sources { source.cancel() }
        signal(SIGINT, SIG_DFL)
        signal(SIGTERM, SIG_DFL)
    }
}

/// A mapping as YAML, of which JSON is a part.
enum MappingFile {
    static func load(_ path: String) throws(CommandFailure) -> ImportMapping {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw CommandFailure(.usage, "\(path) can't be read.")
        }
        guard data.count <= 1 << 20, let text = String(validating: data, as: UTF8.self) else {
            throw CommandFailure(.usage, "\(path) is not a text of at most 1 MiB.")
        }
        let json = try json(text, of: path)
        do throws(ImportMapping.Problem) {
            return try ImportMapping(json)
        } catch {
            throw CommandFailure(.usage, "\(path): \(error.sentence)")
        }
    }

    static func json(_ text: String, of path: String) throws(CommandFailure) -> JSON {
        let root: Node?
        do {
            root = try Yams.compose(yaml: text)
        } catch {
            throw CommandFailure(.usage, "\(path) is not valid YAML: \(error)")
        }
        guard let root else { throw CommandFailure(.usage, "\(path) is empty.") }
        return try json(root, of: path, depth: 0)
    }

    private static func json(_ node: Node, of path: String, depth: Int) throws(CommandFailure) -> JSON {
        guard depth < 8 else { throw CommandFailure(.usage, "\(path) is nested too deeply for a mapping.") }
        if let mapping = node.mapping {
            var members: [String: JSON] = [:]
            for (key, value) in mapping {
                guard let name = key.scalar?.string else {
                    throw CommandFailure(.usage, "\(path) holds a key that is not a word.")
                }
                members[name] = try json(value, of: path, depth: depth + 1)
            }
            return .object(members)
        }
        if let sequence = node.sequence {
            var elements: [JSON] = []
            for element in sequence { elements.append(try json(element, of: path, depth: depth + 1)) }
            return .array(elements)
        }
        guard let scalar = node.scalar else { return .null }
        // A column called 42, a plan called true: whatever stands there is the text that stands there.
        return scalar.tag.description == "tag:yaml.org,2002:null" ? .null : .string(scalar.string)
    }
}

extension String {
    /// Without control characters, so that a file's text can't steer the terminal.
    fileprivate var printableText: String {
        String(
            String.UnicodeScalarView(
                unicodeScalars.map { $0.value < 0x20 || (0x7F..<0xA0).contains($0.value) ? "\u{FFFD}" : $0 }))
    }
}

/// Shows how far a long command is, how fast, and how long it will take, a few times a second.
private final class RateMeter: Sendable {
    private let terminal: Terminal
    private let first: Int64
    /// When it began and when it was last shown.
    private let times = Mutex<(began: Instant, shown: Instant)?>(nil)

    init(terminal: Terminal, from first: Int64 = 0) {
        self.terminal = terminal
        self.first = first
    }

    func show(_ verb: String, _ done: Int64, of total: Int64, _ unit: String) {
        let now = Clock.system.now
        let began = times.withLock { times -> Instant? in
            guard let known = times else {
                times = (now, now)
                return nil
            }
            guard now - known.shown > .milliseconds(200) else { return nil }
            times = (known.began, now)
            return known.began
        }
        guard let began else { return }
        let elapsed = max(1, (now - began).microseconds)
        let rate = (done - first) * 1_000_000 / elapsed
        let left = rate > 0 ? ", \(Self.time((total - done) / rate)) left" : ""
        terminal.progress("\(verb) \(done) of \(total) \(unit), \(rate)/s\(left)")
    }

    /// `1:05`, `2:03:09`
    private static func time(_ seconds: Int64) -> String {
        let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60)
        return hours > 0
            ? String(format: "%d:%02d:%02d", hours, minutes, rest) : String(format: "%d:%02d", minutes, rest)
    }
}
