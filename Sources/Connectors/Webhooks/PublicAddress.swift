import Foundation
import Kernel
import NIOCore
import NIOPosix

/// Which addresses notices may be sent to. An endpoint's name is data from outside: it must not lead into the network the
/// server stands in.
public enum PublicAddress {
    /// Why a host is not reached.
    enum Refusal: Error, Equatable {
        case unknownHost
        /// One of its addresses is not public.
        case notPublic(String)

        var note: String {
            switch self {
            case .unknownHost: "The host is unknown"
            case .notPublic(let address): "The host leads to \(address), which is not a public address"
            }
        }
    }

    /// The addresses a host stands for, in the resolver's order. Also writes that only look like names (`2130706433`,
    /// `0x7f.1`) end up here, so what is checked is what is connected to.
    static func resolve(_ host: String) async throws -> [SocketAddress] {
        let found = try await NIOThreadPool.singleton.runIfActive { () -> [SocketAddress] in
            var hints = addrinfo()
            hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
            var first: UnsafeMutablePointer<addrinfo>?
            guard getaddrinfo(host, nil, &hints, &first) == 0, let first else { return [] }
            defer { freeaddrinfo(first) }
            var addresses: [SocketAddress] = []
            for info in sequence(first: first, next: { $0.pointee.ai_next }) {
                switch info.pointee.ai_family {
                case AF_INET:
                    info.pointee.ai_addr.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
                        addresses.append(SocketAddress($0.pointee))
                    }
                case AF_INET6:
                    info.pointee.ai_addr.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) {
                        addresses.append(SocketAddress($0.pointee))
                    }
                default: continue
                }
            }
            return addresses
        }
        guard !found.isEmpty else { throw Refusal.unknownHost }
        return found
    }

    /// One address to connect to, after all were looked at: a name that leads to a private one too is refused.
    static func checked(_ host: String, allowsPrivate: Bool) async throws -> String {
        let addresses = try await resolve(host)
        if !allowsPrivate, let wrong = addresses.first(where: { !isPublic($0) }) {
            throw Refusal.notPublic(wrong.ipAddress ?? host)
        }
        let chosen = addresses.first { $0.protocol == .inet } ?? addresses[0]
        guard let text = chosen.ipAddress else { throw Refusal.unknownHost }
        return text
    }

    public static func isPublic(_ address: SocketAddress) -> Bool {
        switch address {
        case .v4(let four): isPublic(four: withUnsafeBytes(of: four.address.sin_addr, Array.init))
        case .v6(let six): isPublic(six: withUnsafeBytes(of: six.address.sin6_addr, Array.init))
        case .unixDomainSocket: false
        }
    }

    /// Networks of IPv4 that are not the public internet (IANA's special-purpose registry, multicast, reserved).
    private static let special: [(network: UInt32, bits: UInt32)] = [
        (0x0000_0000, 8), (0x0A00_0000, 8), (0x6440_0000, 10), (0x7F00_0000, 8), (0xA9FE_0000, 16), (0xAC10_0000, 12),
        (0xC000_0000, 24), (0xC000_0200, 24), (0xC058_6300, 24), (0xC0A8_0000, 16), (0xC612_0000, 15),
        (0xC633_6400, 24), (0xCB00_7100, 24), (0xE000_0000, 4), (0xF000_0000, 4),
    ]

    private static func isPublic(four bytes: [UInt8]) -> Bool {
        let value = bytes.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        return !special.contains { value >> (32 - $0.bits) == $0.network >> (32 - $0.bits) }
    }

    private static func isPublic(six bytes: [UInt8]) -> Bool {
        // An IPv4 address in IPv6 clothes counts as what it is: mapped (::ffff:0:0/96) and translated (64:ff9b::/96).
        let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]
        let translated: [UInt8] = [0x00, 0x64, 0xFF, 0x9B, 0, 0, 0, 0, 0, 0, 0, 0]
        if bytes.starts(with: mapped) || bytes.starts(with: translated) {
            return isPublic(four: Array(bytes.suffix(4)))
        }
        // Only 2000::/3 is given out; everything special outside of it (loopback, link, site, unique local, multicast) goes
        // with the rest.
        guard bytes[0] >> 5 == 1 else { return false }
        let first = UInt16(bytes[0]) << 8 | UInt16(bytes[1])
        let second = UInt16(bytes[2]) << 8 | UInt16(bytes[3])
        // 2001::/23 (Teredo, ORCHID, benchmarks), 2001:db8::/32 and 3fff::/20 (documentation), 2002::/16 (6to4).
        if first == 0x2001, second < 0x0200 || second == 0x0DB8 { return false }
        if first == 0x3FFF, second < 0x1000 { return false }
        return first != 0x2002
    }
}
