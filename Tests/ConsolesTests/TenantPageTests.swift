import Foundation
import HTML
import TestSupport
import Testing

@testable import Consoles
@testable import Kernel

@Suite struct TenantPageTests {
    private func render(
        _ page: Page, _ world: World, query: [String: [String]] = [:], id: String? = nil, permissions: [String]? = nil
    ) async throws -> PageAnswer {
        let call = PageCall(
            path: id.map { ["id": $0] } ?? [:], query: query,
            caller: permissions.map { world.person("ines", permissions: $0) } ?? world.everybody,
            cursors: CursorCodec(key: Array(repeating: 9, count: 32)), catalog: world.catalog)
        return try await world.test.database.read { reader in try page.render(call, reader) }
    }

    private static let hostile = "<script>alert('1')</script> & \"Co\""

    @Test func `the list keeps its filters in every link`() async throws {
        let world = try await World.make(.sqlite, populated: false)
        let empty = try await render(TenantListPage.page, world)
        #expect(empty.body.text.contains("No tenants yet") && empty.disclosure == nil)
        for number in 1...60 { try await world.tenant("t-\(number)") }
        let page = try await render(TenantListPage.page, world, query: ["plan": ["team"], "status": ["active"]])
        let text = page.body.text
        #expect(text.contains("Plan: Team") && text.contains("/tenants?status=active\""))
        #expect(text.contains("/tenants?status=active&amp;plan=team&amp;sort=name"))
        #expect(text.contains("/tenants?status=active&amp;plan=team&amp;cursor="))
        #expect(text.components(separatedBy: "<th scope=\"row\"").count - 1 == 50)
        #expect(page.disclosure == nil)
        let none = try await render(TenantListPage.page, world, query: ["plan": ["nothing"]])
        #expect(none.body.text.contains("No tenant matches these filters"))
        await world.close()
    }

    @Test func `what somebody typed is never markup`() async throws {
        let world = try await World.make(.sqlite, populated: false)
        let created = try await world.run(
            "tenant.create",
            [
                "external_id": "x", "name": .string(Self.hostile), "slug": "hostile", "plan": "pro",
                "region": "eu-west",
                "status": "active", "metadata": ["<b>": "<i>"],
            ])
        for page in [
            try await render(TenantListPage.page, world),
            try await render(TenantPage.page, world, id: created.target),
            try await render(TenantPage.page, world, query: ["tab": ["history"]], id: created.target),
            try await render(SearchPage.page, world, query: ["q": ["suspend hostile"]]),
            try await render(SearchPage.page, world, query: ["q": [Self.hostile]]),
        ] {
            #expect(!page.body.text.contains("<script>") && !page.body.text.contains("<i>"))
        }
        await world.close()
    }

