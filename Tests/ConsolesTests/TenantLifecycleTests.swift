import HTML
import Store
import TestSupport
import Testing

@testable import Consoles
@testable import Kernel

/// The specification's rows by the system, written out by hand: operation → from where, and where it leads.
private let reports: [String: (from: Set<TenantStatus>, to: TenantStatus)] = [
    "tenant.mark_ready": ([.pending], .ready), "tenant.mark_failed": ([.pending], .failed),
    "tenant.activate": ([.ready], .active), "tenant.expire": ([.active], .expired),
    "tenant.convert": ([.expired], .active), "tenant.cancel": ([.active, .suspended], .cancelled),
]

@Suite struct TenantLifecycleTests {
    private func report(_ operation: String, _ target: Tenant) throws(Refusal) -> Plan<Tenant> {
        switch operation {
        case "tenant.mark_ready": try MarkReady.plan(call(MarkReady.self, on: target, facts: NoFacts()))
        case "tenant.mark_failed": try MarkFailed.plan(call(MarkFailed.self, on: target, facts: NoFacts()))
        case "tenant.activate": try ActivateTenant.plan(call(ActivateTenant.self, on: target, facts: NoFacts()))
        case "tenant.expire": try ExpireTenant.plan(call(ExpireTenant.self, on: target, facts: NoFacts()))
        case "tenant.convert": try ConvertTenant.plan(call(ConvertTenant.self, on: target, facts: NoFacts()))
        default: try CancelTenant.plan(call(CancelTenant.self, on: target, facts: NoFacts()))
        }
    }

    @Test(arguments: TenantStatus.allCases, reports.keys.sorted())
    func `every report moves exactly the states of its row`(status: TenantStatus, operation: String) throws {
        let row = try #require(reports[operation])
        let target = tenant(status, resumesTo: status == .suspended ? .expired : nil)
        if row.from.contains(status) {
            let plan = try report(operation, target)
            #expect(plan.after?.status == row.to && plan.after?.statusSince == noon)
            #expect(plan.after?.resumesTo == nil && plan.alsoWrite.count == 1)
            // Whoever hears of tenants hears of each change of state once, by a name that can be asked for.
            let names = plan.effects.map(\.name)
            #expect(names.count == 1 && names.allSatisfy { name in WebhookEvent.all.contains { $0.name == name } })
        } else {
            let refusal = #expect(throws: Refusal.self) { try report(operation, target) }
            guard case .conflict(let sentence, _) = refusal else {
                Issue.record("\(String(describing: refusal))")
                return
            }
            #expect(sentence.contains(status.rawValue) && sentence.hasSuffix("."))
        }
    }

    @Test func `reports are the system's alone and stand in the table`() throws {
        for (name, row) in reports {
            let spec = try #require(TenantsConsole.console.operations.first { $0.spec.name == name }?.spec)
            #expect(spec.systemOnly)
            let transitions = TenantTransitions.table.filter { $0.by == .system(name) }
            #expect(Set(transitions.flatMap(\.from)) == row.from)
            #expect(transitions.allSatisfy { $0.to == .status(row.to) })
        }
    }

    private func status(_ slug: String, _ world: World) async throws -> String? {
        try await world.test.database.read { try $0.first(TestQueries.tenant(slug: slug))?.string("status") }
    }

