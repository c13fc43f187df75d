import Foundation

/// Moves events whose retention has ended to an archive: verified, written down with their proofs, recorded by an event,
/// and only then removed (spec: audit-log §1). Leaf hashes and tiles stay, so that every proof and checkpoint stays valid.
///
/// What stays although it is due: the last event about a governed row, which verification needs; erasures and retentions,
/// which say why something else is gone; and an event whose list of rows was erased.
public struct Pruner: Sendable {
    /// Events in one file and one transaction.
    static let batch = 5000

    public struct Outcome: Sendable, Hashable {
        /// Events that left, or would leave, by retention class.
        public var moved: [String: Int64] = [:]
        /// Due, and kept because a governed row or a reader needs them (see above).
        public var kept: Int64 = 0
        /// Paths of the files written.
        public var files: [String] = []
        public var total: Int64 { moved.values.reduce(0, +) }
    }

    private let database: any Database
    private let store: any LogStore
    private let key: VerifierKey
    private let periods: RetentionPeriods

    public init(database: any Database, store: any LogStore, key: VerifierKey, periods: RetentionPeriods) {
        self.database = database
        self.store = store
        self.key = key
        self.periods = periods
    }

    /// - Parameters:
    ///   - folder: where the files go; `nil` only counts.
    ///   - progress: after every batch; stopping there loses nothing.
    /// - Throws: `LogDamage` naming the first event that is not as the log says: nothing unsound is moved. `NoteError`
    ///   when nothing has been published yet. `StoreError`.
    public func run(
        into folder: String?, progress: @Sendable (Outcome) async -> Void = { _ in }
    ) async throws -> Outcome {
        var outcome = Outcome()
        for eventClass in EventClass.allCases {
            var cursor: (at: Int64, id: String)?
            while true {
                try Task.checkCancellation()
                let found = try await find(eventClass, after: cursor)
                guard let last = found.last else { break }
                cursor = last
                outcome.kept += found.kept
                if let folder, !found.entries.isEmpty { outcome.files.append(try await move(found, to: folder)) }
                for entry in found.entries {
                    outcome.moved[entry.event?.retentionClass ?? "", default: 0] += 1
                }
                await progress(outcome)
                if found.isLast { break }
            }
        }
        return outcome
    }

    private struct Batch: Sendable {
        /// In the order of the log.
        var entries: [StoredEntry] = []
        var lines: [UInt8] = []
        var names: [EntityNaming] = []
        var kept: Int64 = 0
        var last: (at: Int64, id: String)?
        var isLast = false
    }

    /// The next events that may leave, each of them checked against the tree.
    private func find(_ eventClass: EventClass, after cursor: (at: Int64, id: String)?) async throws -> Batch {
        try await database.read { reader in
            guard let stored = try store.newestCheckpoint(reader) else {
                throw NoteError(
                    "Nothing has been published yet, so nothing can be proved later. Start the server first.")
            }
            let checkpoint = try Checkpoint(note: stored.note, key: key)
            let now = reader.now
            let cutoffs = Dictionary(
                uniqueKeysWithValues: RetentionClass.allCases.compactMap { retention in
                    periods.cutoff(retention, now: now).map { (retention, $0) }
                })
            let due = try store.prunable(
                eventClass, before: cutoffs, after: cursor, limit: Self.batch, below: checkpoint.size, reader)
            var batch = Batch()
            batch.last = due.last?.event.map { ($0.at, $0.id) }
            batch.isLast = due.count < Self.batch
            let entries = try keep(due, &batch, reader)
            try check(entries, reader)

            var nodes = store.nodes(size: checkpoint.size, reader)
            batch.lines = LogExport.header(
                origin: key.name, key: key.text, checkpoint: stored.note, isFull: false, isArchive: true, EventFilter())
            for entry in entries {
                let proof = try MerkleTree.inclusionProof(index: entry.index, size: checkpoint.size) {
                    try nodes.hash($0)
                }
                guard let event = entry.event, let hash = MerkleHash(entry.hash),
                    MerkleTree.leafHash(event.leaf) == hash,
                    MerkleTree.verifyInclusion(
                        of: hash, index: entry.index, size: checkpoint.size, proof: proof, root: checkpoint.root)
                else { throw Self.damage(entry.eventID, "it is not what the signed tree holds at \(entry.index)") }
                try LogExport.append(entry, proof: proof, to: &batch.lines)
            }
            batch.lines += LogExport.footer(count: Int64(entries.count))
            batch.entries = entries
            return batch
        }
    }

