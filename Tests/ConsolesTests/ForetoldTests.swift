import HTML
import Kernel
import Store
import TestSupport
import Testing

@testable import Consoles

/// What a preview says of times that are made when it runs and of who is told, and what is said of that afterwards.
@Suite struct ForetoldTests {
    private static func console(_ caller: Caller) -> Caller {
        Caller(
            actor: caller.actor, person: caller.person, displayName: caller.displayName, roles: caller.roles,
            permissions: caller.permissions, authentication: caller.authentication, client: .console,
            ip: "127.0.0.1", userAgent: "test", requestID: caller.requestID)
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a preview has words in the place of a time that will be another one`(kind: TestDatabase.Kind) async throws {
        try await BreakGlassStage.with(kind) { stage in
            let spec = try #require(stage.world.catalog["tenant.suspend"]?.spec)
            let request = stage.request("tenant.suspend", on: stage.acme, reason: "abuse")
            let ann = try await stage.fresh(stage.ann)
            let plain = try await stage.world.pipeline.preview(request, by: ann)
            #expect(plain.anew == MadeAnew())
            #expect(!OperationViews.preview(plain, spec: spec).text.contains("when it runs"))
            let preview = try await stage.world.pipeline.preview(request, by: ann, foretells: true)
            let html = OperationViews.preview(preview, spec: spec).text
            #expect(html.contains(">Status since</th>") && html.contains("<ins>when it runs</ins>"), "\(html)")
            #expect(html.contains(">Once restored</th>"), "\(html)")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a preview says whom it tells, when it is asked for and when it is done`(
        kind: TestDatabase.Kind
    ) async throws {
        try await BreakGlassStage.with(kind, sendsMail: true) { stage in
            let inbox = StaffInbox(pipeline: stage.world.pipeline)
            let spec = try #require(stage.world.catalog["breakglass.open"]?.spec)
            let ann = try await stage.fresh(stage.ann)
            let preview = try await stage.world.pipeline.preview(
                stage.request("breakglass.open", ["tenant": "acme"], reason: "outage"), by: ann, foretells: true)
            let told = try await inbox.foretold(preview, by: ann)
            #expect(
                told.asking.map(\.summary) == [
                    "A notice in the inbox of everybody who could sign: it waits for them",
                    "Mail to every Super admin: Break-glass waits for your signature, for 10 minutes",
                ])
            #expect(
                told.done.map(\.summary) == [
                    "A notice in the inbox of ann: it was carried out",
                    "A notice in the inbox of every other Super admin and Security: break-glass was opened",
                ])
            let html = OperationViews.preview(preview, spec: spec, told: told).text
            for effect in told.asking + told.done { #expect(html.contains(effect.summary), "\(effect.summary)") }
            #expect(html.contains("at once") && html.contains("after approval"))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `what is said of the end of break-glass is who gets a notice of it`(kind: TestDatabase.Kind) async throws {
        try await BreakGlassStage.with(kind, sendsMail: true) { stage in
            let inbox = StaffInbox(pipeline: stage.world.pipeline)
            let post = InboxReviewsTests.Post(world: stage.world)
            // Somebody who could review it, and is neither of the roles with a say.
            try await stage.world.put([.create(RolePermission(role: "legal", permission: "breakglass.review"))])
            _ = try await stage.world.staff("vic", roles: ["legal"])
            func heard(of id: String) async throws -> Set<String> {
                let kinds: [Notice.Kind] = [.emergencyEnded, .emergencyOwed]
                var people: Set<String> = []
                for person in ["ann", "bob", "sam", "lee", "vic"] {
                    let entries = try await post.entries(of: "stf_\(person)", all: true)
                    if entries.contains(where: { $0.notice.about?.id == id && kinds.contains($0.notice.kind) }) {
                        people.insert(person)
                    }
                }
                return people
            }
            // Its opener, who signed it, somebody else who could review it; and that one once its opener holds no role.
            let ends: [(doer: Caller, isRoleLost: Bool, named: String, heard: Set<String>)] = [
                (stage.ann, false, "", ["bob", "sam", "vic"]), (stage.bob, false, "ann, ", ["ann", "sam", "vic"]),
                (stage.sam, false, "ann, ", ["ann", "bob", "sam", "vic"]),
                (stage.sam, true, "ann, ", ["ann", "bob", "sam", "vic"]),
            ]
            for end in ends {
                let id = try await stage.open(by: stage.ann, with: stage.bob)
                if end.isRoleLost {
                    let grant = try #require(
                        try await stage.world.test.database.read { try Grant.load("grt_ann-super_admin", from: $0) })
                    var after = grant
                    after.version += 1
                    after.revokedAt = stage.now
                    try await stage.world.put([.update(grant, to: after)])
                }
                let sentence =
                    "A notice in the inbox of \(end.named)everybody who could review it and every other Super admin and Security: break-glass has ended, and its review is owed"
                let doer = try await stage.fresh(end.doer)
                let preview = try await stage.world.pipeline.preview(
                    stage.request("breakglass.end", on: id), by: doer, foretells: true)
                #expect(try await inbox.foretold(preview, by: doer).done.map(\.summary) == [sentence])
                let done = try await stage.apply("breakglass.end", on: id, by: end.doer)
                #expect(try await inbox.told(of: done, by: doer).map(\.summary) == [sentence])
                try await post.tell()
                #expect(try await heard(of: id) == end.heard, "\(end.doer.displayName)")
                try await stage.review(id, by: stage.sam)
            }
        }
    }

