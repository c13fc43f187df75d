import Crypto
import Foundation

/// Slack's request signatures, version 0: HMAC-SHA256 over `v0:timestamp:body` (docs.slack.dev, "Verifying requests from Slack").
public enum SlackSignature {
    /// An older or newer request is not taken.
    public static let tolerance = Span.minutes(5)

    /// The value of `X-Slack-Signature`.
    public static func header(timestamp: String, body: [UInt8], secret: String) -> String {
        let code = HMAC<SHA256>.authenticationCode(
            for: Array("v0:\(timestamp):".utf8) + body, using: SymmetricKey(data: Array(secret.utf8)))
        return "v0=" + Array(code).hex
    }

    /// Whether a request was signed with this secret, lately. `body` is exactly what was received.
    public static func isValid(
        _ signature: String?, timestamp: String?, body: [UInt8], secret: String, at now: Instant
    ) -> Bool {
        guard let signature, let timestamp, timestamp.utf8.count <= 12, let seconds = Int64(timestamp), seconds >= 0,
            abs(now.microseconds / 1_000_000 - seconds) <= tolerance.seconds
        else { return false }
        return constantTimeEqual(
            Array(signature.utf8), Array(header(timestamp: timestamp, body: body, secret: secret).utf8))
    }
}
