import Consoles
import Foundation
import Store
import TestSupport
import Testing

@testable import Kernel

@Suite struct `Attack: any column of any governed row is edited` {
    @Test(arguments: TestDatabase.Kind.allCases)
    func `the row is named`(kind: TestDatabase.Kind) async throws {
        let world = try await World.make(kind)
        // Somebody with factors and a role, customers with members, a request that waits.
        let staff = try await StaffFixture.make(world.test, seeded: false)
        _ = try await staff.invite("ada@example.test", roles: ["support_l1"], by: world.everybody)
        let csv = NSTemporaryDirectory() + "columns-\(SecureRandom.bytes(6).hex).csv"
        try "external_id,name,slug,owner_email,member_emails\nc1,Customer,customer,o@c.example,m@c.example\n"
            .write(toFile: csv, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: csv) }
        let run = ImportRun(csv, through: world.pipeline)
        try await run.apply(try await run.validate { _ in }) { _ in }
        let departed = try await world.test.database.read { reader in
            try reader.first(TestQueries.tenant(slug: "departed"))?.string("id") ?? ""
        }
        try await world.run(
            "discrepancy.report", ["row_type": "tenant", "row_id": .string(departed), "kind": "edited"],
            by: world.system)
        _ = try await world.pipeline.run(
            OperationRequest(
                operation: "tenant.hard_delete", target: departed, reasonCode: "retention_policy",
                justification: "Kept for longer than the policy says.", idempotencyKey: world.key()),
            by: world.everybody)

        var edits = 0
        for entity in world.catalog.entities {
            let row = try #require(
                try await world.test.database.read {
                    try $0.first(Statement("SELECT * FROM \(entity.table) ORDER BY id LIMIT 1"))
                }, "no row of \(entity.table) to edit")
            for column in row.columns.positions.keys.sorted() {
                let id = try row.string("id")
                let edited: [Value] =
                    switch row[column] {
                    case .int(let number): [.int(number + 1)]
                    // The second looks the same and is another text.
                    case .text(let text): [.text(text + " "), .text("e\u{301}" + text)]
                    case .bytes(let bytes): [.bytes(bytes + [0])]
                    case .null: [.text("x"), .int(1)]
                    }
                func set(_ value: Value, where name: String, _ key: Value) -> Statement {
                    Statement(
                        "UPDATE \(entity.table) SET \(column) = $1 WHERE \(name) = $2", [value, key], expectedRows: 1)
                }
                for value in edited {
                    // A column of numbers takes no text.
                    guard (try? await world.test.tamper([set(value, where: "id", .text(id))])) != nil else { continue }
                    var report = VerificationReport()
                    try await GovernedCheck(
                        database: world.test.database, store: SQLLogStore(),
                        catalog: Catalog(operations: [], reads: [], entities: [entity])
                    ).run(&report) { _ in }
                    #expect(
                        report.findings.contains { $0.row == "\(entity.table):\(id)" },
                        "\(entity.table).\(column) was edited and nothing was found")
                    edits += 1
                    let key: Value = column == "id" ? value : .text(id)
                    try await world.test.tamper([set(row[column], where: "id", key)])
                    // One kind of value is enough for an empty column.
                    if row[column] == .null { break }
                }
            }
            var report = VerificationReport()
            try await GovernedCheck(
                database: world.test.database, store: SQLLogStore(),
                catalog: Catalog(operations: [], reads: [], entities: [entity])
            ).run(&report) { _ in }
            #expect(report.isClean, "\(entity.table) is whole again: \(report.findings)")
        }
        #expect(edits > 80, "\(edits)")
        await world.close()
    }
}
