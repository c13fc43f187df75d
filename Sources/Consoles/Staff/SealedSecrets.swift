import Kernel

/// Whether a master key is the one of a database. Any well-formed key can be read from a file; with another one right passwords
/// would be called wrong.
public enum SealedSecrets {
    /// Whether the key opens any of the newest secrets that are kept; `nil` where none is. One that was damaged or edited says
    /// nothing about the key.
    public static func open(with key: MasterKey, from reader: any Reader) throws -> Bool? {
        let (kept, opened) = try count(with: key, from: reader)
        return kept == 0 ? nil : opened > 0
    }

    /// How many of the newest secrets are kept, and how many of these the key opens.
    public static func count(with key: MasterKey, from reader: any Reader) throws -> (kept: Int, opened: Int) {
        let rows = try reader.query([Factor.newestSealed, Webhook.newest])
        let factors = try rows[0].map { try Factor($0) }
        let webhooks = try rows[1].map { try Webhook($0) }
        let opened =
            factors.count { key.open($0.secret, context: $0.sealContext) != nil }
            + webhooks.count { key.open($0.secret, context: $0.sealContext) != nil }
        return (factors.count + webhooks.count, opened)
    }
}
