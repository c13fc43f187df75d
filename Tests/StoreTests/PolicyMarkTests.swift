import Kernel
import Store
import StorePostgres
import TestSupport
import Testing

/// What was read under the policy's mark is used until the mark is another: nothing that decides may change without it.
@Suite struct PolicyMarkTests {
    private struct Policy: Equatable {
        let version: Int64
        let mark: String
    }

    private static func policy(_ store: TestDatabase) async throws -> Policy {
        let rows = try await store.database.snapshot([Fixture.records.policy()]).rows[0]
        let row = try #require(rows.first)
        return Policy(version: try row.int("version"), mark: try row.string("mark"))
    }

    private static let permission = Statement(
        "INSERT INTO role_permissions (id, version, role_id, permission) VALUES ('p', 1, 'a', 'tenant.view')")
    private static let rule = Statement(
        """
        INSERT INTO approval_rules (id, version, operation, condition, demand, window_seconds, summary)
        VALUES ('r', 1, 'tenant.suspend', '{}', '{}', 60, '')
        """)

    @Test(arguments: TestDatabase.Kind.allCases)
    func `every change of what decides is another mark`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { store in
            var seen = [try await Self.policy(store)]
            func change(_ type: String, _ id: String, _ statement: Statement) async throws {
                try await store.write(Fixture.records.insert(Fixture.event(naming: [(type, id)])) + [statement])
                seen.append(try await Self.policy(store))
            }
            try await change("role", "a", Fixture.role("a"))
            try await change("role", "a", Statement("UPDATE roles SET title = 'x' WHERE id = 'a'"))
            try await change("role_permission", "p", Self.permission)
            try await change(
                "role_permission", "p", Statement("UPDATE role_permissions SET limits = '[]' WHERE id = 'p'"))
            try await change("approval_rule", "r", Self.rule)
            try await change("approval_rule", "r", Statement("DELETE FROM approval_rules WHERE id = 'r'"))
            #expect(Set(seen.map(\.mark)).count == seen.count)
            #expect(seen.map(\.version) == (0..<Int64(seen.count)).map { seen[0].version + $0 })
            // What is rolled back is no change, and what decides nothing is none either.
            _ = await store.failure([Statement("UPDATE roles SET title = 'y' WHERE id = 'a'")])
            try await store.write([Fixture.note("n")])
            #expect(try await Self.policy(store) == seen.last)
        }
    }

    @Test(.enabled(if: TestDatabase.Kind.allCases.contains(.postgres), "needs a PostgreSQL"))
    func `the server may read the mark and not write it`() async throws {
        try await TestDatabase.with(.postgres) { store in
            let failure = await store.failure([Statement("UPDATE policy_state SET mark = 'first'")])
            guard case .constraint = failure else {
                Issue.record("\(String(describing: failure))")
                return
            }
        }
    }
}
