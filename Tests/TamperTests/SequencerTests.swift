import Foundation
import Kernel
import Store
import TestSupport
import Testing

@Suite struct `Sequencing and publishing` {
    @Test(arguments: TestDatabase.Kind.allCases)
    func `what is committed is sequenced in order, published and verifies`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            #expect(try await log.published.checkpoint() == nil)
            let events = try await log.fill(700)
            let note = try #require(try await log.published.checkpoint())
            let checkpoint = try Checkpoint(note: note, key: log.key.verifier)
            #expect(checkpoint.size == 700)
            #expect(checkpoint.root == MerkleTree.root(of: events.map { MerkleTree.leafHash($0.leaf) }))
            #expect(log.sequencer.health == .healthy)
            // Twice: nothing waits, nothing changes.
            try await log.sequencer.turn()
            #expect(try await log.published.checkpoint() == note)
            let report = try await log.verify()
            #expect(report.isClean, "\(report.findings)")
            #expect(report.eventsChecked == 700 && report.governedRowsChecked == 1 && report.valuesChecked == 1401)
            #expect(report.checkpointsChecked == 2)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `tiles and entries are the tree's and never beyond the checkpoint`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            let events = try await log.fill(600)
            let hashes = events.map { MerkleTree.leafHash($0.leaf) }
            let outside = log.published
            #expect(try await outside.tile(level: 0, index: 1, width: nil) == MerkleHash.concatenate(hashes[256..<512]))
            #expect(try await outside.tile(level: 0, index: 2, width: 88) == MerkleHash.concatenate(hashes[512..<600]))
            #expect(try await outside.tile(level: 0, index: 2, width: 5) == MerkleHash.concatenate(hashes[512..<517]))
            #expect(try await outside.tile(level: 0, index: 2, width: 89) == nil)
            #expect(try await outside.tile(level: 0, index: 2, width: nil) == nil)
            #expect(
                try await outside.tile(level: 1, index: 0, width: 2)
                    == MerkleHash.concatenate([
                        Tiles.root(Array(hashes[0..<256])), Tiles.root(Array(hashes[256..<512])),
                    ]))
            #expect(try await outside.tile(level: 1, index: 0, width: 3) == nil)
            guard case .leaves(let bundle)? = try await outside.entries(index: 2, width: 88) else {
                Issue.record("no bundle")
                return
            }
            #expect(Tiles.unbundle(bundle) == events[512...].map(\.leaf))
            #expect(try await outside.entries(index: 2, width: 89) == nil)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a receipt waits for its checkpoint and convinces a script that is not ours`(kind: TestDatabase.Kind)
        async throws
    {
        try await LogFixture.with(kind) { log in
            _ = try await log.fill(300)
            let event = try await log.change(
                TestRole("support", title: "Support"),
                {
                    var role = TestRole("support", title: "Help")
                    role.version = 2
                    return role
                }())
            await #expect(throws: OperationError.self) {
                try await log.published.receipt(event: event.id, wait: .milliseconds(0))
            }
            await #expect(throws: OperationError.self) {
                try await log.published.receipt(event: "evt_none", wait: .seconds(2))
            }
            let waiting = PublishedLog(database: log.database, store: log.store, key: log.key.verifier) {
                Task { try await log.sequencer.turn() }
            }
            let json = try await waiting.receipt(event: event.id, wait: .seconds(20))
            let receipt = try Receipt(json)
            try receipt.verify(key: log.key.verifier)
            #expect(receipt.index == 300 && receipt.sealed.count == 4)
            let path = log.folder + "/receipt.json"
            try Data(json.canonical).write(to: URL(fileURLWithPath: path))
            let result = try Shell.run("python3", [Shell.script("verify_receipt.py"), path, log.key.verifier.text])
            #expect(result.status == 0, "\(result.output)")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `only one sequencer leads, and a replaced one neither commits nor signs`(kind: TestDatabase.Kind) async throws
    {
        try await LogFixture.with(kind) { log in
            _ = try await log.fill(5)
            let second = log.another()
            try await log.record(3)
            try await second.turn()
            #expect(try await log.database.read { try log.store.state($0)?.size } == 5)
            // Another epoch appears under the first one's feet, as if it had been paused and its lease given away.
            try await log.database.write { writer in
                let state = try #require(try log.store.state(writer))
                writer.enqueue(
                    log.store.advance(
                        state,
                        to: LogState(origin: state.origin, size: state.size, root: state.root, epoch: state.epoch + 1)))
            }
            let before = try Data(contentsOf: URL(fileURLWithPath: log.file.path))
            await #expect(throws: StoreError.rowCount(expected: 1)) { try await log.sequencer.turn() }
            #expect(try Data(contentsOf: URL(fileURLWithPath: log.file.path)) == before)
            #expect(try await log.database.read { try log.store.state($0)?.size } == 5)
            // It begins again from what the database holds.
            await log.sequencer.stepDown()
            try await second.turn()
            await second.stop()
            try await log.expectClean()
            #expect(try await log.database.read { try log.store.state($0)?.size } == 8)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `one that is to start anew leaves the lead to another for a moment, and may have it again`(
        kind: TestDatabase.Kind
    ) async throws {
        try await LogFixture.with(kind) { log in
            _ = try await log.fill(5)
            let second = log.another()
            try await second.turn()
            #expect(log.sequencer.isLeading && !second.isLeading)
            await log.sequencer.restart()
            try await log.record(3)
            try await log.sequencer.turn()
            #expect(!log.sequencer.isLeading)
            try await second.turn()
            #expect(second.isLeading)
            #expect(try await log.database.read { try log.store.state($0)?.size } == 8)
            // One that does not lead has nothing to give up.
            await log.sequencer.restart()
            await second.restart()
            log.db.clock.advance(.seconds(2))
            try await log.sequencer.turn()
            #expect(log.sequencer.isLeading && !second.isLeading)
            await second.stop()
            try await log.expectClean()
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `one that is to start anew leaves after the batch in hand, however much waits`(
        kind: TestDatabase.Kind
    ) async throws {
        try await LogFixture.with(kind) { log in
            let waiting = Int64(3 * Sequencer.batch)
            for _ in 0..<3 { try await log.record(Sequencer.batch) }
            let sequencer = log.sequencer
            async let round: Void = sequencer.turn()
            for _ in 0..<10_000 where !sequencer.isLeading { try await Task.sleep(for: .milliseconds(1)) }
            await sequencer.restart()
            try await round
            let size = try await log.database.read { try log.store.state($0)?.size } ?? 0
            #expect(!sequencer.isLeading && size < waiting, "\(size)")
            // What was left is taken by the next.
            log.db.clock.advance(.seconds(2))
            try await sequencer.turn()
            #expect(try await log.database.read { try log.store.state($0)?.size } == waiting)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `who does not lead keeps what is published, and one with another key is refused`(kind: TestDatabase.Kind)
        async throws
    {
        try await LogFixture.with(kind) { log in
            _ = try await log.fill(5)
            let own = CheckpointFile(path: log.folder + "/own.log")
            let second = log.another(file: own)
            try await second.turn()
            #expect(try own.tail() == [#require(log.file.tail().last)])
            try await log.record(3)
            try await log.sequencer.turn()
            while try own.tail().count < 2 {
                try await second.turn()
                try await Task.sleep(for: .milliseconds(20))
            }
            #expect(try own.tail().last == log.file.tail().last)
            #expect(log.sequencer.isLeading && !second.isLeading)
            await second.stop()

            let stranger = log.another(
                key: try LogKey.generate(name: LogFixture.origin), file: CheckpointFile(path: log.folder + "/third.log")
            )
            try await stranger.turn()
            guard case .refused(let reason) = stranger.health else {
                Issue.record("serves with \(stranger.health)")
                return
            }
            #expect(reason.contains("right key"))
            await stranger.stop()
            try await log.expectClean()
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a checkpoint that was cut off by a crash is dropped, and the state is signed again`(kind: TestDatabase.Kind)
        async throws
    {
        try await LogFixture.with(kind) { log in
            _ = try await log.fill(5)
            await log.sequencer.stepDown()
            try log.attack("DELETE FROM log_checkpoint")
            let handle = try #require(FileHandle(forWritingAtPath: log.file.path))
            try handle.seekToEnd()
            try handle.write(contentsOf: Data(#"{"note":"postern.te"#.utf8))
            try handle.close()
            #expect(try log.file.tail().count == 1)
            try await log.sequencer.turn()
            #expect(try await log.published.checkpoint() != nil)
            #expect(try log.file.tail().count == 2)
            try await log.expectClean()
            let mode = try FileManager.default.attributesOfItem(atPath: log.file.path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a nudge is enough to publish`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            await log.sequencer.start()
            let event = try await log.record(1)[0]
            log.sequencer.nudge()
            _ = try await log.published.receipt(event: event.id, wait: .seconds(20))
            await log.sequencer.stop()
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `many batches of many sizes give the naive tree`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            var hashes: [MerkleHash] = []
            for count in [1, 4, 32, 37, 255, 1, 536, 600] {
                hashes += try await log.record(count).map { MerkleTree.leafHash($0.leaf) }
                try await log.sequencer.turn()
                let state = try await log.database.read { try log.store.state($0) }
                #expect(state?.size == Int64(hashes.count) && state?.root == MerkleTree.root(of: hashes))
            }
            try await log.expectClean()
            // A new leader rebuilds the edge from what is stored.
            await log.sequencer.stepDown()
            hashes += try await log.record(9).map { MerkleTree.leafHash($0.leaf) }
            try await log.sequencer.turn()
            #expect(try await log.database.read { try log.store.state($0)?.root } == MerkleTree.root(of: hashes))
        }
    }
}
