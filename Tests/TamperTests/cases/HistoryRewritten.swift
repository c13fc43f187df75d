import Kernel
import TestSupport
import Testing

@Suite struct `Attack: history is rewritten everywhere in the database` {
    /// Replaces an event and makes every table agree with it; only signatures can't be made.
    private func rewrite(_ log: LogFixture, _ events: [SealedEvent], _ index: Int) throws {
        var leaf = events[index].leaf
        leaf[leaf.count - 3] ^= 1
        var hashes = events.map { MerkleTree.leafHash($0.leaf) }
        hashes[index] = MerkleTree.leafHash(leaf)
        try log.attack(
            "UPDATE events SET leaf = \(log.bytes(leaf)) WHERE id = '\(events[index].id)'",
            "UPDATE log_leaf SET hash = \(log.bytes(hashes[index].bytes)) WHERE idx = \(index)",
            "UPDATE log_tile SET hashes = \(log.bytes(MerkleHash.concatenate(hashes.prefix(256)))) WHERE level = 0",
            "UPDATE log_state SET root = \(log.bytes(MerkleTree.root(of: hashes).bytes))")
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the signed checkpoints say so, and between which of them`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            var events = try await log.fill(100)
            for _ in 0..<2 {
                events += try await log.record(100)
                try await log.sequencer.turn()
            }
            try rewrite(log, events, 150)
            let report = try await log.verify()
            #expect(report.kinds.contains(.historyRewritten))
            let finding = try #require(report.findings.first { $0.kind == .historyRewritten })
            #expect(finding.index == 100 && finding.detail.contains("from index 100 to 199"))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an older checkpoint from outside says so when all others are gone`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            let events = try await log.fill(300)
            let older = try #require(try await log.published.checkpoint())
            try rewrite(log, events, 20)
            try log.attack("DELETE FROM log_checkpoint")
            let nothing = CheckpointFile(path: log.folder + "/none.log")
            #expect(!(try await log.verify(file: nothing).kinds.contains(.historyRewritten)))
            let report = try await log.verify(against: [older], file: nothing)
            #expect(report.kinds.contains(.historyRewritten))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a server refuses to sign it`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            let events = try await log.fill(300)
            await log.sequencer.stepDown()
            try rewrite(log, events, 20)
            try await log.record(1)
            try await log.sequencer.turn()
            guard case .refused(let reason) = log.sequencer.health else {
                Issue.record("went on with \(log.sequencer.health)")
                return
            }
            #expect(reason.contains("rewritten"))
            #expect(try await log.database.read { try log.store.state($0)?.size } == 300)
        }
    }
}
