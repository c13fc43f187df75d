import Kernel
import Store
import TestSupport
import Testing

@Suite struct LoadTests {
    private static func notes(_ keys: [String]) -> RowLoad {
        var rows = RowLoad("throttle", columns: "key, failures, blocked_until, updated_at", reserving: keys.count)
        for (number, key) in keys.enumerated() {
            rows.append([.text(key), .int(Int64(number)), .int(0), .int(.min + 1)])
        }
        return rows
    }

    private static func roles(_ ids: [String]) -> RowLoad {
        var rows = RowLoad("roles", columns: "id, version, title, summary")
        for id in ids { rows.append([.text(id), .int(1), .text("Title"), .text("")]) }
        return rows
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `every value comes back as it was loaded`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            let bytes: [[UInt8]] = [[], [0], Array(0...255), [0x5C, 0x78]]
            let texts = ["", "tab\tline\nback\\slash", "é𝛑ﬁ", "\\N", "NULL"]
            try await store.database.write { writer in
                var rows = RowLoad(
                    "enrolments", columns: "token_hash, staff_id, purpose, state, created_at, expires_at, used_at")
                for (number, one) in bytes.enumerated() {
                    rows.append([
                        .bytes(one), .text(texts[number]), .text(texts[4]), .text("open"), .int(Int64(number)),
                        .int(.max), number == 0 ? .null : .int(-1),
                    ])
                }
                try writer.load(rows)
            }
            let read = try await store.database.read {
                try $0.query(Statement("SELECT * FROM enrolments ORDER BY created_at"))
            }
            #expect(try read.map { try $0.bytes("token_hash") } == bytes)
            #expect(try read.map { try $0.string("staff_id") } == Array(texts.prefix(4)))
            #expect(try read.map { try $0.optionalInt("used_at") } == [nil, -1, -1, -1])
            #expect(try read.allSatisfy { try $0.int("expires_at") == .max })
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `many rows are loaded behind what is enqueued, and the transaction goes on`(kind: TestDatabase.Kind)
        async throws
    {
        try await TestDatabase.with(kind) { store in
            let keys = (0..<20_000).map { "key-\($0)" }
            let seen = try await store.database.write { writer -> Int64 in
                writer.enqueue(Fixture.note("first"))
                try writer.load(Self.notes(keys))
                try writer.load(Self.notes([]))
                let row = try writer.first(Statement("SELECT count(*) AS n FROM throttle"))
                writer.enqueue(Fixture.note("last"))
                return try row?.int("n") ?? 0
            }
            #expect(seen == 20_001)
            try await store.expect(20_002, in: "throttle")
            try await store.expect(1, in: "throttle WHERE key = 'key-19999' AND failures = 19999")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a row that breaks a rule takes the whole transaction back`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            let twice = await store.failure { writer in
                writer.enqueue(Fixture.note("first"))
                try writer.load(Self.notes(["a", "b", "a"]))
            }
            #expect(twice == .unique(constraint: "throttle_pkey"))
            let swallowed = await store.failure { writer in
                try? writer.load(Self.notes(["a", "a"]))
                writer.enqueue(Fixture.note("behind"))
            }
            #expect(swallowed == .unique(constraint: "throttle_pkey"))
            let zero = await store.failure { try $0.load(Self.notes(["a\u{0}b"])) }
            guard case .constraint = zero else {
                Issue.record("\(String(describing: zero))")
                return
            }
            let unknown = await store.failure { try $0.load(RowLoad.one("nowhere")) }
            #expect(unknown != nil)
            // The connection is as good as before.
            for number in 0..<20 { try await store.write([Fixture.note("after-\(number)")]) }
            try await store.expect(20, in: "throttle")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `governed rows are loaded with their event only`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            let around = await store.failure { try $0.load(Self.roles(["r1", "r2"])) }
            guard case .ungoverned = around else {
                Issue.record("\(String(describing: around))")
                return
            }
            let other = Fixture.event(naming: [("role", "r1")])
            let partly = await store.failure { writer in
                writer.enqueue(Fixture.records.insert(other))
                try writer.load(Self.roles(["r1", "r2"]))
            }
            guard case .ungoverned = partly else {
                Issue.record("\(String(describing: partly))")
                return
            }
            let event = Fixture.event(
                naming: [("role", "r1"), ("role", "r2")], sealed: ["details": .init("x", subjects: ["stf_1"])])
            try await store.database.write { writer in
                for rows in BulkRecords.rows(of: [event]) { try writer.load(rows) }
                try writer.load(BulkRecords.newHeads([("role", "r1", event.id), ("role", "r2", event.id)]))
                try writer.load(Self.roles(["r1", "r2"]))
            }
            try await store.expect(2, in: "roles")
            try await store.expect(2, in: "event_entity")
            try await store.expect(1, in: "sealed_subject")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `events loaded are the events inserted`(kind: TestDatabase.Kind) async throws {
        let tables = ["events", "event_entity", "entity_head", "sealed", "sealed_subject"]
        func rows(_ store: TestDatabase) async throws -> [[String]] {
            try await store.database.read { reader in
                try tables.map { table in
                    let columns =
                        table == "events"
                        ? "id, at, class, action, outcome, actor_type, actor_id, retention_class" : "*"
                    return try reader.query(Statement("SELECT \(columns) FROM \(table)")).map { "\($0.values)" }
                        .sorted()
                }
            }
        }
        let event = Fixture.event(
            naming: [("role", "r1"), ("role", "r1"), ("role", "r0")],
            sealed: [
                "details": .init(["a": 1], subjects: ["stf_2", "stf_1", "stf_2"]), "ticket": .init("T-1", subjects: []),
            ])
        try await TestDatabase.with(kind) { inserted in
            try await inserted.write(Fixture.records.insert(event))
            try await TestDatabase.with(kind) { loaded in
                try await loaded.database.write { writer in
                    for rows in BulkRecords.rows(of: [event]) { try writer.load(rows) }
                    for statement in BulkRecords.heads([("role", "r0", event.id), ("role", "r1", event.id)]) {
                        try writer.execute(statement)
                    }
                }
                #expect(try await rows(loaded) == rows(inserted))
            }
        }
    }
}

extension RowLoad {
    fileprivate static func one(_ table: String) -> RowLoad {
        var rows = RowLoad(table, columns: "id")
        rows.append([.text("x")])
        return rows
    }
}
