/// Sends what waits in an outbox, until stopped.
///
///     commit ─► outbox ─ distribute ─► deliveries, in lanes (endpoint, tenant)
///     every server:  claim the first of each due lane (lease) ─ send ─ settle ─► next of the lane
///
/// A process that dies leaves leases behind; they run out, and another process sends again. So a receiver may hear
/// something twice, never not at all, and never the second before the first.
public actor OutboxWorker {
    public struct Settings: Sendable {
        /// Attempts under way at one time.
        public var places = 32
        /// How often the outbox is looked at when nobody nudges.
        public var poll = Duration.seconds(1)
        /// The least time between two rounds, so that one finds more than one thing to do.
        public var pause = Duration.milliseconds(50)
        /// How long attempts under way may still report when the worker stops.
        public var grace = Duration.milliseconds(800)
        public init() {}
    }

    private let outbox: any Outbox
    private let courier: any Courier
    private let settings: Settings
    /// Told what went wrong and is tried again.
    private let report: @Sendable (any Error) -> Void
    private let wake: Wake
    private var sends: [String: (endpoint: String, task: Task<Void, Never>)] = [:]
    private var loop: Task<Void, Never>?

    public init(
        outbox: any Outbox, courier: any Courier, settings: Settings = Settings(), wake: Wake = Wake(),
        report: @escaping @Sendable (any Error) -> Void = { _ in }
    ) {
        self.outbox = outbox
        self.courier = courier
        self.settings = settings
        self.wake = wake
        self.report = report
    }

    /// Tells that something was committed. Cheap, from anywhere.
    public nonisolated func nudge() { wake.signal() }

    /// Sends until `stop`; once stopped it can't be started again.
    public func start() {
        guard loop == nil else { return }
        loop = Task { await self.run() }
    }

    /// Begins nothing new, ends the attempts under way and gives their leases back.
    public func stop() async {
        wake.finish()
        loop?.cancel()
        await loop?.value
        loop = nil
        let (done, signal) = AsyncStream.makeStream(of: Void.self)
        let tasks = sends.values.map(\.task)
        for task in tasks { task.cancel() }
        Task {
            for task in tasks { await task.value }
            signal.finish()
        }
        let grace = settings.grace
        Task {
            try? await Task.sleep(for: grace)
            signal.finish()
        }
        for await _ in done {}
    }

    /// Ends the attempts under way and gives their leases back; they are claimed anew at once, here or by another server.
    public func restart() {
        for send in sends.values { send.task.cancel() }
        wake.signal()
    }

    private func run() async {
        let wake = wake
        let (poll, pause) = (settings.poll, settings.pause)
        let ticker = Task {
            while !Task.isCancelled {
                wake.signal()
                try? await Task.sleep(for: poll)
            }
        }
        defer { ticker.cancel() }
        for await _ in wake.signals {
            if Task.isCancelled { break }
            do {
                try await turn()
                try await Task.sleep(for: pause)
            } catch is CancellationError {
                break
            } catch {
                report(error)
                try? await Task.sleep(for: poll)
            }
        }
    }

    /// One round: distributes what was committed and begins the attempts that are due. Answers how many were begun.
    @discardableResult
    public func turn() async throws -> Int {
        while try await outbox.distribute() { try Task.checkCancellation() }
        var begun = 0
        while sends.count < settings.places {
            var inFlight: [String: Int] = [:]
            for send in sends.values { inFlight[send.endpoint, default: 0] += 1 }
            let parcels = try await outbox.claim(settings.places - sends.count, inFlight: inFlight)
            guard !parcels.isEmpty else { break }
            begun += parcels.count
            for parcel in parcels { begin(parcel) }
        }
        return begun
    }

    /// Waits until no attempt is under way.
    public func finishSends() async {
        while let send = sends.values.first { await send.task.value }
    }

    private func begin(_ parcel: Parcel) {
        let courier = courier
        let task = Task {
            let clock = ContinuousClock()
            let began = clock.now
            let outcome = await courier.deliver(parcel)
            let (seconds, attoseconds) = (clock.now - began).components
            let took = Span(microseconds: seconds * 1_000_000 + attoseconds / 1_000_000_000_000)
            // Recorded also when this attempt was cancelled.
            await Task { await self.settle(parcel, outcome, took) }.value
        }
        sends[parcel.lease] = (parcel.endpoint, task)
    }

    private func settle(_ parcel: Parcel, _ outcome: SendOutcome, _ took: Span) async {
        do {
            try await outbox.settle(parcel, outcome, took: took)
        } catch {
            // The lease runs out and it is sent again.
            report(error)
        }
        sends[parcel.lease] = nil
        wake.signal()
    }
}
