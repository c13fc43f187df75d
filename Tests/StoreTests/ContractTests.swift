import Foundation
import Kernel
import Store
import StorePostgres
import StoreSQLite
import Synchronization
import TestSupport
import Testing

private typealias Kind = TestDatabase.Kind

@Suite struct ContractTests {
    // MARK: Values

    @Test(arguments: Kind.allCases)
    func `text that differs in case only is different`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            try await store.write([Fixture.note("Acme"), Fixture.note("acme")])
            let rows = try await store.database.read {
                try $0.query(Statement("SELECT key FROM throttle WHERE key = $1", [.text("ACME")]))
            }
            #expect(rows.isEmpty)
            try await store.expect(2, in: "throttle")
        }
    }

    @Test(arguments: Kind.allCases)
    func `text is ordered by its bytes`(kind: TestDatabase.Kind) async throws {
        let words = ["Z", "a", "B", "é", "zz", "_", "1", "a b", "a-b", "ab", "𝛑", "ﬁ", ""]
        let expected = words.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        try await TestDatabase.with(kind) { store in
            try await store.write(words.map { Fixture.note($0) })
            let read = try await store.database.read {
                try $0.query(Statement("SELECT key FROM throttle ORDER BY key")).map { try $0.string("key") }
            }
            #expect(read == expected)
            let after = try await store.database.read {
                try $0.query(Statement("SELECT key FROM throttle WHERE key > $1 ORDER BY key", [.text("a b")]))
                    .map { try $0.string("key") }
            }
            #expect(after == Array(expected.drop { $0 != "a b" }.dropFirst()))
        }
    }

    @Test(arguments: Kind.allCases)
    func `NULLs do not clash in a unique index`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            let insert = { (id: String, target: String?) in
                Statement(
                    """
                    INSERT INTO approvals (id, version, operation, target_id, requester, state, action, plan_digest,
                        demands, event_id, created_at, expires_at)
                    VALUES ($1, 1, 'tenant.create', $2, 'stf_1', 'pending', '{}', '', '[]', '', 0, 0)
                    """, [.text(id), Value(target)])
            }
            let event = Fixture.event(naming: ["1", "2", "3"].map { ("approval", $0) })
            try await store.write(
                Fixture.records.insert(event) + [insert("1", nil), insert("2", nil), insert("3", "ten_1")])
            let again = Fixture.event(naming: [("approval", "4")])
            #expect(
                await store.failure(Fixture.records.insert(again) + [insert("4", "ten_1")])
                    == .unique(constraint: "approvals_live"))
        }
    }

    @Test(arguments: Kind.allCases)
    func `64-bit integers, bytes and text keep every bit`(kind: TestDatabase.Kind) async throws {
        let integers: [Int64] = [.min, .min + 1, -1, 0, 1, 9_007_199_254_740_993, .max]
        let blobs: [[UInt8]] = [[], [0], Array(0...255), [0xDE, 0xAD, 0, 0xBE, 0xEF]]
        let texts = [
            "", "'", "\\x00", "\"$1\"", "a\u{1}b\u{7F}", "e\u{301}", "👩‍👩‍👧", "\u{FEFF}x",
            String(repeating: "ü", count: 70_000),
        ]
        try await TestDatabase.with(kind) { store in
            let read = try await store.database.write { writer in
                for (index, value) in integers.enumerated() {
                    writer.enqueue(Fixture.note("i\(index)", value))
                }
                for (index, text) in texts.enumerated() {
                    writer.enqueue(
                        Statement(
                            """
                            INSERT INTO enrolments (token_hash, staff_id, purpose, state, created_at, expires_at)
                            VALUES ($1, $2, 'x', 'x', 0, $3)
                            """, [.bytes([UInt8(index), 0xFF]), .text(text), .int(Int64(index))]))
                }
                for (index, blob) in blobs.enumerated() {
                    writer.enqueue(
                        Statement(
                            """
                            INSERT INTO challenges (token_hash, source, client, created_at, expires_at, attempts)
                            VALUES ($1, '', '', 0, $2, 0)
                            """, [.bytes(blob), .int(Int64(index))]))
                }
                return try writer.query([
                    Statement("SELECT failures FROM throttle ORDER BY failures"),
                    Statement("SELECT staff_id FROM enrolments ORDER BY expires_at"),
                    Statement("SELECT token_hash FROM challenges ORDER BY expires_at"),
                ])
            }
            let numbers = try read[0].map { try $0.int("failures") }
            let bytesOfTexts = try read[1].map { Array(try $0.string("staff_id").utf8) }
            let bytes = try read[2].map { try $0.bytes("token_hash") }
            #expect(numbers == integers)
            #expect(bytesOfTexts == texts.map { Array($0.utf8) })
            #expect(bytes == blobs)
        }
    }

    @Test(arguments: Kind.allCases)
    func `the character U+0000 is refused in text`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            #expect(
                await store.failure([Fixture.note("a\u{0}b")])
                    == .constraint("Text can't hold the character U+0000."))
            try await store.expect(0, in: "throttle")
        }
    }

    @Test(arguments: Kind.allCases)
    func `a value of another type than the column's is refused`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            let text = Statement(
                "INSERT INTO throttle (key, failures, blocked_until, updated_at) VALUES ('a', $1, 0, 0)",
                [.text("many")])
            #expect(await store.failure([text]) != nil)
            try await store.expect(0, in: "throttle")
        }
    }

    @Test(arguments: Kind.allCases)
    func `parameters are found by number in any order and more than once`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            try await store.write([Fixture.note("a", 7), Fixture.note("b", 8)])
            let row = try await store.database.read {
                try $0.first(
                    Statement(
                        """
                        SELECT key, failures FROM throttle
                        WHERE failures = $2 AND key = $1 AND ($3 IS NULL OR key = $3) AND $2 = failures
                        """, [.text("b"), .int(8), .null]))
            }
            #expect(try row?.string("key") == "b")
        }
    }

    @Test(arguments: Kind.allCases)
    func `sums and counts are whole numbers`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            try await store.write([Fixture.note("a", 4_000_000_000), Fixture.note("b", 5_000_000_000)])
            let row = try await store.database.read {
                try $0.query(
                    Statement(
                        "SELECT SUM(failures) AS total, count(*) AS n, MAX(key) AS last, SUM(failures) > 1 AS big FROM throttle"
                    ))[0]
            }
            #expect(try row.int("total") == 9_000_000_000)
            #expect(try row.int("n") == 2)
            #expect(try row.string("last") == "b")
            #expect(try row.bool("big"))
        }
    }

    // MARK: Pages

    @Test(arguments: Kind.allCases)
    func `keyset pages stay whole while rows are added`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            // Equal first keys, so that only the pair is unique.
            try await store.write((0..<60).map { Fixture.note("k\($0 % 10)-\($0)", Int64($0 / 20)) })
            var seen: [String] = []
            var after: (Int64, String) = (.min, "")
            while true {
                let (number, key) = after
                let page = try await store.database.read {
                    try $0.query(
                        Statement(
                            """
                            SELECT failures, key FROM throttle WHERE (failures, key) > ($1, $2)
                            ORDER BY failures, key LIMIT $3
                            """, [.int(number), .text(key), .int(7)]))
                }
                guard let last = page.last else { break }
                seen += try page.map { try $0.string("key") }
                after = (try last.int("failures"), try last.string("key"))
                // A newcomer before the cursor shifts nothing.
                try await store.write([Fixture.note("new\(seen.count)", -1)])
            }
            #expect(seen.count == 60)
            #expect(Set(seen).count == 60)
        }
    }

    @Test(arguments: Kind.allCases)
    func `a hundred thousand rows are walked one by one`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            try await store.database.write { writer in
                for start in stride(from: 0, to: 100_000, by: 5_000) {
                    let values = (start..<start + 5_000).map { "('\($0)', \($0), 0, 0)" }.joined(separator: ", ")
                    try writer.execute(
                        Statement("INSERT INTO throttle (key, failures, blocked_until, updated_at) VALUES \(values)"))
                }
            }
            let (count, sum) = try await store.database.read { reader in
                var count = 0
                var sum: Int64 = 0
                try reader.forEach(
                    Statement("SELECT failures FROM throttle WHERE failures >= $1 ORDER BY key", [.int(0)])
                ) { row in
                    count += 1
                    sum += try row.int("failures")
                }
                return (count, sum)
            }
            #expect(count == 100_000)
            #expect(sum == 4_999_950_000)
        }
    }

    @Test(arguments: Kind.allCases)
    func `leaving a walk early leaves the transaction usable`(kind: TestDatabase.Kind) async throws {
        struct Enough: Error {}
        try await TestDatabase.with(kind) { store in
            try await store.write((0..<3_000).map { Fixture.note("\($0)", Int64($0)) })
            let count = try await store.database.write { writer in
                do {
                    try writer.forEach(Statement("SELECT failures FROM throttle ORDER BY failures")) { row in
                        if try row.int("failures") == 1_500 { throw Enough() }
                    }
                } catch is Enough {}
                try writer.execute(Fixture.note("after"))
                return try writer.query(Statement("SELECT count(*) AS n FROM throttle"))[0].int("n")
            }
            #expect(count == 3_001)
        }
    }

    // MARK: Transactions

    @Test(arguments: Kind.allCases)
    func `a version clash rolls everything back, enqueued or not`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            try await store.write([Fixture.note("a", 1)])
            let clash = Statement(
                "UPDATE throttle SET failures = 3 WHERE key = $1 AND failures = $2", [.text("a"), .int(2)],
                expectedRows: 1)
            #expect(await store.failure([Fixture.note("b"), clash, Fixture.note("c")]) == .rowCount(expected: 1))
            #expect(
                await store.failure { writer in
                    writer.enqueue(Fixture.note("b"))
                    _ = try writer.query([clash])
                } == .rowCount(expected: 1))
            #expect(
                await store.failure { writer in
                    writer.enqueue([Fixture.note("b"), clash])
                    _ = try writer.query(Statement("SELECT 1 AS one"))
                } == .rowCount(expected: 1))
            let tooMany = Statement("UPDATE throttle SET failures = failures + 1 RETURNING key", expectedRows: 0)
            #expect(await store.failure([tooMany]) == .rowCount(expected: 0))
            try await store.expect(1, in: "throttle WHERE failures = 1")
            try await store.expect(1, in: "throttle")
        }
    }

    @Test(arguments: Kind.allCases)
    func `a thrown error leaves nothing behind`(kind: TestDatabase.Kind) async throws {
        struct Stop: Error {}
        try await TestDatabase.with(kind) { store in
            await #expect(throws: Stop.self) {
                try await store.database.write { writer in
                    try writer.execute(Fixture.note("a"))
                    writer.enqueue(Fixture.note("b"))
                    throw Stop()
                }
            }
            try await store.expect(0, in: "throttle")
        }
    }

    @Test(arguments: Kind.allCases)
    func `a swallowed error still rolls the transaction back`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            try await store.write([Fixture.note("a")])
            let failure = await store.failure { writer in
                writer.enqueue(Fixture.note("b"))
                _ = try? writer.execute(Fixture.note("a"))
            }
            #expect(failure == .unique(constraint: "throttle_pkey"))
            try await store.expect(1, in: "throttle")
        }
    }

    @Test(arguments: Kind.allCases)
    func `one failing write leaves its neighbours alone`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            try await store.write([Fixture.note("taken")])
            let failures = await withTaskGroup(of: (Int, StoreError?).self) { group in
                for number in 0..<60 {
                    group.addTask {
                        (
                            number,
                            await store.failure([
                                Fixture.note("n\(number)"), Fixture.note(number % 3 == 0 ? "taken" : "m\(number)"),
                            ])
                        )
                    }
                }
                return await group.reduce(into: [Int: StoreError]()) { $0[$1.0] = $1.1 }
            }
            #expect(Set(failures.keys) == Set((0..<60).filter { $0 % 3 == 0 }))
            #expect(failures.values.allSatisfy { $0 == .unique(constraint: "throttle_pkey") })
            try await store.expect(1 + 80, in: "throttle")
        }
    }

    @Test(arguments: Kind.allCases)
    func `many writers at once lose no update`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            try await store.write([Fixture.note("sum", 0)])
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<200 {
                    group.addTask {
                        try await store.database.write { writer in
                            try writer.lock(["sum"])
                            let row = try writer.first(Statement("SELECT failures FROM throttle WHERE key = 'sum'"))
                            let value = try row?.int("failures") ?? -1
                            writer.enqueue(
                                Statement(
                                    "UPDATE throttle SET failures = $1 WHERE key = 'sum' AND failures = $2",
                                    [.int(value + 1), .int(value)], expectedRows: 1))
                        }
                    }
                }
                try await group.waitForAll()
            }
            try await store.expect(1, in: "throttle WHERE failures = 200")
        }
    }

    @Test(arguments: Kind.allCases)
    func `unique rules are named alike`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            func staff(_ id: String, _ email: String) -> [Statement] {
                Fixture.records.insert(Fixture.event(naming: [("staff", id)])) + [
                    Statement(
                        """
                        INSERT INTO staff (id, version, email, name, status, created_at, updated_at)
                        VALUES ($1, 1, $2, '', '', 0, 0)
                        """, [.text(id), .text(email)])
                ]
            }
            try await store.write(staff("stf_1", "a@example.com"))
            #expect(
                await store.failure(staff("stf_2", "a@example.com")) == .unique(constraint: "staff_email"))
            #expect(await store.failure(staff("stf_1", "b@example.com")) == .unique(constraint: "staff_pkey"))

            let event = Fixture.event(naming: [("grant", "g1"), ("grant", "g2"), ("grant", "g3")])
            let grant = { (id: String, revoked: Int64?) in
                Statement(
                    """
                    INSERT INTO grants (id, version, staff_id, role_id, granted_by, granted_at, revoked_at)
                    VALUES ($1, 1, 'stf_1', 'auditor', '', 0, $2)
                    """, [.text(id), Value(revoked)])
            }
            #expect(
                await store.failure(
                    Fixture.records.insert(event) + [grant("g1", 5), grant("g2", nil), grant("g3", nil)])
                    == .unique(constraint: "grants_live"))

            let plain = Fixture.event()
            try await store.write(Fixture.records.insert(plain))
            #expect(
                await store.failure([Statement("INSERT INTO log_pending (event_id) VALUES ($1)", [.text(plain.id)])])
                    == .unique(constraint: "log_pending_event_id_key"))
            #expect(
                await store.failure([
                    Statement(
                        "INSERT INTO idempotency (person, key, operation, fingerprint, event_id, body, created_at) VALUES ('a', 'b', '', $1, '', '', 0), ('a', 'b', '', $1, '', '', 0)",
                        [.bytes([1])])
                ]) == .unique(constraint: "idempotency_pkey"))
        }
    }

    @Test(arguments: Kind.allCases)
    func `a foreign key is kept`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            let failure = await store.failure([
                Statement("INSERT INTO log_pending (event_id) VALUES ('evt_none')")
            ])
            guard case .constraint = failure else {
                Issue.record("\(String(describing: failure))")
                return
            }
        }
    }

    @Test(arguments: Kind.allCases)
    func `a read transaction can't write`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            await #expect(throws: StoreError.self) {
                _ = try await store.database.read { try $0.query(Fixture.note("a")) }
            }
            // Even when the body looks away.
            await #expect(throws: StoreError.self) {
                _ = try await store.database.read { _ = try? $0.query(Fixture.note("a")) }
            }
            try await store.expect(0, in: "throttle")
        }
    }

    @Test(arguments: Kind.allCases)
    func `a read sees one moment`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            try await store.write([Fixture.note("a")])
            let gate = Gate()
            let runs = Mutex(0)
            async let counts = store.database.read { reader in
                let run = runs.withLock { count in
                    count += 1
                    return count
                }
                let first = try reader.query(Statement("SELECT count(*) AS n FROM throttle"))[0].int("n")
                // A read that asks a second time is run again, then in a transaction.
                if kind == .sqlite || run == 2 {
                    gate.reached()
                    gate.waitForGo()
                }
                let second = try reader.query(Statement("SELECT count(*) AS n FROM throttle"))[0].int("n")
                return [first, second]
            }
            await gate.untilReached()
            try await store.write([Fixture.note("b")])
            gate.go()
            #expect(try await counts == [1, 1])
            try await store.expect(2, in: "throttle")
        }
    }

    @Test(arguments: Kind.allCases)
    func `now stands still within a transaction and follows the clock`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            let first = try await store.database.write { writer in
                let now = writer.now
                store.clock.advance(.hours(1))
                _ = try writer.query(Statement("SELECT 1 AS one"))
                #expect(writer.now == now)
                return now
            }
            #expect(first == TestDatabase.start)
            #expect(try await store.database.read { $0.now } == TestDatabase.start + .hours(1))
        }
    }

    @Test(arguments: Kind.allCases)
    func `a closed database answers that it is closed`(kind: TestDatabase.Kind) async throws {
        let store = try await TestDatabase.make(kind)
        try await store.write([Fixture.note("a")])
        await store.database.close()
        await store.database.close()
        #expect(
            await store.failure([Fixture.note("b")])
                == .unavailable("The database is closed.", mayHaveCommitted: false))
        await #expect(throws: StoreError.unavailable("The database is closed.", mayHaveCommitted: false)) {
            try await store.database.read { _ in }
        }
        await store.drop()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `stored outcomes are forgotten after their time, a bounded number at once`(kind: TestDatabase.Kind)
        async throws
    {
        try await TestDatabase.with(kind) { store in
            let outcome = StoredOutcome(operation: "x.y", fingerprint: [1], eventID: "evt_1", body: .object([:]))
            let start = TestDatabase.start
            for index in 0..<3 {
                try await store.write(
                    Fixture.records.storeOutcome(
                        outcome, person: "stf_a", key: "k\(index)", at: start + .hours(Int64(index))))
            }
            let gone = try await store.database.write { tx in
                try tx.execute(Fixture.records.forgetOutcomes(storedBefore: start + .hours(2))).count
            }
            #expect(gone == 2)
            try await store.expect(1, in: "idempotency WHERE key = 'k2'")
        }
    }
}

/// Lets a test hold a transaction at a point.
final class Gate: Sendable {
    private let reachedStream = AsyncStream<Void>.makeStream()
    private let opened = DispatchSemaphore(value: 0)

    func reached() { reachedStream.continuation.finish() }
    func untilReached() async { for await _ in reachedStream.stream {} }
    func go() { opened.signal() }
    /// Blocks the connection's own thread, as a slow body would; gives up after 20 s, so that a failing test ends.
    func waitForGo() { _ = opened.wait(timeout: .now() + 20) }
}
