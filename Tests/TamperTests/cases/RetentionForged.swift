import Kernel
import Store
import TestSupport
import Testing

@Suite struct `Attack: an event is removed and said to be in the archive` {
    @Test(arguments: TestDatabase.Kind.allCases)
    func `the retention that did not let it go is named`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            let (views, _) = try await OldEvents.fill(log)
            _ = try await OldEvents.prune(log)
            try await log.expectClean()
            let retention = try #require(
                try await log.database.read { try log.store.pruned(event: views[0].id, $0)?.by })
            let victim = try #require(
                try await log.database.read { try $0.first(Statement("SELECT event_id FROM log_leaf WHERE idx = 1")) }
            ).string("event_id")
            try log.attack(
                "DELETE FROM sealed_subject WHERE event_id = '\(victim)'",
                "DELETE FROM sealed WHERE event_id = '\(victim)'",
                "DELETE FROM events WHERE id = '\(victim)'",
                "INSERT INTO log_pruned (idx, pruned_by) VALUES (1, '\(retention)')")
            let report = try await log.verify()
            #expect(report.kinds == [.rowDeleted], "\(report.findings)")
            #expect(report.findings.contains { $0.event == retention })
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an event of another kind is no retention`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            let events = try await log.record(5)
            try await log.sequencer.turn()
            try log.attack(
                "DELETE FROM sealed_subject WHERE event_id = '\(events[1].id)'",
                "DELETE FROM sealed WHERE event_id = '\(events[1].id)'",
                "DELETE FROM events WHERE id = '\(events[1].id)'",
                "INSERT INTO log_pruned (idx, pruned_by) VALUES (1, '\(events[2].id)')")
            #expect(try await log.verify().kinds == [.rowDeleted])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `what left can't come back unseen`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            let (views, _) = try await OldEvents.fill(log)
            _ = try await OldEvents.prune(log)
            let index = try #require(
                try await log.database.read { try log.store.pruned(event: views[2].id, $0)?.index })
            try log.attack("DELETE FROM log_pruned WHERE idx = \(index)")
            let report = try await log.verify()
            #expect(report.kinds == [.rowDeleted], "\(report.findings)")
            #expect(report.findings.contains { $0.event == views[2].id })
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the hash that stands for an event that left can't be edited`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            let (views, _) = try await OldEvents.fill(log)
            _ = try await OldEvents.prune(log)
            let index = try #require(
                try await log.database.read { try log.store.pruned(event: views[2].id, $0)?.index })
            try log.attack(
                "UPDATE log_leaf SET hash = \(log.bytes(sha256([1]))) WHERE idx = \(index)")
            let report = try await log.verify()
            #expect(!report.isClean && report.kinds.contains(.historyRewritten), "\(report.findings)")
        }
    }
}
