import Consoles
import HTML
import Kernel
import Store
import TestSupport
import Testing

/// Roles given and taken: who may, who agrees, what is refused, and what counts no more afterwards (spec: access §2, §3, §6).
@Suite struct StaffRolesTests {
    /// Two super_admins, somebody from security, and a colleague without a role.
    struct Stage {
        let world: World
        let asker: Caller
        let signer: Caller
        let guardian: Caller
        let colleague: Caller

        init(_ kind: TestDatabase.Kind) async throws {
            world = try await World.make(kind, populated: false)
            asker = try await world.staff("asked", roles: ["super_admin"])
            signer = try await world.staff("signer", roles: ["super_admin"])
            guardian = try await world.staff("guardian", roles: ["security"])
            colleague = try await world.staff("colleague", roles: [])
        }

        /// As they stand now, with a factor as fresh as now.
        func fresh(_ caller: Caller) async throws -> Caller { try await world.caller(caller.person) }

        func run(
            _ verb: String, on target: Caller, _ input: JSON = .object([:]), reason: String? = nil, by caller: Caller
        ) async throws -> Outcome {
            try await world.pipeline.run(
                OperationRequest(
                    operation: "staff.\(verb)", target: target.person, input: input, reasonCode: reason,
                    justification: "because the test needs it done", ticket: "HR-1", idempotencyKey: world.key()),
                by: try await fresh(caller))
        }

        func apply(
            _ verb: String, on target: Caller, _ input: JSON = .object([:]), reason: String? = nil, by caller: Caller
        ) async throws -> Applied {
            guard
                case .applied(let applied) = try await run(verb, on: target, input, reason: reason, by: caller).result
            else { throw StoreError.other("\(verb) waits") }
            return applied
        }

        func ask(
            _ verb: String, on target: Caller, _ input: JSON = .object([:]), reason: String? = nil, by caller: Caller
        ) async throws -> PendingApproval {
            guard
                case .pending(let pending) = try await run(verb, on: target, input, reason: reason, by: caller).result
            else { throw StoreError.other("\(verb) waits for nobody") }
            return pending
        }

        /// What it is refused with, and at which field.
        func refusal(
            _ verb: String, on target: Caller, _ input: JSON = .object([:]), reason: String? = nil, by caller: Caller
        ) async throws -> String {
            do {
                _ = try await run(verb, on: target, input, reason: reason, by: caller)
                return "was allowed"
            } catch OperationError.conflict(let detail, _) {
                return detail
            } catch OperationError.invalid(let errors) {
                return errors.map { "\($0.pointer) \($0.detail)" }.joined(separator: "; ")
            }
        }

        @discardableResult
        func approve(_ id: String, by caller: Caller) async throws -> Outcome {
            try await world.pipeline.run(
                OperationRequest(
                    operation: "approval.approve", target: id, justification: "looked at it, and this is right",
                    idempotencyKey: world.key()), by: try await fresh(caller))
        }

        func why(_ id: String, by caller: Caller) async throws -> String {
            do {
                try await approve(id, by: caller)
                return "was allowed"
            } catch OperationError.conflict(let detail, _) {
                return detail
            } catch OperationError.notAsked(let detail) {
                return detail
            }
        }

        func roles(of person: Caller) async throws -> Set<String> { try await fresh(person).roles }
    }

    // MARK: Who agrees

    @Test(arguments: TestDatabase.Kind.allCases)
    func `each role is granted at once or with a signature, as its power says`(kind: TestDatabase.Kind) async throws {
        let stage = try await Stage(kind)
        // It signs nothing and holds no permission above medium; customer_success signs bulk invitations.
        let harmless: Set<String> = ["support_l1"]
        for role in Seeds.roles.map(\.id) {
            let person = try await stage.world.staff("new-\(role)", roles: [])
            let outcome = try await stage.run("grant_role", on: person, ["role": .string(role)], by: stage.asker)
            switch outcome.result {
            case .applied:
                #expect(harmless.contains(role), "\(role)")
                #expect(try await stage.roles(of: person) == [role])
            case .pending(let pending):
                #expect(!harmless.contains(role), "\(role)")
                #expect(pending.needs.map(\.rule) == ["staff_grant_role"])
                #expect(pending.needs[0].window == .hours(24) && pending.needs[0].cooldown == nil)
                #expect(try await stage.roles(of: person).isEmpty, "\(role) is held before anybody agreed")
                try await stage.approve(pending.approvalID, by: stage.signer)
                #expect(try await stage.roles(of: person) == [role])
            }
        }
        await stage.world.close()
    }

