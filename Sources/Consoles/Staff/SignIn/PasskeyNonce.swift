import Crypto
import Kernel

/// What an authenticator is asked to sign, so that its answer is good for one purpose, one session, 5 minutes and once.
///
/// It needs no row until it is answered: the server knows its own by their HMAC. 16 random bytes ‖ time in microseconds (8) ‖
/// purpose (1) ‖ HMAC-SHA-256 over these and whoever it is for.
struct PasskeyNonce: Sendable, Hashable {
    enum Purpose: UInt8, Sendable {
        case signIn = 1
        case stepUp, create, enrol, intent
    }

    static let lifetime = Span.minutes(5)
    private static let clear = 16 + 8 + 1

    let bytes: [UInt8]

    /// - Parameter bearer: the session, or what stands for it before there is one.
    init(_ purpose: Purpose, for bearer: String, at now: Instant, pepper: [UInt8]) {
        let time = withUnsafeBytes(of: now.microseconds.bigEndian) { Array($0) }
        let clear = SecureRandom.bytes(16) + time + [purpose.rawValue]
        bytes = clear + Self.mac(clear, bearer, pepper)
    }

    /// Reads one that came back.
    init(
        _ bytes: [UInt8], _ purpose: Purpose, for bearer: String, at now: Instant, pepper: [UInt8]
    ) throws(PasskeyRefusal) {
        guard bytes.count == Self.clear + 32 else { throw .challengeForeign }
        let clear = Array(bytes[..<Self.clear])
        guard constantTimeEqual(Self.mac(clear, bearer, pepper), Array(bytes[Self.clear...])) else {
            throw .challengeForeign
        }
        guard clear[24] == purpose.rawValue else { throw .challengePurpose }
        self.bytes = bytes
        // Made by another server whose clock is ahead, it is not older than new.
        guard now - issuedAt <= Self.lifetime else { throw .challengeExpired }
    }

    var issuedAt: Instant { Self.time(of: bytes) }
    /// Of bytes that may be anything.
    static func time(of bytes: [UInt8]) -> Instant {
        guard bytes.count >= clear else { return Instant(microseconds: 0) }
        return Instant(microseconds: bytes[16..<24].reduce(0) { $0 << 8 | Int64($1) } & (1 << 55 - 1))
    }
    var expiresAt: Instant { issuedAt + Self.lifetime }

    private static func mac(_ clear: [UInt8], _ bearer: String, _ pepper: [UInt8]) -> [UInt8] {
        Array(
            HMAC<SHA256>.authenticationCode(
                for: Array("passkey:".utf8) + clear + Array(bearer.utf8), using: SymmetricKey(data: pepper)))
    }
}
