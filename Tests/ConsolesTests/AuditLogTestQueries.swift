import Kernel
import TestSupport

extension TestQueries {
    /// How the embedded database would run a statement, one step a line.
    static func plan(of statement: Statement, in world: World) async throws -> String {
        try await world.test.database.read { reader in
            try reader.query(Statement("EXPLAIN QUERY PLAN \(statement.text)", statement.values))
                .map { try $0.string("detail") }.joined(separator: "\n")
        }
    }

    /// Whose data an event holds, member by member.
    static func subjects(of event: String) -> Statement {
        Statement("SELECT subject, member FROM sealed_subject WHERE event_id = $1", [.text(event)])
    }

    /// Changes one word of what is sealed with an event.
    static func replaceJustification(of event: String) -> Statement {
        Statement(
            "UPDATE sealed SET members = replace(members, 'because', 'perhaps') WHERE event_id = $1", [.text(event)])
    }
}
