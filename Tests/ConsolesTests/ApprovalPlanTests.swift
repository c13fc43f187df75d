import HTML
import Kernel
import Store
import TestSupport
import Testing

@testable import Consoles

/// What a request tells of itself: what will really happen before it runs, and what really happened afterwards.
@Suite struct ApprovalPlanTests {
    /// Its page up to what is bound, which holds everything, and the request as the API answers it.
    private static func look(
        at id: String, by caller: Caller, _ world: World
    ) async throws -> (told: String, bound: String, json: JSON) {
        let call = PageCallFixture.make(caller, path: ["id": id])
        return try await world.test.database.read { reader in
            let text = try ApprovalPages.detail.render(call, reader).body.text
            let json = try ApprovalDetail.load(id, for: caller, from: reader).json(at: reader.now)
            let parts = text.components(separatedBy: "What exactly is signed")
            return (parts[0], parts.dropFirst().joined(), json)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a plan leaves out what is made anew, and what was done shows it`(kind: TestDatabase.Kind) async throws {
        let stage = try await ApprovalStage(kind)
        let world = stage.world
        let asker = try await stage.fresh(stage.asker)
        let pending = try await world.ask(
            "staff.invite", ["email": "mia@staff.test", "name": "Mia", "roles": ["support_l1"]], by: asker)
        let waiting = try await Self.look(at: pending.approvalID, by: stage.signer, world)
        let planned = try #require(waiting.json["plan"]?["changes"]?.array?.first?["id"]?.string)
        let anew = waiting.json["anew"]?["values"]?.array ?? []
        #expect(anew.contains(["in": "changes", "at": [0, 1], "path": "/id"]))
        #expect(anew.contains(["in": "changes", "at": [1], "path": "/after/staff_id"]))
        #expect(anew.contains(["in": "changes", "at": [0], "path": "/after/created_at", "after_seconds": 0]))
        #expect(!anew.contains { ["/after/email", "/after/role"].contains($0["path"]?.string) })
        #expect(!waiting.told.contains(planned) && waiting.bound.contains(planned))
        for words in [
            "mia@staff.test", "support_l1", "Whoever asked, asked, is shown the enrolment link once it is done",
            "its link runs out unused after 24 hours", "A notice in the inbox of asked: it was carried out",
            "when it runs",
        ] {
            #expect(waiting.told.contains(words), "\(words)")
        }
        #expect(waiting.json["changes"] == .null && waiting.json["reveals"] == ["enrolment_link"])
        #expect(waiting.json["matches_action"] == true)

        world.test.clock.advance(.minutes(3))
        try await stage.decide("approve", pending.approvalID, by: stage.signer)
        let done = try await Self.look(at: pending.approvalID, by: stage.signer, world)
        let made = try #require(
            done.json["changes"]?.array?.first { $0["type"] == "staff" }?["id"]?.string)
        #expect(made != planned && done.told.contains(made) && !done.told.contains(planned))
        #expect(done.told.contains("What it did") && !done.told.contains("when it runs"))
        #expect(done.told.contains("It was carried out:</p><p class=\"headline\">"))
        #expect(!done.told.contains("Nothing has been changed yet"))
        #expect(done.json["changes"]?.array?.contains { $0["type"] == "approval" } == false)
        #expect(done.json["matches_action"] == true)
        #expect(done.bound.contains("What was signed matches the commitments in the frozen action"))
        #expect(waiting.bound.contains(">Who must agree<") && done.bound.contains(">Who agreed<"))
        #expect(!done.bound.contains(">Who must agree<"))
        #expect(done.bound.contains(">Asked in<") && done.bound.contains(">Ended in<"))
        #expect(waiting.bound.contains(">Asked in<") && !waiting.bound.contains(">Ended in<"))
        // While the hours run it can be shown, and could be afterwards.
        #expect(
            done.told.contains("Only whoever asked, asked, can be shown the enrolment link: once, within 24 hours."))
        world.test.clock.advance(.hours(25))
        let late = try await Self.look(at: pending.approvalID, by: stage.signer, world)
        #expect(late.told.contains("Only whoever asked, asked, could be shown the enrolment link: once"))
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `whether it can be undone is said before, and afterwards until when`(kind: TestDatabase.Kind) async throws {
        let stage = try await ApprovalStage(kind)
        let world = stage.world
        let asker = try await stage.fresh(stage.asker)
        let pending = try await world.ask("staff.grant_role", on: stage.other.person, ["role": "security"], by: asker)
        let waiting = try await Self.look(at: pending.approvalID, by: stage.signer, world)
        let title = world.catalog["staff.revoke_role"]?.spec.title ?? ""
        let sentence = "Can be undone for 24 hours, by \(title)."
        #expect(waiting.json["reversibility"]?.string == sentence && waiting.told.contains(sentence))
        #expect(waiting.told.contains("A notice in the inbox of other: their roles changed"))
        try await stage.decide("approve", pending.approvalID, by: stage.signer)
        let done = try await Self.look(at: pending.approvalID, by: stage.signer, world)
        let until = done.json["reversibility"]?.string ?? ""
        #expect(until.hasPrefix("Can be undone until ") && until.hasSuffix(" UTC, by \(title)."), "\(until)")
        let event = try #require(done.json["outcome_event_id"]?.string)
        let offer = try await world.pipeline.undoOffer(for: event, by: stage.fresh(stage.asker)).request
        #expect(offer.operation == "staff.revoke_role" && offer.input["role"]?.string == "security")
        world.test.clock.advance(.hours(25))
        let late = try await Self.look(at: pending.approvalID, by: stage.signer, world)
        #expect(late.json["reversibility"]?.string?.hasPrefix("It can’t be undone now: possible until") == true)
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the plan of an emergency says on whom, by whom and how long, and who hears of it`(
        kind: TestDatabase.Kind
    ) async throws {
        try await BreakGlassStage.with(kind) { stage in
            let id = try await stage.ask(by: stage.ann)
            let shown = try await Self.look(at: id, by: stage.bob, stage.world)
            let acme = stage.acme
            let tenant = try #require(
                try await stage.world.test.database.read { try Tenant.load(acme, from: $0)?.name })
            for words in [
                ">Tenant</th>", ">\(tenant)</ins>", ">ann</ins>", ">30 min after it runs</ins>",
                "A notice in the inbox of every other Super admin and Security: break-glass was opened",
            ] {
                #expect(shown.told.contains(words), "\(words)")
            }
            let planned = try #require(shown.json["plan"]?["changes"]?.array?.first?["id"]?.string)
            #expect(!shown.told.contains(planned) && shown.bound.contains(planned))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a line in Slack is foreseen, and not claimed afterwards`(kind: TestDatabase.Kind) async throws {
        let stage = try await ApprovalStage(kind)
        let world = stage.world
        try await DeliveryChannels.announce([.slack], in: world.test.database)
        let id = try await world.ask(
            "staff.invite", ["email": "mia@staff.test", "name": "Mia", "roles": ["support_l1"]],
            by: stage.fresh(stage.asker)
        ).approvalID
        func sent() async throws -> [String] {
            let json = try await Self.look(at: id, by: stage.signer, world).json
            return (json["sent"]?.array ?? []).compactMap { $0["kind"]?.string }
        }
        #expect(try await sent().contains("slack"))
        // The channel may have been turned on since: nothing says that it heard of this.
        try await stage.decide("approve", id, by: stage.signer)
        let told = try await sent()
        #expect(told.contains("inbox") && !told.contains("slack"), "\(told)")
        await world.close()
    }

    @Test func `mail to everybody of a role says what it tells`() {
        let summary = MailNotice.summary(
            MailNotice.breakglassOpened.rawValue, ["roles": ["super_admin", "security"], "except": "stf_1"])
        #expect(summary == "Mail to every Super admin and Security: Break-glass was opened")
    }
}
