import Foundation
import Kernel

/// The four doors of a Postern server. Each can be opened alone.
public enum ListenerName: String, Sendable, CaseIterable {
    /// The console and `/api/v1`.
    case staff
    /// The published log; later the auditors' portal.
    case auditor
    /// What products talk to: `/runtime/v1`.
    case runtime
    /// Prometheus, for the inside only.
    case metrics

    /// 8080 to 8083.
    public var defaultPort: Int {
        switch self {
        case .staff: 8080
        case .auditor: 8081
        case .runtime: 8082
        case .metrics: 8083
        }
    }

    /// The environment variable that moves it.
    public var portVariable: String { "POSTERN_\(rawValue.uppercased())_PORT" }
}

/// Everything the listeners need to know that is not code.
public struct WebConfiguration: Sendable {
    public enum Environment: String, Sendable, CaseIterable {
        case demo, staging, production
    }

    public struct Address: Sendable, Hashable {
        /// An address or host name to bind to; loopback by default.
        public var host: String
        /// 0 lets the system choose.
        public var port: Int
        public init(host: String = "127.0.0.1", port: Int) {
            self.host = host
            self.port = port
        }
    }

    /// PEM files.
    public struct TLSFiles: Sendable, Hashable {
        public var certificate: String
        public var key: String
        public init(certificate: String, key: String) {
            self.certificate = certificate
            self.key = key
        }
    }

    /// The header in which trusted proxies say whom a request comes from.
    public enum ProxyHeader: String, Sendable {
        case xForwardedFor = "x-forwarded-for"
        /// RFC 7239.
        case forwarded
    }

    public var environment: Environment
    /// How people call this installation, shown at sign-in: "Northwind Cloud".
    public var deployment: String
    /// Where each listener stands. A listener that is not here is not opened.
    public var addresses: [ListenerName: Address]
    /// `nil`: plain HTTP, for loopback or behind a proxy that ends TLS.
    public var tls: TLSFiles?
    /// Peers who are believed about where a request comes from.
    public var trustedProxies: [NetworkRange]
    /// Where they say it. The other header is ignored: what stands there is the client's.
    public var trustedProxyHeader: ProxyHeader
    /// When not empty, only these may reach the staff listener; others are answered 403.
    public var staffNetworks: [NetworkRange]
    /// How people reach the console: `https://postern.example.com`. Decides the cookie and the accepted `Origin`.
    public var staffURL: String
    /// How many requests one session, or one source before sign-in, may make in a minute; 0 = no limit.
    public var requestsPerMinute: Int
    /// How many requests one service account or assistant may make in a minute; 0 = no limit.
    public var accountRequestsPerMinute: Int
    /// How many sign-in attempts one source may make in a minute; 0 = no limit.
    public var signInsPerMinute: Int
    /// How many tokens of no session one source may show in a minute; 0 = no limit.
    public var strangersPerMinute: Int
    /// How many connections each listener holds at once; further ones wait in the system's queue.
    public var connectionsPerListener: Int
    /// How many browsers hear live at once; further ones ask now and then. Each is a connection.
    public var streams: Int
    /// How long a request may take to arrive, from its head to the end of its body.
    public var requestTime: Span
    /// How long requests in hand may take to end once the server stops.
    public var stopTime: Span

    /// How long a file goes on before it is asked again whether whoever takes it still may.
    public var exportLookTime: Span = .seconds(2)
    /// How long whoever takes a file may take for one piece of it, 64 KiB at most.
    public var exportPieceTime: Span = .seconds(30)

    /// Paths of the staff listener that are open beyond `staffNetworks`: what is asked there is signed, or is whether this
    /// server can be sent to, which a balancer asks that stands in none of them.
    public var openPaths = Health.paths

