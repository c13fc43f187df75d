import Kernel
import Synchronization
import TestSupport
import Testing

@Suite struct `Verifying` {
    @Test(arguments: TestDatabase.Kind.allCases)
    func `an interrupted run goes on where it was and finds the same`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            var events: [SealedEvent] = []
            for _ in 0..<3 { events += try await log.record(3000) }
            try await log.sequencer.turn()
            var leaf = events[10].leaf
            leaf[leaf.count - 3] ^= 1
            try log.attack(
                "UPDATE events SET leaf = \(log.bytes(leaf)) WHERE id = '\(events[10].id)'",
                "UPDATE events SET action = 'other' WHERE id = '\(events[8500].id)'")
            let verifier = Verifier(
                database: log.database, store: log.store, catalog: log.catalog, key: log.key.verifier, file: log.file)
            let saved = Mutex<[JSON]>([])
            let whole = try await verifier.run { progress in
                if let resume = progress.resume { saved.withLock { $0.append(resume) } }
            }
            #expect(whole.findings.map(\.index) == [8500, 10])
            let states = saved.withLock { $0 }
            #expect(states.count == 3)
            for state in states {
                let rest = try await verifier.run(resume: try JSON(parsing: state.canonical))
                #expect(
                    rest.findings == whole.findings && rest.root == whole.root
                        && rest.eventsChecked == whole.eventsChecked)
            }
            await #expect(throws: NoteError.self) { try await verifier.run(resume: ["postern_verify": 1]) }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an empty log and a log that only waits are clean`(kind: TestDatabase.Kind) async throws {
        try await LogFixture.with(kind) { log in
            try await log.expectClean()
            try await log.record(2)
            let report = try await log.verify()
            #expect(report.isClean && report.size == 0 && report.notes.count == 1, "\(report.findings)")
        }
    }
}
