import HTTPTypes
import Hummingbird
import Kernel
import Testing

@testable import Web

@Suite struct ReadingTests {
    @Test(arguments: [
        ("abc", "abc"), ("\"abc\"", "abc"), ("  \"a-b_c:1\" ", "a-b_c:1"), (#""a\"b\\c""#, #"a"b\c"#),
        (String(repeating: "k", count: 255), String(repeating: "k", count: 255)),
    ])
    func `an idempotency key is read bare and quoted`(text: String, key: String) throws {
        #expect(try IdempotencyKey.read(text) == key)
    }

    @Test(arguments: [
        "", "\"\"", "\"abc", "a b", "\"a b\"", "\"abc\";x=1", "ключ", "\"a\\b\"", "a\tb",
        String(repeating: "k", count: 256),
    ])
    func `a malformed idempotency key is refused`(text: String) {
        #expect { try IdempotencyKey.read(text) } throws: { error in
            if case OperationError.keyMalformed = error { true } else { false }
        }
    }

    @Test func `an absent idempotency key is absent`() throws {
        #expect(try IdempotencyKey.read(nil) == nil)
    }

    @Test func `If-Match takes one strong tag`() throws {
        #expect(try ETag.version(ifMatch: nil) == nil)
        #expect(try ETag.version(ifMatch: "*") == nil)
        #expect(try ETag.version(ifMatch: "\"7\"") == 7)
        for other in ["W/\"7\"", "\"abc\"", "\"07\"", "\"-7\"", "\"\""] {
            #expect(try ETag.version(ifMatch: other) == -1, "\(other) matches no version")
        }
        for malformed in ["7", "\"7", "\"7\", \"8\""] {
            #expect(throws: Problem.self) { try ETag.version(ifMatch: malformed) }
        }
    }

    @Test func `percent escapes are decoded strictly`() {
        #expect(URLText.decode("a%20b") == "a b")
        #expect(URLText.decode("a+b") == "a+b")
        #expect(URLText.decode("a+b", plusIsSpace: true) == "a b")
        #expect(URLText.decode("%E2%82%AC") == "€")
        for broken in ["%", "%2", "%zz", "%ff", "%00", "a%E2%82"] {
            #expect(URLText.decode(broken) == nil, "\(broken)")
        }
    }

    @Test func `form fields keep their repetitions and their order`() throws {
        let fields = try #require(URLText.fields("a=1&b=x%3Dy&a=2&c&=3"))
        #expect(fields["a"] == ["1", "2"])
        #expect(fields["b"] == ["x=y"])
        #expect(fields["c"] == [""])
        #expect(URLText.fields("a=%ff") == nil)
        #expect(URLText.query(["b": ["2"], "a": ["x y", "z"]]) == "a=x%20y&a=z&b=2")
    }

