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
    func `a row that is left out keeps no name from the ones behind it`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, populated: false)
        let file = try File([
            File.header, "ext-1,One,one,pro,,", "ext-1,Two,two,pro,,", "ext-2,Three,two,pro,,", "ext-2,Four,one,pro,,",
        ])
        defer { file.remove() }
        let report = try await ImportRun(file.path, through: world.pipeline).validate()
        // Line 3 is blamed on what stands before it alone; line 5 on two of them.
        #expect(
            report.problems.map(\.sentence) == [
                "Line 3, column external_id: \"ext-1\" stands in line 2 already.",
                "Line 5, column external_id: \"ext-2\" stands in line 4 already.",
                "Line 5, column slug: \"one\" stands in line 2 already.",
            ])
        #expect(report.rows == 2 && report.rejected == 2 && report.problemCount == 3)
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

    @Test(arguments: TestDatabase.Kind.allCases)
    func `what was rejected comes in once its cause is gone`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, populated: false)
        let file = try File([File.header, "ext-1,One,one,pro,,", "ext-2,Two,taken,pro,,"])
        defer { file.remove() }
        var holder = try RegistryRow(["external_id": "here-1", "name": "Here", "slug": "taken"])
        _ = try await world.run("registry.put_tenant", ["tenant": holder.json], by: world.system)
        let run = ImportRun(file.path, through: world.pipeline)
        let first = try await run.validate()
        #expect(first.rows == 1 && first.rejected == 1 && first.problems.map(\.line) == [3])
        let still = try await run.validate()
        #expect(still.rows == 1 && still.rejected == 1 && still.problems == first.problems)

        holder.slug = "moved"
        _ = try await world.run("registry.put_tenant", ["tenant": holder.json], by: world.system)
        let mended = try await run.validate()
        #expect(mended.rows == 2 && mended.rejected == 0 && mended.problemCount == 0 && mended.problems == [])
        let progress = try await run.apply(mended, strict: true)
        #expect(progress.done == 2)
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `addresses that pass on within a file are checked across its batches`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, populated: false)
        let here = try RegistryRow([
            "external_id": "ext-5", "name": "Customer 5", "slug": "customer-5",
            "members": [["email": "desk@c.test", "external_id": "u-1"]],
        ])
        _ = try await world.run("registry.put_tenant", ["tenant": here.json], by: world.system)
        let members = [
            5: #"{"email": "new@c.test", "external_id": "u-1"}"#,
            10: #"{"email": "both@c.test", "external_id": "u-8"}"#,
            1_400: #"{"email": "both@c.test", "external_id": "u-9"}"#,
            1_500: #"{"email": "desk@c.test", "external_id": "u-2"}"#,
        ]
        func lines(without left: Int?) -> [String] {
            (1...1_500).filter { $0 != left }.map { number in
                #"{"external_id": "ext-\#(number)", "name": "Customer \#(number)", "slug": "customer-\#(number)", "#
                    + #""members": [\#(members[number] ?? "")]}"#
            }
        }
        let wrong = try File(lines(without: nil))
        let sound = try File(lines(without: 1_400))
        defer {
            wrong.remove()
            sound.remove()
        }
        let before = try await world.snapshot()
        let found = try await ImportRun(.init(wrong.path, format: .jsonl), through: world.pipeline).validate()
        #expect(found.problems.map(\.line) == [1_400], "\(found.problems)")
        #expect(found.problems.first?.column == "members" && found.rows == 1_499)
        let after = try await world.snapshot()
        #expect(after == before)

        // The address that row 5 frees is free for row 1,500, as it is when both are applied.
        let run = ImportRun(.init(sound.path, format: .jsonl), through: world.pipeline)
        let report = try await run.validate()
        #expect(report.rejected == 0 && report.rows == 1_499, "\(report.problems)")
        let end = try await run.apply(report, strict: true, rejectedTo: nil) { _ in }
        #expect(!end.isStopped && end.done == 1_499)
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `what became wrong after the check is listed and counted too`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, populated: false)
        let file = try File([File.header, "ext-1,One,one,pro,,", "ext-2,Two,two,pro,,", "ext-3,,three,pro,,"])
        let list = file.path + ".rejected.csv"
        defer {
            file.remove()
            try? FileManager.default.removeItem(atPath: list)
        }
        let run = ImportRun(file.path, through: world.pipeline)
        let report = try await run.validate()
        #expect(report.rows == 2 && report.rejected == 1)
        try await run.writeRejected(report, to: list)
        let quicker = try RegistryRow(["external_id": "put-1", "name": "Quicker", "slug": "two"])
        _ = try await world.run("registry.put_tenant", ["tenant": quicker.json], by: world.system)
        let end = try await run.apply(report, strict: false, rejectedTo: list) { _ in }
        #expect(end.rows == 1 && end.created == 1 && end.done == 1)
        #expect(end.rejected == 2 && end.problemCount == 2 && end.problems.map(\.line) == [3, 4])
        let text = try String(contentsOfFile: list, encoding: .utf8)
        #expect(text.contains("is taken by \"\"Quicker\"\"") && text.contains("4,name,"), "\(text)")
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `where no row may be left out, nothing more is applied once one has become wrong`(
        kind: TestDatabase.Kind
    ) async throws {
        let world = try await World.make(kind, populated: false)
        let file = try File(File.lines(2_500))
        let list = file.path + ".rejected.csv"
        defer {
            file.remove()
            try? FileManager.default.removeItem(atPath: list)
        }
        func told() async throws -> [String] {
            try await world.test.database.read { reader in
                try reader.query(Statement("SELECT name FROM outbox")).map { try $0.string("name") }
            }
        }
        let run = ImportRun(file.path, through: world.pipeline)
        let report = try await run.validate()
        #expect(report.rows == 2_500 && report.rejected == 0)
        let quicker = try RegistryRow(["external_id": "put-1", "name": "Quicker", "slug": "customer-1500"])
        _ = try await world.run("registry.put_tenant", ["tenant": quicker.json], by: world.system)
        let stopped = try await run.apply(report, strict: true, rejectedTo: list) { _ in }
        #expect(stopped.isStopped && stopped.done == 1_000 && stopped.rows == 2_499 && stopped.created == 1_000)
        #expect(stopped.rejected == 1 && stopped.problems.map(\.line) == [1_501])
        let text = try String(contentsOfFile: list, encoding: .utf8)
        #expect(text.contains("is taken by \"\"Quicker\"\""), "\(text)")
        let part = try await world.snapshot().documents.keys.count { $0.hasPrefix("tenant ") }
        #expect(part == 1_001, "the batch with the wrong row is not in, nor one behind it")
        #expect(try await told() == ["tenant.created"], "it has not ended")

        // The same command again changes nothing; without being strict it goes on.
        let again = try await run.validate()
        #expect(again.rejected == 1 && again.done == 1_000 && again.rows == 2_499 && !again.isStopped)
        await #expect(throws: ImportRun.Failure.self) { try await run.apply(again, strict: true) }
        let end = try await run.apply(again, strict: false, rejectedTo: list) { _ in }
        #expect(!end.isStopped && end.done == 2_499 && end.created == 2_499 && end.rejected == 1)
        #expect(try await told().sorted() == ["registry.imported", "tenant.created"])
        let whole = try await world.snapshot().documents.keys.count { $0.hasPrefix("tenant ") }
        #expect(whole == 2_500)
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `how setting a customer up ended is taken from a file`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, populated: false)
        let waiting = try RegistryRow(["external_id": "ext-1", "name": "One", "slug": "one", "status": "pending"])
        _ = try await world.run("registry.put_tenant", ["tenant": waiting.json], by: world.system)
        let file = try File([
            "external_id,name,slug,onboarding", "ext-1,One,one,ready", "ext-2,Two,two,ready",
            "ext-3,Three,three,failed",
        ])
        defer { file.remove() }
        let run = ImportRun(file.path, through: world.pipeline)
        let report = try await run.validate()
        #expect(report.problems == [])
        let before = try await world.snapshot().counts["outbox"] ?? 0
        try await run.apply(report)
        let statuses = try await world.test.database.read { reader in
            try ["one", "two", "three"].map { try reader.first(TestQueries.tenant(slug: $0))?.string("status") }
        }
        #expect(statuses == ["ready", "ready", "failed"])
        let after = try await world.snapshot().counts["outbox"] ?? 0
        #expect(after - before == 1, "of the import, and of no row")
        await world.close()
    }

    /// A batch takes rows from further down along whose slugs it needs. Here Postern fails right after it.
    @Test(arguments: TestDatabase.Kind.allCases)
    func `the word of a row that came before its turn is made up for`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, populated: false)
        for (id, slug, status) in [("ext-1", "one", "active"), ("ext-2", "two", "pending")] {
            let row = try RegistryRow([
                "external_id": .string(id), "name": .string(slug), "slug": .string(slug), "status": .string(status),
            ])
            _ = try await world.run("registry.put_tenant", ["tenant": row.json], by: world.system)
        }
        let file = try File(["external_id,name,slug,onboarding", "ext-1,one,two,", "ext-2,two,three,ready"])
        defer { file.remove() }
        let run = ImportRun(file.path, through: world.pipeline)
        let report = try await run.validate()
        #expect(report.problems == [] && report.rows == 2)
        let staged = try await world.test.database.read { reader in
            try reader.query(ImportQueries.rows(of: report.run, after: 0, limit: 10)).map { row in
                (seq: try row.int("seq"), content: try row.json("content"))
            }
        }
        let first = try #require(staged.first)
        _ = try await world.run(
            "registry.import_batch",
            [
                "rows": .array(staged.map(\.content)), "run": .string(report.run), "through": .int(first.seq),
                "ahead": true,
            ], by: world.system)
        let progress = try await run.apply(report)
        #expect(progress.done == 2)
        let status = try await world.test.database.read { reader in
            try reader.first(TestQueries.tenant(slug: "three"))?.string("status")
        }
        #expect(status == "ready")
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
        #expect(lines.allSatisfy { $0["justification"] == nil }, "what is sealed is for those who may see the log")
        let explained = try await world.test.database.read { reader in
            try TenantReads.history.run(readCall(id: id, permissions: ["audit.view"]), reader)
        }
        #expect(explained.body["items"]?.array?.first?["justification"] == "because the test world needs it")
        let next = try #require(answer.nextCursor)
        let rest = try await world.test.database.read { reader in
            try TenantReads.history.run(readCall(["limit": ["2"], "cursor": [next]], id: id), reader)
        }
        #expect(rest.body["items"]?.array?.map { $0["from"] } == [.null] && rest.nextCursor == nil)
        #expect(answer.disclosure?.target?.id == id)
        await world.close()
    }
}
