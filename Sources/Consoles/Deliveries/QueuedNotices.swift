import Kernel

/// What became of effects that were queued with an event. Each that found somebody to send it to has its `delivery.queued` in the
/// log, linked to that event; endpoints and people may be others by now.
struct QueuedNotices: Sendable {
    enum Standing: Sendable, Equatable {
        case sent
        /// Nobody was there to hear of it.
        case toNobody
        /// Who hears of it is still to be found.
        case waiting
        /// The log need not hold any more what it said.
        case forgotten
    }

    private let names: Set<String>
    private let waiting: Set<String>
    private let isWhole: Bool

    /// Looks up those of effects that are webhooks or mail.
    static func load(_ effects: [Effect], _ queuing: Queuing, from reader: any Reader) throws -> QueuedNotices {
        let channels = [DeliveryChannel.webhook, .mail].filter { channel in
            effects.contains { $0.kind == channel.rawValue }
        }
        guard !channels.isEmpty else { return QueuedNotices(names: [], waiting: [], isWhole: true) }
        let found = try reader.query([OutboxQueries.queued(with: queuing.event)] + channels.map(OutboxQueries.oldest))
        var names: Set<String> = []
        for row in found[0] {
            if let name = try JSON(parsing: row.bytes("leaf"))["facts"]?["name"]?.string { names.insert(name) }
        }
        var waiting: Set<String> = []
        for (channel, rows) in zip(channels, found.dropFirst()) {
            // Places are given within transactions, so one that began later may stand before it: by less than a minute.
            if let oldest = try rows.first?.instant("created_at"), oldest <= queuing.at + .minutes(1) {
                waiting.insert(channel.rawValue)
            }
        }
        let kept: Instant? = RetentionClass.standard(for: .effect).days.map { reader.now - .days($0) }
        return QueuedNotices(
            names: names, waiting: waiting,
            isWhole: found[0].count < OutboxQueries.mostQueued && kept.map { queuing.at > $0 } ?? true)
    }

    subscript(effect: Effect) -> Standing {
        // A test mail is written with its delivery: nothing is to be found.
        if names.contains(effect.name) || effect.name == MailNotice.test.rawValue { return .sent }
        if waiting.contains(effect.kind) { return .waiting }
        return isWhole ? .toNobody : .forgotten
    }
}
