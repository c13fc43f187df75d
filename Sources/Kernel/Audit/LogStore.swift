/// The committed state of the log. Only a state that is in the database is ever signed.
public struct LogState: Sendable, Hashable {
    public let origin: String
    public let size: Int64
    public let root: MerkleHash
    /// Raised by every sequencer that takes over, so that an earlier one can't commit or publish any more.
    public let epoch: Int64
    public init(origin: String, size: Int64, root: MerkleHash, epoch: Int64) {
        self.origin = origin
        self.size = size
        self.root = root
        self.epoch = epoch
    }
}

/// An event on its way into the tree.
public struct SequencedLeaf: Sendable, Hashable {
    public let index: Int64
    public let eventID: String
    public let hash: MerkleHash
    public init(index: Int64, eventID: String, hash: MerkleHash) {
        self.index = index
        self.eventID = eventID
        self.hash = hash
    }
}

/// An event as the `events` table holds it: the leaf and the columns projected from it.
public struct StoredEvent: Sendable {
    public let id: String
    public let leaf: [UInt8]
    public let at: Int64
    /// `class`, `action`, `outcome`, `actor_type`, `actor_id`, `tenant_id`, `target_type`, `target_id`, `request_id`,
    /// `operation_id`, `approval_id`, `linked`, `retention_class`, in this order.
    public let projections: [String?]
    public static let projectionNames = [
        "class", "action", "outcome", "actor_type", "actor_id", "tenant_id", "target_type", "target_id", "request_id",
        "operation_id", "approval_id", "linked", "retention_class",
    ]

    public init(_ row: Row) throws { try self.init(row, Places(row.columns)) }

    /// Where the columns stand in an answer: worked out once for millions of rows.
    public struct Places: Sendable {
        /// Of the rows these places are for.
        public let columns: ColumnIndex
        fileprivate let id: Int
        fileprivate let leaf: Int
        fileprivate let at: Int
        fileprivate let projections: [Int]

        public init(_ columns: ColumnIndex) throws {
            func place(_ name: String) throws -> Int {
                guard let place = columns.positions[name] else { throw StoreError.shape(column: name) }
                return place
            }
            self.columns = columns
            (id, leaf, at) = (try place("id"), try place("leaf"), try place("at"))
            projections = try StoredEvent.projectionNames.map(place)
        }
    }

    public init(_ row: Row, _ places: Places) throws {
        guard case .text(let id) = row.values[places.id] else { throw StoreError.shape(column: "id") }
        guard case .bytes(let leaf) = row.values[places.leaf] else { throw StoreError.shape(column: "leaf") }
        guard case .int(let at) = row.values[places.at] else { throw StoreError.shape(column: "at") }
        var projections: [String?] = []
        projections.reserveCapacity(places.projections.count)
        for (position, place) in places.projections.enumerated() {
            switch row.values[place] {
            case .null: projections.append(nil)
            case .text(let text): projections.append(text)
            default: throw StoreError.shape(column: Self.projectionNames[position])
            }
        }
        (self.id, self.leaf, self.at, self.projections) = (id, leaf, at, projections)
    }
}

/// One line of the log as stored, whatever of it is there.
public struct StoredEntry: Sendable {
    public let index: Int64
    public let eventID: String
    public let hash: [UInt8]
    /// `nil` when the event is gone.
    public let event: StoredEvent?
    /// The text of the `sealed` row; `nil` when there is none.
    public let sealed: String?
    public init(index: Int64, eventID: String, hash: [UInt8], event: StoredEvent?, sealed: String?) {
        self.index = index
        self.eventID = eventID
        self.hash = hash
        self.event = event
        self.sealed = sealed
    }
}

/// A published checkpoint as stored.
public struct StoredCheckpoint: Sendable, Hashable {
    public let size: Int64
    public let root: [UInt8]
    public let note: String
    public init(size: Int64, root: [UInt8], note: String) {
        self.size = size
        self.root = root
        self.note = note
    }
}

/// A naming of a governed row by an event.
public struct EntityNaming: Sendable, Hashable {
    public let type: String
    public let id: String
    public let eventID: String
    /// Where the event stands: its index, or its place in the queue when it has none yet, or neither.
    public let index: Int64?
    public let queued: Int64?
    public init(type: String, id: String, eventID: String, index: Int64? = nil, queued: Int64? = nil) {
        self.type = type
        self.id = id
        self.eventID = eventID
        self.index = index
        self.queued = queued
    }

    /// Whether this event came later than `other`. One that waits is later than all that are in the tree.
    func isLater(than other: EntityNaming) -> Bool {
        switch (index, other.index) {
        case (let mine?, let theirs?): mine > theirs
        case (nil, _?): queued != nil
        case (_?, nil): other.queued == nil
        case (nil, nil): (queued ?? -1) > (other.queued ?? -1)
        }
    }
}

