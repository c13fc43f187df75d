import Kernel
import TestSupport
import Testing

@Suite struct `Attack: a sealed value is edited` {
    @Test(arguments: TestDatabase.Kind.allCases)
    func `its event is named`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            let events = try await log.fill(5)
            try log.attack(
                "UPDATE sealed SET members = replace(members, 'on the phone', 'in writing') WHERE event_id = '\(events[1].id)'"
            )
            let report = try await log.verify()
            #expect(report.findings.map(\.kind) == [.valueEdited] && report.findings.first?.index == 1)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a value that is simply gone is not an erasure`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            let events = try await log.fill(5)
            try log.attack("DELETE FROM sealed WHERE event_id = '\(events[3].id)'")
            let report = try await log.verify()
            #expect(report.kinds == [.valueDeleted] && Set(report.findings.map(\.index)) == [3])
            // Nor is it one when any other event is given as its reason.
            try log.attack(
                "INSERT INTO sealed_erasure (event_id, member, erased_by) VALUES ('\(events[3].id)', 'justification', '\(events[4].id)')",
                "INSERT INTO sealed_erasure (event_id, member, erased_by) VALUES ('\(events[3].id)', 'actor_ip', '\(events[4].id)')"
            )
            #expect(try await log.verify().kinds == [.valueDeleted])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `whose data it is can't be changed either`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            let events = try await log.fill(5)
            try log.attack(
                "UPDATE sealed_subject SET subject = 'stf_2' WHERE event_id = '\(events[1].id)' AND member = 'actor_ip'"
            )
            let report = try await log.verify()
            #expect(report.findings.map(\.kind) == [.subjectEdited] && report.findings.first?.index == 1)
        }
    }
}
