import Crypto

/// One SHA-256 hash of the Merkle tree, held inline: a tree of millions costs no allocation per hash.
public struct MerkleHash: Sendable, Hashable {
    // The 32 bytes in memory order. Plain words and not a SIMD vector, whose alignment of 32 bytes Swift's task allocator
    // does not keep: values of it in an async function's frame end in "freed pointer was not the last allocation".
    private let first: UInt64
    private let second: UInt64
    private let third: UInt64
    private let fourth: UInt64

    private init(_ buffer: UnsafeRawBufferPointer, at offset: Int) {
        first = buffer.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        second = buffer.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self)
        third = buffer.loadUnaligned(fromByteOffset: offset + 16, as: UInt64.self)
        fourth = buffer.loadUnaligned(fromByteOffset: offset + 24, as: UInt64.self)
    }

    init(_ digest: SHA256Digest) { self = digest.withUnsafeBytes { MerkleHash($0, at: 0) } }

    /// `nil` unless `bytes` are exactly 32.
    public init?(_ bytes: [UInt8]) {
        guard bytes.count == 32 else { return nil }
        self.init(bytes, at: 0)
    }

    /// The 32 bytes at `offset` of a tile.
    init(_ bytes: [UInt8], at offset: Int) {
        precondition(offset >= 0 && offset + 32 <= bytes.count, "a hash has 32 bytes")
        self = bytes.withUnsafeBytes { MerkleHash($0, at: offset) }
    }

    /// `nil` unless the text is the base 64 of 32 bytes.
    public init?(base64 text: String) {
        guard let bytes = Base64.decode(text) else { return nil }
        self.init(bytes)
    }

    public var bytes: [UInt8] { withUnsafeBytes(of: self) { Array($0) } }
    public var base64: String { Base64.encode(bytes) }

    /// Hashes one after the other, as tiles and frontiers are stored.
    public static func concatenate(_ hashes: some Sequence<MerkleHash>) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(hashes.underestimatedCount * 32)
        for hash in hashes { withUnsafeBytes(of: hash) { out.append(contentsOf: $0) } }
        return out
    }

    /// `nil` when the length is not a multiple of 32.
    public static func split(_ bytes: [UInt8]) -> [MerkleHash]? {
        guard bytes.count % 32 == 0 else { return nil }
        return stride(from: 0, to: bytes.count, by: 32).map { MerkleHash(bytes, at: $0) }
    }

    func copy(to buffer: UnsafeMutableRawBufferPointer, at offset: Int) {
        withUnsafeBytes(of: self) { bytes in
            UnsafeMutableRawBufferPointer(rebasing: buffer[offset..<offset + 32]).copyMemory(from: bytes)
        }
    }
}

/// A perfect subtree: leaves `index << level` up to `(index + 1) << level`.
public struct MerkleNode: Sendable, Hashable {
    public let level: Int
    public let index: Int64
    public init(level: Int, index: Int64) {
        self.level = level
        self.index = index
    }
}

/// The tree of RFC 6962 and RFC 9162 §2.1: hashing, roots and proofs.
///
/// The functions ask for the hashes of perfect subtrees and so work on leaves in memory, on tiles in a database or on
/// tiles somebody else served.
public enum MerkleTree {
    /// The root of a tree without leaves: SHA-256 of nothing.
    public static let emptyRoot = MerkleHash(SHA256().finalize())

    /// SHA-256(0x00 ‖ bytes)
    public static func leafHash(_ bytes: [UInt8]) -> MerkleHash {
        withUnsafeTemporaryAllocation(byteCount: bytes.count + 1, alignment: 8) { buffer in
            buffer[0] = 0
            UnsafeMutableRawBufferPointer(rebasing: buffer[1...]).copyBytes(from: bytes)
            return MerkleHash(SHA256.hash(UnsafeRawBufferPointer(buffer)))
        }
    }

    /// SHA-256(0x01 ‖ left ‖ right)
    public static func nodeHash(_ left: MerkleHash, _ right: MerkleHash) -> MerkleHash {
        withUnsafeTemporaryAllocation(byteCount: 65, alignment: 8) { buffer in
            buffer[0] = 1
            left.copy(to: buffer, at: 1)
            right.copy(to: buffer, at: 33)
            return MerkleHash(SHA256.hash(UnsafeRawBufferPointer(buffer)))
        }
    }

    /// The root of the first `size` leaves.
    public static func root(
        size: Int64, node: (MerkleNode) throws -> MerkleHash
    ) rethrows -> MerkleHash {
        size == 0 ? emptyRoot : try hash(0, size, node)
    }

    /// The root over leaf hashes held in memory.
    public static func root(of leaves: [MerkleHash]) -> MerkleHash {
        var range = CompactRange()
        for leaf in leaves { range.append(leaf) }
        return range.root
    }

    /// The audit path of leaf `index` in the tree of `size` leaves, from the leaf up (RFC 9162 §2.1.3.1).
    public static func inclusionProof(
        index: Int64, size: Int64, node: (MerkleNode) throws -> MerkleHash
    ) rethrows -> [MerkleHash] {
        precondition(index >= 0 && index < size, "a leaf outside the tree has no proof")
        var proof: [MerkleHash] = []
        var (low, high) = (Int64(0), size)
        // Walked from the root down, so the path is reversed at the end.
        while high - low > 1 {
            let middle = low + split(high - low)
            if index < middle {
                proof.append(try hash(middle, high, node))
                high = middle
            } else {
                proof.append(try hash(low, middle, node))
                low = middle
            }
        }
        proof.reverse()
        return proof
    }

