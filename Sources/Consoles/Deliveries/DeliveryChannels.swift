import Kernel

/// The channels beside webhooks, as the servers are set up.
public enum DeliveryChannels {
    /// Tells the database which channels the servers have. A channel that was off begins with what happens from now on: nobody
    /// wants last month in one flood.
    public static func announce(_ channels: Set<DeliveryChannel>, in database: any Database) async throws {
        try await database.write { tx in
            try tx.lock(["outbox.channels"])
            let size = try tx.first(ChannelQueries.logSize)?.int("size") ?? 0
            for channel in [DeliveryChannel.mail, .slack] {
                let isOn = channels.contains(channel)
                guard let row = try tx.first(ChannelQueries.find(channel.rawValue, lock: true, tx.dialect)) else {
                    if isOn { tx.enqueue(ChannelQueries.insert(channel.rawValue, isOn: true, next: size)) }
                    continue
                }
                guard try row.bool("is_on") != isOn else { continue }
                let next = isOn ? size : try row.int("next_idx")
                tx.enqueue(ChannelQueries.turn(channel.rawValue, on: isOn, next: next))
            }
        }
    }

    /// Whether the servers have a channel, or had one: a server that is started without it for a moment turns it off for all.
    public static func isKnown(_ channel: DeliveryChannel, in database: any Database) async throws -> Bool {
        try await database.read { try ChannelState.isKnown(channel, $0) }
    }
}

/// How a channel fares, for the page and the API.
struct ChannelState: Sendable {
    let channel: DeliveryChannel
    let isOn: Bool
    /// Entries of the log it was not told of yet; `nil` where nothing is mirrored.
    let lag: Int64?
    let sentAt: Instant?
    /// The newest delivery that arrived.
    let lastSent: Delivery?
    let failedAt: Instant?
    /// What went wrong last, when nothing went right since.
    let error: String?

    /// Slack first, whether or not it was ever on.
    static func all(from reader: any Reader) throws -> [ChannelState] {
        let rows = try reader.query([ChannelQueries.all, ChannelQueries.logSize])
        let size = try rows[1].first?.int("size") ?? 0
        let known = try Dictionary(uniqueKeysWithValues: rows[0].map { (try $0.string("id"), $0) })
        return try [DeliveryChannel.slack, .mail].map { channel in
            let row = known[channel.rawValue]
            let isOn = try row?.bool("is_on") ?? false
            let last =
                channel == .slack
                ? try reader.first(ChannelQueries.newestDelivered(to: Endpoint.slack)).map(Delivery.init) : nil
            return ChannelState(
                channel: channel, isOn: isOn,
                lag: channel == .slack && isOn ? max(0, size - (try row?.int("next_idx") ?? size)) : nil,
                sentAt: try row?.optionalInstant("sent_at"), lastSent: last,
                failedAt: try row?.optionalInstant("failed_at"), error: try row?.optionalString("error"))
        }
    }

    /// One that never was has no row.
    static func isKnown(_ channel: DeliveryChannel, _ reader: any Reader) throws -> Bool {
        try reader.first(ChannelQueries.find(channel.rawValue, lock: false, reader.dialect)) != nil
    }

    static func isOn(_ channel: DeliveryChannel, _ reader: any Reader) throws -> Bool {
        try reader.first(ChannelQueries.find(channel.rawValue, lock: false, reader.dialect))?.bool("is_on") ?? false
    }

    var json: JSON {
        [
            "channel": .string(channel.rawValue), "is_on": .bool(isOn), "lag": lag.map(JSON.int) ?? .null,
            "sent_at": JSON(sentAt), "last_event_id": JSON(lastSent?.eventID), "failed_at": JSON(failedAt),
            "error": JSON(error),
        ]
    }

    static let schema: JSON = [
        "type": "object", "required": ["channel", "is_on"],
        "properties": [
            "channel": ["type": "string", "enum": ["slack", "mail"]], "is_on": ["type": "boolean"],
            "lag": ["type": ["integer", "null"]], "sent_at": ["type": ["string", "null"], "format": "date-time"],
            "last_event_id": ["type": ["string", "null"]],
            "failed_at": ["type": ["string", "null"], "format": "date-time"], "error": ["type": ["string", "null"]],
        ],
    ]
}
