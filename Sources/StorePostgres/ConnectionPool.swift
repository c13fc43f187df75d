import Foundation
import Kernel

/// Threads with a connection each; any idle one takes the next job. A thread starts when a job finds all others busy.
final class ConnectionPool: @unchecked Sendable {
    typealias Job = @Sendable (PostgresConnection, _ waited: Span) -> Void

    private let settings: PostgresDatabase.Settings
    private let limit: Int
    // Everything below is guarded by the condition's lock.
    private let condition = NSCondition()
    private var jobs: [(job: Job, since: UInt64)] = []
    private var head = 0
    private var threads = 0
    private var idle = 0
    private var isClosed = false
    private var waitingForEnd: [CheckedContinuation<Void, Never>] = []

    init(_ settings: PostgresDatabase.Settings, connections: Int) {
        self.settings = settings
        limit = max(1, connections)
    }

    /// False when the pool is closed.
    func submit(_ job: @escaping Job) -> Bool {
        condition.lock()
        defer { condition.unlock() }
        guard !isClosed else { return false }
        jobs.append((job, DispatchTime.now().uptimeNanoseconds))
        if idle > 0 { condition.signal() }
        // An idle thread that was woken counts as idle until it runs, so the jobs waiting are what decides.
        if jobs.count - head > idle, threads < limit {
            threads += 1
            let thread = Thread { [self] in work() }
            thread.name = "postern-postgres"
            thread.start()
        }
        return true
    }

    private func work() {
        let connection = PostgresConnection(settings)
        while let next = take() {
            let waited = Int64((DispatchTime.now().uptimeNanoseconds &- next.since) / 1000)
            next.job(connection, Span(microseconds: waited))
        }
        connection.disconnect()
        condition.lock()
        threads -= 1
        let ended = threads == 0 ? waitingForEnd : []
        if threads == 0 { waitingForEnd = [] }
        condition.unlock()
        for continuation in ended { continuation.resume() }
    }

    /// The next job; `nil` when the pool is closed and empty.
    private func take() -> (job: Job, since: UInt64)? {
        condition.lock()
        defer { condition.unlock() }
        while head == jobs.count {
            if isClosed { return nil }
            idle += 1
            condition.wait()
            idle -= 1
        }
        let next = jobs[head]
        head += 1
        if head == jobs.count || head > 1024 {
            jobs.removeFirst(head)
            head = 0
        }
        return next
    }

    /// Jobs that were submitted still run; then threads and connections end.
    func close() async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            condition.lock()
            isClosed = true
            let ended = threads == 0
            if !ended { waitingForEnd.append(continuation) }
            condition.broadcast()
            condition.unlock()
            if ended { continuation.resume() }
        }
    }
}
