import Testing

@testable import Kernel

/// RFC 9162 §2.1.1, written down as it stands there: slow, recursive, over leaves in memory.
private func definedRoot(_ leaves: ArraySlice<MerkleHash>) -> MerkleHash {
    if leaves.isEmpty { return MerkleTree.emptyRoot }
    if leaves.count == 1 { return leaves.first! }
    var half = 1
    while half * 2 < leaves.count { half *= 2 }
    return MerkleTree.nodeHash(definedRoot(leaves.prefix(half)), definedRoot(leaves.dropFirst(half)))
}

private func nodeSource(_ leaves: [MerkleHash]) -> (MerkleNode) -> MerkleHash {
    { node in
        let first = Int(node.index) << node.level
        return definedRoot(leaves[first..<first + (1 << node.level)])
    }
}

private func someLeaves(_ count: Int) -> [MerkleHash] {
    (0..<count).map { MerkleTree.leafHash(Array("leaf \($0)".utf8)) }
}

@Suite struct `Merkle tree` {
    /// The reference tree of the certificate transparency implementations: eight inputs and the roots after each.
    static let inputs: [[UInt8]] = [
        [], [0x00], [0x10], [0x20, 0x21], [0x30, 0x31], [0x40, 0x41, 0x42, 0x43],
        [0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
        [0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f],
    ]
    static let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ]

    @Test func `the published reference roots are reproduced`() {
        #expect(MerkleTree.emptyRoot.bytes.hex == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        var range = CompactRange()
        #expect(range.root == MerkleTree.emptyRoot)
        for (input, root) in zip(Self.inputs, Self.roots) {
            range.append(MerkleTree.leafHash(input))
            #expect(range.root.bytes.hex == root)
        }
    }

    @Test func `the published reference proofs are reproduced`() {
        let leaves = Self.inputs.map { MerkleTree.leafHash($0) }
        let source = nodeSource(leaves)
        #expect(
            MerkleTree.inclusionProof(index: 5, size: 8, node: source).map(\.bytes.hex) == [
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ])
        #expect(
            MerkleTree.consistencyProof(from: 6, to: 8, node: source).map(\.bytes.hex) == [
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ])
    }

    @Test func `every leaf of every tree up to 70 is proved, and by no other proof`() {
        let leaves = someLeaves(70)
        let source = nodeSource(leaves)
        for size in 1...70 {
            let root = definedRoot(leaves.prefix(size))
            #expect(MerkleTree.root(of: Array(leaves.prefix(size))) == root)
            #expect(MerkleTree.root(size: Int64(size), node: source) == root)
            for index in 0..<size {
                let proof = MerkleTree.inclusionProof(index: Int64(index), size: Int64(size), node: source)
                func holds(_ leaf: MerkleHash, _ at: Int, _ of: Int, _ proof: [MerkleHash], _ root: MerkleHash) -> Bool
                {
                    MerkleTree.verifyInclusion(of: leaf, index: Int64(at), size: Int64(of), proof: proof, root: root)
                }
                #expect(holds(leaves[index], index, size, proof, root))
                #expect(!holds(leaves[(index + 1) % 70], index, size, proof, root))
                #expect(!holds(leaves[index], index + 1, size, proof, root))
                #expect(!holds(leaves[index], index, size, proof + [root], root))
                #expect(!holds(leaves[index], index, size, proof, leaves[0]) || size == 1 && index == 0)
                if !proof.isEmpty {
                    #expect(!holds(leaves[index], index, size, Array(proof.dropLast()), root))
                    var other = proof
                    other[proof.count / 2] = root
                    #expect(!holds(leaves[index], index, size, other, root))
                }
            }
        }
    }

    @Test func `every pair of trees up to 70 is proved consistent, and a rewritten one is not`() {
        let leaves = someLeaves(70)
        let source = nodeSource(leaves)
        let roots = (0...70).map { definedRoot(leaves.prefix($0)) }
        for new in 0...70 {
            for old in 0...new {
                let proof = MerkleTree.consistencyProof(from: Int64(old), to: Int64(new), node: source)
                func holds(_ proof: [MerkleHash], _ oldRoot: MerkleHash, _ newRoot: MerkleHash) -> Bool {
                    MerkleTree.verifyConsistency(
                        from: Int64(old), root: oldRoot, to: Int64(new), root: newRoot, proof: proof)
                }
                #expect(holds(proof, roots[old], roots[new]))
                #expect(!holds(proof + [roots[new]], roots[old], roots[new]))
                if old > 0 {
                    #expect(!holds(proof, leaves[69], roots[new]))
                    if old < new { #expect(!holds(proof, roots[old], leaves[69])) }
                }
                if !proof.isEmpty { #expect(!holds(Array(proof.dropLast()), roots[old], roots[new])) }
            }
        }
    }

    @Test func `hashes survive their encodings, and other lengths are refused`() {
        let hash = MerkleTree.leafHash([1, 2, 3])
        #expect(MerkleHash(hash.bytes) == hash)
        #expect(MerkleHash(base64: hash.base64) == hash)
        #expect(MerkleHash(Array(hash.bytes.dropLast())) == nil)
        #expect(MerkleHash(base64: "AAAA") == nil)
        #expect(MerkleHash.split(MerkleHash.concatenate([hash, hash])) == [hash, hash])
        #expect(MerkleHash.split([1]) == nil)
    }
}
