import Kernel
import Testing

/// The vector of Slack's documentation, "Verifying requests from Slack".
@Suite struct SlackSignatureTests {
    private static let secret = "8f742231b10e8888abcd99yyyzzz85a5"
    private static let timestamp = "1531420618"
    private static let body = Array(
        "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
            .utf8)
    private static let signature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    private static let then = Instant(microseconds: 1_531_420_618_000_000)

    private func isValid(
        _ signature: String? = Self.signature, timestamp: String? = Self.timestamp, body: [UInt8] = Self.body,
        secret: String = Self.secret, at now: Instant = Self.then
    ) -> Bool {
        SlackSignature.isValid(signature, timestamp: timestamp, body: body, secret: secret, at: now)
    }

    @Test func `Slack’s own example fits`() {
        #expect(
            SlackSignature.header(timestamp: Self.timestamp, body: Self.body, secret: Self.secret) == Self.signature)
        #expect(isValid())
    }

    @Test func `five minutes in either direction are taken, and no more`() {
        #expect(isValid(at: Self.then + .minutes(5)) && isValid(at: Self.then - .minutes(5)))
        #expect(!isValid(at: Self.then + .minutes(5) + .seconds(1)))
        #expect(!isValid(at: Self.then - .minutes(5) - .seconds(1)))
    }

    @Test func `whatever was changed is refused`() {
        #expect(!isValid(nil) && !isValid("") && !isValid(timestamp: nil))
        #expect(!isValid(body: Self.body + [0x20]) && !isValid(body: []))
        #expect(!isValid(secret: Self.secret + "x") && !isValid(Self.signature.uppercased()))
        #expect(!isValid(String(Self.signature.dropLast())) && !isValid("v1" + Self.signature.dropFirst(2)))
        for timestamp in ["", "x", "-1531420618", "1531420618.0", " 1531420618", "15314206180000000000", "1531420619"] {
            #expect(!isValid(timestamp: timestamp), "\(timestamp)")
        }
    }
}
