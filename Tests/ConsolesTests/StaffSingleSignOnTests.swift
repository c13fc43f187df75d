import Consoles
import Foundation
import Kernel
import TestSupport
import Testing

/// Signing in through an identity provider, on both databases.
@Suite struct StaffSingleSignOnTests {
    private struct Stage {
        let fixture: StaffFixture
        let root: StaffFixture.Person
        let provider: ProviderDouble
        var signIn: StaffSignIn { fixture.signIn }

        /// There and back in one browser.
        func go(
            visitor: String = "browser", next: String? = nil, from source: Source = StaffFixture.source
        ) async throws -> ProviderOutcome {
            let address = try await signIn.startAtProvider(visitor: visitor, next: next, from: source)
            return try await comeBack(address, visitor: visitor, from: source)
        }

        func comeBack(
            _ address: String, visitor: String = "browser", session: SessionInfo? = nil,
            from source: Source = StaffFixture.source
        ) async throws -> ProviderOutcome {
            let state = String(address.split(separator: "=").last ?? "")
            return try await signIn.finishAtProvider(
                ProviderAnswer(state: state, code: "code"), visitor: visitor, session: session, from: source)
        }

        func code() -> String {
            fixture.test.clock.advance(.seconds(60))
            return root.code(at: fixture.test.clock.clock.now)
        }

        /// Ties an account at the provider to the person by signing in with it once.
        func link(_ subject: String = "u-1", mfa: Bool = true) async throws -> NewSession {
            provider.says(subject, mfa: mfa)
            guard case .challenge(let challenge, links: true, _) = try await go() else {
                throw StoreError.other("no challenge that links")
            }
            return try await signIn.finish(challenge: challenge, totp: code(), from: StaffFixture.source)
        }

        func refusals() async throws -> [String] {
            try await fixture.events("oidc.refused").map { $0["facts"]?["refusal"]?.string ?? "" }
        }
    }

    private func with(
        _ kind: TestDatabase.Kind, domains: Set<String> = [], isRequired: Bool = false, sendsMail: Bool = false,
        claims: [String: Set<String>]? = nil, _ body: (Stage) async throws -> Void
    ) async throws {
        try await TestDatabase.with(kind) { test in
            let double = ProviderDouble()
            var provider = StaffProvider(client: double, consoleURL: "http://localhost:8080")
            provider.domains = domains
            provider.isRequired = isRequired
            var settings = StaffSignIn.Settings()
            settings.provider = provider
            settings.sendsMail = sendsMail
            let fixture = try await StaffFixture.make(test, settings: settings, claims: claims)
            try await body(Stage(fixture: fixture, root: try await fixture.bootstrap(), provider: double))
        }
    }

    private func sentence(_ outcome: ProviderOutcome) -> String? {
        if case .refused(let sentence, _, _) = outcome { return sentence }
        Issue.record("expected a refusal, got \(outcome)")
        return nil
    }

    private func session(_ outcome: ProviderOutcome) throws -> NewSession {
        guard case .session(let session, _) = outcome else { throw StoreError.other("no session but \(outcome)") }
        return session
    }

