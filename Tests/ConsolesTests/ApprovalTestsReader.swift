import Kernel
import Store
import TestSupport
import Testing

@testable import Consoles

/// Requests, by who looks at them: their page, and the forms that decide on them.
@Suite struct ApprovalTestsReader {
    @Test(arguments: TestDatabase.Kind.allCases)
    func `whoever decides reads above the plan who asked, who signed and who is missing`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await ApprovalStage(kind)
        let world = stage.world
        let third = try await world.staff("third", roles: ["super_admin"])
        try await stage.add("hard_delete_two", demanding: "all of (super_admin, super_admin)")
        let id = try await stage.ask().approvalID
        let describe = try #require(ApprovalsConsole.console.subjects[ApprovalRequest.type])
        /// What stands before the headline of the plan.
        func above() async throws -> String {
            let request = try await world.approval(id)
            let call = PageCallFixture.make(third, path: ["id": id])
            let text = try await world.test.database.read { try describe(request, call, $0)?.body().text ?? "" }
            let parts = text.split(separator: "class=\"headline\"", maxSplits: 1)
            #expect(parts.count == 2)
            return String(parts.first ?? "")
        }
        let unsigned = try await above()
        for words in [
            "Asked by", "asked", "TEST-1", "Who must agree", "2 people with Super admin", "Nobody has signed it yet.",
        ] {
            #expect(unsigned.contains(words), "\(words)")
        }
        try await stage.decide("approve", id, by: stage.signer)
        let signed = try await above()
        #expect(signed.contains("It still needs 1 person with Super admin.") && signed.contains(">signer</span>"))
        #expect(!signed.contains("Nobody has signed it yet."))
        // What they signed counts no more, and is there to be read.
        try await stage.decide("approve", id, by: third)
        world.test.clock.advance(.hours(25))
        try await world.run("tenant.update", on: stage.tenant, ["name": "Somebody Else"], by: world.system)
        #expect(try await world.pipeline.executeDue() == 1)
        #expect(try await world.approval(id).state == .stale)
        let stale = try await above()
        #expect(!stale.contains("Nobody has signed it yet."))
        #expect(stale.contains("It still needs 2 people with Super admin.") && stale.contains(">signer</span>"))
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a request that came to nothing says who ended it, and when`(kind: TestDatabase.Kind) async throws {
        let stage = try await ApprovalStage(kind)
        let world = stage.world
        let page = try #require(ApprovalsConsole.console.pages.first { $0.path == "/approvals/{id}" })
        func text(_ id: String) async throws -> String {
            let call = PageCallFixture.make(stage.asker, path: ["id": id])
            return try await world.test.database.read { try page.render(call, $0).body.text }
        }
        let rejected = try await stage.ask().approvalID
        let waiting = try await text(rejected)
        #expect(!waiting.contains("rejected it."))
        // Its sentence stands in the present tense, so whether it has happened is read before it.
        let preface = "</p><p class=\"headline\">"
        for words in [
            "What it would do", "Nothing has been changed yet. When it is carried out:\(preface)", "When asked",
            "What would change", "What would be sent",
        ] {
            #expect(waiting.contains(words), "\(words)")
        }
        try await stage.decide("reject", rejected, by: stage.signer)
        #expect(try await text(rejected).contains("<b>signer rejected it.</b> <time"))
        for words in [
            "What it would have done", "This did not happen:\(preface)", "What would have changed",
            "What would have been sent", ">Who had to agree<",
        ] {
            #expect(try await text(rejected).contains(words), "\(words)")
        }
        #expect(try await !text(rejected).contains("Nothing has been changed yet"))
        let cancelled = try await stage.ask().approvalID
        try await stage.decide("cancel", cancelled, by: stage.asker)
        #expect(try await text(cancelled).contains("<b>asked cancelled it.</b> <time"))
        // It is over before anything says so, and by nobody.
        let expired = try await stage.ask().approvalID
        world.test.clock.advance(.hours(25))
        for isTold in [false, true] {
            if isTold { #expect(try await world.pipeline.expireOverdue() == 1) }
            let said = try await text(expired)
            #expect(said.contains("<b>It expired.</b> <time"), "told: \(isTold)")
            #expect(said.contains("Not everybody agreed in time: it still needed 1 person with Super admin."))
            #expect(said.contains("This did not happen:\(preface)"), "told: \(isTold)")
            let asker = stage.asker
            let json = try await world.test.database.read {
                try ApprovalDetail.load(expired, for: asker, from: $0).json(at: $0.now)
            }
            #expect(json["is_overdue"] == .bool(!isTold))
        }
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a request that is over says who signed it, whatever they lost since`(kind: TestDatabase.Kind) async throws {
        let stage = try await ApprovalStage(kind)
        let world = stage.world
        let third = try await world.staff("third", roles: ["super_admin"])
        let page = try #require(ApprovalsConsole.console.pages.first { $0.path == "/approvals/{id}" })
        func text(_ id: String) async throws -> String {
            let call = PageCallFixture.make(third, path: ["id": id])
            return try await world.test.database.read { try page.render(call, $0).body.text }
        }
        let done = try await world.ask(
            "staff.invite", ["email": "new@staff.test", "name": "New", "roles": ["support_l1"]], by: stage.asker
        ).approvalID
        try await stage.decide("approve", done, by: stage.signer)
        #expect(try await world.approval(done).state == .executed)
        try await stage.add("hard_delete_two", demanding: "all of (super_admin, super_admin)")
        let late = try await stage.ask().approvalID
        try await stage.decide("approve", late, by: stage.signer)
        try await world.revoke("super_admin", of: stage.signer.person)
        #expect(try await text(late).contains("Counts no more: no longer holds Super admin"))
        #expect(try await stage.expire(after: .hours(25)) == 1)
        let (expired, executed) = (try await text(late), try await text(done))
        // It was another one who was missing, not whoever signed.
        #expect(expired.contains("Not everybody agreed in time: it still needed 1 person with Super admin."))
        for said in [expired, executed] {
            #expect(!said.contains("Counts no more") && said.contains("Agreed"))
        }
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `what was decided stands in the order of the decisions, each with that time`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await ApprovalStage(kind)
        let world = stage.world
        let first = try await stage.ask().approvalID
        world.test.clock.advance(.minutes(10))
        let second = try await world.ask(
            "staff.invite", ["email": "new@staff.test", "name": "New", "roles": ["support_l1"]],
            by: stage.fresh(stage.asker)
        ).approvalID
        // The one that was asked for first is decided on last.
        for id in [second, first] {
            world.test.clock.advance(.minutes(10))
            try await stage.decide("reject", id, by: stage.signer)
        }
        let page = try #require(ApprovalsConsole.console.pages.first { $0.path == "/approvals" })
        let call = PageCallFixture.make(stage.signer, query: ["view": ["decided"]])
        let text = try await world.test.database.read { try page.render(call, $0).body.text }
        let places = (try #require(text.firstRange(of: first)), try #require(text.firstRange(of: second)))
        #expect(places.0.lowerBound < places.1.lowerBound)
        for id in [first, second] {
            let request = try await world.approval(id)
            let decided = try #require(request.decidedAt)
            #expect(text.contains("datetime=\"\(decided.rfc3339)\""))
            #expect(!text.contains("datetime=\"\(request.createdAt.rfc3339)\""))
        }
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `requests that are about the same thing have names of their own`(kind: TestDatabase.Kind) async throws {
        let stage = try await ApprovalStage(kind)
        let world = stage.world
        try await world.staff("guardian", roles: ["security"])
        func rule(_ verb: String) -> JSON {
            [
                "code": .string("enterprise_\(verb)"), "operation": .string("tenant.\(verb)"),
                "condition": "tier = enterprise", "demand": "head_of_cs or super_admin",
                "summary": "An Enterprise tenant",
            ]
        }
        let asked = [
            try await world.ask("policy.add_rule", rule("suspend"), by: stage.asker),
            try await world.ask("policy.add_rule", rule("archive"), by: stage.asker),
            try await world.ask(
                "policy.change_separation", on: "legal", ["role": "executive", "held": "apart"], by: stage.asker),
        ]
        let page = try #require(ApprovalsConsole.console.pages.first { $0.path == "/approvals/{id}" })
        var titles: [String] = []
        for request in asked {
            let call = PageCallFixture.make(stage.asker, path: ["id": request.approvalID])
            titles.append(try await world.test.database.read { try page.render(call, $0).title })
        }
        #expect(
            titles == [
                "Add rule: An Enterprise tenant, for tenant.suspend",
                "Add rule: An Enterprise tenant, for tenant.archive",
                "Change separation: Legal, apart from Executive",
            ])
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a request is called by the name of what it is about, and says why somebody can't sign it`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await ApprovalStage(kind)
        let world = stage.world
        let guardian = try await world.staff("guardian", roles: ["security"])
        let pending = try await world.ask(
            "policy.change_rule", on: "bulk_broadcast",
            [
                "condition": "always", "demand": "head_of_cs", "window_minutes": 720, "cooldown_minutes": 0,
                "summary": "Writing to many customers",
            ], by: stage.asker)
        let page = try #require(ApprovalsConsole.console.pages.first { $0.path == "/approvals/{id}" })
        func text(_ caller: Caller) async throws -> String {
            let call = PageCallFixture.make(caller, path: ["id": pending.approvalID])
            return try await world.test.database.read { try page.render(call, $0).body.text }
        }
        let own = try await text(stage.asker)
        #expect(own.contains("Change rule: Writing to many customers"))
        // The way to the page ends in its name; the id stands in the record.
        #expect(own.contains("aria-current=\"page\">Change rule: Writing to many customers</span>"))
        #expect(own.contains(pending.approvalID))
        #expect(own.contains("You asked for this, so somebody else must agree.") && !own.contains("Approve…"))
        #expect(own.contains("Cancel request…") && !own.contains("Cancel their request…"))
        let signer = try await text(guardian)
        #expect(signer.contains("Approve…") && !signer.contains("None of your roles"))
        // Whoever signs could also take it back for whoever asked, apart from what decides.
        #expect(signer.contains("<span class=\"push\"><a class=\"btn btn--quiet\""))
        #expect(signer.contains("Cancel their request…"))
        #expect(!signer.contains("Cancel request…"))
        let stranger = try await text(stage.signer)
        #expect(stranger.contains("None of your roles signs this. It needs 1 person with Security."))
        #expect(!stranger.contains("Approve…") && !stranger.contains("/cancel\""))
        try await stage.decide("reject", pending.approvalID, by: guardian)
        #expect(try await !text(stage.signer).contains("None of your roles"))
        // A row that can't be read takes no page with it.
        try await world.test.tamper([DiscrepancyTestQueries.spoil(rule: "bulk_broadcast")])
        #expect(try await text(stage.asker).contains("Change rule: bulk_broadcast"))
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a form that decides shows what is decided on, checked against what the action commits to`(
        kind: TestDatabase.Kind
    ) async throws {
        let stage = try await ApprovalStage(kind)
        let world = stage.world
        let pending = try await stage.ask()
        let subject = try #require(ApprovalsConsole.console.subjects[ApprovalRequest.type])
        func text() async throws -> String {
            let call = PageCallFixture.make(stage.signer, path: ["id": pending.approvalID])
            let request = try await world.approval(pending.approvalID)
            return try await world.test.database.read { reader in
                try #require(try subject(request, call, reader)).body().text
            }
        }
        let shown = try await text()
        for words in [
            "What would change", "Tenant leaving", "What would be sent", "The frozen action, in full",
            "What exactly is signed", "measures",
            "because the test world needs it", "These values match the commitments in the frozen action",
        ] {
            #expect(shown.contains(words), "\(words)")
        }
        try await world.test.tamper([
            DiscrepancyTestQueries.say("Tenant staying", for: "Tenant leaving", sealedBy: pending.eventID)
        ])
        let forged = try await text()
        #expect(forged.contains("not the ones the frozen action commits to") && forged.contains("Tenant staying"))
        #expect(!forged.contains("These values match"))
        await world.close()
    }
}
