import Foundation
import Kernel
import Testing

@testable import Web

/// What a listener does with those who ask too slowly, too often, or from somewhere else.
@Suite struct ListenerLimitsTests {
    // MARK: Unknown sessions

    @Test func `many unknown tokens make their source wait, and nobody who is signed in`() async throws {
        let few = { @Sendable (configuration: inout WebConfiguration) in configuration.strangersPerMinute = 3 }
        try await Loopback.run(.sqlite, few) { loopback in
            let mine = loopback.door.token("ann", permissions: loopback.allPermissions)
            let later = loopback.door.token("bob", permissions: loopback.allPermissions)
            #expect(try await loopback.api("GET", "/probes", token: mine).status == 200)
            for _ in 0..<3 { #expect(try await loopback.api("GET", "/probes", token: "pst_nobody").status == 401) }
            let refused = try await loopback.api("GET", "/probes", token: "pst_nobody")
            #expect(refused.status == 429 && refused["Retry-After"] != nil)
            // The same source: known already, so served.
            #expect(try await loopback.api("GET", "/probes", token: mine).status == 200)
            #expect(try await loopback.api("GET", "/probes", token: later).status == 429)
            // A link costs nothing of it, and the other way round.
            #expect(try await loopback.send("GET", "/enrol?token=x").status != 429)
        }
    }

    @Test func `what is known is bounded`() {
        let acquainted = Acquainted(limit: 10)
        for number in UInt8(0)..<40 { acquainted.insert([number]) }
        #expect(acquainted.contains([39]) && !acquainted.contains([0]))
        #expect((UInt8(0)..<40).filter { acquainted.contains([$0]) }.count <= 12)
        acquainted.remove([39])
        #expect(!acquainted.contains([39]))
    }

    // MARK: Slow requests

    @Test func `a request that does not arrive whole is cut off, and a kept connection is not`() async throws {
        let short = { @Sendable (configuration: inout WebConfiguration) in
            configuration.requestTime = .milliseconds(600)
        }
        try await Loopback.run(.sqlite, short) { loopback in
            let port = loopback.port(.staff)
            let slow = try RawConnection(port: port)
            try slow.send("POST /api/v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{\"email\"")
            let kept = try RawConnection(port: port)
            for _ in 0..<3 {
                try kept.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                #expect(try kept.read(seconds: 20)?.contains("200 OK") == true)
                try await Task.sleep(for: .milliseconds(500))
            }
            // Longer than the limit in all, but each request came at once.
            #expect(try slow.isClosed(seconds: 20))
        }
    }

    @Test func `an export that is not read gives its place back`() async throws {
        let short = { @Sendable (configuration: inout WebConfiguration) in
            configuration.exportPieceTime = .milliseconds(600)
        }
        try await Loopback.run(.sqlite, short) { loopback in
            let token = loopback.door.token("ann", permissions: loopback.allPermissions + ["audit.export"])
            loopback.log.isEndless.withLock { $0 = true }
            let port = loopback.port(.staff)
            let silent = try [RawConnection(port: port), RawConnection(port: port)]
            for connection in silent {
                try connection.send(
                    "GET /api/v1/audit-events/export HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \(token)\r\n\r\n"
                )
            }
            func ended() async throws -> [JSON] {
                try await loopback.api("GET", "/audit-events?action=export.end", token: token).json["items"]?.array
                    ?? []
            }
            var events: [JSON] = []
            for _ in 0..<1600 where events.count < 2 {
                try await Task.sleep(for: .milliseconds(25))
                events = try await ended()
            }
            #expect(events.count == 2)
            for event in events {
                let path = "/audit-events/\(event["id"]?.string ?? "")"
                let leaf = try await loopback.api("GET", path, token: token).json["leaf"]
                #expect(leaf?["outcome"]?.string == "failed" && leaf?["facts"]?["reason"]?.string == "not_read")
            }
            // Both places are free again.
            loopback.log.isEndless.withLock { $0 = false }
            #expect(try await loopback.api("GET", "/audit-events/export", token: token).status == 200)
            for connection in silent { #expect(try connection.isCut(seconds: 20)) }
        }
    }

    // MARK: Origins

    @Test(arguments: [
        ("https://postern.example.com", "https://postern.example.com", "postern.example.com", true),
        ("https://Postern.Example.com:443", "https://postern.example.com", "postern.example.com", true),
        ("https://postern.example.com/", "http://postern.example.com", "postern.example.com", false),
        // Somebody else's name may point here.
        ("https://postern.example.com", "https://evil.example", "evil.example", false),
        ("http://localhost:8080", "http://evil.example:8080", "evil.example:8080", false),
        ("http://localhost:8080", "http://127.0.0.1:8080", "127.0.0.1:8080", true),
        ("http://localhost:8080", "http://[::1]:8080", "[::1]:8080", true),
        ("http://localhost:8080", "http://127.0.0.1:9999", "localhost:8080", false),
        ("http://localhost:8080", "null", "localhost:8080", false),
        ("http://localhost:8080", "", "localhost:8080", false),
    ])
    func `a form's origin is the console's own`(staffURL: String, origin: String, host: String, isOwn: Bool) {
        #expect(WebConfiguration(staffURL: staffURL).isOwn(origin: origin, authority: host) == isOwn)
    }
}

/// A connection whose bytes the test chooses.
private final class RawConnection {
    private let descriptor: Int32

    struct Failure: Error { let what: String }

    init(port: Int) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let code = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard code == 0 else { throw Failure(what: "connect") }
    }

    deinit { close(descriptor) }

    func send(_ text: String) throws {
        let bytes = Array(text.utf8)
        guard write(descriptor, bytes, bytes.count) == bytes.count else { throw Failure(what: "write") }
    }

    /// What comes next; `nil` at the end of the connection.
    func read(seconds: Int) throws -> String? {
        var timeout = timeval(tv_sec: seconds, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = Foundation.read(descriptor, &buffer, buffer.count)
        if count < 0 {
            if errno == ECONNRESET { return nil }
            throw Failure(what: "nothing came within \(seconds) s")
        }
        return count == 0 ? nil : String(decoding: buffer[..<count], as: UTF8.self)
    }

    /// Whether what is left to read ends without the end of an answer.
    func isCut(seconds: Int) throws -> Bool {
        var last = ""
        while let text = try read(seconds: seconds) { last = text }
        return !last.hasSuffix("0\r\n\r\n")
    }

    func isClosed(seconds: Int) throws -> Bool {
        while let text = try read(seconds: seconds) { if text.isEmpty { break } }
        return true
    }
}
