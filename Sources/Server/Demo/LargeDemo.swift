import CommandLine
import Consoles
import Foundation
import Kernel
import Store
import StorePostgres
import Synchronization

/// Makes large data beside the demo company.
///
/// The rows and events are the ones the pipeline would write, and every guard of the database holds for them; only that they are
/// written many in a transaction, and go into the tree with it instead of through the queue:
///
///     build   … events n+1 ─────────────► events n+2 ──────────────►
///     write   … rows n ─┬─ leaves, state n, COMMIT
///                       rows n+1 (PostgreSQL) ─┴─ leaves, state n+1, COMMIT
///
/// What is in is found by the ids of its events, so a stopped making goes on where it was.
struct LargeDemo: Sendable {
    let running: Running
    /// The owner's: statistics are his to gather.
    let owner: Storage
    let data: LargeData
    let terminal: Terminal

    /// Batches of the import in one transaction, at most.
    private static let batchesPerTransaction = 4
    /// At most.
    private static let eventsPerTransaction = 8192
    /// What is less large comes in so many transactions as well, or in as many as it has parts: so that it shows how far it is, and
    /// stops soon.
    private static let fewestTransactions = 8
    /// After so many transactions the log is signed.
    private static let transactionsPerCheckpoint = 16

    enum Outcome: Sendable { case done, stopped }

    func make() async throws -> Outcome {
        do {
            let outcome = try await write()
            await running.sequencer.abandonReservations()
            return outcome
        } catch {
            await running.sequencer.abandonReservations()
            throw error
        }
    }

    private func write() async throws -> Outcome {
        try await running.database.write { try LargeDemoQueries.widenCache($0) }
        let data = data
        let batches = try await first(data.batches) { data.importEventID($0) }
        if batches < data.batches {
            let steps = Self.steps(batches..<data.batches, of: data.batches, most: Self.batchesPerTransaction)
            let meter = LargeDemoMeter(
                terminal, "tenants", done: batches * LargeData.tenantsPerBatch, total: data.size.tenants)
            let outcome = try await run(steps, meter) { step in
                { try Self.portion(step.map { data.imports($0) }) }
            }
            if outcome == .stopped { return .stopped }
            try await analyze()
        }
        let events = try await first(data.size.events) { data.eventID($0) }
        guard events < data.size.events else { return .done }
        var states = TenantStates(tenants: data.size.tenants)
        _ = data.plan(0..<events, &states)
        let steps = Self.steps(events..<data.size.events, of: data.size.events, most: Self.eventsPerTransaction)
        let meter = LargeDemoMeter(terminal, "events", done: events, total: data.size.events)
        let outcome = try await run(steps, meter) { step in
            let plan = data.plan(step, &states)
            return { Self.portion(plan.map { data.event($0) }) }
        }
        if outcome == .done { try await analyze() }
        return outcome
    }

    /// What is left, in the portions of a transaction each.
    private static func steps(_ left: Range<Int>, of count: Int, most: Int) -> [Range<Int>] {
        let size = max(1, min(most, count / fewestTransactions))
        return stride(from: left.lowerBound, to: left.upperBound, by: size).map { start in
            start..<min(start + size, left.upperBound)
        }
    }

    private func analyze() async throws {
        terminal.progress("Gathering statistics")
        try await LargeDemoQueries.analyze(owner, running.database)
        terminal.endProgress()
    }

    /// How many of the events are in: they were committed in their order.
    private func first(_ count: Int, _ id: @escaping @Sendable (Int) -> String) async throws -> Int {
        try await running.database.read { reader in
            var (low, high) = (0, count)
            while low < high {
                let middle = (low + high) / 2
                if try BulkRecords.contains(id(middle), reader) { low = middle + 1 } else { high = middle }
            }
            return low
        }
    }

    // MARK: Portions

