import Kernel

/// One event on its way to one endpoint: a webhook, the staff channel or somebody's mailbox.
public struct Delivery: Entity, Hashable {
    public static let type = "delivery"
    public static let idPrefix = "dlv"
    public static let table = "deliveries"

    public enum State: String, Sendable, CaseIterable {
        /// Waits for its turn, or for the next attempt.
        case pending
        /// Given up: nothing more happens until somebody replays it.
        case dead
        /// The receiver took it.
        case delivered
        /// A later one of the same kind tells the newer state; this one was not sent.
        case superseded
        /// Given up, and somebody decided that it need not be sent.
        case dismissed

        /// What needs somebody comes first in lists.
        var urgency: Int64 {
            switch self {
            case .dead: 2
            case .pending: 1
            case .delivered, .superseded, .dismissed: 0
            }
        }
    }

    public var id: String
    public var version: Int64
    public var outboxID: String
    /// `whk_…`, `slack`, `mail:stf_…` or `mail:ciso`.
    public var webhookID: String
    /// The mutation's event.
    public var eventID: String
    /// `tenant.suspended`
    public var name: String
    public var tenantID: String?
    public var tenantVersion: Int64?
    public var state: State
    public var createdAt: Instant
    /// When it was delivered, given up or superseded.
    public var settledAt: Instant?

    /// How it travels.
    var channel: DeliveryChannel { Endpoint.channel(webhookID) }

    /// Ids only; a tenant's id stays when the tenant is erased.
    public var subjects: [String] { [] }
    public var displayName: String { name }

    /// What is sent in order: an endpoint's deliveries of one tenant; those of none have a lane of their own.
    var lane: String { Self.lane(webhookID, tenantID) }
    static func lane(_ webhook: String, _ tenant: String?) -> String { "\(webhook):\(tenant ?? "")" }

    public var document: JSON {
        [
            "id": .string(id), "version": .int(version), "outbox_id": .string(outboxID),
            "webhook_id": .string(webhookID), "event_id": .string(eventID), "name": .string(name),
            "tenant_id": JSON(tenantID), "tenant_version": tenantVersion.map(JSON.int) ?? .null,
            "state": .string(state.rawValue), "created_at": JSON(createdAt), "settled_at": JSON(settledAt),
        ]
    }

    /// As the API answers it: the channel is said, and a webhook's id stands only where there is one.
    var answer: JSON {
        guard case .object(var members) = document else { return .null }
        members["channel"] = .string(channel.rawValue)
        members["recipient"] = JSON(Endpoint.recipient(webhookID))
        if channel != .webhook { members["webhook_id"] = .null }
        return .object(members)
    }

    static let schema: JSON = [
        "type": "object", "required": ["id", "version", "channel", "event_id", "name", "state", "created_at"],
        "properties": [
            "id": ["type": "string"], "version": ["type": "integer"], "outbox_id": ["type": "string"],
            "channel": ["type": "string", "enum": .array(DeliveryChannel.allCases.map { .string($0.rawValue) })],
            "webhook_id": ["type": ["string", "null"]], "recipient": ["type": ["string", "null"]],
            "event_id": ["type": "string"], "name": ["type": "string"],
            "tenant_id": ["type": ["string", "null"]], "tenant_version": ["type": ["integer", "null"]],
            "state": ["type": "string", "enum": .array(State.allCases.map { .string($0.rawValue) })],
            "created_at": ["type": "string", "format": "date-time"],
            "settled_at": ["type": ["string", "null"], "format": "date-time"],
            "attempts": ["type": "array", "items": ["type": "object"]],
        ],
    ]
}

/// Where deliveries go that are no webhooks.
enum Endpoint {
    static let slack = "slack"
    static let mailPrefix = "mail:"
    /// Whom mail to the CISO is for, in place of a person: the address is the deployment's.
    static let ciso = "ciso"

    static func mail(to staff: String) -> String { mailPrefix + staff }

    static func channel(_ endpoint: String) -> DeliveryChannel {
        endpoint == slack ? .slack : endpoint.hasPrefix(mailPrefix) ? .mail : .webhook
    }

    /// The person a mail is for, or `ciso`.
    static func recipient(_ endpoint: String) -> String? {
        endpoint.hasPrefix(mailPrefix) ? String(endpoint.dropFirst(mailPrefix.count)) : nil
    }
}

/// One attempt, as it is kept.
struct DeliveryAttempt: Sendable {
    let number: Int64
    let at: Instant
    let took: Span?
    let status: Int64?
    /// `nil` until it reported: it is under way, or the server died.
    let note: String?

    init(_ row: Row) throws {
        number = try row.int("number")
        at = try row.instant("at")
        took = try row.optionalInt("took").map(Span.init(microseconds:))
        status = try row.optionalInt("http_status")
        note = try row.optionalString("note")
    }

    var json: JSON {
        [
            "number": .int(number), "at": JSON(at), "took_ms": took.map { .int($0.microseconds / 1000) } ?? .null,
            "http_status": status.map(JSON.int) ?? .null, "note": JSON(note),
        ]
    }
}
