import Kernel
import TestSupport
import Testing

/// A read that asks once needs no transaction around it; whether it has one is nobody's business but the driver's.
@Suite struct SingleReadTests {
    private static func count(_ prefix: String) -> Statement {
        Statement(
            "SELECT count(*) AS n FROM throttle WHERE key >= $1 AND key < $2", [.text(prefix), .text(prefix + "~")])
    }
    private static let one = Statement("SELECT 1 AS one")

    /// Somebody writes between the two questions of a read.
    ///
    ///     A  count ──────────────────── count (the same)
    ///     B          write ── commit
    @Test(arguments: TestDatabase.Kind.allCases)
    func `a read that asks again sees one snapshot`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            for round in 0..<3 {
                let gate = Gate()
                let isFirst = LockedValue(true)
                async let counts = store.database.read { reader in
                    let before = try reader.query(Self.count("a"))[0].int("n")
                    if isFirst.get() {
                        isFirst.set(false)
                        gate.reached()
                        gate.waitForGo()
                    }
                    return (before, try reader.query([Self.one, Self.count("a")])[1][0].int("n"))
                }
                await gate.untilReached()
                try await store.write([Fixture.note("a\(round)")])
                gate.go()
                let (before, after) = try await counts
                #expect(before == after)
            }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a body is seldom run twice`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            let runs = LockedValue(0)
            for _ in 0..<50 {
                let n = try await store.database.read { reader in
                    runs.set(runs.get() + 1)
                    _ = try reader.query(Self.one)
                    return try reader.query(Self.count("b"))[0].int("n")
                }
                #expect(n == 0)
            }
            #expect((50...51).contains(runs.get()))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a read that asks once can't write, and tells the time`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            await #expect(throws: StoreError.self) {
                _ = try await store.database.read { try $0.query(Fixture.note("c1")) }
            }
            let (now, n) = try await store.database.read { reader in
                reader.foresee([Self.count("c")])
                _ = try reader.query(Self.one)
                return (reader.now, try reader.query(Self.count("c"))[0].int("n"))
            }
            #expect(now == store.clock.clock.now && n == 0)
        }
    }

    /// A body may take an error for an answer; the second run must not be left out for that.
    @Test(arguments: TestDatabase.Kind.allCases)
    func `a body that swallows errors is answered like any other`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            try await store.write([Fixture.note("d1")])
            let n = try await store.database.read { reader in
                _ = try reader.query(Self.one)
                return (try? reader.query(Self.count("d")))?[0]["n"]
            }
            #expect(n == .int(1))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `rows that come one by one have their transaction`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            try await store.write((0..<3).map { Fixture.note("e\($0)", Int64($0)) })
            let all = Statement("SELECT failures AS n FROM throttle WHERE key LIKE 'e%' ORDER BY key")
            for asksFirst in [false, true] {
                let (numbers, scanned) = try await store.database.read { reader in
                    if asksFirst { _ = try reader.query(Self.count("e")) }
                    var numbers: [Int64] = []
                    var scanned: [Int64] = []
                    try reader.forEach(all) { numbers.append(try $0.int("n")) }
                    try reader.scan(all) { scanned.append(try $0[0].int("n")) }
                    return (numbers, scanned)
                }
                #expect(numbers == [0, 1, 2] && scanned == [0, 1, 2])
            }
        }
    }
}
