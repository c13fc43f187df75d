import Kernel
import TestSupport
import Testing

@Suite struct `Attack: a restored cluster counts transactions again` {
    /// After a restore, PostgreSQL hands out transaction ids that old events already carry. The event here has the very id
    /// of the transaction that writes, and another time.
    @Test(
        arguments: TestDatabase.Kind.allCases.filter { $0 == .postgres },
        [("interval '1 second'", false), ("interval '0'", true)])
    func `an event of an earlier transaction with the same id opens nothing`(
        kind: TestDatabase.Kind, _ parameters: (shift: String, passes: Bool)
    ) async throws {
        try await LogFixture.with(kind) { log in
            let events = try await log.fill(5)
            let columns = "id, at, class, action, outcome, actor_type, actor_id, retention_class, leaf, tx, tx_at"
            let values = "'evt_old', 1, 'mutation', 'role.update', 'applied', 'staff', 'stf_1', 'soc2_iso_7y', '{}'"
            let script = [
                "BEGIN", "SET LOCAL session_replication_role = replica",
                """
                INSERT INTO events (\(columns)) VALUES (\(values), pg_current_xact_id(),
                    transaction_timestamp() - \(parameters.shift))
                """, "INSERT INTO event_entity (event_id, type, id) VALUES ('evt_old', 'role', 'support')",
                "UPDATE entity_head SET event_id = 'evt_old' WHERE type = 'role' AND id = 'support'",
                "SET LOCAL session_replication_role = origin", "UPDATE roles SET title = 'Admin' WHERE id = 'support'",
                "COMMIT",
            ]
            let result = try Shell.run(
                "psql", ["-X", "-q", "-v", "ON_ERROR_STOP=1", log.db.location, "-f", "-"],
                input: script.map { $0 + ";\n" }.joined())
            #expect((result.status == 0) == parameters.passes, "\(result.output)")
            if !parameters.passes {
                #expect(result.output.contains("without an event"))
                try await log.expectClean()
            }
            #expect(events.count == 5)
        }
    }
}
