import Foundation
import Kernel
import Store
import StorePostgres
import TestSupport
import Testing

@Suite(.enabled(if: TestDatabase.Kind.allCases.contains(.postgres)))
struct PostgresTests {
    private func connect(_ store: TestDatabase, _ change: (inout PostgresDatabase.Settings) -> Void) -> PostgresDatabase
    {
        var settings = PostgresDatabase.Settings(url: store.url)
        change(&settings)
        return PostgresDatabase(settings)
    }

    /// Ends every session of the server's role, as a restart of the server would.
    private func endSessions(_ store: TestDatabase) async throws {
        try await store.asOwner { writer in
            _ = try writer.query(
                Statement(
                    """
                    SELECT pg_terminate_backend(pid)::int AS ended FROM pg_stat_activity
                    WHERE datname = current_database() AND pid <> pg_backend_pid()
                    """))
            // The sessions are gone before this returns.
            while try writer.query(
                Statement(
                    """
                    SELECT count(*) AS n, pg_stat_clear_snapshot()::text AS fresh FROM pg_stat_activity
                    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
                    """))[0].int("n") > 0
            {}
        }
    }

    @Test func `a statement that takes too long is ended`() async throws {
        try await TestDatabase.with(.postgres) { store in
            let database = connect(store) { $0.statementTimeout = .milliseconds(200) }
            let begun = ContinuousClock.now
            await #expect(throws: StoreError.self) {
                try await database.read { _ = try $0.query(Statement("SELECT pg_sleep(30)::text AS slept")) }
            }
            #expect(ContinuousClock.now - begun < .seconds(25))
            // The connection is good for the next.
            let one = try await database.read { try $0.query(Statement("SELECT 1 AS one"))[0].int("one") }
            #expect(one == 1)
            await database.close()
        }
    }

    @Test func `a session plans for disks without heads, and compresses by lz4 where the server has it`() async throws {
        try await TestDatabase.with(.postgres) { store in
            let rows = try await connect(store) { _ in }.read {
                try $0.query(
                    Statement(
                        """
                        SELECT current_setting('random_page_cost') AS cost, setting AS method, boot_val AS own,
                            CASE WHEN 'lz4' = ANY (enumvals) THEN 1 ELSE 0 END AS able
                        FROM pg_settings WHERE name = 'default_toast_compression'
                        """))
            }
            let row = try #require(rows.first)
            #expect(try row.string("cost") == "1.1")
            #expect(try row.string("method") == (row.int("able") == 1 ? "lz4" : row.string("own")))
        }
    }

    @Test func `waiting for a lock ends`() async throws {
        try await TestDatabase.with(.postgres) { store in
            try await store.write([Fixture.note("a")])
            let database = connect(store) { $0.lockTimeout = .milliseconds(200) }
            let failure = try await store.database.write { writer -> StoreError? in
                try writer.execute(Statement("UPDATE throttle SET failures = 1 WHERE key = 'a'"))
                // Another session meets the locked row while this transaction stays open.
                let answer = Answer<StoreError?>()
                Task {
                    do {
                        try await database.write {
                            $0.enqueue(Statement("UPDATE throttle SET failures = 2 WHERE key = 'a'"))
                        }
                        answer.set(nil)
                    } catch { answer.set(error as? StoreError ?? .other("\(error)")) }
                }
                return answer.wait()
            }
            guard case .unavailable(_, mayHaveCommitted: false) = failure else {
                Issue.record("\(String(describing: failure))")
                return
            }
            await database.close()
        }
    }

    @Test func `an idle connection that died is replaced unnoticed`() async throws {
        try await TestDatabase.with(.postgres) { store in
            let database = connect(store) { $0.connections = 1 }
            let first = try await database.read {
                try $0.query(Statement("SELECT pg_backend_pid() AS pid"))[0].int("pid")
            }
            try await endSessions(store)
            let second = try await database.read {
                try $0.query(Statement("SELECT pg_backend_pid() AS pid"))[0].int("pid")
            }
            #expect(first != second)
            try await endSessions(store)
            // Also when everything travels with the commit.
            try await database.write { $0.enqueue(Fixture.note("a")) }
            try await store.expect(1, in: "throttle")
            await database.close()
        }
    }

    @Test func `who waits too long for a connection is told in time, although none comes free`() async throws {
        try await TestDatabase.with(.postgres) { store in
            let database = connect(store) {
                $0.connections = 1
                $0.queueTimeout = .milliseconds(200)
            }
            let gate = Gate()
            let holder = Task {
                try await database.read { reader in
                    _ = reader.now
                    gate.reached()
                    gate.waitForGo()
                }
            }
            await gate.untilReached()
            for _ in 0..<3 {
                let failure = await #expect(throws: StoreError.self) {
                    try await database.write { $0.enqueue(Fixture.note("a")) }
                }
                guard case .unavailable(_, mayHaveCommitted: false) = failure else {
                    Issue.record("\(String(describing: failure))")
                    return gate.go()
                }
            }
            gate.go()
            try await holder.value
            try await database.write { $0.enqueue(Fixture.note("a")) }
            try await store.expect(1, in: "throttle")
            await database.close()
        }
    }

    @Test func `a transaction whose connection dies midway fails and leaves nothing`() async throws {
        try await TestDatabase.with(.postgres) { store in
            let database = connect(store) { $0.connections = 1 }
            let gate = Gate()
            let attempt = Task {
                try await database.write { writer in
                    try writer.execute(Fixture.note("a"))
                    gate.reached()
                    gate.waitForGo()
                    writer.enqueue(Fixture.note("b"))
                }
            }
            await gate.untilReached()
            try await endSessions(store)
            gate.go()
            let failure = await #expect(throws: StoreError.self) { try await attempt.value }
            guard case .unavailable = failure else {
                Issue.record("\(String(describing: failure))")
                return
            }
            try await database.write { $0.enqueue(Fixture.note("c")) }
            try await store.expect(1, in: "throttle")
            await database.close()
        }
    }

    @Test func `a server that is away is reported in time`() async throws {
        var settings = PostgresDatabase.Settings(url: "postgres://nobody@127.0.0.1:9/none")
        settings.connectTimeout = .seconds(2)
        let database = PostgresDatabase(settings)
        let failure = await #expect(throws: StoreError.self) {
            try await database.write { $0.enqueue(Fixture.note("a")) }
        }
        guard case .unavailable(_, mayHaveCommitted: false) = failure else {
            Issue.record("\(String(describing: failure))")
            return
        }
        await database.close()
    }

    @Test func `now is the server's transaction time without a test clock`() async throws {
        try await TestDatabase.with(.postgres) { store in
            let database = connect(store) { _ in }
            let (before, now, again) = try await database.write { writer in
                let before = writer.now
                let row = try writer.query(
                    Statement(
                        "SELECT (extract(epoch FROM transaction_timestamp()) * 1000000)::bigint AS at"))[0]
                return (before, try row.instant("at"), writer.now)
            }
            #expect(before == now)
            #expect(again == now)
            #expect(abs((Clock.system.now - now).seconds) < 300)
            await database.close()
        }
    }

    @Test func `a named lock taken elsewhere is refused at once, and free after the commit`() async throws {
        try await TestDatabase.with(.postgres) { store in
            let gate = Gate()
            let holder = Task {
                try await store.database.write { writer in
                    let held = try writer.tryLock("key")
                    gate.reached()
                    gate.waitForGo()
                    return held
                }
            }
            await gate.untilReached()
            let second = try await store.database.write { try $0.tryLock("key") }
            let other = try await store.database.write { try $0.tryLock("another key") }
            gate.go()
            #expect(try await holder.value)
            #expect(!second)
            #expect(other)
            let third = try await store.database.write { try $0.tryLock("key") }
            #expect(third)
        }
    }

    @Test func `deadlocked transactions may be run again`() async throws {
        try await TestDatabase.with(.postgres) { store in
            try await store.write([Fixture.note("a"), Fixture.note("b")])
            let gates = [Gate(), Gate()]
            let failures = await withTaskGroup(of: StoreError?.self) { group in
                for (mine, keys) in [["a", "b"], ["b", "a"]].enumerated() {
                    group.addTask {
                        await store.failure { writer in
                            let update = { (key: String) in
                                Statement("UPDATE throttle SET failures = 1 WHERE key = $1", [.text(key)])
                            }
                            try writer.execute(update(keys[0]))
                            gates[1 - mine].go()
                            gates[mine].waitForGo()
                            try writer.execute(update(keys[1]))
                        }
                    }
                }
                return await group.reduce(into: [StoreError?]()) { $0.append($1) }
            }
            let refused = failures.compactMap { $0 }
            #expect(refused.count == 1)
            guard case .retry = refused.first else {
                Issue.record("\(refused)")
                return
            }
        }
    }

    @Test func `one process leads until it lets go or loses its connection`() async throws {
        try await TestDatabase.with(.postgres) { store in
            let leadership = PostgresLeadership(url: store.url)
            let first = try #require(try await leadership.acquire("sequencer"))
            #expect(try await leadership.acquire("sequencer") == nil)
            let other = try #require(try await leadership.acquire("scheduler"))
            #expect(await first.isHeld())
            await first.release()
            #expect(await !first.isHeld())
            let second = try #require(try await leadership.acquire("sequencer"))
            #expect(await second.isHeld())
            try await endSessions(store)
            #expect(await !second.isHeld())
            #expect(await !other.isHeld())
            let third = try #require(try await leadership.acquire("sequencer"))
            #expect(await !second.isHeld())
            await third.release()
            await second.release()
            await other.release()
        }
    }

    // MARK: Rights

    @Test func `the server's role is not too powerful and the owner is`() async throws {
        try await TestDatabase.with(.postgres) { store in
            let excess = try await ServerRole.excess(store.database)
            #expect(excess == [])
            let owner = PostgresDatabase(url: store.location)
            let isTooPowerful = try await ServerRole.isTooPowerful(owner)
            #expect(isTooPowerful)
            await owner.close()
        }
    }

    @Test func `the server's role can't get around the guards`() async throws {
        try await TestDatabase.with(.postgres) { store in
            try await store.writeRoles(["a"])
            let attempts = [
                "TRUNCATE roles", "TRUNCATE events CASCADE", "ALTER TABLE roles DISABLE TRIGGER ALL",
                "DROP TRIGGER governed ON roles", "DROP TABLE roles", "CREATE TABLE mine (id text)",
                "SET session_replication_role = replica", "SET ROLE postgres",
                "CREATE OR REPLACE FUNCTION postern_governed() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
                "UPDATE schema_migrations SET checksum = 'x'",
            ]
            for attempt in attempts {
                #expect(await store.failure { try $0.execute(Statement(attempt)) } != nil, "\(attempt)")
            }
        }
    }

    @Test func `a temporary table does not shadow the log`() async throws {
        try await TestDatabase.with(.postgres) { store in
            let failure = await store.failure { writer in
                for statement in [
                    "CREATE TEMPORARY TABLE events (id text, tx xid8, tx_at timestamptz)",
                    "CREATE TEMPORARY TABLE event_entity (type text, id text, event_id text)",
                    "CREATE TEMPORARY TABLE entity_head (type text, id text, event_id text)",
                    "INSERT INTO pg_temp.events VALUES ('e', pg_current_xact_id(), transaction_timestamp())",
                    "INSERT INTO pg_temp.event_entity VALUES ('role', 'a', 'e')",
                    "INSERT INTO pg_temp.entity_head VALUES ('role', 'a', 'e')",
                ] { try writer.execute(Statement(statement)) }
                try writer.execute(Fixture.role("a"))
            }
            guard case .ungoverned = failure else {
                Issue.record("\(String(describing: failure))")
                return
            }
        }
    }

    @Test func `an event can't claim another transaction`() async throws {
        try await TestDatabase.with(.postgres) { store in
            let event = Fixture.event()
            let (claimed, true_) = try await store.database.write { writer in
                let insert = Fixture.records.insert(event)[0]
                let forged = Statement(
                    insert.text.replacing("leaf)", with: "leaf, tx, tx_at)")
                        .replacing("$16)", with: "$16, '77'::xid8, '2001-01-01Z')"), insert.values)
                try writer.execute(forged)
                let row = try writer.query(
                    Statement("SELECT tx::text AS claimed, pg_current_xact_id()::text AS actual FROM events"))[0]
                return (try row.string("claimed"), try row.string("actual"))
            }
            #expect(claimed == true_)
        }
    }

    @Test func `the password file is private and kept`() throws {
        let path = NSTemporaryDirectory() + "postern-password-\(SecureRandom.bytes(8).hex)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let first = try ServerRole.password(file: path)
        #expect(try ServerRole.password(file: path) == first)
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        chmod(path, 0o644)
        #expect(throws: StoreError.self) { try ServerRole.password(file: path) }
    }

    @Test func `several who make the password file at once get the same password`() async throws {
        let folder = NSTemporaryDirectory() + "postern-password-\(SecureRandom.bytes(8).hex)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let passwords = try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<32 { group.addTask { try ServerRole.password(file: folder + "/database.password") } }
            return try await group.reduce(into: Set<String>()) { $0.insert($1) }
        }
        #expect(passwords.count == 1)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["database.password"])
    }

    @Test func `the role's name fits into PostgreSQL's 63 bytes and stays apart from others`() {
        #expect(ServerRole.name(forDatabase: "postern") == "postern_app_postern")
        let exact = String(repeating: "d", count: 51)
        #expect(ServerRole.name(forDatabase: exact) == "postern_app_" + exact)
        let long = String(repeating: "d", count: 62)
        let names = ["1", "2"].map { ServerRole.name(forDatabase: long + $0) }
        #expect(names[0] != names[1])
        #expect(names.allSatisfy { $0.utf8.count <= 63 && $0.hasPrefix(ServerRole.namePrefix) })
        #expect(ServerRole.name(forDatabase: String(repeating: "é", count: 31)).utf8.count <= 63)
    }
}

/// Carries one value from a task to a thread that waits for it.
final class Answer<T: Sendable>: Sendable {
    private let box = LockedValue<T?>(nil)
    func set(_ value: T) { box.set(value) }
    func wait() -> T {
        while true {
            if let value = box.get() { return value }
            sched_yield()
        }
    }
}
