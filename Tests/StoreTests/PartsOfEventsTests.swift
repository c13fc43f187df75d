import Kernel
import TestSupport
import Testing

/// Sealed members, their subjects and the queue belong to events that are there, however they are written.
@Suite struct PartsOfEventsTests {
    private static func parts(of event: String) -> [(table: String, columns: String, values: [Value])] {
        [
            ("sealed", "event_id, members", [.text(event), .text("{}")]),
            ("sealed_subject", "subject, event_id, member", [.text("stf_1"), .text(event), .text("details")]),
            ("log_pending", "event_id", [.text(event)]),
        ]
    }

    private static func insert(_ part: (table: String, columns: String, values: [Value])) -> Statement {
        Statement(
            "INSERT INTO \(part.table) (\(part.columns)) VALUES (\(placeholders(part.values.count)))", part.values)
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `nothing can belong to an event that is not there`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            for part in Self.parts(of: "evt_nowhere") {
                await #expect(throws: StoreError.self, "\(part.table)") { try await store.write([Self.insert(part)]) }
                // By COPY where there is one, and behind a row that is as it should be.
                let event = Fixture.event()
                await #expect(throws: StoreError.self, "\(part.table)") {
                    try await store.database.write { writer in
                        writer.enqueue(Fixture.records.insert(event))
                        var rows = RowLoad(part.table, columns: part.columns)
                        if part.table != "log_pending" {
                            let other = part.values.map { $0 == .text("evt_nowhere") ? .text(event.id) : $0 }
                            rows.append(other)
                        }
                        rows.append(part.values)
                        try writer.load(rows)
                    }
                }
                let left =
                    try await Self.count(part.table, "evt_nowhere", store)
                    + Self.count(part.table, event.id, store)
                #expect(left == 0)
            }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `several events are written with what belongs to each`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            let events = (0..<7).map { number in
                Fixture.event(
                    sealed: ["details": .init(.int(Int64(number)), subjects: (0...number).map { "stf_\($0)" })])
            }
            try await store.write(Fixture.records.insert(events))
            for (number, event) in events.enumerated() {
                #expect(try await Self.count("sealed", event.id, store) == 1)
                #expect(try await Self.count("sealed_subject", event.id, store) == Int64(number + 1))
                #expect(try await Self.count("log_pending", event.id, store) == 1)
            }
            let order = try await store.database.read {
                try $0.query(Statement("SELECT event_id FROM log_pending ORDER BY seq")).map {
                    try $0.string("event_id")
                }
            }
            #expect(order == events.map(\.id))
        }
    }

    private static func count(_ table: String, _ event: String, _ store: TestDatabase) async throws -> Int64 {
        try await store.database.read {
            try $0.first(Statement("SELECT count(*) AS n FROM \(table) WHERE event_id = $1", [.text(event)]))?.int("n")
                ?? 0
        }
    }
}
