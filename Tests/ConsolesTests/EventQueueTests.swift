import Consoles
import Synchronization
import TestSupport
import Testing

@testable import Kernel
@testable import Store

/// Looks of the same moment share a transaction, and everything else is as if each had its own.
@Suite struct EventQueueTests {
    /// A database whose writes are counted, may be held up and may fail.
    private final class WatchedDatabase: Database {
        struct State {
            var writes = 0
            var isHeld = false
            var held: [CheckedContinuation<Void, Never>] = []
            var failure: StoreError?
        }
        private let database: any Database
        private let state = Mutex(State())

        init(_ database: any Database) { self.database = database }

        var dialect: Dialect { database.dialect }
        var writes: Int { state.withLock { $0.writes } }

        func hold() { state.withLock { $0.isHeld = true } }
        func letGo() {
            let held = state.withLock { state in
                defer { state.held = [] }
                state.isHeld = false
                return state.held
            }
            for continuation in held { continuation.resume() }
        }
        func fail(with error: StoreError?) { state.withLock { $0.failure = error } }

        func read<T: Sendable>(_ body: @escaping @Sendable (any Reader) throws -> T) async throws -> T {
            try await database.read(body)
        }

        func write<T: Sendable>(_ body: @escaping @Sendable (any Writer) throws -> T) async throws -> T {
            await withCheckedContinuation { continuation in
                let isFree = state.withLock { state in
                    state.writes += 1
                    if state.isHeld { state.held.append(continuation) }
                    return !state.isHeld
                }
                if isFree { continuation.resume() }
            }
            if let failure = state.withLock({ $0.failure }) { throw failure }
            return try await database.write(body)
        }

        func close() async { await database.close() }
    }

    private static func with(
        _ kind: TestDatabase.Kind,
        _ body: (World, Pipeline, WatchedDatabase) async throws -> Void
    ) async throws {
        let world = try await World.make(kind)
        do {
            let watched = WatchedDatabase(world.test.database)
            let pipeline = Pipeline(
                database: watched, records: SQLRecords(), directory: StaffDirectory(), catalog: world.catalog,
                clock: world.test.clock.clock)
            try await body(world, pipeline, watched)
        } catch {
            await world.close()
            throw error
        }
        await world.close()
    }

    private static func look(_ number: Int) -> Disclosure {
        Disclosure(
            "staff.list", query: ["n": .int(Int64(number))], count: 2, ids: ["stf_\(number)", "stf_x"],
            subjects: ["stf_\(number)", "stf_x"])
    }

    private static func draft(_ world: World, note: String) -> EventDraft {
        var draft = EventDraft(at: TestDatabase.start, .access, "staff.list", by: world.everybody)
        draft.facts = ["note": .string(note)]
        return draft
    }

