import Kernel
import TestSupport
import Testing

@testable import Consoles

/// The grammar of filters and paths, and that the database and memory agree on what they mean.
@Suite struct ScimFilterTests {
    private static func path(_ text: String) -> ScimPath {
        let parts = text.split(separator: ".").map(String.init)
        return ScimPath(attribute: parts[0], sub: parts.count > 1 ? parts[1] : nil)
    }

    @Test func `filters are read as the standard writes them`() throws {
        func reads(_ text: String, _ expected: ScimFilter) throws {
            #expect(try ScimParser.filter(text) == expected, "\(text)")
        }
        let bjensen = ScimFilter.compare(Self.path("userName"), .eq, "bjensen")
        try reads("userName eq \"bjensen\"", bjensen)
        try reads("userName Eq \"bjensen\"", bjensen)
        try reads("  userName   EQ   \"bjensen\"  ", bjensen)
        try reads("urn:ietf:params:scim:schemas:core:2.0:User:userName eq \"bjensen\"", bjensen)
        try reads("name.familyName co \"O'Malley\"", .compare(Self.path("name.familyName"), .co, "O'Malley"))
        try reads("title pr", .present(Self.path("title")))
        try reads("active eq true", .compare(Self.path("active"), .eq, true))
        try reads("x eq -3", .compare(Self.path("x"), .eq, -3))
        try reads("x eq null", .compare(Self.path("x"), .eq, nil))
        try reads("a eq \"say \\\"hi\\\"\"", .compare(Self.path("a"), .eq, "say \"hi\""))
        let (a, b, c) = (
            ScimFilter.present(Self.path("a")), ScimFilter.present(Self.path("b")), ScimFilter.present(Self.path("c"))
        )
        try reads("a pr and b pr or c pr", .or(.and(a, b), c))
        try reads("a pr or b pr and c pr", .or(a, .and(b, c)))
        try reads("(a pr or b pr) and c pr", .and(.or(a, b), c))
        try reads("not (a pr) and b pr", .and(.not(a), b))
        try reads("not(a pr)", .not(a))
        // A word that only begins like one of the grammar's.
        try reads("notable pr", .present(Self.path("notable")))
        try reads("order pr", .present(Self.path("order")))
        try reads(
            "emails[type eq \"work\" and value co \"@example.com\"]",
            .within(
                Self.path("emails"),
                .and(.compare(Self.path("type"), .eq, "work"), .compare(Self.path("value"), .co, "@example.com"))))
    }

    @Test(
        arguments: [
            "", " ", "userName", "userName eq", "userName eq bjensen", "eq \"x\"", "userName is \"x\"",
            "userName eq \"x", "userName eq \"x\" and", "userName eq \"x\" or or", "(userName eq \"x\"",
            "userName eq \"x\")", "not userName pr", "not (", "emails[type eq \"work\"", "emails]", "1a eq 2",
            "a.b.c eq 1", "userName eq {\"a\": 1}", "userName eq [1]", "a eq 1 b", "a pr pr", "a eq \"\u{0}\"",
        ])
    func `what is no filter is refused in words`(text: String) {
        do {
            _ = try ScimParser.filter(text)
            Issue.record("\"\(text)\" was read")
        } catch {
            #expect(error.detail.hasSuffix(".") && error.detail.count > 10, "\(error.detail)")
        }
    }

