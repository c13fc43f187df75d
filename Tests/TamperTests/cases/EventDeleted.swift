import Kernel
import TestSupport
import Testing

@Suite struct `Attack: an event is deleted` {
    @Test(arguments: TestDatabase.Kind.allCases)
    func `its index and id are named`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            let events = try await log.fill(6)
            try log.attack("DELETE FROM events WHERE id = '\(events[4].id)'")
            let report = try await log.verify()
            let deleted = report.findings.filter { $0.kind == .rowDeleted }
            #expect(deleted.map(\.index) == [4] && deleted.first?.event == events[4].id)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `also when its leaf goes with it`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            let events = try await log.fill(6)
            try log.attack(
                "DELETE FROM log_leaf WHERE idx = 4", "DELETE FROM sealed WHERE event_id = '\(events[4].id)'",
                "DELETE FROM events WHERE id = '\(events[4].id)'")
            let report = try await log.verify()
            #expect(report.findings.contains { $0.kind == .rowDeleted && $0.index == 4 })
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `also at the end, with the log's state set back to match`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            let events = try await log.fill(6)
            let root = MerkleTree.root(of: events.dropLast().map { MerkleTree.leafHash($0.leaf) })
            try log.attack(
                "DELETE FROM log_leaf WHERE idx = 5", "DELETE FROM sealed_subject WHERE event_id = '\(events[5].id)'",
                "DELETE FROM sealed WHERE event_id = '\(events[5].id)'",
                "DELETE FROM events WHERE id = '\(events[5].id)'",
                "DELETE FROM log_checkpoint", "UPDATE log_state SET size = 5, root = \(log.bytes(root.bytes))")
            // Only the file outside the database knows better.
            let report = try await log.verify()
            #expect(report.kinds == [.logRewound])
        }
    }
}
