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
        while true {
            let (from, after, known) = (next, cursor, cache)
            let page: (lines: [UInt8], last: StoredEntry?, count: Int64, cache: TileCache) = try await database.read {
                reader in
                var entries: [StoredEntry] = []
                if isFull {
                    let range = from..<min(from + LogExport.page, checkpoint.size)
                    entries.reserveCapacity(range.count)
                    try store.entries(range, reader) { entries.append($0) }
                    guard entries.count == range.count else { throw LogDamage("entries \(range) are not all there") }
                } else {
                    entries = try store.page(
                        filter, after: after, limit: Int(LogExport.page), below: checkpoint.size, reader)
                }
                // An event of retention that is not in the file would leave its entries unexplained.
                let pruned = isFull ? try store.pruned(from..<(entries.last?.index ?? from) + 1, reader) : [:]
                for event in Set(pruned.values) {
                    if let index = try store.find(event: event, reader)?.index, index < checkpoint.size { continue }
                    throw OperationError.unavailable(
                        "Events left for the archive while this was written. Export it again in a few seconds.")
                }
                var erased: [String: [String: String]] = [:]
                for erasure in try store.erasures(entries.map(\.eventID), reader) {
                    erased[erasure.event, default: [:]][erasure.member] = erasure.erasedBy
                    // The erasure's own event would not be in the file, and nobody could tell it from a theft.
                    if let index = try store.find(event: erasure.erasedBy, reader)?.index, index < checkpoint.size {
                        continue
                    }
                    throw OperationError.unavailable(
                        "Somebody was erased while this was written. Export it again in a few seconds.")
                }
                var nodes = store.nodes(size: checkpoint.size, cache: known, reader)
                var lines: [UInt8] = []
                for entry in entries {
                    if let event = pruned[entry.index], entry.event == nil {
                        LogExport.append(pruned: entry, by: event, erased: erased[entry.eventID] ?? [:], to: &lines)
                        continue
                    }
                    var proof: [MerkleHash]?
                    if !isFull {
                        proof = try MerkleTree.inclusionProof(index: entry.index, size: checkpoint.size) {
                            try nodes.hash($0)
                        }
                    }
                    try LogExport.append(entry, proof: proof, erased: erased[entry.eventID] ?? [:], to: &lines)
                }
                return (lines, entries.last, Int64(entries.count), nodes.cache)
            }
            guard let last = page.last else { break }
            count += page.count
            next = last.index + 1
            cursor = last.event.map { ($0.at, $0.id) }
            cache = page.cache
            try await deliver(page.lines, to: sink)
            if isFull ? next >= checkpoint.size : page.count < LogExport.page { break }
        }
        try await deliver(LogExport.footer(count: count), to: sink)
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
