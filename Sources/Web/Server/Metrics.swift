import Kernel
import Synchronization

/// Counts of one route on one listener. Every route has its own, so requests on different routes never wait for each
/// other.
final class RouteTally: Sendable {
    /// Upper bounds in seconds.
    static let bounds: [Double] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]

    struct Counts: Sendable {
        var statuses: [Int: Int] = [:]
        var buckets = [Int](repeating: 0, count: RouteTally.bounds.count)
        var microseconds = 0
        var count = 0
    }

    private let counts = Mutex(Counts())

    func record(status: Int, microseconds: Int) {
        let seconds = Double(microseconds) / 1_000_000
        counts.withLock { counts in
            counts.statuses[status, default: 0] += 1
            counts.count += 1
            counts.microseconds += microseconds
            if let bucket = Self.bounds.firstIndex(where: { seconds <= $0 }) { counts.buckets[bucket] += 1 }
        }
    }

    var snapshot: Counts { counts.withLock { $0 } }
}

/// What `/metrics` says, in Prometheus' text format.
public final class Metrics: Sendable {
    /// A value read when somebody asks: the size of the log, connections in use.
    public struct Gauge: Sendable {
        let name: String
        let help: String
        let read: @Sendable () async -> Double?
        /// - Parameter name: `postern_log_size`
        /// - Parameter read: `nil` leaves the line out.
        public init(_ name: String, help: String, read: @escaping @Sendable () async -> Double?) {
            self.name = name
            self.help = help
            self.read = read
        }
    }

    /// A gauge with a value for each set of labels: leaders by what they lead, channels by name.
    public struct Family: Sendable {
        let name: String
        let help: String
        let samples: [(labels: String, value: Double)]

        /// - Parameter samples: labels in the order they are shown. None: the family is left out.
        public init(
            _ name: String, help: String, _ samples: [(labels: [(String, String)], value: Double)]
        ) {
            self.name = name
            self.help = help
            self.samples = samples.map { sample in
                let labels = sample.labels.map { name, value in
                    let escaped = value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
                        .replacing("\n", with: "\\n")
                    return "\(name)=\"\(escaped)\""
                }
                return (labels.isEmpty ? "" : "{\(labels.joined(separator: ","))}", sample.value)
            }
        }

        /// One value without labels; `nil` leaves the family out.
        public init(_ name: String, help: String, _ value: Double?) {
            self.init(name, help: help, value.map { [([], $0)] } ?? [])
        }

        var text: String {
            guard !samples.isEmpty else { return "" }
            var out = "# HELP \(name) \(help)\n# TYPE \(name) gauge\n"
            for sample in samples { out += "\(name)\(sample.labels) \(Metrics.shown(sample.value))\n" }
            return out
        }
    }

    private struct OperationKey: Hashable {
        let name: String
        let outcome: String
    }

    private let gauges: Mutex<[Gauge]>
    private let families: @Sendable () async -> [Family]
    private let operations = Mutex<[OperationKey: Int]>([:])
    private let routes = Mutex<[(listener: ListenerName, template: String, method: String, tally: RouteTally)]>([])

    /// - Parameter families: read with every scrape.
    public init(gauges: [Gauge] = [], families: @escaping @Sendable () async -> [Family] = { [] }) {
        self.gauges = Mutex(gauges)
        self.families = families
    }

    static func shown(_ value: Double) -> String {
        value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : String(value)
    }

    func register(_ table: RouteTable, on listener: ListenerName) {
        routes.withLock { routes in
            for route in table.routes { routes.append((listener, route.template, route.method.rawValue, route.tally)) }
        }
    }

    /// A value of what is made later than this.
    func register(_ gauge: Gauge) {
        gauges.withLock { gauges in
            gauges.removeAll { $0.name == gauge.name }
            gauges.append(gauge)
        }
    }

    func register(_ tally: RouteTally, as template: String, on listener: ListenerName) {
        routes.withLock { $0.append((listener, template, "*", tally)) }
    }

    /// - Parameter outcome: `applied`, `pending`, `replayed`, `preview`, or the slug of a problem.
    func operation(_ name: String, outcome: String) {
        operations.withLock { $0[OperationKey(name: name, outcome: outcome), default: 0] += 1 }
    }

    func text() async -> String {
        var out = ""
        out += "# HELP postern_http_requests_total Requests answered.\n# TYPE postern_http_requests_total counter\n"
        let routes = routes.withLock { $0 }.map { ($0.listener, $0.template, $0.method, $0.tally.snapshot) }
            .filter { $0.3.count > 0 }
        for (listener, template, method, counts) in routes {
            for (status, count) in counts.statuses.sorted(by: { $0.key < $1.key }) {
                out +=
                    "postern_http_requests_total{listener=\"\(listener.rawValue)\",method=\"\(method)\","
                    + "route=\"\(template)\",status=\"\(status)\"} \(count)\n"
            }
        }
        out += "# HELP postern_http_request_duration_seconds Time from the request's head to its answer's head.\n"
        out += "# TYPE postern_http_request_duration_seconds histogram\n"
        for (listener, template, method, counts) in routes {
            let labels = "listener=\"\(listener.rawValue)\",method=\"\(method)\",route=\"\(template)\""
            var sum = 0
            for (index, bound) in RouteTally.bounds.enumerated() {
                sum += counts.buckets[index]
                out += "postern_http_request_duration_seconds_bucket{\(labels),le=\"\(bound)\"} \(sum)\n"
            }
            out += "postern_http_request_duration_seconds_bucket{\(labels),le=\"+Inf\"} \(counts.count)\n"
            out += "postern_http_request_duration_seconds_sum{\(labels)} \(Double(counts.microseconds) / 1_000_000)\n"
            out += "postern_http_request_duration_seconds_count{\(labels)} \(counts.count)\n"
        }
        out +=
            "# HELP postern_operations_total Operations asked for, by how they ended.\n# TYPE "
            + "postern_operations_total counter\n"
        for (key, count) in operations.withLock({ $0 }).sorted(by: {
            ($0.key.name, $0.key.outcome) < ($1.key.name, $1.key.outcome)
        }) {
            out += "postern_operations_total{operation=\"\(key.name)\",outcome=\"\(key.outcome)\"} \(count)\n"
        }
        for gauge in gauges.withLock({ $0 }) {
            guard let value = await gauge.read() else { continue }
            out += Family(gauge.name, help: gauge.help, value).text
        }
        for family in await families() { out += family.text }
        return out
    }
}
