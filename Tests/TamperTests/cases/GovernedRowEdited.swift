import Kernel
import TestSupport
import Testing

@Suite struct `Attack: a governed row is edited` {
    @Test(arguments: TestDatabase.Kind.allCases)
    func `edited, deleted and added rows are named`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            _ = try await log.fill(5)
            try await log.change(nil, TestRole("billing", title: "Billing"))
            try await log.change(nil, TestRole("audit", title: "Audit"))
            try await log.sequencer.turn()
            try await log.expectClean()
            try log.attack(
                "UPDATE roles SET title = 'Admin' WHERE id = 'support'", "DELETE FROM roles WHERE id = 'billing'",
                "INSERT INTO roles (id, version, title, summary) VALUES ('rogue', 1, 'Rogue', '')")
            let report = try await log.verify()
            #expect(
                report.findings.map { "\($0.kind.rawValue) \($0.row ?? "")" } == [
                    "governed_row_deleted roles:billing", "governed_row_unlogged roles:rogue",
                    "governed_row_edited roles:support",
                ])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a row set back to an earlier state, with its pointer, is named`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            let first = TestRole("support", title: "Support")
            var second = TestRole("support", title: "Support, level 2")
            second.version = 2
            let made = try await log.change(nil, first)
            try await log.change(first, second)
            try await log.sequencer.turn()
            try await log.expectClean()
            try log.attack(
                "UPDATE roles SET title = 'Support', version = 1 WHERE id = 'support'",
                "UPDATE entity_head SET event_id = '\(made.id)' WHERE id = 'support'")
            let report = try await log.verify()
            #expect(report.findings.map(\.kind) == [.headEdited])
            // Taking the later event's naming away as well is found in the namings.
            try log.attack("DELETE FROM event_entity WHERE event_id <> '\(made.id)'")
            #expect(try await log.verify().kinds.contains(.namingEdited))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a naming that no event makes is named`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            let events = try await log.fill(5)
            try log.attack("INSERT INTO event_entity (event_id, type, id) VALUES ('\(events[0].id)', 'role', 'rogue')")
            let report = try await log.verify()
            #expect(
                report.findings.map(\.kind) == [.namingEdited]
                    && report.findings.first?.row == "event_entity:role/rogue")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `rows recorded by digest are compared as well`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            let roles = (0..<600).map { TestRole("role_\(1000 + $0)", title: "Role \($0)") }
            var draft = LogFixture.draft("registry.import_batch")
            draft.facts["rows"] = .int(Int64(roles.count))
            draft.sealed["details"] = .init(
                [
                    "rows": .array(
                        roles.map { role in
                            [
                                "type": "role", "id": .string(role.id), "version": 1,
                                "sha256": .string(sha256(role.document.canonical).hex),
                            ]
                        })
                ], subjects: [])
            draft.digestEntities = roles.map { ("role", $0.id) }
            let event = SealedEvent(draft)
            let records = log.records
            try await log.database.write { writer in
                writer.enqueue(records.insert(event))
                for role in roles { writer.enqueue(role.insert()) }
            }
            try await log.sequencer.turn()
            try await log.expectClean()
            try log.attack("UPDATE roles SET title = 'Admin' WHERE id = 'role_1550'")
            let report = try await log.verify()
            #expect(report.findings.map(\.row) == ["roles:role_1550"] && report.kinds == [.governedRowEdited])
        }
    }
}
