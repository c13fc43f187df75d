import Foundation
import Kernel
import Store
import TestSupport
import Testing

/// Measured on demand: POSTERN_MEASURE=1 swift test --filter ThroughputTests
@Suite(.serialized, .enabled(if: ProcessInfo.processInfo.environment["POSTERN_MEASURE"] != nil))
struct ThroughputTests {
    private func measure(
        _ name: String, clients: Int, seconds: Double = 3, _ body: @escaping @Sendable (Int) async throws -> Void
    ) async throws {
        let begun = ContinuousClock.now
        let total = try await withThrowingTaskGroup(of: Int.self) { group in
            for client in 0..<clients {
                group.addTask {
                    var count = 0
                    while ContinuousClock.now - begun < .seconds(seconds) {
                        try await body(client)
                        count += 1
                    }
                    return count
                }
            }
            return try await group.reduce(0, +)
        }
        let elapsed = ContinuousClock.now - begun
        let rate = Double(total) / (Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) / 1e18)
        print("MEASURED \(name), \(clients) clients: \(Int(rate)) transactions a second")
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `transactions a second`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            for clients in [1, 16] {
                try await measure("\(kind) one insert", clients: clients) { _ in
                    try await store.write([Fixture.note(SecureRandom.bytes(12).hex)])
                }
                try await measure("\(kind) read one row", clients: clients) { _ in
                    _ = try await store.database.read {
                        try $0.first(Statement("SELECT * FROM throttle WHERE key = $1", [.text("a")]))
                    }
                }
                // As a mutation: read and lock, then write with an event.
                let ids = (0..<clients).map { "r\(clients)-\($0)" }
                try await store.writeRoles(ids)
                try await measure("\(kind) governed mutation", clients: clients) { client in
                    let id = ids[client]
                    try await store.database.write { writer in
                        let row = try writer.first(
                            Statement(
                                "SELECT version FROM roles WHERE id = $1" + writer.dialect.forUpdate, [.text(id)]))
                        let version = try row?.int("version") ?? 0
                        writer.enqueue(
                            Fixture.records.insert(
                                Fixture.event(
                                    naming: [("role", id)],
                                    sealed: ["details": .init(["n": .int(version)], subjects: ["stf_1"])])))
                        writer.enqueue(
                            Statement(
                                "UPDATE roles SET version = $1 WHERE id = $2 AND version = $3",
                                [.int(version + 1), .text(id), .int(version)], expectedRows: 1))
                    }
                }
            }
        }
    }
}