    @Test func `paths of patches are read with their filters`() throws {
        #expect(try ScimParser.target("members") == .init(path: Self.path("members"), filter: nil))
        #expect(try ScimParser.target("name.givenName") == .init(path: Self.path("name.givenName"), filter: nil))
        #expect(
            try ScimParser.target("emails[type eq \"work\"].value")
                == .init(path: Self.path("emails.value"), filter: .compare(Self.path("type"), .eq, "work")))
        #expect(
            try ScimParser.target("members[value eq \"stf_1\"]")
                == .init(path: Self.path("members"), filter: .compare(Self.path("value"), .eq, "stf_1")))
        for wrong in ["", "emails[", "emails[]", "a.b[c pr].d", "emails[type eq \"work\"]value", "a b", "name."] {
            #expect(throws: ScimSyntaxError.self, "\(wrong)") { try ScimParser.target(wrong) }
        }
    }

    @Test func `depth and length are bounded`() {
        let deep = String(repeating: "(", count: 2000) + "a pr" + String(repeating: ")", count: 2000)
        #expect(throws: ScimSyntaxError.self) { try ScimParser.filter(String(deep.prefix(3999))) }
        let wide = (0..<100).map { _ in "a pr" }.joined(separator: " or ")
        #expect(throws: ScimSyntaxError.self) { try ScimParser.filter(wide) }
        #expect(throws: ScimSyntaxError.self) { try ScimParser.filter(String(repeating: "a", count: 5000)) }
        let nots = String(repeating: "not (", count: 700) + "a pr" + String(repeating: ")", count: 700)
        #expect(throws: ScimSyntaxError.self) { try ScimParser.filter(nots) }
    }

    /// Whatever comes, it is read or refused; nothing stops the process.
    @Test func `any letters are read or refused`() {
        var random = ServiceAccountTests.Seeded(11)
        let pieces = [
            "userName", "emails", "[", "]", "(", ")", " ", "eq", "pr", "and", "or", "not", "\"", "\\", "\"x\"", "true",
            "null",
            "-1", "1.5", ".", ":", "urn:ietf:params:scim:schemas:core:2.0:User:", "é", "\u{202E}", "\n", "%", "value",
            "💥",
        ]
        var read = 0
        for _ in 0..<20_000 {
            let text = (0..<Int.random(in: 0...12, using: &random)).map { _ in pieces.randomElement(using: &random)! }
                .joined(separator: Bool.random(using: &random) ? " " : "")
            if (try? ScimParser.filter(text)) != nil { read += 1 }
            _ = try? ScimParser.target(text)
        }
        #expect(read > 10)
    }

    /// The same filter over rows and over the resources made of them.
    @Test(arguments: TestDatabase.Kind.allCases)
    func `the database finds whom the resources fit`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, populated: false)
        let now = world.test.clock.clock.now
        var changes: [Change] = []
        for (number, name) in ["ada", "Bo", "cy", "dee_%", "eli"].enumerated() {
            let staff = Staff(
                id: "stf_\(number)", email: "\(name.lowercased())@x.example", name: "Name \(name)",
                status: number == 3 ? .deactivated : .active, invitedBy: nil, createdAt: now - .days(Int64(number)),
                updatedAt: now)
            changes.append(.create(staff))
            guard number > 0 else { continue }
            changes.append(
                .create(
                    ScimUser(
                        id: "scu_\(number)", staffID: staff.id,
                        profile: ScimProfile(
                            userName: name, email: staff.email, externalID: number == 1 ? nil : "EXT-\(number)",
                            displayName: number == 2 ? nil : "Shown \(name)",
                            givenName: number.isMultiple(of: 2) ? "G\(name)" : nil, familyName: "Family"),
                        createdAt: now, updatedAt: now, deletedAt: number == 4 ? now : nil)))
        }
        changes.append(
            .create(Grant(id: "grt_1", staffID: "stf_1", role: "support_l1", grantedBy: "x", grantedAt: now)))
        try await world.put(changes)
        let texts = [
            "userName eq \"BO\"", "userName eq \"bo@x.example\"", "userName eq \"ada@x.example\"", "userName ne \"bo\"",
            "userName co \"_%\"", "userName sw \"d\"", "userName ew \"Y\"",
            "userName ew \"a very long text that ends\"",
            "externalId eq \"EXT-2\"", "externalId pr", "not (externalId pr)", "externalId ne \"EXT-2\"",
            "displayName pr", "displayName co \"shown\"", "name.givenName sw \"g\"", "name.familyName eq \"family\"",
            "emails.value eq \"CY@x.example\"", "emails[value ew \"x.example\" and type eq \"work\"]",
            "emails.type eq \"home\"",
            "emails eq \"cy@x.example\"", "active eq true", "active eq \"False\"", "active ne true",
            "meta.created lt \"\((now - .hours(36)).rfc3339)\"", "meta.created ge \"\(now.rfc3339)\"",
            "meta.resourceType eq \"user\"", "groups.value eq \"support_l1\"", "groups pr",
            "not (groups pr) and active eq true",
            "userName gt \"bo\"", "userName le \"bo\"", "id eq \"stf_2\"",
            "(userName eq \"bo\" or userName eq \"cy\") and not (name.givenName pr)",
        ]
        for text in texts {
            let filter = try ScimParser.filter(text)
            let (found, expected) = try await world.test.database.read { reader in
                let (page, count) = try ScimFilterQueries.page(filter, at: reader.now, from: 1, limit: 100)
                let ids = try reader.query(page).map { try $0.string("id") }
                #expect(try reader.first(count)?.int("count") == Int64(ids.count))
                let people = try ScimPeople.load((0..<5).map { "stf_\($0)" }, withRoles: true, from: reader)
                // Entra ID writes truth as text.
                let asked = try ScimParser.filter(text.replacing("\"False\"", with: "false"))
                return (ids, people.filter { asked.matches($0.json(at: "http://x")) }.map(\.staff.id))
            }
            #expect(found == expected, "\(text)")
            #expect(!found.contains("stf_4"), "\(text) finds somebody the provider deleted")
        }
        for wrong in [
            "nickName eq \"x\"", "userName eq 3", "active eq \"yes\"", "active gt true", "meta.created eq 5",
            "name[givenName pr]",
        ] {
            let filter = try ScimParser.filter(wrong)
            #expect(throws: ProvisioningError.self, "\(wrong)") {
                try ScimFilterQueries.page(filter, at: now, from: 1, limit: 10)
            }
        }
        await world.close()
    }

    /// What providers look for with every cycle goes through indexes.
    @Test(arguments: ["userName eq \"x@x.example\"", "externalId eq \"e\"", "emails.value eq \"x@x.example\""])
    func `names are looked for by an index`(text: String) async throws {
        try await TestDatabase.with(.sqlite) { test in
            let query = try ScimFilterQueries.page(
                ScimParser.filter(text), at: Instant(microseconds: 0), from: 1, limit: 10)
            for statement in [query.page, query.count] {
                let plan = try await test.asOwner { writer in
                    try writer.query(Statement("EXPLAIN QUERY PLAN " + statement.text, statement.values))
                        .map { try $0.string("detail") }
                }
                #expect(
                    !plan.contains {
                        $0.hasPrefix("SCAN s") || $0.hasPrefix("SCAN staff") || $0.hasPrefix("SCAN scim")
                    }, "\(plan)")
            }
        }
    }
}
