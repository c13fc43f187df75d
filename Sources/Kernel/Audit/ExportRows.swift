/// A portion of the log on its way out, as stored and in one piece of memory: an entry costs no allocation.
public struct ExportRows: Sendable {
    /// Where an entry's parts stand in `bytes`.
    struct Entry: Sendable {
        let index: Int64
        /// `nil` when the event is gone, and so has no leaf.
        let at: Int64?
        let id: Range<Int>
        let hash: Range<Int>
        let leaf: Range<Int>
        let sealed: Range<Int>?
        /// Sealed members of it were erased.
        let isErased: Bool
    }

    private(set) var bytes: [UInt8] = []
    private(set) var entries: [Entry] = []
    /// The portion ends with the entry that makes it longer than this.
    private let most: Int
    /// Something was left out because the portion was full.
    public private(set) var isCut = false

    init(most: Int) { self.most = most }

    public var count: Int { entries.count }
    /// Whether it takes no more. Asking means that there is more.
    public var isFull: Bool {
        mutating get {
            if bytes.count >= most { isCut = true }
            return bytes.count >= most
        }
    }

    /// - Parameter columns: index, event id, hash, time, leaf, sealed members, and whether some were erased.
    public mutating func append(_ columns: [RawValue]) throws {
        let leaf = columns[4].optionalBytes
        entries.append(
            Entry(
                index: try columns[0].int("idx"), at: leaf == nil ? nil : try columns[3].int("at"),
                id: take(try columns[1].bytes("event_id")), hash: take(try columns[2].bytes("hash")),
                leaf: leaf.map { take($0) } ?? 0..<0, sealed: columns[5].optionalBytes.map { take($0) },
                isErased: { if case .null = columns[6] { false } else { true } }()))
    }

    private mutating func take(_ part: UnsafeRawBufferPointer) -> Range<Int> {
        let start = bytes.count
        bytes.append(contentsOf: part)
        return start..<bytes.count
    }

    func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }
}

/// Writes inclusion proofs as the base 64 of their steps. Neighbours share what lies above their tile, so it is worked out
/// and written once for them.
struct ProofWriter {
    private let size: Int64
    private var tile: Int64 = -1
    private var above: [UInt8] = []

    init(size: Int64) { self.size = size }

    /// `,"proof":["…","…"]`, from the leaf up.
    mutating func append(index: Int64, _ nodes: inout TileNodes, to out: inout [UInt8]) throws {
        out.append(contentsOf: ",\"proof\":[".utf8)
        try appendSteps(index: index, &nodes, to: &out)
        out.append(UInt8(ascii: "]"))
    }

    private mutating func appendSteps(index: Int64, _ nodes: inout TileNodes, to out: inout [UInt8]) throws {
        let tile = index / Int64(Tiles.width)
        guard (tile + 1) * Int64(Tiles.width) <= size else {
            // In the last tile, which is not full, the tree is not perfect.
            let proof = try MerkleTree.inclusionProof(index: index, size: size) { try nodes.hash($0) }
            Self.append(proof[...], to: &out)
            return
        }
        if tile != self.tile {
            let proof = try MerkleTree.inclusionProof(index: index, size: size) { try nodes.hash($0) }
            above = []
            Self.append(proof.dropFirst(Tiles.height), to: &above)
            self.tile = tile
        }
        try nodes.siblings(inTile: tile, position: Int(index % Int64(Tiles.width))) { level, hash in
            if level > 0 { out.append(UInt8(ascii: ",")) }
            Self.append(hash, to: &out)
        }
        guard !above.isEmpty else { return }
        out.append(UInt8(ascii: ","))
        out.append(contentsOf: above)
    }

    private static func append(_ proof: ArraySlice<MerkleHash>, to out: inout [UInt8]) {
        for (position, hash) in proof.enumerated() {
            if position > 0 { out.append(UInt8(ascii: ",")) }
            append(hash, to: &out)
        }
    }

    private static func append(_ hash: MerkleHash, to out: inout [UInt8]) {
        out.append(UInt8(ascii: "\""))
        withUnsafeBytes(of: hash) { Base64.append($0, to: &out) }
        out.append(UInt8(ascii: "\""))
    }
}
