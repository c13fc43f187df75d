import Kernel

/// The token of an account that is no person: 32 random bytes, shown once. Of it are kept how it begins and its digest; as it
/// has 256 random bits, the digest gives nothing away.
///
/// It can be replaced while the old one works on for a while, so that a program is moved to the new one without a gap.
public struct AccountToken: Sendable, Hashable {
    /// How it begins, so that people recognise it.
    public var prefix: String
    /// SHA-256, hexadecimal.
    public var digest: String
    /// The one before it, until when it works on.
    public var previous: Previous?

    public struct Previous: Sendable, Hashable {
        public var digest: String
        public var until: Instant
        public init(digest: String, until: Instant) {
            self.digest = digest
            self.until = until
        }
    }

    public init(prefix: String, digest: String, previous: Previous? = nil) {
        self.prefix = prefix
        self.digest = digest
        self.previous = previous
    }

    /// Of a token as it is shown.
    init(of text: String, previous: Previous? = nil) {
        self.init(prefix: String(text.prefix(10)), digest: Self.digest(text), previous: previous)
    }

    /// With another token in its place.
    /// - Parameter overlap: how long this one still works.
    func replaced(by text: String, at now: Instant, overlap: Span) -> AccountToken {
        AccountToken(
            of: text, previous: overlap > .seconds(0) ? Previous(digest: digest, until: now + overlap) : nil)
    }

    /// What became of the one in whose place it is.
    func replacing(_ old: AccountToken, of name: String) -> String {
        let end = previous.map { "works on until \($0.until.minuteText)" } ?? "stops working at once"
        return "\(name) has a new token; the old one (\(old.prefix)…) \(end)."
    }

    /// Whether a token with this digest is it, or the one before it while that works.
    func opens(_ digest: String, at now: Instant) -> Bool {
        digest == self.digest || (previous.map { $0.digest == digest && now < $0.until } ?? false)
    }

    /// Every kind's letters are four, so that all are of one length.
    static let length = 47

    static func text(_ letters: String, _ secret: [UInt8]) -> String { letters + Base64.encodeURL(secret) }
    static func digest(_ text: String) -> String { sha256(Array(text.utf8)).hex }
    static func isPlausible(_ text: String, _ letters: String) -> Bool {
        text.utf8.count == length && text.hasPrefix(letters)
    }

    /// As a part of its account's document.
    var members: [String: JSON] {
        [
            "prefix": .string(prefix), "token_sha256": .string(digest), "previous_sha256": JSON(previous?.digest),
            "previous_until": JSON(previous?.until),
        ]
    }

    static let columns = "prefix, token_sha256, previous_sha256, previous_until"

    init(_ row: Row) throws {
        let digest = try row.optionalString("previous_sha256")
        let until = try row.optionalInstant("previous_until")
        self.init(
            prefix: try row.string("prefix"), digest: try row.string("token_sha256"),
            previous: digest.flatMap { digest in until.map { Previous(digest: digest, until: $0) } })
    }

    var values: [Value] { [.text(prefix), .text(digest), Value(previous?.digest), Value(previous?.until)] }
}
