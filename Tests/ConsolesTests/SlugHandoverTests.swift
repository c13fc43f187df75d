import Foundation
import TestSupport
import Testing

@testable import Consoles
@testable import Kernel

/// Slugs that pass from one customer to another within one batch or file.
@Suite struct SlugHandoverTests {
    private static func tenant(_ number: Int, _ slug: String, _ status: TenantStatus = .active) -> Tenant {
        Tenant(
            id: "ten_\(number)", externalID: "ext-\(number)", slug: slug, name: "Customer \(number)", status: status,
            plan: "pro", tier: "standard", region: "eu-west", createdAt: TestDatabase.start, now: TestDatabase.start)
    }

    private static func row(_ number: Int, _ slug: String) -> RegistryRow {
        RegistryRow(externalID: "ext-\(number)", name: "Customer \(number)", slug: slug)
    }

    private static func facts(_ slugs: [String], deleted: Set<Int> = []) -> RegistryFacts {
        var facts = RegistryFacts()
        for (number, slug) in slugs.enumerated() {
            let tenant = tenant(number, slug, deleted.contains(number) ? .deleted : .active)
            facts.tenants[tenant.externalID] = tenant
            facts.slugs[slug] = (tenant.externalID, tenant.name)
        }
        return facts
    }

    /// The slugs after a batch, by customer, and which rows were refused.
    private static func apply(_ rows: [RegistryRow], to facts: RegistryFacts) -> (
        slugs: [String: String], refused: [Int: String], freeing: Int
    ) {
        var batch = RegistryBatch(
            facts, rows.map(RegistryRecord.tenant), now: TestDatabase.start, person: "import", event: "evt_1",
            id: { "\($0)_new\($1)" })
        var refused: [Int: String] = [:]
        for (index, row) in rows.enumerated() {
            do throws(RegistryBatch.Problem) {
                try batch.add(row, at: index)
            } catch {
                refused[index] = error.sentence
            }
        }
        var slugs = facts.tenants.mapValues(\.slug)
        for case let tenant as Tenant in batch.changes.map(\.after) { slugs[tenant.externalID] = tenant.slug }
        return (slugs, refused, batch.freeing.reduce(0) { $0 + ($1.expectedRows ?? 0) })
    }

    @Test func `two customers swap, and three hand theirs round`() {
        let swap = Self.apply([Self.row(0, "b"), Self.row(1, "a")], to: Self.facts(["a", "b"]))
        #expect(swap.slugs == ["ext-0": "b", "ext-1": "a"] && swap.refused.isEmpty && swap.freeing == 2)
        let round = Self.apply(
            [Self.row(0, "b"), Self.row(1, "c"), Self.row(2, "a")], to: Self.facts(["a", "b", "c"]))
        #expect(round.slugs == ["ext-0": "b", "ext-1": "c", "ext-2": "a"] && round.refused.isEmpty)
    }

    @Test func `a new customer takes the slug of one that moves on, before it or behind it`() {
        for rows in [[Self.row(9, "a"), Self.row(0, "z")], [Self.row(0, "z"), Self.row(9, "a")]] {
            let done = Self.apply(rows, to: Self.facts(["a"]))
            #expect(done.slugs == ["ext-0": "z", "ext-9": "a"] && done.refused.isEmpty && done.freeing == 1)
        }
    }

    @Test func `whoever counts on a row that is refused is refused with it`() {
        // 2 is gone for good and keeps "c", so 1 can't leave "b", and 0 can't have it.
        let done = Self.apply(
            [Self.row(0, "b"), Self.row(1, "c"), Self.row(2, "d")], to: Self.facts(["a", "b", "c"], deleted: [2]))
        #expect(done.slugs == ["ext-0": "a", "ext-1": "b", "ext-2": "c"] && Set(done.refused.keys) == [0, 1, 2])
        #expect(done.refused[0]?.hasSuffix("(external id ext-1), whose own row can't be taken.") == true)
        #expect(done.refused[1]?.hasSuffix("(external id ext-2).") == true)
        // A slug that is handed on goes to the first who names it.
        let two = Self.apply(
            [Self.row(0, "b"), Self.row(1, "c"), Self.row(2, "b")], to: Self.facts(["a", "b", "d"]))
        #expect(two.slugs == ["ext-0": "b", "ext-1": "c", "ext-2": "d"] && Set(two.refused.keys) == [2])
    }

