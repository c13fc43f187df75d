import Kernel

/// The SQL of the Merkle log: the queue, the tree and the checkpoints.
public struct SQLLogStore: LogStore {
    public init() {}

    // MARK: State

    public func state() -> Statement { Statement("SELECT origin, size, root, epoch FROM log_state WHERE id = 1") }

    public func state(_ row: Row) throws -> LogState {
        guard let root = MerkleHash(try row.bytes("root")) else { throw StoreError.shape(column: "root") }
        return LogState(
            origin: try row.string("origin"), size: try row.int("size"), root: root, epoch: try row.int("epoch"))
    }

    public func open(_ state: LogState) -> Statement {
        Statement(
            "INSERT INTO log_state (id, origin, size, root, epoch) VALUES (1, $1, $2, $3, $4)",
            [.text(state.origin), .int(state.size), .bytes(state.root.bytes), .int(state.epoch)], expectedRows: 1)
    }

    public func advance(_ from: LogState, to: LogState) -> Statement {
        Statement(
            """
            UPDATE log_state SET origin = $1, size = $2, root = $3, epoch = $4
            WHERE id = 1 AND origin = $5 AND size = $6 AND root = $7 AND epoch = $8
            """,
            [
                .text(to.origin), .int(to.size), .bytes(to.root.bytes), .int(to.epoch), .text(from.origin),
                .int(from.size),
                .bytes(from.root.bytes), .int(from.epoch),
            ], expectedRows: 1)
    }

    // MARK: Sequencing

    public func pending(
        limit: Int, _ reader: any Reader, _ body: (_ eventID: String, _ leaf: [UInt8]) throws -> Void
    ) throws {
        var last: Int64 = .min
        var left = limit
        while left > 0 {
            // Nearly always all there is.
            let portion = min(left, 500)
            let rows = try reader.query(
                Statement(
                    """
                    SELECT p.seq AS seq, p.event_id AS event_id, e.leaf AS leaf
                    FROM log_pending p JOIN events e ON e.id = p.event_id WHERE p.seq > $1 ORDER BY p.seq LIMIT $2
                    """, [.int(last), .int(Int64(portion))]))
            for row in rows {
                try body(try row.string("event_id"), try row.bytes("leaf"))
                last = try row.int("seq")
            }
            guard rows.count == portion else { return }
            left -= portion
        }
    }

    public func oldestPending() -> Statement {
        Statement("SELECT e.at AS at FROM log_pending p JOIN events e ON e.id = p.event_id ORDER BY p.seq LIMIT 1")
    }

    public func pendingCount(_ reader: any Reader) throws -> Int64 {
        try reader.first(Statement("SELECT count(*) AS n FROM log_pending"))?.int("n") ?? 0
    }

    public func integrate(_ leaves: [SequencedLeaf]) -> [Statement] {
        // Few different lengths, so that the statements are prepared once.
        var statements: [Statement] = []
        var rest = leaves[...]
        for length in [500, 32, 4, 1] {
            while rest.count >= length {
                var values: [Value] = []
                values.reserveCapacity(length * 3)
                for leaf in rest.prefix(length) {
                    values.append(.int(leaf.index))
                    values.append(.text(leaf.eventID))
                    values.append(.bytes(leaf.hash.bytes))
                }
                statements.append(Statement(Self.leafInserts[length]!, values, expectedRows: length))
                rest = rest.dropFirst(length)
            }
        }
        return statements
    }

    private static let leafInserts: [Int: String] = Dictionary(
        uniqueKeysWithValues: [500, 32, 4, 1].map { length in
            let rows = (0..<length).map { "($\($0 * 3 + 1), $\($0 * 3 + 2), $\($0 * 3 + 3))" }
            return (length, "INSERT INTO log_leaf (idx, event_id, hash) VALUES " + rows.joined(separator: ", "))
        })

    public func store(_ tiles: [FullTile]) -> [Statement] {
        tiles.map { tile in
            Statement(
                "INSERT INTO log_tile (level, n, hashes) VALUES ($1, $2, $3)",
                [.int(Int64(tile.level)), .int(tile.index), .bytes(MerkleHash.concatenate(tile.hashes))],
                expectedRows: 1)
        }
    }