    @Test func `a network range holds its addresses and no others`() throws {
        let cases: [(range: String, inside: [String], outside: [String])] = [
            ("10.0.0.0/8", ["10.1.2.3", "::ffff:10.9.9.9"], ["11.0.0.1", "::1"]),
            ("192.0.2.7", ["192.0.2.7"], ["192.0.2.8"]), ("0.0.0.0/0", ["203.0.113.9"], ["2001:db8::1"]),
            ("2001:db8::/33", ["2001:db8:7fff::1"], ["2001:db8:8000::1"]),
        ]
        for (range, inside, outside) in cases {
            let network = try #require(NetworkRange(range))
            for text in inside { #expect(IPAddress(text).map(network.contains) == true, "\(text) in \(range)") }
            for text in outside { #expect(IPAddress(text).map(network.contains) == false, "\(text) not in \(range)") }
        }
        for wrong in ["10.0.0.0/33", "10.0.0", "host", "::/129", "10.0.0.0/-1", ""] {
            #expect(NetworkRange(wrong) == nil)
        }
    }

    @Test func `forwarding headers count only from trusted proxies`() throws {
        let proxies = [try #require(NetworkRange("10.0.0.0/8"))]
        func client(_ peer: String, _ headers: HTTPFields) -> ClientAddress {
            ClientAddress(peer: peer, headers: headers, trusting: proxies)
        }
        let spoofed: HTTPFields = [.xForwardedFor: "1.2.3.4, 198.51.100.7, 10.0.0.9", .xForwardedProto: "https"]
        #expect(client("203.0.113.5", spoofed).ip == "203.0.113.5")
        #expect(client("203.0.113.5", spoofed).forwardedScheme == nil)
        // The nearest hop that is no proxy of ours; what stands before it may be invented.
        #expect(client("10.0.0.1", spoofed).ip == "198.51.100.7")
        #expect(client("10.0.0.1", spoofed).forwardedScheme == "https")
        #expect(client("10.0.0.1", [.xForwardedFor: "unknown"]).ip == "10.0.0.1")
    }

    @Test func `only the header that the proxies write is read`() throws {
        let proxies = [try #require(NetworkRange("10.0.0.0/8"))]
        func client(_ headers: HTTPFields, in header: WebConfiguration.ProxyHeader) -> ClientAddress {
            ClientAddress(peer: "10.0.0.1", headers: headers, trusting: proxies, in: header)
        }
        let standard: HTTPFields = [.forwarded: "for=1.1.1.1, for=\"[2001:db8::7]:443\";proto=https"]
        #expect(client(standard, in: .forwarded).ip == "2001:db8::7")
        #expect(client(standard, in: .forwarded).forwardedScheme == "https")
        // The proxy appends to one of them and passes the other on as the client wrote it.
        let appended: HTTPFields = [
            .forwarded: "for=192.0.2.9;proto=https", .xForwardedFor: "1.1.1.1, 203.0.113.7", .xForwardedProto: "http",
        ]
        #expect(client(appended, in: .xForwardedFor).ip == "203.0.113.7")
        #expect(client(appended, in: .xForwardedFor).forwardedScheme == "http")
        let other: HTTPFields = [
            .forwarded: "for=1.1.1.1, for=203.0.113.7;proto=http", .xForwardedFor: "192.0.2.9",
            .xForwardedProto: "https",
        ]
        #expect(client(other, in: .forwarded).ip == "203.0.113.7")
        #expect(client(other, in: .forwarded).forwardedScheme == "http")
        // Without its own header a request is of the proxy.
        #expect(client([.forwarded: "for=192.0.2.9"], in: .xForwardedFor).ip == "10.0.0.1")
        #expect(client([.xForwardedFor: "192.0.2.9"], in: .forwarded).ip == "10.0.0.1")
    }

    @Test func `one customer's IPv6 addresses are counted together`() {
        func source(_ ip: String) -> String { ClientAddress(peer: ip, headers: [:], trusting: []).source }
        #expect(source("2001:db8:1:2::1") == source("2001:db8:1:2:ffff::9"))
        #expect(source("2001:db8:1:2::1") != source("2001:db8:1:3::1"))
        #expect(source("192.0.2.1") != source("192.0.2.2"))
        #expect(source("::ffff:192.0.2.1") != source("::ffff:192.0.2.2"))
    }

    @Test func `a sealed form opens only here, for its purpose and in its time`() throws {
        let clock = ManualClock(Instant(microseconds: 0))
        let seal = FormSeal(key: [UInt8](repeating: 1, count: 32), clock: clock.clock)
        let sealed = seal.seal(["a": "b"], for: .form, lasting: .minutes(1))
        #expect(seal.open(sealed, for: .form) == ["a": "b"])
        #expect(seal.open(sealed, for: .enrolment) == nil)
        #expect(FormSeal(key: [UInt8](repeating: 2, count: 32), clock: clock.clock).open(sealed, for: .form) == nil)
        var other = Array(sealed.utf8)
        other[20] ^= 1
        #expect(seal.open(String(decoding: other, as: UTF8.self), for: .form) == nil)
        clock.advance(.minutes(2))
        #expect(seal.open(sealed, for: .form) == nil)
    }

    @Test func `an empty bucket refuses and fills again`() {
        let clock = ManualClock(Instant(microseconds: 0))
        let limiter = RateLimiter("session", perMinute: 2, clock: clock.clock)
        #expect(limiter.take("a")?.retryAfter == nil)
        #expect(limiter.take("a")?.retryAfter == nil)
        #expect(limiter.take("a")?.retryAfter == .seconds(30))
        #expect(limiter.take("b")?.retryAfter == nil)
        clock.advance(.seconds(30))
        #expect(limiter.take("a")?.retryAfter == nil)
        #expect(limiter.take("a")?.retryAfter != nil)
    }

    @Test func `literal segments win and other methods are named`() throws {
        func route(_ method: HTTPRequest.Method, _ template: String) -> Route {
            Route(method, template, .api) { _ in .noContent() }
        }
        let table = RouteTable([
            route(.get, "/tenants/{id}"), route(.get, "/tenants/new"), route(.post, "/tenants/{id}/suspend"),
            route(.get, "/tenants/{id}/users"), route(.get, "/log/tile/{level}/{path...}"),
            route(.get, "/log/tile/entries/{path...}"), route(.get, "/"),
        ])
        func template(_ method: HTTPRequest.Method, _ path: [String]) -> String {
            switch table.match(method, path) {
            case .found(let route, _): route.template
            case .otherMethods(let methods): "405 " + methods.map(\.rawValue).joined(separator: " ")
            case .none: "404"
            }
        }
        #expect(template(.get, ["tenants", "new"]) == "/tenants/new")
        #expect(template(.get, ["tenants", "ten_1"]) == "/tenants/{id}")
        #expect(template(.get, ["tenants", "new", "users"]) == "/tenants/{id}/users")
        #expect(template(.head, ["tenants", "ten_1"]) == "/tenants/{id}")
        #expect(template(.get, ["tenants", "ten_1", "suspend"]) == "405 POST")
        #expect(template(.delete, ["tenants", "ten_1"]) == "405 GET HEAD")
        #expect(template(.get, ["nothing"]) == "404")
        #expect(template(.get, ["tenants", ""]) == "404")
        #expect(template(.get, []) == "/")
        #expect(template(.get, ["log", "tile", "entries", "x001", "000"]) == "/log/tile/entries/{path...}")
        guard case .found(_, let parameters) = table.match(.get, ["log", "tile", "0", "x001", "067.p", "3"]) else {
            Issue.record("no tile route")
            return
        }
        #expect(parameters == ["level": "0", "path": "x001/067.p/3"])
    }

    @Test func `redirects stay on this console`() {
        for path in ["/", "/tenants/ten_1?tab=users", "/resume?form=abc"] {
            #expect(StaffConsole.localPath(path) == path)
        }
        for other in ["//evil.example", "https://evil.example", "/\\evil.example", "tenants", "/a\nb", "/a b", ""] {
            #expect(StaffConsole.localPath(other) == nil, "\(other)")
        }
    }

    @Test func `every problem has a page of its own`() {
        let slugs = Problem.Kind.all.map(\.slug)
        #expect(Set(slugs).count == slugs.count)
        #expect(slugs.allSatisfy { $0.wholeMatch(of: /[a-z-]+/) != nil })
    }
}