    /// A row may be refused for its members as well; what counts on its slug is refused with it, wherever it stands.
    @Test func `a row that its members keep out keeps its slug`() {
        var facts = Self.facts(["a", "b"])
        facts.add(User(id: "usr_1", externalID: "u-1", email: "desk@x.test", createdAt: TestDatabase.start))
        var wrong = Self.row(1, "c")
        wrong.members = [.init(email: "desk@x.test", externalID: "u-2")]
        for rows in [[Self.row(0, "b"), wrong, Self.row(9, "a")], [wrong, Self.row(9, "a"), Self.row(0, "b")]] {
            let done = Self.apply(rows, to: facts)
            #expect(done.slugs == ["ext-0": "a", "ext-1": "b"] && Set(done.refused.keys) == [0, 1, 2])
            #expect(done.freeing == 0)
        }
        // Who does not count on it comes in, and so does the same batch without those that were refused.
        let rest = Self.apply([wrong, Self.row(0, "c"), Self.row(9, "a")], to: facts)
        #expect(rest.slugs == ["ext-0": "c", "ext-1": "b", "ext-9": "a"] && Set(rest.refused.keys) == [0])
        let again = Self.apply([Self.row(0, "c"), Self.row(9, "a")], to: facts)
        #expect(again.slugs == ["ext-0": "c", "ext-1": "b", "ext-9": "a"] && again.refused.isEmpty)
    }

    /// Anything at all: afterwards every slug has one holder, what was not refused is as it was said, and a row is refused only
    /// because somebody really has the slug it names.
    @Test func `any batch ends with every slug held once`() {
        var random = SplitMix(seed: 7)
        for _ in 0..<3_000 {
            let there = 1 + Int(random.next() % 6)
            let facts = Self.facts(
                (0..<there).map { "s\($0)" },
                deleted: random.next() % 4 == 0 ? [Int(random.next() % UInt64(there))] : [])
            let rows = (0..<(1 + Int(random.next() % 8))).map { _ in
                Self.row(Int(random.next() % UInt64(there + 2)), "s\(random.next() % UInt64(there + 2))")
            }
            let done = Self.apply(rows, to: facts)
            #expect(Set(done.slugs.values).count == done.slugs.count, "\(rows.map { ($0.externalID, $0.slug) })")
            var seen: Set<String> = []
            for (index, row) in rows.enumerated() {
                if done.refused[index] == nil {
                    #expect(done.slugs[row.externalID] == row.slug)
                } else if !seen.contains(row.externalID), facts.tenants[row.externalID]?.status != .deleted {
                    let holder = done.slugs.first { $0.value == row.slug }?.key
                    let wasHeld = facts.slugs[row.slug] != nil
                    #expect(holder != nil || wasHeld, "refused for nothing: \(rows.map { ($0.externalID, $0.slug) })")
                    #expect(holder != row.externalID)
                }
                seen.insert(row.externalID)
            }
        }
    }

    // MARK: Through the pipeline

    private static func slugs(_ world: World) async throws -> [String: String] {
        var slugs: [String: String] = [:]
        for (name, document) in try await world.snapshot().documents where name.hasPrefix("tenant ") {
            guard let id = document["external_id"]?.string, let slug = document["slug"]?.string else { continue }
            slugs[id] = slug
        }
        return slugs
    }

