import Consoles
import Kernel
import Logging
import ServiceLifecycle

/// Work that one of the processes sharing a database does for all of them: it makes the words of new names, counts the
/// facets of the list of tenants, lets happen to tenants what is due, carries out recoveries of accounts whose time has come, ends
/// emergencies, and starts access reviews, reminds of them and escalates those that are overdue.
struct Chores: Service {
    /// How often it looks whether a name is new.
    static let interval = Duration.seconds(2)
    /// How often another process tries to take over.
    static let takeover = Duration.seconds(2)
    static let facetsEvery = Duration.seconds(25)
    static let lifecycleEvery = Duration.seconds(60)
    static let reviewsEvery = Duration.seconds(10)
    /// Batches of words in one round, so that the other chores have their turn.
    static let wordBatches = 200

    let running: Running
    let lifecycle: TenantLifecycle
    let logger: Logger

    init(running: Running, logger: Logger) {
        self.running = running
        self.logger = logger
        let configuration = running.deployment.configuration
        var settings = TenantLifecycle.Settings()
        settings.archivesCancelled = configuration.flag("archive_cancelled")
        settings.requestsDeletion = configuration.flag("request_deletion")
        lifecycle = TenantLifecycle(pipeline: running.pipeline, settings: settings)
    }

    func run() async {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                await running.restarts.untilTold(.chores) { await lead() }
                // Another server may have it for once.
                if !Task.isCancelled { try? await Task.sleep(for: Self.takeover) }
            }
        }
    }

    /// Waits to lead and does what is due while it does, until its task is cancelled.
    private func lead() async {
        var lease: (any Lease)?
        var round = Round()
        var leads = false
        func tell(_ now: Bool) {
            running.leads.set(.chores, now)
            guard now != leads else { return }
            leads = now
            logger.info(now ? "the chores are taken up" : "the chores are given up")
        }
        while !Task.isCancelled {
            if let held = lease, !(await held.isHeld()) { lease = nil }
            if lease == nil { lease = try? await running.leadership.acquire("chores") }
            tell(lease != nil)
            if lease != nil { await turn(&round) }
            try? await Task.sleep(for: lease == nil ? Self.takeover : Self.interval)
        }
        tell(false)
        await lease?.release()
    }

    /// When the rarer chores were done last.
    private struct Round {
        var counted: ContinuousClock.Instant?
        var moved: ContinuousClock.Instant?
        var reviewed: ContinuousClock.Instant?

        static func isDue(_ last: ContinuousClock.Instant?, _ every: Duration) -> Bool {
            last.map { ContinuousClock.now - $0 >= every } ?? true
        }
    }

    /// One round. What fails is tried again with the next.
    private func turn(_ round: inout Round) async {
        await attempt("making words") {
            var batches = 0
            while !Task.isCancelled, batches < Self.wordBatches, try await WordIndex.turn(running.database) {
                batches += 1
            }
        }
        if Round.isDue(round.counted, Self.facetsEvery) {
            await attempt("counting facets") { try await TenantFacets.refresh(running.database) }
            round.counted = .now
        }
        if !running.clockWasSet.isTrue, Round.isDue(round.moved, Self.lifecycleEvery) {
            await attempt("moving tenants") { try await lifecycle.turn() }
            round.moved = .now
        }
        if !running.clockWasSet.isTrue {
            await attempt("recovering accounts") { try await RecoveryTurn(pipeline: running.pipeline).turn() }
        }
        // Also while the clock is doubted: an emergency that ends too early does no harm.
        await attempt("ending emergencies") { try await BreakGlassTurn(pipeline: running.pipeline).turn() }
        if !running.clockWasSet.isTrue, Round.isDue(round.reviewed, Self.reviewsEvery) {
            await attempt("looking after access reviews") {
                try await AccessReviewTurn(pipeline: running.pipeline).turn()
            }
            round.reviewed = .now
        }
    }

    private func attempt<T>(_ what: String, _ body: () async throws -> T) async {
        do {
            _ = try await body()
        } catch {
            if Task.isCancelled { return }
            logger.warning("\(what) failed and is tried again", metadata: ["error": "\(error)"])
        }
    }
}
