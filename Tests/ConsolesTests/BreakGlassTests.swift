import Consoles
import HTML
import Kernel
import Store
import TestSupport
import Testing

/// Emergencies from being asked for to their review (spec: access §7).
@Suite struct BreakGlassTests {
    // MARK: Opening

    @Test(arguments: TestDatabase.Kind.allCases)
    func `two open it for half an hour, what is done within it says so, and a third reviews it`(
        kind: TestDatabase.Kind
    ) async throws {
        try await BreakGlassStage.with(kind) { stage in
            let asked = try await stage.world.ask(
                "breakglass.open", ["tenant": "acme"], reason: "outage", by: stage.ann)
            #expect(asked.needs.map(\.rule) == ["breakglass"])
            #expect(asked.expiresAt - stage.now == .minutes(10))
            #expect(try await stage.live(of: stage.ann) == nil, "nothing is open before the second person agrees")
            stage.advance(.minutes(4))
            let outcome = try await stage.approve(asked.approvalID, by: stage.bob)
            #expect(outcome.execution?.state == .executed)
            let session = try #require(try await stage.live(of: stage.ann))
            #expect(session.openedAt == stage.now, "its time runs from the signature, not from the request")
            #expect(session.endsAt - session.openedAt == .minutes(30))
            #expect(session.tenant == stage.acme && !session.isSolo && session.reasonCode == "outage")

            let ann = try await stage.fresh(stage.ann)
            #expect(ann.emergency?.covers(stage.acme) == true)
            #expect(ann.emergency?.covers(stage.other) == false && ann.emergency?.covers(nil) == false)
            #expect(ann.roles == ["super_admin"], "with two nothing is locked")
            let before = try await stage.world.snapshot()
            try await stage.apply("tenant.set_note", on: stage.acme, ["note": "Outage, do not touch."], by: stage.ann)
            try await stage.apply("tenant.set_note", on: stage.acme, ["note": "Bob was here."], by: stage.bob)
            let events = try await stage.world.events(after: before)
            #expect(events.map { $0.leaf["facts"]?["breakglass"]?.string } == [session.id, nil])

            stage.advance(.minutes(6))
            try await stage.apply("breakglass.end", on: session.id, by: stage.ann)
            let ended = try await stage.session(session.id)
            #expect(ended.state == .ended && ended.endReason == .manual && ended.endedBy == stage.ann.person)
            #expect(ended.reviewDueAt == ended.endedAt.map { $0 + .hours(48) })
            #expect(try await stage.fresh(stage.ann).emergency?.covers(stage.acme) == false)
            let later = try await stage.world.snapshot()
            try await stage.apply("tenant.set_note", on: stage.acme, ["note": "Over."], by: stage.ann)
            #expect(try await stage.world.events(after: later)[0].leaf["facts"]?["breakglass"] == nil)

            try await stage.review(session.id, by: stage.sam)
            let reviewed = try await stage.session(session.id)
            #expect(reviewed.state == .reviewed && reviewed.verdict == .justified)
            #expect(try await stage.fresh(stage.ann).emergency == nil)
            _ = try await stage.open(by: stage.ann, with: stage.bob)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `it is refused in words at the field`(kind: TestDatabase.Kind) async throws {
        try await BreakGlassStage.with(kind) { stage in
            func refusal(
                _ input: JSON = ["tenant": "acme"], reason: String? = "outage", ticket: String? = "INC-7",
                by caller: Caller
            ) async -> String {
                await stage.refusal {
                    try await stage.world.pipeline.run(
                        stage.request("breakglass.open", input, reason: reason, ticket: ticket),
                        by: stage.fresh(caller))
                }
            }
            for caller in [stage.sam, stage.lee] {
                #expect(await refusal(by: caller).hasPrefix("breakglass.open: "), "\(caller.displayName)")
            }
            #expect(await refusal(ticket: nil, by: stage.ann) == "/ticket Ticket is required.")
            #expect(await refusal(reason: nil, by: stage.ann).hasPrefix("/reason_code "))
            #expect(await refusal(["tenant": "nobody"], by: stage.ann).hasPrefix("/input/tenant There is no tenant"))
            #expect(await refusal([:], by: stage.ann) == "/input/tenant Tenant is required.")
            var later = stage.request("breakglass.open", ["tenant": "acme"], reason: "outage")
            later.notBefore = stage.now + .days(3)
            #expect(
                await stage.refusal { try await stage.world.pipeline.run(later, by: stage.fresh(stage.ann)) }
                    .hasPrefix("/not_before This is carried out once it is agreed to"))
            let tried: JSON = ["tenant": "acme", "tried": .string(BreakGlassStage.tried)]
            #expect(await refusal(tried, by: stage.ann).hasPrefix("/input/tried This is for opening it alone"))

            let request = try await stage.ask(by: stage.ann)
            #expect(await refusal(["tenant": "other"], by: stage.ann).contains("\(request) waits for another"))
            // Nobody signs for themself, nor whoever is not super_admin.
            #expect(
                await stage.refusal { try await stage.approve(request, by: stage.ann) }.contains(
                    "asked for this yourself"))
            #expect(
                await stage.refusal { try await stage.approve(request, by: stage.sam) }.contains("None of your roles"))
            try await stage.approve(request, by: stage.bob)
            let id = try #require(try await stage.live(of: stage.ann)).id
            #expect(await refusal(["tenant": "other"], by: stage.ann).contains("break-glass open already"))
            // Somebody else may have one meanwhile, on the same tenant too.
            let second = try await stage.open(by: stage.bob, with: stage.ann)
            #expect(second != id)
            try await stage.apply("breakglass.end", on: id, by: stage.ann)
            #expect(await refusal(by: stage.ann).contains("not reviewed yet (\(id))"))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `after ten minutes a signature comes too late, and one of 72 hours too early`(
        kind: TestDatabase.Kind
    ) async throws {
        try await BreakGlassStage.with(kind) { stage in
            let request = try await stage.ask(by: stage.ann)
            stage.advance(.minutes(10))
            #expect(await stage.refusal { try await stage.approve(request, by: stage.bob) }.contains("expired at"))
            try await stage.world.pipeline.expireOverdue()
            #expect(try await stage.world.approval(request).state == .expired)

            // Whom the opener made super_admin lately is no second person.
            let new = try await stage.world.staff(
                "new", roles: ["super_admin"], grantedBy: stage.ann.person, ago: .hours(70))
            let again = try await stage.ask(by: stage.ann)
            #expect(
                await stage.refusal { try await stage.approve(again, by: new) }.contains("given a role by the person"))
            #expect(try await stage.live(of: stage.ann) == nil)
            try await stage.approve(again, by: stage.bob)
            #expect(try await stage.live(of: stage.ann) != nil)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a second one of the same person is refused by the table too`(kind: TestDatabase.Kind) async throws {
        try await BreakGlassStage.with(kind) { stage in
            _ = try await stage.open(by: stage.ann, with: stage.bob)
            let twin = BreakGlass(
                id: Identifier.mint("brk", at: stage.now), tenant: stage.other, person: stage.ann.person, isSolo: false,
                reasonCode: "outage", openedAt: stage.now, eventID: "evt_x")
            let failure = await stage.world.test.failure(twin.insert())
            #expect(failure == .unique(constraint: "breakglass_live"), "\(String(describing: failure))")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `of two that are opened at once by one person, one is open`(kind: TestDatabase.Kind) async throws {
        try await BreakGlassStage.with(kind) { stage in
            // Nobody else is left who could be asked, and security can review.
            try await stage.world.revoke("super_admin", of: stage.bob.person, ago: .days(31))
            let results = await withTaskGroup(of: String.self) { group in
                for tenant in ["acme", "other"] {
                    group.addTask {
                        await stage.refusal { try await stage.solo(by: stage.ann, on: tenant) }
                    }
                }
                return await group.reduce(into: [String]()) { $0.append($1) }
            }
            #expect(results.count { $0 == "was allowed" } == 1, "\(results)")
            let all = try await stage.world.test.database.read { reader in
                try reader.query(BreakGlass.selectAll(after: "", limit: 10)).count
            }
            #expect(all == 1)
        }
    }

    // MARK: Ending

    @Test(arguments: TestDatabase.Kind.allCases)
    func `its time is over by itself, on the second, and the worker says so once`(kind: TestDatabase.Kind) async throws
    {
        try await BreakGlassStage.with(kind) { stage in
            let id = try await stage.open(by: stage.ann, with: stage.bob)
            let session = try await stage.session(id)
            stage.advance(.seconds(30 * 60 - 1))
            #expect(try await stage.turn() == 0)
            #expect(try await stage.fresh(stage.ann).emergency?.covers(stage.acme) == true)
            stage.advance(.seconds(1))
            #expect(try await stage.fresh(stage.ann).emergency?.covers(stage.acme) == false, "before anything says so")
            #expect(
                await stage.refusal { try await stage.apply("breakglass.end", on: id, by: stage.ann) }
                    .contains("it ends by itself"))
            #expect(
                await stage.refusal { try await stage.review(id, by: stage.sam) }.contains("just being recorded"))
            stage.advance(.seconds(40))
            let before = try await stage.world.snapshot()
            // Two servers at once.
            async let first = stage.turn()
            async let second = stage.turn()
            #expect(try await [first, second].reduce(0, +) == 1)
            #expect(try await stage.turn() == 0)
            let events = try await stage.world.events(after: before).filter { $0.outcome == "applied" }
            #expect(events.map(\.action) == ["breakglass.expire"])
            #expect(events[0].leaf["actor"] == ["type": "system", "id": "breakglass"])
            let ended = try await stage.session(id)
            #expect(ended.endReason == .expiry && ended.endedAt == session.endsAt, "late as the worker may be")
            #expect(ended.reviewDueAt == session.endsAt + .hours(48))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `security and the other super_admin end it, support does not`(kind: TestDatabase.Kind) async throws {
        try await BreakGlassStage.with(kind) { stage in
            for (person, signer, ender) in [(stage.ann, stage.bob, stage.sam), (stage.bob, stage.ann, stage.ann)] {
                let id = try await stage.open(by: person, with: signer)
                #expect(
                    await stage.refusal { try await stage.apply("breakglass.end", on: id, by: stage.lee) }
                        .hasPrefix("breakglass.end: "))
                try await stage.apply("breakglass.end", on: id, by: ender)
                let ended = try await stage.session(id)
                #expect(ended.endReason == .killSwitch && ended.endedBy == ender.person)
                #expect(
                    await stage.refusal { try await stage.apply("breakglass.end", on: id, by: ender) }
                        .contains("ended already"))
            }
        }
    }

    @Test(
        arguments: TestDatabase.Kind.allCases,
        ["role", "leaves", "sessions", "one session", "reset", "permission", "grant runs out"])
    func `it ends with what it stands on`(kind: TestDatabase.Kind, cause: String) async throws {
        try await BreakGlassStage.with(kind) { stage in
            let id = try await stage.open(by: stage.ann, with: stage.bob)
            try await stage.world.session("ses_one", of: stage.ann.person)
            try await stage.world.session("ses_two", of: stage.ann.person)
            stage.advance(.minutes(3))
            var reason = BreakGlass.EndReason.roleLost
            switch cause {
            case "role":
                try await stage.apply(
                    "staff.revoke_role", on: stage.ann.person, ["role": "super_admin"], reason: "incident",
                    by: stage.bob)
            case "leaves":
                reason = .killSwitch
                try await stage.apply("staff.deactivate", on: stage.ann.person, reason: "left", by: stage.bob)
            case "sessions":
                reason = .killSwitch
                let applied = try await stage.apply(
                    "staff.revoke_sessions", on: stage.ann.person, reason: "suspicious", by: stage.sam)
                #expect(applied.consequence.hasSuffix("Their break-glass ends."))
            case "one session":
                reason = .killSwitch
                try await stage.apply(
                    "staff.revoke_sessions", on: stage.ann.person, ["session": "ses_one"], reason: "lost_device",
                    by: stage.sam)
            case "reset":
                reason = .killSwitch
                let before = try #require(
                    try await stage.world.test.database.read { try Staff.load("stf_ann", from: $0) })
                var after = before
                after.resetBy = stage.bob.person
                after.resetAt = stage.now
                after.version += 1
                try await stage.world.put([.update(before, to: after)])
            case "permission":
                let cell = try #require(
                    try await stage.world.test.database.read {
                        try RolePermission.load("super_admin:breakglass.open", from: $0)
                    })
                var after = cell
                after.isRevoked = true
                after.version += 1
                try await stage.world.put([.update(cell, to: after)])
            default:
                let grant = try #require(
                    try await stage.world.test.database.read { try Grant.load("grt_ann-super_admin", from: $0) })
                var after = grant
                after.expiresAt = stage.now - .seconds(1)
                after.version += 1
                try await stage.world.put([.update(grant, to: after)])
            }
            if reason == .roleLost {
                #expect(try await stage.fresh(stage.ann).emergency?.isOpen == false, "on the next request")
            }
            try await stage.turn()
            let ended = try await stage.session(id)
            #expect(ended.state == .ended && ended.endReason == reason, "\(String(describing: ended.endReason))")
            #expect(ended.endedAt == stage.now)
            try await stage.review(id, by: stage.sam)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `ended by hand and by the worker at once, it ends once`(kind: TestDatabase.Kind) async throws {
        try await BreakGlassStage.with(kind) { stage in
            let id = try await stage.open(by: stage.ann, with: stage.bob)
            try await stage.world.revoke("super_admin", of: stage.ann.person)
            let before = try await stage.world.snapshot()
            async let byHand = stage.refusal { try await stage.apply("breakglass.end", on: id, by: stage.sam) }
            async let byWorker = stage.turn()
            let (said, count) = try await (byHand, byWorker)
            #expect((said == "was allowed") != (count == 1), "\(said) \(count)")
            let applied = try await stage.world.events(after: before).filter { $0.outcome == "applied" }
            #expect(applied.count == 1 && applied[0].action.hasPrefix("breakglass.e"))
        }
    }

    // MARK: A tenant that is deleted for good

    @Test(arguments: TestDatabase.Kind.allCases)
    func `no tenant is deleted for good while something is still to be written about an emergency on it`(
        kind: TestDatabase.Kind
    ) async throws {
        try await BreakGlassStage.with(kind) { stage in
            let world = stage.world
            try await world.run("tenant.archive", on: stage.acme, reason: "customer_departed")
            stage.advance(.days(91))
            func asking() async -> String {
                await stage.refusal {
                    try await world.ask(
                        "tenant.hard_delete", on: stage.acme, reason: "retention_policy", by: stage.fresh(stage.bob))
                }
            }
            var settings = TenantLifecycle.Settings()
            settings.requestsDeletion = true
            let lifecycle = TenantLifecycle(
                pipeline: world.pipeline, settings: settings, clock: world.test.clock.clock)
            func asked() async throws -> Int {
                let done = try await lifecycle.turn()
                return done.requested + done.skipped
            }
            let id = try await stage.open(by: stage.ann, with: stage.bob)
            #expect(await asking().contains("Break-glass is open on this tenant (\(id))"))
            // Nor does the policy ask for it, over and over.
            #expect(try await asked() == 0)
            try await stage.apply("breakglass.end", on: id, by: stage.ann)
            #expect(await asking().contains("review of a break-glass on this tenant is still owed (\(id))"))
            #expect(try await asked() == 0)
            try await stage.review(id, by: stage.sam)
            #expect(try await asked() == 1)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `what was written about an emergency goes with its tenant, from the row and from the log`(
        kind: TestDatabase.Kind
    ) async throws {
        try await BreakGlassStage.with(kind) { stage in
            let world = stage.world
            let id = try await stage.openAlone(by: stage.ann)
            try await stage.apply("breakglass.end", on: id, by: stage.ann)
            try await stage.review(id, by: stage.sam, verdict: "findings", followUp: "OPS-12")
            // That of another tenant stays.
            let kept = try await stage.open(by: stage.bob, with: stage.ann, on: "other")
            try await stage.apply("breakglass.end", on: kept, by: stage.bob)
            try await stage.review(kept, by: stage.sam)
            try await world.run("tenant.archive", on: stage.acme, reason: "customer_departed")
            stage.advance(.days(91))
            let asked = try await world.ask(
                "tenant.hard_delete", on: stage.acme, reason: "retention_policy", by: stage.fresh(stage.ann))
            try await stage.approve(asked.approvalID, by: stage.bob)
            stage.advance(.hours(25))
            #expect(try await world.pipeline.executeDue() == 1)

            let session = try await stage.session(id)
            #expect(session.tried == nil && session.findings == nil && session.followUp == nil)
            #expect(session.state == .reviewed && session.verdict == .findings && session.reviewedBy == "stf_sam")
            #expect(try await stage.session(kept).findings != nil)
            // Nor does a refused attempt write anything new.
            let refused = await stage.refusal { try await stage.review(id, by: stage.sam) }
            #expect(refused == "This review is closed already.")
            func events(saying text: String) async throws -> [String] {
                try await world.test.database.read { reader in
                    try reader.query(
                        Statement("SELECT event_id FROM sealed WHERE members LIKE $1", [.text("%\(text)%")])
                    ).map { try $0.string("event_id") }
                }
            }
            #expect(try await events(saying: BreakGlassStage.tried).isEmpty)
            // What a refused operation was given is recorded nowhere; this is the review of the other tenant's.
            #expect(try await events(saying: "The consent page was down").count == 1)
            let sealed = try await world.test.database.read { reader in
                try reader.query(
                    Statement(
                        """
                        SELECT s.member FROM sealed_subject s JOIN event_entity n ON n.event_id = s.event_id
                        WHERE s.subject = $1 AND n.id = $2 AND NOT EXISTS (
                            SELECT 1 FROM sealed_erasure x WHERE x.event_id = s.event_id AND x.member = s.member)
                        """, [.text(stage.acme), .text(id)])
                ).map { try $0.string("member") }
            }
            #expect(sealed.isEmpty, "\(sealed)")
        }
    }

    // MARK: What is asked of others within it

    @Test(arguments: TestDatabase.Kind.allCases)
    func `it waives no signature, and what was asked within it belongs to it when others agree later`(
        kind: TestDatabase.Kind
    ) async throws {
        try await BreakGlassStage.with(kind) { stage in
            try await stage.world.run("tenant.archive", on: stage.acme, reason: "customer_departed")
            stage.advance(.days(91))
            let id = try await stage.open(by: stage.ann, with: stage.bob, on: "other")
            let asked = try await stage.world.ask(
                "tenant.hard_delete", on: stage.acme, reason: "retention_policy", by: stage.fresh(stage.ann))
            try await stage.apply("breakglass.end", on: id, by: stage.ann)
            try await stage.approve(asked.approvalID, by: stage.bob)
            stage.advance(.hours(25))
            let before = try await stage.world.snapshot()
            #expect(try await stage.world.pipeline.executeDue() == 1)
            let events = try await stage.world.events(after: before)
            #expect(events.map(\.action) == ["tenant.hard_delete", "erasure.completed"])
            #expect(events.allSatisfy { $0.leaf["facts"]?["breakglass"]?.string == id })
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `its page names what was asked within it to whoever may open the request, and to nobody else`(
        kind: TestDatabase.Kind
    ) async throws {
        try await BreakGlassStage.with(kind) { stage in
            let id = try await stage.open(by: stage.ann, with: stage.bob)
            stage.advance(.seconds(10))
            _ = try await stage.world.ask(
                "staff.invite", ["email": "nadia@staff.test", "name": "Nadia"], by: stage.fresh(stage.ann))
            stage.advance(.seconds(10))
            let page = try #require(Consoles.all.flatMap(\.pages).first { $0.path == "/breakglass-sessions/{id}" })
            func shown(to caller: Caller) async throws -> String {
                let call = PageCallFixture.make(caller, path: ["id": id])
                return try await stage.world.test.database.read { try page.render(call, $0).body.text }
            }
            let open = try await shown(to: stage.fresh(stage.sam))
            #expect(open.contains("Invite staff") && open.contains("nadia@staff.test"))
            // A look at the clock says when it ends, and not only a countdown.
            let end = try await stage.session(id).endsAt
            #expect(open.contains("until \(TimeText.utcMinute(end))"))
            let closed = try await shown(to: stage.world.person("vera", permissions: ["breakglass.view"]))
            #expect(closed.contains("Invite staff") && !closed.contains("nadia@staff.test"))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `its page lists everything its opener did within it, page by page`(kind: TestDatabase.Kind) async throws {
        try await BreakGlassStage.with(kind) { stage in
            try await stage.apply("tenant.set_note", on: stage.acme, ["note": "Before."], by: stage.ann)
            stage.advance(.minutes(1))
            let id = try await stage.open(by: stage.ann, with: stage.bob)
            stage.advance(.seconds(10))
            for number in 1...5 {
                try await stage.apply(
                    "tenant.set_note", on: stage.acme, ["note": .string("Note \(number)")], by: stage.ann)
            }
            try await stage.apply("tenant.set_note", on: stage.other, ["note": "Elsewhere"], by: stage.ann)
            try await stage.apply("tenant.set_note", on: stage.other, ["note": "By Bob"], by: stage.bob)
            stage.advance(.seconds(10))
            try await stage.apply("breakglass.end", on: id, by: stage.ann)
            stage.advance(.seconds(1))
            try await stage.apply("tenant.set_note", on: stage.acme, ["note": "Just after."], by: stage.ann)
            stage.advance(.seconds(9))
            try await stage.apply("tenant.set_note", on: stage.acme, ["note": "After."], by: stage.ann)

            let read = try #require(stage.world.catalog.reads.first { $0.name == "breakglass.events" })
            let cursors = CursorCodec(key: [UInt8](repeating: 1, count: 32))
            var seen: [String] = []
            var outside: [String?] = []
            var cursor: String?
            repeat {
                let call = ReadCall(
                    path: ["id": id], query: ["limit": ["3"], "cursor": cursor.map { [$0] } ?? []],
                    caller: try await stage.fresh(stage.sam), cursors: cursors)
                let answer = try await stage.world.pipeline.read(read.permission, by: call.caller) { reader in
                    let answer = try read.run(call, reader)
                    return (answer, answer.disclosure)
                }
                let items = answer.body["items"]?.array ?? []
                seen += items.compactMap { $0["action"]?.string }
                outside += items.filter { $0["action"] == "tenant.set_note" }.map { $0["outside"]?.string }
                cursor = answer.nextCursor
            } while cursor != nil
            // What a server's clock may have put after the end is listed, and says so.
            #expect(seen.count { $0 == "tenant.set_note" } == 7, "\(seen)")
            #expect(outside.first == "after" && outside.dropFirst().allSatisfy { $0 == nil }, "\(outside)")
            let page = try #require(Consoles.all.flatMap(\.pages).first { $0.path == "/breakglass-sessions/{id}" })
            let sam = try await stage.fresh(stage.sam)
            let shown = try await stage.world.test.database.read { reader in
                try page.render(PageCallFixture.make(sam, path: ["id": id]), reader).body.text
            }
            #expect(shown.contains("just after its end"))
            #expect(shown.contains("may differ by 2 seconds. So events up to 2 seconds before it was opened or after"))
            #expect(shown.contains("Opened break-glass") && shown.contains("Ended break-glass"))
            #expect(shown.contains("this emergency"))
            // Opened, ended, asked for and agreed to: each with its date.
            let session = try await stage.session(id)
            let ended = try #require(session.endedAt)
            let opened = ">\(TimeText.utc(session.openedAt))<"
            #expect(shown.components(separatedBy: opened).count == 4 && shown.contains(">\(TimeText.utc(ended))<"))
            let signatures = try #require(shown.components(separatedBy: "id=\"b-signed\"").dropFirst().first)
            let signed = signatures.components(separatedBy: "</section>")[0]
            #expect(signed.components(separatedBy: opened).count == 3, "\(signed)")
            #expect(seen.contains("breakglass.open") && seen.contains("breakglass.end"))
            for query in [["show": ["nothing"]], ["cursor": ["x"]]] {
                let call = ReadCall(
                    path: ["id": id], query: query, caller: try await stage.fresh(stage.sam), cursors: cursors)
                await #expect(throws: OperationError.self) {
                    _ = try await stage.world.test.database.read { try read.run(call, $0) }
                }
            }
        }
    }

    // MARK: The review

    @Test(arguments: TestDatabase.Kind.allCases)
    func `neither who opened it nor who agreed to it reviews it`(kind: TestDatabase.Kind) async throws {
        try await BreakGlassStage.with(kind) { stage in
            let id = try await stage.open(by: stage.ann, with: stage.bob)
            let third = try await stage.world.staff("third", roles: ["super_admin"])
            #expect(await stage.refusal { try await stage.review(id, by: third) }.contains("still open"))
            try await stage.apply("breakglass.end", on: id, by: stage.ann)
            #expect(await stage.refusal { try await stage.review(id, by: stage.ann) }.contains("opened this yourself"))
            #expect(
                await stage.refusal { try await stage.review(id, by: stage.bob) }.contains("agreed to opening this"))
            #expect(await stage.refusal { try await stage.review(id, by: stage.lee) }.hasPrefix("breakglass.review: "))
            let new = try await stage.world.staff(
                "new", roles: ["security"], grantedBy: stage.ann.person, ago: .hours(71))
            #expect(await stage.refusal { try await stage.review(id, by: new) }.contains("less than 72 hours ago"))
            for verdict in ["findings", "unjustified"] {
                #expect(
                    await stage.refusal { try await stage.review(id, by: third, verdict: verdict) }
                        == "/input/follow_up Name the ticket for what is to be mended.")
            }
            let applied = try await stage.review(id, by: third, verdict: "unjustified", followUp: "SEC-3")
            #expect(applied.undo == nil)
            let reviewed = try await stage.session(id)
            #expect(reviewed.reviewedBy == third.person && reviewed.followUp == "SEC-3")
            #expect(await stage.refusal { try await stage.review(id, by: stage.sam) }.contains("closed already"))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an overdue review is said once, and is still owed`(kind: TestDatabase.Kind) async throws {
        try await BreakGlassStage.with(kind) { stage in
            let id = try await stage.open(by: stage.ann, with: stage.bob)
            try await stage.apply("breakglass.end", on: id, by: stage.ann)
            stage.advance(.seconds(48 * 3600 - 1))
            #expect(try await stage.turn() == 0)
            stage.advance(.seconds(1))
            let before = try await stage.world.snapshot()
            async let first = stage.turn()
            async let second = stage.turn()
            #expect(try await [first, second].reduce(0, +) == 1)
            #expect(try await stage.turn() == 0)
            let events = try await stage.world.events(after: before).filter { $0.outcome == "applied" }
            #expect(events.map(\.action) == ["breakglass.escalate"])
            let escalated = try await stage.session(id)
            #expect(escalated.state == .ended && escalated.escalatedAt == stage.now)
            #expect(await stage.refusal { try await stage.ask(by: stage.ann) }.contains("not reviewed yet"))
            let applied = try await stage.review(id, by: stage.sam)
            #expect(applied.after?["escalated_at"] == JSON(escalated.escalatedAt))
            stage.advance(.hours(100))
            #expect(try await stage.turn() == 0)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `reviewed and escalated at once, it is reviewed, and said at most once`(kind: TestDatabase.Kind) async throws {
        try await BreakGlassStage.with(kind) { stage in
            let id = try await stage.open(by: stage.ann, with: stage.bob)
            try await stage.apply("breakglass.end", on: id, by: stage.ann)
            stage.advance(.hours(49))
            async let reviewed = stage.refusal { try await stage.review(id, by: stage.sam) }
            async let escalated = stage.turn()
            let (said, count) = try await (reviewed, escalated)
            #expect(said == "was allowed" && count <= 1, "\(said) \(count)")
            #expect(try await stage.session(id).state == .reviewed)
            #expect(try await stage.turn() == 0)
        }
    }
}
