import Foundation

/// A range of addresses: `10.0.0.0/8`, `2001:db8::/32`, or one address.
public struct NetworkRange: Sendable, Hashable, CustomStringConvertible {
    private let prefix: [UInt8]
    private let bits: Int
    public let description: String

    /// `nil` when the text is not an address or a range.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard let first = parts.first, parts.count <= 2, let address = IPAddress(String(first)) else { return nil }
        var bits = 128
        if parts.count == 2 {
            guard let given = Int(parts[1]), given >= 0, given <= (address.isV4 ? 32 : 128) else { return nil }
            bits = address.isV4 ? given + 96 : given
        }
        prefix = address.bytes
        self.bits = bits
        description = text
    }

    func contains(_ address: IPAddress) -> Bool {
        let whole = bits / 8
        guard address.bytes.prefix(whole).elementsEqual(prefix.prefix(whole)) else { return false }
        let rest = bits % 8
        guard rest > 0 else { return true }
        let mask = UInt8(truncatingIfNeeded: 0xFF00 >> rest)
        return address.bytes[whole] & mask == prefix[whole] & mask
    }
}

/// An IPv4 or IPv6 address as 16 bytes (IPv4 mapped into IPv6, so that both forms of one address are equal).
struct IPAddress: Sendable, Hashable {
    let bytes: [UInt8]

    init?(_ text: String) {
        var v4 = in_addr()
        if inet_pton(AF_INET, text, &v4) == 1 {
            bytes = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF] + withUnsafeBytes(of: &v4) { Array($0) }
            return
        }
        var v6 = in6_addr()
        guard inet_pton(AF_INET6, text, &v6) == 1 else { return nil }
        bytes = withUnsafeBytes(of: &v6) { Array($0) }
    }

    var isV4: Bool { bytes.prefix(12).elementsEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]) }
}
