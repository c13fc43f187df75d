import Foundation
import Kernel
import Testing

@testable import Connectors

/// The client of an identity provider against one on a port of its own.
@Suite struct OIDCProviderTests {
    private static let redirect = "http://localhost:8080/signin/oidc"
    private static func question() -> ProviderQuestion {
        ProviderQuestion(
            state: "state-\(SecureRandom.bytes(8).hex)", nonce: "nonce-\(SecureRandom.bytes(8).hex)",
            verifier: Base64.encodeURL(SecureRandom.bytes(32)), redirect: redirect)
    }

    private func with(_ body: (ProviderPeer) async throws -> Void) async throws {
        let peer = try await ProviderPeer(OIDCTokenTests.forge)
        do { try await body(peer) } catch {
            try? await peer.close()
            throw error
        }
        try? await peer.close()
    }

    private func signIn(_ provider: OIDCProvider, _ peer: ProviderPeer) async throws -> ProviderIdentity {
        let question = Self.question()
        return try await provider.identity(from: peer.agree(to: try await provider.address(of: question)), to: question)
    }

    /// The word something is refused with.
    private func refused(_ body: () async throws -> Void) async -> String? {
        do {
            try await body()
            return nil
        } catch {
            return (error as? ProviderRefusal)?.word ?? "\(error)"
        }
    }

