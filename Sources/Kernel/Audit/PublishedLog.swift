import Synchronization

/// The log as outsiders see it: never more than the newest published checkpoint covers.
public struct PublishedLog: TransparencyLog {
    private let database: any Database
    private let store: any LogStore
    private let key: VerifierKey
    private let nudge: @Sendable () -> Void
    private let edge = EdgeCache()

    /// - Parameter nudge: wakes the sequencer of this process, when it has one.
    public init(
        database: any Database, store: any LogStore, key: VerifierKey, nudge: @escaping @Sendable () -> Void = {}
    ) {
        self.database = database
        self.store = store
        self.key = key
        self.nudge = nudge
    }

    public var verifierKey: String { key.text }

    public func checkpoint() async throws(OperationError) -> String? {
        do { return try await newestNote() } catch { throw Self.translate(error) }
    }

    public func tile(level: Int, index: Int64, width: Int?) async throws(OperationError) -> [UInt8]? {
        do { return try await readTile(level, index, width) } catch { throw Self.translate(error) }
    }

    public func entries(index: Int64, width: Int?) async throws(OperationError) -> [UInt8]? {
        do { return try await readEntries(index, width) } catch { throw Self.translate(error) }
    }

    public func receipt(event id: String, wait: Span) async throws(OperationError) -> JSON {
        do { return try await readReceipt(id, wait) } catch { throw Self.translate(error) }
    }

    public func export(
        _ filter: EventFilter, sink: @escaping @Sendable ([UInt8]) async throws -> Void
    ) async throws(OperationError) {
        do { try await write(filter, to: sink) } catch { throw Self.translate(error) }
    }

    private func newestNote() async throws -> String? { try await database.read { try newest($0)?.note } }

    /// The newest checkpoint of this log; one of a log it succeeded does not count.
    private func newest(_ reader: any Reader) throws -> (size: Int64, root: MerkleHash, note: String)? {
        guard let stored = try store.newestCheckpoint(reader) else { return nil }
        guard let text = try? SignedNote(parsing: stored.note).text, let checkpoint = try? Checkpoint(text: text) else {
            throw LogDamage("the newest checkpoint is malformed")
        }
        return checkpoint.origin == key.name ? (checkpoint.size, checkpoint.root, stored.note) : nil
    }

    private func readTile(_ level: Int, _ index: Int64, _ width: Int?) async throws -> [UInt8]? {
        guard (0..<8).contains(level), index >= 0, (1...Tiles.width).contains(width ?? Tiles.width) else { return nil }
        let wanted = width ?? Tiles.width
        return try await database.read { reader in
            guard let size = try newest(reader)?.size, Tiles.filled(level: level, index: index, size: size) >= wanted
            else {
                return nil
            }
            return MerkleHash.concatenate(try store.tile(level: level, index: index, filled: wanted, reader))
        }
    }

    private func readEntries(_ index: Int64, _ width: Int?) async throws -> [UInt8]? {
        guard index >= 0, (1...Tiles.width).contains(width ?? Tiles.width) else { return nil }
        let wanted = width ?? Tiles.width
        return try await database.read { reader in
            guard let size = try newest(reader)?.size, Tiles.filled(level: 0, index: index, size: size) >= wanted else {
                return nil
            }
            let first = index * Int64(Tiles.width)
            let leaves = try store.leaves(first..<first + Int64(wanted), reader)
            guard leaves.count == wanted else {
                guard try store.pruned(first..<first + Int64(wanted), reader).isEmpty else {
                    throw OperationError.notFound(
                        "Leaves of this bundle are in the archive: their retention has ended. Their hashes are in the tiles."
                    )
                }
                throw LogDamage("leaves of entries tile \(index) are missing")
            }
            return try Tiles.bundle(leaves)
        }
    }

