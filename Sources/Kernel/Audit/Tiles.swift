/// A tile's place in the log (C2SP tlog-tiles): 256 hashes of one level, or fewer at the right edge.
public struct TilePath: Sendable, Hashable {
    public enum Kind: Sendable, Hashable {
        /// Hashes of the subtrees with 256^level leaves.
        case hashes(level: Int)
        /// The leaves themselves.
        case entries
    }

    public let kind: Kind
    public let index: Int64
    /// 1 to 255 for a partial tile, `nil` for a full one.
    public let width: Int?

    public init(_ kind: Kind, index: Int64, width: Int? = nil) {
        self.kind = kind
        self.index = index
        self.width = width
    }

    /// `0/x001/x234/067`, `entries/000.p/17`: what follows `/tile/`.
    public var text: String {
        var out =
            switch kind {
            case .hashes(let level): String(level)
            case .entries: "entries"
            }
        var groups: [Int64] = []
        var rest = index
        repeat {
            groups.append(rest % 1000)
            rest /= 1000
        } while rest > 0
        for (position, group) in groups.enumerated().reversed() {
            let digits = String(group)
            out += position > 0 ? "/x" : "/"
            out += String(repeating: "0", count: 3 - digits.utf8.count) + digits
        }
        if let width { out += ".p/\(width)" }
        return out
    }

    /// Reads what `text` writes, and nothing else: every tile has one address.
    public init?(_ text: String) {
        guard text.utf8.count <= 64 else { return nil }
        var parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count >= 2 else { return nil }
        let first = parts.removeFirst()
        let kind: Kind
        if first == "entries" {
            kind = .entries
        } else {
            guard let level = Int(first), (0...7).contains(level) else { return nil }
            kind = .hashes(level: level)
        }
        var width: Int?
        if parts.count >= 2, parts[parts.count - 2].hasSuffix(".p") {
            guard let value = Int(parts.removeLast()), (1...255).contains(value) else { return nil }
            width = value
            parts[parts.count - 1].removeLast(2)
        }
        var index: Int64 = 0
        for (position, part) in parts.enumerated() {
            var digits = part[...]
            if position < parts.count - 1 {
                guard digits.first == "x" else { return nil }
                digits = digits.dropFirst()
            }
            guard digits.utf8.count == 3, let value = Int64(digits), value >= 0, index < 1_000_000_000_000 else {
                return nil
            }
            index = index * 1000 + value
        }
        self.init(kind, index: index, width: width)
        // One address a tile: "+12", "x000/001" and "007" as a width are refused by writing it again.
        guard self.text == text else { return nil }
    }
}

/// Sizes and encodings of tiles.
public enum Tiles {
    /// Hashes in a full tile.
    public static let width = 256
    /// Levels of the tree a tile spans.
    public static let height = 8
    /// A leaf carries its length in 16 bits.
    public static let largestEntry = 65_535

    /// How many hashes the tree of `size` leaves has at tile level `level`.
    public static func count(level: Int, size: Int64) -> Int64 {
        level * height >= 63 ? 0 : size >> Int64(level * height)
    }

    /// How many of a tile's hashes the tree of `size` leaves fills: 0 to 256.
    public static func filled(level: Int, index: Int64, size: Int64) -> Int {
        let count = count(level: level, size: size)
        // Compared by tiles first: an index from outside times 256 may be more than there are numbers for.
        guard index >= 0, index <= count / Int64(width) else { return 0 }
        return Int(min(Int64(width), count - index * Int64(width)))
    }

    /// A bundle of leaves: each with its big-endian 16 bit length before it.
    /// - Throws: `LogDamage` for a leaf that is too long: the database takes none, so somebody wrote around it.
    public static func bundle(_ leaves: [[UInt8]]) throws(LogDamage) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(leaves.reduce(0) { $0 + $1.count + 2 })
        for leaf in leaves {
            guard leaf.count <= largestEntry else { throw LogDamage("a leaf has more than 65,535 bytes") }
            out.append(UInt8(leaf.count >> 8))
            out.append(UInt8(leaf.count & 0xFF))
            out.append(contentsOf: leaf)
        }
        return out
    }

    /// The leaves of a bundle, or `nil` when it is cut short.
    public static func unbundle(_ bytes: [UInt8]) -> [[UInt8]]? {
        var leaves: [[UInt8]] = []
        var offset = 0
        while offset < bytes.count {
            guard offset + 2 <= bytes.count else { return nil }
            let length = Int(bytes[offset]) << 8 | Int(bytes[offset + 1])
            offset += 2
            guard offset + length <= bytes.count else { return nil }
            leaves.append(Array(bytes[offset..<offset + length]))
            offset += length
        }
        return leaves
    }

    /// The root over a tile's hashes; of a full tile, the hash that stands for it one tile level up.
    public static func root(_ hashes: [MerkleHash]) -> MerkleHash { MerkleTree.root(of: hashes) }
}

/// A full tile that has just been completed.
public struct FullTile: Sendable, Hashable {
    public let level: Int
    public let index: Int64
    public let hashes: [MerkleHash]
    public init(level: Int, index: Int64, hashes: [MerkleHash]) {
        self.level = level
        self.index = index
        self.hashes = hashes
    }
}

/// The right edge of the tree as partial tiles: appending a leaf completes tiles from the bottom up.
public struct TileFrontier: Sendable, Equatable {
    public private(set) var size: Int64 = 0
    /// Level 0 first; each holds fewer than 256 hashes.
    public private(set) var levels: [[MerkleHash]] = []

