import HTTPTypes

/// Who sent a request, seen through proxies that are trusted and through no others.
struct ClientAddress: Sendable {
    let ip: String
    /// What a trusted proxy says of the scheme; `nil` when nobody trusted said anything.
    let forwardedScheme: String?
    /// What is counted together: an IPv4 address, or the /64 that one IPv6 customer has to choose addresses from.
    var source: String {
        guard let address = IPAddress(ip), !address.isV4 else { return ip }
        return address.bytes.prefix(8).hex + "/64"
    }

    /// Walks the forwarding chain from the nearest hop outwards and stops at the first address that is no trusted
    /// proxy.
    /// - Parameters:
    ///   - peer: the address at the other end of the connection.
    ///   - header: the one that the proxies write. The other is the client's own word, which a proxy passes on as it came.
    init(
        peer: String?, headers: HTTPFields, trusting proxies: [NetworkRange],
        in header: WebConfiguration.ProxyHeader = .xForwardedFor
    ) {
        let peer = peer ?? "unknown"
        guard !proxies.isEmpty, let address = IPAddress(peer), proxies.contains(where: { $0.contains(address) }) else {
            ip = peer
            forwardedScheme = nil
            return
        }
        var chain: [String] = []
        var scheme: String?
        switch header {
        case .forwarded:
            for element in (headers[.forwarded] ?? "").split(separator: ",") {
                for pair in element.split(separator: ";") {
                    let halves = pair.split(separator: "=", maxSplits: 1)
                    guard halves.count == 2 else { continue }
                    let name = halves[0].trimmed.lowercased()
                    let value = halves[1].trimmed.filter { $0 != "\"" }
                    if name == "for" { chain.append(Self.withoutPort(value)) }
                    if name == "proto" { scheme = value.lowercased() }
                }
            }
        case .xForwardedFor:
            chain = (headers[.xForwardedFor] ?? "").split(separator: ",").map { Self.withoutPort(String($0.trimmed)) }
            scheme = headers[.xForwardedProto]?.lowercased()
        }
        var found = peer
        for hop in chain.reversed() {
            guard let address = IPAddress(hop) else { break }
            found = hop
            if !proxies.contains(where: { $0.contains(address) }) { break }
        }
        ip = found
        forwardedScheme = scheme
    }

    /// `[2001:db8::1]:443` → `2001:db8::1`, `192.0.2.1:443` → `192.0.2.1`.
    private static func withoutPort(_ text: String) -> String {
        if text.hasPrefix("[") { return String(text.dropFirst().prefix { $0 != "]" }) }
        if text.count(where: { $0 == ":" }) == 1 { return String(text.prefix { $0 != ":" }) }
        return text
    }
}

extension StringProtocol {
    /// Without spaces and tabs at both ends.
    var trimmed: SubSequence {
        var part = self[...]
        while let first = part.first, first == " " || first == "\t" { part = part.dropFirst() }
        while let last = part.last, last == " " || last == "\t" { part = part.dropLast() }
        return part
    }
}

extension HTTPField.Name {
    static let forwarded = HTTPField.Name("Forwarded")!
    static let xForwardedFor = HTTPField.Name("X-Forwarded-For")!
    static let xForwardedProto = HTTPField.Name("X-Forwarded-Proto")!
    static let xRequestID = HTTPField.Name("X-Request-Id")!
    static let idempotencyKey = HTTPField.Name("Idempotency-Key")!
    static let idempotencyReplayed = HTTPField.Name("Idempotency-Replayed")!
    static let rateLimit = HTTPField.Name("RateLimit")!
    static let rateLimitPolicy = HTTPField.Name("RateLimit-Policy")!
    static let link = HTTPField.Name("Link")!
    static let secFetchSite = HTTPField.Name("Sec-Fetch-Site")!
    static let referrerPolicy = HTTPField.Name("Referrer-Policy")!
    static let crossOriginOpenerPolicy = HTTPField.Name("Cross-Origin-Opener-Policy")!
}