    /// One row of access §3: inviting, granting power, changing roles and resetting factors are signed by super_admin or security, never by
    /// who asked, whom it is about, or whoever the asker made what they are.
    @Test(arguments: TestDatabase.Kind.allCases)
    func `of all roles only super_admin and security sign`(kind: TestDatabase.Kind) async throws {
        let stage = try await Stage(kind)
        var people: [(role: String, caller: Caller)] = []
        for role in Seeds.roles.map(\.id) {
            people.append((role, try await stage.world.staff("p-\(role)", roles: [role])))
        }
        let asks: [(verb: String, input: JSON, reason: String?, rule: String)] = [
            ("grant_role", ["role": "billing_ops"], nil, "staff_grant_role"),
            ("change_roles", ["grant": ["support_l1"]], nil, "staff_change_roles"),
            ("reset_factors", .object([:]), "lost", "staff_reset_factors"),
            ("invite", .object([:]), nil, "staff_invite"),
        ]
        for ask in asks {
            for (role, caller) in people {
                let pending: PendingApproval
                if ask.verb == "invite" {
                    let input: JSON = [
                        "email": .string("\(role)@new.test"), "name": "New", "roles": ["support_l1"],
                    ]
                    pending = try await stage.world.ask(
                        "staff.invite", input, by: try await stage.fresh(stage.asker))
                } else {
                    let target = try await stage.world.staff("t-\(ask.verb)-\(role)", roles: [])
                    pending = try await stage.ask(ask.verb, on: target, ask.input, reason: ask.reason, by: stage.asker)
                }
                #expect(pending.needs.map(\.rule) == [ask.rule])
                let answer = try await stage.why(pending.approvalID, by: caller)
                let signs = ["super_admin", "security"].contains(role)
                #expect(signs == (answer == "was allowed"), "\(ask.verb) by \(role): \(answer)")
                if signs {
                    #expect(try await stage.world.approval(pending.approvalID).state == .executed)
                } else {
                    #expect(answer.contains("None of your roles signs"), "\(answer)")
                    #expect(try await stage.why(pending.approvalID, by: stage.asker).contains("You asked for this"))
                    try await stage.approve(pending.approvalID, by: stage.guardian)
                }
            }
        }
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `whoever the asker granted a role or reset signs nothing for them for 72 hours`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await Stage(kind)
        // Another super_admin, made one by the asker just now with a signature.
        let granted = try await stage.ask("grant_role", on: stage.colleague, ["role": "security"], by: stage.asker)
        try await stage.approve(granted.approvalID, by: stage.signer)
        // And one whose factors the asker had reset.
        let reset = try await stage.world.staff("reset", roles: ["security"])
        let asked = try await stage.ask("reset_factors", on: reset, reason: "lost", by: stage.asker)
        try await stage.approve(asked.approvalID, by: stage.signer)
        // A role taken and given again makes the account no older than the last grant.
        let regranted = try await stage.world.staff("regranted", roles: ["security"])
        _ = try await stage.apply("revoke_role", on: regranted, ["role": "security"], reason: "moved", by: stage.asker)
        let again = try await stage.ask("grant_role", on: regranted, ["role": "security"], by: stage.asker)
        try await stage.approve(again.approvalID, by: stage.signer)

        let target = try await stage.world.staff("target", roles: [])
        let pending = try await stage.ask("grant_role", on: target, ["role": "legal"], by: stage.asker)
        for (person, word) in [
            (stage.colleague, "given a role"), (regranted, "given a role"), (reset, "given new factors"),
        ] {
            let answer = try await stage.why(pending.approvalID, by: person)
            #expect(answer.contains("You were \(word) by the person who asks"), "\(answer)")
        }
        // For somebody else's request they may.
        let other = try await stage.world.staff("other", roles: [])
        let others = try await stage.ask("grant_role", on: other, ["role": "legal"], by: stage.signer)
        try await stage.approve(others.approvalID, by: reset)

        _ = try await stage.world.pipeline.run(
            OperationRequest(
                operation: "approval.cancel", target: pending.approvalID, idempotencyKey: stage.world.key()),
            by: try await stage.fresh(stage.asker))
        stage.world.test.clock.advance(.hours(72))
        for person in [stage.colleague, regranted, reset] {
            let late = try await stage.world.staff("late-\(person.person.dropFirst(4))", roles: [])
            let ripe = try await stage.ask("grant_role", on: late, ["role": "legal"], by: stage.asker)
            try await stage.approve(ripe.approvalID, by: person)
            #expect(try await stage.roles(of: late) == ["legal"])
        }
        await stage.world.close()
    }