    private func readReceipt(_ id: String, _ wait: Span) async throws -> JSON {
        let end = ContinuousClock.now + .microseconds(wait.microseconds)
        while true {
            let found: JSON? = try await database.read { reader in
                guard let (event, index) = try store.find(event: id, reader) else {
                    if let pruned = try store.pruned(event: id, reader) {
                        throw OperationError.notFound(LogExport.archived(id, pruned))
                    }
                    throw OperationError.notFound("There is no event \(id).")
                }
                guard let index, let checkpoint = try newest(reader), index < checkpoint.size else { return nil }
                return try receipt(event, index: index, checkpoint, reader).json
            }
            if let found { return found }
            let left = end - ContinuousClock.now
            guard left > .zero else {
                throw OperationError.unavailable(
                    "The event \(id) is recorded but no checkpoint covers it yet. Ask again in a few seconds.")
            }
            nudge()
            try? await Task.sleep(for: min(left, .milliseconds(40)))
        }
    }

    private func receipt(
        _ event: StoredEvent, index: Int64, _ checkpoint: (size: Int64, root: MerkleHash, note: String),
        _ reader: any Reader
    ) throws -> Receipt {
        var nodes = store.nodes(size: checkpoint.size, cache: edge.cache(checkpoint.size), reader)
        let proof = try MerkleTree.inclusionProof(index: index, size: checkpoint.size) { try nodes.hash($0) }
        edge.keep(nodes.cache, size: checkpoint.size)
        let contents = try SealedReader(store).contents(of: event.id, from: reader)
        let receipt = Receipt(
            leaf: event.leaf, index: index, size: checkpoint.size, proof: proof, checkpoint: checkpoint.note,
            sealed: contents.present, erased: contents.erased)
        do {
            // A receipt that would not convince is worse than none: it says that the log is damaged.
            try receipt.verify(key: key)
        } catch {
            throw LogDamage("the receipt of \(event.id) does not verify: \(error)")
        }
        return receipt
    }

    private func write(
        _ filter: EventFilter, to sink: @escaping @Sendable ([UInt8]) async throws -> Void
    ) async throws {
        let isFull = filter == EventFilter()
        guard let checkpoint = try await database.read({ try newest($0) }) else {
            throw OperationError.unavailable("Nothing has been published yet. Try again in a few seconds.")
        }
        try await deliver(
            LogExport.header(origin: key.name, key: key.text, checkpoint: checkpoint.note, isFull: isFull, filter),
            to: sink)
        var cache = TileCache()
        var cursor: (at: Int64, id: String)?
        var next: Int64 = 0
        var count: Int64 = 0
        // A page is worked out while the next one is read.
        var writing: Task<[UInt8], any Error>?
        defer { writing?.cancel() }
        while true {
            let (from, after, known) = (next, cursor, cache)
            let page = try await database.read { reader in
                isFull
                    ? try self.page(from..<min(from + LogExport.page, checkpoint.size), size: checkpoint.size, reader)
                    : try self.page(filter, after: after, size: checkpoint.size, known, reader)
            }
            if let done = writing { try await deliver(done.value, to: sink) }
            writing = nil
            guard let last = page.entries.last else { break }
            count += Int64(page.entries.count)
            next = last.index + 1
            cursor = last.event.map { ($0.at, $0.id) }
            cache = page.cache
            writing = Task { try await self.lines(page, size: checkpoint.size, hasProofs: !isFull) }
            if isFull ? next >= checkpoint.size : page.entries.count < LogExport.page { break }
        }
        if let done = writing { try await deliver(done.value, to: sink) }
        try await deliver(LogExport.footer(count: count), to: sink)
    }

    private struct ExportPage: Sendable {
        var entries: [StoredEntry] = []
        /// Event → member → the erasure's event.
        var erased: [String: [String: String]] = [:]
        /// Index → the event of retention, of entries whose event is in the archive.
        var pruned: [Int64: String] = [:]
        /// Tiles the proofs need.
        var cache = TileCache()
    }

    private func page(_ range: Range<Int64>, size: Int64, _ reader: any Reader) throws -> ExportPage {
        var page = ExportPage()
        page.entries.reserveCapacity(range.count)
        try store.entries(range, reader) { page.entries.append($0) }
        guard page.entries.count == range.count else { throw LogDamage("entries \(range) are not all there") }
        page.erased = try erased(page.entries, below: size, reader)
        // An event of retention that is not in the file would leave its entries unexplained.
        page.pruned = try store.pruned(range, reader)
        for event in Set(page.pruned.values) {
            if let index = try store.find(event: event, reader)?.index, index < size { continue }
            throw OperationError.unavailable(
                "Events left for the archive while this was written. Export it again in a few seconds.")
        }
        return page
    }

