import Kernel
import Testing

@Suite struct OutboxValueTests {
    @Test func `a signature is the one of the specification's example`() throws {
        let secret = try #require(WebhookSignature.secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
        let header = WebhookSignature.header(
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp: 1_614_265_330, body: Array(#"{"test": 2432232314}"#.utf8),
            secrets: [secret])
        #expect(header == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
    }

    @Test func `two secrets give two signatures, the newest first`() {
        let body = Array("{}".utf8)
        func header(_ secrets: [[UInt8]]) -> String {
            WebhookSignature.header(id: "dlv_1", timestamp: 1, body: body, secrets: secrets)
        }
        let (new, old) = ([UInt8](repeating: 1, count: 32), [UInt8](repeating: 2, count: 32))
        #expect(header([new, old]) == header([new]) + " " + header([old]))
    }

    @Test func `a secret is read as it was shown`() {
        let secret = SecureRandom.bytes(32)
        #expect(WebhookSignature.secret(WebhookSignature.text(of: secret)) == secret)
        for text in ["", "whsec", Base64.encode(secret), "whsec_not base 64"] {
            #expect(WebhookSignature.secret(text) == nil, "\(text)")
        }
    }

    @Test(
        arguments: [
            (1, Span.seconds(5)), (2, .seconds(20)), (3, .seconds(80)), (4, .seconds(320)), (7, .seconds(20_480)),
            (8, .hours(8)), (60, .hours(8)),
        ] as [(Int64, Span)])
    func `each pause is four times as long as the one before, up to eight hours`(failures: Int64, pause: Span) throws {
        let schedule = RetrySchedule()
        let middle = try #require(schedule.pause(after: failures, elapsed: .seconds(0), jitter: 0.5))
        #expect(middle == pause)
        let low = try #require(schedule.pause(after: failures, elapsed: .seconds(0), jitter: 0))
        let high = try #require(schedule.pause(after: failures, elapsed: .seconds(0), jitter: 1))
        #expect(low.microseconds == pause.microseconds * 3 / 4 && high.microseconds == pause.microseconds * 5 / 4)
    }

    @Test func `no pause lasts longer than the longest`() {
        let schedule = RetrySchedule(longest: .minutes(5))
        #expect(schedule.longestPause == .seconds(375) && schedule.patience == .days(3))
        #expect(schedule.pause(after: 20, elapsed: .seconds(0), jitter: 1) == schedule.longestPause)
    }

    @Test func `the patience ends after three days`() {
        let schedule = RetrySchedule()
        #expect(schedule.pause(after: 20, elapsed: .hours(63), jitter: 0.5) != nil)
        #expect(schedule.pause(after: 20, elapsed: .hours(64), jitter: 0.5) == nil)
    }
}
