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

    public func entries(index: Int64, width: Int?) async throws(OperationError) -> EntryBundle? {
        do { return try await readEntries(index, width) } catch { throw Self.translate(error) }
    }

    public func receipt(event id: String, wait: Span) async throws(OperationError) -> JSON {
        do { return try await readReceipt(id, wait) } catch { throw Self.translate(error) }
    }

    public func export(
        _ filter: EventFilter, as format: ExportFormat,
        sink: @escaping @Sendable (_ piece: [UInt8], _ events: Int64) async throws -> Void
    ) async throws(OperationError) {
        do { try await write(filter, as: format, to: sink) } catch { throw Self.translate(error) }
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

    private func readEntries(_ index: Int64, _ width: Int?) async throws -> EntryBundle? {
        guard index >= 0, (1...Tiles.width).contains(width ?? Tiles.width) else { return nil }
        let wanted = width ?? Tiles.width
        return try await database.read { reader in
            guard let size = try newest(reader)?.size, Tiles.filled(level: 0, index: index, size: size) >= wanted else {
                return nil
            }
            let first = index * Int64(Tiles.width)
            let range = first..<first + Int64(wanted)
            let leaves = try store.leaves(range, reader)
            if leaves.count == wanted { return .leaves(try Tiles.bundle(leaves)) }
            let pruned = try store.pruned(range, reader)
            guard leaves.count + pruned.count == wanted, let last = try store.lastPruned(reader) else {
                throw LogDamage("leaves of entries tile \(index) are missing")
            }
            return .pruned(PrunedBundle(pruned, last: last, size: size))
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

    private typealias Sink = @Sendable (_ piece: [UInt8], _ events: Int64) async throws -> Void

    private func write(_ filter: EventFilter, as format: ExportFormat, to sink: @escaping Sink) async throws {
        let isFull = filter == EventFilter()
        guard let checkpoint = try await database.read({ try newest($0) }) else {
            throw OperationError.unavailable("Nothing has been published yet. Try again in a few seconds.")
        }
        var head: [UInt8] = []
        switch format {
        case .jsonl:
            head = LogExport.header(
                origin: key.name, key: key.text, checkpoint: checkpoint.note, isFull: isFull, filter)
        case .csv: CSV.append(header: EventCSV.names, to: &head)
        }
        try await deliver(head, 0, to: sink)
        let hasProofs = format == .jsonl && !isFull
        let walk = ExportWalk(filter: isFull ? nil : filter, size: checkpoint.size, hasProofs: hasProofs)
        // One portion is read while the one before is written out and sent.
        var reading = Task { try await database.read { reader in try page(walk, reader) } }
        defer { reading.cancel() }
        var lines = ExportLines(format: format, size: checkpoint.size, hasProofs: hasProofs)
        var count: Int64 = 0
        while true {
            let page = try await reading.value
            if let next = page.next { reading = Task { try await database.read { try self.page(next, $0) } } }
            count += Int64(page.rows.count)
            try await deliver(write(page, &lines), Int64(page.rows.count), to: sink)
            if page.next == nil { break }
        }
        if format == .jsonl { try await deliver(LogExport.footer(count: count), 0, to: sink) }
    }

    /// Where an export stands.
    private struct ExportWalk: Sendable {
        /// `nil` when everything is exported, in order.
        let filter: EventFilter?
        let size: Int64
        let hasProofs: Bool
        var next: Int64 = 0
        var cursor: (at: Int64, id: String)?
        /// Fewer after a portion of long ones.
        var limit = LogExport.page / 4
        /// Tiles that the portion before needed, each named like the node that stands for it.
        var tiles: Set<MerkleNode> = []
    }

    private struct ExportPage: Sendable {
        var rows = ExportRows(most: LogExport.pageBytes)
        /// Event → member → the erasure's event.
        var erased: [String: [String: String]] = [:]
        /// Index → the event of retention, of entries whose event is in the archive.
        var pruned: [Int64: String] = [:]
        /// Full tiles the proofs need.
        var tiles: [(level: Int, index: Int64, hashes: [UInt8])] = []
        /// `nil` after the last one.
        var next: ExportWalk?
    }

    private func page(_ walk: ExportWalk, _ reader: any Reader) throws -> ExportPage {
        var page = ExportPage()
        var next = walk
        /// Where a portion that is not full has stopped looking.
        var end: (at: Int64, id: String)?
        if let filter = walk.filter {
            end = try store.take(
                filter, after: walk.cursor, limit: Int(walk.limit), below: walk.size, into: &page.rows, reader)
            if walk.hasProofs {
                // Together, and not each when its proof is worked out: those of the leaves, and those above them. What lies
                // higher is the same for all.
                next.tiles = []
                for level in 0...1 {
                    let span = Int64(1) << Int64((level + 1) * Tiles.height)
                    let tiles = Set(page.rows.entries.map { $0.index / span }).filter { $0 < walk.size / span }
                    let unknown = tiles.filter { !walk.tiles.contains(MerkleNode(level: level, index: $0)) }
                    for tile in try store.tiles(level: level, unknown.sorted(), reader) {
                        page.tiles.append((level, tile.index, tile.hashes))
                    }
                    for tile in tiles { next.tiles.insert(MerkleNode(level: level, index: tile)) }
                }
            }
            let isFull = page.rows.isCut || Int64(page.rows.count) >= walk.limit
            if isFull { end = nil }
            next.cursor =
                end ?? page.rows.entries.last.flatMap { last in last.at.map { ($0, page.rows.text(last.id)) } }
        } else {
            let range = walk.next..<min(walk.next + walk.limit, walk.size)
            try store.take(walk.next..<walk.size, limit: range.count, into: &page.rows, reader)
            let taken = range.lowerBound..<range.lowerBound + Int64(page.rows.count)
            guard page.rows.isCut || taken == range, zip(taken, page.rows.entries).allSatisfy({ $0 == $1.index })
            else { throw LogDamage("entries \(range) are not all there") }
            if page.rows.entries.contains(where: { $0.at == nil }) {
                page.pruned = try pruned(taken, below: walk.size, reader)
            }
            next.next = taken.upperBound
        }
        page.erased = try erased(page.rows, below: walk.size, reader)
        let isEnd =
            walk.filter == nil ? next.next >= walk.size : end == nil && Int64(page.rows.count) < walk.limit
        next.limit = page.rows.isCut ? max(Int64(page.rows.count), 1) : min(walk.limit * 2, LogExport.page)
        page.next = isEnd && !page.rows.isCut ? nil : next
        return page
    }

    private func pruned(_ range: Range<Int64>, below size: Int64, _ reader: any Reader) throws -> [Int64: String] {
        let pruned = try store.pruned(range, reader)
        // An event of retention that is not in the file would leave its entries unexplained.
        for event in Set(pruned.values) {
            if let index = try store.find(event: event, reader)?.index, index < size { continue }
            throw OperationError.unavailable(
                "Events left for the archive while this was written. Export it again in a few seconds.")
        }
        return pruned
    }

    private func erased(
        _ rows: ExportRows, below size: Int64, _ reader: any Reader
    ) throws -> [String: [String: String]] {
        let touched = rows.entries.filter(\.isErased).map { rows.text($0.id) }
        var erased: [String: [String: String]] = [:]
        for erasure in try store.erasures(touched, reader) {
            erased[erasure.event, default: [:]][erasure.member] = erasure.erasedBy
        }
        // The erasure's own event would not be in the file, and nobody could tell it from a theft.
        for event in Set(erased.values.flatMap(\.values)) {
            if let index = try store.find(event: event, reader)?.index, index < size { continue }
            throw OperationError.unavailable(
                "Somebody was erased while this was written. Export it again in a few seconds.")
        }
        return erased
    }

    /// What the lines of an export are written with, from one portion to the next.
    private struct ExportLines: Sendable {
        let format: ExportFormat
        let size: Int64
        let hasProofs: Bool
        var cache = TileCache()
    }

    /// The lines of a portion. What it was not read with, nearly the same for all, is read now.
    private func write(_ page: ExportPage, _ lines: inout ExportLines) async throws -> [UInt8] {
        struct TileMissing: Error {}
        do {
            var nodes = TileNodes(size: lines.size, cache: lines.cache) { _, _, _ in throw TileMissing() }
            for tile in page.tiles { try nodes.take(level: tile.level, index: tile.index, tile.hashes) }
            lines.cache = nodes.cache
            return try Self.lines(page, lines, &nodes)
        } catch is TileMissing {
            let known = lines
            let (text, cache) = try await database.read { reader in
                var nodes = store.nodes(size: known.size, cache: known.cache, reader)
                return (try Self.lines(page, known, &nodes), nodes.cache)
            }
            lines.cache = cache
            return text
        }
    }

    private static func lines(
        _ page: ExportPage, _ lines: ExportLines, _ nodes: inout TileNodes
    ) throws -> [UInt8] {
        var out: [UInt8] = []
        if lines.format == .csv {
            out.reserveCapacity(page.rows.count * 512)
            for entry in page.rows.entries { try record(entry, page, to: &out) }
            return out
        }
        let proofBytes = lines.hasProofs ? 48 * (64 - lines.size.leadingZeroBitCount) : 0
        out.reserveCapacity(page.rows.bytes.count / 4 * 5 + page.rows.count * (120 + proofBytes))
        var proofs = ProofWriter(size: lines.size)
        for entry in page.rows.entries {
            let erased = entry.isErased ? page.erased[page.rows.text(entry.id)] ?? [:] : [:]
            if entry.at == nil, let event = page.pruned[entry.index] {
                LogExport.append(pruned: entry, in: page.rows, by: event, erased: erased, to: &out)
                continue
            }
            try LogExport.append(entry, in: page.rows, erased: erased, to: &out) { out in
                if lines.hasProofs { try proofs.append(index: entry.index, &nodes, to: &out) }
            }
        }
        return out
    }

    /// An entry of a portion as a record of comma-separated values.
    private static func record(_ entry: ExportRows.Entry, _ page: ExportPage, to out: inout [UInt8]) throws {
        let id = page.rows.text(entry.id)
        let pruned = page.pruned[entry.index]
        guard let hash = MerkleHash(Array(page.rows.bytes[entry.hash])), entry.at != nil || pruned != nil else {
            throw LogDamage("the event \(id) at \(entry.index) is missing")
        }
        do {
            EventCSV.append(
                index: entry.index, id: id,
                leaf: entry.at == nil ? nil : try JSON(parsing: Array(page.rows.bytes[entry.leaf])), hash: hash,
                sealed: try entry.sealed.map { try JSON(parsing: Array(page.rows.bytes[$0])) },
                erased: entry.isErased ? page.erased[id] ?? [:] : [:], prunedBy: entry.at == nil ? pruned : nil,
                to: &out)
        } catch {
            throw LogDamage("the event \(id) at \(entry.index) is malformed")
        }
    }

    private func deliver(_ bytes: [UInt8], _ events: Int64, to sink: Sink) async throws {
        do {
            try await sink(bytes, events)
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
