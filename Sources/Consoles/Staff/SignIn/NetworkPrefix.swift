import Foundation
import Kernel

/// The network part of an address: what throttling counts by and what a session may be bound to.
public enum NetworkPrefix {
    /// The first `v4` or `v6` bits of an address in canonical form; the text itself when it is no address (a socket path).
    public static func of(_ address: String, v4: Int = 32, v6: Int = 64) -> String {
        var four = in_addr()
        if inet_pton(AF_INET, address, &four) == 1 {
            let bytes = withUnsafeBytes(of: four) { Array($0) }
            return masked(bytes, v4).map(String.init).joined(separator: ".") + "/\(v4)"
        }
        var six = in6_addr()
        // A zone index ("%eth0") is no part of the address.
        let plain = address.split(separator: "%", maxSplits: 1).first.map(String.init) ?? address
        if inet_pton(AF_INET6, plain, &six) == 1 {
            let bytes = withUnsafeBytes(of: six) { Array($0) }
            // ::ffff:a.b.c.d is the IPv4 address it carries.
            if bytes.prefix(10).allSatisfy({ $0 == 0 }), bytes[10] == 255, bytes[11] == 255 {
                return masked(Array(bytes[12...]), v4).map(String.init).joined(separator: ".") + "/\(v4)"
            }
            return masked(bytes, v6).hex + "/\(v6)"
        }
        return address
    }

    private static func masked(_ bytes: [UInt8], _ bits: Int) -> [UInt8] {
        bytes.enumerated().map { index, byte in
            let keep = max(0, min(8, bits - index * 8))
            return byte & ~UInt8(truncatingIfNeeded: 255 >> keep)
        }
    }
}
