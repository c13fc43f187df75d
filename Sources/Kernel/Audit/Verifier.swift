/// Recomputes everything the log claims and names whatever is not so (spec: audit-log §4, Verify).
///
/// Three trees are kept apart as soon as they disagree: of the events' bytes, of the stored hashes, and of the stored
/// tiles. The one that agrees with the signed checkpoints is right, and what the others have at an index was edited.
public struct Verifier: Sendable {
    public struct Progress: Sendable {
        public enum Phase: String, Sendable { case checkpoints, events, rows }
        public let phase: Phase
        public let done: Int64
        /// 0 when not known.
        public let total: Int64
        /// Hand it to `run(resume:)` to go on from here; only during `events`.
        public let resume: JSON?
    }

    let database: any Database
    let store: any LogStore
    let catalog: Catalog
    let key: VerifierKey
    let file: CheckpointFile?

    /// - Parameter key: the log's own. Checkpoints of logs it succeeded are checked with the keys in the signed records.
    public init(database: any Database, store: any LogStore, catalog: Catalog, key: VerifierKey, file: CheckpointFile?)
    {
        self.database = database
        self.store = store
        self.catalog = catalog
        self.key = key
        self.file = file
    }

    /// Entries read in one transaction: whole tiles.
    static let portion: Int64 = 4096

    /// - Parameters:
    ///   - against: older checkpoints (signed notes, or the text of a `checkpoints.log`) that must be consistent with the log.
    ///   - resume: what an interrupted run reported last.
    public func run(
        against: [String] = [], resume: JSON? = nil, progress: @escaping @Sendable (Progress) async -> Void = { _ in }
    ) async throws -> VerificationReport {
        // Before the database: a running server signs newer checkpoints meanwhile, only of what it has committed.
        var known = KnownCheckpoints(key: key)
        if let file { try known.read(file) }
        for text in against { known.read(text: text) }
        let store = store
        let (stored, beyond) = try await database.read { reader -> (LogState?, [Int64]) in
            let state = try store.state(reader)
            let size = state?.size ?? 0
            return (state, try store.leafHashes(size..<size + 100, reader).map(\.index))
        }
        var walk = LogWalk(size: stored?.size ?? 0, key: SecureRandom.bytes(32))
        if let resume {
            guard let resumed = LogWalk(resume), resumed.size <= walk.size else {
                throw NoteError("The saved progress does not belong to this log. Start again without --resume.")
            }
            walk = resumed
        }
        if let stored, stored.origin != key.name {
            walk.report.add(
                Finding(
                    .stateEdited, row: "log_state:1",
                    "The database says it holds the log \(stored.origin); the key is of \(key.name)."))
        }
        for index in beyond where resume == nil {
            walk.report.add(
                Finding(
                    .rowAdded, index: index, row: "log_leaf:\(index)",
                    "A leaf stands beyond the log's size of \(walk.size)."))
        }

        if resume != nil { known.findings = [] }
        walk.report.findings += known.findings
        for checkpoint in known.larger(than: stored?.size ?? 0) where resume == nil {
            walk.report.add(
                Finding(
                    .logRewound, row: checkpoint.source,
                    "A checkpoint of \(checkpoint.size) entries was signed (\(checkpoint.source)), but the log holds \(stored?.size ?? 0)."
                ))
        }
        await progress(Progress(phase: .checkpoints, done: known.count, total: known.count, resume: nil))

        try await walkEvents(&walk, known, progress)
        try await finishTree(&walk, known, stored)
        try await checkTables(&walk)
        try await GovernedCheck(database: database, store: store, catalog: catalog).run(&walk.report) { done in
            await progress(Progress(phase: .rows, done: done, total: 0, resume: nil))
        }
        walk.report.checkpointsChecked = known.count + walk.checkpoints
        walk.report.eventsArchived = walk.pruning.count
        return walk.report
    }

    // MARK: Events

    /// Two portions are read and checked at a time and joined in order.
    private func walkEvents(
        _ walk: inout LogWalk, _ known: KnownCheckpoints, _ progress: @Sendable (Progress) async -> Void
    ) async throws {
        let size = walk.size
        var next = walk.next
        var waiting: [Task<PortionCheck, any Error>] = []
        func ask(_ start: Int64, _ key: [UInt8]) -> Task<PortionCheck, any Error> {
            let (database, store) = (database, store)
            return Task {
                try await database.read { try Self.check(start..<min(start + Self.portion, size), key, store, $0) }
            }
        }
        defer { for task in waiting { task.cancel() } }
        while walk.next < size {
            while waiting.count < 2, next < size {
                waiting.append(ask(next, walk.namingKey))
                next += Self.portion
            }
            let portion = try await waiting.removeFirst().value
            // Read the one after next while this one is joined.
            if next < size {
                waiting.append(ask(next, walk.namingKey))
                next += Self.portion
            }
            try await join(portion, to: &walk, known)
            await progress(Progress(phase: .events, done: walk.next, total: size, resume: walk.json))
            try Task.checkCancellation()
        }
    }

