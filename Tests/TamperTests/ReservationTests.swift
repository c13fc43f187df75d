import Foundation
import Kernel
import Store
import TestSupport
import Testing

@Suite struct `Leaves written with their events` {
    private static func leaves(_ events: [SealedEvent]) -> [(eventID: String, hash: MerkleHash)] {
        events.map { ($0.id, MerkleTree.leafHash($0.leaf)) }
    }

    private static func write(_ events: [SealedEvent], _ place: Sequencer.Reservation, to log: LogFixture) async throws
    {
        let store = log.store
        try await log.database.write { writer in
            for rows in BulkRecords.rows(of: events) { try writer.load(rows) }
            try writer.load(BulkRecords.rows(of: place.leaves))
            writer.enqueue(store.store(place.tiles) + [store.advance(place.before, to: place.after)])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `they stand behind what waited, are published once all are settled, and verify`(kind: TestDatabase.Kind)
        async throws
    {
        try await LogFixture.with(kind) { log in
            var all = try await log.record(3)
            let events = (0..<700).map { _ in SealedEvent(LogFixture.draft()) }
            let first = try await log.sequencer.reserve(Self.leaves(Array(events[..<600])))
            #expect(first.leaves.first?.index == 3 && first.tiles.map(\.index) == [0, 1])
            let second = try await log.sequencer.reserve(Self.leaves(Array(events[600...])))
            #expect(second.before == first.after && second.after.size == 703)
            try await Self.write(Array(events[..<600]), first, to: log)
            try await log.sequencer.settle(first)
            // Something is still reserved: a turn takes nothing, and nothing newer is signed.
            try await log.sequencer.turn()
            #expect(try await log.checkpointSize() == 3)
            try await Self.write(Array(events[600...]), second, to: log)
            try await log.sequencer.settle(second)
            #expect(try await log.checkpointSize() == 703)
            all += events
            all += try await log.record(2)
            try await log.sequencer.turn()
            let note = try #require(try await log.published.checkpoint())
            let checkpoint = try Checkpoint(note: note, key: log.key.verifier)
            #expect(checkpoint.size == 705)
            #expect(checkpoint.root == MerkleTree.root(of: all.map { MerkleTree.leafHash($0.leaf) }))
            try await log.expectClean()
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a reservation that was not written leaves nothing behind`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            _ = try await log.fill(5)
            let event = SealedEvent(LogFixture.draft())
            let place = try await log.sequencer.reserve(Self.leaves([event]))
            await log.sequencer.abandonReservations()
            _ = try await log.record(4)
            try await log.sequencer.turn()
            #expect(try await log.checkpointSize() == 9)
            // The state has moved on: what was reserved for the old one can't be committed any more.
            await #expect(throws: StoreError.self) { try await Self.write([event], place, to: log) }
            await #expect(throws: LogDamage.self) { try await log.sequencer.settle(place) }
            try await log.expectClean()
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `nothing is reserved where another process leads`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            _ = try await log.fill(5)
            let other = log.another()
            await #expect(throws: LogDamage.self) {
                _ = try await other.reserve(Self.leaves([SealedEvent(LogFixture.draft())]))
            }
            await other.stop()
            try await log.expectClean()
        }
    }
}

extension LogFixture {
    fileprivate func checkpointSize() async throws -> Int64? {
        guard let note = try await published.checkpoint() else { return nil }
        return try Checkpoint(note: note, key: key.verifier).size
    }
}
