import Kernel

/// A place outside that hears of what happens here.
public struct Webhook: Entity, Hashable {
    public static let type = "webhook"
    public static let idPrefix = "whk"
    public static let table = "webhooks"

    public enum Status: String, Sendable, CaseIterable {
        case active
        /// Nothing is sent; what was to be sent waits.
        case disabled
    }

    /// How long a replaced secret still signs.
    static let overlap = Span.hours(24)

    public var id: String
    public var version: Int64
    public var url: String
    /// Names of the events it hears, sorted.
    public var events: [String]
    public var status: Status
    /// The reason code it was disabled with.
    public var disabledFor: String?
    /// Sealed under the master key.
    public var secret: String
    public var previousSecret: String?
    public var previousUntil: Instant?
    public var createdAt: Instant
    public var updatedAt: Instant

    public var tenantID: String? { nil }
    public var subjects: [String] { [] }
    public var displayName: String { WebhookURL.host(url) ?? url }

    /// What its sealed secrets are bound to.
    var sealContext: String { Self.sealContext(id) }
    static func sealContext(_ id: String) -> String { "webhook:\(id)" }

    public var document: JSON {
        [
            "id": .string(id), "version": .int(version), "url": .string(url), "events": .array(events.map(JSON.string)),
            "status": .string(status.rawValue), "disabled_for": JSON(disabledFor),
            "secret_sha256": .string(sha256(Array(secret.utf8)).hex),
            "previous_secret_sha256": JSON(previousSecret.map { sha256(Array($0.utf8)).hex }),
            "previous_secret_until": JSON(previousUntil), "created_at": JSON(createdAt), "updated_at": JSON(updatedAt),
        ]
    }

    static let schema: JSON = [
        "type": "object", "required": ["id", "version", "url", "events", "status", "created_at"],
        "properties": [
            "id": ["type": "string"], "version": ["type": "integer"], "url": ["type": "string"],
            "events": ["type": "array", "items": ["type": "string"]],
            "status": ["type": "string", "enum": .array(Status.allCases.map { .string($0.rawValue) })],
            "disabled_for": ["type": ["string", "null"]], "secret_sha256": ["type": "string"],
            "previous_secret_sha256": ["type": ["string", "null"]],
            "previous_secret_until": ["type": ["string", "null"], "format": "date-time"],
            "created_at": ["type": "string", "format": "date-time"],
            "updated_at": ["type": "string", "format": "date-time"],
        ],
    ]
}

/// The address of an endpoint: `https://`, or `http://` for a machine of one's own, which is only reached where the
/// deployment allows private addresses.
public struct WebhookURL: ParamValue {
    public let url: String

    public static func parse(_ json: JSON, _ rules: ParamRules) throws(FieldError.Reason) -> WebhookURL {
        guard case .string(let text) = json else { throw .init("must be text.") }
        return try parse(text: text, rules)
    }

    public static func parse(text: String, _ rules: ParamRules) throws(FieldError.Reason) -> WebhookURL {
        let url = try TextRule.line(1...2000).check(text)
        guard url.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\\") }) else {
            throw .init("must be written in ASCII without spaces; write other letters percent-encoded.")
        }
        guard url.hasPrefix("https://") || url.hasPrefix("http://"), let host = host(url), !host.isEmpty else {
            throw .init("must be an address that begins with https://.")
        }
        guard !authority(url).contains("@") else {
            throw .init("must not contain a user name or password.")
        }
        guard !url.contains("#") else { throw .init("must not contain a fragment (#).") }
        if let port = port(url), !(1...65535).contains(port) { throw .init("must have a port from 1 to 65535.") }
        return WebhookURL(url: url)
    }

    private static func authority(_ url: String) -> Substring {
        guard let scheme = url.firstRange(of: "://") else { return "" }
        return url[scheme.upperBound...].prefix { !"/?#".contains($0) }
    }

    /// The host as written, an IPv6 address without its brackets; `nil` when there is none or its port is no number.
    static func host(_ url: String) -> String? {
        let authority = authority(url)
        let name: Substring
        let rest: Substring
        if authority.hasPrefix("["), let end = authority.firstIndex(of: "]") {
            name = authority[authority.index(after: authority.startIndex)..<end]
            rest = authority[authority.index(after: end)...]
        } else {
            name = authority.prefix { $0 != ":" }
            rest = authority[name.endIndex...]
        }
        guard rest.isEmpty || rest.hasPrefix(":") && Int(rest.dropFirst()) != nil else { return nil }
        return name.isEmpty ? nil : String(name)
    }

    private static func port(_ url: String) -> Int? {
        let authority = authority(url)
        let rest = authority.lastIndex(of: "]").map { authority[authority.index(after: $0)...] } ?? authority
        return rest.lastIndex(of: ":").flatMap { Int(rest[rest.index(after: $0)...]) }
    }

    public var json: JSON { .string(url) }
    public var text: String { url }
    public static func schema(_ rules: ParamRules) -> JSON {
        [
            "type": "string", "format": "uri", "pattern": "^https?://", "maxLength": 2000,
            "examples": ["https://hooks.example.com/postern"],
        ]
    }
    public static var control: ParamControl { .line }
}
