import HTML
import Kernel
import Store
import TestSupport
import Testing

@testable import Consoles

/// A clock that was set, until somebody has confirmed it (spec: access §5).
@Suite struct ClockJumpTests {
    @Test(arguments: TestDatabase.Kind.allCases)
    func `a clock that was set is one thing to look at, and stays so until it is confirmed`(
        kind: TestDatabase.Kind
    ) async throws {
        let world = try await World.make(kind, populated: false, sendsMail: true)
        let guardian = try await world.staff("guardian", roles: ["security"])
        let helper = try await world.staff("helper", roles: ["support_l2"])
        let records = world.pipeline.records
        let before = try await world.snapshot()
        for seconds in [60, -180] as [Int64] {
            _ = try await ClockJump.record(.seconds(seconds), in: world.test.database, records, sendsMail: true)
        }
        let events = try await world.events(after: before)
        #expect(events.map(\.action) == ["clock.jumped", "clock.jumped"])
        #expect(events.allSatisfy { $0.eventClass == "incident" })
        func open() async throws -> ClockJump? { try await world.test.database.read { try ClockJump.open(from: $0) } }
        let jump = try #require(try await open())
        #expect(jump.version == 2 && jump.times == 2 && jump.seconds == -180)
        #expect(try await world.entities(named: events[1].id) == ["clock_jump \(jump.id)"])

        func page(_ path: String, _ caller: Caller) async throws -> String {
            let page = try #require(Consoles.all.flatMap(\.pages).first { $0.path == path })
            let fresh = try await world.caller(caller.person)
            return try await world.test.database.read { reader in
                try page.render(PageCallFixture.make(fresh, path: [:]), reader).body.text
            }
        }
        let link = "/clock-jumps/\(jump.id)/confirm"
        #expect(try await page("/", guardian).contains(link))
        #expect(try await !page("/", helper).contains("clock was set"))
        let shown = try await page("/approvals", helper)
        #expect(shown.contains("clock was set") && !shown.contains(link))

        func notices() async throws -> [InboxEntry] {
            let writer = InboxWriter(pipeline: world.pipeline, slack: nil)
            while try await writer.turn().isMore {}
            let call = ReadCall(
                path: [:], query: ["view": ["all"]], caller: try await world.caller(guardian.person),
                cursors: CursorCodec(key: [UInt8](repeating: 1, count: 32)))
            let catalog = world.catalog
            return try await world.test.database.read {
                try InboxListing.load(call, catalog: catalog, from: $0).entries
            }
        }
        #expect(try await notices().map(\.path) == [link, link])
        let refused = await failure {
            try await world.run("clock.confirm", on: jump.id, by: try await world.caller(helper.person))
        }
        guard case .forbidden("clock.confirm", _) = refused else {
            Issue.record("\(String(describing: refused))")
            return
        }
        // The row is one for all of them: whoever saw the first has not seen the second.
        let seen = await failure {
            try await world.run("clock.confirm", on: jump.id, version: 1, by: try await world.caller(guardian.person))
        }
        guard case .preconditionFailed(current: 2) = seen else {
            Issue.record("\(String(describing: seen))")
            return
        }
        try await world.run("clock.confirm", on: jump.id, version: 2, by: try await world.caller(guardian.person))
        #expect(try await open() == nil)
        #expect(try await notices().allSatisfy { $0.notice.readAt != nil && $0.detail == "It was confirmed." })
        #expect(try await !page("/approvals", helper).contains("clock was set"))

        // The next one is another.
        let next = try await ClockJump.record(.seconds(31), in: world.test.database, records, sendsMail: false)
        #expect(next != jump.id)
        await world.close()
    }

    /// Servers that start one after the other, on machines whose time since they started is moved by hand.
    private struct Machines {
        let world: World
        let steady = ManualClock(Instant(microseconds: 60_000_000))

        func pass(_ span: Span, set jump: Span = .seconds(0)) {
            steady.advance(span)
            world.test.clock.advance(span + jump)
        }

        /// What a server notices that looks now.
        func look(_ boot: String? = "first", since start: Span = .seconds(0)) async throws -> Int64? {
            let clock = steady.clock
            return try await ClockMarks.look(
                boot: boot, steady: Clock { clock.now - start }, in: world.test.database, world.pipeline.records,
                sendsMail: false)?.jump.seconds
        }

