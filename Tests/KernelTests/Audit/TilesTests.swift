import Testing

@testable import Kernel

@Suite struct `Log tiles` {
    @Test(
        arguments: [
            ("0/000", 0, 0, nil), ("0/001", 0, 1, nil), ("1/x001/234", 1, 1234, nil),
            ("0/x001/x234/067", 0, 1_234_067, nil),
            ("2/000.p/1", 2, 0, 1), ("0/x001/000.p/255", 0, 1000, 255),
        ] as [(String, Int, Int64, Int?)])
    func `paths are the ones of tlog-tiles`(text: String, level: Int, index: Int64, width: Int?) {
        let path = TilePath(.hashes(level: level), index: index, width: width)
        #expect(path.text == text)
        #expect(TilePath(text) == path)
    }

    @Test func `entry bundles have paths of their own`() {
        #expect(TilePath(.entries, index: 1_234_067, width: 8).text == "entries/x001/x234/067.p/8")
        #expect(TilePath("entries/x001/x234/067.p/8") == TilePath(.entries, index: 1_234_067, width: 8))
    }

    @Test(arguments: [
        "", "0", "0/", "0/1", "0/0001", "0/x000/001", "0/x001", "x/000", "-1/000", "64/000", "00/000", "+0/000",
        "0/+01",
        "0/-01", "0/000.p", "0/000.p/", "0/000.p/0", "0/000.p/256", "0/000.p/07", "0/000.p/+7", "0/000/", "/0/000",
        "0/x01/000", "0/X001/000", "0/000.p/1/2", "entries", "entries/x000/000", "0/٠٠٠", "0/000 ", "0/001/002",
        "0/x999/x999/x999/x999/x999/x999/x999/x999/999",
    ])
    func `anything else is not a path`(text: String) {
        #expect(TilePath(text) == nil)
    }

    @Test func `the frontier agrees with the naive tree at every size, and its tiles are the tree's`() throws {
        let leaves = (0..<70_000).map { MerkleTree.leafHash(withUnsafeBytes(of: $0.littleEndian) { Array($0) }) }
        var frontier = TileFrontier()
        var range = CompactRange()
        var tiles: [MerkleNode: [MerkleHash]] = [:]
        for (position, leaf) in leaves.enumerated() {
            frontier.append(leaf) { tile in
                #expect(tiles[MerkleNode(level: tile.level, index: tile.index)] == nil)
                tiles[MerkleNode(level: tile.level, index: tile.index)] = tile.hashes
            }
            range.append(leaf)
            let size = position + 1
            if size < 1100 || size % 997 == 0 || (65_530..<65_545).contains(size) {
                #expect(frontier.root == range.root)
                #expect(TileFrontier(size: Int64(size), levels: frontier.levels) == frontier)
            }
        }
        #expect(tiles.keys.filter { $0.level == 0 }.count == 273)
        #expect(tiles.keys.filter { $0.level == 1 }.count == 1)
        for (key, hashes) in tiles where key.level == 0 {
            #expect(hashes == Array(leaves[Int(key.index) * 256..<Int(key.index + 1) * 256]))
        }
        // Proofs computed from tiles, full and partial, lead to the root.
        let size = Int64(leaves.count)
        var nodes = TileNodes(size: size) { level, index, filled in
            Array((tiles[MerkleNode(level: level, index: index)] ?? frontier.levels[level]).prefix(filled))
        }
        for index in [0, 1, 255, 256, 65_535, 65_536, 69_887, 69_888, 69_999] as [Int64] {
            let proof = try MerkleTree.inclusionProof(index: index, size: size) { try nodes.hash($0) }
            #expect(
                MerkleTree.verifyInclusion(
                    of: leaves[Int(index)], index: index, size: size, proof: proof, root: frontier.root))
        }
    }

    @Test func `a frontier that does not add up is refused`() {
        let hash = MerkleTree.emptyRoot
        #expect(TileFrontier(size: 2, levels: [[hash]]) == nil)
        #expect(TileFrontier(size: 256, levels: [Array(repeating: hash, count: 256)]) == nil)
        #expect(TileFrontier(size: 256, levels: [[], [hash]]) != nil)
        #expect(TileFrontier(size: -1, levels: []) == nil)
    }

    @Test func `bundles carry leaves of any length, and a cut one is refused`() throws {
        let leaves: [[UInt8]] = [[], [1], Array(repeating: 7, count: 65_535), [2, 3]]
        let bytes = try Tiles.bundle(leaves)
        #expect(bytes.prefix(5) == [0, 0, 0, 1, 1])
        #expect(Tiles.unbundle(bytes) == leaves)
        #expect(Tiles.unbundle(Array(bytes.dropLast())) == nil)
        #expect(Tiles.unbundle([0]) == nil)
        #expect(throws: LogDamage.self) { try Tiles.bundle([Array(repeating: 7, count: 65_536)]) }
    }

    @Test func `how far a tile is filled follows from the size`() {
        #expect(Tiles.filled(level: 0, index: 0, size: 0) == 0)
        #expect(Tiles.filled(level: 0, index: 0, size: 300) == 256)
        #expect(Tiles.filled(level: 0, index: 1, size: 300) == 44)
        #expect(Tiles.filled(level: 0, index: 2, size: 300) == 0)
        #expect(Tiles.filled(level: 1, index: 0, size: 70_000) == 256)
        #expect(Tiles.filled(level: 1, index: 1, size: 70_000) == 17)
        #expect(Tiles.filled(level: 2, index: 0, size: 70_000) == 1)
        #expect(Tiles.filled(level: 7, index: 0, size: .max) == 127)
    }
}