    /// What one transaction writes.
    struct Portion: Sendable {
        /// How many tenants or events of the data it is.
        let count: Int
        let leaves: [(eventID: String, hash: MerkleHash)]
        /// New rows, which meet nobody else's.
        let rows: [RowLoad]
        /// What changes rows of earlier portions.
        let changes: [Statement]
    }

    private static func portion(_ imports: [LargeData.Import]) throws -> Portion {
        let events = imports.map(\.event)
        var rows = BulkRecords.rows(of: events)
        rows.append(
            BulkRecords.newHeads(
                events.flatMap { event in event.entities.map { ($0.type, $0.id, event.id) } }.sorted {
                    ($0.0, $0.1) < ($1.0, $1.1)
                }))
        rows.append(User.load(imports.flatMap(\.users).sorted { $0.id < $1.id }))
        rows.append(Tenant.load(imports.flatMap(\.tenants).sorted { $0.id < $1.id }))
        rows.append(Membership.load(imports.flatMap(\.memberships).sorted { $0.id < $1.id }))
        for one in imports { rows.append(LargeDemoQueries.history(one.tenants, event: one.event.id)) }
        return Portion(
            count: imports.reduce(0) { $0 + $1.tenants.count }, leaves: leaves(events), rows: rows, changes: [])
    }

    private static func portion(_ deeds: [(event: SealedEvent, after: Tenant?)]) -> Portion {
        // Of several edits of one tenant the last one is written, over what the first one found.
        var edited: [String: (after: Tenant, expecting: Int64, event: String)] = [:]
        for case (let event, let after?) in deeds {
            edited[after.id] = (after, edited[after.id]?.expecting ?? after.version - 1, event.id)
        }
        let edits = edited.values.sorted { $0.after.id < $1.after.id }
        let changes =
            BulkRecords.heads(edits.map { (Tenant.type, $0.after.id, $0.event) })
            + LargeDemoQueries.edit(edits.map { ($0.after, $0.expecting) })
        let events = deeds.map(\.event)
        return Portion(
            count: deeds.count, leaves: leaves(events), rows: BulkRecords.rows(of: events), changes: changes)
    }

    private static func leaves(_ events: [SealedEvent]) -> [(eventID: String, hash: MerkleHash)] {
        events.map { ($0.id, MerkleTree.leafHash($0.leaf)) }
    }

    // MARK: Writing

    /// Work that takes seconds, on a thread of its own: two of these would keep everything else of a process with two cores waiting,
    /// and a leader that is not heard of is replaced.
    private static func aside<T: Sendable>(_ work: @escaping @Sendable () throws -> T) async throws -> T {
        try await withCheckedThrowingContinuation { (answer: CheckedContinuation<T, any Error>) in
            Thread.detachNewThread { answer.resume(with: Result(catching: work)) }
        }
    }

    /// Builds portions ahead of the writing, and writes them in order.
    private func run(
        _ steps: [Range<Int>], _ meter: LargeDemoMeter,
        _ prepare: (Range<Int>) -> @Sendable () throws -> Portion
    ) async throws -> Outcome {
        // One writer on the embedded database; two transactions at a time, one committing behind the other, where there
        // are many.
        let width = running.database.dialect == .postgres ? 2 : 1
        var building: [Task<Portion, any Error>] = []
        var writing: [Task<Void, any Error>] = []
        var previous: CommitGate?
        var next = 0
        var transactions = 0
        defer {
            for task in building { task.cancel() }
            terminal.endProgress()
        }
        func build() {
            guard next < steps.count, building.count < 2 else { return }
            let work = prepare(steps[next])
            next += 1
            building.append(Task { try await Self.aside(work) })
        }
        do {
            build()
            build()
            while !building.isEmpty, !StopRequest.isAsked {
                let portion = try await building.removeFirst().value
                build()
                if writing.count == width { try await writing.removeFirst().value }
                if transactions % Self.transactionsPerCheckpoint == 0 {
                    for task in writing { try await task.value }
                    writing = []
                }
                transactions += 1
                let reservation = try await running.sequencer.reserve(portion.leaves)
                let (before, gate) = (previous, CommitGate())
                previous = gate
                writing.append(
                    Task {
                        do {
                            try await write(portion, reservation, behind: before)
                            try await running.sequencer.settle(reservation)
                            gate.open(.committed)
                        } catch {
                            gate.open(.failed)
                            throw error
                        }
                        meter.advance(portion.count)
                    })
            }
            for task in writing { try await task.value }
        } catch {
            for task in writing { _ = try? await task.value }
            throw error
        }
        return StopRequest.isAsked ? .stopped : .done
    }

