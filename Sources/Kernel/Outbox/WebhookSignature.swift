import Crypto
import Foundation

/// Signatures after Standard Webhooks 1.0: HMAC-SHA256 over `id.timestamp.body`.
public enum WebhookSignature {
    /// What a secret is shown as: `whsec_` and base 64.
    public static func text(of secret: [UInt8]) -> String { "whsec_" + Base64.encode(secret) }

    /// The bytes of a secret as it was shown; `nil` when it is none.
    public static func secret(_ text: String) -> [UInt8]? {
        guard text.hasPrefix("whsec_") else { return nil }
        return Base64.decode(String(text.dropFirst("whsec_".count)))
    }

    /// The value of `webhook-signature`: one signature for each secret, by spaces.
    public static func header(id: String, timestamp: Int64, body: [UInt8], secrets: [[UInt8]]) -> String {
        let signed = Array("\(id).\(timestamp).".utf8) + body
        return secrets.map { secret in
            let code = HMAC<SHA256>.authenticationCode(for: signed, using: SymmetricKey(data: secret))
            return "v1," + Base64.encode(Array(code))
        }.joined(separator: " ")
    }
}
