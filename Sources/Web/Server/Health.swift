import Hummingbird
import Kernel

/// Whether this server can do its work, asked by `/readyz` and by the frame.
public struct Health: Sendable {
    public struct Check: Sendable {
        let name: String
        let run: @Sendable () async -> String?
        /// - Parameter run: `nil` when all is well, else one sentence that says what is wrong and what to do.
        public init(_ name: String, run: @escaping @Sendable () async -> String?) {
            self.name = name
            self.run = run
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

    public let checks: [Check]
    public init(_ checks: [Check]) { self.checks = checks }

    /// - Parameter requests: readiness asks the database, so it is counted by source.
    func routes(_ requests: RateLimiter) -> [Route] {
        [
            Route(.get, "/healthz", .api) { _ in .json(["status": "alive"]) },
            Route(.get, "/readyz", .api) { exchange in
                try requests.spend(exchange.client.source)
                var results: [String: JSON] = [:]
                var isReady = true
                for check in checks {
                    let complaint = await check.run()
                    results[check.name] = complaint.map(JSON.string) ?? "ok"
                    if complaint != nil { isReady = false }
                }
                return .json(
                    ["status": isReady ? "ready" : "not ready", "checks": .object(results)],
                    status: isReady ? .ok : .serviceUnavailable)
            },
        ]
    }
}
