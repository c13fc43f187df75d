import Kernel
import TestSupport
import Testing

@Suite struct `Attack: an indexed column is edited` {
    @Test(arguments: TestDatabase.Kind.allCases)
    func `each one is found and named`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            let events = try await log.fill(20)
            var index = 0
            for column in StoredEvent.projectionNames {
                try log.attack("UPDATE events SET \(column) = 'changed' WHERE id = '\(events[index].id)'")
                index += 1
            }
            try log.attack("UPDATE events SET at = at + 1 WHERE id = '\(events[index].id)'")
            let report = try await log.verify()
            #expect(report.kinds == [.projectionEdited])
            #expect(report.findings.map(\.index) == (0...Int64(index)).map { $0 })
            for (finding, column) in zip(report.findings, StoredEvent.projectionNames + ["at"]) {
                #expect(finding.detail.hasSuffix(": \(column)."), "\(finding.detail)")
            }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a column that is emptied is found`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            let events = try await log.fill(5)
            try log.attack("UPDATE events SET tenant_id = NULL WHERE id = '\(events[0].id)'")
            #expect(try await log.verify().findings.map(\.kind) == [.projectionEdited])
        }
    }
}
