import Kernel
import TestSupport
import Testing

@Suite struct `Attack: an event's bytes are edited` {
    @Test(arguments: TestDatabase.Kind.allCases, [3, 300])
    func `the index is named`(kind: TestDatabase.Kind, index: Int) async throws {
        try await LogFixture.with(kind) { log in
            // Index 3 lies in a full tile, index 300 at the right edge.
            let events = try await log.fill(400)
            try await log.expectClean()
            var leaf = events[index].leaf
            leaf[leaf.count / 2] ^= 1
            try log.attack("UPDATE events SET leaf = \(log.bytes(leaf)) WHERE id = '\(events[index].id)'")
            let report = try await log.verify()
            #expect(report.findings.map(\.kind) == [.leafEdited])
            #expect(report.findings.first?.index == Int64(index) && report.findings.first?.event == events[index].id)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `also when its stored hash is edited to match`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            let events = try await log.fill(400)
            var leaf = events[17].leaf
            leaf[leaf.count - 3] ^= 1
            try log.attack(
                "UPDATE events SET leaf = \(log.bytes(leaf)) WHERE id = '\(events[17].id)'",
                "UPDATE log_leaf SET hash = \(log.bytes(MerkleTree.leafHash(leaf).bytes)) WHERE idx = 17")
            let report = try await log.verify()
            #expect(report.kinds.isSuperset(of: [.leafEdited, .leafHashEdited]))
            #expect(report.findings.filter { $0.kind == .leafEdited }.map(\.index) == [17])
            #expect(!report.kinds.contains(.tileEdited) && !report.kinds.contains(.historyRewritten))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `and an edited hash alone is told from an edited event`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            _ = try await log.fill(5)
            try log.attack("UPDATE log_leaf SET hash = \(log.bytes(MerkleTree.emptyRoot.bytes)) WHERE idx = 2")
            let report = try await log.verify()
            #expect(report.findings.map(\.kind) == [.leafHashEdited] && report.findings.first?.index == 2)
        }
    }
}
