import Kernel
import TestSupport
import Testing

@Suite struct `Attack: a tile is edited` {
    @Test(arguments: TestDatabase.Kind.allCases)
    func `the tile and the index are named`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            let events = try await log.fill(600)
            var tile = MerkleHash.concatenate(events[256..<512].map { MerkleTree.leafHash($0.leaf) })
            tile[32 * 7] ^= 1
            try log.attack("UPDATE log_tile SET hashes = \(log.bytes(tile)) WHERE level = 0 AND n = 1")
            let report = try await log.verify()
            #expect(report.findings.map(\.kind) == [.tileEdited])
            #expect(report.findings.first?.row == "log_tile:0/1" && report.findings.first?.index == 263)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `deleted, shortened and invented tiles are named`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            _ = try await log.fill(600)
            try log.attack(
                "DELETE FROM log_tile WHERE n = 0", "UPDATE log_tile SET hashes = \(log.bytes([1, 2])) WHERE n = 1",
                "INSERT INTO log_tile (level, n, hashes) VALUES (1, 0, \(log.bytes([])))")
            let report = try await log.verify()
            #expect(report.kinds == [.tileDeleted, .tileEdited, .tileAdded])
            #expect(report.findings.count == 3)
        }
    }
}
