import TestSupport
import Testing

@testable import Consoles
@testable import Kernel

@Suite struct TenantSearchTests {
    private static func make(_ number: Int, _ name: String, _ slug: String) -> Tenant {
        var tenant = Tenant(
            id: Identifier.make("ten", milliseconds: UInt64(number), random: Array(repeating: 3, count: 10)),
            externalID: "nwc-\(number)", slug: slug, name: name, status: .active, plan: "pro", tier: "standard",
            region: "eu-west", createdAt: noon, now: noon)
        tenant.version = 1
        return tenant
    }
    private static let tenants = [
        make(1, "Acme Robotics", "acme-robotics"), make(2, "Acme Foods", "acme-foods"), make(3, "Ácme Été", "acme-ete"),
        make(4, "Zeta", "acmezeta"), make(5, "100% Cotton_Co", "cotton"), make(6, "ZZ\u{10FFFD}", "zz"),
    ]
    private static let users: [User] = [
        User(id: "usr_1", externalID: "u-1", email: "ada.l@acme.test", name: "Ada L.", createdAt: noon),
        User(id: "usr_2", externalID: "u-2", email: "acme.bot@zeta.test", createdAt: noon),
    ].map { user in
        var user = user
        user.version = 1
        return user
    }
    private static var statements: [Statement] {
        tenants.flatMap { $0.insert() } + users.flatMap { $0.insert() }
            + Membership(id: "mem_1", tenant: tenants[1].id, userID: "usr_1", role: .admin, status: .joined).insert()
            + Membership(id: "mem_2", tenant: tenants[3].id, userID: "usr_1", role: .admin, status: .joined).insert()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the first tier that answers says why each result matched`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { test in
            try await test.tamper(Self.statements)
            let found: [String: TenantSearch] = try await test.database.read { reader in
                var found: [String: TenantSearch] = [:]
                for query in [
                    Self.tenants[4].id, "nwc-2", " ACME-Foods ", "ADA.L@acme.test", "usr_2", "acme", "acme r", "ada",
                    "ada.l@ac",
                    "100%", "%", "_", "cotton_", "zz", "ácme", "robotics", "nobody",
                ] {
                    found[query] = try TenantSearch.run(query, people: true, in: reader)
                }
                return found
            }
            func hits(_ query: String) -> [String] { found[query]!.hits.map { "\($0.title): \($0.matched)" } }
            #expect(hits(Self.tenants[4].id) == ["100% Cotton_Co: id"])
            #expect(hits("nwc-2") == ["Acme Foods: external id"] && found["nwc-2"]?.tier == .exact)
            #expect(hits(" ACME-Foods ") == ["Acme Foods: slug"])
            #expect(
                hits("ADA.L@acme.test") == [
                    "Ada L.: e-mail", "Acme Foods: its member ada.l@acme.test", "Zeta: its member ada.l@acme.test",
                ])
            #expect(hits("usr_2") == ["acme.bot@zeta.test: id"])
            #expect(
                hits("acme") == [
                    "Acme Foods: beginning of the name", "Acme Robotics: beginning of the name",
                    "Ácme Été: beginning of the slug", "Zeta: beginning of the slug",
                    "acme.bot@zeta.test: beginning of the e-mail",
                ])
            #expect(found["acme"]?.tier == .prefix)
            #expect(hits("acme r") == ["Acme Robotics: beginning of the name"])
            #expect(hits("ada") == ["Ada L.: beginning of the e-mail"])
            #expect(hits("ada.l@ac") == ["Ada L.: beginning of the e-mail"])
            // Signs that a LIKE would take for wild cards stand for themselves.
            #expect(hits("100%") == ["100% Cotton_Co: beginning of the name"])
            #expect(hits("%") == [] && hits("_") == [] && hits("cotton_") == [])
            #expect(hits("zz") == ["ZZ\u{10FFFD}: slug"])
            #expect(hits("ácme") == ["Ácme Été: beginning of the name"])
            #expect(hits("robotics") == [] && hits("nobody") == [])
            #expect(found["nobody"]?.tier == nil)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `people are not even looked for without the permission`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { test in
            try await test.tamper(Self.statements)
            try await test.database.read { reader in
                for query in ["ada.l@acme.test", "usr_1", "ada"] {
                    #expect(try TenantSearch.run(query, people: false, in: reader).hits.isEmpty)
                    let answer = try TenantReads.search.run(readCall(["q": [query]]), reader)
                    #expect(answer.body["items"] == [])
                    let allowed = try TenantReads.search.run(
                        readCall(["q": [query]], permissions: ["user.view"]), reader)
                    #expect(allowed.body["items"]?.array?.isEmpty == false)
                    #expect(allowed.disclosure?.ids.contains("usr_1") == true)
                    #expect(allowed.disclosure?.query == ["q": .string(query)])
                }
            }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a prefix is searched as an index range on both databases`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { test in
            try await test.tamper(Self.statements)
            try await test.asOwner { writer in
                if kind == .postgres { try writer.execute(Statement("SET LOCAL enable_seqscan = off")) }
                for (statement, index) in [
                    (SearchQueries.tenants(.nameKey, startingWith: "ac", limit: 50), "tenants_name"),
                    (SearchQueries.tenants(.slug, startingWith: "ac", limit: 50), "tenants_slug"),
                    (SearchQueries.users(.emailLocal, startingWith: "ac", limit: 50), "users_email_local"),
                    (SearchQueries.users(.email, startingWith: "ac@", limit: 50), "users_email"),
                ] {
                    let explain = kind == .postgres ? "EXPLAIN " : "EXPLAIN QUERY PLAN "
                    let lines = try writer.query(Statement(explain + statement.text, statement.values)).map { row in
                        guard case .text(let line) = row[kind == .postgres ? "QUERY PLAN" : "detail"] else { return "" }
                        return line
                    }
                    let plan = lines.joined(separator: "\n")
                    #expect(plan.contains(index), "\(plan)")
                    // A range of the index, not a walk along all of it.
                    #expect(kind == .postgres ? plan.contains("Index Cond") : plan.contains("SEARCH"), "\(plan)")
                }
            }
        }
    }

    @Test func `operations are understood as people say them`() throws {
        let operations = TenantsConsole.console.operations.filter { !$0.creates && !$0.spec.systemOnly }
        func match(_ query: String) -> String? {
            OperationWords.match(query, operations).map { "\($0.operation.spec.name) | \($0.rest)" }
        }
        #expect(match("suspend acme") == "tenant.suspend | acme")
        #expect(match("Suspend Acme Robotics") == "tenant.suspend | Acme Robotics")
        #expect(match("delete for good ten_01J") == "tenant.hard_delete | ten_01J")
        #expect(match("hard delete acme") == "tenant.hard_delete | acme")
        #expect(match("delete acme") == "tenant.hard_delete | acme")
        #expect(match("edit acme") == "tenant.update | acme")
        #expect(match("suspend") == nil && match("acme suspend") == nil && match("import x") == nil)
        #expect(OperationWords.title(SuspendTenant.spec, of: "Acme") == "Suspend Acme")
        #expect(OperationWords.title(HardDeleteTenant.spec, of: "Acme") == "Delete for good: Acme")
    }
}
