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
        let said = "What goes by dates was held until somebody confirmed it at "
        #expect(try await notices().allSatisfy { $0.notice.readAt != nil && $0.detail?.hasPrefix(said) == true })
        #expect(try await !page("/approvals", helper).contains("clock was set"))

        // The next one is another.
        let next = try await ClockJump.record(.seconds(31), in: world.test.database, records, sendsMail: false)
        #expect(next != jump.id)
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
