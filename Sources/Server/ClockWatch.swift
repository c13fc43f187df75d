import Consoles
import Kernel
import Logging
import ServiceLifecycle
import Store
import Synchronization

/// When somebody sets the clock that the database goes by, that is an incident in the log, and nothing that goes by dates happens by
/// itself any more until a person has looked and confirmed it, also when the server starts again meanwhile. The embedded database
/// has no clock but this machine's; PostgreSQL has one of its own, and each server compares it with the time since its machine
/// started.
struct ClockWatch: Service {
    static let interval = Duration.seconds(1)

    let running: Running
    let logger: Logger

    func run() async {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                try? await Task.sleep(for: Self.interval)
                await turn()
            }
        }
    }

    /// Tells what was noticed, else looks whether somebody has confirmed it. What fails is tried again with the next.
    private func turn() async {
        let clock = running.clockWasSet
        do {
            guard clock.isWatched else { return try await running.lookAtClock(logger) }
            guard let jump = clock.untold else {
                try await clock.look(in: running.database)
                if let mark = clock.takeMark() { try await ClockMarks.keep(mark, in: running.database) }
                return
            }
            let id = try await ClockJump.record(
                jump, in: running.database, running.pipeline.records, sendsMail: running.channels.contains(.mail))
            clock.told(id)
            running.say(jump, id, logger)
        } catch {
            if Task.isCancelled { return }
            logger.warning("watching the clock failed and is tried again", metadata: ["error": "\(error)"])
        }
    }
}

extension Running {
    /// Tells when the database's clock was set since a server of this machine last looked, and asks whether something is to be
    /// confirmed.
    func lookAtClock(_ logger: Logger) async throws {
        let told = try await ClockMarks.look(
            in: database, pipeline.records, sendsMail: channels.contains(.mail))
        if let told { say(told.jump, told.id, logger) }
        try await clockWasSet.look(in: database)
    }

    fileprivate func say(_ jump: Span, _ id: String, _ logger: Logger) {
        sequencer.nudge()
        logger.error(
            "the clock was set; what goes by dates stands still until somebody has confirmed it",
            metadata: ["seconds": "\(jump.seconds)", "confirm": "\(id)"])
    }
}

/// Whether what goes by dates is held because the clock was set: from the moment somebody could notice until a person has
/// confirmed it. Each question compares the clocks as well: the watch looks only once a second, and what goes by dates must not
/// come before it.
final class ClockWasSet: Sendable {
    private enum Hold {
        /// The row that somebody has to look at.
        case unconfirmed(String)
        /// This process is ahead of the machine. Its time never goes back, so what it calls due is not yet.
        case ahead(Span)
    }

    private struct State {
        var jumps: ClockJumps?
        /// When a mark was kept last.
        var keptAt: Instant?
        /// Noticed, and not in the database yet.
        var untold: [Span] = []
        /// What the database said last.
        var hold: Hold?

        mutating func compare() {
            if let jump = jumps?.look() { untold.append(jump) }
        }
    }

    private let state: Mutex<State>

    /// Whether this machine's clock is the database's.
    let isWatched: Bool

    init(isWatched: Bool) {
        self.isWatched = isWatched
        state = Mutex(State(jumps: isWatched ? ClockJumps() : nil))
    }

    var isTrue: Bool {
        state.withLock { state in
            state.compare()
            return !state.untold.isEmpty || state.hold != nil
        }
    }

    /// What was noticed first and is not in the database yet.
    var untold: Span? {
        state.withLock { state in
            state.compare()
            return state.untold.first
        }
    }

    /// Where the clock stands, now and then, for the next process: never before what was noticed is in the database.
    func takeMark() -> ClockMark? {
        state.withLock { state in
            state.compare()
            guard state.untold.isEmpty, let mark = state.jumps?.mark else { return nil }
            if let last = state.keptAt, mark.lookedAt - last < ClockMarks.every { return nil }
            state.keptAt = mark.lookedAt
            return mark
        }
    }

    /// It is there now, and is to be confirmed.
    func told(_ id: String) {
        state.withLock { state in
            state.untold.removeFirst()
            state.hold = .unconfirmed(id)
        }
    }

    /// Asks the database whether something is to be confirmed. Nobody else may tell of a jump meanwhile.
    func look(in database: any Database) async throws {
        let (open, now) = try await database.read { reader in (try ClockJump.open(from: reader)?.id, reader.now) }
        let ahead = now - Clock.system.now
        state.withLock { state in
            if let open {
                state.hold = .unconfirmed(open)
            } else {
                // As far as a server may be off its database, which elsewhere is said by readiness.
                state.hold = isWatched && ahead > .seconds(2) ? .ahead(ahead) : nil
            }
        }
    }

    /// Why things are held and what to do, in a sentence; `nil` when they are not.
    var complaint: String? {
        state.withLock { state -> String? in
            switch state.hold {
            case .unconfirmed(let id)?:
                return """
                    The clock was set; what goes by dates is held until somebody who may has looked and confirmed it in the console, \
                    or with: postern clock confirm \(id)
                    """
            case .ahead(let span)?:
                return """
                    The clock was set back, and this server goes by a time that is \(span.seconds) s ahead; what goes by dates is \
                    held until it is started again.
                    """
            case nil: return state.untold.isEmpty ? nil : "The clock was set; what goes by dates is held."
            }
        }
    }
}
