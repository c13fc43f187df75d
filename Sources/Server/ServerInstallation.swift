import CommandLine
import Consoles
import Foundation
import Kernel
import Store
import StorePostgres
import Synchronization

/// What the verbs of the server's own machine do.
struct ServerInstallation: Installation {
    let environment: [String: String]
    let terminal: Terminal
    /// How this program was called: what a person types to call it again.
    let program: String

    func serve(listeners: [String]) async throws {
        let deployment = try Deployment.load(environment: environment)
        if listeners.isEmpty || listeners.contains("staff"), let reason = deployment.insecureStaffURL {
            throw CommandFailure(.usage, reason)
        }
        try await Running.open(deployment).serve(listeners: listeners)
    }

    func migrate() async throws {
        let deployment = try Deployment.load(environment: environment)
        let outcome = try await deployment.migrate()
        for step in outcome.applied { terminal.print("Applied step \(step.number), \(step.name).") }
        if outcome.applied.isEmpty { terminal.print("The database is up to date.") }
        if let role = outcome.role {
            terminal.print("The server's role is \(role); its password is in \(deployment.rolePasswordFile).")
        }
        if outcome.isPolicySeeded { terminal.print("The shipped roles, permissions and approval rules were added.") }
    }

    func doctor(isJSON: Bool) async throws -> Bool {
        let report = await Doctor(environment: environment).examine()
        terminal.write(isJSON ? report.json.pretty() + "\n" : report.text(on: terminal))
        return report.isHealthy
    }

    func bootstrap(email: String, name: String?, insteadOf: String?) async throws -> String {
        let running = try await Running.open(try Deployment.load(environment: environment))
        do {
            try await running.continueLog()
            let input = JSON.members([
                ("email", .string(email)), ("name", name.map(JSON.string)), ("instead_of", insteadOf.map(JSON.string)),
            ])
            let applied = try await running.applied("staff.bootstrap", input, by: .system("bootstrap"))
            // No server may be running yet, and what happened is to be provable all the same.
            try await running.sequencer.turn()
            await running.close()
            return applied.reveal["enrolment_link"] ?? ""
        } catch {
            await running.close()
            throw error
        }
    }

    func importCSV(_ path: String, isDryRun: Bool) async throws -> ImportResult {
        let running = try await Running.open(try Deployment.load(environment: environment))
        do {
            if !isDryRun {
                try await running.continueLog()
                // Takes the batches into the log where no server does; a log that is behind would stop the import.
                await running.sequencer.start()
            }
            let result = try await importCSV(path, isDryRun: isDryRun, through: running.pipeline)
            if !isDryRun {
                // Beside a running loop a turn may be none.
                await running.sequencer.stop()
                try await running.continueLog()
            }
            await running.close()
            return result
        } catch {
            terminal.endProgress()
            await running.close()
            throw error
        }
    }

    private func importCSV(_ path: String, isDryRun: Bool, through pipeline: Pipeline) async throws -> ImportResult {
        let run = ImportRun(path, through: pipeline)
        let meter = RateMeter(terminal: terminal)
        do {
            let report = try await run.validate { meter.show("Checking", $0.done, of: nil) }
            terminal.endProgress()
            let result = ImportResult(
                rows: report.rows, created: report.created, updated: report.updated, unchanged: report.unchanged,
                problems: report.problems.map(\.sentence), problemCount: report.problemCount)
            guard report.problemCount == 0, !isDryRun else { return result }
            guard report.rows > 0 else { throw CommandFailure(.usage, "\(path) holds no tenants.") }
            let applying = RateMeter(terminal: terminal)
            try await run.apply(report) { applying.show("Importing", $0.done, of: $0.total) }
            terminal.endProgress()
            return result
        } catch let failure as ImportRun.Failure {
            switch failure {
            case .unreadable(let reason): throw CommandFailure(.usage, reason)
            case .changed:
                throw CommandFailure(.refused, "\(path) changed while it was imported. Run the command again.")
            case .notApplicable: throw CommandFailure(.usage, "\(path) can't be imported.")
            case .refused(let error, let progress):
                let reason = CommandFailure(error)
                throw CommandFailure(
                    reason.status,
                    """
                    Stopped after \(progress.done) of \(progress.total) rows: \(reason.message)
                    What is in stays in; run the same command again to go on.
                    """)
            }
        }
    }
}

/// Shows how far a long command is and how fast, a few times a second.
private final class RateMeter: Sendable {
    private let terminal: Terminal
    private let started = Clock.system.now
    private let shown = Mutex(Instant(microseconds: 0))

    init(terminal: Terminal) { self.terminal = terminal }

    func show(_ verb: String, _ done: Int, of total: Int?) {
        let now = Clock.system.now
        let isDue = shown.withLock { last in
            guard now - last > .milliseconds(200) else { return false }
            last = now
            return true
        }
        guard isDue else { return }
        let rate = Int64(done) * 1_000_000 / max(1, (now - started).microseconds)
        terminal.progress("\(verb) \(done)\(total.map { " of \($0)" } ?? "") rows, \(rate)/s")
    }
}
