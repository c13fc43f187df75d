import Foundation
import Testing

@testable import Kernel

@Suite struct `Receipts` {
    static let key = try! LogKey(name: "postern.example/log", seed: Array(repeating: 9, count: 32))

    /// A log of the golden events, repeated until it has `size` leaves, and the receipt of one of them.
    static func receipt(index: Int, size: Int, erased: Set<String> = []) throws -> Receipt {
        let cases = try `Event version 1`.cases()
        let leaves = try (0..<size).map { try #require(cases[$0 % cases.count]["leaf"]?.string.flatMap(Base64.decode)) }
        let hashes = leaves.map { MerkleTree.leafHash($0) }
        let proof = MerkleTree.inclusionProof(index: Int64(index), size: Int64(size)) { node in
            MerkleTree.root(of: Array(hashes[Int(node.index) << node.level..<Int(node.index + 1) << node.level]))
        }
        let checkpoint = Checkpoint(origin: key.name, size: Int64(size), root: MerkleTree.root(of: hashes))
        var sealed: [String: SealedMember] = [:]
        for (name, value) in cases[index % cases.count]["sealed_row"]?.object ?? [:] where !erased.contains(name) {
            sealed[name] = SealedMember(name: name, json: value)
        }
        return Receipt(
            leaf: leaves[index], index: Int64(index), size: Int64(size), proof: proof,
            checkpoint: try checkpoint.signed(by: key), sealed: sealed,
            erased: Dictionary(uniqueKeysWithValues: erased.map { ($0, "evt_1") }))
    }

    @Test func `a receipt proves its event, also after it went through JSON`() throws {
        for index in [0, 1, 6, 20] {
            let receipt = try Self.receipt(index: index, size: 21)
            try receipt.verify(key: Self.key.verifier)
            let copy = try Receipt(try JSON(parsing: receipt.json.canonical))
            try copy.verify(key: Self.key.verifier)
            #expect(copy.json == receipt.json)
        }
    }

    @Test func `an erased member leaves the rest provable`() throws {
        let receipt = try Self.receipt(index: 1, size: 9, erased: ["justification", "changes.0.before"])
        try receipt.verify(key: Self.key.verifier)
        #expect(receipt.sealed["justification"] == nil && receipt.sealed["ticket"] != nil)
    }

    @Test func `a changed leaf, value, path, size or checkpoint is refused`() throws {
        let good = try Self.receipt(index: 1, size: 9)
        func refuse(_ change: (inout [String: JSON]) -> Void) throws {
            var json = try #require(good.json.object)
            change(&json)
            #expect(throws: NoteError.self) { try Receipt(.object(json)).verify(key: Self.key.verifier) }
        }
        try refuse { $0["leaf"] = .string(Base64.encode(Array(#"{"v":1}"#.utf8))) }
        try refuse { $0["index"] = 2 }
        try refuse { $0["size"] = 10 }
        try refuse { $0["proof"] = .array([]) }
        try refuse { $0["checkpoint"] = "nothing" }
        try refuse {
            var sealed = $0["sealed"]!.object!
            sealed["ticket"] = ["salt": sealed["ticket"]!["salt"]!, "value": "SUP-13"]
            $0["sealed"] = .object(sealed)
        }
        try refuse { $0["sealed"] = ["invented": ["salt": "", "value": 1]] }
        let other = try LogKey.generate(name: Self.key.name)
        #expect(throws: NoteError.self) { try good.verify(key: other.verifier) }
    }

    @Test func `a script that is not ours accepts a receipt and refuses a forged one`() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
            "postern-receipt-\(SecureRandom.bytes(6).hex)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent("receipt.json").path
        for index in 0..<7 {
            let receipt = try Self.receipt(index: index, size: 13)
            try Data(receipt.json.canonical).write(to: URL(fileURLWithPath: path))
            let result = try Script.run("verify_receipt.py", [path, Self.key.verifier.text])
            #expect(result.status == 0, "\(index): \(result.output)")
        }
        var forged = try #require(try Self.receipt(index: 1, size: 13).json.object)
        forged["sealed"] = ["ticket": ["salt": forged["sealed"]!["ticket"]!["salt"]!, "value": "SUP-13"]]
        try Data(JSON.object(forged).canonical).write(to: URL(fileURLWithPath: path))
        let result = try Script.run("verify_receipt.py", [path, Self.key.verifier.text])
        #expect(result.status == 1 && result.output.contains("ticket"), "\(result.output)")
    }
}
