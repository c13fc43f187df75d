import Testing

@testable import Consoles
@testable import Kernel

private func records(_ bytes: [UInt8], chunk: Int = 1) throws -> [[String]] {
    var parser = CSVParser()
    var out: [[String]] = []
    for start in stride(from: 0, to: bytes.count, by: chunk) {
        try parser.feed(bytes[start..<min(start + chunk, bytes.count)]) { out.append($0.fields) }
    }
    try parser.finish { out.append($0.fields) }
    return out
}

private func fault(_ bytes: [UInt8]) -> CSVParser.Fault? {
    do {
        _ = try records(bytes)
        return nil
    } catch { return error as? CSVParser.Fault }
}

/// Rows and problems of a file.
private func read(
    _ text: String, _ format: RegistrySource.Format = .csv, mapping: JSON? = nil, encoding: TextEncoding = .utf8
) throws -> (rows: [RegistryRow], problems: [RegistrySource.Problem]) {
    try read(Array(text.utf8), format, mapping: mapping, encoding: encoding)
}

private func read(
    _ bytes: [UInt8], _ format: RegistrySource.Format = .csv, mapping: JSON? = nil, encoding: TextEncoding = .utf8
) throws -> (rows: [RegistryRow], problems: [RegistrySource.Problem]) {
    var source = RegistrySource(format, mapping: try mapping.map { try ImportMapping($0) }, encoding: encoding)
    var rows: [RegistryRow] = []
    var problems: [RegistrySource.Problem] = []
    func take(_ item: RegistrySource.Item) {
        switch item.content {
        case .row(let row): rows.append(row)
        case .problems(let more): problems += more
        }
    }
    try source.feed(bytes, take)
    try source.finish(take)
    return (rows, problems)
}

