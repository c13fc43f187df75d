import Kernel
import Synchronization

/// Mirrors the log into the staff channel. The log itself is the queue: a cursor says what was told, and a mutation costs
/// nothing for it.
///
///     log entries ─ at most one look a second, one process at a time ─► one delivery for everything since the cursor
///                                                                       in the lane of Slack, of which one is under way
///
/// While one message waits for Slack, the next is not made: what happens meanwhile comes together in it.
final class SlackMirror: Sendable {
    /// Entries of the log one message tells of at most.
    static let most: Int64 = 5000
    /// Slack takes a message a second for each channel.
    static let pace = Span.seconds(1)
    static let lane = Delivery.lane(Endpoint.slack, nil)

    private let pipeline: Pipeline
    private let clock: Clock
    /// When to look next.
    private let next = Mutex(Instant(microseconds: 0))

    init(pipeline: Pipeline, clock: Clock) {
        self.pipeline = pipeline
        self.clock = clock
    }

    /// Makes the next message when there is something to tell and none waits. Answers true when it made one.
    func turn() async throws -> Bool {
        let at = clock.now
        let isDue = next.withLock { next in
            // Also when the clock was set back.
            guard at >= next || next > at + Self.pace else { return false }
            next = at + Self.pace
            return true
        }
        guard isDue else { return false }
        let isBehind = try await pipeline.database.read { reader in
            let rows = try reader.query([
                ChannelQueries.find(Endpoint.slack, lock: false, reader.dialect), ChannelQueries.logSize,
                ChannelQueries.isWaiting(in: Self.lane),
            ])
            guard let row = rows[0].first, rows[2].isEmpty else { return false }
            let size = try rows[1].first?.int("size") ?? 0
            return try row.int("next_idx") < size || size > 0 && row.int("root_day") < Self.day(reader.now)
        }
        guard isBehind else { return false }
        return try await pipeline.database.write { tx in
            guard try tx.tryLock("outbox.mirror"),
                let row = try tx.first(ChannelQueries.find(Endpoint.slack, lock: true, tx.dialect)),
                try tx.first(ChannelQueries.isWaiting(in: Self.lane)) == nil
            else { return false }
            let size = try tx.first(ChannelQueries.logSize)?.int("size") ?? 0
            if try row.int("root_day") < Self.day(tx.now), try self.tellRoot(size, at: at, tx) { return true }
            return try self.tellEntries(from: row.int("next_idx"), size: size, at: at, tx)
        }
    }

    static func day(_ now: Instant) -> Int64 { Int64(now.day.daysSince1970) }

    /// The newest signed root, once a day: whoever has it can show that the log was not rewritten since (spec: audit-log §4).
    private func tellRoot(_ size: Int64, at: Instant, _ tx: any Writer) throws -> Bool {
        guard let checkpoint = try tx.first(ChannelQueries.newestCheckpoint),
            case let size = try checkpoint.int("size"), size > 0,
            let event = try tx.first(ChannelQueries.event(at: size - 1))?.string("event_id")
        else { return false }
        try Self.queue(
            "slack.root",
            ["day": .string(tx.now.day.text), "size": .int(size), "note": .string(checkpoint.string("note"))],
            event: event, at: at, pipeline.records, tx)
        tx.enqueue(ChannelQueries.rootTold(Endpoint.slack, day: Self.day(tx.now)))
        return true
    }

    private func tellEntries(from start: Int64, size: Int64, at: Instant, _ tx: any Writer) throws -> Bool {
        var next = start
        // Most entries are looks at pages, of which the channel hears nothing.
        for _ in 0..<4 where next < size {
            let range = next..<min(size, next + Self.most)
            next = range.upperBound
            guard let last = try tx.first(ChannelQueries.last(in: range)) else { continue }
            try Self.queue(
                "slack.events", ["from": .int(range.lowerBound), "to": .int(range.upperBound)],
                event: last.string("id"), at: at, pipeline.records, tx)
            tx.enqueue(ChannelQueries.advance(Endpoint.slack, to: next))
            return true
        }
        tx.enqueue(ChannelQueries.advance(Endpoint.slack, to: next))
        return false
    }

    /// A delivery with the row of the outbox it is made of, and the event that says so.
    static func queue(
        _ name: String, _ payload: JSON, event: String, at: Instant, _ records: any Records, _ tx: any Writer
    ) throws {
        let outbox = Identifier.mint("out", at: tx.now)
        let delivery = Delivery(
            id: Identifier.mint("dlv", at: tx.now), version: 1, outboxID: outbox, webhookID: Endpoint.slack,
            eventID: event, name: name, tenantID: nil, tenantVersion: nil, state: .pending, createdAt: tx.now,
            settledAt: nil)
        var draft = EventDraft(at: at, .effect, "delivery.queued", .requested, actor: DeliveryOutbox.actor)
        draft.client = .worker
        draft.linked = event
        draft.facts = ["name": .string(name), "endpoints": 1]
        draft.changes = [EventDraft.ChangeRecord(.create(delivery))]
        tx.enqueue(records.insert(SealedEvent(draft)))
        tx.enqueue(delivery.insert())
        tx.enqueue(
            ChannelQueries.outboxRow(
                outbox, event: event, kind: .slack, name: name, payload: payload, at: tx.now))
        tx.enqueue(OutboxQueries.openLane(lane, webhook: Endpoint.slack, at: tx.now))
        tx.enqueue(OutboxQueries.enqueueLast(delivery.id, lane: lane))
    }
}
