import Connectors
import Kernel
import NIOCore
import NIOPosix
import Synchronization
import Testing

/// The courier against a receiver on a port of its own.
@Suite struct WebhookCourierTests {
    private static let secret = [UInt8](repeating: 7, count: 32)

    /// Answers each connection with `reply` and keeps what it was sent; without a reply it hangs.
    final class Receiver: Sendable {
        let port: Int
        private let channel: any Channel
        private let log: Log

        init(_ reply: String?) async throws {
            let received = Log()
            let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(Answer(reply, received))
                    }
                }
                .bind(host: "127.0.0.1", port: 0).get()
            self.channel = channel
            self.port = channel.localAddress?.port ?? 0
            log = received
        }

        var requests: [String] { log.lines.withLock { $0 } }
        func close() async throws { try await channel.close() }

        final class Log: Sendable { let lines = Mutex<[String]>([]) }

        final class Answer: ChannelInboundHandler {
            typealias InboundIn = ByteBuffer
            typealias OutboundOut = ByteBuffer
            private let reply: String?
            private let log: Log
            private var text = ""
            init(_ reply: String?, _ log: Log) {
                self.reply = reply
                self.log = log
            }

            func channelRead(context: ChannelHandlerContext, data: NIOAny) {
                text += String(buffer: unwrapInboundIn(data))
                guard let end = text.firstRange(of: "\r\n\r\n"), text[end.upperBound...].hasSuffix("}") else { return }
                let text = text
                log.lines.withLock { $0.append(text) }
                self.text = ""
                guard let reply else { return }
                context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: reply)), promise: nil)
            }
        }
    }

    private func deliver(
        to url: String, allowsPrivate: Bool = true, timeout: Span = .seconds(15)
    ) async throws -> SendOutcome {
        let master = try MasterKey(parsing: MasterKey.generate())
        var settings = WebhookCourier.Settings()
        settings.allowsPrivate = allowsPrivate
        settings.timeout = timeout
        let courier = WebhookCourier(masterKey: master, settings: settings)
        return await courier.deliver(
            Parcel(
                delivery: "dlv_1", lane: "lane", lease: "lease", attempt: 1, operation: "op_1", endpoint: "whk_1",
                url: url,
                sealedSecrets: [master.seal(Self.secret, context: "webhook:whk_1")], sealContext: "webhook:whk_1",
                body: Array(#"{"specversion":"1.0"}"#.utf8)))
    }

    private func answer(_ status: String, _ headers: String = "", _ body: String = "") -> String {
        "HTTP/1.1 \(status)\r\n\(headers)content-length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    @Test func `a notice carries its id, its time and a signature over the exact body`() async throws {
        let receiver = try await Receiver(answer("204 No Content"))
        #expect(try await deliver(to: "http://127.0.0.1:\(receiver.port)/in?x=1") == .delivered(status: 204))
        let request = try #require(receiver.requests.first)
        #expect(request.hasPrefix("POST /in?x=1 HTTP/1.1\r\n"))
        func header(_ name: String) -> String {
            request.split(separator: "\r\n").first { $0.lowercased().hasPrefix("\(name): ") }
                .map { String($0.dropFirst(name.count + 2)) } ?? ""
        }
        #expect(header("webhook-id") == "dlv_1" && header("content-type") == "application/cloudevents+json")
        let expected = WebhookSignature.header(
            id: "dlv_1", timestamp: Int64(header("webhook-timestamp")) ?? 0,
            body: Array(#"{"specversion":"1.0"}"#.utf8), secrets: [Self.secret])
        #expect(header("webhook-signature") == expected)
        try await receiver.close()
    }

    @Test func `a redirect is not followed`() async throws {
        let inner = try await Receiver(answer("200 OK"))
        let outer = try await Receiver(
            answer("302 Found", "location: http://127.0.0.1:\(inner.port)/\r\n"))
        guard case .failed(302, _, _) = try await deliver(to: "http://127.0.0.1:\(outer.port)/") else {
            Issue.record("a redirect counted as something else")
            return
        }
        #expect(inner.requests.isEmpty)
        try await inner.close()
        try await outer.close()
    }

    @Test(arguments: [
        ("500 Internal Server Error", Int64(500)), ("429 Too Many Requests", 429), ("404 Not Found", 404),
    ])
    func `any other answer is a failure`(line: String, status: Int64) async throws {
        let receiver = try await Receiver(answer(line))
        #expect(
            try await deliver(to: "http://127.0.0.1:\(receiver.port)/")
                == .failed(status: status, note: "Answered \(status)"))
        try await receiver.close()
    }

    @Test(arguments: [("120", Span.seconds(120)), ("999999999999999", .hours(8))])
    func `a receiver may say when to come again, within bounds`(said: String, wait: Span) async throws {
        let receiver = try await Receiver(answer("503 Service Unavailable", "retry-after: \(said)\r\n"))
        #expect(
            try await deliver(to: "http://127.0.0.1:\(receiver.port)/")
                == .failed(status: 503, note: "Answered 503", retryAfter: wait))
        try await receiver.close()
    }

    @Test func `410 means gone`() async throws {
        let receiver = try await Receiver(answer("410 Gone"))
        #expect(try await deliver(to: "http://127.0.0.1:\(receiver.port)/") == .gone)
        try await receiver.close()
    }

    @Test func `one that hangs is left after the timeout`() async throws {
        let receiver = try await Receiver(nil)
        #expect(
            try await deliver(to: "http://127.0.0.1:\(receiver.port)/", timeout: .seconds(1))
                == .failed(status: nil, note: "No answer within 1 seconds"))
        #expect(receiver.requests.count == 1)
        try await receiver.close()
    }

    @Test func `one that never stops answering counts by its status`() async throws {
        let receiver = try await Receiver(
            "HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n" + String(repeating: "x", count: 100_000))
        #expect(try await deliver(to: "http://127.0.0.1:\(receiver.port)/") == .delivered(status: 200))
        try await receiver.close()
    }

    @Test func `one that speaks no HTTP is a failure`() async throws {
        let receiver = try await Receiver("220 mail.example.com ESMTP\r\n")
        guard case .failed(nil, _, _) = try await deliver(to: "http://127.0.0.1:\(receiver.port)/") else {
            Issue.record("nonsense counted as an answer")
            return
        }
        try await receiver.close()
    }

    @Test func `this machine and plain http are refused unless allowed`() async throws {
        let receiver = try await Receiver(answer("200 OK"))
        for host in ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]", "127.1"] {
            let outcome = try await deliver(to: "https://\(host):\(receiver.port)/", allowsPrivate: false)
            guard case .failed(nil, let note, _) = outcome, note.contains("not a public address") else {
                Issue.record("\(host): \(outcome)")
                continue
            }
        }
        #expect(
            try await deliver(to: "http://9.9.9.9/", allowsPrivate: false)
                == .failed(status: nil, note: "Plain http is used only where private addresses are allowed"))
        #expect(receiver.requests.isEmpty)
        try await receiver.close()
    }

    @Test func `other spellings of this machine reach the address that was checked`() async throws {
        let receiver = try await Receiver(answer("200 OK"))
        for host in ["localhost", "2130706433"] {
            #expect(try await deliver(to: "http://\(host):\(receiver.port)/") == .delivered(status: 200), "\(host)")
        }
        try await receiver.close()
    }
}
