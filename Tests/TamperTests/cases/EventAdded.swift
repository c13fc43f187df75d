import Kernel
import TestSupport
import Testing

@Suite struct `Attack: an event is added beside the log` {
    @Test(arguments: TestDatabase.Kind.allCases)
    func `it is named`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            _ = try await log.fill(5)
            let columns = "id, at, class, action, outcome, actor_type, actor_id, retention_class, leaf"
            let values = "'evt_forged', 1, 'mutation', 'role.update', 'applied', 'staff', 'stf_1', 'soc2_iso_7y'"
            try log.attack("INSERT INTO events (\(columns)) VALUES (\(values), \(log.bytes(Array("{}".utf8))))")
            let report = try await log.verify()
            #expect(report.findings.map(\.kind) == [.rowAdded] && report.findings.first?.event == "evt_forged")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a leaf put behind the end is named`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            let events = try await log.fill(5)
            let waiting = try await log.record(1)[0]
            let hash = MerkleTree.leafHash(waiting.leaf)
            try log.attack(
                "INSERT INTO log_leaf (idx, event_id, hash) VALUES (5, '\(waiting.id)', \(log.bytes(hash.bytes)))")
            let report = try await log.verify()
            #expect(report.kinds == [.rowAdded] && report.findings.first?.index == 5)
            #expect(events.count == 5)
        }
    }
}
