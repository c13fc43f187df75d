import Consoles
import Foundation
import HTML
import Kernel
import TestSupport
import Testing

/// Laws over every read of the API and every page of the console.
@Suite struct ReadLawsTests {
    /// A read or a page.
    private struct Look: Sendable {
        let name: String
        let permission: String?
        /// Answers the text that is shown.
        let run: @Sendable (Caller) async throws -> String
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `without the permission nothing is shown and a denial is recorded`(kind: TestDatabase.Kind) async throws {
        try await forEachLook(kind) { world, look in
            guard let permission = look.permission else { return }
            let before = try await world.snapshot()
            let nobody = world.person("nobody-\(look.name)", permissions: [])
            guard case .forbidden(permission, _) = await failure({ _ = try await look.run(nobody) }) else {
                Issue.record("\(look.name) was shown without \(permission)")
                return
            }
            #expect(try await world.snapshot().state == before.state)
            #expect(try await world.events(after: before).map(\.action) == ["authz.denied"], "\(look.name)")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `whatever shows personal data is recorded once, and writes nothing else`(kind: TestDatabase.Kind) async throws
    {
        try await forEachLook(kind) { world, look in
            let before = try await world.snapshot()
            let text = try await look.run(world.everybody)
            let events = try await world.events(after: before)
            let after = try await world.snapshot()
            #expect(after.state == before.state, "\(look.name) changed something")
            #expect(events.allSatisfy { $0.eventClass == "access" } && events.count <= 1, "\(look.name)")
            // Addresses of customers and staff, and what is private to a customer.
            if text.contains("@c.example") || text.contains("@example.test") {
                #expect(events.count == 1, "\(look.name) shows personal data and does not record it")
            }
            // Who looks at the log again sees something new: that they looked.
            guard !["audit.list", "/audit", "tenant.activity", "user.activity"].contains(look.name) else { return }
            _ = try await look.run(world.everybody)
            #expect(try await world.events(after: after).isEmpty, "\(look.name) is recorded twice within a minute")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a person who may nothing sees no button`(kind: TestDatabase.Kind) async throws {
        let world = try await Self.world(kind)
        for page in Consoles.all.flatMap(\.pages) where page.path != "/me" {
            // Only what the page itself asks for: it is shown, and nothing on it leads to an operation.
            let caller = world.person("looker", permissions: page.permission.map { [$0] } ?? [])
            let text: String
            do { text = try await Self.show(page, world, caller) } catch OperationError.forbidden { continue }
            for operation in world.catalog.operations where !operation.spec.systemOnly {
                let path =
                    operation.creates
                    ? "/\(operation.targetPlural.replacing("_", with: "-"))/new" : "/\(operation.spec.verbPath)\""
                #expect(
                    !text.contains("href=\"\(path)") && (operation.creates || !text.contains(path)),
                    "\(page.path) offers \(operation.spec.name)")
            }
        }
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an export needs its permission, is recorded each time, and holds what the list shows`(
        kind: TestDatabase.Kind
    ) async throws {
        let world = try await Self.world(kind)
        let exported = world.catalog.reads.filter { $0.export != nil }
        #expect(exported.map(\.name).sorted() == ["tenant.list", "user.list"])
        for read in exported {
            let export = try #require(read.export)
            let columns = export.columns
            #expect(read.isList && read.permission != export.permission)
            #expect(Set(columns.map(\.name)).count == columns.count)
            @Sendable func run(_ caller: Caller) async throws -> (text: String, begun: BegunExport) {
                let call = ReadCall(path: [:], query: [:], caller: caller, cursors: Self.cursors)
                let (portion, begun) = try await world.pipeline.beginExport(
                    export.permission, format: "csv", columns: columns.map(\.name), by: caller
                ) { reader in
                    (
                        try read.exported(call, after: nil, columns: columns, from: reader),
                        try export.disclosure(call, reader)
                    )
                }
                return (String(decoding: portion.bytes, as: UTF8.self), begun)
            }
            let before = try await world.snapshot()
            let nobody = world.person("nobody-\(read.name)", permissions: read.permission.map { [$0] } ?? [])
            guard case .forbidden(export.permission, _) = await failure({ _ = try await run(nobody) }) else {
                Issue.record("\(read.name) left without \(export.permission)")
                continue
            }
            #expect(try await world.events(after: before).map(\.action) == ["authz.denied"])

            // A file is a file: the second within a minute is recorded, too.
            let name = String(read.name.prefix { $0 != "." }) + ".export"
            for _ in 0..<2 {
                let before = try await world.snapshot()
                let (text, begun) = try await run(world.everybody)
                #expect(text.contains("@c.example") || text.contains("customer"))
                var tally = ExportTally()
                tally.take(Array(text.utf8))
                tally.rows = 1
                try await world.pipeline.endExport(begun, tally)
                let events = try await world.events(after: before)
                #expect(
                    events.map(\.action) == [name, "export.end"] && events.allSatisfy { $0.eventClass == "access" })
                #expect(try await world.snapshot().state == before.state)
            }
            // Every column is a member of what the API answers, or made of one.
            let properties = Set((read.schema["properties"]?.object ?? [:]).keys)
            let own = columns.map(\.name).filter { !properties.contains($0) }
            #expect(own.allSatisfy { name in properties.contains { name.hasPrefix($0.dropLast()) } }, "\(own)")
        }
        await world.close()
    }

    // MARK: -

    private static let cursors = CursorCodec(key: [UInt8](repeating: 1, count: 32))

    private static func world(_ kind: TestDatabase.Kind) async throws -> World {
        let world = try await World.make(kind, drifted: true)
        let csv = NSTemporaryDirectory() + "looks-\(SecureRandom.bytes(6).hex).csv"
        try "external_id,name,slug,owner_email,member_emails\nc1,Customer,customer,o@c.example,m@c.example\n"
            .write(toFile: csv, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: csv) }
        let run = ImportRun(csv, through: world.pipeline)
        try await run.apply(try await run.validate { _ in }) { _ in }
        if let delete = world.catalog["tenant.hard_delete"], let trial = try await world.trial(of: delete) {
            try await world.run(trial)
        }
        return world
    }

    /// An id for a path such as `/tenants/{id}/users`.
    private static func path(_ template: String, _ world: World) async throws -> [String: String] {
        guard template.contains("{id}") else { return [:] }
        let segment = template.split(separator: "/").first.map { $0.replacing("-", with: "_") } ?? ""
        let table = ["audit_events": "events", "audit": "events"][segment] ?? segment
        let filter =
            [
                "tenants": "WHERE slug = 'customer'", "events": "WHERE action = 'registry.import_batch'",
                "segments": "WHERE is_shared = 1",
            ][table] ?? ""
        let id = try await world.test.database.read {
            try $0.first(Statement("SELECT id FROM \(table) \(filter) ORDER BY id LIMIT 1"))?.string("id")
        }
        return ["id": try #require(id, "nothing in the test world stands for \(template)")]
    }

    private static func show(_ page: Page, _ world: World, _ caller: Caller) async throws -> String {
        let call = PageCall(
            path: try await path(page.path, world), query: ["q": ["o@c.example"]], caller: caller, cursors: cursors,
            catalog: world.catalog, csrf: "csrf")
        return try await world.pipeline.read(page.permission, by: caller) { reader in
            let answer = try page.render(call, reader)
            return (answer.body.text, answer.disclosure)
        }
    }

    private func forEachLook(_ kind: TestDatabase.Kind, _ body: (World, Look) async throws -> Void) async throws {
        let world = try await Self.world(kind)
        func law(_ world: World, _ look: Look) async throws {
            // A page and a read of the same thing within a minute are one look.
            world.test.clock.advance(.minutes(2))
            try await body(world, look)
        }
        for read in world.catalog.reads {
            let path = try await Self.path(read.path, world)
            let look = Look(name: read.name, permission: read.permission) { caller in
                let query = read.parameters.contains { $0.name == "q" } ? ["q": ["o@c.example"]] : [:]
                let call = ReadCall(path: path, query: query, caller: caller, cursors: Self.cursors)
                return try await world.pipeline.read(read.permission, by: caller) { reader in
                    let answer = try read.run(call, reader)
                    return (answer.body.canonicalText, answer.disclosure)
                }
            }
            try await law(world, look)
        }
        for page in Consoles.all.flatMap(\.pages) where page.path != "/me" {
            try await law(
                world,
                Look(name: page.path, permission: page.permission) { try await Self.show(page, world, $0) })
        }
        await world.close()
    }
}