    // MARK: - Coming in

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the first time a factor of one's own ties both accounts together, and then the provider is enough`(
        kind: TestDatabase.Kind
    ) async throws {
        try await with(kind, sendsMail: true) { stage in
            let first = try await stage.link()
            let caller = try await stage.fixture.caller(first)
            #expect(caller.person == stage.root.id && caller.authentication?.factors == [.oidc, .totp])
            let linked = try #require(try await stage.fixture.events("oidc.link").last)
            #expect(linked["class"] == "mutation" && linked["changes"]?.array?.count == 1)
            #expect(linked["facts"]?["method"] == "oidc" && linked["actor"]?["id"] == .string(stage.root.id))
            let leaf = linked.canonicalText
            #expect(!leaf.contains("u-1") && !leaf.contains("root@example.com"))
            #expect(
                try await stage.fixture.count(
                    "SELECT COUNT(*) AS count FROM outbox WHERE name = 'mail.provider_linked'") == 1)

            let now = stage.fixture.test.clock.clock.now
            stage.provider.says("u-1", mfa: true, at: now - .seconds(30))
            guard case .session(let again, let next) = try await stage.go(next: "/tenants") else {
                throw StoreError.other("no session")
            }
            #expect(next == "/tenants" && again.info.mfaAt == now - .seconds(30))
            let second = try await stage.fixture.caller(again)
            #expect(second.authentication?.factors == [.oidc] && second.authentication?.isFresh == true)
            let event = try #require(try await stage.fixture.events("signin.succeeded").last)
            #expect(event["facts"]?["method"] == "oidc" && event["auth"]?["factors"] == ["oidc"])
            #expect(event["auth"]?["mfa_at"] == .string((now - .seconds(30)).rfc3339))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a sign-in there is as fresh as the provider says, and without a time it is not fresh`(
        kind: TestDatabase.Kind
    ) async throws {
        try await with(kind) { stage in
            _ = try await stage.link()
            let now = stage.fixture.test.clock.clock.now
            for (at, isFresh) in [(now - .hours(3), false), (nil, false), (now + .seconds(40), true)] {
                stage.provider.says("u-1", mfa: true, at: at)
                let caller = try await stage.fixture.caller(try session(try await stage.go()))
                #expect(caller.authentication?.isFresh == isFresh, "\(String(describing: at))")
            }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `without a second factor at the provider one of Postern's own is asked for, every time`(
        kind: TestDatabase.Kind
    ) async throws {
        try await with(kind) { stage in
            _ = try await stage.link(mfa: false)
            for _ in 0..<2 {
                stage.provider.says("u-1", mfa: false)
                guard case .challenge(let challenge, links: false, _) = try await stage.go() else {
                    throw StoreError.other("no challenge")
                }
                let sessions = try await stage.fixture.count("SELECT COUNT(*) AS count FROM sessions")
                let wrong = await failure {
                    _ = try await stage.signIn.finish(challenge: challenge, totp: "000000", from: StaffFixture.source)
                }
                guard case .unauthenticated = wrong else { throw StoreError.other("\(String(describing: wrong))") }
                #expect(try await stage.fixture.count("SELECT COUNT(*) AS count FROM sessions") == sessions)
                let opened = try await stage.signIn.finish(
                    challenge: challenge, totp: stage.code(), from: StaffFixture.source)
                let caller = try await stage.fixture.caller(opened)
                #expect(caller.authentication?.factors == [.oidc, .totp] && caller.authentication?.isFresh == true)
                // A challenge is good once.
                let used = await failure {
                    _ = try await stage.signIn.finish(
                        challenge: challenge, totp: stage.code(), from: StaffFixture.source)
                }
                guard case .unauthenticated = used else { throw StoreError.other("\(String(describing: used))") }
            }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a passkey is a second factor after the provider, if it is the person's own`(kind: TestDatabase.Kind)
        async throws
    {
        try await with(kind) { stage in
            var own = SoftPasskey()
            own.handle = Array(stage.root.id.utf8)
            let caller = try await stage.fixture.caller(stage.root.first)
            let options = try await stage.signIn.creationOptions(stage.root.first.info, by: caller)
            try await stage.signIn.add(try own.make(options), named: "Laptop", to: stage.root.first.info, by: caller)
            let other = try await stage.fixture.invite("other@example.com", roles: ["support_l1"], by: caller)
            var foreign = SoftPasskey()
            foreign.handle = Array(other.id.utf8)
            let otherCaller = try await stage.fixture.caller(other.first)
            let question = try await stage.signIn.creationOptions(other.first.info, by: otherCaller)
            try await stage.signIn.add(
                try foreign.make(question), named: "Phone", to: other.first.info, by: otherCaller)

            stage.provider.says("u-1", mfa: true)
            guard case .challenge(let challenge, links: true, _) = try await stage.go() else {
                throw StoreError.other("no challenge")
            }
            let asked = try await stage.signIn.signInOptions(visitor: "browser")
            let error = await failure {
                _ = try await stage.signIn.finish(
                    challenge: challenge, passkey: try foreign.use(asked), visitor: "browser", from: StaffFixture.source
                )
            }
            guard case .unauthenticated = error else { throw StoreError.other("\(String(describing: error))") }
            #expect(try await stage.fixture.events("oidc.link").isEmpty)
            let again = try await stage.signIn.signInOptions(visitor: "browser")
            let opened = try await stage.signIn.finish(
                challenge: challenge, passkey: try own.use(again), visitor: "browser", from: StaffFixture.source)
            #expect(try await stage.fixture.caller(opened).authentication?.factors == [.oidc, .webauthn])
            #expect(try await stage.fixture.events("oidc.link").count == 1)
        }
    }

    // MARK: - Roles of claims

    private static let meanings: [String: Set<String>] = [
        "agents": ["support_l1"], "tier two": ["support_l2", "support_l1"], "money": ["billing_ops"],
    ]

    /// Roles somebody holds | those that wait for them.
    private func roles(_ id: String, _ stage: Stage) async throws -> String {
        try await stage.fixture.test.database.read { reader in
            let grants = try reader.query(Grant.selectAll(after: "", limit: 500)).map(Grant.init)
            let pending = try reader.query(PendingGrant.selectAll(after: "", limit: 500)).map(PendingGrant.init)
            let held = grants.filter { $0.staffID == id && $0.isLive(at: reader.now) }.map(\.role)
            let waiting = pending.filter { $0.staffID == id && $0.state == .pending }.map(\.role)
            return (held.sorted() + ["|"] + waiting.sorted()).joined(separator: " ")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a claim gives what is no power, lets power wait, and takes back what it gave`(
        kind: TestDatabase.Kind
    ) async throws {
        try await with(kind, claims: Self.meanings) { stage in
            let root = try await stage.fixture.caller(stage.root.first)
            let dora = try await stage.fixture.invite("dora@example.com", roles: ["customer_success"], by: root)
            let visitor = Stage(fixture: stage.fixture, root: dora, provider: stage.provider)
            func comes(_ claimed: Set<String>?) async throws -> NewSession {
                stage.provider.says("u-d", email: "dora@example.com", mfa: true, claimed: claimed)
                return try session(try await visitor.go())
            }
            // The first time, behind the factor that links: nothing is given before it was shown.
            stage.provider.says("u-d", email: "dora@example.com", claimed: ["agents", "money", "nothing here"])
            guard case .challenge(let challenge, links: true, _) = try await visitor.go() else {
                throw StoreError.other("no challenge that links")
            }
            #expect(try await roles(dora.id, stage) == "customer_success |")
            let first = try await stage.signIn.finish(
                challenge: challenge, totp: visitor.code(), from: StaffFixture.source)
            #expect(try await roles(dora.id, stage) == "customer_success support_l1 | billing_ops")
            // The session that was just begun has it.
            #expect(try await stage.fixture.caller(first).roles == ["customer_success", "support_l1"])
            let given = try #require(try await stage.fixture.events("staff.provision_role").last)
            #expect(given["actor"] == ["type": "system", "id": "oidc"] && given["facts"]?["cause"] == "claim")
            #expect(given["target"]?["id"] == .string(dora.id) && given["facts"]?["token"] == nil)

            // The same again changes nothing, nor does a token that can't say.
            let events = try await stage.fixture.count("SELECT COUNT(*) AS count FROM events WHERE class = 'mutation'")
            _ = try await comes(["agents", "money"])
            _ = try await comes(nil)
            #expect(
                try await stage.fixture.count("SELECT COUNT(*) AS count FROM events WHERE class = 'mutation'") == events
            )

            // Less is less, and what a colleague gave is theirs. Power waits, also for the second time.
            _ = try await comes(["tier two"])
            #expect(
                try await roles(dora.id, stage) == "customer_success support_l1 | support_l2")
            #expect(try await stage.fixture.events("staff.withdraw_role").count == 1)
            let last = try await comes([])
            #expect(try await roles(dora.id, stage) == "customer_success |")
            #expect(try await stage.fixture.caller(last).roles == ["customer_success"])
            let taken = try #require(try await stage.fixture.events("staff.withdraw_role").last)
            #expect(taken["facts"]?["cause"] == "claim")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a role that may not be held with another is refused and keeps nobody out`(kind: TestDatabase.Kind)
        async throws
    {
        try await with(kind, claims: Self.meanings) { stage in
            let root = try await stage.fixture.caller(stage.root.first)
            let dora = try await stage.fixture.invite("dora@example.com", roles: ["billing_ops"], by: root)
            let visitor = Stage(fixture: stage.fixture, root: dora, provider: stage.provider)
            stage.provider.says("u-d", email: "dora@example.com", claimed: ["agents"])
            guard case .challenge(let challenge, _, _) = try await visitor.go() else {
                throw StoreError.other("no challenge")
            }
            let opened = try await stage.signIn.finish(
                challenge: challenge, totp: visitor.code(), from: StaffFixture.source)
            #expect(try await stage.fixture.caller(opened).roles == ["billing_ops"])
            #expect(try await roles(dora.id, stage) == "billing_ops |")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `without a meaning no claim gives anything`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { stage in
            stage.provider.says("u-1", claimed: ["agents"])
            guard case .challenge(let challenge, _, _) = try await stage.go() else {
                throw StoreError.other("no challenge")
            }
            _ = try await stage.signIn.finish(challenge: challenge, totp: stage.code(), from: StaffFixture.source)
            #expect(try await stage.fixture.events("staff.provision_role").isEmpty)
        }
    }

    // MARK: - Not coming in

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

    // MARK: - Links

    @Test(arguments: TestDatabase.Kind.allCases)
    func `one links one's own account while signed in, and takes it away again`(kind: TestDatabase.Kind) async throws {
        try await with(kind, sendsMail: true) { stage in
            let me = stage.root.first
            var caller = try await stage.fixture.caller(me)
            stage.provider.says("u-7", email: "elsewhere@other.example", verified: false)
            let address = try await stage.signIn.startLinking(me.info, by: caller, visitor: "browser")
            // Whoever came back in another session links nothing.
            #expect(sentence(try await stage.comeBack(address, session: nil))?.contains("session") == true)
            let again = try await stage.signIn.startLinking(me.info, by: caller, visitor: "browser")
            guard case .linked = try await stage.comeBack(again, session: me.info) else {
                throw StoreError.other("not linked")
            }
            guard
                case .conflict = await failure({
                    _ = try await stage.signIn.startLinking(me.info, by: caller, visitor: "browser")
                })
            else { throw StoreError.other("linked twice") }
            let opened = try session(try await stage.go())
            #expect(try await stage.fixture.caller(opened).person == stage.root.id)

            // Nobody else gets the same account.
            let ann = try await stage.fixture.invite("ann@example.com", roles: ["support_l1"], by: caller)
            let annCaller = try await stage.fixture.caller(ann.first)
            let theirs = try await stage.signIn.startLinking(ann.first.info, by: annCaller, visitor: "ann")
            #expect(
                sentence(try await stage.comeBack(theirs, visitor: "ann", session: ann.first.info))?.contains(
                    "linked to somebody")
                    == true)

            let link = try await stage.fixture.test.database.read { reader in
                try reader.first(
                    Statement("SELECT id FROM factors WHERE kind = 'oidc' AND status = 'active'"))?.string("id") ?? ""
            }
            guard
                case .notFound = await failure({
                    try await stage.signIn.unlink(link, of: ann.first.info, by: annCaller)
                })
            else { throw StoreError.other("somebody else's link was taken away") }
            caller = try await stage.fixture.caller(me)
            try await stage.signIn.unlink(link, of: me.info, by: caller)
            guard case .unauthenticated = await failure({ _ = try await stage.fixture.caller(opened) }) else {
                throw StoreError.other("the session by the link goes on")
            }
            _ = try await stage.fixture.caller(me)
            #expect(sentence(try await stage.go())?.contains("verified") == true)
            #expect(try await stage.fixture.events("oidc.unlink").count == 1)
            // What was taken away can be linked again.
            let third = try await stage.signIn.startLinking(me.info, by: caller, visitor: "browser")
            guard case .linked = try await stage.comeBack(third, session: me.info) else {
                throw StoreError.other("not linked again")
            }
            #expect(
                try await stage.fixture.count(
                    "SELECT COUNT(*) AS count FROM outbox WHERE name = 'mail.provider_unlinked'") == 1)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `what the provider said does not outlive the link`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { stage in
            let me = try await stage.link(mfa: false)
            stage.provider.says("u-1", mfa: false)
            guard case .challenge(let challenge, links: false, _) = try await stage.go() else {
                throw StoreError.other("no challenge")
            }
            let link = try await stage.fixture.test.database.read { reader in
                try reader.first(
                    Statement("SELECT id FROM factors WHERE kind = 'oidc' AND status = 'active'"))?.string("id") ?? ""
            }
            try await stage.signIn.unlink(link, of: me.info, by: try await stage.fixture.caller(me))
            let sessions = try await stage.fixture.count("SELECT COUNT(*) AS count FROM sessions")
            let error = await failure {
                _ = try await stage.signIn.finish(challenge: challenge, totp: stage.code(), from: StaffFixture.source)
            }
            guard case .conflict(let detail, _)? = error else { throw StoreError.other("\(String(describing: error))") }
            #expect(detail.contains("taken away"))
            #expect(try await stage.fixture.count("SELECT COUNT(*) AS count FROM sessions") == sessions)
            #expect(try await stage.refusals() == ["link_ended"])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `linking needs a fresh factor, and so does unlinking`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { stage in
            stage.fixture.test.clock.advance(.minutes(6))
            let caller = try await stage.fixture.caller(stage.root.first)
            for body in [
                { _ = try await stage.signIn.startLinking(stage.root.first.info, by: caller, visitor: "b") },
                { try await stage.signIn.unlink("fct_1", of: stage.root.first.info, by: caller) },
            ] as [() async throws -> Void] {
                guard case .stepUpRequired = await failure(body) else { throw StoreError.other("no step-up") }
            }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `whoever resets factors takes the link away too`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { stage in
            _ = try await stage.link()
            let links = "SELECT COUNT(*) AS count FROM factors WHERE kind = 'oidc' AND status = 'active'"
            #expect(try await stage.fixture.count(links) == 1)
            // The only one there is: reset from the server.
            _ = try await stage.fixture.pipeline.run(
                OperationRequest(operation: "staff.recover", target: stage.root.id), by: StaffFixture.system("recovery")
            )
            stage.fixture.test.clock.advance(.hours(25))
            #expect(try await RecoveryTurn(pipeline: stage.fixture.pipeline).turn() == 1)
            #expect(try await stage.fixture.count(links) == 0)
            stage.provider.says("u-1", mfa: true)
            // Found by the address, and without a factor of their own nobody passes.
            guard case .challenge(let challenge, links: true, _) = try await stage.go() else {
                throw StoreError.other("no challenge")
            }
            guard
                case .unauthenticated = await failure({
                    _ = try await stage.signIn.finish(
                        challenge: challenge, totp: stage.code(), from: StaffFixture.source)
                })
            else { throw StoreError.other("came in without a factor") }
        }
    }

    // MARK: - Ending

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the provider ends the sessions that came from it, once a token`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { stage in
            _ = try await stage.link()
            stage.provider.says("u-1", mfa: true, sid: "s-1")
            let one = try session(try await stage.go())
            stage.provider.says("u-1", mfa: true, sid: "s-2")
            let two = try session(try await stage.go())
            let own = try await stage.fixture.signIn(stage.root)
            let now = stage.fixture.test.clock.clock.now
            func isOver(_ session: NewSession) async -> Bool {
                if case .unauthenticated = await failure({ _ = try await stage.fixture.caller(session) }) {
                    return true
                }
                return false
            }
            func logout(_ id: String, subject: String?, session: String?, issuer: String = "https://idp.example") {
                stage.provider.ends(
                    .success(
                        ProviderLogout(
                            issuer: issuer, subject: subject, session: session, id: id, expiresAt: now + .minutes(5))))
            }
            let farewell = await stage.signIn.farewell(one.info)
            #expect(farewell?.contains("id_token_hint=id-token-of-u-1") == true)
            #expect(await stage.signIn.farewell(own.info) == nil)

            logout("j-1", subject: nil, session: "s-1")
            try await stage.signIn.endByProvider("token", from: StaffFixture.source)
            #expect([await isOver(one), await isOver(two), await isOver(own)] == [true, false, false])
            #expect(
                await stage.signIn.farewell(one.info) == farewell, "a session that has ended still knows its provider")
            guard
                case .invalid = await failure({
                    try await stage.signIn.endByProvider("token", from: StaffFixture.source)
                })
            else { throw StoreError.other("a token counted twice") }
            logout("j-2", subject: "u-2", session: nil)
            try await stage.signIn.endByProvider("token", from: StaffFixture.source)
            logout("j-3", subject: "u-1", session: nil, issuer: "https://other.example")
            try await stage.signIn.endByProvider("token", from: StaffFixture.source)
            #expect(await isOver(two) == false)
            logout("j-4", subject: "u-1", session: nil)
            try await stage.signIn.endByProvider("token", from: StaffFixture.source)
            #expect([await isOver(two), await isOver(own)] == [true, false])
            let events = try await stage.fixture.events("oidc.logout")
            #expect(events.count == 2 && events.allSatisfy { $0["target"]?["id"] == .string(stage.root.id) })
            stage.provider.ends(.failure(ProviderRefusal("token_signature", "Wrong.")))
            guard
                case .invalid = await failure({
                    try await stage.signIn.endByProvider("token", from: StaffFixture.source)
                })
            else { throw StoreError.other("believed") }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `what has run out is removed`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { stage in
            _ = try await stage.link()
            _ = try await stage.signIn.startAtProvider(visitor: "b", next: nil, from: StaffFixture.source)
            _ = try await stage.signIn.beginDevice(machine: "laptop", from: StaffFixture.source)
            stage.fixture.test.clock.advance(.hours(10))
            try await stage.signIn.sweep()
            for table in ["provider_requests", "provider_sessions", "provider_tokens", "device_logins", "challenges"] {
                try await stage.fixture.test.expect(0, in: table)
            }
        }
    }
}
