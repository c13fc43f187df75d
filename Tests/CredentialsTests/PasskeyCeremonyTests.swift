import Credentials
import Kernel
import TestSupport
import Testing

/// Every check of an authenticator's answer, each refused in its own words.
@Suite struct PasskeyCeremonyTests {
    private let site = PasskeySite(id: "localhost", origin: "http://localhost:8080")
    private let challenge = [UInt8](repeating: 7, count: 57)
    private let cryptography = FidoCryptography()

    private func registered(_ passkey: SoftPasskey) throws -> PasskeyCredential {
        try PasskeyCeremony.register(
            PasskeyRegistration(passkey.make(challenge: challenge)), at: site, with: cryptography
        ).credential
    }

    private func refusal(_ body: () throws -> Void) -> PasskeyRefusal? {
        do {
            try body()
            return nil
        } catch {
            return error as? PasskeyRefusal
        }
    }

    /// Why a new passkey is not taken.
    private func refusedMaking(_ change: (inout SoftPasskey) -> Void) -> PasskeyRefusal? {
        var passkey = SoftPasskey()
        change(&passkey)
        return refusal { _ = try registered(passkey) }
    }

    /// Why a use of a good passkey is not taken.
    private func refusedUsing(_ change: (inout SoftPasskey) -> Void) throws -> PasskeyRefusal? {
        var passkey = SoftPasskey()
        let known = try registered(passkey)
        change(&passkey)
        return refusal {
            _ = try PasskeyCeremony.use(
                PasskeyAssertion(passkey.use(challenge: challenge)), of: known, at: site, with: cryptography)
        }
    }

    @Test func `passkeys of both curves are made and used`() throws {
        for passkey in [SoftPasskey(), SoftPasskey.eddsa] {
            let known = try registered(passkey)
            #expect(known.key.cose == passkey.cose && known.attestation == "none")
            let answer = try PasskeyAssertion(passkey.use(challenge: challenge))
            #expect(try PasskeyCeremony.use(answer, of: known, at: site, with: cryptography) == 0)
        }
    }

    @Test func `a statement of the maker that comes unasked is verified`() throws {
        var passkey = SoftPasskey()
        passkey.format = "packed"
        #expect(try registered(passkey).attestation == "packed")
        passkey.format = "tpm"
        #expect(refusal { _ = try registered(passkey) } == .attestationFormat("tpm"))
        // Another key than the credential's own.
        var forged = passkey
        forged.format = "packed"
        let right = try PasskeyRegistration(forged.make(challenge: challenge))
        var wrong = right.attestation
        // The last byte of the signature stands before the name of what follows.
        let end = try #require(wrong.indices.first { Array(wrong[$0...].prefix(9)) == [0x68] + Array("authData".utf8) })
        wrong[end - 1] ^= 1
        let answer = PasskeyRegistration(
            credential: right.credential, clientData: right.clientData, attestation: wrong, transports: [])
        #expect(refusal { _ = try PasskeyCeremony.register(answer, at: site, with: cryptography) } == .attestation)
    }

    @Test func `a new passkey is refused for each thing that is wrong with it`() {
        #expect(refusedMaking { $0.type = "webauthn.get" } == .type("webauthn.get"))
        #expect(refusedMaking { $0.origin = "http://localhost:9999" } == .origin("http://localhost:9999"))
        #expect(refusedMaking { $0.isCrossOrigin = true } == .crossOrigin)
        #expect(refusedMaking { $0.site = "example.com" } == .site)
        #expect(refusedMaking { $0.flags = 0x04 } == .notPresent)
        #expect(refusedMaking { $0.flags = 0x01 } == .notVerified)
        // COSE −9 … is none that is taken.
        #expect(refusedMaking { $0.algorithm = 0x28 } == .algorithm(-9))
    }

    @Test func `a use is refused for each thing that is wrong with it`() throws {
        #expect(try refusedUsing { $0.type = "webauthn.create" } == .type("webauthn.create"))
        #expect(try refusedUsing { $0.origin = "https://evil.example" } == .origin("https://evil.example"))
        #expect(try refusedUsing { $0.isCrossOrigin = true } == .crossOrigin)
        #expect(try refusedUsing { $0.site = "evil.example" } == .site)
        #expect(try refusedUsing { $0.flags = 0x04 } == .notPresent)
        #expect(try refusedUsing { $0.flags = 0x01 } == .notVerified)
        #expect(try refusedUsing { $0.key = SoftPasskey().key } == .signature)
        #expect(try refusedUsing { $0.credential = [1, 2, 3] } == .unknown)
    }