    private func page(
        _ filter: EventFilter, after cursor: (at: Int64, id: String)?, size: Int64, _ known: TileCache,
        _ reader: any Reader
    ) throws -> ExportPage {
        var page = ExportPage()
        page.entries = try store.page(filter, after: cursor, limit: Int(LogExport.page), below: size, reader)
        page.erased = try erased(page.entries, below: size, reader)
        // Together, and not each when its proof is worked out.
        var nodes = store.nodes(size: size, cache: known, reader)
        for tile in try store.tiles(level: 0, nodes.unknownTiles(of: page.entries.map(\.index)), reader) {
            try nodes.take(level: 0, index: tile.index, tile.hashes)
        }
        // What lies above them and at the right edge is nearly the same for all.
        for entry in [page.entries.first, page.entries.last].compactMap(\.self) {
            _ = try MerkleTree.inclusionProof(index: entry.index, size: size) { try nodes.hash($0) }
        }
        page.cache = nodes.cache
        return page
    }

    private func erased(
        _ entries: [StoredEntry], below size: Int64, _ reader: any Reader
    ) throws -> [String: [String: String]] {
        var erased: [String: [String: String]] = [:]
        for erasure in try store.erasures(entries.map(\.eventID), reader) {
            erased[erasure.event, default: [:]][erasure.member] = erasure.erasedBy
            // The erasure's own event would not be in the file, and nobody could tell it from a theft.
            if let index = try store.find(event: erasure.erasedBy, reader)?.index, index < size { continue }
            throw OperationError.unavailable(
                "Somebody was erased while this was written. Export it again in a few seconds.")
        }
        return erased
    }

    /// The lines of a page. What it was not read with is read now.
    private func lines(_ page: ExportPage, size: Int64, hasProofs: Bool) async throws -> [UInt8] {
        struct TileMissing: Error {}
        do {
            var nodes = TileNodes(size: size, cache: page.cache) { _, _, _ in throw TileMissing() }
            return try Self.lines(page, size: size, hasProofs: hasProofs, &nodes)
        } catch is TileMissing {
            return try await database.read { reader in
                var nodes = store.nodes(size: size, cache: page.cache, reader)
                return try Self.lines(page, size: size, hasProofs: hasProofs, &nodes)
            }
        }
    }

    private static func lines(
        _ page: ExportPage, size: Int64, hasProofs: Bool, _ nodes: inout TileNodes
    ) throws -> [UInt8] {
        var lines: [UInt8] = []
        lines.reserveCapacity(page.entries.count * 2800)
        for entry in page.entries {
            if let event = page.pruned[entry.index], entry.event == nil {
                LogExport.append(pruned: entry, by: event, erased: page.erased[entry.eventID] ?? [:], to: &lines)
                continue
            }
            let proof =
                hasProofs
                ? try MerkleTree.inclusionProof(index: entry.index, size: size) { try nodes.hash($0) } : nil
            try LogExport.append(entry, proof: proof, erased: page.erased[entry.eventID] ?? [:], to: &lines)
        }
        return lines
    }

    private func deliver(_ bytes: [UInt8], to sink: @Sendable ([UInt8]) async throws -> Void) async throws {
        do {
            try await sink(bytes)
        } catch {
            throw OperationError.unavailable("The export was broken off: \(error)")
        }
    }

    private static func translate(_ error: any Error) -> OperationError {
        switch error {
        case let error as OperationError: error
        case let damage as LogDamage: .internalError("The audit log is damaged: \(damage). Run postern verify.")
        case StoreError.unavailable: .unavailable("The database can't be reached. Try again in a few seconds.")
        default: .internalError("The audit log can't be read: \(error)")
        }
    }
}

/// Subtree hashes of the newest published tree, so that a receipt does not read the right edge again.
private final class EdgeCache: Sendable {
    private let state = Mutex<(size: Int64, cache: TileCache)>((-1, TileCache()))
    func cache(_ size: Int64) -> TileCache { state.withLock { $0.size == size ? $0.cache : TileCache() } }
    func keep(_ cache: TileCache, size: Int64) { state.withLock { if size >= $0.size { $0 = (size, cache) } } }
}