    /// Proves that the tree of `old` leaves is the beginning of the tree of `new` leaves (RFC 9162 §2.1.4.1).
    public static func consistencyProof(
        from old: Int64, to new: Int64, node: (MerkleNode) throws -> MerkleHash
    ) rethrows -> [MerkleHash] {
        precondition(old >= 0 && old <= new, "consistency is proved from a smaller tree to a larger one")
        guard old > 0, old < new else { return [] }
        var proof: [MerkleHash] = []
        var (low, high) = (Int64(0), new)
        var wholeOldTree = true
        while old < high {
            let middle = low + split(high - low)
            if old <= middle {
                proof.append(try hash(middle, high, node))
                high = middle
            } else {
                proof.append(try hash(low, middle, node))
                low = middle
                wholeOldTree = false
            }
        }
        if !wholeOldTree { proof.append(try hash(low, high, node)) }
        proof.reverse()
        return proof
    }

    /// Whether `proof` leads from the leaf hash to the root (RFC 9162 §2.1.3.2).
    public static func verifyInclusion(
        of leaf: MerkleHash, index: Int64, size: Int64, proof: [MerkleHash], root: MerkleHash
    ) -> Bool {
        guard index >= 0, index < size else { return false }
        var (fn, sn) = (index, size - 1)
        var hash = leaf
        for step in proof {
            guard sn != 0 else { return false }
            if fn & 1 == 1 || fn == sn {
                hash = nodeHash(step, hash)
                while fn & 1 == 0, fn != 0 {
                    fn >>= 1
                    sn >>= 1
                }
            } else {
                hash = nodeHash(hash, step)
            }
            fn >>= 1
            sn >>= 1
        }
        return sn == 0 && hash == root
    }

    /// Whether `proof` shows that the smaller tree is the beginning of the larger one (RFC 9162 §2.1.4.2).
    public static func verifyConsistency(
        from old: Int64, root oldRoot: MerkleHash, to new: Int64, root newRoot: MerkleHash, proof: [MerkleHash]
    ) -> Bool {
        guard old >= 0, old <= new else { return false }
        if old == new { return proof.isEmpty && oldRoot == newRoot }
        if old == 0 { return proof.isEmpty && oldRoot == emptyRoot }
        var path = proof[...]
        // When the old tree is perfect its root is the first step.
        if old & (old - 1) == 0 { path = [oldRoot] + path }
        guard let first = path.popFirst() else { return false }
        var (fn, sn) = (old - 1, new - 1)
        while fn & 1 == 1 {
            fn >>= 1
            sn >>= 1
        }
        var (fr, sr) = (first, first)
        for step in path {
            guard sn != 0 else { return false }
            if fn & 1 == 1 || fn == sn {
                fr = nodeHash(step, fr)
                sr = nodeHash(step, sr)
                while fn & 1 == 0, fn != 0 {
                    fn >>= 1
                    sn >>= 1
                }
            } else {
                sr = nodeHash(sr, step)
            }
            fn >>= 1
            sn >>= 1
        }
        return sn == 0 && fr == oldRoot && sr == newRoot
    }

    /// The largest power of two smaller than `count` (which is at least 2).
    private static func split(_ count: Int64) -> Int64 { 1 << (63 - (count - 1).leadingZeroBitCount) }

    /// The hash over leaves `low` up to `high`, where `low` is aligned as the recursion of RFC 9162 leaves it.
    private static func hash(
        _ low: Int64, _ high: Int64, _ node: (MerkleNode) throws -> MerkleHash
    ) rethrows -> MerkleHash {
        let count = high - low
        if count & (count - 1) == 0 {
            let level = count.trailingZeroBitCount
            return try node(MerkleNode(level: level, index: low >> Int64(level)))
        }
        let middle = low + split(count)
        return nodeHash(try hash(low, middle, node), try hash(middle, high, node))
    }
}

extension SHA256 {
    fileprivate static func hash(_ bytes: UnsafeRawBufferPointer) -> SHA256Digest {
        var hasher = SHA256()
        hasher.update(bufferPointer: bytes)
        return hasher.finalize()
    }
}

/// The perfect subtrees a tree consists of, largest first: all that appending needs.
public struct CompactRange: Sendable, Equatable {
    public private(set) var size: Int64 = 0
    public private(set) var nodes: [MerkleHash] = []

    public init() {}

    public mutating func append(_ leaf: MerkleHash) {
        var hash = leaf
        // Every trailing 1 bit of the size is a perfect subtree that the new leaf completes to one twice as large.
        for _ in 0..<(~size).trailingZeroBitCount { hash = MerkleTree.nodeHash(nodes.removeLast(), hash) }
        nodes.append(hash)
        size += 1
    }

    public var root: MerkleHash { Self.root(of: nodes) }

    static func root(of nodes: [MerkleHash]) -> MerkleHash {
        guard var hash = nodes.last else { return MerkleTree.emptyRoot }
        for node in nodes.dropLast().reversed() { hash = MerkleTree.nodeHash(node, hash) }
        return hash
    }
}
