import Consoles
import Foundation
import Kernel
import TestSupport
import Testing

@Suite struct StaffSignInTests {
    static let elsewhere = Source(
        ip: "198.51.100.7", userAgent: "Mozilla/5.0 (Windows NT 10.0) Chrome/140.0", client: .console,
        requestID: "req_elsewhere")

    /// Runs on both databases with a first person signed in.
    func with(
        _ kind: TestDatabase.Kind, settings: StaffSignIn.Settings = StaffSignIn.Settings(),
        _ body: (StaffFixture, StaffFixture.Person) async throws -> Void
    ) async throws {
        try await TestDatabase.with(kind) { test in
            let fixture = try await StaffFixture.make(test, settings: settings)
            try await body(fixture, try await fixture.bootstrap())
        }
    }

    func isUnauthenticated(_ body: () async throws -> Void) async -> Bool {
        let error = await failure(body)
        if case .unauthenticated = error { return true }
        Issue.record("expected .unauthenticated, got \(String(describing: error))")
        return false
    }

    // MARK: - The two steps

    @Test(arguments: TestDatabase.Kind.allCases)
    func `password and code make a session, recorded with both factors`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { fixture, root in
            let session = try await fixture.signIn(root)
            #expect(session.token.hasPrefix("pst_"))
            #expect(session.info.expiresAt == fixture.test.clock.clock.now + .hours(8))
            let (caller, info) = try await fixture.signIn.authenticate(token: session.token, from: StaffFixture.source)
            #expect(caller.person == root.id)
            #expect(caller.actor == Actor(.staff, root.id))
            #expect(caller.authentication?.factors == [.password, .totp])
            #expect(caller.authentication?.session == info.id)
            #expect(info.csrfToken == session.info.csrfToken)

            let event = try #require(try await fixture.events("signin.succeeded").last)
            #expect(event["class"] == "authn")
            #expect(event["auth"]?["factors"] == ["password", "totp"])
            #expect(event["sealed"]?["actor_ip"] != nil)
            let text = String(decoding: event.canonical, as: UTF8.self)
            #expect(!text.contains("192.0.2.10") && !text.contains("root@example.com"))
            // Only the hash of the token is stored.
            #expect(
                try await fixture.count(
                    "SELECT COUNT(*) AS count FROM sessions WHERE token_hash = $1",
                    [.bytes(sha256(Array(session.token.utf8)))]) == 1)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a wrong pair answers like a right one, and only the second step fails`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { fixture, root in
            fixture.test.clock.advance(.seconds(60))
            let pairs = [
                (root.email, root.password), (root.email, "not the password"), ("nobody@example.com", root.password),
                (" ROOT@example.com ", root.password), (root.email, String(repeating: "x", count: 5000)),
            ]
            var challenges: [String] = []
            for (email, password) in pairs {
                let (challenge, factors) = try await fixture.signIn.begin(
                    email: email, password: password, from: StaffFixture.source)
                #expect(factors == [.totp, .recovery])
                #expect(challenge.hasPrefix("chl_") && challenge.utf8.count == 47)
                challenges.append(challenge)
            }
            for index in [1, 2, 4] {
                let challenge = challenges[index]
                let code = root.code(at: fixture.test.clock.clock.now)
                #expect(
                    await isUnauthenticated {
                        _ = try await fixture.signIn.finish(challenge: challenge, totp: code, from: StaffFixture.source)
                    }, "pair \(index)")
            }
            // The failures did not use the code up; case and spaces around the address don't matter.
            _ = try await fixture.signIn.finish(
                challenge: challenges[3], totp: root.code(at: fixture.test.clock.clock.now), from: StaffFixture.source)
        }
    }

    /// The same statements run for a right pair, a wrong password and an unknown account, so timing can't tell them apart
    /// beyond one hash, which each of them costs once.
    @Test(arguments: TestDatabase.Kind.allCases)
    func `right, wrong and unknown pairs leave rows of the same shape and cost one hash each`(
        kind: TestDatabase.Kind
    ) async throws {
        try await TestDatabase.with(kind) { test in
            let hasher = CountingHasher()
            let fixture = try await StaffFixture.make(test, hasher: hasher)
            let root = try await fixture.bootstrap()
            var shapes: Set<String> = []
            for (index, pair) in [
                (root.email, root.password), (root.email, "not the password"), ("nobody@example.com", "whatever it is"),
            ].enumerated() {
                let source = Source(ip: "203.0.113.\(index)", userAgent: "x", client: .console, requestID: "r")
                let before = hasher.verifications
                let events = try await fixture.count("SELECT COUNT(*) AS count FROM events")
                let challenges = try await fixture.count("SELECT COUNT(*) AS count FROM challenges")
                _ = try await fixture.signIn.begin(email: pair.0, password: pair.1, from: source)
                // The account's own row exists already when the account was tried before.
                let rows = try await fixture.count(
                    "SELECT COUNT(*) AS count FROM throttle WHERE key LIKE $1", [.text("%203.0.113.\(index)%")])
                shapes.insert(
                    "hashes \(hasher.verifications - before), events \(try await fixture.count("SELECT COUNT(*) AS count FROM events") - events), "
                        + "challenges \(try await fixture.count("SELECT COUNT(*) AS count FROM challenges") - challenges), rows \(rows)"
                )
            }
            #expect(shapes == ["hashes 1, events 0, challenges 1, rows 3"])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an invited person without factors can't sign in`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { test in
            let fixture = try await StaffFixture.make(test)
            _ = try await fixture.bootstrapToken()
            let (challenge, _) = try await fixture.signIn.begin(
                email: "root@example.com", password: StaffFixture.password, from: StaffFixture.source)
            #expect(
                await isUnauthenticated {
                    _ = try await fixture.signIn.finish(challenge: challenge, totp: "000000", from: StaffFixture.source)
                })
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `of twenty sign-ins with one code, one succeeds`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { fixture, root in
            fixture.test.clock.advance(.seconds(60))
            var challenges: [String] = []
            for index in 0..<20 {
                // From many sources, so that throttling does not decide.
                let source = Source(ip: "203.0.113.\(index)", userAgent: "x", client: .console, requestID: "r")
                challenges.append(
                    try await fixture.signIn.begin(email: root.email, password: root.password, from: source).challenge)
            }
            let code = root.code(at: fixture.test.clock.clock.now)
            let successes = await withTaskGroup(of: Int.self) { group in
                for (index, challenge) in challenges.enumerated() {
                    group.addTask {
                        let source = Source(ip: "203.0.113.\(index)", userAgent: "x", client: .console, requestID: "r")
                        let error = await failure {
                            _ = try await fixture.signIn.finish(challenge: challenge, totp: code, from: source)
                        }
                        switch error {
                        case nil: return 1
                        case .unauthenticated: return 0
                        default:
                            Issue.record("unexpected \(String(describing: error))")
                            return 0
                        }
                    }
                }
                return await group.reduce(0, +)
            }
            #expect(successes == 1)
            #expect(try await fixture.events("signin.succeeded").count == 1)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `one challenge makes one session`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { fixture, root in
            fixture.test.clock.advance(.seconds(60))
            let (challenge, _) = try await fixture.signIn.begin(
                email: root.email, password: root.password, from: StaffFixture.source)
            _ = try await fixture.signIn.finish(
                challenge: challenge, totp: root.code(at: fixture.test.clock.clock.now), from: StaffFixture.source)
            fixture.test.clock.advance(.seconds(60))
            let code = root.code(at: fixture.test.clock.clock.now)
            #expect(
                await isUnauthenticated {
                    _ = try await fixture.signIn.finish(challenge: challenge, totp: code, from: StaffFixture.source)
                })
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an older code is refused after a newer one was used`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { fixture, root in
            fixture.test.clock.advance(.seconds(90))
            let now = fixture.test.clock.clock.now
            func finish(_ code: String) async throws {
                let (challenge, _) = try await fixture.signIn.begin(
                    email: root.email, password: root.password, from: StaffFixture.source)
                _ = try await fixture.signIn.finish(challenge: challenge, totp: code, from: StaffFixture.source)
            }
            try await finish(TOTP.code(secret: root.secret, step: TOTP.step(at: now) + 1))
            #expect(
                await isUnauthenticated { try await finish(TOTP.code(secret: root.secret, step: TOTP.step(at: now))) })
            #expect(
                await isUnauthenticated {
                    try await finish(TOTP.code(secret: root.secret, step: TOTP.step(at: now) + 1))
                })
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a challenge lives five minutes and five tries`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { fixture, root in
            fixture.test.clock.advance(.seconds(60))
            let late = try await fixture.signIn.begin(
                email: root.email, password: root.password, from: StaffFixture.source
            ).challenge
            fixture.test.clock.advance(.minutes(5))
            let lateCode = root.code(at: fixture.test.clock.clock.now)
            #expect(
                await isUnauthenticated {
                    _ = try await fixture.signIn.finish(challenge: late, totp: lateCode, from: StaffFixture.source)
                })

