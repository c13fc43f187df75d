import Kernel
import TestSupport
import Testing

@Suite struct `Attack: a write from another program` {
    /// What somebody tries with the server's own credentials, or with the file.
    static let statements = [
        "UPDATE roles SET title = 'Admin' WHERE id = 'support'", "DELETE FROM roles WHERE id = 'support'",
        "INSERT INTO roles (id, version, title, summary) VALUES ('rogue', 1, 'Rogue', '')",
        "UPDATE events SET action = 'nothing'", "DELETE FROM events", "DELETE FROM event_entity",
        "DELETE FROM log_leaf",
        "UPDATE log_leaf SET idx = idx + 1", "UPDATE log_checkpoint SET note = ''", "DELETE FROM log_tile",
        "UPDATE sealed SET members = '{}'", "DELETE FROM sealed",
    ]

    @Test(arguments: TestDatabase.Kind.allCases, statements)
    func `psql and sqlite3 are refused`(kind: TestDatabase.Kind, statement: String) async throws {
        try await LogFixture.with(kind) { log in
            _ = try await log.fill(300)
            let result =
                switch kind {
                case .sqlite: try Shell.run("sqlite3", ["-bail", log.db.location, statement])
                case .postgres: try Shell.run("psql", ["-X", "-v", "ON_ERROR_STOP=1", log.db.url, "-c", statement])
                }
            #expect(result.status != 0, "\(statement): \(result.output)")
            try await log.expectClean()
        }
    }
}