    private func write(
        _ portion: Portion, _ reservation: Sequencer.Reservation, behind previous: CommitGate?
    ) async throws {
        try await running.database.write { writer in
            let store = SQLLogStore()
            for rows in portion.rows { try writer.load(rows) }
            try writer.load(BulkRecords.rows(of: reservation.leaves))
            // From here on it changes what the transaction before may still hold.
            guard previous?.wait() ?? .committed == .committed else {
                throw StoreError.retry("The transaction before failed.")
            }
            for statement in portion.changes { try writer.execute(statement) }
            writer.enqueue(store.store(reservation.tiles))
            writer.enqueue(store.advance(reservation.before, to: reservation.after))
        }
    }
}

/// Says how a transaction ended to the one behind it, whose thread waits.
private final class CommitGate: Sendable {
    enum End: Sendable { case committed, failed }

    private let end = Mutex<End?>(nil)
    private let group = DispatchGroup()

    init() { group.enter() }

    func open(_ end: End) {
        self.end.withLock { $0 = end }
        group.leave()
    }

    func wait() -> End {
        group.wait()
        return end.withLock { $0 } ?? .failed
    }
}

/// Whether somebody pressed Ctrl-C; while it is listened for, that ends nothing by itself.
enum StopRequest {
    private static let asked = Atomic(false)

    static func listen() {
        // Read before a signal can come: its handler must find the flag made.
        asked.store(false, ordering: .relaxed)
        for number in [SIGINT, SIGTERM] { signal(number) { _ in StopRequest.asked.store(true, ordering: .relaxed) } }
    }

    static var isAsked: Bool { asked.load(ordering: .relaxed) }

    /// Lets Ctrl-C end the program again.
    static func end() { for number in [SIGINT, SIGTERM] { signal(number, SIG_DFL) } }
}

/// Shows how far the making is, how fast, and how long it will take; a line now and then where there is no terminal.
private final class LargeDemoMeter: Sendable {
    private struct State {
        var done: Int
        var shown: Instant
    }

    private let terminal: Terminal
    private let what: String
    private let first: Int
    private let total: Int
    private let started = Clock.system.now
    private let state: Mutex<State>

    private static let pause = Span.milliseconds(200)
    private static let pauseOfLines = Span.seconds(15)

    init(_ terminal: Terminal, _ what: String, done: Int, total: Int) {
        self.terminal = terminal
        self.what = what
        first = done
        self.total = total
        state = Mutex(State(done: done, shown: Clock.system.now))
        if done > 0 { terminal.note("\(done) of \(total) \(what) are in already.") }
    }

    func advance(_ count: Int) {
        let now = Clock.system.now
        let done: Int? = state.withLock { state in
            state.done += count
            let pause = terminal.isInteractive ? Self.pause : Self.pauseOfLines
            guard now - state.shown >= pause || state.done >= total else { return nil }
            state.shown = now
            return state.done
        }
        guard let done else { return }
        let rate = max(1, Int64(done - first) * 1_000_000 / max(1, (now - started).microseconds))
        let left = Int64(total - done) / rate
        let line =
            "Making \(what): \(done) of \(total), \(rate)/s"
            + (done < total ? ", about \(left / 60):\(left % 60 < 10 ? "0" : "")\(left % 60) left" : "")
        if terminal.isInteractive { terminal.progress(line) } else { terminal.note(line) }
    }
}
