import Foundation
import Kernel
import Store
import StorePostgres
import TestSupport
import Testing

@Suite(.enabled(if: TestDatabase.Kind.allCases.contains(.postgres)))
struct LeadershipTests {
    /// Ends the sessions that lead or wait to lead, as a cut connection would; answers how many.
    private func cut(_ store: TestDatabase) async throws -> Int64 {
        try await store.asOwner { writer in
            try writer.query(
                Statement(
                    """
                    SELECT count(pg_terminate_backend(pid)) AS n FROM pg_stat_activity
                    WHERE datname = current_database() AND application_name LIKE 'postern tested %'
                    """))[0].int("n")
        }
    }

    @Test func `one leads, who waits takes over at once, and both are named`() async throws {
        try await TestDatabase.with(.postgres) { store in
            let (first, second) = (PostgresLeadership(url: store.url), PostgresLeadership(url: store.url))
            let lease = try #require(try await first.acquire("tested"))
            #expect(try await second.acquire("tested") == nil)
            #expect(try await second.acquire("tested") == nil)
            let leaders = try await PostgresLeadership.leaders(in: store.database)
            #expect(leaders.map(\.name) == ["tested"])
            #expect(leaders.first?.process == "\(ProcessInfo.processInfo.processIdentifier)")
            // Another name is another lead.
            let other = try #require(try await second.acquire("other"))
            await other.release()
            await lease.release()
            let taken = try #require(try await second.acquire("tested"))
            #expect(await taken.isHeld())
            await taken.release()
        }
    }

    @Test func `a lease ends with its connection and is not taken up again`() async throws {
        try await TestDatabase.with(.postgres) { store in
            let (first, second) = (PostgresLeadership(url: store.url), PostgresLeadership(url: store.url))
            let lease = try #require(try await first.acquire("tested"))
            #expect(try await second.acquire("tested") == nil)
            #expect(try await cut(store) == 2)
            #expect(await !lease.isHeld())
            // Whoever waited connects anew.
            var taken: (any Lease)?
            while taken == nil { taken = try await second.acquire("tested") }
            #expect(await !lease.isHeld())
            #expect(await taken?.isHeld() == true)
            await lease.release()
            await taken?.release()
        }
    }

    @Test func `a session that is silent too long is ended by the server`() async throws {
        try await TestDatabase.with(.postgres) { store in
            var settings = PostgresDatabase.Settings(url: store.url)
            settings.connections = 1
            settings.idleTimeout = .milliseconds(300)
            let database = PostgresDatabase(settings)
            func backend() async throws -> Int64 {
                try await database.read { try $0.query(Statement("SELECT pg_backend_pid() AS pid"))[0].int("pid") }
            }
            let first = try await backend()
            while try await store.asOwner({
                try $0.query(Statement("SELECT count(*) AS n FROM pg_stat_activity WHERE pid = $1", [.int(first)]))[0]
                    .int("n")
            }) > 0 {
                try await Task.sleep(for: .milliseconds(50))
            }
            #expect(try await backend() != first)
            await database.close()
        }
    }
}