/// The log's tables. Implementations hold the SQL; every function works inside the caller's transaction, is backed by an
/// index and bounded, except the ones that say they walk a table.
public protocol LogStore: Sendable {
    // State
    /// One row, or none before anything was sequenced.
    func state() -> Statement
    func state(_ row: Row) throws -> LogState
    /// Inserts the first state; MUST fail with `StoreError` when there is one.
    func open(_ state: LogState) -> Statement
    /// Compare-and-set on size, root and epoch; MUST fail with `StoreError.rowCount` when the stored state is another.
    func advance(_ from: LogState, to: LogState) -> Statement

    // Sequencing
    /// The oldest waiting events and their leaves.
    func pending(limit: Int, _ reader: any Reader, _ body: (_ eventID: String, _ leaf: [UInt8]) throws -> Void) throws
    /// One row with `at`, when the oldest waiting event was written; none when none waits.
    func oldestPending() -> Statement
    func pendingCount(_ reader: any Reader) throws -> Int64
    func integrate(_ leaves: [SequencedLeaf]) -> [Statement]
    func store(_ tiles: [FullTile]) -> [Statement]
    /// Removes from the queue exactly the events that stand at `index` and after.
    func dequeue(from index: Int64) -> Statement

    // Tree
    /// Stored leaf hashes in order; fewer when some are missing.
    func leafHashes(_ range: Range<Int64>, _ reader: any Reader) throws -> [(index: Int64, hash: [UInt8])]
    func tiles(level: Int, _ range: Range<Int64>, _ reader: any Reader) throws -> [(index: Int64, hashes: [UInt8])]
    /// Those of some tiles that are stored, in no order.
    func tiles(level: Int, _ indexes: [Int64], _ reader: any Reader) throws -> [(index: Int64, hashes: [UInt8])]
    func tileCount(level: Int, _ reader: any Reader) throws -> Int64
    func leaves(_ range: Range<Int64>, _ reader: any Reader) throws -> [[UInt8]]
    /// An event and its index, `nil` index while it waits.
    func find(event id: String, _ reader: any Reader) throws -> (event: StoredEvent, index: Int64?)?

    // Checkpoints
    func newestCheckpoint(_ reader: any Reader) throws -> StoredCheckpoint?
    func checkpoints(_ range: Range<Int64>, _ reader: any Reader) throws -> [StoredCheckpoint]
    /// Stores a checkpoint; MUST write nothing and fail with `StoreError.rowCount` when the epoch is another by now.
    func publish(_ checkpoint: StoredCheckpoint, epoch: Int64, at: Instant) -> Statement

    // Sealed members
    func sealed(_ events: [String], _ reader: any Reader) throws -> [String: String]
    func erasures(_ events: [String], _ reader: any Reader) throws -> [(
        event: String, member: String, erasedBy: String
    )]
    /// Walks everything that is said to be erased.
    func erasures(_ reader: any Reader, _ body: (_ event: String, _ member: String, _ erasedBy: String) throws -> Void)
        throws
    // Retention
    /// Entries of a range whose event is in the archive, and the event that let it go.
    func pruned(_ range: Range<Int64>, _ reader: any Reader) throws -> [Int64: String]
    /// Where an event stands that is in the archive, and the event that let it go.
    func pruned(event id: String, _ reader: any Reader) throws -> (index: Int64, by: String)?
    /// The highest entry that is in the archive; `nil` when none is.
    func lastPruned(_ reader: any Reader) throws -> Int64?
    /// Walks the whole table.
    func prunedCount(_ reader: any Reader) throws -> Int64
    /// Events of a class, by time then id after `cursor`, that retention lets go and that are below `size` in the tree:
    /// of each retention class those before its cutoff. Never an erasure or a `retention.pruned`, which say why something
    /// else is gone.
    func prunable(
        _ eventClass: EventClass, before cutoffs: [RetentionClass: Instant], after cursor: (at: Int64, id: String)?,
        limit: Int, below size: Int64, _ reader: any Reader
    ) throws -> [StoredEntry]
    /// Of the given rows those whose last event is the one of the naming.
    func heads(_ wanted: [EntityNaming], _ reader: any Reader) throws -> Set<EntityNaming>
    /// Inserts the event of a retention and removes what is stored of the given events; their leaf hashes stay. MUST fail
    /// with `StoreError.ungoverned` and remove nothing when one of them is not due by its class, is the last about a
    /// governed row, or is an erasure or a retention itself.
    /// - Parameter names: every governed row that the events name.
    func prune(_ events: [StoredEvent], naming names: [EntityNaming], by event: SealedEvent, _ writer: any Writer)
        throws

    /// Of the given (subject, event, member) those that are stored.
    func subjects(_ wanted: [SubjectNaming], _ reader: any Reader) throws -> Set<SubjectNaming>

