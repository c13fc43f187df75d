import Kernel
import Store
import StoreSQLite
import TestSupport
import Testing

/// `foresee`, `claim` and `snapshot` save round trips and MUST change nothing else.
@Suite struct ForesightTests {
    private static func count(_ prefix: String) -> Statement {
        Statement(
            "SELECT count(*) AS n FROM throttle WHERE key >= $1 AND key < $2", [.text(prefix), .text(prefix + "~")])
    }
    private static let one = Statement("SELECT 1 AS one")

    @Test(arguments: TestDatabase.Kind.allCases)
    func `what was foreseen is answered as if it had not been`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            try await store.write([Fixture.note("a1", 7), Fixture.note("a2", 8)])
            let key = Statement("SELECT key FROM throttle WHERE failures = $1", [.int(8)])
            let found = try await store.database.read { reader in
                reader.foresee([Self.count("a"), key])
                let direct = try reader.query(Self.one)[0].int("one")
                let rows = try reader.query([key, Self.count("a")])
                // Asked again, asked with others, asked for something else under the same text.
                let again = try reader.query([Self.one, key])
                let other = try reader.query(Statement(key.text, [.int(7)]))
                return (
                    direct, try rows[0].map { try $0.string("key") }, try rows[1][0].int("n"),
                    try again[1][0].string("key"), try other[0].string("key")
                )
            }
            #expect(found == (1, ["a2"], 2, "a2", "a1"))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a foreseen read sees what this transaction wrote meanwhile`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            let counts = try await store.database.write { writer in
                var counts: [Int64] = []
                writer.foresee([Self.count("b")])
                _ = try writer.query(Self.one)
                counts.append(try writer.query(Self.count("b"))[0].int("n"))
                writer.enqueue(Fixture.note("b1"))
                counts.append(try writer.query(Self.count("b"))[0].int("n"))
                writer.foresee([Self.count("b")])
                try writer.execute(Fixture.note("b2"))
                counts.append(try writer.query(Self.count("b"))[0].int("n"))
                writer.foresee([Self.count("b")])
                writer.enqueue(Fixture.note("b3"))
                _ = try writer.query(Self.one)
                counts.append(try writer.query(Self.count("b"))[0].int("n"))
                return counts
            }
            #expect(counts == [0, 1, 2, 3])
        }
    }

    /// B holds the lock and changes the row; A foresaw the row before it waited for the lock.
    ///
    ///     A  foresee(row) ── read ─────────────────── lock ▒▒▒▒▒ row: B's
    ///     B        lock ──────────── update ──────────────── commit
    @Test(.enabled(if: TestDatabase.Kind.allCases.contains(.postgres), "needs a PostgreSQL"))
    func `a foreseen read is read again behind a lock`() async throws {
        try await TestDatabase.with(.postgres) { store in
            try await store.write([Fixture.note("row", 1)])
            let row = Statement("SELECT failures FROM throttle WHERE key = 'row'")
            let (isHeld, isRead) = (Gate(), Gate())
            async let theirs: Void = store.database.write { writer in
                try writer.lock(["the row"])
                _ = try writer.query(Self.one)
                isHeld.reached()
                isHeld.waitForGo()
                try writer.execute(Statement("UPDATE throttle SET failures = 2 WHERE key = 'row'", expectedRows: 1))
            }
            await isHeld.untilReached()
            async let ours = store.database.write { writer in
                writer.foresee([row])
                _ = try writer.query(Self.one)
                let before = try writer.query(row)[0].int("failures")
                isRead.reached()
                try writer.lock(["the row"])
                return (before, try writer.query(row)[0].int("failures"))
            }
            await isRead.untilReached()
            isHeld.go()
            try await theirs
            #expect(try await ours == (1, 2))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a snapshot answers in order, with the time, and writes nothing`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            try await store.write([Fixture.note("c1"), Fixture.note("c2")])
            let snapshot = try await store.database.snapshot([Self.one, Self.count("c"), Self.count("d")])
            #expect(snapshot.now == store.clock.clock.now)
            #expect(try snapshot.rows[0][0].int("one") == 1)
            #expect(try snapshot.rows[1][0].int("n") == 2)
            #expect(try snapshot.rows[2][0].int("n") == 0)
            await #expect(throws: StoreError.self) {
                _ = try await store.database.snapshot([Self.one, Fixture.note("c3")])
            }
            await #expect(throws: StoreError.self) {
                _ = try await store.database.snapshot([Statement("SELECT nothing FROM nowhere")])
            }
            // The connection is none the worse.
            #expect(try await store.database.snapshot([Self.count("c")]).rows[0][0].int("n") == 2)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `nothing behind a claim happens when somebody was there before`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            let taken = Statement("SELECT key FROM throttle WHERE key = $1", [.text("key")])
            func claim() async throws {
                try await store.database.write { writer in
                    try writer.claim("the key", unless: taken)
                    writer.foresee([Self.count("e")])
                    try writer.execute(Fixture.note("e\(writer.now.microseconds)"))
                    writer.enqueue(Fixture.note("key"))
                }
            }
            try await claim()
            await #expect(throws: StoreError.claimed) { try await claim() }
            let rows = try await store.database.snapshot([Self.count("e"), Self.count("key")]).rows
            #expect(try rows.map { try $0[0].int("n") } == [1, 1])
        }
    }

    /// The second does not wait for the first, and what it would have locked behind its claim stays free.
    ///
    ///     A  claim ── write ───────────────────── commit
    ///     B               claim, lock: refused
    @Test(.enabled(if: TestDatabase.Kind.allCases.contains(.postgres), "needs a PostgreSQL"))
    func `a claim that another transaction holds is refused at once`() async throws {
        try await TestDatabase.with(.postgres) { store in
            let taken = Statement("SELECT key FROM throttle WHERE key = 'key'")
            let isHeld = Gate()
            async let theirs: Void = store.database.write { writer in
                try writer.claim("the key", unless: taken)
                try writer.lock(["the row"])
                try writer.execute(Fixture.note("key"))
                isHeld.reached()
                isHeld.waitForGo()
            }
            await isHeld.untilReached()
            await #expect(throws: StoreError.claimed) {
                try await store.database.write { writer in
                    try writer.claim("the key", unless: taken)
                    try writer.lock(["the row"])
                    _ = try writer.query(Self.one)
                }
            }
            isHeld.go()
            try await theirs
        }
    }

    @Test func `a read that takes too long is stopped`() async throws {
        try await TestDatabase.with(.sqlite) { store in
            let database = try SQLiteDatabase(path: store.location, readTimeout: .milliseconds(50))
            let endless = Statement(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) AS n FROM n WHERE i < 0"
            )
            await #expect {
                _ = try await database.read { try $0.query(endless) }
            } throws: { error in
                guard case StoreError.unavailable(_, mayHaveCommitted: false) = error else { return false }
                return true
            }
            // The same connection serves others, and many quick rows are no long read.
            let many = Statement(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000000) SELECT i FROM n")
            let count = try await database.read { reader in
                var count = 0
                try reader.forEach(many) { _ in count += 1 }
                return count
            }
            #expect(count == 1_000_000)
            await database.close()
        }
    }
}
