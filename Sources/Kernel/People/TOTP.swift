import Crypto
import Foundation

/// Time-based one-time passwords (RFC 6238: HMAC-SHA-1, 30 s, 6 digits), as every authenticator app makes them.
public enum TOTP {
    /// Seconds a code is current.
    public static let period: Int64 = 30
    /// Length of a new secret in bytes (160 bits, RFC 4226 §4 R6).
    public static let secretLength = 20

    public static func step(at now: Instant) -> Int64 {
        now.microseconds / 1_000_000 / period
    }

    /// The code of a step (RFC 4226 §5.3).
    public static func code(secret: [UInt8], step: Int64, digits: Int = 6) -> String {
        let counter = withUnsafeBytes(of: UInt64(bitPattern: step).bigEndian) { Array($0) }
        let mac = Array(
            HMAC<Insecure.SHA1>.authenticationCode(for: counter, using: SymmetricKey(data: secret)))
        let offset = Int(mac[19] & 15)
        let number =
            UInt32(mac[offset] & 127) << 24 | UInt32(mac[offset + 1]) << 16 | UInt32(mac[offset + 2]) << 8
            | UInt32(mac[offset + 3])
        let modulus = (0..<digits).reduce(UInt32(1)) { value, _ in value * 10 }
        let text = String(number % modulus)
        return String(repeating: "0", count: digits - text.count) + text
    }

    public static func code(secret: [UInt8], at now: Instant) -> String { code(secret: secret, step: step(at: now)) }

    /// The step a code belongs to, within one step before or after `now`; `nil` when it belongs to none. All three are
    /// always computed and compared in constant time. Spaces in the code are passed over.
    public static func matchingStep(_ code: String, secret: [UInt8], at now: Instant) -> Int64? {
        let given = Array(code.utf8.filter { $0 != UInt8(ascii: " ") })
        let current = step(at: now)
        var found: Int64?
        for candidate in (current - 1)...(current + 1)
        where constantTimeEqual(given, Array(self.code(secret: secret, step: candidate).utf8)) {
            found = candidate
        }
        return found
    }

    /// `otpauth://totp/Issuer:account?secret=…`, what the QR code carries.
    public static func uri(secret: [UInt8], issuer: String, account: String) -> String {
        func escape(_ text: String) -> String {
            text.addingPercentEncoding(
                withAllowedCharacters: .alphanumerics.intersection(.init(charactersIn: Unicode.Scalar(0)..."\u{7F}"))
                    .union(.init(charactersIn: "-._~"))) ?? ""
        }
        return "otpauth://totp/\(escape(issuer)):\(escape(account))?secret=\(Base32.encode(secret))"
            + "&issuer=\(escape(issuer))&algorithm=SHA1&digits=6&period=30"
    }
}