    public func dequeue(from index: Int64) -> Statement {
        Statement(
            "DELETE FROM log_pending WHERE event_id IN (SELECT event_id FROM log_leaf WHERE idx >= $1)", [.int(index)])
    }

    // MARK: Tree

    public func leafHashes(_ range: Range<Int64>, _ reader: any Reader) throws -> [(index: Int64, hash: [UInt8])] {
        try reader.query(
            Statement(
                "SELECT idx, hash FROM log_leaf WHERE idx >= $1 AND idx < $2 ORDER BY idx",
                [.int(range.lowerBound), .int(range.upperBound)])
        ).map { (try $0.int("idx"), try $0.bytes("hash")) }
    }

    public func tiles(
        level: Int, _ range: Range<Int64>, _ reader: any Reader
    ) throws -> [(index: Int64, hashes: [UInt8])] {
        try reader.query(
            Statement(
                "SELECT n, hashes FROM log_tile WHERE level = $1 AND n >= $2 AND n < $3 ORDER BY n",
                [.int(Int64(level)), .int(range.lowerBound), .int(range.upperBound)])
        ).map { (try $0.int("n"), try $0.bytes("hashes")) }
    }

    public func tiles(
        level: Int, _ indexes: [Int64], _ reader: any Reader
    ) throws -> [(index: Int64, hashes: [UInt8])] {
        var found: [(index: Int64, hashes: [UInt8])] = []
        found.reserveCapacity(indexes.count)
        for start in stride(from: 0, to: indexes.count, by: Self.tilesAtOnce) {
            let part = indexes[start..<min(start + Self.tilesAtOnce, indexes.count)]
            // As they are stored: in text a tile has twice the length, and is to be decoded.
            try reader.scan(
                Statement(
                    "SELECT n, hashes FROM log_tile WHERE level = \(level) AND n IN (\(placeholders(part.count)))",
                    part.map(Value.int))
            ) { columns in
                found.append((try columns[0].int("n"), Array(try columns[1].bytes("hashes"))))
            }
        }
        return found
    }

    private static let tilesAtOnce = 250

    public func tileCount(level: Int, _ reader: any Reader) throws -> Int64 {
        try reader.first(Statement("SELECT count(*) AS n FROM log_tile WHERE level = $1", [.int(Int64(level))]))?.int(
            "n") ?? 0
    }

    public func leaves(_ range: Range<Int64>, _ reader: any Reader) throws -> [[UInt8]] {
        try reader.query(
            Statement(
                """
                SELECT e.leaf AS leaf FROM log_leaf l JOIN events e ON e.id = l.event_id
                WHERE l.idx >= $1 AND l.idx < $2 ORDER BY l.idx
                """, [.int(range.lowerBound), .int(range.upperBound)])
        ).map { try $0.bytes("leaf") }
    }

    public func find(event id: String, _ reader: any Reader) throws -> (event: StoredEvent, index: Int64?)? {
        guard
            let row = try reader.first(
                Statement(
                    """
                    SELECT \(Self.eventColumns), l.idx AS idx FROM events e LEFT JOIN log_leaf l ON l.event_id = e.id
                    WHERE e.id = $1
                    """, [.text(id)]))
        else { return nil }
        return (try StoredEvent(row), try row.optionalInt("idx"))
    }

    static let eventColumns =
        (["id", "leaf", "at"] + StoredEvent.projectionNames).map { "e.\($0) AS \($0)" }.joined(separator: ", ")

    // MARK: Checkpoints

    private func checkpoint(_ row: Row) throws -> StoredCheckpoint {
        StoredCheckpoint(size: try row.int("size"), root: try row.bytes("root"), note: try row.string("note"))
    }

    public func newestCheckpoint(_ reader: any Reader) throws -> StoredCheckpoint? {
        try reader.first(Statement("SELECT size, root, note FROM log_checkpoint ORDER BY size DESC LIMIT 1")).map(
            checkpoint)
    }

