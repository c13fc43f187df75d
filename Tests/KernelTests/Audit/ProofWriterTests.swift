import Testing

@testable import Kernel

@Suite struct ProofWriterTests {
    /// Trees whose last tile is full, nearly empty, nearly full, and the only one; and more than one level of tiles.
    @Test(arguments: [1, 2, 255, 256, 257, 511, 512, 1000, 65_536 + 300])
    func `a proof shared with neighbours is the proof of its leaf`(size: Int64) throws {
        let leaves = (0..<size).map { MerkleTree.leafHash(Array("leaf \($0)".utf8)) }
        func tile(_ level: Int, _ index: Int64, _ filled: Int) -> [MerkleHash] {
            let first = Int(index) * Tiles.width
            if level == 0 { return Array(leaves[first..<first + filled]) }
            return (first..<first + filled).map { Tiles.root(tile(level - 1, Int64($0), Tiles.width)) }
        }
        let root = MerkleTree.root(of: leaves)
        var nodes = TileNodes(size: size) { tile($0, $1, $2) }
        var writer = ProofWriter(size: size)
        // In order, with neighbours, and back and forth.
        let some = Array(stride(from: 0, to: size, by: 97)) + [0, size - 1, size / 2, size - 1, 1 % size]
        for index in some {
            var out: [UInt8] = []
            try writer.append(index: index, &nodes, to: &out)
            let text = String(decoding: out, as: UTF8.self)
            let json = try JSON(parsing: "{\(text.dropFirst())}")
            let proof = try (json["proof"]?.array ?? []).map {
                try #require($0.string.flatMap { MerkleHash(base64: $0) })
            }
            #expect(
                MerkleTree.verifyInclusion(
                    of: leaves[Int(index)], index: index, size: size, proof: proof, root: root), "\(index) of \(size)")
        }
    }

    @Test func `base 64 in place is base 64`() {
        for count in 0..<70 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ count) }
            var out: [UInt8] = []
            bytes.withUnsafeBytes { Base64.append($0, to: &out) }
            #expect(String(decoding: out, as: UTF8.self) == Base64.encode(bytes))
        }
    }
}