    public init(
        environment: Environment = .production, deployment: String = "Postern",
        addresses: [ListenerName: Address]? = nil, tls: TLSFiles? = nil,
        trustedProxies: [NetworkRange] = [], trustedProxyHeader: ProxyHeader = .xForwardedFor,
        staffNetworks: [NetworkRange] = [], staffURL: String = "http://localhost:8080", requestsPerMinute: Int = 60_000,
        accountRequestsPerMinute: Int = 1200, signInsPerMinute: Int = 120,
        strangersPerMinute: Int = 600, connectionsPerListener: Int = 1024, streams: Int = 512,
        requestTime: Span = .seconds(30), stopTime: Span = .milliseconds(1500)
    ) {
        self.environment = environment
        self.deployment = deployment
        self.addresses =
            addresses
            ?? Dictionary(uniqueKeysWithValues: ListenerName.allCases.map { ($0, Address(port: $0.defaultPort)) })
        self.tls = tls
        self.trustedProxies = trustedProxies
        self.trustedProxyHeader = trustedProxyHeader
        self.staffNetworks = staffNetworks
        self.staffURL = staffURL
        self.requestsPerMinute = requestsPerMinute
        self.accountRequestsPerMinute = accountRequestsPerMinute
        self.signInsPerMinute = signInsPerMinute
        self.strangersPerMinute = strangersPerMinute
        self.connectionsPerListener = connectionsPerListener
        self.streams = streams
        self.requestTime = requestTime
        self.stopTime = stopTime
    }

    /// True when the staff realm may use `__Host-` cookies: always, except when the console is reached by plain HTTP
    /// on a name that browsers don't treat as secure (an address such as 127.0.0.1). There a cookie without `Secure`
    /// is used; only the demo is served so.
    public var usesSecureCookies: Bool {
        guard let url = URLComponents(string: staffURL), url.scheme == "http" else { return true }
        let host = (url.host ?? "").lowercased()
        return host == "localhost" || host.hasSuffix(".localhost")
    }

    /// Refuses whoever may not show a staff token from where they are.
    func checkStaffNetwork(_ client: ClientAddress) throws(Problem) {
        guard !staffNetworks.isEmpty else { return }
        if let address = IPAddress(client.ip), staffNetworks.contains(where: { $0.contains(address) }) { return }
        throw Problem(
            .networkRefused,
            "Staff are not let in from \(client.ip). Use the company’s network or VPN, or ask whoever runs the server to list this address in staff_networks."
        )
    }

    /// Scheme and authority of `staffURL`.
    var staffOrigin: String { Self.origin(of: staffURL)?.text ?? staffURL }

    /// True for the origin of the console itself: that of `staffURL`, and while this is a loopback address, whichever name
    /// of loopback was called. What a request says of its own host proves nothing beyond that: a name of somebody else's
    /// may point here.
    func isOwn(origin: String, authority: String) -> Bool {
        let loopback: Set = ["localhost", "127.0.0.1", "[::1]", "::1"]
        guard let own = Self.origin(of: staffURL) else { return false }
        if origin == own.text { return true }
        guard loopback.contains(own.host), let asked = Self.origin(of: origin), loopback.contains(asked.host) else {
            return false
        }
        return asked.text == "http://\(authority)" || asked.text == "https://\(authority)"
    }

    private static func origin(of url: String) -> (text: String, host: String)? {
        guard let parts = URLComponents(string: url), let scheme = parts.scheme?.lowercased(),
            let host = parts.host?.lowercased()
        else { return nil }
        // As browsers write an Origin: without the scheme's own port.
        let port = parts.port.flatMap { $0 == ["http": 80, "https": 443][scheme] ? nil : ":\($0)" } ?? ""
        return ("\(scheme)://\(host)\(port)", host)
    }

    /// The name of the staff realm's session cookie.
    public var sessionCookie: String { usesSecureCookies ? "__Host-postern_staff" : "postern_staff" }
    /// The name of the cookie that protects the sign-in form, where there is no session yet.
    var formCookie: String { usesSecureCookies ? "__Host-postern_form" : "postern_form" }

    /// True when browsers reach the console by TLS, so that `Strict-Transport-Security` may be sent.
    var isReachedByTLS: Bool { tls != nil || staffURL.hasPrefix("https://") }
}
