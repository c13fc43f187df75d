import Foundation
import Kernel
import Synchronization
import Testing

@testable import StorePostgres

/// How many jobs run at once. No job connects, so that there need be no server.
@Suite struct ConnectionPoolTests {
    private func pool(connections: Int, concurrency: Int) -> ConnectionPool {
        var settings = PostgresDatabase.Settings(url: "postgres://nobody@127.0.0.1:1/none")
        settings.connections = connections
        settings.concurrency = concurrency
        return ConnectionPool(settings)
    }

    /// What jobs say of themselves, from their own threads.
    private final class Jobs: Sendable {
        let began = Mutex<[UInt64]>([])
        private let release = DispatchSemaphore(value: 0)

        func wait() {
            began.withLock { $0.append(DispatchTime.now().uptimeNanoseconds) }
            release.wait()
        }

        func end(_ count: Int) { for _ in 0..<count { release.signal() } }

        func untilBegun(_ count: Int) async throws {
            for _ in 0..<2000 where began.withLock({ $0.count }) < count { try await Task.sleep(for: .milliseconds(5)) }
        }
    }

    @Test func `no more jobs begin at once than said, and another where one takes long`() async throws {
        let pool = pool(connections: 5, concurrency: 2)
        let jobs = Jobs()
        let start = DispatchTime.now().uptimeNanoseconds
        for _ in 0..<7 { #expect(pool.submit { _ in jobs.wait() }) }
        try await jobs.untilBegun(5)
        let began = jobs.began.withLock { $0.sorted() }
        // Two at first, two more once those have taken long, and one more once these have; then every connection has its job.
        try #require(began.count == 5)
        #expect(began[2] - start >= ConnectionPool.long)
        #expect(began[4] - start >= 2 * ConnectionPool.long)
        jobs.end(7)
        try await jobs.untilBegun(7)
        #expect(jobs.began.withLock { $0.count } == 7)
        await pool.close()
    }

    @Test func `jobs that wait when it closes run before it is closed`() async throws {
        let pool = pool(connections: 4, concurrency: 1)
        let jobs = Jobs()
        for _ in 0..<6 { #expect(pool.submit { _ in jobs.wait() }) }
        jobs.end(6)
        await pool.close()
        #expect(jobs.began.withLock { $0.count } == 6)
        #expect(!pool.submit { _ in })
    }

    @Test func `short jobs that come by ones and all at once each run once`() async throws {
        let pool = pool(connections: 3, concurrency: 2)
        let ran = Mutex(0)
        for burst in [1, 1, 40, 1, 400] {
            let before = ran.withLock { $0 }
            for _ in 0..<burst { #expect(pool.submit { _ in ran.withLock { $0 += 1 } }) }
            for _ in 0..<2000 where ran.withLock({ $0 }) < before + burst {
                try await Task.sleep(for: .milliseconds(5))
            }
            #expect(ran.withLock { $0 } == before + burst)
        }
        await pool.close()
    }
}