    public func checkpoints(_ range: Range<Int64>, _ reader: any Reader) throws -> [StoredCheckpoint] {
        try reader.query(
            Statement(
                "SELECT size, root, note FROM log_checkpoint WHERE size >= $1 AND size < $2 ORDER BY size",
                [.int(range.lowerBound), .int(range.upperBound)])
        ).map(checkpoint)
    }

    public func publish(_ checkpoint: StoredCheckpoint, epoch: Int64, at: Instant) -> Statement {
        Statement(
            """
            INSERT INTO log_checkpoint (size, root, note, at)
            SELECT s.size, s.root, $1, $2 FROM log_state s WHERE s.id = 1 AND s.size = $3 AND s.root = $4 AND s.epoch = $5
            """,
            [
                .text(checkpoint.note), .int(at.microseconds), .int(checkpoint.size), .bytes(checkpoint.root),
                .int(epoch),
            ],
            expectedRows: 1)
    }

    // MARK: Sealed members

    /// The rows of `sql` for all the given keys, in portions of at most 200, padded to one of three lengths so that few
    /// texts are prepared. `{list}` in the text stands for the keys.
    static func rows<T>(
        _ sql: String, _ all: [T], columns: Int = 1, _ reader: any Reader, _ values: (T) -> [Value]
    ) throws -> [Row] {
        var out: [Row] = []
        var rest = all[...]
        while !rest.isEmpty {
            let portion = Array(rest.prefix(200))
            rest = rest.dropFirst(200)
            let length = portion.count > 20 ? 200 : portion.count > 1 ? 20 : 1
            let padded = portion + Array(repeating: portion[portion.count - 1], count: length - portion.count)
            let list = (0..<length).map { row in
                let names = (1...columns).map { "$\(row * columns + $0)" }.joined(separator: ", ")
                return columns == 1 ? names : "(\(names))"
            }
            let text = sql.replacing("{list}", with: list.joined(separator: ", "))
            out += try reader.query(Statement(text, padded.flatMap(values)))
        }
        return out
    }

    public func sealed(_ events: [String], _ reader: any Reader) throws -> [String: String] {
        let sql = "SELECT event_id, members FROM sealed WHERE event_id IN ({list})"
        var out: [String: String] = [:]
        for row in try Self.rows(sql, events, reader, { [.text($0)] }) {
            out[try row.string("event_id")] = try row.string("members")
        }
        return out
    }

    public func erasures(
        _ events: [String], _ reader: any Reader
    ) throws -> [(event: String, member: String, erasedBy: String)] {
        let sql = "SELECT event_id, member, erased_by FROM sealed_erasure WHERE event_id IN ({list})"
        return try Self.rows(sql, events, reader, { [.text($0)] }).map {
            (try $0.string("event_id"), try $0.string("member"), try $0.string("erased_by"))
        }
    }

    public func erasures(
        _ reader: any Reader, _ body: (_ event: String, _ member: String, _ erasedBy: String) throws -> Void
    ) throws {
        try reader.forEach(Statement("SELECT event_id, member, erased_by FROM sealed_erasure")) { row in
            try body(try row.string("event_id"), try row.string("member"), try row.string("erased_by"))
        }
    }

    public func subjects(_ wanted: [SubjectNaming], _ reader: any Reader) throws -> Set<SubjectNaming> {
        let sql = """
            WITH v (a, b, c) AS (VALUES {list})
            SELECT s.subject AS subject, s.event_id AS event_id, s.member AS member FROM v
            JOIN sealed_subject s ON s.subject = v.a AND s.event_id = v.b AND s.member = v.c
            """
        let rows = try Self.rows(sql, wanted, columns: 3, reader) {
            [.text($0.subject), .text($0.eventID), .text($0.member)]
        }
        return Set(
            try rows.map {
                SubjectNaming(
                    subject: try $0.string("subject"), eventID: try $0.string("event_id"),
                    member: try $0.string("member"))
            })
    }
}
