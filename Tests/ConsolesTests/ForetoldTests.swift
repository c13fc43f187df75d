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
            #expect(html.contains(">Goes back to</th>"), "\(html)")
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
                    "Mail to every super_admin: Break-glass waits for your signature, for 10 minutes",
                ])
            #expect(
                told.done.map(\.summary) == [
                    "A notice in the inbox of ann: it was carried out",
                    "A notice in the inbox of every other super_admin and security: break-glass was opened",
                ])
            let html = OperationViews.preview(preview, spec: spec, told: told).text
            for effect in told.asking + told.done { #expect(html.contains(effect.summary), "\(effect.summary)") }
            #expect(html.contains("at once") && html.contains("after approval"))

            let id = try await stage.open(by: stage.ann, with: stage.bob)
            let sam = try await stage.fresh(stage.sam)
            let ended = try await stage.apply("breakglass.end", on: id, by: stage.sam)
            #expect(
                try await inbox.told(of: ended, by: sam).map(\.summary) == [
                    "A notice in the inbox of every super_admin and security: break-glass has ended, and its review is owed"
                ])
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
