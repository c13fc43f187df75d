import HTML
import TestSupport
import Testing

@testable import Consoles
@testable import Kernel

@Suite struct UserListTests {
    private static let users: [User] = (0..<60).map { index in
        var user = User(
            id: Identifier.make(
                "usr", milliseconds: UInt64(index * 7919 % 100), random: Array(repeating: UInt8(index), count: 10)),
            email: "\(index % 2 == 0 ? "ada" : "bo").\(String(index, radix: 36))@x\(index % 5).test",
            name: "User \(index)",
            status: index % 10 == 3 ? .suspended : index % 10 == 7 ? .deleted : .active, createdAt: noon,
            lastLoginAt: index % 3 == 0 ? noon : nil)
        user.version = 1
        return user
    }
    private static func tenant(_ slug: String, _ id: Int) -> Tenant {
        var tenant = Tenant(
            id: Identifier.make("ten", milliseconds: UInt64(id), random: Array(repeating: 1, count: 10)),
            externalID: slug, slug: slug, name: slug, status: .active, plan: "pro", tier: "standard", region: "eu",
            createdAt: noon, now: noon)
        tenant.version = 1
        return tenant
    }
    private static let (acme, zeta) = (tenant("acme", 1), tenant("zeta", 2))
    private static var statements: [Statement] {
        let members = users.enumerated().flatMap { index, user -> [Statement] in
            var membership = Membership(
                id: "mem_\(index)", tenant: (index % 3 == 0 ? zeta : acme).id, userID: user.id, role: .member,
                status: index % 11 == 0 ? .revoked : .joined)
            membership.version = 1
            return membership.insert()
        }
        return acme.insert() + zeta.insert() + users.flatMap { $0.insert() } + members
    }

    /// Every page of a list, in order.
    private func walk(_ query: [String: [String]], _ reader: any Reader, reach: Int = 1000) throws -> [String] {
        var query = query
        var ids: [String] = []
        for _ in 0..<200 {
            let listing = try UserListing.load(readCall(query), from: reader, reach: reach)
            ids += listing.items.map(\.user.id)
            guard let next = listing.next else { return ids }
            query["cursor"] = [next]
        }
        Issue.record("the list has no end")
        return ids
    }

    private static func isBefore(_ a: String, _ b: String) -> Bool { a.utf8.lexicographicallyPrecedes(b.utf8) }

