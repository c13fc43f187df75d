import TestSupport
import Testing

@testable import Consoles
@testable import Kernel

@Suite struct TenantFuzzyTests {
    @Test(
        arguments: [
            ("northwind", "northwind", 0), ("nortwhind", "northwind", 1), ("norhwind", "northwind", 1),
            ("noorthwind", "northwind", 1), ("nirthwind", "northwind", 1), ("northwnid", "northwind", 1),
            ("southwind", "northwind", 2), ("ab", "", 2), ("acme", "zeta", 4), ("straße", "strasse", 2),
        ] as [(String, String, Int)])
    func `slips are counted, two in the wrong order as one`(a: String, b: String, slips: Int) {
        #expect(NameWords.distance(a, b, most: 4) == slips)
        #expect(NameWords.distance(b, a, most: 4) == slips)
        if slips > 0 { #expect(NameWords.distance(a, b, most: slips - 1) == nil) }
    }

    @Test func `words are letters, once each, and what has digits is no word`() {
        #expect(
            NameWords.words([NameKey.fold("Northwind Traders (EMEA) GmbH & Co"), "northwind-traders-4417"])
                == ["northwind", "traders", "emea", "gmbh", "co"])
        #expect(NameWords.words(["4417", "a", "x9-y"]) == [])
        #expect(NameWords.grams("acme") == [" ac", "acm", "cme", "me "])
        #expect(NameWords.grams("日本") == [" 日本", "日本 "])
        var deleted = tenant(.deleted)
        deleted.name = "Deleted tenant"
        #expect(NameWords.words(of: deleted) == [])
    }

    private static let names = [
        "Northwind Traders", "Northgate Foods", "Norton Industries", "Acme Robotics", "Acme Foods",
        "Blue Heron Clinics",
        "Ålesund Fisk", "Blueprint", "North Wind Yachts", "Zeta 4417",
    ]

    private func world(_ kind: TestDatabase.Kind) async throws -> World {
        let world = try await World.make(kind, populated: false)
        for (index, name) in Self.names.enumerated() {
            try await world.run(
                "tenant.create",
                [
                    "external_id": .string("x-\(index)"), "name": .string(name), "slug": .string("s-\(index)"),
                    "status": "active", "plan": "pro", "region": "eu-west",
                ])
        }
        while try await WordIndex.turn(world.test.database) {}
        return world
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a slip of the hand still finds the name`(kind: TestDatabase.Kind) async throws {
        let world = try await world(kind)
        func found(_ query: String) async throws -> [String] {
            let search = try await world.test.database.read { try TenantSearch.run(query, people: true, in: $0) }
            #expect(search.hits.isEmpty || search.tier == .fuzzy, "\(query)")
            return search.hits.map(\.title)
        }
        #expect(try await found("nortwhind") == ["Northwind Traders"])
        #expect(try await found("Nothwind Tarders") == ["Northwind Traders"])
        #expect(try await found("robotcs acme") == ["Acme Robotics"])
        // A word in the middle, whole or begun, is no slip at all.
        #expect(try await found("robotics") == ["Acme Robotics"])
        #expect(try await found("clin") == ["Blue Heron Clinics"])
        #expect(try await found("foods") == ["Acme Foods", "Northgate Foods"])
        #expect(try await found("blu heron") == ["Blue Heron Clinics"])
        #expect(try await found("alesund") == ["Ålesund Fisk"])
        // One word too many is forgiven, nonsense is not.
        #expect(try await found("acme robotics limited") == ["Acme Robotics"])
        for nonsense in ["qqqqqq", "4418", "%", "zz"] { #expect(try await found(nonsense) == []) }
        #expect(try await found("blue print") == ["Blueprint"])
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `better tiers come first and people are not guessed`(kind: TestDatabase.Kind) async throws {
        let world = try await world(kind)
        try await world.test.database.read { reader in
            let prefix = try TenantSearch.run("north", people: true, in: reader)
            #expect(prefix.tier == .prefix && prefix.hits.count == 3)
            let fuzzy = try TenantSearch.run("nortwhind", people: true, in: reader)
            #expect(fuzzy.hits.map(\.matched) == ["similar name"])
        }
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the words follow the name, and go with it`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind)
        let database = world.test.database
        while try await WordIndex.turn(database) {}
        @Sendable func words() async throws -> Set<String> {
            try await database.read { reader in
                let rows = try reader.query([
                    Statement("SELECT DISTINCT word FROM tenant_words"),
                    Statement("SELECT DISTINCT word FROM word_grams"),
                ]).map { Set(try $0.map { try $0.string("word") }) }
                #expect(rows[0] == rows[1], "every word has its trigrams and no other has")
                return rows[0]
            }
        }
        #expect(try await words().isSuperset(of: ["tenant", "departed", "active"]))
        let active = try await database.read { try $0.first(TestQueries.tenant(slug: "active"))?.string("id") }
        try await world.run(
            "tenant.update", on: active, ["name": "Marlow Freight", "slug": "marlow"], by: world.system)
        #expect(try await WordIndex.turn(database))
        #expect(try await WordIndex.turn(database) == false)
        let renamed = try await words()
        #expect(renamed.contains("marlow") && !renamed.contains("active"))
        // A change of state leaves the words alone.
        try await world.run("tenant.suspend", on: active, reason: "abuse")
        #expect(try await WordIndex.turn(database) == false)
        // Deleted for good, as it is written once others have agreed.
        let departed = try await database.read { reader in
            try Tenant(try #require(try reader.first(TestQueries.tenant(slug: "departed"))))
        }
        var gone = departed.moved(to: .deleted, at: noon)
        gone.name = "Deleted tenant"
        gone.slug = "deleted-1"
        gone.version += 1
        var draft = EventDraft(at: noon, .mutation, "tenant.hard_delete", by: world.system)
        draft.target = (Tenant.type, gone.id)
        draft.changes = [EventDraft.ChangeRecord(.update(departed, to: gone))]
        let statements = world.pipeline.records.insert(SealedEvent(draft)) + gone.update(expecting: departed.version)
        try await database.write { $0.enqueue(statements) }
        while try await WordIndex.turn(database) {}
        let left = try await words()
        #expect(!left.contains("departed") && !left.contains("deleted"))
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `every look into the words is a range of an index`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { test in
            try await test.asOwner { writer in
                if kind == .postgres { try writer.execute(Statement("SET LOCAL enable_seqscan = off")) }
                for statement in [
                    WordQueries.frequencies([" no", "nor"], lengths: 6...12),
                    WordQueries.similar([" no", "nor"], lengths: 6...12, limit: 50),
                    WordQueries.beginning("nor", limit: 20), WordQueries.tenants(with: "north", limit: 200),
                    WordQueries.words(of: ["ten_1"]), WordQueries.known(["north", "wind"]),
                ] {
                    let plan = try writer.explain(statement, kind)
                    #expect(!plan.contains("Seq Scan"), "\(plan)")
                    if kind == .sqlite {
                        #expect(!plan.contains("SCAN word_grams") && !plan.contains("SCAN tenant_words"), "\(plan)")
                    }
                }
            }
        }
    }
}
