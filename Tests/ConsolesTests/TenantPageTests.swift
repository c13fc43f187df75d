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
        #expect(page.body.text.contains("suspended tenants can&#39;t be suspended"))
        #expect(page.body.text.contains("Nobody of Tenant acme can sign in."))
        #expect(page.body.text.contains("Suspend tenant") && page.body.text.contains("/audit/evt_"))
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
        let off = try await render(SearchPage.page, world, query: ["q": ["delete acme"]])
        #expect(off.body.text.contains("archive it first") && !off.body.text.contains("/hard-delete\""))
        let stranger = try await render(
            SearchPage.page, world, query: ["q": ["suspend acme"]], permissions: ["tenant.view"])
        #expect(!stranger.body.text.contains("/suspend\"") && stranger.body.text.contains("Nothing found"))
        await world.close()
    }
}
