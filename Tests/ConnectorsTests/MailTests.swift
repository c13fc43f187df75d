import Foundation
import Kernel
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import Connectors

/// How mails are written, and what a server without TLS gets to hear.
@Suite struct MailTests {
    private static let from = Mailbox("Postern <postern@console.example>")!

    private func mail(_ subject: String = "Your password was changed", _ text: String = "Hello.\n") -> [String] {
        let bytes = MailFormat.bytes(
            MailMessage(to: "mira@example.com", subject: subject, text: text, html: "<p>Hello.</p>"), from: Self.from,
            id: "dlv_1", at: Instant(rfc3339: "2026-11-26T09:05:03Z")!)
        return String(decoding: bytes, as: UTF8.self).components(separatedBy: "\r\n")
    }

    @Test func `a mail has what a mail needs`() throws {
        let lines = mail()
        let head = lines.prefix { !$0.isEmpty }
        #expect(
            Array(head.prefix(7)) == [
                "Date: Thu, 26 Nov 2026 09:05:03 +0000", "From: Postern <postern@console.example>",
                "To: mira@example.com", "Subject: Your password was changed", "Message-ID: <dlv_1@console.example>",
                "Auto-Submitted: auto-generated", "MIME-Version: 1.0",
            ])
        #expect(
            lines.filter { $0.hasPrefix("Content-Type: text/") } == [
                "Content-Type: text/plain; charset=utf-8", "Content-Type: text/html; charset=utf-8",
            ])
        #expect(mail() == lines, "the same mail is another one the second time")
    }

    @Test(arguments: [
        "Änderung an Ihrem Konto", "a\r\nBcc: evil@example.com", "=?UTF-8?B?xyz?=", String(repeating: "ü", count: 200),
        String(repeating: "a", count: 300), "e" + String(repeating: "\u{301}", count: 80), "家族の👨‍👩‍👧‍👦です",
    ])
    func `a subject of any kind is one header, and reads as it was written`(subject: String) throws {
        let lines = mail(subject)
        let start = try #require(lines.firstIndex { $0.hasPrefix("Subject: ") })
        let folded = lines[(start + 1)...].prefix { $0.hasPrefix(" ") }
        #expect(lines[start + folded.count + 1].hasPrefix("Message-ID: "))
        #expect(!lines.contains { $0.hasPrefix("Bcc") })
        var read: [UInt8] = []
        for line in [String(lines[start].dropFirst("Subject: ".count))] + folded.map({ String($0.dropFirst()) }) {
            #expect(line.utf8.count <= 76 && line.utf8.allSatisfy { (0x20...0x7E).contains($0) })
            let word = try #require(line.wholeMatch(of: /=\?UTF-8\?B\?([A-Za-z0-9+\/=]+)\?=/))
            read += try #require(Base64.decode(String(word.1)))
        }
        #expect(String(decoding: read, as: UTF8.self).unicodeScalars.elementsEqual(subject.unicodeScalars))
    }

    @Test func `a body of any kind comes through, in short lines`() throws {
        let text = "Größe = 5 \n.\nFrom here \(String(repeating: "long ", count: 60))\nmarks: \t\u{7F}é€👍\n\n"
        let lines = MailFormat.quotedPrintable(text)
        #expect(lines.allSatisfy { $0.utf8.count <= 76 && $0.utf8.allSatisfy { (0x20...0x7E).contains($0) } })
        #expect(lines.allSatisfy { !$0.hasSuffix(" ") && !$0.contains("=_") })
        var bytes: [UInt8] = []
        for line in lines {
            let goesOn = line.hasSuffix("=")
            var rest = Array(line.utf8)[...]
            if goesOn { rest = rest.dropLast() }
            while let byte = rest.popFirst() {
                if byte == UInt8(ascii: "=") {
                    bytes.append(try #require(UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)))
                    rest = rest.dropFirst(2)
                } else {
                    bytes.append(byte)
                }
            }
            if !goesOn { bytes.append(UInt8(ascii: "\n")) }
        }
        #expect(String(decoding: bytes.dropLast(), as: UTF8.self) == text)
    }

    @Test func `an address is taken or refused`() {
        for good in [
            "a@b.example", "a.b+c@b-c.example", "Postern <p@b.example>", "\"Back Office\" <p@b.example>", "p@localhost",
        ] {
            #expect(Mailbox(good) != nil, "\(good)")
        }
        for bad in [
            "", "a", "@b", "a@", "a@b@c", "a b@c", "a@b\r\nBcc: x@y", "x\r\nBcc: a@b <a@b>", "<a@b> c", "a@-b", "a@b-",
            "a..b@c", ".a@c", "ä@c", "a@ü.example", "a@b,c@d", "<a@b>>",
        ] {
            #expect(Mailbox(bad) == nil, "\(bad)")
        }
    }

    /// Says yes to everything, and offers no TLS.
    private final class Plain: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        private let lines: Heard
        private let answers: Bool
        init(_ lines: Heard, answers: Bool) { (self.lines, self.answers) = (lines, answers) }

        final class Heard: Sendable { let text = Mutex("") }

        func channelActive(context: ChannelHandlerContext) {
            if answers { context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: "220 here\r\n")), promise: nil) }
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let text = String(buffer: unwrapInboundIn(data))
            lines.text.withLock { $0 += text }
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: "250 yes\r\n")), promise: nil)
        }
    }

    private func server(answers: Bool = true) async throws -> (channel: any Channel, port: Int, heard: Plain.Heard) {
        let heard = Plain.Heard()
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Plain(heard, answers: answers))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return (channel, channel.localAddress?.port ?? 0, heard)
    }

    private func courier(port: Int, timeout: Span = .seconds(20)) -> MailCourier {
        var settings = MailCourier.Settings(url: "smtp://127.0.0.1:\(port)", from: Self.from)
        settings.user = "postern"
        settings.password = "only-for-tests"
        settings.timeout = timeout
        return MailCourier(settings)
    }

    private func parcel(_ message: MailMessage?) -> Parcel {
        Parcel(
            channel: .mail, delivery: "dlv_1", lane: "mail:stf_1:", lease: "lease", attempt: 1, operation: "",
            endpoint: "mail", body: message?.body ?? [])
    }

    private static let message = MailMessage(
        to: "mira@example.com", subject: "Hello", text: "Hello", html: "<p>Hello</p>")

    @Test func `a server without TLS hears neither password nor mail`() async throws {
        let (channel, port, heard) = try await server()
        #expect(
            await courier(port: port).deliver(parcel(Self.message))
                == .failed(status: nil, note: "The mail server offers no STARTTLS"))
        let text = heard.text.withLock { $0 }
        #expect(text.hasPrefix("EHLO console.example\r\n"))
        #expect(!text.contains("AUTH") && !text.contains("MAIL FROM") && !text.contains("mira"))
        try await channel.close()
    }

    @Test func `a server that is silent is left after the timeout, and at once when the worker stops`() async throws {
        let (channel, port, _) = try await server(answers: false)
        #expect(
            await courier(port: port, timeout: .seconds(1)).deliver(parcel(Self.message))
                == .failed(status: nil, note: "The mail server did not answer within 1 seconds"))
        let courier = courier(port: port)
        let parcel = parcel(Self.message)
        let clock = ContinuousClock()
        let task = Task { await courier.deliver(parcel) }
        try await Task.sleep(for: .milliseconds(100))
        let began = clock.now
        task.cancel()
        #expect(await task.value == .interrupted)
        // Not after the twenty seconds it would wait for the server.
        #expect(clock.now - began < .seconds(10))
        try await channel.close()
    }

    @Test(
        arguments: [
            (["550 No such user"], "RCPT", true), (["550"], "RCPT", true), (["551 5.1.6 moved"], "RCPT", true),
            (["553 5.1.3 no address"], "RCPT", true), (["550-5.1.1 No such", "550 5.1.1 user"], "RCPT", true),
            (["550-5.2.1 Disabled", "550 by its owner"], "RCPT", true), (["550 5.0.0 no"], "RCPT", true),
            // The sender, the connection, the mailbox's size, and what comes before and after the recipient.
            (["550 5.7.1 Client host rejected"], "RCPT", false), (["553 5.7.1 not your address"], "RCPT", false),
            (["550 5.1.8 no such domain"], "RCPT", false), (["552 5.2.2 full"], "RCPT", false),
            (["550 5.2.2 full"], "RCPT", false), (["554 5.7.1 Relay access denied"], "RCPT", false),
            (["530 5.7.0 must authenticate"], "RCPT", false), (["450 4.2.0 later"], "RCPT", false),
            (["530 5.7.0 must authenticate"], "MAIL", false), (["550 5.1.1 who?"], "MAIL", false),
            (["553 no"], "DATA", false), (["554 no service"], "", false),
            // Each reply by itself.
            (["500 5.5.1 what?", "550 No such user"], "RCPT", true),
            (["550 5.1.1 No such user", "221 2.0.0 bye", "550 5.7.1 no"], "RCPT", false),
        ] as [([String], String, Bool)])
    func `only what the recipient's address causes is given up at once`(
        lines: [String], step: String, isFinal: Bool
    ) throws {
        let reply = SMTPReply()
        for line in lines { reply.take(Array("\(line)\r\n".utf8)) }
        let last = try #require(lines.last)
        let status = try #require(Int64(last.prefix(3)))
        let words = step.isEmpty ? "Got unexpected smtp-server response: \(status)" : "\(step) failed: \(status)"
        #expect(reply.isOfRecipient(status, step: words) == isFinal)
    }

    @Test func `nobody to write to, and an address no server takes, are given up`() async throws {
        #expect(
            await courier(port: 1).deliver(parcel(nil))
                == .refused(status: nil, note: "There is nobody to write to any more"))
        let odd = MailMessage(to: "a@b\r\nBcc: x@y", subject: "", text: "", html: "")
        #expect(
            await courier(port: 1).deliver(parcel(odd))
                == .refused(status: nil, note: "The address is not one that every mail server takes"))
        #expect(
            await courier(port: 1).deliver(parcel(Self.message))
                == .failed(status: nil, note: "No connection to the mail server"))
    }
}
