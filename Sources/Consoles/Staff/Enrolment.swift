import Kernel

/// A one-time link with which a person sets a password and factors.
enum Enrolment {
    enum Purpose: String, Sendable {
        case join
        case reset
    }

    /// The token as it stands in the link, from 32 random bytes.
    static func token(_ secret: [UInt8]) -> String { "enr_" + Base64.encodeURL(secret) }

    static func hash(_ token: String) -> [UInt8] { sha256(Array(token.utf8)) }
}
