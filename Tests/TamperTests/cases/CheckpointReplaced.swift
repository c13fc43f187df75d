import Foundation
import Kernel
import TestSupport
import Testing

@Suite struct `Attack: a checkpoint is replaced` {
    @Test(arguments: TestDatabase.Kind.allCases)
    func `one signed by another key is named`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            let events = try await log.fill(5)
            let stranger = try LogKey.generate(name: LogFixture.origin)
            let forged = try Checkpoint(
                origin: LogFixture.origin, size: 5,
                root: MerkleTree.root(of: events.map { MerkleTree.leafHash($0.leaf) })
            ).signed(by: stranger)
            try log.attack("UPDATE log_checkpoint SET note = '\(forged)'")
            let report = try await log.verify()
            #expect(
                report.findings.map(\.kind) == [.checkpointReplaced] && report.findings.first?.row == "log_checkpoint:5"
            )
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a row that says something else than its note is named`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            _ = try await log.fill(5)
            try log.attack("UPDATE log_checkpoint SET root = \(log.bytes(MerkleTree.emptyRoot.bytes))")
            #expect(try await log.verify().findings.map(\.kind) == [.checkpointReplaced])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an edited line of checkpoints.log is named, and a server refuses to go on from it`(kind: TestDatabase.Kind)
        async throws
    {
        try await LogFixture.with(kind) { log in
            _ = try await log.fill(5)
            await log.sequencer.stepDown()
            let text = try String(contentsOfFile: log.file.path, encoding: .utf8)
            try text.replacing("\\n5\\n", with: "\\n4\\n").write(
                toFile: log.file.path, atomically: true, encoding: .utf8)
            let report = try await log.verify()
            #expect(report.findings.map(\.kind) == [.checkpointReplaced])
            #expect(report.findings.first?.row == "\(log.file.path):1")
            try await log.sequencer.turn()
            guard case .refused = log.sequencer.health else {
                Issue.record("went on with \(log.sequencer.health)")
                return
            }
        }
    }
}