    @Test func `the object page offers what one may and says why not now`() async throws {
        let world = try await World.make(.sqlite)
        let id = try await world.tenant("acme", then: [("tenant.suspend", "non_payment")])
        let page = try await render(TenantPage.page, world, id: id)
        #expect(page.body.text.contains("Restore…") && page.body.text.contains("archive it first"))
        #expect(page.body.text.contains("it is suspended already"))
        // Who can lift it: the person at hand, or the people with the permission.
        #expect(page.body.text.contains("href=\"/tenants/\(id)/archive\">Archive…</a>"))
        let deleter = try await render(
            TenantPage.page, world, id: id, permissions: ["tenant.view", "tenant.hard_delete"])
        #expect(deleter.body.text.contains("can lift this: Archive."))
        #expect(page.body.text.contains("Nobody of Tenant acme can sign in."))
        #expect(page.body.text.contains("suspended"))
        #expect(page.body.text.contains("/audit/evt_"))
        #expect(page.disclosure?.target?.id == id)
        let plain = try await render(TenantPage.page, world, id: id, permissions: ["tenant.view"])
        #expect(!plain.body.text.contains("Restore…") && !plain.body.text.contains("Delete for good"))
        #expect(!plain.body.text.contains("Members"))
        await #expect(throws: OperationError.self) {
            try await render(TenantPage.page, world, query: ["tab": ["members"]], id: id, permissions: ["tenant.view"])
        }
        await #expect(throws: OperationError.self) { try await render(TenantPage.page, world, id: "ten_nothing") }
        await world.close()
    }

    @Test func `members and people are shown and disclosed`() async throws {
        let world = try await World.make(.sqlite, populated: false)
        try await world.run(
            "registry.import_batch",
            [
                "rows": [
                    [
                        "external_id": "x", "name": "Acme", "slug": "acme", "owner_email": "lena@acme.test",
                        "members": [["email": "bo@acme.test", "name": "Bo", "role": "admin"]],
                    ]
                ]
            ], by: world.system)
        let search = try await render(SearchPage.page, world, query: ["q": ["lena@acme.test"]])
        #expect(search.body.text.contains("its member lena@acme.test") && search.disclosure?.count == 2)
        let tenant = try #require(search.disclosure?.ids.first { $0.hasPrefix("ten_") })
        let user = try #require(search.disclosure?.ids.first { $0.hasPrefix("usr_") })
        let members = try await render(TenantPage.page, world, query: ["tab": ["members"]], id: tenant)
        #expect(members.body.text.contains("bo@acme.test") && members.body.text.contains("Admin"))
        #expect(members.disclosure?.action == "tenant.users" && members.disclosure?.ids.count == 2)
        let person = try await render(UserPage.page, world, id: user)
        #expect(person.body.text.contains("/tenants/\(tenant)") && person.disclosure?.target?.id == user)
        await world.close()
    }

    @Test func `saying what to do leads to the form`() async throws {
        let world = try await World.make(.sqlite, populated: false)
        let id = try await world.tenant("acme")
        let page = try await render(SearchPage.page, world, query: ["q": ["suspend acme"]])
        #expect(
            page.body.text.contains("href=\"/tenants/\(id)/suspend\"") && page.body.text.contains("Suspend Tenant acme")
        )
        #expect(page.disclosure?.ids == [id])
        #expect(page.redirect == "/tenants/\(id)/suspend")
        let off = try await render(SearchPage.page, world, query: ["q": ["delete acme"]])
        #expect(off.body.text.contains("archive it first") && !off.body.text.contains("/hard-delete\""))
        #expect(off.redirect == nil)
        try await world.tenant("acme-two")
        let two = try await render(SearchPage.page, world, query: ["q": ["suspend tenant"]])
        #expect(two.redirect == nil && two.body.text.contains("Suspend Tenant acme-two"))
        let stranger = try await render(
            SearchPage.page, world, query: ["q": ["suspend acme"]], permissions: ["tenant.view"])
        #expect(!stranger.body.text.contains("/suspend\"") && stranger.body.text.contains("Nothing found"))
        await world.close()
    }

    @Test func `saying what to make leads to its form, with what was said in it`() async throws {
        let world = try await World.make(.sqlite, populated: false)
        for (query, path) in [
            ("create tenant", "/tenants/new"), ("create", "/tenants/new"), ("new tenant", "/tenants/new"),
            ("Create tenant Blue Heron", "/tenants/new?input.name=Blue%20Heron"), ("invite", "/staff/new"),
            ("invite ada@example.test", "/staff/new?input.email=ada%40example.test"),
        ] {
            #expect(try await render(SearchPage.page, world, query: ["q": [query]]).redirect == path, "\(query)")
        }
        let plain = try await render(
            SearchPage.page, world, query: ["q": ["create tenant"]], permissions: ["tenant.view"])
        #expect(plain.redirect == nil)
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an id leads to its page, for who may open it`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind)
        let id = try await world.tenant("acme")
        let done = try await world.run("tenant.suspend", on: id, reason: "abuse")
        let operation = try #require(world.catalog["tenant.hard_delete"])
        let trial = try #require(try await world.trial(of: operation))
        guard case .pending(let pending) = try await world.run(trial).result else {
            Issue.record("it does not wait")
            return
        }
        let places = [
            (done.eventID, "/audit/\(done.eventID)"), (pending.approvalID, "/approvals/\(pending.approvalID)"),
        ]
        for (query, path) in places {
            let page = try await render(SearchPage.page, world, query: ["q": [" \(query) "]])
            #expect(page.redirect == path && page.disclosure?.ids == [query])
            let other = try await render(SearchPage.page, world, query: ["q": [query]], permissions: ["tenant.view"])
            #expect(other.redirect == nil && other.body.text.contains("Nothing found"))
        }
        let auditor = ["audit.view", "user.view", "tenant.restore"]
        let event = try await render(
            SearchPage.page, world, query: ["q": [done.eventID]], permissions: auditor)
        #expect(event.redirect == "/audit/\(done.eventID)")
        for query in ["acme", id, "Tenant", "restore acme"] {
            let page = try await render(SearchPage.page, world, query: ["q": [query]], permissions: auditor)
            #expect(page.redirect == nil && page.body.text.contains("do not hold tenant.view"), "\(query)")
            #expect(page.disclosure?.count == 0, "\(query)")
        }
        await #expect(throws: OperationError.self, "what is typed goes into the log") {
            try await render(
                SearchPage.page, world, query: ["q": [String(repeating: "x", count: 201)]], permissions: auditor)
        }
        func opening(_ held: String...) -> String? {
            SearchPage.page.permission(
                among: Permissions(Dictionary(uniqueKeysWithValues: held.map { ($0, [Limit]?.none) })))
        }
        #expect(opening("audit.view") == "audit.view" && opening("user.view") == "tenant.view")
        #expect(opening("audit.view", "tenant.view") == "tenant.view")
        await world.close()
    }

    @Test func `the search box is for who may search and says what they may do`() async throws {
        let catalog = Catalog(Consoles.all)
        func box(_ permissions: [String]) -> SearchBox? {
            SearchPage.box(
                Permissions(Dictionary(uniqueKeysWithValues: permissions.map { ($0, [Limit]?.none) })), catalog)
        }
        #expect(box(["tenant.suspend", "user.view"]) == nil)
        // Whoever reads the log has ids of events to look up, and no tenants.
        #expect(box(["audit.view", "tenant.suspend", "user.view"])?.label == "Search events")
        #expect(box(["tenant.view"])?.label == "Search tenants" && box(["tenant.view"])?.example == nil)
        let support = ["tenant.view", "user.view", "tenant.restore", "tenant.suspend", "staff.invite"]
        #expect(box(support)?.label == "Search tenants, users, or say what to do")
        #expect(box(support)?.example == "suspend acme")
        let world = try await World.make(.sqlite, populated: false)
        let prompt = try await render(SearchPage.page, world, permissions: support).body.text
        #expect(prompt.contains("restore acme, suspend acme, invite staff."))
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `what was recorded about a tenant is read page by page and disclosed`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind)
        let id = try await world.tenant("busy")
        for (operation, reason) in [("tenant.suspend", "abuse"), ("tenant.restore", "investigation_closed")] {
            world.test.clock.advance(.seconds(1))
            try await world.run(operation, on: id, reason: reason)
        }
        var query = ["limit": ["2"]]
        var actions: [String] = []
        repeat {
            let call = ReadCall(
                path: ["id": id], query: query, caller: world.person("ines", permissions: ["tenant.view"]),
                cursors: CursorCodec(key: Array(repeating: 9, count: 32)))
            let answer = try await world.test.database.read { try TenantReads.activity.run(call, $0) }
            let items = answer.body["items"]?.array ?? []
            actions += items.compactMap { $0["action"]?.string }
            #expect(answer.disclosure?.action == "tenant.activity" && answer.disclosure?.target?.id == id)
            #expect(answer.disclosure?.ids == items.compactMap { $0["event_id"]?.string })
            #expect(items.allSatisfy { $0["actor"]?["id"]?.string == "stf_everybody" })
            query["cursor"] = answer.nextCursor.map { [$0] }
        } while query["cursor"] != nil
        #expect(actions == ["tenant.restore", "tenant.suspend", "tenant.create"])
        #expect(TenantReads.activity.permission == "tenant.view")
        await world.close()
    }
}