    // MARK: Until

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a role for an afternoon is gone with the next request after it`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { test in
            let fixture = try await StaffFixture.make(test)
            let root = try await fixture.bootstrap()
            let ann = try await fixture.invite(
                "ann@example.com", roles: ["legal"], by: try await fixture.caller(root.first))
            let until = test.clock.clock.now + .minutes(20)
            let outcome = try await fixture.pipeline.run(
                OperationRequest(
                    operation: "staff.grant_role", target: ann.id,
                    input: ["role": "support_l1", "expires_at": .string(until.rfc3339)],
                    justification: "Covers for a colleague this afternoon.", ticket: "HR-2", idempotencyKey: "g1"),
                by: try await fixture.caller(root.first))
            guard case .applied(let applied) = outcome.result else {
                Issue.record("should be applied")
                return
            }
            #expect(applied.undo?.operation == "staff.revoke_role")
            #expect(try await fixture.caller(ann.first).roles == ["legal", "support_l1"])
            test.clock.advance(.minutes(19))
            #expect(try await fixture.caller(ann.first).roles == ["legal", "support_l1"])
            test.clock.advance(.minutes(1))
            #expect(try await fixture.caller(ann.first).roles == ["legal"])
            #expect(try await !fixture.caller(ann.first).permissions.contains("user.reset_password"))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a role that runs out can be given again or made longer, and is held once`(kind: TestDatabase.Kind)
        async throws
    {
        let stage = try await Stage(kind)
        let now = stage.world.test.clock.clock.now
        func until(_ span: Span) -> JSON { ["role": "support_l1", "expires_at": .string((now + span).rfc3339)] }
        _ = try await stage.apply("grant_role", on: stage.colleague, until(.hours(1)), by: stage.asker)
        #expect(
            try await stage.refusal("grant_role", on: stage.colleague, until(.hours(1)), by: stage.asker)
                .contains("until then already"))
        // Longer: the old grant ends, and undo does not pretend that it could bring it back.
        let longer = try await stage.apply("grant_role", on: stage.colleague, until(.hours(2)), by: stage.asker)
        #expect(longer.undo == nil)
        stage.world.test.clock.advance(.hours(1) + .minutes(30))
        #expect(try await stage.roles(of: stage.colleague) == ["support_l1"])
        stage.world.test.clock.advance(.hours(1))
        #expect(try await stage.roles(of: stage.colleague).isEmpty)
        #expect(
            try await stage.refusal(
                "revoke_role", on: stage.colleague, ["role": "support_l1"], reason: "moved", by: stage.asker
            ).contains("/input/role"))
        _ = try await stage.apply("grant_role", on: stage.colleague, ["role": "support_l1"], by: stage.asker)
        #expect(
            try await stage.refusal("grant_role", on: stage.colleague, ["role": "support_l1"], by: stage.asker)
                .contains("already, without an end"))
        let id = stage.colleague.person
        let grants = try await stage.world.test.database.read { reader in
            try reader.query(Grant.selectAll(after: "", limit: 100)).map(Grant.init).filter { $0.staffID == id }
        }
        #expect(grants.count == 3 && grants.count { $0.revokedAt == nil } == 1)
        #expect(grants.count { grant in grant.expiresAt.map { $0 <= grant.revokedAt ?? $0 } ?? false } == 1)
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a time that is over, too far, or no time is refused at its field`(kind: TestDatabase.Kind) async throws {
        let stage = try await Stage(kind)
        let now = stage.world.test.clock.clock.now
        for text in [
            (now - .seconds(1)).rfc3339, now.rfc3339, (now + .days(400)).rfc3339, "tomorrow", "2026-13-01 10:00",
        ] {
            let answer = try await stage.refusal(
                "grant_role", on: stage.colleague, ["role": "support_l1", "expires_at": .string(text)], by: stage.asker)
            #expect(answer.hasPrefix("/input/expires_at"), "\(text): \(answer)")
        }
        // A person may leave the seconds out and means UTC.
        #expect(
            try Instant.parse(text: "2026-11-27 18:00", .none) == Instant.parse(text: "2026-11-27T18:00:00Z", .none))
        #expect(
            try Instant.parse(text: "2026-11-27 18:00 UTC", .none)
                == Instant.parse(json("2026-11-27T19:00:00+01:00"), .none))
        await stage.world.close()
    }

    private func json(_ text: String) -> JSON { .string(text) }

    // MARK: Refusals

    @Test(arguments: TestDatabase.Kind.allCases)
    func `nobody gives or takes their own roles, leaves, comes back or resets themselves`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await Stage(kind)
        let tries: [(String, JSON, String?)] = [
            ("grant_role", ["role": "support_l1"], nil), ("revoke_role", ["role": "super_admin"], "moved"),
            ("change_roles", ["grant": ["support_l1"]], nil), ("deactivate", .object([:]), "left"),
            ("reactivate", .object([:]), "returned"), ("reset_factors", .object([:]), "lost"),
        ]
        for (verb, input, reason) in tries {
            let answer = try await stage.refusal(verb, on: stage.asker, input, reason: reason, by: stage.asker)
            #expect(answer.hasPrefix("Nobody"), "\(verb): \(answer)")
        }
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `giving a role needs a ticket, and both that and the reason are asked for at once`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await Stage(kind)
        for verb in ["grant_role", "change_roles"] {
            let input: JSON = verb == "grant_role" ? ["role": "support_l1"] : ["grant": ["support_l1"]]
            let caller = try await stage.fresh(stage.asker)
            let request = OperationRequest(
                operation: "staff.\(verb)", target: stage.colleague.person, input: input,
                idempotencyKey: stage.world.key())
            let refused = try await refusedFields { _ = try await stage.world.pipeline.run(request, by: caller) }
            #expect(refused == ["/justification", "/ticket"], "\(verb)")
        }
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `forms offer to give what is not held and to take what is, and a choice gone stale is refused at its field`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await Stage(kind)
        let person = stage.colleague.person
        let end = stage.world.test.clock.clock.now + .hours(1)
        func offered(_ field: String) async throws -> [String] {
            guard let choices = StaffConsole.console.targetChoices["staff.\(field)"] else {
                throw StoreError.other("\(field) is not offered by target")
            }
            return try await stage.world.test.database.read { reader in try choices(person, reader).map(\.value) }
        }
        #expect(try await offered("change_roles/revoke").isEmpty)
        #expect(try await offered("change_roles/grant") == Seeds.roles.map(\.id))

        // What ends by itself may be given anew, for good.
        _ = try await stage.apply(
            "grant_role", on: stage.colleague, ["role": "support_l1", "expires_at": .string(end.rfc3339)],
            by: stage.asker)
        #expect(try await offered("change_roles/revoke") == ["support_l1"])
        #expect(try await offered("revoke_role/role") == ["support_l1"])
        #expect(try await offered("change_roles/grant") == Seeds.roles.map(\.id).filter { $0 != "support_l1" })
        #expect(try await offered("grant_role/role") == Seeds.roles.map(\.id))
        let given = try await stage.apply("grant_role", on: stage.colleague, ["role": "support_l1"], by: stage.asker)
        #expect(given.consequence == "colleague holds Support L1 (support_l1) from now on.")
        #expect(try await !offered("grant_role/role").contains("support_l1"))

        _ = try await stage.apply(
            "revoke_role", on: stage.colleague, ["role": "support_l1"], reason: "moved", by: stage.asker)
        let stale = try await stage.refusal(
            "change_roles", on: stage.colleague, ["revoke": ["support_l1"]], by: stage.asker)
        #expect(stale == "/input/revoke colleague doesn't hold Support L1. They hold no role now.")
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the last super_admin without an end stays`(kind: TestDatabase.Kind) async throws {
        let stage = try await Stage(kind)
        // Elevated for an hour, which keeps nobody.
        let elevated = try await stage.ask(
            "grant_role", on: stage.colleague,
            [
                "role": "super_admin",
                "expires_at": .string((stage.world.test.clock.clock.now + .hours(1)).rfc3339),
            ], by: stage.asker)
        try await stage.approve(elevated.approvalID, by: stage.guardian)
        _ = try await stage.apply(
            "revoke_role", on: stage.signer, ["role": "super_admin"], reason: "moved", by: stage.asker)
        for (verb, input, reason) in [
            ("revoke_role", ["role": "super_admin"], "moved"), ("deactivate", .object([:]), "left"),
            ("change_roles", ["revoke": ["super_admin"]], nil),
        ] as [(String, JSON, String?)] {
            let answer = try await stage.refusal(verb, on: stage.asker, input, reason: reason, by: stage.colleague)
            #expect(answer.contains("the last super admin"), "\(verb): \(answer)")
        }
        // Taking away what ends by itself is no matter.
        _ = try await stage.apply(
            "revoke_role", on: stage.colleague, ["role": "super_admin"], reason: "review", by: stage.asker)
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `of super_admins who remove each other at once one stays`(kind: TestDatabase.Kind) async throws {
        for verb in ["revoke_role", "deactivate"] {
            let world = try await World.make(kind, populated: false)
            var people: [Caller] = []
            for index in 0..<4 { people.append(try await world.staff("admin\(index)", roles: ["super_admin"])) }
            let callers = people
            await withTaskGroup(of: Void.self) { group in
                for (index, caller) in callers.enumerated() {
                    for target in callers where target.person != caller.person {
                        group.addTask {
                            // Whoever was allowed a moment ago asks: what counts is decided inside.
                            _ = try? await world.pipeline.run(
                                OperationRequest(
                                    operation: "staff.\(verb)", target: target.person,
                                    input: verb == "revoke_role" ? ["role": "super_admin"] : .object([:]),
                                    reasonCode: verb == "revoke_role" ? "moved" : "left",
                                    justification: "removing each other at once",
                                    idempotencyKey: "k\(index)-\(target.person)"),
                                by: caller)
                        }
                    }
                }
            }
            var left = 0
            for person in callers where try await world.caller(person.person).roles.contains("super_admin") {
                left += 1
            }
            #expect(left == 1, "\(verb)")
            await world.close()
        }
    }

    // MARK: A mover

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a mover's change is one request and one event, carried out whole or not at all`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await Stage(kind)
        let mover = try await stage.world.staff("mover", roles: ["support_l2", "support_l1"])
        let pending = try await stage.ask(
            "change_roles", on: mover,
            ["grant": ["engineering_oncall", "customer_success"], "revoke": ["support_l2"]],
            by: stage.asker)
        #expect(pending.needs.map(\.rule) == ["staff_change_roles"])
        #expect(try await stage.roles(of: mover) == ["support_l1", "support_l2"])
        let before = try await stage.world.snapshot()
        try await stage.approve(pending.approvalID, by: stage.guardian)
        #expect(try await stage.roles(of: mover) == ["customer_success", "engineering_oncall", "support_l1"])
        let events = try await stage.world.events(after: before)
        #expect(events.map(\.action) == ["approval.approve", "staff.change_roles"])
        #expect(events[1].leaf["facts"]?["granted"] == ["customer_success", "engineering_oncall"])
        #expect(events[1].leaf["facts"]?["revoked"] == ["support_l2"])

        // The role was taken away meanwhile: nothing of the change happens.
        let second = try await stage.ask(
            "change_roles", on: mover, ["grant": ["legal"], "revoke": ["engineering_oncall"]], by: stage.asker)
        _ = try await stage.apply(
            "revoke_role", on: mover, ["role": "engineering_oncall"], reason: "incident", by: stage.signer)
        try await stage.approve(second.approvalID, by: stage.guardian)
        #expect(try await stage.world.approval(second.approvalID).state == .failed)
        #expect(try await stage.roles(of: mover) == ["customer_success", "support_l1"])

        for (input, field) in [
            (.object([:]), "/input/grant"), (["grant": ["legal"], "revoke": ["legal"]], "/input/revoke"),
            (["revoke": ["legal"]], "/input/revoke"), (["grant": ["support_l1"]], "/input/grant"),
            (["revoke": ["support_l1"], "expires_at": "2030-01-01T00:00:00Z"], "/input/expires_at"),
        ] as [(JSON, String)] {
            let answer = try await stage.refusal("change_roles", on: mover, input, by: stage.asker)
            #expect(answer.hasPrefix(field), "\(input.canonicalText): \(answer)")
        }
        await stage.world.close()
    }

    // MARK: Roles that check each other

    @Test(
        arguments: TestDatabase.Kind.allCases,
        [
            ("billing_ops", "security"), ("security", "billing_ops"), ("support_l1", "billing_ops"),
            ("support_l2", "billing_ops"), ("billing_ops", "support_l1"),
        ])
    func `two roles that check each other are held together only by an exception that is reviewed`(
        kind: TestDatabase.Kind, pair: (String, String)
    ) async throws {
        let stage = try await Stage(kind)
        let (held, wanted) = pair
        let person = try await stage.world.staff("both", roles: [held])
        let refused = try await stage.refusal("grant_role", on: person, ["role": .string(wanted)], by: stage.asker)
        #expect(refused.hasPrefix("/input/role") && refused.contains("may not be held by one person"), "\(refused)")
        #expect(refused.contains("fill in “Exception”"), "\(refused)")
        // Not by way of a mover's change, and not by an invitation.
        #expect(
            try await stage.refusal("change_roles", on: person, ["grant": [.string(wanted)]], by: stage.asker)
                .hasPrefix("/input/grant"))
        let why = "A team of two; finance looks at every refund on Fridays."
        let input: JSON = ["role": .string(wanted), "exception": .string(why)]
        if case .pending(let pending) = try await stage.run("grant_role", on: person, input, by: stage.asker).result {
            try await stage.approve(pending.approvalID, by: stage.signer)
        }
        #expect(try await stage.roles(of: person) == [held, wanted])
        let found = try await stage.world.test.database.read { reader in
            try reader.query(StaffFlag.selectAll(after: "", limit: 10)).map(StaffFlag.init)
        }
        try #require(found.count == 1)
        let flag = found[0]
        #expect(Set(flag.roles) == [held, wanted] && flag.reason == why && flag.state == .open)
        #expect(flag.raisedBy == stage.asker.person && flag.staffID == person.person)

        // Neither who made it nor whom it is about closes the review.
        func clear(_ reason: String, by caller: Caller) async throws -> String {
            do {
                _ = try await stage.world.pipeline.run(
                    OperationRequest(
                        operation: "staff_flag.clear", target: flag.id, reasonCode: reason,
                        justification: "looked at the last month", idempotencyKey: stage.world.key()),
                    by: try await stage.fresh(caller))
                return "was allowed"
            } catch OperationError.conflict(let detail, _) {
                return detail
            }
        }
        #expect(try await clear("accepted", by: stage.asker).contains("You made this exception"))
        #expect(try await clear("resolved", by: stage.guardian).contains("are still held"))
        _ = try await stage.apply(
            "revoke_role", on: person, ["role": .string(wanted)], reason: "review", by: stage.signer)
        #expect(try await clear("resolved", by: stage.guardian) == "was allowed")
        #expect(try await clear("accepted", by: stage.guardian).contains("closed already"))
        // Another exception takes another reason.
        #expect(
            try await stage.refusal("grant_role", on: person, ["role": .string(wanted)], by: stage.asker)
                .hasPrefix("/input/role"))
        await stage.world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an exception where none is needed is refused`(kind: TestDatabase.Kind) async throws {
        let stage = try await Stage(kind)
        let answer = try await stage.refusal(
            "grant_role", on: stage.colleague,
            ["role": "support_l1", "exception": "There is no reason at all, but why not."], by: stage.asker)
        #expect(answer.hasPrefix("/input/exception"))
        await stage.world.close()
    }
}
