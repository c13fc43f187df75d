import Foundation
import Kernel
import Store
import StorePostgres
import TestSupport
import Testing

@Suite struct GovernanceTests {
    private static func isUngoverned(_ error: StoreError?) -> Bool {
        if case .ungoverned = error { true } else { false }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a governed row is written when an event of the same transaction names it`(kind: TestDatabase.Kind)
        async throws
    {
        try await TestDatabase.with(kind) { store in
            try await store.writeRoles(["a", "b"])
            // The row first, the event last.
            let event = Fixture.event(naming: [("role", "c")])
            try await store.write([Fixture.role("c")] + Fixture.records.insert(event))
            try await store.expect(3, in: "roles")
            let head = try await store.database.read { try $0.first(Fixture.records.head(type: "role", id: "c")) }
            #expect(try head?.string("event_id") == event.id)
        }
    }

    /// An entry of the log carries its length in 16 bits; a longer one could never be published.
    @Test(arguments: TestDatabase.Kind.allCases)
    func `a leaf that is too long for the log is not written`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            let long = Fixture.event(String(repeating: "a", count: 65_536))
            #expect(await store.failure(Fixture.records.insert(long)) != nil)
            let room = 65_535 - Fixture.event("a").leaf.count + 1
            let longest = Fixture.event(String(repeating: "a", count: room))
            #expect(longest.leaf.count == 65_535)
            try await store.write(Fixture.records.insert(longest))
            try await store.expect(1, in: "events")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a governed row is not written without an event`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            #expect(Self.isUngoverned(await store.failure([Fixture.role("a")])))
            try await store.writeRoles(["b"])
            #expect(
                Self.isUngoverned(await store.failure([Statement("UPDATE roles SET title = 'x' WHERE id = 'b'")])))
            #expect(Self.isUngoverned(await store.failure([Statement("DELETE FROM roles WHERE id = 'b'")])))
            try await store.expect(1, in: "roles WHERE title = 'Title' AND id = 'b'")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an event about something else opens nothing`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            let decoys: [[(type: String, id: String)]] = [[], [("role", "b")], [("staff", "a")], [("role", "A")]]
            for decoy in decoys {
                let failure = await store.failure(
                    Fixture.records.insert(Fixture.event(naming: decoy)) + [Fixture.role("a")])
                #expect(Self.isUngoverned(failure), "\(decoy)")
            }
            // Two rows, one named.
            let half = Fixture.records.insert(Fixture.event(naming: [("role", "a")]))
            #expect(Self.isUngoverned(await store.failure(half + [Fixture.role("a"), Fixture.role("b")])))
            try await store.expect(0, in: "roles")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an earlier event opens nothing, even when it is made to name the row now`(kind: TestDatabase.Kind)
        async throws
    {
        try await TestDatabase.with(kind) { store in
            let old = Fixture.event(naming: [("role", "a")])
            try await store.write(Fixture.records.insert(old) + [Fixture.role("a")])
            let update = Statement("UPDATE roles SET title = 'x' WHERE id = 'a'")
            #expect(Self.isUngoverned(await store.failure([update])))
            let naming = [
                Statement(
                    "INSERT INTO event_entity (event_id, type, id) VALUES ($1, 'role', 'b')", [.text(old.id)]),
                Statement("INSERT INTO entity_head (type, id, event_id) VALUES ('role', 'b', $1)", [.text(old.id)]),
            ]
            #expect(Self.isUngoverned(await store.failure(naming + [Fixture.role("b")])))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `removing and renaming a governed row need an event for each row`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            try await store.writeRoles(["a", "b"])
            let rename = Statement("UPDATE roles SET id = 'z' WHERE id = 'b'", expectedRows: 1)
            let newOnly = Fixture.records.insert(Fixture.event(naming: [("role", "z")]))
            #expect(Self.isUngoverned(await store.failure(newOnly + [rename])))
            let both = Fixture.records.insert(Fixture.event(naming: [("role", "z"), ("role", "b")]))
            try await store.write(both + [rename])
            let removal = Fixture.records.insert(Fixture.event(naming: [("role", "a")]))
            try await store.write(removal + [Statement("DELETE FROM roles WHERE id = 'a'", expectedRows: 1)])
            try await store.expect(1, in: "roles")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a neighbour's event does not cover this write`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            let outcomes = await withTaskGroup(of: Bool.self) { group in
                for number in 0..<40 {
                    group.addTask {
                        // Every second writer leaves its own event out and hopes for its neighbour's.
                        let row = "r\(number / 2)"
                        let event = Fixture.records.insert(Fixture.event(naming: [("role", row)]))
                        let mine = Fixture.role("\(row)")
                        return await store.failure(number % 2 == 0 ? event : [mine]) == nil
                    }
                }
                return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            #expect(outcomes == 20)
            try await store.expect(0, in: "roles")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the log's rows are never changed or removed`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            let event = Fixture.event(
                naming: [("role", "a")], sealed: ["details": .init("secret", subjects: ["usr_1"])])
            try await store.write(
                Fixture.records.insert(event) + [
                    Fixture.role("a"),
                    Statement(
                        "INSERT INTO log_leaf (idx, event_id, hash) VALUES (0, $1, $2)", [.text(event.id), .bytes([1])]),
                    Statement(
                        "INSERT INTO tenant_status_history (tenant_id, event_id, to_status, actor_type, actor_id, at) VALUES ('ten_1', $1, 'active', 'system', 'x', 0)",
                        [.text(event.id)]),
                    Statement("INSERT INTO log_tile (level, n, hashes) VALUES (0, 0, $1)", [.bytes([1])]),
                    Statement(
                        "INSERT INTO log_checkpoint (size, root, note, at) VALUES (1, $1, '', 0)", [.bytes([1])]),
                ])
            let attempts = [
                "UPDATE events SET action = 'x'", "DELETE FROM events", "UPDATE event_entity SET id = 'b'",
                "DELETE FROM event_entity", "UPDATE sealed SET members = '{}'", "DELETE FROM sealed",
                "UPDATE sealed_subject SET subject = 'x'", "DELETE FROM sealed_subject",
                "UPDATE log_leaf SET idx = 1", "DELETE FROM log_leaf", "UPDATE log_tile SET n = 1",
                "DELETE FROM log_tile", "UPDATE log_checkpoint SET note = 'x'", "DELETE FROM log_checkpoint",
                "UPDATE tenant_status_history SET to_status = 'x'", "DELETE FROM tenant_status_history",
                "INSERT INTO sealed_erasure (event_id, member, erased_by) SELECT id, 'details', id FROM events",
            ]
            for attempt in attempts {
                let failure = await store.failure([Statement(attempt)])
                guard case .constraint = failure else {
                    Issue.record("\(attempt): \(String(describing: failure))")
                    continue
                }
            }
            // The queue and the state are working tables.
            try await store.write([Statement("DELETE FROM log_pending", expectedRows: 1)])
        }
    }

    @Test func `another program can't write a governed table of the file`() async throws {
        try await TestDatabase.with(.sqlite) { store in
            try await store.writeRoles(["a"])
            for sql in [
                "UPDATE roles SET title = 'x'", "DELETE FROM roles",
                "INSERT INTO roles (id, version, title, summary) VALUES ('b', 1, '', '')",
                "INSERT OR REPLACE INTO roles (id, version, title, summary) VALUES ('a', 1, '', '')",
            ] {
                let shell = Process()
                shell.executableURL = URL(filePath: "/usr/bin/env")
                shell.arguments = ["sqlite3", store.location, sql]
                let errors = Pipe()
                shell.standardError = errors
                try shell.run()
                let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
                shell.waitUntilExit()
                #expect(shell.terminationStatus != 0)
                #expect(text.contains("no such function: postern_governed"), "\(text)")
            }
            try await store.expect(1, in: "roles WHERE title = 'Title'")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `tampering reaches what the server can't`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            try await store.writeRoles(["a"])
            try await store.tamper([Statement("UPDATE roles SET title = 'forged' WHERE id = 'a'", expectedRows: 1)])
            try await store.expect(1, in: "roles WHERE title = 'forged'")
            // The guards stand again.
            #expect(Self.isUngoverned(await store.failure([Fixture.role("b")])))
        }
    }
}