    @Test func `somebody signs in by code, verifier and secret`() async throws {
        try await with { peer in
            let now = Clock.system.now.microseconds / 1_000_000
            peer.state.withLock {
                $0.claims = [
                    "email": "ann@example.test", "email_verified": true, "amr": ["pwd", "mfa"], "sid": "s-1",
                    "auth_time": .int(now - 10),
                ]
            }
            let provider = OIDCProvider(peer.settings())
            let identity = try await signIn(provider, peer)
            #expect(identity.subject == "u-1" && identity.issuer == peer.issuer && identity.session == "s-1")
            #expect(identity.email == "ann@example.test" && identity.isEmailVerified && identity.usedSecondFactor)
            #expect(identity.authenticatedAt == Instant(microseconds: (now - 10) * 1_000_000))
            // What it publishes is asked for once.
            _ = try await signIn(provider, peer)
            #expect(peer.count("/.well-known/openid-configuration") == 1 && peer.count("/jwks") == 1)
            let farewell = await provider.farewell(to: "a.b.c", returningTo: "https://c.example/signin?out=1")
            #expect(
                farewell
                    == "\(peer.issuer)/end?id_token_hint=a.b.c&client_id=postern%3A1&post_logout_redirect_uri=https%3A%2F%2Fc.example%2Fsignin%3Fout%3D1"
            )
        }
    }

    @Test(arguments: ["RS256", "ES256", "EdDSA"])
    func `it signs with what it likes of three`(algorithm: String) async throws {
        try await with { peer in
            peer.state.withLock {
                $0.algorithm = algorithm
                $0.discovery = ["token_endpoint_auth_methods_supported": ["client_secret_post"]]
            }
            let identity = try await signIn(OIDCProvider(peer.settings()), peer)
            #expect(identity.subject == "u-1")
        }
    }

    @Test func `a second factor is what it says in the words that were agreed on`() async throws {
        try await with { peer in
            func used(_ claims: [String: JSON], acr: [String] = [], amr: Set<String> = ["mfa"]) async throws -> Bool {
                peer.state.withLock { $0.claims = claims }
                var settings = peer.settings()
                settings.methods = amr
                settings.contexts = acr
                return try await signIn(OIDCProvider(settings), peer).usedSecondFactor
            }
            #expect(try await !used([:]))
            #expect(try await !used(["amr": ["pwd", "otp"]]))
            #expect(try await used(["amr": ["pwd", "otp"]], amr: ["otp", "hwk"]))
            #expect(try await used(["amr": "mfa"]))
            #expect(try await !used(["acr": "urn:gold"]))
            #expect(try await used(["acr": "urn:gold"], acr: ["urn:silver", "urn:gold"]))
            #expect(try await !used(["acr": "1"], acr: ["urn:gold"]))
            var settings = peer.settings()
            settings.contexts = ["urn:gold", "urn:silver"]
            let address = try await OIDCProvider(settings).address(of: Self.question())
            #expect(address.contains("acr_values=urn%3Agold%20urn%3Asilver"))
        }
    }

    @Test func `an address that the token lacks is asked for, of the same person`() async throws {
        try await with { peer in
            peer.state.withLock { $0.userInfo = ["sub": "u-1", "email": "ann@example.test", "email_verified": "true"] }
            let provider = OIDCProvider(peer.settings())
            let identity = try await signIn(provider, peer)
            #expect(identity.email == "ann@example.test" && identity.isEmailVerified)
            peer.state.withLock { $0.userInfo = ["sub": "u-2", "email": "ann@example.test", "email_verified": true] }
            #expect(await refused { _ = try await signIn(provider, peer) } == "token_subject")
            peer.state.withLock { $0.statuses["/userinfo"] = 500 }
            #expect(try await signIn(provider, peer).email == nil)
        }
    }

    @Test func `a claim of groups is read as providers write it, and one that is left out is not none`() async throws {
        try await with { peer async throws in
            func claimed(_ claims: [String: JSON], of name: String? = "groups") async throws -> Set<String>? {
                peer.state.withLock { $0.claims = claims.merging(["email": "ann@example.test"]) { own, _ in own } }
                var settings = peer.settings()
                settings.rolesClaim = name
                return try await signIn(OIDCProvider(settings), peer).claimed
            }
            #expect(try await claimed(["groups": ["a", "b"]], of: nil) == nil)
            #expect(try await claimed(["groups": ["a", "b", "a"]]) == ["a", "b"])
            #expect(try await claimed(["groups": "a"]) == ["a"])
            #expect(try await claimed(["groups": []]) == [])
            #expect(try await claimed(["realm_access": ["roles": ["x"]]], of: "realm_access.roles") == ["x"])
            #expect(try await claimed(["https://x.example/roles": ["y"]], of: "https://x.example/roles") == ["y"])
            // Who belongs to nothing has no such claim.
            #expect(try await claimed([:]) == [])
            // Too many for a token: elsewhere, and so unknown.
            #expect(try await claimed(["_claim_names": ["groups": "src1"]]) == nil)
            #expect(try await claimed(["hasgroups": true]) == nil)
            // There, and not to be understood: as unknown, and not none.
            for odd in [["a", 7], 7, .null, ["a": "b"], true] as [JSON] {
                #expect(try await claimed(["groups": odd]) == nil, "\(odd)")
            }
            func values(_ count: Int) -> JSON { .array((0..<count).map { .string("g\($0)") }) }
            #expect(try await claimed(["groups": values(2000)])?.count == 2000)
            #expect(try await claimed(["groups": values(2001)]) == nil)
            // The same of where the rest is asked: it may leave it out as a token does.
            for more in [["_claim_names": ["groups": "src1"]], ["groups": values(2001)], ["groups": 7]] as [JSON] {
                let answer = (more.object ?? [:]).merging(["sub": "u-1"]) { own, _ in own }
                peer.state.withLock { $0.userInfo = .object(answer) }
                #expect(try await claimed([:]) == nil, "\(more.canonicalText.prefix(80))")
            }
            // From where the rest is asked, of the same person; the address of the token holds.
            peer.state.withLock { $0.userInfo = ["sub": "u-1", "groups": ["c"], "email": "other@example.test"] }
            #expect(try await claimed([:]) == ["c"])
            #expect(try await signIn(OIDCProvider(peer.settings()), peer).email == "ann@example.test")
            peer.state.withLock { $0.statuses["/userinfo"] = 503 }
            #expect(try await claimed([:]) == nil)
        }
    }

    @Test func `authorities of one's own come from a file, and what is wrong with it is said`() async throws {
        try await with { peer in
            let path = NSTemporaryDirectory() + "postern-ca-\(SecureRandom.bytes(6).hex).pem"
            defer { try? FileManager.default.removeItem(atPath: path) }
            var settings = peer.settings()
            settings.authorities = path
            let provider = OIDCProvider(settings)
            let missing = await provider.examination().problems
            #expect(missing.count == 1 && missing[0].contains("\(path), is not there or can’t be read"), "\(missing)")
            #expect(await refused { _ = try await provider.address(of: Self.question()) } == "authorities")
            try Data("-----BEGIN NOTHING-----".utf8).write(to: URL(fileURLWithPath: path))
            let empty = await provider.examination().problems
            #expect(empty.count == 1 && empty[0].contains("\(path), holds no certificate"), "\(empty)")
            // One that is put right counts without a restart.
            try Data(Self.authority.utf8).write(to: URL(fileURLWithPath: path))
            #expect(await provider.examination().problems.isEmpty)
            // One that takes its place does not.
            try Data("-----BEGIN NOTHING-----".utf8).write(to: URL(fileURLWithPath: path))
            #expect(await provider.examination().problems.isEmpty)
        }
    }

    /// A certificate that signed nothing.
    private static let authority = """
        -----BEGIN CERTIFICATE-----
        MIIBhzCCAS2gAwIBAgIUMNiJK0ddD8pz2QA/FiiCWNVsXsYwCgYIKoZIzj0EAwIw
        GDEWMBQGA1UEAwwNUG9zdGVybiB0ZXN0czAgFw0yNjExMjcwNTE3MDZaGA8yMTI2
        MTEwMzA1MTcwNlowGDEWMBQGA1UEAwwNUG9zdGVybiB0ZXN0czBZMBMGByqGSM49
        AgEGCCqGSM49AwEHA0IABJj1ksrP+DvM4nNgxwK2bXeBBXJSWCFhgqDg4WynfQdY
        P8s3ngd8AK5UCQM3nGM/alIWfu+npSPE7/iAsbIRf5CjUzBRMB0GA1UdDgQWBBR+
        o3/6J8Wx4dgw2LmqIqRP4RZkYDAfBgNVHSMEGDAWgBR+o3/6J8Wx4dgw2LmqIqRP
        4RZkYDAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIHSruyWNIlA6
        KnsU+xbkHvKa4rGWf8/ktr3/xGmAeCToAiEArfNodNYcFs+r8+q5tx2ihsLDHGV7
        +nHpWqDy3y3Bw0k=
        -----END CERTIFICATE-----
        """

    @Test func `keys change: one that is not known is looked for once, and not again at once`() async throws {
        try await with { peer in
            let provider = OIDCProvider(peer.settings())
            _ = try await signIn(provider, peer)
            let newer = try TokenForge()
            // The same names would say that nothing changed.
            peer.state.withLock {
                $0.forge = newer
                $0.claims = [:]
            }
            #expect(await refused { _ = try await signIn(provider, peer) } == "token_signature")
            #expect(peer.count("/jwks") == 1)
            let logout = try newer.token(
                [
                    "iss": .string(peer.issuer), "aud": "postern:1", "sub": "u-1", "jti": "j-1",
                    "iat": .int(Clock.system.now.microseconds / 1_000_000),
                    "events": [TokenCheck.logoutEvent: [:]],
                ], kid: "another")
            // Nobody knows that one: asked for once, however often it comes.
            for _ in 0..<5 { #expect(await refused { _ = try await provider.logout(logout) } == "token_key") }
            #expect(peer.count("/jwks") == 2)
            // By now the new keys are known.
            _ = try await signIn(provider, peer)
            #expect(peer.count("/jwks") == 2)
        }
    }

    @Test func `several who need the keys at once wait for one answer`() async throws {
        try await with { peer in
            let provider = OIDCProvider(peer.settings())
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<8 { group.addTask { _ = try await self.signIn(provider, peer) } }
                try await group.waitForAll()
            }
            #expect(peer.count("/jwks") == 1)
        }
    }

    @Test func `what the provider refuses is said in words of our own`() async throws {
        try await with { peer in
            let provider = OIDCProvider(peer.settings())
            let question = Self.question()
            let good = try peer.agree(to: try await provider.address(of: question))
            func back(_ answer: ProviderAnswer, _ asked: ProviderQuestion? = nil) async -> String? {
                await refused { _ = try await provider.identity(from: answer, to: asked ?? question) }
            }
            #expect(await back(ProviderAnswer(state: "s", code: nil)) == "no_code")
            #expect(await back(ProviderAnswer(state: "s", code: "")) == "no_code")
            #expect(await back(ProviderAnswer(state: "s", code: nil, error: "access_denied")) == "declined")
            #expect(
                await back(ProviderAnswer(state: "s", code: nil, error: "temporarily_unavailable")) == "unreachable")
            #expect(await back(ProviderAnswer(state: "s", code: nil, error: "<script>alert(1)</script>")) == "declined")
            #expect(
                await back(ProviderAnswer(state: "s", code: good.code, issuer: "https://evil.example"))
                    == "token_issuer")
            // Another verifier, another nonce, a code that was used.
            #expect(await back(good, Self.question()) == "code_refused")
            #expect(await back(good) == "code_refused")
            let other = try peer.agree(to: try await provider.address(of: question))
            let swapped = ProviderQuestion(
                state: question.state, nonce: "another", verifier: question.verifier, redirect: question.redirect)
            #expect(await back(other, swapped) == "token_nonce")
            for (claims, word) in [
                (["aud": "another"], "token_audience"), (["iss": "https://other.example"], "token_issuer"),
                (["exp": 1000], "token_expired"), (["sub": ""], "token_subject"),
            ] as [([String: JSON], String)] {
                peer.state.withLock { $0.claims = claims }
                #expect(await refused { _ = try await signIn(provider, peer) } == word)
            }
            peer.state.withLock {
                $0.claims = [:]
                $0.secret = "changed"
            }
            #expect(await refused { _ = try await signIn(provider, peer) } == "client_refused")
            peer.state.withLock { $0.statuses["/token"] = 503 }
            #expect(await refused { _ = try await signIn(provider, peer) } == "unreachable")
        }
    }

    @Test func `a provider that names itself must do so with every answer`() async throws {
        try await with { peer in
            peer.state.withLock { $0.discovery = ["authorization_response_iss_parameter_supported": true] }
            let provider = OIDCProvider(peer.settings())
            let question = Self.question()
            let answer = try peer.agree(to: try await provider.address(of: question))
            #expect(await refused { _ = try await provider.identity(from: answer, to: question) } == "token_issuer")
            let named = ProviderAnswer(state: answer.state, code: answer.code, issuer: peer.issuer)
            #expect(try await provider.identity(from: named, to: question).subject == "u-1")
        }
    }

    @Test func `one that is away is said so, and what was known of it still holds`() async throws {
        try await with { peer in
            let provider = OIDCProvider(peer.settings())
            _ = try await signIn(provider, peer)
            peer.state.withLock { $0.statuses["/.well-known/openid-configuration"] = 503 }
            // Its address is known: the browser finds out by itself.
            _ = try await provider.address(of: Self.question())
            #expect(
                await refused { _ = try await OIDCProvider(peer.settings()).address(of: Self.question()) }
                    == "unreachable")
            // Nobody listens there.
            var nowhere = peer.settings()
            nowhere.issuer = "http://127.0.0.1:1"
            let (problems, _) = await OIDCProvider(nowhere).examination()
            #expect(problems.count == 1)
            #expect(
                problems.first?.contains("Peer SSO can’t be reached right now (the connection was refused)") == true)
        }
    }

    @Test func `the doctor sees keys, and what is published for another issuer`() async throws {
        try await with { peer in
            let (problems, notes) = await OIDCProvider(peer.settings()).examination()
            #expect(problems.isEmpty && notes.count == 1 && notes[0].contains("3 keys"))
            peer.state.withLock { $0.discovery = ["issuer": "https://other.example"] }
            #expect(
                await OIDCProvider(peer.settings()).examination().problems.first?.contains("another issuer") == true)
        }
    }
}