    @Test func `a counter rises or is never kept`() {
        #expect(refusal { try PasskeyCeremony.check(counter: 0, after: 0) } == nil)
        #expect(refusal { try PasskeyCeremony.check(counter: 6, after: 5) } == nil)
        for (shown, stored) in [(5, 5), (4, 5), (0, 5)] as [(Int64, Int64)] {
            #expect(
                refusal { try PasskeyCeremony.check(counter: shown, after: stored) }
                    == .counter(stored: stored, shown: shown))
        }
    }

    @Test func `what is cut off or goes on is malformed, at every byte`() throws {
        let passkey = SoftPasskey()
        let right = try PasskeyRegistration(passkey.make(challenge: challenge))
        for count in 0..<right.attestation.count {
            let answer = PasskeyRegistration(
                credential: right.credential, clientData: right.clientData,
                attestation: Array(right.attestation[..<count]), transports: [])
            let found = refusal { _ = try PasskeyCeremony.register(answer, at: site, with: cryptography) }
            #expect(found?.word == "malformed", "\(count)")
        }
        let longer = PasskeyRegistration(
            credential: right.credential, clientData: right.clientData, attestation: right.attestation + [0],
            transports: [])
        #expect(
            refusal { _ = try PasskeyCeremony.register(longer, at: site, with: cryptography) }?.word == "malformed")
    }

    @Test func `hostile bytes are refused and never crash`() {
        for count in 0..<2000 {
            let bytes = SecureRandom.bytes(count % 200)
            // By chance some of them are of the right form; the hash of a site they never are.
            #expect(refusal { try PasskeyAuthenticatorData(bytes).check(at: site) } != nil)
            let answer = PasskeyRegistration(credential: [1], clientData: bytes, attestation: bytes, transports: [])
            #expect(refusal { _ = try PasskeyCeremony.register(answer, at: site, with: cryptography) } != nil)
        }
        // Nested maps and a length beyond everything.
        let deep = [UInt8](repeating: 0xA1, count: 4000)
        let huge: [UInt8] = [0xA1, 0x63, 0x66, 0x6D, 0x74, 0x5B, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]
        for bytes in [deep, huge] {
            let answer = PasskeyRegistration(
                credential: [1],
                clientData: Array(
                    #"{"type":"webauthn.create","challenge":"AA","origin":"http://localhost:8080"}"#.utf8),
                attestation: bytes, transports: [])
            #expect(
                refusal { _ = try PasskeyCeremony.register(answer, at: site, with: cryptography) }?.word == "malformed")
        }
    }

    @Test func `an address is no name, and plain http only this machine's`() throws {
        #expect(try PasskeySite(url: "https://Console.Example.com:443/").origin == "https://console.example.com")
        #expect(try PasskeySite(url: "http://localhost:8080") == site)
        #expect(try PasskeySite(url: "https://console.example.com:8443").origin == "https://console.example.com:8443")
        for url in [
            "http://127.0.0.1:8080", "https://10.0.0.7", "https://[::1]:8080", "http://console.example.com", "console",
        ] {
            #expect(throws: PasskeySite.Unfit.self, "\(url)") { _ = try PasskeySite(url: url) }
        }
    }

    @Test func `what was signed is verified as evidence, and each part that is edited is named`() throws {
        let passkey = SoftPasskey()
        let action: JSON = ["operation": "approval.approve", "rp_id": "localhost", "approval": "apr_1"]
        let nonce = SecureRandom.bytes(57)
        func intent(_ passkey: SoftPasskey, _ action: JSON) throws -> SignedIntent {
            SignedIntent(
                person: "stf_1", action: action, nonce: nonce, factor: "fct_1", key: try PasskeyKey(cose: passkey.cose),
                assertion: try PasskeyAssertion(passkey.use(challenge: SignedIntent.challenge(action, nonce: nonce))))
        }
        let right = try intent(passkey, action).evidence
        #expect(try SignedIntent(evidence: right).check(with: cryptography) == "http://localhost:8080")
        func found(_ member: String, _ value: JSON) -> PasskeyRefusal? {
            var members = right.object ?? [:]
            members[member] = value
            return refusal { try SignedIntent(evidence: .object(members)).check(with: cryptography) }
        }
        #expect(found("action", ["operation": "approval.reject", "rp_id": "localhost"]) == .otherAction)
        #expect(found("nonce", .string(Base64.encode(SecureRandom.bytes(57)))) == .otherAction)
        #expect(found("public_key", .string(Base64.encode(SoftPasskey().cose))) == .signature)
        let other = try intent(passkey, ["operation": "x", "rp_id": "localhost"]).evidence
        for member in ["signature", "client_data"] {
            #expect(found(member, other[member] ?? .null) != nil, "\(member)")
        }
        for (change, refused) in [
            ({ $0.site = "evil.example" }, .site), ({ $0.flags = 0x01 }, .notVerified),
            ({ $0.origin = "https://evil.example" }, .origin("https://evil.example")),
            ({ $0.type = "webauthn.create" }, .type("webauthn.create")),
        ] as [((inout SoftPasskey) -> Void, PasskeyRefusal)] {
            var forged = passkey
            change(&forged)
            let evidence = try intent(forged, action).evidence
            #expect(refusal { try SignedIntent(evidence: evidence).check(with: cryptography) } == refused)
        }
    }
}
