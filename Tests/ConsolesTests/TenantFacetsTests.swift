import TestSupport
import Testing

@testable import Consoles
@testable import Kernel

@Suite struct TenantFacetsTests {
    private static func make(_ index: Int, plan: String, region: String, status: TenantStatus = .active) -> Tenant {
        var tenant = Tenant(
            id: Identifier.make("ten", milliseconds: UInt64(index), random: Array(repeating: 5, count: 10)),
            externalID: "ext-\(index)", slug: "slug-\(index)", name: "Name \(index)", status: status, plan: plan,
            tier: "standard", region: region, createdAt: noon + .seconds(Int64(index)), now: noon)
        tenant.version = 1
        return tenant
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `facets are counted where something changed and say as of when`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, populated: false)
        let database = world.test.database
        let empty = try await database.read { try TenantFacets.load(from: $0) }
        #expect(empty.countedAt == nil && empty.count(.plan, "team") == nil)
        for slug in ["a", "b", "c"] { try await world.tenant(slug) }
        #expect(try await TenantFacets.refresh(database))
        let first = world.test.clock.clock.now
        var facets = try await database.read { try TenantFacets.load(from: $0) }
        #expect(facets.count(.plan, "team") == 3 && facets.count(.status, "active") == 3)
        #expect(facets.count(.plan, "gone") == 0 && facets.countedAt == first)
        // Nothing changed: as true as before, and not counted again.
        world.test.clock.advance(.seconds(30))
        #expect(try await TenantFacets.refresh(database) == false)
        facets = try await database.read { try TenantFacets.load(from: $0) }
        #expect(facets.countedAt == first + .seconds(30) && facets.count(.status, "active") == 3)
        let id = try await database.read { try $0.first(TestQueries.tenant(slug: "a"))?.string("id") }
        try await world.run("tenant.suspend", on: id, reason: "abuse")
        #expect(try await TenantFacets.refresh(database))
        facets = try await database.read { try TenantFacets.load(from: $0) }
        #expect(facets.count(.status, "active") == 2 && facets.count(.status, "suspended") == 1)
        // Once in a while without any known change.
        world.test.clock.advance(.minutes(6))
        #expect(try await TenantFacets.refresh(database))
        let answer = try await database.read { try TenantReads.facets.run(readCall(), $0) }
        #expect(answer.body["as_of"]?.string == world.test.clock.clock.now.rfc3339 && answer.disclosure == nil)
        #expect(answer.body["facets"]?.array?.first?["values"]?.array?.first == ["value": "active", "count": 2])
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a list walks the filter that leaves the fewest`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { test in
            let tenants = (0..<40).map { Self.make($0, plan: $0 == 7 ? "rare" : "pro", region: "eu-west") }
            try await test.tamper(tenants.flatMap { $0.insert() })
            try await TenantFacets.refresh(test.database)
            let filter = try TenantFilter(["plan": ["rare"], "region": ["eu-west"], "status": ["active"]])
            let facets = try await test.database.read { try TenantFacets.load(from: $0) }
            #expect(filter.driving == .region && facets.driving(filter) == .plan)
        }
    }

    /// Forty of one plan and forty of another region, hardly anybody both: each page looks at five and no more.
    @Test(arguments: TestDatabase.Kind.allCases, TenantSort.allCases)
    func `a combination that hardly fits is looked for in steps, both ways`(
        kind: TestDatabase.Kind, sort: TenantSort
    ) async throws {
        try await TestDatabase.with(kind) { test in
            let tenants = (0..<60).map { index in
                Self.make(
                    index, plan: index % 3 == 0 ? "free" : "pro", region: index == 31 || index == 44 ? "us" : "eu",
                    status: index % 7 == 0 ? .suspended : .active)
            }
            try await test.tamper(tenants.flatMap { $0.insert() })
            let query = ["plan": ["free", "pro"], "region": ["us"], "sort": [sort.rawValue], "limit": ["3"]]
            let expected = Set(tenants.filter { $0.region == "us" }.map(\.id))
            try await test.database.read { reader in
                // Without counts the tier would be walked; here the plan is, as if it left the fewest.
                var found: [String] = []
                var steps = 0
                var query = query
                var listing = try TenantListing.load(readCall(query), from: reader, reach: 5)
                found += listing.items.map(\.id)
                while let next = listing.next, steps < 40 {
                    steps += 1
                    query["cursor"] = [next]
                    listing = try TenantListing.load(readCall(query), from: reader, reach: 5)
                    found += listing.items.map(\.id)
                }
                #expect(found.count == 2 && Set(found) == expected && !listing.isPartial, "\(sort)")
                #expect(found.count == Set(found).count)
                var back = listing.items.map(\.id)
                var ways = 0
                while let previous = listing.previous, ways < 60 {
                    ways += 1
                    query["cursor"] = [previous]
                    listing = try TenantListing.load(readCall(query), from: reader, reach: 5)
                    back += listing.items.map(\.id)
                }
                #expect(Set(back) == expected && listing.previous == nil, "\(sort) backwards")
            }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `where a page has to stop is found along the index`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { test in
            try await test.asOwner { writer in
                if kind == .postgres { try writer.execute(Statement("SET LOCAL enable_seqscan = off")) }
                let filter = try TenantFilter(["plan": ["pro"], "region": ["eu"]])
                for sort in TenantSort.allCases {
                    let start = TenantListQueries.Start(
                        key: sort == .name ? .text("n") : .int(1), id: "ten_1", isBackward: false)
                    for statement in TenantListQueries.ends(filter, sort, from: start, driving: .plan, reach: 100)
                        + [TenantListQueries.page(filter, sort, from: start, limit: 51, driving: .plan, end: start)]
                    {
                        let plan = try writer.explain(statement, kind)
                        #expect(plan.contains("tenants_plan_"), "\(plan)")
                        #expect(!plan.contains("TEMP B-TREE") && !plan.contains("Sort"), "\(plan)")
                    }
                }
            }
        }
    }
}
