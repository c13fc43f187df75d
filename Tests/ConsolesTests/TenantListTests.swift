import TestSupport
import Testing

@testable import Consoles
@testable import Kernel

private let codec = CursorCodec(key: Array(repeating: 9, count: 32))

func readCall(_ query: [String: [String]] = [:], id: String? = nil, permissions: [String] = []) -> ReadCall {
    ReadCall(
        path: id.map { ["id": $0] } ?? [:], query: query,
        caller: Caller(
            actor: Actor(.staff, "stf_0000"), person: "stf_0000", displayName: "Ines K.",
            permissions: Permissions(Dictionary(uniqueKeysWithValues: permissions.map { ($0, nil) })), client: .api,
            requestID: "req_0000"), cursors: codec)
}

/// Tenants in every state, with many equal sort keys, so that the id must break ties.
private let population: [Tenant] = (0..<240).map { index in
    let plans = ["free", "pro", "business", "enterprise"]
    var tenant = Tenant(
        id: Identifier.make("ten", milliseconds: UInt64(index * 7919 % 240), random: sha256([UInt8(index)]).prefix10),
        externalID: "ext-\(index)", slug: "slug-\(index)", name: "Name \(index % 60) Ltd",
        status: TenantStatus.allCases[index * 31 % 9], plan: plans[index * 17 % 4],
        tier: index % 5 == 0 ? "gold" : "standard",
        region: index % 3 == 0 ? "eu-west" : "us-east", createdAt: noon - .days(Int64(index % 80)), now: noon,
        lastActivityAt: noon - .hours(Int64(index * 13 % 50)))
    tenant.version = 1
    return tenant
}

extension [UInt8] {
    fileprivate var prefix10: [UInt8] { Array(prefix(10)) }
}

private func sorted(_ tenants: [Tenant], _ sort: TenantSort) -> [String] {
    func before(_ a: String, _ b: String) -> Bool { a.utf8.lexicographicallyPrecedes(b.utf8) }
    return tenants.sorted { a, b in
        switch sort {
        case .name: a.nameKey == b.nameKey ? before(a.id, b.id) : before(a.nameKey, b.nameKey)
        case .created: a.createdAt == b.createdAt ? before(b.id, a.id) : a.createdAt > b.createdAt
        case .lastActivity:
            a.lastActivityAt == b.lastActivityAt ? before(b.id, a.id) : a.lastActivityAt > b.lastActivityAt
        }
    }.map(\.id)
}

private let filters: [[String: [String]]] = [
    [:], ["status": ["active"]], ["status": ["suspended", "archived", "failed"]], ["plan": ["pro"]],
    ["plan": ["free", "enterprise"], "region": ["eu-west"]], ["tier": ["gold"], "status": ["active", "ready"]],
    [
        "region": ["eu-west", "us-east"], "tier": ["standard"], "plan": ["pro", "business"],
        "status": ["pending", "deleted"],
    ],
    ["plan": ["nobody"]],
]

