import HTML
import TestSupport
import Testing

@testable import Consoles
@testable import Kernel

@Suite struct SegmentTests {
    @Test(
        arguments: [
            ("status=active", "status=active"),
            ("?plan=pro&status=ready&status=active", "status=active&status=ready&plan=pro"),
            ("sort=name", "sort=name"), ("region=eu-west&sort=created", "region=eu-west"),
        ])
    func `a view is kept in one form however it was typed`(typed: String, kept: String) throws {
        let view = try TenantView.parse(text: typed, .none)
        #expect(view.text == kept)
        #expect(try TenantView.parse(.string(view.text), .none) == view)
    }

    @Test(
        arguments: [
            "", "status", "status=", "status=gone", "colour=red", "sort=size", "sort=name&sort=created", "plan=Pro!",
            "sort=created",
        ])
    func `what is no view is refused with what is wrong`(typed: String) {
        let reason = #expect(throws: FieldError.Reason.self) { try TenantView.parse(text: typed, .none) }
        #expect(reason?.text.hasSuffix(".") == true)
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `views are one's own until they are shared`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, populated: false)
        let all = world.catalog.permissions
        let (ada, bo) = (world.person("ada", permissions: all), world.person("bo", permissions: all))
        @Sendable func seen(_ caller: Caller) async throws -> [String] {
            try await world.test.database.read { reader in
                let call = ReadCall(
                    path: [:], query: ["limit": ["1"]], caller: caller,
                    cursors: CursorCodec(key: Array(repeating: 9, count: 32)))
                var names: [String] = []
                var next: String?
                repeat {
                    let page = try SegmentListing.load(
                        ReadCall(
                            path: [:], query: ["limit": ["1"], "cursor": next.map { [$0] } ?? []], caller: caller,
                            cursors: call.cursors), from: reader)
                    names += page.segments.map(\.name)
                    next = page.next
                } while next != nil
                return names
            }
        }
        let trials = try await world.run(
            "segment.save", ["name": "Trials", "filter": "status=expired&sort=name"], by: ada)
        try await world.run("segment.save", ["name": "Archive", "filter": "status=archived"], by: ada)
        try await world.run("segment.save", ["name": "Bo’s", "filter": "plan=pro"], by: bo)
        let adas = try await seen(ada)
        #expect(adas == ["Archive", "Trials"])
        var bos = try await seen(bo)
        #expect(bos == ["Bo’s"])
        // A name is used once by one person.
        let twin = await failure {
            try await world.run("segment.save", ["name": "Trials", "filter": "plan=pro"], by: ada)
        }
        guard case .invalid(let errors) = twin, errors.map(\.pointer) == ["/input/name"] else {
            Issue.record("\(String(describing: twin))")
            return
        }
        try await world.run("segment.save", ["name": "Trials", "filter": "plan=free"], by: bo)
        let shared = try await world.run("segment.share", on: trials.target, by: ada)
        #expect(shared.undo?.operation == "segment.share")
        bos = try await seen(bo)
        #expect(bos == ["Bo’s", "Trials", "Trials"])
        // It stays its owner's, as long as there is one; here the staff table knows nobody by that id.
        try await world.run("segment.delete", on: trials.target, by: ada)
        bos = try await seen(bo)
        #expect(bos == ["Bo’s", "Trials"])
        let gone = await failure { try await world.run("segment.delete", on: trials.target, by: ada) }
        #expect(gone != nil)
        await world.close()
    }

    @Test func `only its owner changes a view, or anybody once they have left`() throws {
        let segment = Segment(
            id: "seg_1", ownerID: "stf_ada", name: "Trials", view: try TenantView.parse(text: "status=expired", .none),
            now: noon)
        let present = SegmentOwner(name: "Ada L.", isActive: true)
        #expect(throws: Refusal.conflict("This view is Ada L.’s; save one of your own instead.")) {
            try present.check(segment, "stf_bo")
        }
        try present.check(segment, "stf_ada")
        try SegmentOwner(name: "Ada L.", isActive: false).check(segment, "stf_bo")
    }

    @Test func `views stand above the list and lead to it`() async throws {
        let world = try await World.make(.sqlite)
        func page(_ query: [String: [String]], _ permissions: [String]? = nil) async throws -> String {
            let call = PageCall(
                path: [:], query: query,
                caller: permissions.map { world.person("ines", permissions: $0) } ?? world.everybody,
                cursors: CursorCodec(key: Array(repeating: 9, count: 32)), catalog: world.catalog)
            return try await world.test.database.read { try TenantListPage.page.render(call, $0).body.text }
        }
        let all = try await page([:])
        #expect(all.contains("href=\"/tenants?status=active&amp;sort=name\"") && all.contains("View 2"))
        #expect(all.contains("Manage views") && !all.contains("Save view"))
        let filtered = try await page(["plan": ["team"]])
        #expect(filtered.contains("/segments/new?input.filter=plan%3Dteam"))
        let current = try await page(["status": ["active"], "sort": ["name"]])
        #expect(current.contains("aria-current=\"true\">View 1</a>") && !current.contains("Save view"))
        // Somebody else sees what is shared, and saves only where they may.
        let other = try await page(["plan": ["team"]], ["tenant.view"])
        #expect(other.contains("View 1") && !other.contains("View 2") && !other.contains("/segments/new"))
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `views are found by index`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { test in
            try await test.asOwner { writer in
                if kind == .postgres { try writer.execute(Statement("SET LOCAL enable_seqscan = off")) }
                for after in [nil, (name: "a", id: "seg_1")] {
                    let plan = try writer.explain(SegmentQueries.seen(by: "stf_1", after: after, limit: 9), kind)
                    #expect(!plan.contains("Seq Scan") && !plan.contains("SCAN segments"), "\(plan)")
                }
            }
        }
    }
}