        func open() async throws -> ClockJump? { try await world.test.database.read { try ClockJump.open(from: $0) } }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a clock that is set while no server runs is noticed by the next, once`(kind: TestDatabase.Kind) async throws {
        let machines = Machines(world: try await World.make(kind, populated: false))
        #expect(try await machines.look() == nil)
        machines.pass(.hours(8))
        #expect(try await machines.look() == nil)
        // Stopped, set, started.
        machines.pass(.seconds(10), set: .hours(25))
        let seconds = try #require(try await machines.look())
        #expect((90_000 - 2...90_000 + 2).contains(seconds))
        #expect(try await machines.open()?.seconds == seconds)
        #expect(try await machines.look() == nil)
        machines.pass(.seconds(40))
        #expect(try await machines.look() == nil)
        #expect(try await machines.open()?.times == 1)
        machines.pass(.seconds(10), set: .seconds(-3600))
        #expect(try await machines.look().map { abs($0 + 3600) <= 2 } == true)
        #expect(try await machines.open()?.times == 2)
        machines.pass(.seconds(10), set: .seconds(20))
        #expect(try await machines.look() == nil)
        await machines.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `every machine sees the same jump, and it is told once`(kind: TestDatabase.Kind) async throws {
        let machines = Machines(world: try await World.make(kind, populated: false))
        // The other one has run for less long.
        #expect(try await machines.look("first") == nil)
        #expect(try await machines.look("second", since: .seconds(50)) == nil)
        machines.pass(.minutes(5), set: .hours(25))
        #expect(try await machines.look("first") != nil)
        #expect(try await machines.look("second", since: .seconds(50)) == nil)
        #expect(try await machines.open()?.times == 1)
        await machines.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases, ["second", nil] as [String?])
    func `on a machine that was started again only what was set back is noticed`(
        kind: TestDatabase.Kind, boot: String?
    ) async throws {
        let machines = Machines(world: try await World.make(kind, populated: false))
        #expect(try await machines.look("first") == nil)
        machines.pass(.minutes(5), set: .seconds(-360))
        let seconds = try #require(try await machines.look(boot, since: .seconds(300)))
        #expect(abs(seconds + 60) <= 2)
        machines.pass(.seconds(1))
        #expect(try await machines.look(boot, since: .seconds(300)) == nil)
        machines.pass(.minutes(5), set: .hours(25))
        #expect(try await machines.look("third", since: .seconds(600)) == nil)
        #expect(try await machines.open()?.times == 1)
        await machines.world.close()
    }

    /// An answer that took a minute says nothing of a clock that is half a minute off.
    @Test(arguments: TestDatabase.Kind.allCases)
    func `an answer that took long is no clock that was set`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, populated: false)
        let steady = ManualClock(Instant(microseconds: 0))
        func look(taking span: Span) async throws -> Int64? {
            let reading = Clock {
                let now = steady.clock.now
                steady.advance(span)
                return now
            }
            return try await ClockMarks.look(
                boot: "first", steady: reading, in: world.test.database, world.pipeline.records, sendsMail: false)?
                .jump.seconds
        }
        #expect(try await look(taking: .seconds(0)) == nil)
        // The database's clock does not stand still meanwhile, and this machine's looks come before and after.
        world.test.clock.advance(.seconds(50))
        #expect(try await look(taking: .seconds(100)) == nil)
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `nobody ends a wait of their own by a clock that was set`(kind: TestDatabase.Kind) async throws {
        let stage = try await ApprovalTests.Stage(kind)
        let world = stage.world
        let guardian = try await world.staff("guardian", roles: ["security"])
        let pending = try await stage.ask()
        try await stage.decide("approve", pending.approvalID, by: stage.signer)
        // One that is an hour away is nearer by a day all the same.
        world.test.clock.advance(.hours(23))
        let id = try await ClockJump.record(
            .hours(23), in: world.test.database, world.pipeline.records, sendsMail: false)
        for caller in [stage.asker, stage.signer] {
            let refused = await failure {
                try await world.run("clock.confirm", on: id, version: 1, by: try await stage.fresh(caller))
            }
            guard case .conflict(let detail, _) = refused, detail.contains("Somebody else confirms") else {
                Issue.record("\(String(describing: refused))")
                return
            }
        }
        try await world.run("clock.confirm", on: id, version: 1, by: try await stage.fresh(guardian))
        // Once it is cancelled nothing of theirs waits.
        let next = try await ClockJump.record(
            .hours(1), in: world.test.database, world.pipeline.records, sendsMail: false)
        try await stage.decide("cancel", pending.approvalID, by: stage.asker)
        try await world.run("clock.confirm", on: next, version: 1, by: try await stage.fresh(stage.asker))
        await world.close()
    }
}