@Suite struct RegistryCSVTests {
    @Test(arguments: [
        ("a,b\r\n1,2\r\n", [["a", "b"], ["1", "2"]]), ("a,b\n1,2", [["a", "b"], ["1", "2"]]),
        ("\u{FEFF}a\nb\n", [["a"], ["b"]]), ("\"a\"\"b\",\"c,d\"\n\"x\r\ny\",\n", [["a\"b", "c,d"], ["x\r\ny", ""]]),
        ("a\n\n\nb\n", [["a"], ["b"]]), ("\"\"\n,\n", [["", ""]]), ("é,日本\n", [["é", "日本"]]), ("", []), ("a", [["a"]]),
        (",,\n", [["", "", ""]]), ("\u{FEFF}", []),
    ])
    func `records are read whatever the size of the pieces`(text: String, expected: [[String]]) throws {
        for chunk in [1, 2, 3, 5, 1000] { #expect(try records(Array(text.utf8), chunk: chunk) == expected, "\(chunk)") }
    }

    @Test func `faults name the line and the byte`() {
        #expect(fault(Array("a,b\n1,\"2\n3,4\n".utf8))?.sentence == "The quote opened in line 2 is never closed.")
        #expect(fault(Array("a\n\"b\"c\n".utf8))?.line == 2)
        #expect(fault(Array("a\nb\"c\n".utf8))?.line == 2)
        #expect(fault(Array("a\rb\n".utf8))?.line == 1)
        #expect(fault(Array("ab\n".utf16).flatMap { [UInt8($0 & 255), UInt8($0 >> 8)] })?.line == 1)
        let latin = Array("name\nok\nCaf".utf8) + [0xE9] + Array("\n".utf8)
        #expect(
            fault(latin)?.sentence
                == "Line 3 holds the byte 0xE9, which is not UTF-8. It looks like Windows-1252 or Latin-1: read it with --encoding latin1, or save the file as UTF-8."
        )
        let inner = Array("\"x\ny".utf8) + [0xFF] + Array("\"\n".utf8)
        #expect(fault(inner)?.line == 2)
        #expect(
            fault([0xFF, 0xFE, 0x61, 0x00])?.sentence == "The file is UTF-16 (it starts with FF FE). Save it as UTF-8.")
        #expect(fault(Array("a,\"".utf8) + Array(repeating: 0x61, count: CSVParser.mostRecordBytes + 1))?.line == 1)
    }

    @Test func `columns come in any order and blanks are dropped`() throws {
        let (rows, problems) = try read(
            "\u{FEFF}slug, Name ,external_id,member_emails,owner_email,plan\r\n"
                + "acme,\" Acme, Inc. \",nwc-1,A@acme.test; b@acme.test a@acme.test,Lena@acme.test,pro\r\n"
                + "zeta,Zeta,nwc-2,,,\r\n")
        #expect(problems.isEmpty)
        #expect(rows.count == 2)
        #expect(rows[0].name == "Acme, Inc." && rows[0].plan == "pro" && rows[0].ownerEmail == "lena@acme.test")
        #expect(rows[0].people.map(\.email) == ["lena@acme.test", "a@acme.test", "b@acme.test"])
        #expect(rows[0].people.map(\.role) == [.owner, nil, nil])
        #expect(rows[1].plan == nil && rows[1].people.isEmpty)
    }

    @Test func `every problem of every line is told`() throws {
        let (rows, problems) = try read(
            """
            external_id,name,slug,owner_email
            a b,,Bad Slug,nobody
            ok,Fine,fine,x@y.test
            1,2,3
            """)
        #expect(rows.map(\.slug) == ["fine"])
        #expect(problems.map(\.line) == [2, 2, 2, 2, 4])
        #expect(problems.compactMap(\.column) == ["external_id", "name", "slug", "owner_email"])
        #expect(problems.allSatisfy { $0.sentence.hasPrefix("Line \($0.line)") && $0.sentence.hasSuffix(".") })
    }

    @Test(arguments: [
        ("", "empty"), ("external_id,name,slug,colour\n", "\"colour\""), ("external_id,name\n", "slug"),
        ("external_id,name,slug,name\n", "twice"),
    ])
    func `a header that can't be used is refused by name`(text: String, word: String) {
        let problem = #expect(throws: RegistrySource.Problem.self) { try read(text) }
        #expect(problem?.sentence.contains(word) == true)
    }

    @Test(arguments: ["ada@acme.test", "a.b+c@x.co", "Ünï@exämple.test", "o'neil@x.test"])
    func `good addresses pass`(address: String) throws {
        #expect(try RegistryText.email(address) == address.lowercased())
    }

    @Test(arguments: ["", "@x.test", "a@b", "a@.test", "a@b.", "a b@c.test", "a@b@c.test", "a@b,c.test", "<a@b.test>"])
    func `bad addresses don't`(address: String) {
        #expect(throws: FieldError.Reason.self) { try RegistryText.email(address) }
    }

    @Test func `a row survives its way as JSON`() throws {
        let row = RegistryRow(
            externalID: "nwc-1", name: "Acme", slug: "acme", metadata: ["a": "b"], ownerEmail: "lena@acme.test",
            members: [.init(email: "b@acme.test", name: "B", externalID: "u-1", role: .admin, lastLoginAt: noon)],
            createdAt: noon, lastActivityAt: noon, status: .suspended, plan: "pro", tier: "gold", region: "eu-west")
        #expect(try RegistryRow(row.json) == row)
        #expect(throws: FieldError.Reason.self) { try RegistryRow(["name": "x"]) }
        #expect(throws: FieldError.Reason.self) { try RegistryRows.parse([], .none) }
    }
}

@Suite struct RegistryBatchTests {
    /// - Parameter ids: what the ids of this batch begin with, so that they are nobody's of another.
    private func batch(_ facts: RegistryFacts = RegistryFacts(), ids: String = "") -> RegistryBatch {
        RegistryBatch(facts, now: noon, person: "import", event: "evt_1", id: { "\($0)_\(ids)\($1)" })
    }

    private func row(_ id: String = "nwc-1", slug: String = "acme", owner: String? = "lena@acme.test") -> RegistryRow {
        RegistryRow(
            externalID: id, name: "Acme", slug: slug, ownerEmail: owner, members: [.init(email: "b@acme.test")],
            plan: "pro")
    }

