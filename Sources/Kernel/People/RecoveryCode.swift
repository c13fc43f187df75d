import Crypto

/// One-time codes for a person who lost the authenticator: 80 random bits each, four groups of base 32.
public enum RecoveryCode {
    /// How many a person has.
    public static let count = 10

    /// Ten new codes, `ABCD-EFGH-IJKL-MNOP`.
    public static func generate() -> [String] {
        (0..<count).map { _ in
            let text = Array(Base32.encode(SecureRandom.bytes(10)))
            return stride(from: 0, to: text.count, by: 4).map { String(text[$0..<$0 + 4]) }.joined(separator: "-")
        }
    }

    /// What is stored: HMAC-SHA-256 under the pepper, in hexadecimal. Case, spaces and hyphens don't matter; `nil` when
    /// the text can't be a code at all.
    public static func digest(_ code: String, pepper: [UInt8]) -> String? {
        guard let bytes = Base32.decode(code), bytes.count == 10 else { return nil }
        return HMAC<SHA256>.authenticationCode(for: Array("recovery:".utf8) + bytes, using: SymmetricKey(data: pepper))
            .hex
    }
}
