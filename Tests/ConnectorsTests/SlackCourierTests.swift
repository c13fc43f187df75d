import Kernel
import Testing

@testable import Connectors

/// The courier of the staff channel against a peer on a port of its own.
@Suite struct SlackCourierTests {
    private static let token = "xoxb-only-for-tests"

    private func deliver(
        _ reply: String?, bot: Bool = true, body: String = #"{"blocks":[],"text":"Suspend tenant"}"#,
        timeout: Span = .seconds(10)
    ) async throws -> (outcome: SendOutcome, requests: [String]) {
        let receiver = try await WebhookCourierTests.Receiver(reply)
        let url = "http://127.0.0.1:\(receiver.port)"
        let courier = SlackCourier(
            bot
                ? .bot(token: Self.token, channel: "C0STAFF", api: url + "/api")
                : .webhook(url: url + "/services/T/B/x"),
            timeout: timeout)
        let outcome = await courier.deliver(
            Parcel(
                channel: .slack, delivery: "dlv_1", lane: "slack:", lease: "lease", attempt: 1, operation: "",
                endpoint: "slack", body: Array(body.utf8)))
        let requests = receiver.requests
        try await receiver.close()
        return (outcome, requests)
    }

    private func answer(_ status: String, _ body: String, _ headers: String = "") -> String {
        "HTTP/1.1 \(status)\r\n\(headers)content-length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    @Test func `a bot posts into its channel with its token`() async throws {
        let (outcome, requests) = try await deliver(answer("200 OK", #"{"ok":true}"#))
        #expect(outcome == .delivered(status: 200))
        let request = try #require(requests.first)
        #expect(request.hasPrefix("POST /api/chat.postMessage HTTP/1.1\r\n"))
        #expect(request.lowercased().contains("authorization: bearer \(Self.token)"))
        #expect(request.contains(#""channel":"C0STAFF""#) && request.contains(#""unfurl_links":false"#))
    }

    @Test func `an incoming webhook gets the message alone`() async throws {
        let (outcome, requests) = try await deliver(answer("200 OK", "ok"), bot: false)
        #expect(outcome == .delivered(status: 200))
        let request = try #require(requests.first)
        #expect(request.hasPrefix("POST /services/T/B/x HTTP/1.1\r\n"))
        #expect(!request.contains("channel") && !request.lowercased().contains("authorization"))
    }

    @Test func `what Slack says decides what comes next`() async throws {
        let cases: [(reply: String, bot: Bool, expected: SendOutcome)] = [
            (
                answer("429 Too Many Requests", #"{"ok":false,"error":"ratelimited"}"#, "retry-after: 30\r\n"), true,
                .failed(status: 429, note: "Slack asks to slow down", retryAfter: .seconds(30))
            ),
            (
                answer("200 OK", #"{"ok":false,"error":"invalid_blocks"}"#), true,
                .refused(status: 200, note: "Slack refused the message: invalid_blocks")
            ),
            (
                answer("400 Bad Request", "invalid_payload"), false,
                .refused(status: 400, note: "Slack refused the message: invalid_payload")
            ),
            // What the operator can mend is tried again.
            (
                answer("200 OK", #"{"ok":false,"error":"channel_not_found"}"#), true,
                .failed(status: 200, note: "Slack answered channel_not_found")
            ),
            (answer("404 Not Found", "no_service"), false, .failed(status: 404, note: "Slack answered no_service")),
            (answer("500 Internal Server Error", "oops"), true, .failed(status: 500, note: "Slack answered 500")),
            // Words of nobody's are not repeated.
            (
                answer("200 OK", "{\"ok\":false,\"error\":\"\(Self.token)\"}"), true,
                .failed(status: 200, note: "Slack answered 200")
            ),
            (
                answer("302 Found", "", "location: http://127.0.0.1:1/\r\n"), false,
                .failed(status: 302, note: "Answered with a redirect, which is not followed")
            ),
        ]
        for (reply, bot, expected) in cases {
            #expect(try await deliver(reply, bot: bot).outcome == expected, "\(reply)")
        }
    }

    @Test func `one that hangs is left after the timeout, and an empty message is refused`() async throws {
        #expect(
            try await deliver(nil, timeout: .seconds(1)).outcome
                == .failed(status: nil, note: "Slack did not answer within 1 seconds"))
        let (outcome, requests) = try await deliver(answer("200 OK", "ok"), body: "")
        #expect(outcome == .refused(status: nil, note: "There is nothing to tell any more") && requests.isEmpty)
    }

    @Test func `the date of a header is a time to wait`() {
        let now = Instant(rfc3339: "2026-11-26T09:00:00Z")!
        #expect(RetryAfter.span("Thu, 26 Nov 2026 09:01:30 GMT", at: now) == .seconds(90))
        #expect(RetryAfter.span("Thu, 26 Nov 2026 08:00:00 GMT", at: now) == .seconds(0))
        #expect(RetryAfter.span("Fri, 27 Nov 2026 09:00:00 GMT", at: now) == .hours(8))
        for text in [nil, "", "soon", "-1", "1.5", "Thu, 26 Nov 2026 09:61:30 GMT", "Thu, 26 Foo 2026 09:01:30 GMT"] {
            #expect(RetryAfter.span(text, at: now) == nil, "\(text ?? "nil")")
        }
    }
}