    /// Leaves out what must stay, and collects the rows that the others name.
    private func keep(_ due: [StoredEntry], _ batch: inout Batch, _ reader: any Reader) throws -> [StoredEntry] {
        var named: [String: Set<EntityNaming>] = [:]
        for entry in due {
            guard let event = entry.event, let leaf = try? LeafReader(event.leaf) else { continue }
            let details = entry.sealed.flatMap { try? JSON(parsing: $0) }?["details"]
            named[entry.eventID] = EntityNaming.named(in: leaf, event.id, details: details)
        }
        let heads = try store.heads(named.values.flatMap { $0 }, reader)
        let last = Set(heads.map(\.eventID))
        let leaving = due.filter { named[$0.eventID] != nil && !last.contains($0.eventID) }
        batch.kept = Int64(due.count - leaving.count)
        batch.names = leaving.flatMap { named[$0.eventID] ?? [] }
        return leaving.sorted { $0.index < $1.index }
    }

    /// What leaves is verified one last time: projections, commitments, subjects.
    private func check(_ entries: [StoredEntry], _ reader: any Reader) throws {
        var check = EntryCheck(key: [])
        for entry in entries {
            if let event = entry.event { check.check(event, index: entry.index, sealed: entry.sealed) }
        }
        try check.settle(store, reader)
        if let finding = check.result.findings.first { throw Self.damage(finding.event ?? "", finding.detail) }
    }

    private static func damage(_ event: String, _ what: String) -> LogDamage {
        LogDamage("The event \(event) is not moved: \(what) Run postern verify; nothing was removed.")
    }

    /// Writes the file, then records and removes. What a crash in between leaves is a file whose events are still there;
    /// the next run writes it again.
    private func move(_ batch: Batch, to folder: String) async throws -> String {
        var pruned = PrunedEntries()
        for entry in batch.entries {
            if let hash = MerkleHash(entry.hash) { pruned.add(index: entry.index, hash: hash) }
        }
        let name = "postern-archive-\(pruned.first)-\(pruned.last)-\(batch.entries[0].eventID).jsonl"
        let path = folder + "/" + name
        try Self.write(batch.lines, to: path)
        let file = sha256(batch.lines).hex
        try await database.write { [pruned] writer in
            try writer.lock(["log.retention"])
            var draft = EventDraft(at: writer.now, .system, "retention.pruned", actor: .system("retention"))
            draft.facts = pruned.facts
            draft.facts["archive"] = .string(name)
            draft.facts["archive_sha256"] = .string(file)
            try store.prune(
                batch.entries.compactMap(\.event), naming: batch.names, by: SealedEvent(draft), writer)
        }
        return path
    }

    /// Appears whole under its name, and is on disk before this returns.
    private static func write(_ bytes: [UInt8], to path: String) throws {
        func problem() -> LogDamage {
            LogDamage("The archive file \(path) can't be written: \(String(cString: strerror(errno))).")
        }
        let temporary = path + ".part"
        unlink(temporary)
        let file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw problem() }
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { Foundation.write(file, $0.baseAddress! + written, $0.count - written) }
            guard count > 0 else {
                let error = problem()
                close(file)
                unlink(temporary)
                throw error
            }
            written += count
        }
        guard fsync(file) == 0, close(file) == 0, rename(temporary, path) == 0 else {
            unlink(temporary)
            throw problem()
        }
        let folder = open((path as NSString).deletingLastPathComponent, O_RDONLY | O_CLOEXEC)
        guard folder >= 0 else { throw problem() }
        defer { close(folder) }
        guard fsync(folder) == 0 else { throw problem() }
    }
}

extension StoredEvent {
    var retentionClass: String? { projections[StoredEvent.projectionNames.firstIndex(of: "retention_class")!] }
}
