import Foundation
import Kernel

/// Threads with a connection each; any idle one takes the next job. A thread starts when a job finds all others busy.
final class ConnectionPool: @unchecked Sendable {
    /// Gets `nil` when it waited too long for a connection.
    typealias Job = @Sendable (PostgresConnection?) -> Void

    private struct Waiting {
        let job: Job
        /// Uptime in nanoseconds after which it is not begun any more.
        let until: UInt64
    }

    private let settings: PostgresDatabase.Settings
    private let limit: Int
    // Everything below is guarded by the condition's lock.
    private let condition = NSCondition()
    private var jobs: [Waiting] = []
    private var head = 0
    private var threads = 0
    private var idle = 0
    private var isClosed = false
    /// Whether somebody looks after jobs that wait too long.
    private var isWatched = false
    private var waitingForEnd: [CheckedContinuation<Void, Never>] = []

    init(_ settings: PostgresDatabase.Settings, connections: Int) {
        self.settings = settings
        limit = max(1, connections)
    }

    /// False when the pool is closed.
    /// - Parameter longest: how long it may wait for a connection.
    func submit(within longest: Span? = nil, _ job: @escaping Job) -> Bool {
        condition.lock()
        defer { condition.unlock() }
        guard !isClosed else { return false }
        let until = longest.map { DispatchTime.now().uptimeNanoseconds &+ UInt64(max(0, $0.microseconds)) &* 1000 }
        jobs.append(Waiting(job: job, until: until ?? .max))
        if idle > 0 { condition.signal() }
        // An idle thread that was woken counts as idle until it runs, so the jobs waiting are what decides.
        if jobs.count - head > idle, threads < limit {
            threads += 1
            let thread = Thread { [self] in work() }
            thread.name = "postern-postgres"
            thread.start()
        }
        // All threads may wait for a server that went silent: then nobody takes the next job.
        if until != nil, jobs.count - head > idle, threads == limit, !isWatched { watch() }
        return true
    }

    /// Looks again and again for jobs that waited too long, as long as there are jobs that wait. Under the lock.
    private func watch() {
        isWatched = true
        DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(250)) { [self] in
            condition.lock()
            let now = DispatchTime.now().uptimeNanoseconds
            var late: [Waiting] = []
            // In the order they came, and nearly all with the same limit.
            while head < jobs.count, jobs[head].until < now {
                late.append(jobs[head])
                head += 1
            }
            tidy()
            if head < jobs.count { watch() } else { isWatched = false }
            condition.unlock()
            for waiting in late { waiting.job(nil) }
        }
    }

    private func work() {
        let connection = PostgresConnection(settings)
        while let next = take() {
            next.job(DispatchTime.now().uptimeNanoseconds > next.until ? nil : connection)
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
    private func take() -> Waiting? {
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
        tidy()
        return next
    }

    private func tidy() {
        guard head == jobs.count || head > 1024 else { return }
        jobs.removeFirst(head)
        head = 0
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
