import Foundation

/// The relying party: the name passkeys are bound to, and the origin they may be used at. Both come from the address of the
/// console.
public struct PasskeySite: Sendable, Hashable {
    /// The console's host.
    public let id: String
    /// As browsers write it: scheme and host, and the port where it is not the scheme's own.
    public let origin: String

    /// Why passkeys can't be offered at an address: a sentence for whoever runs the console.
    public struct Unfit: Error, Sendable, CustomStringConvertible {
        public let description: String
    }

    /// As it was when something was signed there.
    public init(id: String, origin: String) {
        self.id = id
        self.origin = origin
    }

    public init(url: String) throws(Unfit) {
        guard let parts = URLComponents(string: url), let scheme = parts.scheme?.lowercased(),
            let host = parts.host?.lowercased(), !host.isEmpty, ["http", "https"].contains(scheme)
        else { throw Unfit(description: "Passkeys need the console's address, and \(url) is none.") }
        guard !Self.isAddress(host) else {
            throw Unfit(
                description:
                    "Passkeys are bound to a name, and the console is at the address \(host). Give it a host name in POSTERN_STAFF_URL."
            )
        }
        guard scheme == "https" || host == "localhost" || host.hasSuffix(".localhost") else {
            throw Unfit(
                description: "Browsers keep passkeys for https only. Let POSTERN_STAFF_URL begin with https://.")
        }
        let port = parts.port.flatMap { $0 == ["http": 80, "https": 443][scheme] ? nil : ":\($0)" } ?? ""
        id = host
        origin = "\(scheme)://\(host)\(port)"
    }

    /// An IPv4 or IPv6 address, which can't be a relying party.
    private static func isAddress(_ host: String) -> Bool {
        host.contains(":") || host.hasPrefix("[")
            || host.split(separator: ".", omittingEmptySubsequences: false).last.map { part in
                !part.isEmpty && part.allSatisfy(\.isNumber)
            } ?? false
    }
}
