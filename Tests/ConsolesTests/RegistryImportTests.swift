import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Consoles
@testable import Kernel

/// A CSV file in a directory of its own, removed with `remove`.
private struct File {
    let path: String

    init(_ lines: [String]) throws {
        path = NSTemporaryDirectory() + "postern-import-\(SecureRandom.bytes(8).hex).csv"
        try lines.joined(separator: "\r\n").write(toFile: path, atomically: true, encoding: .utf8)
    }

    func remove() { try? FileManager.default.removeItem(atPath: path) }

    static let header = "external_id,name,slug,plan,owner_email,member_emails"
    static func lines(_ count: Int) -> [String] {
        [header]
            + (1...count).map {
                "ext-\($0),\"Customer \($0), Ltd\",customer-\($0),pro,owner\($0)@c\($0).test,"
                    + "a\($0)@c\($0).test;b\($0)@c\($0).test"
            }
    }
}

/// The fields a refusal names; `nil` when the request went through.
private func refusedFields(_ request: OperationRequest, _ world: World) async -> [String]? {
    let failure: OperationError
    do throws(OperationError) {
        _ = try await world.pipeline.run(request, by: world.everybody)
        return nil
    } catch {
        failure = error
    }
    if case .invalid(let errors) = failure { return errors.map(\.pointer) }
    return ["\(failure)"]
}

