import Foundation
import Kernel
import Testing

@Suite struct PeopleSecretsTests {
    let key = try! MasterKey(parsing: MasterKey.generate())

    @Test func `what is sealed opens for the same context only`() {
        let sealed = key.seal([1, 2, 3], context: "factor:a")
        #expect(key.open(sealed, context: "factor:a") == [1, 2, 3])
        #expect(key.open(sealed, context: "factor:b") == nil)
    }

    @Test func `every changed character is noticed`() {
        let sealed = Array(key.seal(Array("secret".utf8), context: "c"))
        for index in sealed.indices {
            var changed = sealed
            changed[index] = changed[index] == "A" ? "B" : "A"
            #expect(key.open(String(changed), context: "c") == nil, "character \(index)")
        }
    }

    @Test func `sealing twice gives two texts`() {
        #expect(key.seal([7], context: "c") != key.seal([7], context: "c"))
    }

    @Test func `a new key in front seals, and the old one still opens`() throws {
        let old = MasterKey.generate()
        let sealed = try MasterKey(parsing: old).seal([9], context: "c")
        let both = try MasterKey(parsing: MasterKey.generate() + old)
        #expect(both.open(sealed, context: "c") == [9])
        #expect(try MasterKey(parsing: old).open(both.seal([8], context: "c"), context: "c") == nil)
    }

    @Test(arguments: [
        "", "nonsense", "postern-master:00000000:AAAA",
        "postern-master:zz:" + Base64.encode([UInt8](repeating: 1, count: 32)),
    ])
    func `text that is no key is refused`(text: String) {
        #expect(throws: MasterKey.Invalid.self) { try MasterKey(parsing: text) }
    }

    @Test func `recovery codes are ten, distinct, and of 80 bits`() {
        let codes = RecoveryCode.generate()
        #expect(codes.count == 10)
        #expect(Set(codes).count == 10)
        for code in codes {
            #expect(code.wholeMatch(of: /[A-Z2-7]{4}(-[A-Z2-7]{4}){3}/) != nil)
            #expect(Base32.decode(code)?.count == 10)
        }
    }

    @Test func `a recovery code is recognised however it is typed, and only under its pepper`() throws {
        let code = RecoveryCode.generate()[0]
        let pepper = SecureRandom.bytes(32)
        let digest = try #require(RecoveryCode.digest(code, pepper: pepper))
        #expect(RecoveryCode.digest(code.lowercased().replacing("-", with: " "), pepper: pepper) == digest)
        #expect(RecoveryCode.digest(code, pepper: SecureRandom.bytes(32)) != digest)
        #expect(RecoveryCode.digest("ABCD", pepper: pepper) == nil)
    }

    @Test(arguments: [
        "short", "elevenchars", "passwordpassword", "Password123456", "aaaaaaaaaaaaaa", "abababababab", "abcabcabcabc",
        "qwertyuiopas", "123456789012", "abcdefghijklmn", "ann.miller is my name", "1qaz2wsx3edc",
    ])
    func `a guessable password is refused`(password: String) {
        #expect(PasswordRules.refusal(password, email: "ann.miller@example.com") != nil)
    }

    @Test(arguments: [
        "plum tractor vivid", "Zürich–Bern im Nebel", "🦊🦊 über den Zaun!", String(repeating: "long word ", count: 12),
    ])
    func `any characters may stand in a password`(password: String) {
        #expect(PasswordRules.refusal(password, email: "ann@example.com") == nil)
    }

    @Test func `a password has 12 to 128 characters`() {
        let text = String((0..<129).map { Character(Unicode.Scalar(0x4E00 + $0)!) })
        #expect(PasswordRules.refusal(text, email: "a@b.example") != nil)
        #expect(PasswordRules.refusal(String(text.prefix(128)), email: "a@b.example") == nil)
        #expect(PasswordRules.refusal(String(text.prefix(12)), email: "a@b.example") == nil)
        #expect(PasswordRules.refusal(String(text.prefix(11)), email: "a@b.example") != nil)
    }

    @Test func `composed and decomposed forms are one password`() {
        #expect(PasswordRules.normalise("cafe\u{301} au lait") == PasswordRules.normalise("caf\u{E9} au lait"))
        #expect(PasswordRules.normalise("ﬁne") == "fine")
    }
}