    @Test(arguments: TestDatabase.Kind.allCases, [1000, 4])
    func `every filter pages through each user once`(kind: TestDatabase.Kind, reach: Int) async throws {
        try await TestDatabase.with(kind) { test in
            try await test.tamper(Self.statements)
            try await test.database.read { reader in
                let newest = Self.users.sorted { Self.isBefore($1.id, $0.id) }
                let byEmail = Self.users.sorted { Self.isBefore($0.email, $1.email) }
                func members(_ tenant: Tenant) -> Set<String> {
                    Set(
                        Self.users.enumerated().filter { index, _ in
                            (index % 3 == 0 ? Self.zeta : Self.acme).id == tenant.id && index % 11 != 0
                        }.map(\.element.id))
                }
                let cases: [([String: [String]], [User])] = [
                    ([:], newest), (["status": ["suspended"]], newest.filter { $0.status == .suspended }),
                    (["status": ["suspended", "deleted"]], newest.filter { $0.status != .active }),
                    (["q": ["Ada."]], byEmail.filter { $0.email.hasPrefix("ada.") }),
                    (
                        ["q": ["bo"], "status": ["deleted"]],
                        byEmail.filter { $0.email.hasPrefix("bo") && $0.status == .deleted }
                    ),
                    (["tenant": ["ACME"]], newest.filter { members(Self.acme).contains($0.id) }),
                    (
                        ["tenant": [Self.zeta.id], "status": ["active"], "q": ["ada"]],
                        newest.filter {
                            members(Self.zeta).contains($0.id) && $0.status == .active && $0.email.hasPrefix("ada")
                        }
                    ),
                    (["q": ["nobody"]], []),
                ]
                for (filter, expected) in cases {
                    var query = filter
                    query["limit"] = ["7"]
                    let found = try walk(query, reader, reach: reach)
                    #expect(found == expected.map(\.id), "\(filter)")
                }
            }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `what is shown is recorded with what was typed`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { test in
            try await test.tamper(Self.statements)
            try await test.database.read { reader in
                let answer = try UserReads.list.run(readCall(["q": ["ada.0@"], "limit": ["5"]]), reader)
                let ids = answer.body["items"]?.array?.compactMap { $0["id"]?.string } ?? []
                #expect(ids == [Self.users[0].id])
                #expect(answer.disclosure?.action == "user.list" && answer.disclosure?.ids == ids)
                // An address may have been typed: it is erased with whom it found.
                #expect(answer.disclosure?.query == ["q": "ada.0@"] && answer.disclosure?.subjects == ids)
                let all = try UserReads.list.run(readCall(["tenant": ["acme"]]), reader)
                #expect(all.disclosure?.tenant == Self.acme.id && all.disclosure?.subjects == [])
                #expect(all.body["items"]?.array?.first?["tenants"] == [["id": .string(Self.acme.id), "name": "acme"]])
                for query in [
                    ["status": ["gone"]], ["tenant": ["nobody"]], ["cursor": ["x"]], ["limit": ["0"]],
                    ["q": [String(repeating: "a", count: 201)]],
                ] {
                    #expect(throws: OperationError.self, "\(query)") {
                        try UserListing.load(readCall(query), from: reader)
                    }
                }
                let one = try UserListing.load(readCall(["limit": ["1"]]), from: reader)
                #expect(throws: OperationError.self) {
                    try UserListing.load(
                        readCall(["cursor": [try #require(one.next)], "status": ["active"]]), from: reader)
                }
            }
        }
    }

    /// More than a page tells, and more than an export reads at once.
    @Test(arguments: TestDatabase.Kind.allCases)
    func `whoever belongs to very many leaves the others theirs, and a file names all`(
        kind: TestDatabase.Kind
    ) async throws {
        try await TestDatabase.with(kind) { test in
            let count = UserListQueries.mostPlaces + UserListQueries.portion + 5
            let tenants = (0..<count).map { Self.tenant("t-\($0)", $0) }
            let users = Self.users.prefix(3).sorted { Self.isBefore($0.id, $1.id) }
            let busy = try #require(users.first)
            let pairs: [(Tenant, User)] = tenants.map { ($0, busy) } + users.dropFirst().map { (tenants[0], $0) }
            let members = pairs.enumerated().flatMap { index, pair -> [Statement] in
                var membership = Membership(
                    id: "mem_\(index)", tenant: pair.0.id, userID: pair.1.id, role: .member, status: .joined)
                membership.version = 1
                return membership.insert()
            }
            try await test.tamper(tenants.flatMap { $0.insert() } + users.flatMap { $0.insert() } + members)
            try await test.database.read { reader in
                let listing = try UserListing.load(readCall(), from: reader)
                for item in listing.items {
                    let isBusy = item.user.id == busy.id
                    #expect(item.places.tenants.count == (isBusy ? UserListQueries.mostPlaces : 1))
                    #expect(item.places.tenants.first?.id == tenants[0].id)
                    #expect(item.json["tenant_count"]?.int == Int64(isBusy ? count : 1))
                }
                #expect(listing.items.count == 3)
                let call = PageCallFixture.make(readCall(permissions: ["user.view"]).caller)
                let page = try UserListPage.page.render(call, reader).body.text
                #expect(page.contains("t-0 and \(Grouped.digits(Int64(count - 1))) more") && !page.contains(">none<"))

                let columns = try #require(UserReads.list.export).columns
                let file = try UserReads.list.exported(readCall(), after: nil, columns: columns, from: reader)
                let lines = String(decoding: file.bytes, as: UTF8.self).split(whereSeparator: \.isNewline)
                #expect(file.rows == 3 && lines.count == 3)
                let ids = tenants.map(\.id).joined(separator: " ")
                let line = try #require(lines.first { $0.contains(busy.id) })
                #expect(line.contains(ids) && lines.allSatisfy { $0.contains(tenants[0].id) })
            }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `every list and a user's activity walk an index`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { test in
            try await test.tamper(Self.statements)
            try await test.asOwner { writer in
                if kind == .postgres { try writer.execute(Statement("SET LOCAL enable_seqscan = off")) }
                for query in [
                    [:], ["status": ["active"]], ["status": ["active", "deleted"]], ["q": ["ada"]],
                    ["q": ["ada"], "status": ["active"]], ["tenant": [Self.acme.id]],
                    ["tenant": [Self.acme.id], "status": ["active"]],
                ] as [[String: [String]]] {
                    let filter = try UserFilter(readCall(query), from: writer)
                    for statement in [
                        UserListQueries.page(filter, after: "a", end: nil, limit: 51),
                        UserListQueries.end(filter, after: "a", reach: 100),
                    ].compactMap({ $0 }) {
                        let plan = try writer.explain(statement, kind)
                        #expect(!plan.contains("Seq Scan") && !plan.contains("SCAN users\n"), "\(query) \(plan)")
                        #expect(!plan.contains("SCAN m"), "\(query) \(plan)")
                    }
                }
                for statement in [
                    UserListQueries.places(of: ["usr_1", "usr_2"]), UserListQueries.places(of: "usr_1", after: "ten_1"),
                ] {
                    let plan = try writer.explain(statement, kind)
                    #expect(!plan.contains("Seq Scan") && !plan.contains("SCAN m"), "\(plan)")
                }
                let activity = try writer.explain(
                    UserListQueries.activity(of: "usr_1", before: (noon, "evt_1"), limit: 20), kind)
                #expect(!activity.contains("Seq Scan") && !activity.contains("SCAN events"), "\(activity)")
            }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a user's page tells where they belong and what was recorded`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind)
        let grace = try await world.test.database.read { reader in
            try #require(try reader.first(UserQueries.users(by: .email, ["grace@example.com"])).map(User.init))
        }
        let tenant = try await world.test.database.read {
            try $0.first(TestQueries.tenant(slug: "peopled-1"))?.string("id")
        }
        world.test.clock.advance(.minutes(1))
        try await world.run("tenant.transfer_ownership", on: tenant, ["new_owner": "grace@example.com"])
        let answer = try await world.test.database.read { reader in
            try UserReads.view.run(readCall(id: grace.id, permissions: ["user.view"]), reader)
        }
        let places = answer.body["memberships"]?.array ?? []
        #expect(Set(places.compactMap { $0["role"]?.string }) == ["owner", "billing"] && places.count == 3)
        #expect(places.allSatisfy { $0["joined_at"]?.string != nil && $0["revoked_at"] == .null })
        var query = ["limit": ["2"]]
        var actions: [String] = []
        repeat {
            let call = readCall(query, id: grace.id)
            let page = try await world.test.database.read { try UserReads.activity.run(call, $0) }
            actions += (page.body["items"]?.array ?? []).compactMap { $0["action"]?.string }
            #expect(page.disclosure?.target?.id == grace.id)
            query["cursor"] = page.nextCursor.map { [$0] }
        } while query["cursor"] != nil
        #expect(actions == ["registry.import_batch"])
        await world.close()
    }
}