    private static func check(
        _ range: Range<Int64>, _ key: [UInt8], _ store: any LogStore, _ reader: any Reader
    ) throws -> PortionCheck {
        var check = EntryCheck(key: key)
        let first = range.lowerBound
        check.result.hashes = Array(repeating: (nil, nil), count: range.count)
        check.result.ids = Array(repeating: nil, count: range.count)
        check.result.pruned = try store.pruned(range, reader)
        var archived: [String] = []
        var seen = Array(repeating: false, count: range.count)
        try store.entries(range, reader) { entry in
            let place = Int(entry.index - first)
            if seen[place] {
                check.result.findings.append(
                    Finding(.duplicate, index: entry.index, event: entry.eventID, "Two leaves have this index."))
                return
            }
            seen[place] = true
            let stored = MerkleHash(entry.hash)
            check.result.ids[place] = entry.eventID
            let isPruned = check.result.pruned[entry.index] != nil
            guard let event = entry.event else {
                check.result.hashes[place] = (nil, stored)
                if isPruned {
                    archived.append(entry.eventID)
                    return
                }
                check.result.findings.append(
                    Finding(
                        .rowDeleted, index: entry.index, event: entry.eventID, row: "events:\(entry.eventID)",
                        "The event is in the tree, but its row is gone."))
                return
            }
            if isPruned {
                check.result.findings.append(
                    Finding(
                        .rowAdded, index: entry.index, event: entry.eventID, row: "events:\(entry.eventID)",
                        "The event is said to be in the archive, and stands here."))
                check.result.pruned[entry.index] = nil
            }
            let hash = MerkleTree.leafHash(event.leaf)
            check.result.hashes[place] = (hash, stored)
            if hash == stored {
                check.check(event, index: entry.index, sealed: entry.sealed)
            }
        }
        for (place, isThere) in seen.enumerated() where !isThere {
            check.result.findings.append(
                Finding(
                    .rowDeleted, index: first + Int64(place), row: "log_leaf:\(first + Int64(place))",
                    "The leaf with this index is gone."))
            check.result.pruned[first + Int64(place)] = nil
        }
        // What an erasure removed of an event that has left since is still what that erasure committed to.
        for erasure in try store.erasures(archived, reader) {
            check.result.claims.claim(erasure.event, erasure.member, by: erasure.erasedBy)
        }
        try check.settle(store, reader)
        let width = Int64(Tiles.width)
        for tile in try store.tiles(level: 0, first / width..<range.upperBound / width, reader) {
            check.result.tiles[tile.index] = tile.hashes
        }
        check.result.checkpoints = try store.checkpoints(first + 1..<range.upperBound + 1, reader)
        return check.result
    }