    private static func `import`(_ lines: [String], _ world: World) async throws -> (
        report: ImportRun.Report, progress: ImportRun.Progress?
    ) {
        let path = NSTemporaryDirectory() + "postern-slugs-\(SecureRandom.bytes(8).hex).csv"
        try (["external_id,name,slug"] + lines).joined(separator: "\n").write(
            toFile: path, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: path) }
        let run = ImportRun(path, through: world.pipeline)
        let report = try await run.validate()
        return (report, report.isApplicable ? try await run.apply(report) : nil)
    }

    private static func line(_ number: Int, _ slug: Int) -> String { "ext-\(number),Customer \(number),slug-\(slug)" }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the first and the last customer of a long file swap their slugs`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, populated: false)
        let count = 1_300
        _ = try await Self.import((0..<count).map { Self.line($0, $0) }, world)
        let before = try await world.snapshot()

        // The first and the last swap; three in the middle hand theirs round; one moves on and a new one comes behind it.
        var wanted = Dictionary(uniqueKeysWithValues: (0..<count).map { ($0, $0) })
        wanted[0] = count - 1
        wanted[count - 1] = 0
        wanted[10] = 700
        wanted[700] = 1_200
        wanted[1_200] = 10
        wanted[1_100] = 5_000
        wanted[9_999] = 1_100
        let order = [9_999] + Array(0..<count)
        let lines = order.map { Self.line($0, wanted[$0]!) }
        let (report, progress) = try await Self.import(lines, world)
        #expect(report.problems == [] && report.created == 1 && report.updated == 6 && report.unchanged == count - 6)
        #expect(progress == .init(done: count + 1, total: count + 1, unchanged: count - 6))
        let slugs = try await Self.slugs(world)
        #expect(slugs == Dictionary(uniqueKeysWithValues: wanted.map { ("ext-\($0)", "slug-\($1)") }))

        // Every row that changed is named by an event, with the version that follows the one before; no other is.
        let after = try await world.snapshot()
        let changed = after.documents.filter { before.documents[$0.key] != $0.value }
        #expect(changed.count == 7)
        var named: [String: Int] = [:]
        for event in try await world.events(after: before) {
            for entity in try await world.entities(named: event.id) { named[entity, default: 0] += 1 }
        }
        #expect(named.values.allSatisfy { $0 == 1 } && Set(named.keys) == Set(changed.keys), "\(named)")
        for (name, document) in changed {
            #expect(document["version"]?.int == (before.documents[name]?["version"]?.int ?? 0) + 1)
        }
        let again = try await Self.import(lines, world)
        #expect(again.report.unchanged == count + 1 && again.report.problems == [])
        #expect(try await world.events(after: after).isEmpty)
        await world.close()
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a chain that nobody ends is refused whole, and says where it hangs`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind, populated: false)
        _ = try await Self.import((0..<4).map { Self.line($0, $0) }, world)
        // 3 is not in the file and keeps its slug.
        let (report, progress) = try await Self.import(
            [Self.line(0, 1), Self.line(1, 2), Self.line(2, 3), Self.line(9, 9)], world)
        #expect(report.rejected == 3 && report.problems.map(\.column) == ["slug", "slug", "slug"])
        #expect(report.problems[0].sentence.contains("whose own row can't be taken"), "\(report.problems)")
        #expect(progress?.done == 1)
        let slugs = try await Self.slugs(world)
        #expect(slugs["ext-0"] == "slug-0" && slugs["ext-2"] == "slug-2" && slugs["ext-9"] == "slug-9")
        await world.close()
    }

    @Test func `a chain longer than a batch says to import again, and again ends it`() async throws {
        let world = try await World.make(.sqlite, populated: false)
        let count = RegistryRows.most + 300
        _ = try await Self.import((0..<count).map { Self.line($0, $0) }, world)
        let lines = (0..<count).map { Self.line($0, $0 + 1) }
        let (report, progress) = try await Self.import(lines, world)
        #expect(
            report.rejected == ImportRun.mostAhead
                && report.problems[0].sentence.hasSuffix("import the file again for the rest."))
        #expect(progress?.done == count - report.rejected)
        let again = try await Self.import(lines, world)
        #expect(again.report.rejected == 0)
        let slugs = try await Self.slugs(world)
        #expect(slugs["ext-0"] == "slug-1" && slugs["ext-\(count - 1)"] == "slug-\(count)")
        await world.close()
    }
}
