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
        let said = "What goes by dates was held until somebody confirmed it on "
        #expect(try await notices().allSatisfy { $0.notice.readAt != nil && $0.detail?.hasPrefix(said) == true })
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

    /// Its time since it started stands still meanwhile, and no other's does.
    @Test(arguments: TestDatabase.Kind.allCases)
    func `a machine that was paused is no clock that was set`(kind: TestDatabase.Kind) async throws {
        let machines = Machines(world: try await World.make(kind, populated: false))
        let (before, after) = (Span.seconds(50), Span.seconds(110))
        #expect(try await machines.look("first") == nil)
        #expect(try await machines.look("second", since: before) == nil)
        for _ in 0..<6 {
            machines.pass(.seconds(10))
            #expect(try await machines.look("first") == nil)
        }
        // It missed a minute, in the middle of the others’ ten seconds.
        machines.pass(.seconds(5))
        for _ in 0..<6 {
            #expect(try await machines.look("second", since: after) == nil)
            #expect(try await machines.look("first") == nil)
            machines.pass(.seconds(10))
        }
        #expect(try await machines.open() == nil)
        // It goes on noticing.
        #expect(try await machines.look("second", since: after) == nil)
        machines.pass(.seconds(1), set: .seconds(60))
        let seconds = try #require(try await machines.look("second", since: after))
        #expect((58...62).contains(seconds))
        #expect(try await machines.look("first") == nil)
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
        let stage = try await ApprovalStage(kind)
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

    /// The same database, for a server that holds its clock for wrong.
    private static func doubting(_ world: World) -> Pipeline {
        Pipeline(
            database: world.test.database, records: world.pipeline.records, directory: world.pipeline.directory,
            catalog: world.catalog, clock: world.pipeline.clock, settings: world.pipeline.settings,
            hooks: Pipeline.Hooks(isClockTrusted: { false }))
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `nobody is alone in an emergency by a clock that they set`(kind: TestDatabase.Kind) async throws {
        try await BreakGlassStage.with(kind) { stage in
            let world = stage.world
            let request = try await stage.ask(by: stage.ann)
            stage.advance(.minutes(11))
            let id = try await ClockJump.record(
                .minutes(11), in: world.test.database, world.pipeline.records, sendsMail: false)
            let refused = await stage.refusal {
                try await world.run("clock.confirm", on: id, version: 1, by: try await stage.fresh(stage.ann))
            }
            #expect(refused.contains("Somebody else confirms"), "\(refused)")
            // By that clock it is not over: it can be taken back, and then has opened nothing.
            let page = try #require(Consoles.all.flatMap(\.pages).first { $0.path == "/approvals/{id}" })
            let ann = try await stage.fresh(stage.ann)
            let shown = try await world.test.database.read { reader in
                try page.render(PageCallFixture.make(ann, path: ["id": request]), reader).body.text
            }
            #expect(shown.contains("/approvals/\(request)/cancel") && shown.contains("clock was set"))
            #expect(!shown.contains("It expired") && !shown.contains("Expired"))
            // Nor can anybody sign it by then.
            let signer = try await stage.fresh(stage.bob)
            let asked = try await world.test.database.read { reader in
                try page.render(PageCallFixture.make(signer, path: ["id": request]), reader).body.text
            }
            #expect(asked.contains("/approvals/\(request)/cancel"))
            for words in ["/approve\"", "not by you", "/reject\"", "Expired"] {
                #expect(!asked.contains(words), "\(words)")
            }
            let list = try #require(Consoles.all.flatMap(\.pages).first { $0.path == "/approvals" })
            let listed = try await world.test.database.read { reader in
                try list.render(PageCallFixture.make(ann, path: [:], query: ["view": ["mine"]]), reader).body.text
            }
            #expect(listed.contains("/approvals/\(request)\"") && listed.contains("Waiting"))
            #expect(!listed.contains("Expired"))
            _ = try await Self.doubting(world).run(stage.request("approval.cancel", on: request), by: ann)
            #expect(try await world.approval(request).state == .cancelled)
            try await world.run("clock.confirm", on: id, version: 1, by: try await stage.fresh(stage.ann))
            let alone = await stage.refusal { try await stage.solo(by: stage.ann) }
            #expect(alone.contains("Ask without “Alone” first"), "\(alone)")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `there is as long to say no to a recovery, however far the clock was set`(
        kind: TestDatabase.Kind
    ) async throws {
        let world = try await World.make(kind, populated: false)
        let admin = try await world.staff("admin", roles: ["super_admin"])
        let guardian = try await world.staff("guardian", roles: ["security"])
        func jumped(_ span: Span) async throws -> String {
            try await ClockJump.record(span, in: world.test.database, world.pipeline.records, sendsMail: false)
        }
        func confirm(_ id: String, _ version: Int64) async throws -> Applied {
            try await world.run(
                "clock.confirm", on: id, version: version, by: try await world.caller(guardian.person))
        }
        let turn = RecoveryTurn(pipeline: world.pipeline)
        try await world.run("staff.recover", on: admin.person, by: world.system)
        world.test.clock.advance(.hours(25))
        let applied = try await confirm(try await jumped(.hours(25)), 1)
        #expect(applied.consequence.contains("The account of admin is recovered at"), "\(applied.consequence)")
        #expect(try await turn.turn() == 0)
        world.test.clock.advance(.hours(23) + .minutes(59))
        #expect(try await turn.turn() == 0)
        // Back takes nothing from it.
        let back = try await confirm(try await jumped(.hours(-1)), 1)
        #expect(!back.consequence.contains("recovered"), "\(back.consequence)")
        // Nor does a small step that comes after a great one.
        world.test.clock.advance(.hours(25))
        let first = try await jumped(.hours(25))
        #expect(try await jumped(.seconds(31)) == first)
        _ = try await confirm(first, 2)
        world.test.clock.advance(.hours(23) + .minutes(59))
        #expect(try await turn.turn() == 0)
        world.test.clock.advance(.minutes(1))
        #expect(try await turn.turn() == 1)
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `by a clock that was set nobody signs for whoever made their account, however long ago it seems`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await ApprovalStage(kind)
        let world = stage.world
        let puppet = try await world.staff(
            "puppet", roles: ["super_admin"], grantedBy: stage.asker.person, ago: .hours(73))
        let id = try await stage.ask().approvalID
        let pipeline = Self.doubting(world)
        func approval() -> OperationRequest {
            OperationRequest(
                operation: "approval.approve", target: id, justification: "looked at it, and this is right",
                idempotencyKey: world.key())
        }
        let refused = await failure { _ = try await pipeline.run(approval(), by: try await stage.fresh(puppet)) }
        guard case .conflict(let detail, _) = refused, detail.contains("clock can’t be trusted") else {
            Issue.record("\(String(describing: refused))")
            return
        }
        // Whom nobody made what they are signs as always.
        #expect(try await pipeline.preview(approval(), by: try await stage.fresh(stage.signer)).allowed)
        let jump = try await ClockJump.record(
            .hours(73), in: world.test.database, world.pipeline.records, sendsMail: false)
        let caller = try await stage.fresh(puppet)
        let shown = try await world.test.database.read { reader in
            try ApprovalDetail.load(id, for: caller, from: reader).signatures.hindrance(toApprove: caller)
        }
        #expect(shown?.contains("clock can’t be trusted") == true)
        try await world.run("clock.confirm", on: jump, version: 1, by: try await stage.fresh(stage.signer))
        try await stage.decide("approve", id, by: puppet)
        #expect(try await world.approval(id).state == .scheduled)
        await world.close()
    }
}
