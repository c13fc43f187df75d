import HTML
import Kernel
import Store
import TestSupport
import Testing

@testable import Consoles

/// Break-glass opened by one alone: when it can be, what it locks, and that it locks wherever permissions are asked for.
@Suite struct SoloLockTests {
    // MARK: When

    @Test(arguments: TestDatabase.Kind.allCases)
    func `it opens only after nobody answered, on that tenant, within the hour`(kind: TestDatabase.Kind) async throws {
        try await BreakGlassStage.with(kind) { stage in
            func refusal(on tenant: String = "acme") async -> String {
                await stage.refusal { try await stage.solo(by: stage.ann, on: tenant) }
            }
            #expect(await refusal().contains("There is another super admin who could agree."))
            let request = try await stage.ask(by: stage.ann)
            #expect(await refusal().contains("\(request) still waits"))
            stage.advance(.minutes(10))
            try await stage.world.pipeline.expireOverdue()
            #expect(await refusal(on: "other").contains("Ask without “Alone” first"), "it was asked for another tenant")
            stage.advance(.minutes(61))
            #expect(await refusal().contains("Ask without “Alone” first"), "that was long ago")

            _ = try await stage.ask(by: stage.ann)
            stage.advance(.minutes(10))
            try await stage.world.pipeline.expireOverdue()
            let empty = await stage.refusal {
                try await stage.apply(
                    "breakglass.open", ["tenant": "acme", "solo": true], reason: "outage", by: stage.ann)
            }
            #expect(empty == "/input/tried Say whom you tried to reach, how, and what came of it.")
            let before = try await stage.world.snapshot()
            let applied = try await stage.solo(by: stage.ann)
            #expect(applied.after?["solo"] == true && applied.undo == nil)
            let events = try await stage.world.events(after: before)
            #expect(events.map(\.action) == ["breakglass.open"] && events[0].leaf["facts"]?["solo"] == true)
            #expect(events[0].leaf["approval_id"] == nil)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a rejection and a request that was taken back open nothing`(kind: TestDatabase.Kind) async throws {
        try await BreakGlassStage.with(kind) { stage in
            let taken = try await stage.ask(by: stage.ann)
            try await stage.world.run("approval.cancel", on: taken, by: stage.fresh(stage.ann))
            #expect(
                await stage.refusal { try await stage.solo(by: stage.ann) }.contains("Ask without “Alone” first"))
            let refused = try await stage.ask(by: stage.ann)
            try await stage.world.run("approval.reject", on: refused, by: stage.fresh(stage.bob))
            #expect(
                await stage.refusal { try await stage.solo(by: stage.ann) }.contains("said no within the last hour"))
            // Not even when another one was not answered meanwhile.
            _ = try await stage.ask(by: stage.ann)
            stage.advance(.minutes(11))
            try await stage.world.pipeline.expireOverdue()
            #expect(
                await stage.refusal { try await stage.solo(by: stage.ann) }.contains("said no within the last hour"))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `where nobody else can sign in it opens at once`(kind: TestDatabase.Kind) async throws {
        try await BreakGlassStage.with(kind) { stage in
            #expect(await stage.refusal { try await stage.solo(by: stage.ann) }.contains("another super admin"))
            let before = try #require(
                try await stage.world.test.database.read { try Factor.load("fac_bob", from: $0) })
            var after = before
            after.status = .revoked
            after.version += 1
            try await stage.world.put([.update(before, to: after)])
            try await stage.solo(by: stage.ann)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `sending the other super_admin away does not make one alone`(kind: TestDatabase.Kind) async throws {
        try await BreakGlassStage.with(kind) { stage in
            try await stage.apply("staff.deactivate", on: stage.bob.person, reason: "left", by: stage.ann)
            #expect(await stage.refusal { try await stage.solo(by: stage.ann) }.contains("were super admins lately"))
            stage.advance(.days(31))
            try await stage.solo(by: stage.ann)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `nobody locks themself in where nobody could let them out`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, populated: false)
        let only = try await world.staff("only", roles: ["super_admin"])
        try await world.tenant("acme")
        let request = OperationRequest(
            operation: "breakglass.open",
            input: ["tenant": "acme", "solo": true, "tried": .string(BreakGlassStage.tried)],
            reasonCode: "outage", justification: "because the test needs it", ticket: "INC-1",
            idempotencyKey: world.key())
        guard case .conflict(let detail, _) = await failure({ _ = try await world.pipeline.run(request, by: only) })
        else {
            Issue.record("the only person there locked themself in")
            return
        }
        #expect(detail.contains("Nobody else could review it"))
        await world.close()
    }

    // MARK: What it locks

    @Test func `each permission is locked or carried, cell by cell`() {
        let all = PermissionCatalog.entries.map(\.code)
        let held = Permissions(Dictionary(uniqueKeysWithValues: all.map { ($0, [Limit]?.none) }))
        func kept(isOpen: Bool, isSolo: Bool) -> Set<String> {
            let emergency = Emergency(
                id: "brk_1", tenant: "ten_1", endsAt: TestDatabase.start, isOpen: isOpen, isSolo: isSolo)
            let left = SoloLock.apply(emergency, to: ["super_admin"], held)
            #expect(left.roles == (isSolo ? [] : ["super_admin"]))
            return Set(left.permissions.granted.keys)
        }
        #expect(kept(isOpen: true, isSolo: false) == Set(all))
        #expect(kept(isOpen: false, isSolo: false) == Set(all))
        #expect(kept(isOpen: false, isSolo: true) == ["breakglass.view"])
        let open = kept(isOpen: true, isSolo: true)
        for entry in PermissionCatalog.entries {
            #expect(open.contains(entry.code) == SoloLock.carried.contains(entry.code), "\(entry.code)")
        }
        #expect(SoloLock.carried.isSubset(of: all), "\(SoloLock.carried.subtracting(all))")
        // Nothing critical, nothing that gives power or signs, no money, nothing that leaves the house.
        for code in SoloLock.carried {
            #expect(PermissionCatalog[code]?.risk != .critical, "\(code)")
            for word in [
                "staff.", "policy.", "approval.", "setting.", "scim.", "oidc.", "payment.", "subscription.", "bulk.",
            ] {
                #expect(!code.hasPrefix(word), "\(code)")
            }
            #expect(!code.contains("export") && !code.contains("delete") && code != "tenant.credit", "\(code)")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `while it is open its tenant can be helped, and nothing else touched or seen`(
        kind: TestDatabase.Kind
    ) async throws {
        try await BreakGlassStage.with(kind) { stage in
            let id = try await stage.openAlone(by: stage.ann)
            try await stage.apply("tenant.set_note", on: stage.acme, ["note": "Outage."], by: stage.ann)
            let before = try await stage.world.snapshot()
            let elsewhere = await stage.refusal {
                try await stage.apply("tenant.set_note", on: stage.other, ["note": "Mine."], by: stage.ann)
            }
            #expect(elsewhere.hasPrefix("tenant.set_note: You opened break-glass alone"), "\(elsewhere)")
            let ann = try await stage.fresh(stage.ann)
            let preview = await stage.refusal {
                try await stage.world.pipeline.preview(
                    stage.request("tenant.set_note", on: stage.other, ["note": "Mine."]), by: ann)
            }
            #expect(preview.hasPrefix("tenant.set_note: You opened break-glass alone"), "\(preview)")
            for (operation, target, input) in [
                ("staff.invite", nil, ["email": "x@y.example", "name": "X", "roles": ["support_l1"]]),
                ("tenant.hard_delete", stage.acme, [:]), ("approval.approve", "apr_x", [:]),
                ("setting.change", "idle_minutes", ["value": 10]), ("breakglass.review", id, [:]),
            ] as [(String, String?, JSON)] {
                let said = await stage.refusal {
                    try await stage.world.pipeline.preview(stage.request(operation, on: target, input), by: ann)
                }
                #expect(
                    said.contains("You opened break-glass alone") || said.hasPrefix("/input"), "\(operation): \(said)")
            }
            #expect(try await stage.world.snapshot().state == before.state)
            #expect(
                try await stage.world.events(after: before).contains {
                    $0.action == "authz.denied" && $0.leaf["facts"]?["breakglass"]?.string == id
                })

            func see(_ name: String, _ path: [String: String]) async -> String {
                guard let read = stage.world.catalog.reads.first(where: { $0.name == name }) else {
                    return "no such read"
                }
                let call = ReadCall(
                    path: path, query: [:], caller: ann, cursors: CursorCodec(key: [UInt8](repeating: 1, count: 32)))
                return await stage.refusal {
                    try await stage.world.pipeline.read(read.permission, by: ann) { reader in
                        let answer = try read.run(call, reader)
                        return (answer, answer.disclosure)
                    }
                }
            }
            #expect(await see("tenant.view", ["id": stage.acme]) == "was allowed")
            #expect(await see("tenant.view", ["id": stage.other]).contains("alone"))
            #expect(await see("breakglass.view", ["id": id]) == "was allowed")
            #expect(await see("breakglass.list", [:]) == "was allowed")
            #expect(await see("tenant.list", [:]).contains("alone"), "a list is of all tenants")
            #expect(await see("staff.list", [:]).hasPrefix("staff.view: You opened break-glass alone"))
            #expect(await see("audit.list", [:]).contains("alone"))
            let search = await stage.refusal {
                let page = SearchPage.page
                return try await stage.world.pipeline.read(page.permission(among: ann.permissions), by: ann) { reader in
                    let answer = try page.render(PageCallFixture.make(ann, query: ["q": ["other"]]), reader)
                    return (answer, answer.disclosure)
                }
            }
            #expect(search.hasPrefix("tenant.view: You opened break-glass alone"), "\(search)")

            stage.advance(.minutes(30))
            let after = try await stage.fresh(stage.ann)
            #expect(Set(after.permissions.granted.keys) == ["breakglass.view"], "before the worker says so")
            try await stage.turn()
            #expect(Set(try await stage.fresh(stage.ann).permissions.granted.keys) == ["breakglass.view"])
            let gone = await stage.refusal {
                try await stage.apply("tenant.set_note", on: stage.acme, ["note": "Still."], by: stage.ann)
            }
            #expect(gone.contains("your privileges are locked"))
            try await stage.review(id, by: stage.bob)
            try await stage.apply("tenant.set_note", on: stage.other, ["note": "Free."], by: stage.ann)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `whoever is locked hears nothing of another tenant by undoing what was done to it`(
        kind: TestDatabase.Kind
    ) async throws {
        try await BreakGlassStage.with(kind) { stage in
            let done = try await stage.apply(
                "tenant.set_note", on: stage.other, ["note": "Owes us a secret."], by: stage.bob)
            try await stage.apply("tenant.set_note", on: stage.other, ["note": "Since then."], by: stage.bob)
            let own = try await stage.apply("tenant.set_note", on: stage.acme, ["note": "Outage."], by: stage.bob)
            func offer(_ event: String) async throws -> String {
                let ann = try await stage.fresh(stage.ann)
                return await stage.refusal {
                    try await stage.world.pipeline.undoOffer(for: event, by: ann)
                }
            }
            // Whoever may see it is told what stood there.
            #expect(try await offer(done.eventID).contains("Since then."))
            _ = try await stage.openAlone(by: stage.ann)
            let before = try await stage.world.snapshot()
            let said = try await offer(done.eventID)
            #expect(said.contains("You opened break-glass alone") && !said.contains("Since then."), "\(said)")
            #expect(try await stage.world.events(after: before).map(\.action) == ["authz.denied"])
            #expect(try await offer(own.eventID) == "was allowed")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `whoever is locked signs nothing, and what they signed or asked for comes to nothing meanwhile`(
        kind: TestDatabase.Kind
    ) async throws {
        try await BreakGlassStage.with(kind) { stage in
            let third = try await stage.world.staff("third", roles: ["super_admin"])
            for tenant in [stage.acme, stage.other] {
                try await stage.world.run("tenant.archive", on: tenant, reason: "customer_departed")
            }
            stage.advance(.days(91))
            // Signed by ann before, for somebody else; and asked for by ann, signed by another.
            let signed = try await stage.world.ask(
                "tenant.hard_delete", on: stage.other, reason: "retention_policy", by: stage.fresh(third))
            try await stage.approve(signed.approvalID, by: stage.ann)
            let own = try await stage.world.ask(
                "tenant.hard_delete", on: stage.acme, reason: "retention_policy", by: stage.fresh(stage.ann))
            try await stage.approve(own.approvalID, by: stage.bob)
            let id = try await stage.openAlone(by: stage.ann)

            let request = try await stage.world.ask(
                "staff.grant_role", on: stage.lee.person, ["role": "legal"], by: stage.fresh(third))
            #expect(
                await stage.refusal { try await stage.approve(request.approvalID, by: stage.ann) }
                    .hasPrefix("approval.decide: You opened break-glass alone"))
            stage.advance(.hours(25))
            #expect(try await stage.world.pipeline.executeDue() == 2)
            #expect(try await stage.world.approval(signed.approvalID).state == .pending, "a leaf is open again")
            #expect(try await stage.world.approval(own.approvalID).state == .failed)
            try await stage.turn()
            try await stage.review(id, by: stage.sam)
            #expect(try await stage.fresh(stage.ann).roles == ["super_admin"])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a session is locked on its next request, and free again on the one after the review`(
        kind: TestDatabase.Kind
    ) async throws {
        let world = try await World.make(kind, populated: false)
        let fixture = try await StaffFixture.make(world.test, seeded: false)
        let people = try await fixture.invite(
            [("sam@example.test", ["security"]), ("ann@example.test", ["super_admin"])], by: world.everybody)
        let (sam, ann) = (people[0], people[1])
        let tenant = try await world.tenant("acme")
        var session = try await fixture.signIn(ann)
        var caller = try await fixture.caller(session)
        #expect(caller.emergency == nil && caller.roles == ["super_admin"])
        let opened = try await fixture.pipeline.run(
            OperationRequest(
                operation: "breakglass.open",
                input: ["tenant": .string(tenant), "solo": true, "tried": .string(BreakGlassStage.tried)],
                reasonCode: "security", justification: "Their sessions are being stolen.", ticket: "INC-1",
                idempotencyKey: "k1"), by: caller)
        guard case .applied(let applied) = opened.result, let id = applied.target else {
            throw StoreError.other("not opened")
        }
        caller = try await fixture.caller(session)
        #expect(caller.emergency?.id == id && caller.emergency?.isOpen == true && caller.emergency?.isSolo == true)
        #expect(caller.roles.isEmpty && Set(caller.permissions.granted.keys) == SoloLock.carried)
        // The same for a second session, and for whoever comes back later.
        #expect(try await fixture.caller(try await fixture.signIn(ann)).roles.isEmpty)
        world.test.clock.advance(.minutes(31))
        try await BreakGlassTurn(pipeline: fixture.pipeline).turn()
        session = try await fixture.signIn(ann)
        #expect(Set(try await fixture.caller(session).permissions.granted.keys) == SoloLock.afterwards)
        let reviewer = try await fixture.caller(try await fixture.signIn(sam))
        _ = try await fixture.pipeline.run(
            OperationRequest(
                operation: "breakglass.review", target: id,
                input: ["verdict": "justified", "findings": "The right thing to do, and done with care."],
                justification: "Read every event of it.", idempotencyKey: "k2"), by: reviewer)
        caller = try await fixture.caller(session)
        #expect(caller.roles == ["super_admin"] && caller.emergency == nil)
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the search of policy is not misled by a lock`(kind: TestDatabase.Kind) async throws {
        try await BreakGlassStage.with(kind) { stage in
            func state() async throws -> [String] {
                try await stage.world.test.database.read { reader in
                    try PolicyState.load(from: reader).people.map { "\($0.person) \($0.roles.sorted())" }
                }
            }
            func findings() async throws -> [String] {
                try await stage.world.test.database.read { reader in
                    PolicyActs.lint.findings(try PolicyState.load(from: reader)).map(\.sentence)
                }
            }
            let (before, found) = (try await state(), try await findings())
            _ = try await stage.openAlone(by: stage.ann)
            #expect(try await state() == before)
            #expect(try await findings() == found)
        }
    }

    @Test func `opening it gives nothing that the search of policy counts as power`() {
        #expect(PolicyLint.gains.keys.allSatisfy { !$0.hasPrefix("breakglass.") })
        let rule = Seeds.rules.first { $0.id == "breakglass" }
        #expect(rule?.demand == .role(["super_admin"]) && rule?.window == .minutes(10) && rule?.cooldown == nil)
        #expect(rule?.condition.matches(Measures(["solo": false])) == true)
        #expect(rule?.condition.matches(Measures(["solo": true])) == false)
        // What can't be measured waits for the second person.
        #expect(rule?.condition.matches(.none) == true)
    }

    // MARK: Telling

    @Test(arguments: TestDatabase.Kind.allCases)
    func `everybody with a say is told, and those who could agree at once`(kind: TestDatabase.Kind) async throws {
        try await BreakGlassStage.with(kind, sendsMail: true) { stage in
            let world = stage.world
            var settings = DeliveryOutbox.Settings()
            settings.channels = [.mail]
            let outbox = DeliveryOutbox(pipeline: world.pipeline, settings: settings, clock: world.test.clock.clock)
            func told() async throws -> [String] {
                while try await outbox.distribute() {}
                var out: [String] = []
                while true {
                    let parcels = try await outbox.claim(10, inFlight: [:])
                    if parcels.isEmpty { break }
                    for parcel in parcels {
                        let mail = MailMessage(parcel.body)
                        out.append("\(mail?.to ?? "nobody"): \(mail?.subject ?? "")")
                        #expect(mail?.text.contains("acme") == false && mail?.text.contains("Tenant") == false)
                        try await outbox.settle(parcel, .delivered(status: 250), took: .milliseconds(1))
                    }
                }
                return out.sorted()
            }
            func all(_ subject: String, _ people: [String]) -> [String] {
                people.map { "\($0)@staff.test: \(subject)" }
            }
            let request = try await stage.ask(by: stage.ann)
            #expect(try await told() == all("Break-glass waits for your signature, for 10 minutes", ["bob"]))
            try await stage.approve(request, by: stage.bob)
            #expect(
                try await told()
                    == all("Your request was carried out", ["ann"]) + all("Break-glass was opened", ["bob", "sam"]))
            let id = try #require(try await stage.live(of: stage.ann)).id
            try await stage.apply("breakglass.end", on: id, by: stage.sam)
            #expect(
                try await told()
                    == all("Break-glass has ended, and its review is owed", ["ann", "bob", "sam"]))
            stage.advance(.hours(49))
            try await stage.turn()
            #expect(try await told() == all("The review of a break-glass is overdue", ["ann", "bob", "sam"]))
            try await stage.review(id, by: stage.sam)
            #expect(try await told() == all("Your break-glass was reviewed", ["ann"]))
            _ = try await stage.openAlone(by: stage.ann)
            #expect(
                try await told().filter { $0.contains("alone") }
                    == all("Break-glass was opened by one person alone", ["ann", "bob", "sam"]))
        }
    }

    @Test func `the CISO is told at the address of the deployment, and only where there is one`() async throws {
        try await BreakGlassStage.with(.sqlite, sendsMail: true) { stage in
            let world = stage.world
            let id = try await stage.open(by: stage.ann, with: stage.bob)
            try await stage.apply("breakglass.end", on: id, by: stage.ann)
            stage.advance(.hours(49))
            try await stage.turn()
            var settings = world.pipeline.settings
            settings.ciso = "ciso@company.example"
            let pipeline = Pipeline(
                database: world.test.database, records: SQLRecords(), directory: StaffDirectory(),
                catalog: world.catalog, clock: world.test.clock.clock, settings: settings)
            var sending = DeliveryOutbox.Settings()
            sending.channels = [.mail]
            let outbox = DeliveryOutbox(pipeline: pipeline, settings: sending, clock: world.test.clock.clock)
            while try await outbox.distribute() {}
            var found: [MailMessage] = []
            while case let parcels = try await outbox.claim(10, inFlight: [:]), !parcels.isEmpty {
                for parcel in parcels {
                    found += [MailMessage(parcel.body)].compactMap(\.self)
                    try await outbox.settle(parcel, .delivered(status: 250), took: .milliseconds(1))
                }
            }
            let mail = try #require(found.first { $0.to == "ciso@company.example" })
            #expect(mail.subject == "The review of a break-glass is overdue")
            #expect(mail.text.hasPrefix("Hello CISO,") && mail.text.contains("/breakglass-sessions/\(id)"))
        }
    }

    // MARK: What people see

    @Test func `whoever it concerns is told above every page, and nobody else`() async throws {
        try await BreakGlassStage.with(.sqlite) { stage in
            func notice(_ caller: Caller, on page: String = "/") async throws -> String {
                let caller = try await stage.fresh(caller)
                return try await stage.world.test.database.read {
                    try BreakGlassNotice.node(caller, on: page, $0).text
                }
            }
            let id = try await stage.openAlone(by: stage.ann)
            let mine = try await notice(stage.ann)
            #expect(mine.contains("Break-glass is open for Tenant acme") && mine.contains("data-left=\"1800\""))
            #expect(mine.contains("You opened it alone") && mine.contains("/breakglass-sessions/\(id)/end"))
            for caller in [stage.bob, stage.sam] {
                #expect(try await notice(caller).contains("ann has break-glass open for Tenant acme"))
            }
            // Nothing leads to the page one is on.
            let page = "/breakglass-sessions/\(id)"
            #expect(mine.contains("href=\"\(page)\"") && mine.contains("Look at it"))
            let there = try await notice(stage.ann, on: page)
            #expect(!there.contains("href=\"\(page)\"") && there.contains("href=\"\(page)/end\""))
            #expect(try await notice(stage.lee).isEmpty)
            stage.advance(.minutes(30))
            let locked = try await notice(stage.ann)
            #expect(locked.contains("Your privileges are locked.") && locked.contains("How it stands"))
            #expect(try await !notice(stage.ann, on: page).contains("How it stands"))
            #expect(try await notice(stage.bob).isEmpty)
            try await stage.turn()
            stage.advance(.hours(49))
            try await stage.turn()
            let (bob, sam) = (try await stage.fresh(stage.bob), try await stage.fresh(stage.sam))
            let (home, due) = try await stage.world.test.database.read { reader in
                (try BreakGlassNotice.home(for: bob, from: reader).text, try BreakGlassNotice.due(sam, reader))
            }
            #expect(home.contains("is overdue") && home.contains("Review…"))
            #expect(due == 1)
            try await stage.review(id, by: stage.bob)
            #expect(try await notice(stage.ann).isEmpty)
        }
    }
}