    // Verification and export
    func entries(_ range: Range<Int64>, _ reader: any Reader, _ body: (StoredEntry) throws -> Void) throws
    /// Takes the first `limit` entries of a range as they are stored, until `rows` is full.
    func take(_ range: Range<Int64>, limit: Int, into rows: inout ExportRows, _ reader: any Reader) throws
    /// Takes the entries whose events match, by time then id, after `cursor`, as they are stored, until `rows` is full; only
    /// events below `size` in the tree. Where several filters must match, it looks at `EventFilter.Walk.window` events.
    /// - Returns: the last event it looked at when there are more to look at; rows beyond are taken after it. `nil`: no more.
    func take(
        _ filter: EventFilter, after cursor: (at: Int64, id: String)?, limit: Int, below size: Int64,
        into rows: inout ExportRows, _ reader: any Reader
    ) throws -> (at: Int64, id: String)?
    func events(_ ids: [String], _ reader: any Reader) throws -> [String: StoredEvent]
    /// Walks the whole table.
    func eventCount(_ reader: any Reader) throws -> Int64
    /// Walks the whole table: events that are neither in the tree nor waiting.
    func unsequenced(_ reader: any Reader, _ body: (String) throws -> Void) throws
    /// Walks the whole table in (type, id, event) order.
    func namings(_ reader: any Reader, _ body: (EntityNaming) throws -> Void) throws
    /// Which of the given namings are stored.
    func namings(_ wanted: [EntityNaming], _ reader: any Reader) throws -> Set<EntityNaming>
    /// The namings of rows of one type with ids after `after` up to `upTo` (`nil`: to the end), in id order.
    func namings(
        type: String, after: String, upTo: String?, _ reader: any Reader, _ body: (EntityNaming) throws -> Void) throws
    /// The heads of the same rows, in id order.
    func heads(
        type: String, after: String, upTo: String?, _ reader: any Reader,
        _ body: (_ id: String, _ event: String) throws -> Void
    ) throws
    /// Types that have heads.
    func headTypes(_ reader: any Reader) throws -> [String]
}

/// Whose data a sealed member is.
public struct SubjectNaming: Sendable, Hashable {
    public let subject: String
    public let eventID: String
    public let member: String
    public init(subject: String, eventID: String, member: String) {
        self.subject = subject
        self.eventID = eventID
        self.member = member
    }
}

extension LogStore {
    /// Answers subtree hashes of the tree of `size` leaves from the stored full tiles and, at the right edge, from what
    /// is below them.
    public func nodes(size: Int64, cache: TileCache = TileCache(), _ reader: any Reader) -> TileNodes {
        TileNodes(size: size, cache: cache) { level, index, filled in
            try tile(level: level, index: index, filled: filled, reader)
        }
    }

    /// The first `filled` hashes of a tile.
    public func tile(level: Int, index: Int64, filled: Int, _ reader: any Reader) throws -> [MerkleHash] {
        let width = Int64(Tiles.width)
        if let stored = try tiles(level: level, index..<index + 1, reader).first {
            guard let hashes = MerkleHash.split(stored.hashes), hashes.count == Tiles.width else {
                throw LogDamage("tile \(TilePath(.hashes(level: level), index: index).text) is not 8192 bytes long")
            }
            return Array(hashes.prefix(filled))
        }
        let range = index * width..<index * width + Int64(filled)
        let found: [MerkleHash]
        if level == 0 {
            let rows = try leafHashes(range, reader)
            guard rows.map(\.index) == Array(range) else { throw LogDamage("leaf hashes \(range) are not all there") }
            found = rows.compactMap { MerkleHash($0.hash) }
        } else {
            let rows = try tiles(level: level - 1, range, reader)
            guard rows.map(\.index) == Array(range) else {
                throw LogDamage("tiles \(range) of level \(level - 1) are not all there")
            }
            found = rows.compactMap { MerkleHash.split($0.hashes).map(Tiles.root) }
        }
        guard found.count == filled else { throw LogDamage("a stored hash is not 32 bytes long") }
        return found
    }

    /// The right edge of the stored tree.
    public func frontier(size: Int64, _ reader: any Reader) throws -> TileFrontier {
        var levels: [[MerkleHash]] = []
        var level = 0
        while Tiles.count(level: level, size: size) > 0 {
            let count = Tiles.count(level: level, size: size)
            let index = count / Int64(Tiles.width)
            let filled = Int(count % Int64(Tiles.width))
            levels.append(filled == 0 ? [] : try tile(level: level, index: index, filled: filled, reader))
            level += 1
        }
        guard let frontier = TileFrontier(size: size, levels: levels) else {
            throw LogDamage("the stored tiles do not add up to \(size) leaves")
        }
        return frontier
    }
}

extension LogStore {
    public func state(_ reader: any Reader) throws -> LogState? { try reader.first(state()).map(state) }
}
