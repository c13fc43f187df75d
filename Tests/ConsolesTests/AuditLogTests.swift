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

    @Test(arguments: TestDatabase.Kind.allCases)
    func `what is rare among what is common is found by going on, at the same cost a page`(
        _ kind: TestDatabase.Kind
    ) async throws {
        let world = try await World.make(kind, populated: false)
        let window = EventFilter.Walk.window
        let start = world.test.clock.clock.now
        func look(_ number: Int, _ outcome: EventOutcome = .applied) -> EventDraft {
            EventDraft(at: start + .seconds(Int64(number)), .access, "test.look", outcome, actor: .system("test"))
        }
        // The oldest and the newest match; between them lie more than one page looks at.
        try await world.pipeline.record([look(0, .denied)])
        for first in stride(from: 1, through: window + 100, by: 500) {
            try await world.pipeline.record((first..<min(first + 500, window + 101)).map { look($0) })
        }
        try await world.pipeline.record([look(window + 101, .denied)])

        let filter = ["action": "test.look", "outcome": "denied"]
        let first = try await Self.read(world, filter)
        #expect(first.rows.count == 1 && first.lookedTo != nil && first.newer == nil)
        let older = try #require(first.older)
        let second = try await Self.read(world, filter.merging(["cursor": older]) { _, new in new })
        #expect(second.rows.count == 1 && second.lookedTo == nil && second.older == nil)
        #expect(second.rows[0].at == start)
        // And back, which again looks no further than it may.
        let newer = try #require(second.newer)
        let back = try await Self.read(world, filter.merging(["cursor": newer]) { _, new in new })
        #expect(back.rows.isEmpty && back.lookedTo != nil)
        let newest = try await Self.read(
            world, filter.merging(["cursor": try #require(back.newer)]) { _, new in new })
        #expect(newest.rows.map(\.id) == first.rows.map(\.id))
        await world.close()
    }

    @Test func `filters that can't be read are all named, and a cursor of another filter is refused`() async throws {
        try await Self.with(.sqlite) { world in
            let wrong = await #expect(throws: OperationError.self) {
                try await Self.read(
                    world,
                    [
                        "actor": "nobody@example.test", "tenant": "nobody", "class": "nonsense", "outcome": "nonsense",
                        "from": "yesterday",
                    ])
            }
            guard case .invalid(let errors)? = wrong else {
                Issue.record("answered \(String(describing: wrong))")
                return
            }
            #expect(errors.map(\.pointer) == ["?actor", "?tenant", "?class", "?outcome", "?from"])
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
                ApprovalListQueries.own(of: "stf_", before: nil, limit: 20),
                ApprovalListQueries.asking(["role:a"], besides: "stf_", after: nil, now: TestDatabase.start, limit: 51),
                ApprovalListQueries.countAsking(["role:a"], besides: "stf_", now: TestDatabase.start),
                ApprovalListQueries.open(after: nil, now: TestDatabase.start, limit: 51),
                ApprovalListQueries.decided(before: nil, limit: 51),
                ApprovalListQueries.signed(by: "stf_", before: nil, limit: 51),
                ApprovalListQueries.live(on: "ten_"),
                EventQueries.head(type: "tenant", id: "ten_"),
                TenantQueries.activity(of: "ten_", before: (TestDatabase.start, "evt_"), limit: 51),
            ] {
                let plan = try await TestQueries.plan(of: statement, in: world)
                #expect(
                    plan.firstMatch(of: /SCAN (?:events|outbox|deliveries|approvals)\b/) == nil,
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
            guard case .present(_, _, matches: false)? = tampered.members["justification"] else {
                Issue.record("the changed justification is not found")
                return
            }
        }
    }

    private static func undo(
        _ event: String, as caller: Caller, in world: World
    ) async throws -> EventUndo {
        let catalog = world.catalog
        return try await world.test.database.read { reader in
            try EventUndo.of(
                try EventDetail.load(event, from: reader), for: caller, catalog: catalog, from: reader)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the way back is offered to who may take it, while it can be taken`(_ kind: TestDatabase.Kind) async throws {
        try await Self.with(kind) { world in
            let id = try await world.tenant("moving")
            let done = try await world.run("tenant.suspend", on: id, reason: "abuse")
            guard case .now(let title, _) = try await Self.undo(done.eventID, as: world.everybody, in: world) else {
                Issue.record("not offered")
                return
            }
            #expect(title == "Restore tenant")
            let suspender = world.person("sue", permissions: ["audit.view", "tenant.suspend"])
            guard case .absent = try await Self.undo(done.eventID, as: suspender, in: world) else {
                Issue.record("offered without the inverse's permission")
                return
            }
            var offer = try await world.pipeline.undoOffer(for: done.eventID, by: world.everybody).request
            offer.idempotencyKey = world.key()
            offer.justification = "it was the wrong one"
            guard case .applied(let back) = try await world.pipeline.run(offer, by: world.everybody).result else {
                Issue.record("the undo waits")
                return
            }
            guard
                case .off("undone already", let detail) = try await Self.undo(
                    done.eventID, as: world.everybody, in: world)
            else {
                Issue.record("offered twice")
                return
            }
            #expect(detail.text.contains("/audit/\(back.eventID)"))
            try await world.run("tenant.suspend", on: id, reason: "abuse")
            guard
                case .off("it has changed since", _) = try await Self.undo(
                    back.eventID, as: world.everybody, in: world)
            else {
                Issue.record("offered after a later change")
                return
            }

            let archived = try await world.run("tenant.archive", on: id, reason: "customer_departed")
            world.test.clock.advance(.hours(25))
            guard
                case .off(let why, let late) = try await Self.undo(
                    archived.eventID, as: world.everybody, in: world)
            else {
                Issue.record("offered after its time")
                return
            }
            #expect(why.hasPrefix("possible until") && late.text.contains("/tenants/\(id)"))
            let created = try #require(
                try await Self.read(world, ["action": "tenant.create", "limit": "1"]).rows.first?.id)
            guard case .never(let sentence) = try await Self.undo(created, as: world.everybody, in: world) else {
                Issue.record("creating can be undone")
                return
            }
            #expect(sentence.contains("Archive it instead"))
        }
    }

    private static func page(
        _ page: Page, _ world: World, _ id: String, query: [String: [String]] = [:], as caller: Caller? = nil
    ) async throws -> String {
        let call = PageCall(
            path: ["id": id], query: query, caller: caller ?? world.everybody, cursors: cursors, catalog: world.catalog)
        return try await world.test.database.read { reader in try page.render(call, reader).body.text }
    }

    @Test func `a batch of a thousand rows is a small page that can be unfolded`() async throws {
        try await Self.with(.sqlite) { world in
            let rows = (0..<300).map { number in
                JSON.object([
                    "external_id": .string("big-\(number)"), "name": .string("Big \(number)"),
                    "slug": .string("big-\(number)"), "owner_email": .string("owner@big-\(number).test"),
                ])
            }
            let batch = try await world.run("registry.import_batch", ["rows": .array(rows)], by: world.system)
            let text = try await Self.page(AuditPages.detail, world, batch.eventID)
            #expect(text.utf8.count < 50_000, "\(text.utf8.count)")
            #expect(text.contains("more") && text.contains("/audit/\(batch.eventID)?all=1"))
            let all = try await Self.page(AuditPages.detail, world, batch.eventID, query: ["all": ["1"]])
            #expect(all.utf8.count > 100_000 && !all.contains("?all=1"))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `deleting a tenant of many members is previewed, asked for and approved on small pages`(
        _ kind: TestDatabase.Kind
    ) async throws {
        try await Self.with(kind) { world in
            let members = (0..<250).map { JSON.object(["email": .string("m\($0)@crowd.test"), "role": "member"]) }
            try await world.run(
                "registry.import_batch",
                [
                    "rows": [
                        ["external_id": "crowd", "name": "Crowd", "slug": "crowd", "members": .array(members)]
                    ]
                ], by: world.system)
            let id = try #require(
                try await world.test.database.read { try $0.first(EventQueries.tenant(slug: "crowd"))?.string("id") })
            try await world.run("tenant.archive", on: id, reason: "customer_departed")
            world.test.clock.advance(.days(91))
            var request = OperationRequest(
                operation: "tenant.hard_delete", target: id, reasonCode: "retention_policy",
                justification: "kept for long enough")
            let preview = try await world.pipeline.preview(request, by: world.everybody)
            #expect(preview.changes.count == 251)
            let spec = HardDeleteTenant.spec
            let first = OperationViews.preview(preview, spec: spec).text
            #expect(first.utf8.count < 50_000 && first.contains("and 201 more"))
            #expect(first.contains("value=\"preview-all\"") && first.contains("Show all 251"))
            #expect(!OperationViews.preview(preview, spec: spec, showsAll: true).text.contains("more</"))

            request.idempotencyKey = world.key()
            guard case .pending(let pending) = try await world.pipeline.run(request, by: world.everybody).result else {
                Issue.record("it does not wait")
                return
            }
            // What is only asked for is not told as if it had happened.
            let asked = try await Self.page(AuditPages.detail, world, pending.eventID)
            #expect(asked.contains("Would happen") && !asked.contains("In words"))
            let approval = try await Self.page(ApprovalPages.detail, world, pending.approvalID)
            #expect(approval.utf8.count < 50_000 && approval.contains("?all=1"))
            #expect(approval.contains("and 251 changes, field by field"))
            // Who loses a membership is called by name, for whoever may look at customers' people.
            #expect(approval.contains("Membership of m") && !approval.contains("Membership of usr_"))
            let viewer = world.person("viewer", permissions: ["approval.view"])
            let unnamed = try await Self.page(ApprovalPages.detail, world, pending.approvalID, as: viewer)
            #expect(unnamed.contains("Membership of usr_") && !unnamed.contains("@crowd.test"))
            let all = try await Self.page(
                ApprovalPages.detail, world, pending.approvalID, query: ["all": ["1"]])
            #expect(all.components(separatedBy: "<tbody>").count > 251)
            #expect(!all.contains("changes, field by field") && all.contains("What exactly is signed"))

            // Its twin can't be asked for: the control says so and leads to the request, for who may look at it.
            let tenant = try await Self.page(TenantPage.page, world, id)
            #expect(tenant.contains("waits for approval") && tenant.contains("/approvals/\(pending.approvalID)"))
            #expect(!tenant.contains("\(id)/hard-delete\""))
            let other = world.person("other", permissions: ["tenant.view", "tenant.hard_delete"])
            let closed = try await Self.page(TenantPage.page, world, id, as: other)
            #expect(closed.contains("waits for approval") && !closed.contains("/approvals/\(pending.approvalID)"))
            world.test.clock.advance(.hours(25))
            #expect(try await Self.page(TenantPage.page, world, id).contains("\(id)/hard-delete\""))
        }
    }

    @Test func `pages link only to what the person may open`() async throws {
        try await Self.with(.sqlite) { world in
            let id = try await world.tenant("linked")
            let done = try await world.run("tenant.suspend", on: id, reason: "abuse")
            let auditor = world.person("auditor", permissions: ["audit.view"])
            let text = try await Self.page(AuditPages.detail, world, done.eventID, as: auditor)
            #expect(text.contains(id) && !text.contains("href=\"/tenants/"))
            #expect(text.contains("In words") && !text.contains("Would happen"))
            #expect(try await Self.page(AuditPages.detail, world, done.eventID).contains("href=\"/tenants/\(id)\""))
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