    private func join(_ portion: PortionCheck, to walk: inout LogWalk, _ known: KnownCheckpoints) async throws {
        for finding in portion.findings { walk.report.add(finding) }
        walk.report.eventsChecked += portion.events
        walk.report.valuesChecked += portion.values
        walk.report.erasedValues += portion.erased
        walk.namings.add(portion.namings)
        walk.unknownRows.merge(portion.unknownRows) { first, _ in first }
        walk.claims.add(portion.claims)
        walk.pruning.meet(portion.pruning)

        var checkpoints: [Int64: [KnownCheckpoint]] = [:]
        for stored in portion.checkpoints {
            walk.checkpoints += 1
            if let checkpoint = known.check(stored, &walk.report) {
                checkpoints[checkpoint.size, default: []].append(checkpoint)
            }
        }
        var completed: [FullTile] = []
        for (place, hashes) in portion.hashes.enumerated() {
            let index = walk.next + Int64(place)
            let tileIndex = index / Int64(Tiles.width)
            let tile = portion.tiles[tileIndex]
            let isFull = (tileIndex + 1) * Int64(Tiles.width) <= walk.size
            if isFull, index % Int64(Tiles.width) == 0, tile?.count != Tiles.width * 32 {
                walk.report.add(
                    Finding(
                        tile == nil ? .tileDeleted : .tileEdited, row: "log_tile:0/\(tileIndex)",
                        tile == nil ? "The tile is gone." : "The tile is not 8192 bytes long."))
            }
            let inTile = tile.flatMap { bytes in
                bytes.count == Tiles.width * 32 ? MerkleHash(bytes, at: Int(index % Int64(Tiles.width)) * 32) : nil
            }
            let retention = portion.pruned[index]
            if let retention, let stored = hashes.stored {
                walk.pruning.claim(index: index, hash: stored, by: retention)
            }
            walk.append(
                leaf: hashes.leaf, stored: hashes.stored, tile: inTile, isPruned: retention != nil,
                event: portion.ids[place], completed: &completed)
            let size = index + 1
            let here = (known.bySize[size] ?? []) + (checkpoints[size] ?? [])
            if !here.isEmpty { walk.compare(here, at: size) }
        }
        walk.next += Int64(portion.hashes.count)
        // Tiles above level 0; each stands for at least 65,536 leaves, so they are few.
        let store = store
        for tile in completed where tile.level > 0 {
            let found = try await database.read {
                try store.tiles(level: tile.level, tile.index..<tile.index + 1, $0).first
            }
            let name = "log_tile:\(tile.level)/\(tile.index)"
            guard let found else {
                walk.report.add(Finding(.tileDeleted, row: name, "The tile is gone."))
                continue
            }
            let right = MerkleHash.concatenate(tile.hashes)
            // When the trees disagree the tile must be the one of any of them; which, is settled at the end.
            if found.hashes != right, !walk.isForked {
                let position = zip(found.hashes, right).enumerated().first { $1.0 != $1.1 }?.offset ?? 0
                walk.report.add(
                    Finding(.tileEdited, row: name, "The hash \(position / 32) of the tile is not the tree's."))
            }
        }
    }

    // MARK: Tree

    private func finishTree(_ walk: inout LogWalk, _ known: KnownCheckpoints, _ stored: LogState?) async throws {
        let store = store
        let size = walk.size
        // A checkpoint of the pinned size may have been published since, which was compared while walking; the state may
        // have grown. Only the state as it was when the run began is compared.
        if let stored, stored.size == size { walk.compare(state: stored) }
        walk.conclude()
        let counts = try await database.read { reader -> (Int64, [Int64]) in
            (try store.state(reader)?.size ?? 0, try (0..<8).map { try store.tileCount(level: $0, reader) })
        }
        for (level, count) in counts.1.enumerated() {
            let expected = Tiles.count(level: level, size: counts.0) / Int64(Tiles.width)
            if count > expected {
                walk.report.add(
                    Finding(
                        .tileAdded, row: "log_tile:\(level)",
                        "Level \(level) has \(count) tiles; a log of \(counts.0) entries has \(expected)."))
            }
        }
        let larger = try await database.read { try store.checkpoints(counts.0 + 1..<Int64.max, $0) }
        for checkpoint in larger {
            let isSigned = known.check(checkpoint, &walk.report) != nil
            if isSigned {
                walk.report.add(
                    Finding(
                        .logRewound, row: "log_checkpoint:\(checkpoint.size)",
                        "A checkpoint of \(checkpoint.size) entries was signed, but the log holds \(counts.0)."))
            }
        }
    }

    // MARK: Tables