    public init() {}

    /// `nil` unless the levels hold exactly the hashes a tree of `size` has at its right edge.
    public init?(size: Int64, levels: [[MerkleHash]]) {
        guard size >= 0 else { return nil }
        var levels = levels
        while levels.last?.isEmpty == true { levels.removeLast() }
        var total: Int64 = 0
        for (level, hashes) in levels.enumerated() {
            guard hashes.count < Tiles.width, level < 8 else { return nil }
            total += Int64(hashes.count) << Int64(level * Tiles.height)
        }
        guard total == size else { return nil }
        self.size = size
        self.levels = levels
    }

    /// Appends a leaf hash; `completed` is called for every tile this fills, level 0 first.
    public mutating func append(_ leaf: MerkleHash, completed: (FullTile) throws -> Void) rethrows {
        var hash = leaf
        size += 1
        var level = 0
        while true {
            if level == levels.count {
                levels.append([])
                levels[level].reserveCapacity(Tiles.width)
            }
            levels[level].append(hash)
            guard levels[level].count == Tiles.width else { break }
            let index = size >> Int64((level + 1) * Tiles.height)
            try completed(FullTile(level: level, index: index - 1, hashes: levels[level]))
            hash = Tiles.root(levels[level])
            levels[level].removeAll(keepingCapacity: true)
            level += 1
        }
        while levels.last?.isEmpty == true { levels.removeLast() }
    }

    public var root: MerkleHash {
        var nodes: [MerkleHash] = []
        for hashes in levels.reversed() {
            var range = CompactRange()
            for hash in hashes { range.append(hash) }
            nodes.append(contentsOf: range.nodes)
        }
        return CompactRange.root(of: nodes)
    }
}

/// Subtree hashes of tiles read before. A tile never changes, except that a partial one grows: the cache belongs to one
/// size of the tree.
public struct TileCache: Sendable {
    /// Per tile the hashes of its levels 0 to 8, level 0 being the tile itself.
    fileprivate var tiles: [MerkleNode: [[MerkleHash]]] = [:]
    public init() {}
}

/// Answers the hashes of perfect subtrees from tiles, and remembers what it has computed.
public struct TileNodes {
    private let load: (_ level: Int, _ index: Int64, _ filled: Int) throws -> [MerkleHash]
    private let size: Int64
    public private(set) var cache: TileCache

    /// - Parameters:
    ///   - cache: what an earlier transaction read of the tree of the same size.
    ///   - load: the hashes of a tile, `filled` of them.
    public init(
        size: Int64, cache: TileCache = TileCache(),
        load: @escaping (_ level: Int, _ index: Int64, _ filled: Int) throws -> [MerkleHash]
    ) {
        self.size = size
        self.cache = cache
        self.load = load
    }

    /// The hashes beside the path of a leaf within its full tile, from the leaf up.
    mutating func siblings(
        inTile tile: Int64, position: Int, _ body: (_ level: Int, _ hash: MerkleHash) -> Void
    ) throws {
        let key = MerkleNode(level: 0, index: tile)
        let rows = try cache.tiles[key] ?? keep(try load(0, tile, Tiles.width), key)
        guard rows[0].count == Tiles.width else {
            throw LogDamage("tile \(TilePath(.hashes(level: 0), index: tile).text) is incomplete")
        }
        for level in 0..<Tiles.height { body(level, rows[level][(position >> level) ^ 1]) }
    }

    /// Takes a full tile that was read beforehand.
    mutating func take(level: Int, index: Int64, _ bytes: [UInt8]) throws {
        guard let hashes = MerkleHash.split(bytes), hashes.count == Tiles.width else {
            throw LogDamage("tile \(TilePath(.hashes(level: level), index: index).text) is not 8192 bytes long")
        }
        keep(hashes, MerkleNode(level: level, index: index))
    }

    @discardableResult
    private mutating func keep(_ hashes: [MerkleHash], _ key: MerkleNode) -> [[MerkleHash]] {
        var rows = [hashes]
        while rows[rows.count - 1].count > 1 {
            let below = rows[rows.count - 1]
            rows.append(
                stride(from: 0, to: below.count - 1, by: 2).map { MerkleTree.nodeHash(below[$0], below[$0 + 1]) })
        }
        // A bound on memory for long exports; what is dropped is loaded again.
        if cache.tiles.count >= Self.most { cache.tiles.removeAll(keepingCapacity: true) }
        cache.tiles[key] = rows
        return rows
    }

    /// 16 KiB each.
    private static let most = 2048

    public mutating func hash(_ node: MerkleNode) throws -> MerkleHash {
        let level = node.level / Tiles.height
        let inner = node.level % Tiles.height
        let first = node.index << Int64(inner)
        let key = MerkleNode(level: level, index: first / Int64(Tiles.width))
        let position = Int(first % Int64(Tiles.width)) >> inner
        if let rows = cache.tiles[key], inner < rows.count, position < rows[inner].count {
            return rows[inner][position]
        }
        let filled = Tiles.filled(level: level, index: key.index, size: size)
        let rows = keep(try load(level, key.index, filled), key)
        guard inner < rows.count, position < rows[inner].count else {
            throw LogDamage("tile \(TilePath(.hashes(level: key.level), index: key.index).text) is incomplete")
        }
        return rows[inner][position]
    }
}

/// The stored log contradicts itself.
public struct LogDamage: Error, Sendable, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}