@Suite struct TenantListTests {
    @Test(arguments: TestDatabase.Kind.allCases)
    func `every filter and order pages forwards and backwards through each tenant once`(
        kind: TestDatabase.Kind
    ) async throws {
        try await TestDatabase.with(kind) { test in
            try await test.tamper(population.flatMap { $0.insert() })
            try await test.database.read { reader in
                for filter in filters {
                    for sort in TenantSort.allCases {
                        let expected = sorted(
                            population.filter { tenant in
                                (filter["status"].map { $0.contains(tenant.status.rawValue) } ?? true)
                                    && (filter["plan"].map { $0.contains(tenant.plan) } ?? true)
                                    && (filter["tier"].map { $0.contains(tenant.tier) } ?? true)
                                    && (filter["region"].map { $0.contains(tenant.region) } ?? true)
                            }, sort)
                        var query = filter
                        query["sort"] = [sort.rawValue]
                        query["limit"] = ["7"]
                        var pages: [[String]] = []
                        var listing = try TenantListing.load(readCall(query), from: reader)
                        #expect(listing.previous == nil)
                        pages.append(listing.items.map(\.id))
                        while let next = listing.next {
                            query["cursor"] = [next]
                            listing = try TenantListing.load(readCall(query), from: reader)
                            pages.append(listing.items.map(\.id))
                        }
                        #expect(pages.flatMap { $0 } == expected, "\(filter) \(sort)")
                        var back: [[String]] = [pages[pages.count - 1]]
                        while let previous = listing.previous {
                            query["cursor"] = [previous]
                            listing = try TenantListing.load(readCall(query), from: reader)
                            back.insert(listing.items.map(\.id), at: 0)
                        }
                        #expect(back == pages, "\(filter) \(sort) backwards")
                    }
                }
            }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `every filter and order walks an index and never sorts more than it merges`(
        kind: TestDatabase.Kind
    ) async throws {
        try await TestDatabase.with(kind) { test in
            try await test.tamper(population.flatMap { $0.insert() })
            try await test.asOwner { writer in
                // A table this small would be read as a whole otherwise.
                if kind == .postgres { try writer.execute(Statement("SET LOCAL enable_seqscan = off")) }
                for filter in filters {
                    for sort in TenantSort.allCases {
                        for start in [
                            nil,
                            TenantListQueries.Start(
                                key: sort == .name ? .text("name 3") : .int(noon.microseconds), id: "ten_0",
                                isBackward: true),
                        ] {
                            let page = TenantListQueries.page(try TenantFilter(filter), sort, from: start, limit: 51)
                            let explain = kind == .postgres ? "EXPLAIN " : "EXPLAIN QUERY PLAN "
                            let plan = try writer.query(Statement(explain + page.text, page.values)).map { row in
                                guard case .text(let line) = row[kind == .postgres ? "QUERY PLAN" : "detail"] else {
                                    return ""
                                }
                                return line
                            }
                            for line in plan {
                                #expect(!line.contains("Seq Scan"), "\(plan)")
                                #expect(
                                    !line.hasPrefix("SCAN tenants") || line.contains("USING INDEX"), "\(filter) \(plan)"
                                )
                            }
                            // One value each: the index gives the order by itself.
                            if filter.values.allSatisfy({ $0.count == 1 }) {
                                #expect(!plan.contains { $0.contains("TEMP B-TREE") }, "\(filter) \(sort) \(plan)")
                            }
                        }
                    }
                }
            }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a cursor of another list or a forged one is refused`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { test in
            try await test.tamper(population.flatMap { $0.insert() })
            try await test.database.read { reader in
                let first = try TenantListing.load(readCall(["status": ["active"]]), from: reader)
                let one = try TenantListing.load(readCall(["status": ["active"], "limit": ["1"]]), from: reader)
                let cursor = try #require(one.next)
                #expect(
                    first.items[1...].map(\.id)
                        == (try TenantListing.load(
                            readCall(["status": ["active"], "cursor": [cursor]]), from: reader)).items.map(\.id))
                for query in [
                    ["status": ["suspended"], "cursor": [cursor]], ["cursor": [cursor]],
                    ["status": ["active"], "sort": ["name"], "cursor": [cursor]],
                    ["status": ["active"], "cursor": ["x" + cursor]], ["status": ["gone"]], ["sort": ["size"]],
                    ["limit": ["0"]], ["plan": ["Pro!"]],
                ] {
                    #expect(throws: OperationError.self, "\(query)") {
                        try TenantListing.load(readCall(query), from: reader)
                    }
                }
            }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the values a filter can have are found in order`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { test in
            let none = try await test.database.read { try $0.query(TenantListQueries.known(.plan)).count }
            #expect(none == 0)
            try await test.tamper(population.flatMap { $0.insert() })
            let plans = try await test.database.read {
                try $0.query(TenantListQueries.known(.plan)).map { try $0.string("value") }
            }
            #expect(plans == ["business", "enterprise", "free", "pro"])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `what is stored is what is read`(kind: TestDatabase.Kind) async throws {
        var stored = tenant(.archived, resumesTo: .suspended, then: .expired, name: "Straße ✓ \"quoted\"")
        stored.deletionEligibleAt = noon
        stored.ownerID = "usr_1"
        let user = User(id: "usr_1", email: "ada@acme.test", name: "Ada", createdAt: noon, lastLoginAt: noon)
        let membership = Membership(
            id: "mem_1", tenant: stored.id, userID: "usr_1", role: .owner, status: .joined, joinedAt: noon)
        let before = stored
        try await TestDatabase.with(kind) { test in
            let ids = [before.id, user.id, membership.id]
            @Sendable func documents(_ reader: any Reader) throws -> [JSON?] {
                [
                    try Tenant.load(ids[0], from: reader)?.document, try User.load(ids[1], from: reader)?.document,
                    try Membership.load(ids[2], from: reader)?.document,
                ]
            }
            try await test.tamper(before.insert() + user.insert() + membership.insert())
            let inserted = try await test.database.read(documents)
            #expect(inserted == [before.document, user.document, membership.document])
            let all = try await test.database.read { try $0.query(Tenant.selectAll(after: "", limit: 5)).count }
            #expect(all == 1)
            var after = before.moved(to: .suspended, at: noon + .hours(1))
            after.version += 1
            var renamed = user
            renamed.email = "ada@north.test"
            renamed.version += 1
            var revoked = membership
            revoked.status = .revoked
            revoked.version += 1
            let changed = (after, renamed, revoked)
            try await test.tamper(
                after.update(expecting: before.version) + renamed.update(expecting: user.version)
                    + revoked.update(expecting: membership.version))
            let updated = try await test.database.read(documents)
            #expect(updated == [changed.0.document, changed.1.document, changed.2.document])
            await #expect(throws: StoreError.rowCount(expected: 1)) {
                try await test.tamper(changed.0.update(expecting: before.version))
            }
        }
    }
}