    private func checkTables(_ walk: inout LogWalk) async throws {
        let (store, pinned) = (store, walk.size)
        let start = walk
        let (findings, pending) = try await database.read { reader -> ([Finding], Int64) in
            var findings: [Finding] = []
            let size = try store.state(reader)?.size ?? 0
            let events = try store.eventCount(reader)
            let waiting = try store.pendingCount(reader)
            let archived = try store.prunedCount(reader)
            if events + archived != size + waiting || !start.report.isClean {
                try store.unsequenced(reader) { id in
                    findings.append(
                        Finding(
                            .rowAdded, event: id, row: "events:\(id)",
                            "The event is neither in the tree nor waiting for it."))
                }
            }
            if events + archived < size + waiting, start.report.isClean {
                findings.append(
                    Finding(
                        .rowDeleted, row: "events",
                        """
                        There are \(events) events and \(archived) in the archive, but \(size + waiting) are in the tree or \
                        wait.
                        """))
            }
            // Events that came since, or wait, name rows as well.
            var check = EntryCheck(key: start.namingKey)
            if size > pinned {
                try store.entries(pinned..<size, reader) { entry in
                    if let event = entry.event { check.check(event, index: entry.index, sealed: entry.sealed) }
                }
            }
            var queue: [String] = []
            try store.pending(limit: Int(clamping: waiting), reader) { id, _ in queue.append(id) }
            let waitingEvents = try store.events(queue, reader)
            let waitingSealed = try store.sealed(queue, reader)
            for id in queue {
                if let event = waitingEvents[id] { check.check(event, index: nil, sealed: waitingSealed[id]) }
            }
            try check.settle(store, reader)
            findings += check.result.findings
            let retentions = check.result.pruning.met
            findings += start.pruning.findings(leavingOut: { retentions[$0] != nil })
            let later = check.result.claims.met
            findings += start.claims.findings(leavingOut: { later[$0] != nil })
            // What is said to be erased and is still there: it would be taken for erased by everything that reads it.
            try store.erasures(reader) { event, member, erasure in
                guard later[erasure] == nil, !start.claims.holds(event, member, by: erasure) else { return }
                findings.append(
                    Finding(
                        .valueAdded, event: event, row: "sealed_erasure:\(event)",
                        "The member \(member) is said to be erased, and it is not gone."))
            }

            var expected = start.namings
            expected.add(check.result.namings)
            let unknown = start.unknownRows.merging(check.result.unknownRows) { first, _ in first }
            var found = NamingSum()
            var hidden: [String: Int64] = [:]
            try store.namings(reader) { naming in
                if unknown[naming.eventID] != nil {
                    hidden[naming.eventID, default: 0] += 1
                } else {
                    found.add(naming.type, naming.id, naming.eventID, key: start.namingKey)
                }
            }
            for (event, count) in unknown where hidden[event, default: 0] != count {
                findings.append(
                    Finding(
                        .namingEdited, event: event, row: "event_entity:\(event)",
                        "The event recorded \(count) rows; \(hidden[event, default: 0]) are named."))
            }
            if found != expected { try Self.locateNamings(store, reader, unknown, &findings) }
            return (findings, waiting)
        }
        for finding in findings where !walk.report.findings.contains(finding) { walk.report.add(finding) }
        if pending > 0 {
            walk.report.notes.append("\(pending) events wait for the tree; they are covered by the next checkpoint.")
        }
    }

    /// The sets differ: finds out where. Slow, and only needed when something is wrong.
    private static func locateNamings(
        _ store: any LogStore, _ reader: any Reader, _ unknown: [String: Int64], _ findings: inout [Finding]
    ) throws {
        func rows(_ event: StoredEvent, _ sealed: String?) -> Set<EntityNaming> {
            guard let leaf = try? LeafReader(event.leaf) else { return [] }
            let details = sealed.flatMap { try? JSON(parsing: $0) }?["details"]
            return EntityNaming.named(in: leaf, event.id, details: details) ?? []
        }
        // Named in the table, but not by the event.
        var portion: [EntityNaming] = []
        func settle() throws {
            let ids = Array(Set(portion.map(\.eventID))).sorted()
            let (events, sealed) = (try store.events(ids, reader), try store.sealed(ids, reader))
            var named: [String: Set<EntityNaming>] = [:]
            for (id, event) in events { named[id] = rows(event, sealed[id]) }
            for naming in portion where named[naming.eventID]?.contains(naming) != true {
                findings.append(
                    Finding(
                        .namingEdited, event: naming.eventID, row: "event_entity:\(naming.type)/\(naming.id)",
                        "The table says that the event names \(naming.type) \(naming.id); it does not."))
            }
            portion = []
        }
        try store.namings(reader) { naming in
            if unknown[naming.eventID] == nil { portion.append(naming) }
            if portion.count >= 1000 { try settle() }
        }
        try settle()
        // Named by the event, but not in the table.
        let size = try store.state(reader)?.size ?? 0
        for first in stride(from: Int64(0), to: size, by: Int64.Stride(Self.portion)) {
            var wanted: [EntityNaming] = []
            try store.entries(first..<min(first + Self.portion, size), reader) { entry in
                if let event = entry.event { wanted += rows(event, entry.sealed) }
            }
            let present = try store.namings(wanted, reader)
            for naming in wanted where !present.contains(naming) {
                findings.append(
                    Finding(
                        .namingEdited, event: naming.eventID, row: "event_entity:\(naming.type)/\(naming.id)",
                        "The event names \(naming.type) \(naming.id); the table does not say so."))
            }
        }
    }
}
