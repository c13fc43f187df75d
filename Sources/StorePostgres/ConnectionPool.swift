import Foundation
import Kernel

/// Threads with a connection each; any idle one takes the next job. A thread starts when a job finds all others busy.
///
/// Jobs run as many at once as the processor has use for. One that takes long waits for something else, a lock or another machine: it
/// lets another begin beside it, up to the number of connections.
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
    private let concurrency: Int
    /// Nanoseconds after which a job is not counted among those that run at once.
    static let long: UInt64 = 50_000_000
    private static let tick = DispatchTimeInterval.milliseconds(25)
    // Everything below is guarded by the condition's lock.
    private let condition = NSCondition()
    private var jobs: [Waiting] = []
    private var head = 0
    private var threads = 0
    private var idle = 0
    /// When the job of each thread began, as uptime in nanoseconds; 0 where it has none, and `.max` where it has not come to ask for one.
    private var began: [UInt64] = []
    private var isClosed = false
    /// Whether somebody looks after jobs that wait.
    private var isWatched = false
    private var waitingForEnd: [CheckedContinuation<Void, Never>] = []

    init(_ settings: PostgresDatabase.Settings) {
        self.settings = settings
        limit = max(1, settings.connections)
        concurrency = min(max(1, settings.concurrency), limit)
    }

    /// False when the pool is closed.
    /// - Parameter longest: how long it may wait for a connection.
    func submit(within longest: Span? = nil, _ job: @escaping Job) -> Bool {
        condition.lock()
        defer { condition.unlock() }
        guard !isClosed else { return false }
        let until = longest.map { DispatchTime.now().uptimeNanoseconds &+ UInt64(max(0, $0.microseconds)) &* 1000 }
        jobs.append(Waiting(job: job, until: until ?? .max))
        let room = room(at: DispatchTime.now().uptimeNanoseconds)
        if room > 0 { wake(1, of: min(jobs.count - head, room)) }
        // All threads may wait for a server that went silent: then nobody takes the next job.
        if until != nil || concurrency < limit, jobs.count - head > min(idle, room), !isWatched { watch() }
        return true
    }

    /// How many more jobs may begin. Under the lock.
    private func room(at now: UInt64) -> Int {
        concurrency - began.count { $0 != 0 && $0 != .max && now &- $0 < Self.long }
    }

    /// Wakes threads, and starts as many more as those that are there are too few for the jobs that may begin. Under the lock.
    private func wake(_ count: Int, of ready: Int) {
        for _ in 0..<min(count, idle) { condition.signal() }
        // A thread that was woken counts as idle until it runs, so what is ready is what decides.
        let there = idle + began.count { $0 == .max }
        for number in threads..<min(threads + max(0, ready - there), limit) {
            threads += 1
            began.append(.max)
            let thread = Thread { [self] in work(number) }
            thread.name = "postern-postgres"
            thread.start()
        }
    }

    /// Looks again and again, as long as there are jobs that wait, whether one of them waited too long, and whether others take so
    /// long that more may begin. Under the lock.
    private func watch() {
        isWatched = true
        DispatchQueue.global().asyncAfter(deadline: .now() + Self.tick) { [self] in
            condition.lock()
            let now = DispatchTime.now().uptimeNanoseconds
            var late: [Waiting] = []
            // In the order they came, and nearly all with the same limit.
            while head < jobs.count, jobs[head].until < now {
                late.append(jobs[head])
                head += 1
            }
            tidy()
            let ready = min(jobs.count - head, room(at: now))
            if ready > 0 { wake(ready, of: ready) }
            if head < jobs.count { watch() } else { isWatched = false }
            condition.unlock()
            for waiting in late { waiting.job(nil) }
        }
    }

    private func work(_ number: Int) {
        let connection = PostgresConnection(settings)
        while let next = take(number) {
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
    private func take(_ number: Int) -> Waiting? {
        condition.lock()
        defer { condition.unlock() }
        began[number] = 0
        var now = DispatchTime.now().uptimeNanoseconds
        // What is left when it closes is nobody's turn to wait for.
        while head == jobs.count || !isClosed && room(at: now) <= 0 {
            if isClosed { return nil }
            idle += 1
            condition.wait()
            idle -= 1
            now = DispatchTime.now().uptimeNanoseconds
        }
        began[number] = now
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