            fixture.test.clock.advance(.minutes(5))
            let tried = try await fixture.signIn.begin(
                email: root.email, password: root.password, from: StaffFixture.source
            ).challenge
            for _ in 0..<5 {
                #expect(
                    await isUnauthenticated {
                        _ = try await fixture.signIn.finish(challenge: tried, totp: "12345", from: StaffFixture.source)
                    })
            }
            let code = root.code(at: fixture.test.clock.clock.now)
            #expect(
                await isUnauthenticated {
                    _ = try await fixture.signIn.finish(challenge: tried, totp: code, from: StaffFixture.source)
                })
            #expect(
                await isUnauthenticated {
                    _ = try await fixture.signIn.finish(challenge: "chl_forged", totp: code, from: StaffFixture.source)
                })
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a recovery code works once and its use is recorded with the factor`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { fixture, root in
            func finish(_ code: String) async throws -> NewSession {
                let (challenge, _) = try await fixture.signIn.begin(
                    email: root.email, password: root.password, from: StaffFixture.source)
                return try await fixture.signIn.finish(challenge: challenge, recovery: code, from: StaffFixture.source)
            }
            let session = try await finish(root.recoveryCodes[3].lowercased())
            let caller = try await fixture.caller(session)
            #expect(caller.authentication?.factors == [.password, .recovery])
            #expect(await isUnauthenticated { _ = try await finish(root.recoveryCodes[3]) })
            #expect(await isUnauthenticated { _ = try await finish("AAAA-AAAA-AAAA-AAAA") })
            _ = try await finish(root.recoveryCodes[4])
            let events = try await fixture.events("recovery_code.used")
            #expect(events.count == 2)
            #expect(events[0]["changes"]?.array?[0]["type"] == "factor")
            #expect(events[0]["changes"]?.array?[0]["before"] != events[0]["changes"]?.array?[0]["after"])
        }
    }

    // MARK: - Throttling

    @Test(arguments: TestDatabase.Kind.allCases)
    func `delays grow for one account and source, and nobody else is held up`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { fixture, root in
            var waits: [Int64] = []
            for _ in 0..<20 {
                let error = await failure {
                    _ = try await fixture.signIn.begin(
                        email: root.email, password: "wrong password", from: Self.elsewhere)
                }
                if let wait = error?.wait {
                    waits.append(wait.seconds)
                    fixture.test.clock.advance(wait)
                }
            }
            #expect(waits == [1, 2, 4, 8, 16, 32, 64])
            let error = await failure {
                _ = try await fixture.signIn.begin(email: root.email, password: root.password, from: Self.elsewhere)
            }
            #expect(error?.wait != nil, "the right password must wait too")

            // The person at their own desk is not locked out, nor is anybody else.
            _ = try await fixture.signIn(root)
            try await fixture.signIn.sweep()
            let throttled = try await fixture.events("signin.throttled")
            #expect(throttled.count >= 1)
            #expect(throttled[0]["outcome"] == "blocked")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `many sources together meet a delay on the account, except the person's own`(kind: TestDatabase.Kind)
        async throws
    {
        try await with(kind) { fixture, root in
            var wait: Span?
            for index in 0..<40 where wait == nil {
                let source = Source(ip: "203.0.113.\(index)", userAgent: "x", client: .console, requestID: "r")
                wait = await failure {
                    _ = try await fixture.signIn.begin(email: root.email, password: "wrong password", from: source)
                }?.wait
            }
            #expect(wait != nil)
            _ = try await fixture.signIn(root)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `one source trying many accounts is delayed`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { fixture, _ in
            var refused = false
            for index in 0..<40 where !refused {
                refused =
                    await failure {
                        _ = try await fixture.signIn.begin(
                            email: "guess\(index)@example.com", password: "wrong password", from: Self.elsewhere)
                    }?.wait != nil
            }
            #expect(refused)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `parallel guesses are counted before any of them is looked at`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { fixture, root in
            let accepted = await withTaskGroup(of: Int.self) { group in
                for _ in 0..<30 {
                    group.addTask {
                        let error = await failure {
                            _ = try await fixture.signIn.begin(
                                email: root.email, password: "wrong password", from: Self.elsewhere)
                        }
                        return error == nil ? 1 : 0
                    }
                }
                return await group.reduce(0, +)
            }
            #expect(accepted == 6)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `failures of one source are one event a minute, with a count`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { fixture, root in
            for _ in 0..<3 {
                let (challenge, _) = try await fixture.signIn.begin(
                    email: root.email, password: "wrong password", from: Self.elsewhere)
                #expect(
                    await isUnauthenticated {
                        _ = try await fixture.signIn.finish(challenge: challenge, totp: "000000", from: Self.elsewhere)
                    })
                fixture.test.clock.advance(.seconds(5))
            }
            // The sweep records them, every half minute as it runs.
            try await fixture.signIn.sweep()
            _ = try await fixture.signIn.begin(email: root.email, password: "wrong again", from: Self.elsewhere)
            fixture.test.clock.advance(.seconds(30))
            try await fixture.signIn.sweep()
            #expect(try await fixture.events("signin.failed").map { $0["facts"]?["count"] } == [3])
            _ = try await fixture.signIn.begin(email: root.email, password: "wrong again", from: Self.elsewhere)
            fixture.test.clock.advance(.seconds(30))
            try await fixture.signIn.sweep()
            let events = try await fixture.events("signin.failed")
            #expect(events.map { $0["facts"]?["count"] } == [3, 2])
            #expect(events[1]["target"]?["id"] == .string(root.id))
            #expect(events[1]["actor"] == ["type": "system", "id": "signin"])
            #expect(!String(decoding: events[1].canonical, as: UTF8.self).contains("198.51.100"))
            // Nothing more to say.
            fixture.test.clock.advance(.seconds(60))
            try await fixture.signIn.sweep()
            #expect(try await fixture.events("signin.failed").count == 2)
            // The last sweep of a server waits for no minute.
            _ = try await fixture.signIn.begin(email: root.email, password: "wrong again", from: Self.elsewhere)
            fixture.test.clock.advance(.seconds(60))
            try await fixture.signIn.sweep()
            _ = try await fixture.signIn.begin(email: "nobody@example.com", password: "x", from: Self.elsewhere)
            try await fixture.signIn.sweep()
            _ = try await fixture.signIn.begin(email: "nobody@example.com", password: "x", from: Self.elsewhere)
            try await fixture.signIn.sweep(isLast: true)
            let counts = try await fixture.events("signin.failed").map { $0["facts"]?["count"] }
            #expect(counts == [3, 2, 1, 1, 1])
        }
    }

    /// Whoever measures how long an answer takes must not learn from it whose address exists: no request writes an event
    /// for a failure, however often it failed before.
    @Test(arguments: TestDatabase.Kind.allCases)
    func `no failed or throttled request writes an event, for a known address or an unknown one`(
        kind: TestDatabase.Kind
    ) async throws {
        try await with(kind) { fixture, root in
            for (index, email) in [root.email, "nobody@example.com"].enumerated() {
                let source = Source(ip: "203.0.113.\(index)", userAgent: "x", client: .console, requestID: "r")
                var rows: [Int64] = []
                var throttled = 0
                for _ in 0..<10 {
                    let before = try await fixture.count("SELECT COUNT(*) AS count FROM events")
                    do {
                        let (challenge, _) = try await fixture.signIn.begin(
                            email: email, password: "wrong password", from: source)
                        #expect(
                            await isUnauthenticated {
                                _ = try await fixture.signIn.finish(challenge: challenge, totp: "000000", from: source)
                            })
                    } catch OperationError.tooManyRequests {
                        throttled += 1
                    }
                    rows.append(try await fixture.count("SELECT COUNT(*) AS count FROM events") - before)
                }
                #expect(rows == [Int64](repeating: 0, count: 10), "\(email)")
                #expect(throttled > 3, "\(email)")
            }
            try await fixture.signIn.sweep()
            for action in ["signin.failed", "signin.throttled"] {
                let targets = try await fixture.events(action).map { $0["target"]?["id"]?.string }
                #expect(Set(targets) == [root.id, nil], "\(action)")
            }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an attempt nobody had time to look at is not counted`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { test in
            let hasher = BusyHasher()
            let fixture = try await StaffFixture.make(test, hasher: hasher)
            let root = try await fixture.bootstrap()
            // One away from a delay.
            for _ in 0..<5 {
                _ = try await fixture.signIn.begin(email: root.email, password: "wrong one", from: Self.elsewhere)
            }
            let counted = try await throttle(test)
            hasher.isBusy = true
            for email in [root.email, "nobody@example.com"] {
                for _ in 0..<8 {
                    let error = await failure {
                        _ = try await fixture.signIn.begin(email: email, password: "whatever", from: Self.elsewhere)
                    }
                    #expect(error?.wait == .seconds(2))
                }
            }
            let caller = try await fixture.caller(root.first)
            for _ in 0..<8 {
                let error = await failure {
                    try await fixture.signIn.changePassword(
                        root.first.info, by: caller, old: root.password, new: "a better one altogether")
                }
                #expect(error?.wait == .seconds(2))
            }
            #expect(try await throttle(test) == counted)
            hasher.isBusy = false
            let source = Self.elsewhere
            test.clock.advance(.seconds(60))
            let (challenge, _) = try await fixture.signIn.begin(
                email: root.email, password: root.password, from: source)
            _ = try await fixture.signIn.finish(
                challenge: challenge, totp: root.code(at: test.clock.clock.now), from: source)
        }
    }

    /// What counts against anybody: failures and delays by key.
    func throttle(_ test: TestDatabase) async throws -> [String: [Int64]] {
        try await test.database.read { reader in
            var found: [String: [Int64]] = [:]
            for row in try reader.query(Statement("SELECT key, failures, blocked_until FROM throttle")) {
                let numbers = [try row.int("failures"), try row.int("blocked_until")]
                if numbers != [0, 0] { found[try row.string("key")] = numbers }
            }
            return found
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a password tried and left without a second step is recorded by the sweep`(kind: TestDatabase.Kind)
        async throws
    {
        try await with(kind) { fixture, root in
            _ = try await fixture.signIn.begin(email: root.email, password: "wrong password", from: Self.elsewhere)
            _ = try await fixture.signIn.begin(email: "nobody@example.com", password: "x", from: Self.elsewhere)
            #expect(try await fixture.events("signin.failed").isEmpty)
            try await fixture.signIn.sweep()
            let events = try await fixture.events("signin.failed")
            #expect(events.count == 2)
            #expect(events.compactMap { $0["target"]?["id"]?.string } == [root.id])
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `the sweep clears what has run out`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { fixture, root in
            _ = try await fixture.signIn.begin(email: root.email, password: "wrong password", from: Self.elsewhere)
            fixture.test.clock.advance(.days(2))
            try await fixture.signIn.sweep()
            fixture.test.clock.advance(.hours(2))
            try await fixture.signIn.sweep()
            #expect(try await fixture.count("SELECT COUNT(*) AS count FROM throttle") == 0)
            #expect(try await fixture.count("SELECT COUNT(*) AS count FROM challenges") == 0)
        }
    }
}
