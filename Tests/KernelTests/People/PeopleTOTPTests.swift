import Foundation
import Kernel
import Testing

@Suite struct PeopleTOTPTests {
    /// RFC 6238 appendix B, SHA-1: the ASCII secret "12345678901234567890".
    static let secret = Array("12345678901234567890".utf8)

    @Test(
        arguments: [
            (59, "94287082"), (1_111_111_109, "07081804"), (1_111_111_111, "14050471"), (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"), (20_000_000_000, "65353130"),
        ] as [(Int64, String)])
    func `codes are those of RFC 6238`(seconds: Int64, code: String) {
        let step = TOTP.step(at: Instant(microseconds: seconds * 1_000_000))
        #expect(TOTP.code(secret: Self.secret, step: step, digits: 8) == code)
        #expect(TOTP.code(secret: Self.secret, step: step) == String(code.suffix(6)))
    }

    @Test func `HOTP values are those of RFC 4226`() {
        let expected = [
            "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489",
        ]
        #expect((0..<10).map { TOTP.code(secret: Self.secret, step: Int64($0)) } == expected)
    }

    @Test func `a code is accepted one step early and one step late, not two`() {
        let now = Instant(microseconds: 1_111_111_111 * 1_000_000)
        let step = TOTP.step(at: now)
        for offset in Int64(-2)...2 {
            let code = TOTP.code(secret: Self.secret, step: step + offset)
            let found = TOTP.matchingStep(code, secret: Self.secret, at: now)
            #expect(found == (abs(offset) <= 1 ? step + offset : nil), "offset \(offset)")
        }
    }

    @Test(arguments: ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "000000\u{0}"])
    func `text that is no code matches nothing`(text: String) {
        #expect(TOTP.matchingStep(text, secret: Self.secret, at: Instant(microseconds: 0)) == nil)
    }

    @Test func `a code may be typed with a space`() {
        let now = Instant(microseconds: 59_000_000)
        #expect(TOTP.matchingStep("287 082", secret: Self.secret, at: now) == 1)
    }

    @Test func `the link for the app names issuer, account and parameters`() {
        let uri = TOTP.uri(secret: Self.secret, issuer: "Postern Prod", account: "ann@example.com")
        #expect(
            uri
                == "otpauth://totp/Postern%20Prod:ann%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
                + "&issuer=Postern%20Prod&algorithm=SHA1&digits=6&period=30")
    }

    @Test(arguments: [
        ("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foo", "MZXW6"), ("foob", "MZXW6YQ"), ("fooba", "MZXW6YTB"),
        ("foobar", "MZXW6YTBOI"),
    ])
    func `base 32 is that of RFC 4648`(plain: String, encoded: String) {
        #expect(Base32.encode(Array(plain.utf8)) == encoded)
        #expect(Base32.decode(encoded) == Array(plain.utf8))
        #expect(Base32.decode(encoded.lowercased() + "=") == Array(plain.utf8))
    }

    @Test func `base 32 refuses other letters`() {
        #expect(Base32.decode("MZXW1") == nil)
        #expect(Base32.decode("MZ!W6") == nil)
    }
}