    private func lifecycle(_ world: World, _ change: (inout TenantLifecycle.Settings) -> Void = { _ in })
        -> TenantLifecycle
    {
        var settings = TenantLifecycle.Settings()
        change(&settings)
        return TenantLifecycle(pipeline: world.pipeline, settings: settings, clock: world.test.clock.clock)
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `nothing is archived or asked for until that is switched on`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, populated: false)
        let id = try await world.tenant("gone")
        try await world.run("tenant.cancel", on: id, by: world.system)
        try await world.tenant("old", then: [("tenant.archive", "customer_departed")])
        world.test.clock.advance(.days(100))
        #expect(try await lifecycle(world).turn() == .init())
        #expect(try await status("gone", world) == "cancelled")
        #expect(try await status("old", world) == "archived")
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the cancelled are archived after thirty days, by the system and with a reason`(
        kind: TestDatabase.Kind
    ) async throws {
        let world = try await World.make(kind, populated: false)
        for slug in ["early", "late"] {
            let id = try await world.tenant(slug)
            try await world.run("tenant.cancel", on: id, by: world.system)
            world.test.clock.advance(.days(10))
        }
        let lifecycle = lifecycle(world) { $0.archivesCancelled = true }
        world.test.clock.advance(.days(9))
        #expect(try await lifecycle.turn() == .init())
        world.test.clock.advance(.days(1))
        let before = try await world.snapshot()
        #expect(try await lifecycle.turn().archived == 1)
        #expect(try await status("early", world) == "archived")
        #expect(try await status("late", world) == "cancelled")
        let event = try #require(try await world.events(after: before).first)
        #expect(event.action == "tenant.archive" && event.leaf["actor"] == ["type": "system", "id": "lifecycle"])
        #expect(event.leaf["reason_code"] == "customer_departed")
        // It stays restorable, to where it came from.
        let id = try await world.test.database.read { try $0.first(TestQueries.tenant(slug: "early"))?.string("id") }
        try await world.run("tenant.restore", on: id, reason: "customer_return")
        #expect(try await status("early", world) == "cancelled")
        // Its thirty days begin again: Postern recorded the state just now.
        #expect(try await lifecycle.turn().archived == 0)
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `after ninety days two people are asked, and nothing is deleted`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, populated: false)
        try await world.tenant("gone", then: [("tenant.archive", "customer_departed")])
        // Put away while somebody looked into it: that is for a person to decide.
        try await world.tenant(
            "held", then: [("tenant.suspend", "legal_hold"), ("tenant.archive", "customer_departed")])
        let lifecycle = lifecycle(world) { $0.requestsDeletion = true }
        world.test.clock.advance(.days(89))
        #expect(try await lifecycle.turn() == .init())
        world.test.clock.advance(.days(2))
        #expect(try await lifecycle.turn().requested == 1)
        #expect(try await status("gone", world) == "archived")
        let requests = try await world.test.database.read { reader in
            try reader.query(Statement("SELECT * FROM approvals ORDER BY id")).map(ApprovalRequest.init)
        }
        #expect(requests.count == 1 && requests[0].requester == "lifecycle" && requests[0].state == .pending)
        let demands = requests[0].demands.array?.compactMap { $0["demand"]?["all_of"]?.array?.count } ?? []
        #expect(demands == [2], "\(requests[0].demands.canonicalText)")
        // Once is enough, also when nobody answers.
        #expect(try await lifecycle.turn() == .init())
        world.test.clock.advance(.days(2))
        #expect(try await lifecycle.turn() == .init())
        world.test.clock.advance(.days(29))
        #expect(try await lifecycle.turn().requested == 1)
        // What a person asks for needs one signature more than their own, as before.
        let rules = Seeds.rules.filter {
            $0.covers("tenant.hard_delete") && $0.condition.matches(Measures(["automatic": false]))
        }
        #expect(rules.map(\.id) == ["tenant_hard_delete"])
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a legal hold stands over cancelling and archiving until it is lifted`(
        kind: TestDatabase.Kind
    ) async throws {
        let world = try await World.make(kind, populated: false)
        let id = try await world.tenant("held", then: [("tenant.suspend", "legal_hold")])
        try await world.run("tenant.cancel", on: id, by: world.system)
        try await world.run("tenant.archive", on: id, reason: "customer_departed")
        let lifecycle = lifecycle(world) { $0.requestsDeletion = true }
        world.test.clock.advance(.days(91))
        #expect(try await lifecycle.turn() == .init(), "nobody is asked")
        let request = OperationRequest(
            operation: "tenant.hard_delete", target: id, reasonCode: "retention_policy",
            justification: "It is kept for longer than the policy says.")
        let refused = try await world.pipeline.preview(request, by: world.everybody)
        #expect(!refused.allowed && refused.reasons.contains { $0.contains("legal hold") }, "\(refused.reasons)")
        for (operation, reason) in [
            ("tenant.restore", "customer_return"), ("tenant.suspend", "legal_hold"),
            ("tenant.restore", "legal_hold_lifted"), ("tenant.archive", "customer_departed"),
        ] {
            try await world.run(operation, on: id, reason: reason)
        }
        world.test.clock.advance(.days(91))
        let allowed = try await world.pipeline.preview(request, by: world.everybody)
        #expect(allowed.allowed, "\(allowed.reasons)")
        #expect(try await lifecycle.turn().requested == 1)
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the last word on a hold is the one written last, whatever the clock said`(
        kind: TestDatabase.Kind
    ) async throws {
        let world = try await World.make(kind, populated: false)
        let id = try await world.tenant("held")
        let now = world.test.clock.clock.now
        let words: [(code: String, at: Instant)] = [("legal_hold_lifted", now + .hours(1)), ("legal_hold", now)]
        let last = try await world.test.database.write { tx -> String? in
            for word in words {
                try tx.execute(
                    TenantQueries.history(
                        tenant: id, event: "evt_1", from: .active, to: .active, actor: .system("test"),
                        reasonCode: word.code, at: word.at))
            }
            return try tx.first(LifecycleQueries.hold(on: id))?.optionalString("reason_code")
        }
        #expect(last == "legal_hold")
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a tenant is restored out of the suspension of its legal hold only by lifting it`(
        kind: TestDatabase.Kind
    ) async throws {
        let world = try await World.make(kind, populated: false)
        let id = try await world.tenant(
            "held",
            then: [
                ("tenant.suspend", "legal_hold"), ("tenant.archive", "customer_departed"),
                ("tenant.restore", "customer_return"),
            ])
        for reason in ["payment_recovered", "investigation_closed"] {
            let refused = await failure { try await world.run("tenant.restore", on: id, reason: reason) }
            guard
                case .locked(
                    "A legal hold stands: choose “Suspended: the legal hold is lifted” (legal_hold_lifted).") = refused
            else {
                Issue.record("\(reason): \(String(describing: refused))")
                continue
            }
        }
        // Suspended again for something else, it is let in when that is over; the hold stands on and is seen.
        try await world.run("tenant.cancel", on: id, by: world.system)
        try await world.run("tenant.suspend", on: id, reason: "non_payment")
        try await world.run("tenant.restore", on: id, reason: "payment_recovered")
        func seen() async throws -> (hold: JSON?, page: String) {
            let caller = world.everybody
            let cursors = CursorCodec(key: Array(repeating: 9, count: 32))
            let call = ReadCall(path: ["id": id], query: [:], caller: caller, cursors: cursors)
            let page = PageCall(path: ["id": id], query: [:], caller: caller, cursors: cursors, catalog: world.catalog)
            return try await world.test.database.read { reader in
                (
                    hold: try TenantReads.view.run(call, reader).body["legal_hold"],
                    page: try TenantPage.page.render(page, reader).body.text
                )
            }
        }
        let held = try await seen()
        #expect(held.hold == true && held.page.contains("A legal hold stands."))
        // As the form of the restoration shows the choice.
        let lifting = "out of a suspension with the reason “Suspended: the legal hold is lifted” (legal_hold_lifted)."
        #expect(held.page.contains(lifting), "\(held.page)")
        try await world.run("tenant.suspend", on: id, reason: "legal_hold")
        try await world.run("tenant.restore", on: id, reason: "legal_hold_lifted")
        let free = try await seen()
        #expect(free.hold == nil && !free.page.contains("legal hold stands"))
        await world.close()
    }

    @Test func `what a legal hold stands on is locked`() {
        let refusal = #expect(throws: Refusal.self) {
            try HardDeleteTenant.plan(
                call(
                    HardDeleteTenant.self, on: tenant(.archived),
                    facts: .init(members: [], isMore: false, isHeld: true), reasonCode: "retention_policy"))
        }
        guard case .locked(let sentence) = refusal else {
            Issue.record("\(String(describing: refusal))")
            return
        }
        #expect(
            sentence.contains(
                "Restore tenant with the reason “Suspended: the legal hold is lifted” (legal_hold_lifted)"))
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `no more deletions are asked for than one may have open`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, populated: false)
        for number in 1...23 {
            try await world.tenant("t-\(number)", then: [("tenant.archive", "customer_departed")])
        }
        world.test.clock.advance(.days(91))
        let lifecycle = lifecycle(world) { $0.requestsDeletion = true }
        let before = try await world.snapshot()
        #expect(try await lifecycle.turn().requested == 20)
        #expect(try await lifecycle.turn() == .init())
        #expect(try await world.events(after: before).allSatisfy { $0.outcome == "requested" })
        world.test.clock.advance(.hours(25))
        #expect(try await lifecycle.turn().requested == 3)
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the first sign-in makes a tenant active`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, populated: false)
        try await world.tenant("used", status: "ready")
        try await world.tenant("unused", status: "ready")
        world.test.clock.advance(.hours(1))
        let now = world.test.clock.clock.now
        // What its product reports is taken over by the registry.
        try await world.run(
            "registry.import_batch",
            [
                "rows": [
                    [
                        "external_id": "ext-used", "name": "Tenant used", "slug": "used",
                        "last_activity_at": .string(now.rfc3339),
                    ]
                ]
            ], by: world.system)
        let lifecycle = lifecycle(world) { $0.batch = 1 }
        #expect(try await lifecycle.turn().activated == 1)
        #expect(try await status("used", world) == "active")
        #expect(try await status("unused", world) == "ready")
        #expect(try await lifecycle.turn().activated == 0)
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `what is due is found by index`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { test in
            try await test.asOwner { writer in
                if kind == .postgres { try writer.execute(Statement("SET LOCAL enable_seqscan = off")) }
                for statement in [
                    LifecycleQueries.ready(before: (noon, "ten_1"), limit: 10),
                    LifecycleQueries.cancelled(since: noon, limit: 10),
                    LifecycleQueries.deletable(at: noon, asked: noon, limit: 10),
                ] {
                    let plan = try writer.explain(statement, kind)
                    #expect(!plan.contains("Seq Scan") && !plan.contains("SCAN "), "\(plan)")
                    #expect(!plan.contains("TEMP B-TREE"), "\(plan)")
                }
            }
        }
    }
}

extension Writer {
    /// How the database would run a statement.
    func explain(_ statement: Statement, _ kind: TestDatabase.Kind) throws -> String {
        let explain = kind == .postgres ? "EXPLAIN " : "EXPLAIN QUERY PLAN "
        return try query(Statement(explain + statement.text, statement.values)).map { row in
            guard case .text(let line) = row[kind == .postgres ? "QUERY PLAN" : "detail"] else { return "" }
            return line
        }.joined(separator: "\n")
    }
}