    @Test func `an exception is foreseen for others than who makes it`() {
        let foresight = InboxForesight(
            "staff.grant_role", on: (type: Staff.type, id: "stf_1"), by: "stf_2", isAsked: false,
            [(type: StaffFlag.type, document: .object([:]))])
        #expect(foresight.lines.map(\.groups) == [["others who review roles held together"]])
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a line in Slack is foreseen, and not claimed of what was done`(kind: TestDatabase.Kind) async throws {
        try await BreakGlassStage.with(kind) { stage in
            try await DeliveryChannels.announce([.slack], in: stage.world.test.database)
            let inbox = StaffInbox(pipeline: stage.world.pipeline)
            let id = try await stage.open(by: stage.ann, with: stage.bob)
            let sam = try await stage.fresh(stage.sam)
            let preview = try await stage.world.pipeline.preview(
                stage.request("breakglass.end", on: id), by: sam, foretells: true)
            #expect(try await inbox.foretold(preview, by: sam).done.map(\.kind) == ["inbox", "slack"])
            // A day later it would be refused: nothing else is tried while somebody waits.
            #expect(preview.anew == MadeAnew())
            // The channel may have been turned on since.
            let done = try await stage.apply("breakglass.end", on: id, by: stage.sam)
            #expect(try await inbox.told(of: done, by: sam).map(\.kind) == ["inbox"])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the console still knows afterwards what was sent`(kind: TestDatabase.Kind) async throws {
        try await BreakGlassStage.with(kind) { stage in
            let pipeline = stage.world.pipeline
            func sent(_ operation: String, reason: String, by caller: Caller) async throws -> [[Effect]?] {
                let request = stage.request(operation, on: stage.acme, reason: reason)
                let first = try await pipeline.run(request, by: caller)
                let again = try await pipeline.outcome(ofKey: request.idempotencyKey ?? "", by: caller)
                var found: [[Effect]?] = []
                for outcome in [first, again] {
                    if case .applied(let applied) = outcome.result { found.append(applied.sent) }
                }
                try #require(found.count == 2)
                return found
            }
            let ann = try await stage.fresh(stage.ann)
            let shown = try await sent("tenant.suspend", reason: "support_investigation", by: Self.console(ann))
            #expect(shown[0]?.isEmpty == false)
            #expect(shown[0]?.map(\.summary) == shown[1]?.map(\.summary))
            #expect(shown[1]?.contains(where: { $0.name == "tenant.suspended" }) == true)
            // Over the API it is in the answer's event, and nobody shows it later.
            let answered = try await sent("tenant.restore", reason: "investigation_closed", by: ann)
            #expect(answered[0]?.isEmpty == false && answered[1] == nil)
        }
    }
}
