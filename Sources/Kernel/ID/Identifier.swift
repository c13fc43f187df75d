import Crypto
import Foundation

/// Prefixed, time-ordered identifiers: `ten_01JD…`, a prefix and a ULID (Crockford base 32, 26 characters).
public enum Identifier {
    private static let alphabet = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ".utf8)

    /// A new identifier. `at` gives the leading 48 bits (milliseconds), the system's random generator the other 80.
    public static func mint(_ prefix: String, at instant: Instant) -> String {
        let high = UInt64(bitPattern: instant.microseconds / 1000) & 0xFFFF_FFFF_FFFF
        let random = SecureRandom.bytes(10)
        return make(prefix, milliseconds: high, random: random)
    }

    /// The identifier for given parts; `random` is 10 bytes.
    public static func make(_ prefix: String, milliseconds: UInt64, random: [UInt8]) -> String {
        var out = Array(prefix.utf8)
        out.append(UInt8(ascii: "_"))
        // 48 bits of time in 10 characters (the first carries 3 bits), then 80 bits in 16.
        for shift in stride(from: 45, through: 0, by: -5) {
            out.append(alphabet[Int(milliseconds >> UInt64(shift) & 31)])
        }
        var buffer: UInt64 = 0
        var bits: UInt64 = 0
        for byte in random {
            buffer = buffer << 8 | UInt64(byte)
            bits += 8
            while bits >= 5 {
                bits -= 5
                out.append(alphabet[Int(buffer >> bits & 31)])
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// True when `text` is `prefix_` followed by a ULID.
    public static func isValid(_ text: String, prefix: String) -> Bool {
        let bytes = Array(text.utf8)
        guard bytes.count == prefix.utf8.count + 27, text.hasPrefix(prefix + "_") else { return false }
        return bytes.suffix(26).allSatisfy(alphabet.contains)
    }
}

/// The system's cryptographic random generator.
public enum SecureRandom {
    public static func bytes(_ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { out, filled in
            // The system gives at most 256 bytes at a time; Swift's own generator would ask it for every eight.
            while filled < count {
                let portion = min(count - filled, 256)
                guard let start = out.baseAddress, getentropy(start + filled, portion) == 0 else {
                    preconditionFailure("the system gives no random bytes")
                }
                filled += portion
            }
        }
    }
}

extension Sequence<UInt8> {
    /// Lower-case hexadecimal.
    public var hex: String {
        let digits = Array("0123456789abcdef".utf8)
        var out: [UInt8] = []
        out.reserveCapacity(2 * underestimatedCount)
        for byte in self {
            out.append(digits[Int(byte >> 4)])
            out.append(digits[Int(byte & 15)])
        }
        return String(decoding: out, as: UTF8.self)
    }
}

/// SHA-256 over bytes.
public func sha256(_ bytes: some Sequence<UInt8>) -> [UInt8] {
    var hasher = SHA256()
    if bytes.withContiguousStorageIfAvailable({ hasher.update(bufferPointer: UnsafeRawBufferPointer($0)) }) == nil {
        ContiguousArray(bytes).withUnsafeBytes { hasher.update(bufferPointer: $0) }
    }
    return Array(hasher.finalize())
}

/// True when both are equal, in time that depends only on their lengths.
public func constantTimeEqual(_ a: [UInt8], _ b: [UInt8]) -> Bool {
    guard a.count == b.count else { return false }
    var difference: UInt8 = 0
    for index in a.indices { difference |= a[index] ^ b[index] }
    return difference == 0
}
