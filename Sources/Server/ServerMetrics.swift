import Kernel
import Web

/// What `/metrics` says beyond requests and operations: the log, the outbox, the channels, the sweep, and what this server
/// leads. Read with every scrape, in one round trip.
struct ServerMetrics: Sendable {
    let running: Running

    /// A scraper gives up after a few seconds.
    static let patience = Duration.seconds(3)

    func families() async -> [Metrics.Family] {
        let leads = running.leads
        var leading: [(labels: [(String, String)], value: Double)] = [
            ([("of", Sequencer.leaderName)], running.sequencer.isLeading ? 1 : 0)
        ]
        leading += Leads.Task.allCases.map { ([("of", $0.rawValue)], leads.holds($0) ? 1 : 0) }
        var families = [
            Metrics.Family(
                "postern_leader", help: "1 while this server does this for all servers of the database.", leading)
        ]
        let began = Clock.system.now
        let database = running.database
        let read = await answer(within: Self.patience) { try? await database.snapshot(MetricsQueries.all) }
        families.append(.init("postern_database_up", help: "1 when the database answered.", read ?? nil == nil ? 0 : 1))
        if let snapshot = read ?? nil {
            families += (try? Self.families(snapshot)) ?? []
            families.append(
                .init(
                    "postern_clock_offset_seconds", help: "This server's clock less the database's.",
                    Self.seconds(began - snapshot.now)))
        }
        families.append(
            .init(
                "postern_integrity_sweep_timestamp_seconds",
                help: "When this server last finished comparing every governed row with the log.",
                running.swept.at.map { Double($0.microseconds) / 1_000_000 }))
        return families
    }

    private static func seconds(_ span: Span) -> Double { Double(span.microseconds) / 1_000_000 }

    private static func families(_ snapshot: Snapshot) throws -> [Metrics.Family] {
        let rows = snapshot.rows
        func number(_ index: Int, _ column: String) throws -> Double? {
            try rows[index].first.map { Double(try $0.int(column)) }
        }
        /// How long ago the oldest one was; 0 when there is none.
        func age(_ index: Int) throws -> Double {
            guard let row = rows[index].first else { return 0 }
            return max(0, seconds(snapshot.now - (try row.instant("at"))))
        }
        let size = try number(0, "size") ?? 0
        var on: [(labels: [(String, String)], value: Double)] = []
        var failing = on
        var lag = on
        for row in rows[9] {
            let channel = [("channel", try row.string("id"))]
            let isOn = try row.bool("is_on")
            on.append((channel, isOn ? 1 : 0))
            failing.append((channel, try row.optionalString("error") == nil ? 0 : 1))
            guard isOn, channel[0].1 == "slack" else { continue }
            lag.append((channel, max(0, size - Double(try row.int("next_idx")))))
        }
        return [
            .init("postern_log_size", help: "Entries in the tree.", size),
            .init(
                "postern_log_published_size", help: "Entries that the newest checkpoint covers.", try number(1, "size")),
            .init(
                "postern_log_waiting",
                help: "Events that wait for their place in the tree, counted to \(MetricsQueries.most).",
                try number(2, "n")),
            .init("postern_log_waiting_seconds", help: "How long the oldest of them has waited.", try age(3)),
            .init(
                "postern_outbox_waiting",
                help: "Effects that are not given to their deliveries yet, counted to \(MetricsQueries.most).",
                try number(4, "n")),
            .init("postern_outbox_waiting_seconds", help: "How long the oldest of them has waited.", try age(5)),
            .init(
                "postern_deliveries", help: "Deliveries by state, counted to \(MetricsQueries.most).",
                [
                    ([("state", "pending")], try number(6, "n") ?? 0), ([("state", "dead")], try number(7, "n") ?? 0),
                ]),
            .init(
                "postern_deliveries_overdue_seconds", help: "How long the next attempt that is due has waited.",
                try age(8)),
            .init("postern_channel_on", help: "1 when the servers are set up to send by this channel.", on),
            .init("postern_channel_failing", help: "1 when its last attempt failed.", failing),
            .init("postern_channel_lag", help: "Entries of the log the channel was not told of yet.", lag),
            .init(
                "postern_discrepancies_open", help: "Rows that differ from the log and are not settled.",
                try number(10, "n")),
        ]
    }
}