    /// Waits until so many stand in the queue.
    private static func wait(for count: Int, in pipeline: Pipeline) async {
        while pipeline.queue.waiting < count { await Task.yield() }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `many looks at once are recorded exactly once each, with all that belongs to them`(
        kind: TestDatabase.Kind
    ) async throws {
        try await Self.with(kind) { world, pipeline, _ in
            let before = try await world.snapshot()
            let caller = world.everybody
            let count = 300
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<count {
                    group.addTask { try await pipeline.disclose(Self.look(number), to: caller) }
                }
                try await group.waitForAll()
            }
            let events = try await world.events(after: before)
            #expect(events.count == count)
            let ids = events.map(\.id)
            #expect(Set(ids).count == count)
            let (numbers, subjects) = try await world.test.database.read { reader in
                var numbers: Set<Int64> = []
                var subjects = 0
                for id in ids {
                    let members = try reader.first(SQLRecords().sealedMembers(event: id))?.json("members")
                    if let number = members?["details"]?["value"]?["query"]?["n"]?.int { numbers.insert(number) }
                    subjects += try reader.query(TestQueries.subjects(of: id)).count
                }
                return (numbers, subjects)
            }
            #expect(numbers == Set((0..<count).map(Int64.init)))
            // The caller and the two who are on the page, and the caller again for each member about the request.
            #expect(subjects >= 3 * count)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `who comes during a commit goes into the next one together`(kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { world, pipeline, watched in
            let before = try await world.snapshot()
            let caller = world.everybody
            watched.hold()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await pipeline.disclose(Self.look(0), to: caller) }
                while watched.writes == 0 { await Task.yield() }
                for number in 1...40 {
                    group.addTask { try await pipeline.disclose(Self.look(number), to: caller) }
                }
                await Self.wait(for: 40, in: pipeline)
                // Nobody was answered, and nothing of theirs is there.
                #expect(try await world.events(after: before).isEmpty)
                watched.letGo()
                try await group.waitForAll()
            }
            #expect(watched.writes == 2)
            #expect(try await world.events(after: before).count == 41)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an event that can't be written fails nobody else`(kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { world, pipeline, watched in
            let before = try await world.snapshot()
            let tooLong = Self.draft(world, note: String(repeating: "x", count: 70_000))
            let good = (0..<20).map { Self.draft(world, note: "good \($0)") }
            watched.hold()
            let outcomes = try await withThrowingTaskGroup(of: Bool.self) { group in
                func record(_ draft: EventDraft) {
                    group.addTask {
                        do {
                            try await pipeline.record([draft])
                            return true
                        } catch { return false }
                    }
                }
                record(good[0])
                while watched.writes == 0 { await Task.yield() }
                for draft in good[1..<10] + [tooLong] + good[10...] { record(draft) }
                await Self.wait(for: 20, in: pipeline)
                watched.letGo()
                return try await group.reduce(into: [Bool]()) { $0.append($1) }
            }
            #expect(outcomes.count { $0 } == 20 && outcomes.count { !$0 } == 1)
            #expect(try await world.events(after: before).count == 20)
            // The queue goes on as if nothing had been.
            try await pipeline.record([Self.draft(world, note: "later")])
            #expect(try await world.events(after: before).count == 21)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `nothing is shown while it can't be recorded`(kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { world, pipeline, watched in
            let before = try await world.snapshot()
            let caller = world.everybody
            watched.hold()
            watched.fail(with: .unavailable("gone", mayHaveCommitted: true))
            let shown = await withTaskGroup(of: Int?.self) { group in
                for number in 0..<10 {
                    group.addTask {
                        try? await pipeline.read("tenant.view", by: caller) { _ in (number, Self.look(number)) }
                    }
                }
                await Self.wait(for: 9, in: pipeline)
                watched.letGo()
                return await group.reduce(into: [Int]()) { if let number = $1 { $0.append(number) } }
            }
            #expect(shown.isEmpty)
            // What may be there already is not written again for each.
            #expect(watched.writes == 2)
            #expect(try await world.events(after: before).isEmpty)
            // What was refused was not taken for shown: asked again, it is recorded.
            watched.fail(with: nil)
            _ = try await pipeline.read("tenant.view", by: caller) { _ in (0, Self.look(0)) }
            #expect(try await world.events(after: before).count == 1)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a caller who goes away while waiting leaves his event behind`(kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { world, pipeline, watched in
            let before = try await world.snapshot()
            let caller = world.everybody
            watched.hold()
            let first = Task { try await pipeline.disclose(Self.look(0), to: caller) }
            while watched.writes == 0 { await Task.yield() }
            let second = Task { try await pipeline.disclose(Self.look(1), to: caller) }
            await Self.wait(for: 1, in: pipeline)
            second.cancel()
            watched.letGo()
            try await first.value
            try await second.value
            #expect(try await world.events(after: before).count == 2)
        }
    }

    /// Up to eight at once, more in portions of powers of two, so that there are few texts.
    @Test func `rows are inserted in few statements of few kinds`() {
        for count in 0...100 {
            let rows = (0..<count).map { [Value.int(Int64($0)), .text("x")] }
            let statements = SQLRecords.insert("t (a, b)", rows)
            #expect(statements.flatMap(\.values) == rows.flatMap { $0 })
            #expect(statements.allSatisfy { [2, 4, 6, 8, 10, 12, 14, 16, 32, 64].contains($0.values.count) })
            #expect(statements.count <= count / 32 + 3)
            for statement in statements {
                #expect(statement.text.contains("$\(statement.values.count))"))
                #expect(!statement.text.contains("$\(statement.values.count + 1)"))
            }
        }
    }
}
