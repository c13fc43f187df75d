import HTML
import Kernel
import Store
import TestSupport
import Testing

@testable import Consoles

@Suite struct AuditLogTests {
    static let cursors = CursorCodec(key: [UInt8](repeating: 7, count: 32))

    static func read(_ world: World, _ query: [String: String], as caller: Caller? = nil) async throws -> EventList {
        let call = ReadCall(
            path: [:], query: query.mapValues { [$0] }, caller: caller ?? world.everybody, cursors: cursors)
        return try await world.test.database.read { reader in try EventList.load(call, from: reader) }
    }

    static func with(_ kind: TestDatabase.Kind, _ body: (World) async throws -> Void) async throws {
        let world = try await World.make(kind)
        do {
            try await body(world)
        } catch {
            await world.close()
            throw error
        }
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `pages hold every event once, older and back again`(_ kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { world in
            let all = try await Self.read(world, ["limit": "200"]).rows.map(\.id)
            #expect(all.count > 6)
            var seen: [String] = []
            var pages: [[String]] = []
            var query = ["limit": "3"]
            var last: EventList?
            repeat {
                let page = try await Self.read(world, query)
                seen += page.rows.map(\.id)
                pages.append(page.rows.map(\.id))
                last = page
                query["cursor"] = page.older
            } while query["cursor"] != nil
            #expect(seen == all)
            // The way back from the oldest page shows the same pages' events.
            let newer = try #require(last?.newer)
            let back = try await Self.read(world, ["limit": "3", "cursor": newer])
            #expect(back.rows.map(\.id) == pages[pages.count - 2])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `each filter leaves exactly the events it names`(_ kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { world in
            let all = try await Self.read(world, ["limit": "200"]).rows
            let sample = try #require(all.first { $0.action == "tenant.suspend" && $0.tenantID != nil })
            let filters: [(String, String, @Sendable (EventRow) -> Bool)] = [
                ("actor", sample.actorID, { $0.actorID == sample.actorID }),
                ("tenant", sample.tenantID!, { $0.tenantID == sample.tenantID }),
                ("tenant", "suspended", { $0.tenantID == sample.tenantID }),
                ("target", sample.targetID!, { $0.targetID == sample.targetID }),
                ("action", "tenant.suspend", { $0.action == "tenant.suspend" }),
                ("class", "mutation", { $0.eventClass == "mutation" }),
                ("outcome", "applied", { $0.outcome == "applied" }),
                ("from", sample.at.rfc3339, { $0.at >= sample.at }),
                ("until", sample.at.rfc3339, { $0.at < sample.at }),
                ("actor", "nobody@example.test", { _ in false }),
            ]
            for (name, value, belongs) in filters {
                let found = try await Self.read(world, [name: value, "limit": "200"]).rows.map(\.id)
                #expect(found == all.filter(belongs).map(\.id), "\(name)=\(value)")
            }
            let both = try await Self.read(
                world, ["action": "tenant.suspend", "tenant": sample.tenantID!, "class": "mutation"])
            #expect(both.rows.contains { $0.id == sample.id })
            #expect(both.rows.allSatisfy { $0.action == "tenant.suspend" && $0.tenantID == sample.tenantID })
        }
    }

    @Test func `filters that can't be read are all named, and a cursor of another filter is refused`() async throws {
        try await Self.with(.sqlite) { world in
            let wrong = await #expect(throws: OperationError.self) {
                try await Self.read(world, ["class": "nonsense", "outcome": "nonsense", "from": "yesterday"])
            }
            guard case .invalid(let errors)? = wrong else {
                Issue.record("answered \(String(describing: wrong))")
                return
            }
            #expect(errors.map(\.pointer) == ["?class", "?outcome", "?from"])
            let cursor = try #require(try await Self.read(world, ["limit": "2"]).older)
            await #expect(throws: OperationError.self) {
                try await Self.read(world, ["limit": "2", "cursor": cursor, "outcome": "applied"])
            }
        }
    }

    @Test func `every filter reads an index and sorts nothing`() async throws {
        try await Self.with(.sqlite) { world in
            var filters: [EventFilter] = [EventFilter()]
            for set: (inout EventFilter) -> Void in [
                { $0.actor = "a" }, { $0.tenant = "a" }, { $0.target = "a" }, { $0.action = "a" },
                { $0.eventClass = .mutation }, { $0.outcome = .denied }, { $0.from = TestDatabase.start },
            ] {
                var filter = EventFilter()
                set(&filter)
                filters.append(filter)
            }
            for filter in filters {
                let statement = EventQueries.page(filter, from: (TestDatabase.start, "evt_"), .older, limit: 51)
                let plan = try await TestQueries.plan(of: statement, in: world)
                #expect(
                    plan.contains("USING INDEX") && !plan.contains("TEMP B-TREE"),
                    "\(filter.json.canonicalText): \(plan)")
            }
            for statement in [
                HomeQueries.changesPerHour(since: TestDatabase.start), HomeQueries.denied(since: TestDatabase.start),
                HomeQueries.undelivered, EventQueries.linked(to: "evt_"),
                ApprovalListQueries.pending(of: "stf_", limit: 20),
            ] {
                let plan = try await TestQueries.plan(of: statement, in: world)
                #expect(
                    plan.firstMatch(of: /SCAN (?:events|outbox|deliveries|a)\b/) == nil,
                    "\(plan)")
            }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an event shows its values with the check against their commitments`(_ kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { world in
            let rows = try await Self.read(world, ["action": "tenant.suspend", "class": "mutation"]).rows
            let id = try #require(rows.first?.id)
            let event = try await world.test.database.read { reader in try EventDetail.load(id, from: reader) }
            #expect(event.isIntact)
            #expect(
                event.changes.contains { $0.type == "tenant" && $0.after?["status"] == "suspended" && !$0.isErased })
            #expect(event.value("justification")?.string == "because the test world needs it")
            #expect(event.json["sealed"]?["justification"]?["matches"] == true)

            try await world.test.tamper([TestQueries.replaceJustification(of: id)])
            let tampered = try await world.test.database.read { reader in try EventDetail.load(id, from: reader) }
            #expect(!tampered.isIntact)
            guard case .present(_, matches: false)? = tampered.members["justification"] else {
                Issue.record("the changed justification is not found")
                return
            }
        }
    }

    @Test func `an unknown event is not found`() async throws {
        try await Self.with(.sqlite) { world in
            for id in ["evt_01JCXRRK7QHM2V8T5E0ZB6WYND", "nonsense", ""] {
                await #expect(throws: OperationError.self) {
                    try await world.test.database.read { reader in try EventDetail.load(id, from: reader) }
                }
            }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `Home, the log and the requests can be looked at by anybody who is signed in`(_ kind: TestDatabase.Kind)
        async throws
    {
        try await Self.with(kind) { world in
            let catalog = world.catalog
            for caller in [world.everybody, world.person("nobody", permissions: [])] {
                let call = PageCall(path: [:], query: [:], caller: caller, cursors: Self.cursors, catalog: catalog)
                for page in HomeConsole.console.pages + AuditLogConsole.console.pages where !page.path.contains("{") {
                    let answer = try await world.test.database.read { reader in try page.render(call, reader) }
                    #expect(answer.body.text.contains("<h1>"), "\(page.path)")
                }
            }
        }
    }
}