@Suite struct RegistryImportTests {
    @Test(arguments: TestDatabase.Kind.allCases)
    func `an import brings customers whole and again changes nothing`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, populated: false)
        let file = try File(File.lines(2_500))
        defer { file.remove() }
        let run = ImportRun(file.path, through: world.pipeline)
        let report = try await run.validate()
        #expect(report.problems == [] && report.rows == 2_500 && report.created == 2_500 && report.isApplicable)
        let before = try await world.snapshot()
        #expect(before.documents.keys.contains { $0.hasPrefix("tenant ") } == false)

        let steps = Mutex<[Int]>([])
        let progress = try await run.apply(report) { step in steps.withLock { $0.append(step.done) } }
        #expect(progress == .init(done: 2_500, total: 2_500, unchanged: 0))
        #expect(steps.withLock { $0 } == [1_000, 2_000, 2_500])
        let after = try await world.snapshot()
        #expect(after.documents.keys.count { $0.hasPrefix("tenant ") } == 2_500)
        #expect(after.documents.keys.count { $0.hasPrefix("user ") } == 7_500)
        #expect(after.documents.keys.count { $0.hasPrefix("membership ") } == 7_500)
        #expect(after.counts["tenant_status_history"] == 2_500)
        #expect(after.events - before.events == 4, "one event for each batch, and one for the end")
        #expect(after.counts["outbox"] == 1, "webhooks are told once")

        let again = try await run.validate()
        #expect(again.unchanged == 2_500 && again.created == 0 && again.updated == 0)
        let second = try await run.apply(again)
        #expect(second.unchanged == 2_500)
        let still = try await world.snapshot()
        #expect(still == after, "an import that changes nothing writes nothing")
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a stopped import continues where it was`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, populated: false)
        let part = try File(File.lines(1_200))
        let whole = try File(File.lines(2_200))
        defer {
            part.remove()
            whole.remove()
        }
        let first = ImportRun(part.path, through: world.pipeline)
        try await first.apply(try await first.validate())
        let rest = ImportRun(whole.path, through: world.pipeline)
        let report = try await rest.validate()
        #expect(report.created == 1_000 && report.unchanged == 1_200)
        let progress = try await rest.apply(report)
        #expect(progress.unchanged == 1_200 && progress.done == 2_200)
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `every problem is found before anything is written`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, populated: false)
        let there = try File([File.header, "here-1,Here,taken,pro,,"])
        let file = try File([
            File.header, "ext-1,One,one,pro,,", "ext-2,Two,taken,pro,,", "ext-1,Three,three,pro,,",
            "ext-4,Four,one,pro,,",
            "ext-5,,five,pro,,not-an-address",
        ])
        defer {
            there.remove()
            file.remove()
        }
        let first = ImportRun(there.path, through: world.pipeline)
        try await first.apply(try await first.validate())
        let before = try await world.snapshot()
        let run = ImportRun(file.path, through: world.pipeline)
        let report = try await run.validate()
        #expect(report.problems.map(\.line) == [3, 4, 5, 6, 6])
        #expect(report.problems.map(\.column) == ["slug", "external_id", "slug", "name", "member_emails"])
        #expect(
            report.problems[0].sentence == "Line 3, column slug: \"taken\" is taken by \"Here\" (external id here-1).")
        #expect(report.problems[1].sentence == "Line 4, column external_id: \"ext-1\" stands in line 2 already.")
        #expect(report.rows == 1 && report.rejected == 4)
        await #expect(throws: ImportRun.Failure.self) { try await run.apply(report, strict: true) }
        let after = try await world.snapshot()
        #expect(after == before)
        // Without --strict the sound rows come in, and the rest is listed.
        let list = file.path + ".rejected.csv"
        defer { try? FileManager.default.removeItem(atPath: list) }
        try await run.writeRejected(report, to: list)
        let lines = try String(contentsOfFile: list, encoding: .utf8).components(separatedBy: "\r\n")
        #expect(lines[0] == "line,column,reason,row" && lines.count == 7, "\(lines)")
        #expect(lines[1].hasPrefix("3,slug,\"Line 3, column slug: \"\"taken\"\" is taken by"), "\(lines[1])")
        let mode = try FileManager.default.attributesOfItem(atPath: list)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        let progress = try await run.apply(report)
        #expect(progress.done == 1)
        let tenants = try await world.snapshot().documents.keys.count { $0.hasPrefix("tenant ") }
        #expect(tenants == 2)
        await world.close()
    }

    @Test func `what was checked is what is applied, whatever becomes of the file`() async throws {
        let world = try await World.make(.sqlite, populated: false)
        let file = try File(File.lines(3))
        defer { file.remove() }
        let run = ImportRun(file.path, through: world.pipeline)
        let report = try await run.validate()
        try File.lines(4).joined(separator: "\n").write(toFile: file.path, atomically: true, encoding: .utf8)
        let progress = try await run.apply(report)
        #expect(progress.done == 3)
        let missing = ImportRun("/nowhere/at/all.csv", through: world.pipeline)
        await #expect(throws: ImportRun.Failure.self) { try await missing.validate() }
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a preview says who has the slug and a lost race answers the same field`(kind: TestDatabase.Kind) async throws
    {
        let world = try await World.make(kind, populated: false)
        let id = try await world.tenant("acme")
        var request = OperationRequest(
            operation: "tenant.create",
            input: ["external_id": "other", "name": "Other", "slug": "acme", "plan": "pro", "region": "eu-west"],
            idempotencyKey: world.key())
        let preview = try await world.pipeline.preview(request, by: world.everybody)
        #expect(!preview.allowed)
        #expect(preview.reasons.contains { $0.contains("taken by \"Tenant acme\"") }, "\(preview.reasons)")
        let taken = await refusedFields(request, world)
        #expect(taken == ["/input/slug"])
        // Both ask at once: one of them loses, in whatever way, with the same field.
        request.input = ["external_id": "race", "name": "Race", "slug": "race", "plan": "pro", "region": "eu-west"]
        var twin = request
        request.idempotencyKey = world.key()
        twin.idempotencyKey = world.key()
        twin.input = ["external_id": "race-2", "name": "Race", "slug": "race", "plan": "pro", "region": "eu-west"]
        let (one, other) = (request, twin)
        async let first = refusedFields(one, world)
        async let second = refusedFields(other, world)
        let outcomes = [await first, await second]
        #expect(outcomes.filter { $0 == nil }.count == 1)
        #expect(outcomes.contains(["/input/slug"]), "\(outcomes)")
        #expect(Identifier.isValid(id, prefix: "ten"))
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `history tells every state with its event`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, populated: false)
        let id = try await world.tenant(
            "acme", then: [("tenant.suspend", "abuse"), ("tenant.restore", "investigation_closed")])
        let answer = try await world.test.database.read { reader in
            try TenantReads.history.run(readCall(["limit": ["2"]], id: id), reader)
        }
        let lines = try #require(answer.body["items"]?.array)
        #expect(lines.map { $0["to"] } == ["active", "suspended"])
        #expect(lines.map { $0["reason_code"] } == ["investigation_closed", "abuse"])
        #expect(lines[0]["actor"]?["type"] == "staff")
        let next = try #require(answer.nextCursor)
        let rest = try await world.test.database.read { reader in
            try TenantReads.history.run(readCall(["limit": ["2"], "cursor": [next]], id: id), reader)
        }
        #expect(rest.body["items"]?.array?.map { $0["from"] } == [.null] && rest.nextCursor == nil)
        #expect(answer.disclosure?.target?.id == id)
        await world.close()
    }
}