    /// The facts a database would have after the changes.
    private func facts(after changes: [Change]) -> RegistryFacts {
        var facts = RegistryFacts()
        for change in changes {
            switch change.after {
            case let tenant as Tenant:
                facts.tenants[tenant.externalID] = tenant
                facts.slugs[tenant.slug] = (tenant.externalID, tenant.name)
            case let user as User: facts.add(user)
            case let membership as Membership:
                facts.memberships[.init(tenant: membership.tenant, user: membership.userID)] = membership
            case let drift as Drift: facts.drifts[.init(tenant: drift.tenant, field: drift.field)] = drift
            default: Issue.record("what is \(change.type)?")
            }
        }
        return facts
    }

    @Test func `a new customer comes whole and the same row again changes nothing`() throws {
        var first = batch()
        try first.add(row(), at: 0)
        #expect(first.changes.map(\.type) == ["user", "user", "tenant", "membership", "membership"])
        #expect(first.created == 1 && first.history.count == 1)
        let made = facts(after: first.changes)
        #expect(made.tenants["nwc-1"]?.ownerID == made.users["lena@acme.test"]?.id)
        #expect(made.memberships.values.map(\.role).sorted { $0.rawValue < $1.rawValue } == [.member, .owner])
        var second = batch(made)
        try second.add(row(), at: 0)
        #expect(second.changes.isEmpty && second.history.isEmpty && second.unchanged == 1)
    }

