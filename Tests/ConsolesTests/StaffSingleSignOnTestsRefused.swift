import Consoles
import Foundation
import Kernel
import TestSupport
import Testing

/// Signing in through an identity provider, by who is kept out, on both databases.
@Suite struct StaffSingleSignOnTestsRefused: SingleSignOnSuite {
    @Test(arguments: TestDatabase.Kind.allCases)
    func `an answer counts once, in the browser that began, in time`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { stage in
            stage.provider.says("u-1")
            let stolen = try await stage.signIn.startAtProvider(
                visitor: "browser", next: nil, from: StaffFixture.source)
            #expect(sentence(try await stage.comeBack(stolen, visitor: "another"))?.contains("another browser") == true)
            #expect(stage.provider.redeemed.isEmpty, "the code goes nowhere")
            guard case .challenge = try await stage.comeBack(stolen) else { throw StoreError.other("no challenge") }
            #expect(sentence(try await stage.comeBack(stolen))?.contains("used already") == true)

            let late = try await stage.signIn.startAtProvider(visitor: "browser", next: nil, from: StaffFixture.source)
            stage.fixture.test.clock.advance(.seconds(601))
            #expect(sentence(try await stage.comeBack(late)) != nil)
            #expect(sentence(try await stage.comeBack("https://x?state=invented")) != nil)
            #expect(sentence(try await stage.comeBack("https://x?state=")) != nil)
            // What was asked is derived: the same there and back, another each time.
            let asked = stage.provider.asked
            #expect(Set(asked.map(\.nonce)).count == asked.count && Set(asked.map(\.verifier)).count == asked.count)
            #expect(stage.provider.redeemed.allSatisfy(asked.contains))
            #expect(
                asked.allSatisfy { $0.redirect == "http://localhost:8080/signin/oidc" && $0.verifier.utf8.count >= 43 })
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `ways that nobody ends do not close the door of an office`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { stage in
            for _ in 0..<60 {
                _ = try await stage.signIn.startAtProvider(visitor: "left", next: nil, from: StaffFixture.source)
            }
            _ = try await stage.link()
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `guessing answers holds the source back`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { stage in
            for _ in 0..<31 { _ = try await stage.comeBack("https://x?state=guess") }
            let error = await failure { _ = try await stage.comeBack("https://x?state=guess") }
            guard case .tooManyRequests = error else { throw StoreError.other("\(String(describing: error))") }
            let start = await failure {
                _ = try await stage.signIn.startAtProvider(visitor: "b", next: nil, from: StaffFixture.source)
            }
            guard case .tooManyRequests = start else { throw StoreError.other("\(String(describing: start))") }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `nobody gets an account by the provider, and an unverified address is nobody's`(kind: TestDatabase.Kind)
        async throws
    {
        try await with(kind) { stage in
            stage.provider.says("u-9", email: "stranger@example.com")
            #expect(sentence(try await stage.go())?.contains("no active account") == true)
            stage.provider.says("u-9", verified: false)
            #expect(sentence(try await stage.go())?.contains("verified") == true)
            stage.provider.says("u-9", email: nil)
            #expect(sentence(try await stage.go())?.contains("verified") == true)
            let caller = try await stage.fixture.caller(stage.root.first)
            _ = try await stage.fixture.pipeline.run(
                StaffFixture.invitation("new@example.com", roles: ["support_l1"]), by: caller)
            stage.provider.says("u-8", email: "new@example.com")
            #expect(sentence(try await stage.go())?.contains("no active account") == true)
            #expect(
                try await stage.refusals() == ["unknown", "address_unverified", "address_unverified", "unknown"])
            #expect(try await stage.fixture.count("SELECT COUNT(*) AS count FROM staff") == 2)
            #expect(try await stage.fixture.count("SELECT COUNT(*) AS count FROM challenges") == 0)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `another account with the same address never takes the place of the linked one`(kind: TestDatabase.Kind)
        async throws
    {
        try await with(kind) { stage in
            _ = try await stage.link("u-1")
            stage.provider.says("u-2", mfa: true)
            #expect(sentence(try await stage.go())?.contains("another account") == true)
            #expect(try await stage.refusals() == ["other_account"])
            // The address at the provider may change: the account is the same.
            stage.provider.says("u-1", email: "renamed@example.com", verified: false, mfa: true)
            _ = try session(try await stage.go())
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `who left does not come in by the provider`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { stage in
            let caller = try await stage.fixture.caller(stage.root.first)
            let ann = try await stage.fixture.invite("ann@example.com", roles: ["support_l1"], by: caller)
            stage.provider.says("a-1", email: "ann@example.com")
            guard case .challenge(let challenge, _, _) = try await stage.go() else {
                throw StoreError.other("no challenge")
            }
            stage.fixture.test.clock.advance(.seconds(60))
            let opened = try await stage.signIn.finish(
                challenge: challenge, totp: ann.code(at: stage.fixture.test.clock.clock.now), from: StaffFixture.source)
            _ = try await stage.fixture.caller(opened)
            _ = try await stage.fixture.pipeline.run(
                OperationRequest(
                    operation: "staff.deactivate", target: ann.id, reasonCode: "left",
                    justification: "They left the company.", idempotencyKey: "leave"),
                by: try await stage.fixture.caller(try await stage.fixture.signIn(stage.root)))
            guard case .unauthenticated = await failure({ _ = try await stage.fixture.caller(opened) }) else {
                throw StoreError.other("still signed in")
            }
            #expect(sentence(try await stage.go())?.contains("no active account") == true)
            #expect(try await stage.refusals() == ["not_active"])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `what the provider refuses is said and recorded`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { stage in
            stage.provider.says(.failure(ProviderRefusal("token_expired", "Its token is over.")))
            #expect(sentence(try await stage.go(next: "/me")) == "Its token is over.")
            stage.provider.says(.failure(ProviderRefusal("unreachable", "Nobody answers.", isOutage: true)))
            #expect(sentence(try await stage.go())?.contains("password or a passkey meanwhile") == true)
            stage.provider.isAway(ProviderRefusal("unreachable", "Nobody answers.", isOutage: true))
            let error = await failure { _ = try await stage.go() }
            guard case .unavailable(let sentence) = error else {
                throw StoreError.other("\(String(describing: error))")
            }
            #expect(sentence.hasPrefix("Nobody answers. Sign in with your password"))
            #expect(try await stage.refusals() == ["token_expired", "unreachable", "unreachable"])
            let event = try #require(try await stage.fixture.events("oidc.refused").first)
            #expect(event["outcome"] == "denied" && event["class"] == "authn" && event["facts"]?["method"] == "oidc")
            // The other door is open all the same.
            _ = try await stage.fixture.signIn(stage.root)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `only addresses of the named domains come in`(kind: TestDatabase.Kind) async throws {
        try await with(kind, domains: ["corp.example"]) { stage in
            stage.provider.says("u-1")
            let outside = try await stage.go()
            #expect(sentence(outside)?.contains("may not sign in here") == true)
            stage.provider.says("u-1", email: "root@CORP.example")
            let inside = try await stage.go()
            #expect(sentence(inside)?.contains("no active account") == true)
            let refusals = try await stage.refusals()
            #expect(refusals == ["domain", "unknown"])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `where the provider is demanded neither password nor passkey alone comes in`(kind: TestDatabase.Kind)
        async throws
    {
        try await with(kind, isRequired: true) { stage in
            let error = await failure {
                _ = try await stage.signIn.begin(
                    email: stage.root.email, password: stage.root.password, from: StaffFixture.source)
            }
            guard case .conflict(let detail, _) = error else { throw StoreError.other("\(String(describing: error))") }
            #expect(detail.contains("Northwind SSO alone"))
            let options = try await stage.signIn.signInOptions(visitor: "browser")
            var passkey = SoftPasskey()
            passkey.handle = Array(stage.root.id.utf8)
            let answer = try passkey.use(options)
            let other = await failure {
                _ = try await stage.signIn.signIn(answer, visitor: "browser", from: StaffFixture.source)
            }
            guard case .conflict = other else { throw StoreError.other("\(String(describing: other))") }
            _ = try await stage.link()
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `codes after the provider are throttled like any`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { stage in
            _ = try await stage.link(mfa: false)
            var outcome: ProviderOutcome?
            for _ in 0..<4 {
                stage.provider.says("u-1", mfa: false)
                outcome = try await stage.go()
                guard case .challenge(let challenge, _, _)? = outcome else { break }
                for _ in 0..<5 {
                    _ = await failure {
                        _ = try await stage.signIn.finish(
                            challenge: challenge, totp: "000000", from: StaffFixture.source)
                    }
                }
            }
            #expect(try sentence(#require(outcome))?.contains("Too many codes") == true)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `collecting second steps first buys no guesses`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { stage in
            _ = try await stage.link(mfa: false)
            stage.provider.says("u-1", mfa: false)
            var collected: [String] = []
            for _ in 0..<60 {
                stage.fixture.test.clock.advance(.seconds(1))
                if case .challenge(let challenge, _, _) = try await stage.go() { collected.append(challenge) }
            }
            #expect((6..<15).contains(collected.count), "\(collected.count)")
            var looked = 0
            for challenge in collected {
                for _ in 0..<5 {
                    let error = await failure {
                        _ = try await stage.signIn.finish(
                            challenge: challenge, totp: "000000", from: StaffFixture.source)
                    }
                    if case .unauthenticated? = error {
                        looked += 1
                        stage.fixture.test.clock.advance(.milliseconds(1))
                    } else if case .tooManyRequests? = error {
                        continue
                    } else {
                        throw StoreError.other("\(String(describing: error))")
                    }
                }
            }
            #expect(looked <= 1)
            // After the wait the right code still counts, and takes back what was counted.
            let last = try #require(collected.last)
            stage.fixture.test.clock.advance(.seconds(60))
            _ = try await stage.signIn.finish(challenge: last, totp: stage.code(), from: StaffFixture.source)
            #expect(
                try await stage.fixture.count("SELECT COUNT(*) AS count FROM throttle WHERE key LIKE 'pair|%'") == 0)
        }
    }
}
