import Synchronization

/// Takes waiting events into the Merkle tree and publishes checkpoints. One process at a time leads.
///
///     commit of events ──► log_pending
///     leader:   read pending ─ hash ─ [ leaves + tiles + state (compare-and-set) + dequeue ] one transaction
///               └─ lease held? state still mine? ─ sign ─ append to checkpoints.log, fsync ─ log_checkpoint
///
/// Nothing is signed that is not committed, and nothing is served that is not in `checkpoints.log`. A leader that was
/// paused finds another epoch in the state and signs nothing new.
public actor Sequencer {
    public static let leaderName = "log.sequencer"

    /// Events taken in one transaction.
    public static let batch = 4096

    private let database: any Database
    private let store: any LogStore
    private let leadership: any Leadership
    private let key: LogKey
    private let file: CheckpointFile
    private let clock: Clock
    /// Other places where checkpoints are known: witnesses, seals. Asked at every takeover.
    private let witnessed: @Sendable () async throws -> [String]

    private let wake = Wake()
    private let shared: Mutex<Shared>
    private var lease: (any Lease)?
    private var state: LogState?
    private var frontier = TileFrontier()
    private var publishedSize: Int64 = 0
    private var task: Task<Void, Never>?
    private var isTurning = false
    /// It is to start anew: a round ends with the batch in hand.
    private var isLeaving = false
    private var nextAttempt = Instant(microseconds: .min)
    /// When the lease was last found to stand.
    private var confirmed = ContinuousClock.now
    /// The newest checkpoint of another leader that is known to be in this machine's file, and when that was looked at.
    private var followed: (size: Int64, at: ContinuousClock.Instant)?

    private struct Shared: Sendable {
        var refusal: String?
        var caughtUp: Instant
        /// Whether this process sequences at all: a command beside the server only adds to the queue.
        var isStarted = false
        var isLeading = false
    }

    /// How often the queue is looked at when nobody nudges.
    private static let poll = Duration.milliseconds(200)
    /// The least time between two batches, so that a batch holds more than one event and the disk is left to others.
    private static let pause = Duration.milliseconds(50)
    /// How long a refusal stands before the database is looked at again.
    private static let refusalPause = Span.seconds(3)
    /// How long a leader without work goes on without asking whether it still leads.
    private static let confirmation = Duration.seconds(2)
    /// How often the checkpoints of another leader are taken into this machine's file.
    private static let following = Duration.seconds(1)
    /// The log counts as behind when something has waited this long.
    private static let patience = Span.seconds(10)

    public init(
        database: any Database, store: any LogStore, leadership: any Leadership, key: LogKey, file: CheckpointFile,
        clock: Clock = .system, witnessed: @escaping @Sendable () async throws -> [String] = { [] }
    ) {
        self.database = database
        self.store = store
        self.leadership = leadership
        self.key = key
        self.file = file
        self.clock = clock
        self.witnessed = witnessed
        shared = Mutex(Shared(refusal: nil, caughtUp: clock.now))
    }

    /// Tells that something was committed. Cheap, from anywhere.
    public nonisolated func nudge() { wake.signal() }

    /// What readiness and the pipeline ask. Cheap, from anywhere.
    public nonisolated var health: LogHealth {
        let now = clock.now
        return shared.withLock { shared in
            if let refusal = shared.refusal { return .refused(refusal) }
            return shared.isStarted && now - shared.caughtUp > Self.patience
                ? .behind(since: shared.caughtUp) : .healthy
        }
    }

    /// Whether this process takes events into the tree at the moment. Cheap, from anywhere.
    public nonisolated var isLeading: Bool { shared.withLock { $0.isLeading } }

    /// Sequences until `stop`; once stopped it can't be started again.
    public func start() {
        guard task == nil else { return }
        shared.withLock { $0.isStarted = true }
        task = Task { await self.run() }
    }

    /// Finishes the batch in hand and gives the leadership up.
    public func stop() async {
        wake.finish()
        task?.cancel()
        await task?.value
        task = nil
        await stepDown()
    }

    private func run() async {
        let wake = wake
        let ticker = Task {
            while !Task.isCancelled {
                wake.signal()
                try? await Task.sleep(for: Self.poll)
            }
        }
        defer { ticker.cancel() }
        for await _ in wake.signals {
            if Task.isCancelled { break }
            do {
                try await turn()
                try await Task.sleep(for: Self.pause)
            } catch is CancellationError {
                break
            } catch {
                // Whatever went wrong, what the database holds is the truth: begin again from it.
                await stepDown()
                try? await Task.sleep(for: Self.poll)
            }
        }
    }

    /// One round: takes the lead when it is free, sequences what waits and publishes.
    public func turn() async throws {
        // An actor lets others in while it waits: a second round beside this one would race it to the same state.
        guard !isTurning else { return wake.signal() }
        guard ahead == nil else { return }
        try await alone { try await round() }
    }

    /// Waits until no round is under way, and lets none begin meanwhile.
    private func alone(_ work: () async throws -> Void) async throws {
        while isTurning { try await Task.sleep(for: .milliseconds(1)) }
        isTurning = true
        defer { isTurning = false }
        try await work()
    }

    private func round() async throws {
        if lease == nil {
            guard clock.now >= nextAttempt else { return }
            lease = try await leadership.acquire(Self.leaderName)
            guard lease != nil else { return try await watch() }
            do {
                try await takeOver()
            } catch {
                await stepDown()
                guard let refusal = error as? SequencerRefusal else { throw error }
                shared.withLock { $0.refusal = refusal.description }
                nextAttempt = clock.now + Self.refusalPause
                return
            }
            shared.withLock {
                $0.refusal = nil
                $0.isLeading = true
            }
            confirmed = .now
            followed = nil
        } else if ContinuousClock.now - confirmed > Self.confirmation {
            // Without work nothing would tell it that it was replaced.
            guard await lease?.isHeld() == true else { throw LogDamage("the lead was lost") }
            confirmed = .now
        }
        while !isLeaving, try await sequence() == Self.batch { if Task.isCancelled { break } }
        try await publish()
        // What waits is left to whoever leads next.
        if !isLeaving { caughtUp() }
    }

    /// Gives the lead up. What was committed stays; the next leader goes on from it.
    public func stepDown() async {
        shared.withLock { $0.isLeading = false }
        await lease?.release()
        lease = nil
        state = nil
    }

    /// How long a sequencer that starts anew leaves the lead to others.
    private static let leaving = Span.seconds(1)

    /// Gives the lead up after the batch in hand, however much waits, and begins anew from what the database holds; for a moment
    /// another process may have it.
    public func restart() async {
        isLeaving = true
        try? await alone {
            isLeaving = false
            // Entries are reserved by who goes on alone, and gives the lead up itself.
            guard ahead == nil, lease != nil else { return }
            await stepDown()
            nextAttempt = clock.now + Self.leaving
        }
        // Also where it was cancelled before its turn came.
        isLeaving = false
        wake.signal()
    }

    private func caughtUp() {
        let now = clock.now
        shared.withLock { $0.caughtUp = now }
    }

    /// Another process leads: whether it keeps up is looked at, and what it publishes is kept here as well, so that this
    /// machine too can tell a database that was set back.
    private func watch() async throws {
        let store = store
        let (oldest, published) = try await database.read { reader in
            (try reader.first(store.oldestPending())?.instant("at"), try store.newestCheckpoint(reader))
        }
        do {
            if let published { try follow(published) }
        } catch let refusal as SequencerRefusal {
            return shared.withLock { $0.refusal = refusal.description }
        }
        shared.withLock { $0.refusal = nil }
        guard let oldest else { return caughtUp() }
        if clock.now - oldest < .seconds(2) { caughtUp() }
    }

    private func oldestPending() async throws -> Instant? {
        try await database.snapshot([store.oldestPending()]).rows[0].first?.instant("at")
    }

    /// Takes the newest checkpoint into this machine's file unless it is there.
    private func follow(_ published: StoredCheckpoint) throws {
        if let followed {
            guard published.size > followed.size, ContinuousClock.now - followed.at >= Self.following else { return }
        }
        let records = try file.tail()
        let successions = Self.successions(records)
        var known: Int64 = -1
        for case .checkpoint(let note) in records.reversed() {
            known = try own(note, from: file.path, successions)?.size ?? -1
            break
        }
        // Also a test of this machine's key: with another one it could never take over.
        if let newest = try own(published.note, from: "the database", successions), newest.size > known {
            try file.append(.checkpoint(published.note))
        }
        followed = (published.size, .now)
    }

    // MARK: Taking over

    private func takeOver() async throws {
        let store = store
        let found = try await database.read { try store.state($0) }
        let records = try file.tail()
        if let found {
            try await takeOver(found, records)
        } else {
            try await openFirst(records)
        }
    }

    /// Nothing was ever sequenced here.
    private func openFirst(_ records: [CheckpointFile.Record]) async throws {
        // A checkpoint known outside means that this is not the log's database.
        try refuseLarger(records, than: 0)
        let first = LogState(origin: key.name, size: 0, root: MerkleTree.emptyRoot, epoch: 1)
        let statement = store.open(first)
        try await database.write { $0.enqueue(statement) }
        state = first
        frontier = TileFrontier()
        publishedSize = 0
    }

    /// What the database holds of the tree, when it does not contradict itself.
    private func readEdge(_ found: LogState) async throws -> Edge {
        let store = store
        return try await database.read { reader in
            do {
                return Edge(
                    frontier: try store.frontier(size: found.size, reader),
                    published: try store.newestCheckpoint(reader))
            } catch let damage as LogDamage {
                throw SequencerRefusal("The stored log is damaged: \(damage). Run postern verify.")
            }
        }
    }

    private struct Edge: Sendable {
        let frontier: TileFrontier
        let published: StoredCheckpoint?
    }

    private func takeOver(_ found: LogState, _ records: [CheckpointFile.Record]) async throws {
        guard found.origin == key.name else {
            throw SequencerRefusal(
                """
                The database holds the log \(found.origin), but this server signs for \(key.name). Set the log's origin and \
                key back, or open a successor log with: postern audit successor
                """)
        }
        let edge = try await readEdge(found)
        guard edge.frontier.root == found.root else {
            throw SequencerRefusal(
                """
                The stored leaves and tiles do not give the stored root of \(found.size) entries. Run postern verify to see \
                what was changed.
                """)
        }
        publishedSize = try await checkKnown(found, edge.published, records)
        let claimed = LogState(origin: found.origin, size: found.size, root: found.root, epoch: found.epoch + 1)
        let statement = store.advance(found, to: claimed)
        try await database.write { $0.enqueue(statement) }
        state = claimed
        frontier = edge.frontier
    }

    /// Compares every checkpoint known anywhere with the database; answers the size of the newest one it has published.
    private func checkKnown(
        _ found: LogState, _ published: StoredCheckpoint?, _ records: [CheckpointFile.Record]
    ) async throws -> Int64 {
        let successions = Self.successions(records)
        var newestInFile: Int64 = -1
        for record in records.reversed() {
            guard case .checkpoint(let note) = record else { continue }
            if let known = try own(note, from: file.path, successions) {
                try await check(known, from: file.path, against: found)
                newestInFile = known.size
            }
            break
        }
        let witnesses = try await witnessed()
        for note in witnesses {
            if let known = try own(note, from: "a witness", successions) {
                try await check(known, from: "a witness", against: found)
            }
        }
        guard let published, let known = try own(published.note, from: "the database", successions) else { return 0 }
        try await check(known, from: "the database", against: found)
        // What the database has published must be in the file of this machine as well.
        if known.size > newestInFile { try file.append(.checkpoint(published.note)) }
        return known.size
    }

    private static func successions(_ records: [CheckpointFile.Record]) -> [Succession] {
        records.compactMap { record in
            if case .succession(let note) = record { try? Succession(note: note) } else { nil }
        }
    }

    private func refuseLarger(_ records: [CheckpointFile.Record], than size: Int64) throws {
        for case .checkpoint(let note) in records {
            guard let text = try? SignedNote(parsing: note).text, let known = try? Checkpoint(text: text) else {
                continue
            }
            if known.origin == key.name, known.size > size { throw rewound(known.size, file.path, size) }
        }
    }

    /// The checkpoint when it is of this log; `nil` when it is of a log this one succeeded.
    private func own(_ note: String, from source: String, _ successions: [Succession]) throws -> Checkpoint? {
        if let signed = try? SignedNote(parsing: note), let text = try? Checkpoint(text: signed.text),
            text.origin != key.name,
            successions.contains(where: { $0.old.name == text.origin && $0.new == key.verifier })
        {
            return nil
        }
        do {
            return try Checkpoint(note: note, key: key.verifier)
        } catch {
            throw SequencerRefusal(
                """
                The newest checkpoint in \(source) is not one this log's key signed: \(error) Run postern verify, or set \
                the right key.
                """)
        }
    }

    private func check(_ known: Checkpoint, from source: String, against found: LogState) async throws {
        guard known.size <= found.size else { throw rewound(known.size, source, found.size) }
        let store = store
        let root = try await database.read { reader in
            var nodes = store.nodes(size: found.size, reader)
            return try MerkleTree.root(size: known.size) { try nodes.hash($0) }
        }
        guard root == known.root else {
            throw SequencerRefusal(
                """
                The database holds \(found.size) entries, but the checkpoint of \(known.size) entries in \(source) has \
                another root: history was rewritten. Run postern verify. To go on from this database, open a successor \
                log with: postern audit successor
                """)
        }
    }

    private func rewound(_ known: Int64, _ source: String, _ size: Int64) -> SequencerRefusal {
        SequencerRefusal(
            """
            A checkpoint of \(known) entries was published (\(source)), but the database holds only \(size): it was set \
            back, perhaps from a backup. Restore the newer database. If it is lost, open a successor log with: \
            postern audit successor
            """)
    }

    // MARK: Sequencing

    /// Takes one batch into the tree; answers how many events it had.
    private func sequence() async throws -> Int {
        guard let before = state else { return 0 }
        let store = store
        guard try await oldestPending() != nil else { return 0 }
        let start = frontier
        let (after, edge) = try await database.write { writer -> (LogState, TileFrontier) in
            var edge = start
            var leaves: [SequencedLeaf] = []
            var tiles: [FullTile] = []
            leaves.reserveCapacity(Self.batch)
            try store.pending(limit: Self.batch, writer) { event, leaf in
                let hash = MerkleTree.leafHash(leaf)
                leaves.append(SequencedLeaf(index: edge.size, eventID: event, hash: hash))
                edge.append(hash) { tiles.append($0) }
            }
            let after = LogState(origin: before.origin, size: edge.size, root: edge.root, epoch: before.epoch)
            // Also when nothing waits any more: a paused leader learns here that it was replaced.
            writer.enqueue(store.advance(before, to: after))
            if !leaves.isEmpty {
                writer.enqueue(store.integrate(leaves) + store.store(tiles) + [store.dequeue(from: before.size)])
            }
            return (after, edge)
        }
        state = after
        frontier = edge
        return Int(after.size - before.size)
    }

    // MARK: Large data

    /// Leaves on their way into the tree, written by the transaction that also writes their events.
    public struct Reservation: Sendable {
        /// The state that the transaction MUST find, and the one it leaves.
        public let before: LogState
        public let after: LogState
        /// In the order of the log.
        public let leaves: [SequencedLeaf]
        public let tiles: [FullTile]
        fileprivate let edge: TileFrontier
    }

    /// What was reserved last and is not settled yet.
    private var ahead: Reservation?

    /// Gives events their places behind everything that is in the tree or reserved, for a writer of large data that takes
    /// them there itself: its transactions write the events with their leaves, tiles and state, one state after the other,
    /// and no queue.
    ///
    /// Only for a process that writes alone: the first call takes the lead and everything that waits into the tree, and
    /// until all is settled no other event is taken.
    /// - Throws: `SequencerRefusal` when the log can't be continued, `LogDamage` when another process leads.
    public func reserve(_ leaves: [(eventID: String, hash: MerkleHash)]) async throws -> Reservation {
        if ahead == nil {
            nextAttempt = Instant(microseconds: .min)
            // Also behind a round of its own that is under way: what it takes comes before what is reserved.
            try await alone { try await round() }
            if let refusal = shared.withLock({ $0.refusal }) { throw SequencerRefusal(refusal) }
        }
        guard let before = ahead?.after ?? state, lease != nil else {
            throw LogDamage("another process continues the log; stop it first")
        }
        var edge = ahead?.edge ?? frontier
        var tiles: [FullTile] = []
        let sequenced = leaves.map { leaf in
            let index = edge.size
            edge.append(leaf.hash) { tiles.append($0) }
            return SequencedLeaf(index: index, eventID: leaf.eventID, hash: leaf.hash)
        }
        let reservation = Reservation(
            before: before,
            after: LogState(origin: before.origin, size: edge.size, root: edge.root, epoch: before.epoch),
            leaves: sequenced, tiles: tiles, edge: edge)
        ahead = reservation
        return reservation
    }

    /// Signs and publishes what a transaction committed. Reservations are settled in their order.
    public func settle(_ reservation: Reservation) async throws {
        guard state == reservation.before else { throw LogDamage("reserved leaves are settled in their order") }
        state = reservation.after
        frontier = reservation.edge
        // Only the newest committed state is signed: what is reserved beyond it may be committed at any moment.
        guard ahead?.after == reservation.after else { return }
        // A round beside this one would publish the same size.
        try await alone {
            ahead = nil
            try await publish()
        }
    }

    /// Forgets what was reserved and not committed, and gives the lead up.
    public func abandonReservations() async {
        ahead = nil
        await stepDown()
    }

    // MARK: Publishing

    /// Signs the committed state and makes it public, unless that was done or the lead was lost.
    private func publish() async throws {
        guard let committed = state, let lease, committed.size > publishedSize else { return }
        let store = store
        guard await lease.isHeld() else { throw LogDamage("the lead was lost") }
        let current = try await database.snapshot([store.state()]).rows[0].first.map(store.state)
        guard current == committed else { throw LogDamage("another sequencer took over") }
        let checkpoint = Checkpoint(origin: committed.origin, size: committed.size, root: committed.root)
        let note = try checkpoint.signed(by: key)
        try file.append(.checkpoint(note))
        let row = StoredCheckpoint(size: committed.size, root: committed.root.bytes, note: note)
        let at = clock.now
        try await database.write { $0.enqueue(store.publish(row, epoch: committed.epoch, at: at)) }
        publishedSize = committed.size
        confirmed = .now
    }
}

/// Why no leaf is added any more. A person must look.
struct SequencerRefusal: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