    @Test func `control fields are set at creation and never again`() throws {
        var first = batch()
        try first.add(row(), at: 0)
        var made = facts(after: first.changes)
        made.tenants["nwc-1"] = made.tenants["nwc-1"]?.moved(to: .suspended, at: noon)
        var again = row(owner: "b@acme.test")
        again.status = .active
        again.plan = "enterprise"
        again.tier = "gold"
        again.region = "ap-south"
        again.name = "Acme Ltd"
        var second = batch(made)
        try second.add(again, at: 0)
        let after = try #require(second.changes.first { $0.type == "tenant" }?.after as? Tenant)
        #expect(
            after.name == "Acme Ltd" && after.status == .suspended && after.plan == "pro" && after.tier == "standard")
        #expect(after.region == RegistryRow.standardRegion && after.ownerID == made.users["lena@acme.test"]?.id)
        #expect(second.drifted == 5 && second.opened == 5 && second.history.isEmpty)
        // The other one does not become owner, and the owner stays it.
        #expect(second.changes.map(\.type) == ["tenant"] + Array(repeating: "drift", count: 5))
    }

    @Test func `a person of two customers is one user`() throws {
        var batch = batch()
        try batch.add(row("nwc-1", slug: "one"), at: 0)
        try batch.add(row("nwc-2", slug: "two"), at: 1)
        #expect(batch.changes.count { $0.type == "user" } == 2)
        #expect(batch.changes.count { $0.type == "membership" } == 4)
        #expect(Set(batch.changes.map(\.id)).count == batch.changes.count)
    }

    @Test func `a person is known by the product's id even with a new address`() throws {
        var first = batch()
        var row = row(owner: nil)
        row.members = [.init(email: "old@acme.test", externalID: "u-1")]
        try first.add(row, at: 0)
        row.members = [.init(email: "new@acme.test", name: "New", externalID: "u-1")]
        var second = batch(facts(after: first.changes))
        try second.add(row, at: 0)
        let change = try #require(second.changes.first)
        #expect(second.changes.count == 1 && (change.after as? User)?.email == "new@acme.test")
    }

    /// A row with one member, who has an id of the product's own.
    private func row(_ id: String, member email: String, _ externalID: String?) -> RegistryRow {
        var row = row(id, slug: id, owner: nil)
        row.members = [.init(email: email, externalID: externalID)]
        return row
    }

    @Test func `an address that was given to somebody else does not make one person of two`() throws {
        var first = batch()
        try first.add(row("one", member: "desk@acme.test", "u-1"), at: 0)
        let made = facts(after: first.changes)
        var second = batch(made)
        let taken = #expect(throws: RegistryBatch.Problem.self) {
            try second.add(row("two", member: "desk@acme.test", "u-2"), at: 0)
        }
        #expect(taken?.column == "members")
        #expect(taken?.sentence == "\"desk@acme.test\" belongs to another user (external id u-1).")
        #expect(second.changes.isEmpty && second.history.isEmpty && second.created == 0, "the row left a trace")
        // So it is within one batch.
        var same = batch()
        try same.add(row("one", member: "desk@acme.test", "u-1"), at: 0)
        #expect(throws: RegistryBatch.Problem.self) { try same.add(row("two", member: "desk@acme.test", "u-2"), at: 1) }
        // Whoever is known by the address alone takes the id the product tells, and whoever has none is their holder.
        var third = batch()
        try third.add(row("one", member: "desk@acme.test", nil), at: 0)
        var fourth = batch(facts(after: third.changes), ids: "d")
        try fourth.add(row("two", member: "desk@acme.test", "u-2"), at: 0)
        try fourth.add(row("three", member: "desk@acme.test", nil), at: 1)
        let users = fourth.changes.compactMap { $0.after as? User }
        #expect(users.map(\.externalID) == ["u-2"])
    }

    @Test func `an address that its holder has left may be somebody else's`() throws {
        var first = batch()
        try first.add(row("one", member: "desk@acme.test", "u-1"), at: 0)
        let made = facts(after: first.changes)
        // In two rows, and in one.
        var second = batch(made, ids: "b")
        try second.add(row("one", member: "new@acme.test", "u-1"), at: 0)
        try second.add(row("two", member: "desk@acme.test", "u-2"), at: 1)
        var both = row("one", member: "new@acme.test", "u-1")
        both.members.append(.init(email: "desk@acme.test", externalID: "u-2"))
        var third = batch(made, ids: "c")
        try third.add(both, at: 0)
        for batch in [second, third] {
            let users = batch.changes.compactMap { $0.after as? User }
            #expect(users.map(\.externalID) == ["u-1", "u-2"])
            #expect(users.map(\.email) == ["new@acme.test", "desk@acme.test"])
        }
    }

    @Test func `a user who was deleted comes back by no list of members`() throws {
        var first = batch()
        try first.add(row("one", member: "gone@acme.test", "u-1"), at: 0)
        var made = facts(after: first.changes)
        var gone = try #require(made.usersByExternalID["u-1"])
        gone.status = .deleted
        made.add(gone)
        for externalID in ["u-1", nil] {
            var second = batch(made)
            let refused = #expect(throws: RegistryBatch.Problem.self) {
                try second.add(row("two", member: "gone@acme.test", externalID), at: 0)
            }
            #expect(refused?.column == "members" && refused?.sentence.contains("was deleted") == true)
            #expect(second.changes.isEmpty)
        }
        var owned = batch(made)
        let refused = #expect(throws: RegistryBatch.Problem.self) {
            try owned.add(row("two", slug: "two", owner: "gone@acme.test"), at: 0)
        }
        #expect(refused?.column == "owner_email")
    }

    @Test func `a taken slug, a doubled row and a deleted customer are refused by column`() throws {
        var batch = batch()
        try batch.add(row("nwc-1", slug: "one"), at: 0)
        let taken = #expect(throws: RegistryBatch.Problem.self) { try batch.add(row("nwc-2", slug: "one"), at: 1) }
        #expect(taken?.column == "slug")
        let doubled = #expect(throws: RegistryBatch.Problem.self) { try batch.add(row("nwc-1", slug: "one"), at: 2) }
        #expect(doubled?.column == "external_id")
        var facts = RegistryFacts()
        facts.tenants["nwc-9"] = tenant(.deleted)
        var other = self.batch(facts)
        let gone = #expect(throws: RegistryBatch.Problem.self) { try other.add(row("nwc-9", slug: "nine"), at: 0) }
        #expect(gone?.column == "external_id")
        #expect(other.changes.isEmpty)
    }

    @Test func `a member who was revoked joins again`() throws {
        var first = batch()
        try first.add(row(), at: 0)
        var made = facts(after: first.changes)
        for (pair, membership) in made.memberships where membership.role == .member {
            made.memberships[pair]?.status = .revoked
            made.memberships[pair]?.revokedAt = noon
        }
        var second = batch(made)
        try second.add(row(), at: 0)
        let after = try #require(second.changes.first?.after as? Membership)
        #expect(second.changes.count == 1 && after.status == .joined && after.revokedAt == nil)
    }
}
