import Hummingbird
import Kernel
import Synchronization

/// That this server is about to stop: it is not ready any more, and asks clients to let go of their connections.
public final class Stopping: Sendable {
    private let flag = Atomic(false)
    public init() {}
    public var hasBegun: Bool { flag.load(ordering: .relaxed) }
    public func begin() { flag.store(true, ordering: .relaxed) }
}

/// Whether this server can do its work, asked by `/readyz` and by the frame.
public struct Health: Sendable {
    public struct Check: Sendable {
        let name: String
        /// Whether nothing is to be sent here while it complains.
        let isVital: Bool
        let run: @Sendable () async -> String?
        /// - Parameter run: `nil` when all is well, else one sentence that says what is wrong and what to do.
        public init(_ name: String, isVital: Bool = true, run: @escaping @Sendable () async -> String?) {
            self.name = name
            self.isVital = isVital
            self.run = run
        }

        /// The same, except that whoever asks gets an answer in this time.
        func complaint(within limit: Duration) async -> String? {
            guard let complaint = await answer(within: limit, run) else {
                return "No answer within \(limit.components.seconds) s: the \(name) may be cut off or overloaded."
            }
            return complaint
        }

        /// The database answers, and its clock and this server's are at most two seconds apart.
        public static func database(_ database: any Database, clock: Clock = .system) -> Check {
            Check("database") {
                do {
                    let now = try await database.read { reader in
                        _ = try reader.query(HealthQueries.probe)
                        return reader.now
                    }
                    let apart = abs((clock.now - now).microseconds)
                    return apart > 2_000_000
                        ? "This server's clock and the database's are \(apart / 1_000_000) s apart; "
                            + "set the time of both by NTP."
                        : nil
                } catch {
                    return "The database does not answer; check that it runs and that POSTERN_DATABASE_URL names it."
                }
            }
        }
    }

    /// Where a balancer asks.
    static let paths: Set<String> = ["/healthz", "/readyz"]

    /// What asks for readiness gives up after a few seconds; so does a check.
    static let patience = Duration.seconds(3)

    public let checks: [Check]
    public let stopping: Stopping

    public init(_ checks: [Check], stopping: Stopping = Stopping()) {
        self.checks = checks
        self.stopping = stopping
    }

    /// - Parameter requests: readiness asks the database, so it is counted by source.
    func routes(_ requests: RateLimiter) -> [Route] {
        [
            Route(.get, "/healthz", .api) { _ in .json(["status": "alive"]) },
            Route(.get, "/readyz", .api) { exchange in
                try requests.spend(exchange.client.source)
                if stopping.hasBegun {
                    return .json(
                        ["status": "stopping", "checks": ["server": "This server stops; send nothing new here."]],
                        status: .serviceUnavailable)
                }
                var results: [String: JSON] = [:]
                var isReady = true
                await withTaskGroup(of: (Check, String?).self) { group in
                    for check in checks {
                        group.addTask { (check, await check.complaint(within: Self.patience)) }
                    }
                    for await (check, complaint) in group {
                        results[check.name] = complaint.map(JSON.string) ?? "ok"
                        if complaint != nil, check.isVital { isReady = false }
                    }
                }
                return .json(
                    ["status": isReady ? "ready" : "not ready", "checks": .object(results)],
                    status: isReady ? .ok : .serviceUnavailable)
            },
        ]
    }
}
