import Consoles
import Foundation
import Kernel
import TestSupport
import Testing

/// What follows a sign-in: sessions, step-up, enrolment and one's own factors.
extension StaffSignInTests {
    @Test(arguments: TestDatabase.Kind.allCases)
    func `a session ends after eight hours however busy it is`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { fixture, root in
            let token = root.first.token
            for _ in 0..<23 {
                fixture.test.clock.advance(.minutes(20))
                _ = try await fixture.signIn.authenticate(token: token, from: StaffFixture.source)
            }
            fixture.test.clock.advance(.minutes(20))
            #expect(
                await isUnauthenticated {
                    _ = try await fixture.signIn.authenticate(token: token, from: StaffFixture.source)
                })
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a session nobody uses for half an hour ends`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { fixture, root in
            fixture.test.clock.advance(.minutes(29))
            _ = try await fixture.caller(root.first)
            fixture.test.clock.advance(.minutes(29))
            _ = try await fixture.caller(root.first)
            fixture.test.clock.advance(.minutes(30))
            #expect(await isUnauthenticated { _ = try await fixture.caller(root.first) })
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a token is worth nothing with another user agent, altered, or unknown`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { fixture, root in
            let token = root.first.token
            let other = Source(
                ip: StaffFixture.source.ip, userAgent: "curl/8", client: .api, requestID: "r")
            #expect(await isUnauthenticated { _ = try await fixture.signIn.authenticate(token: token, from: other) })
            let altered = String(token.dropLast()) + (token.last == "A" ? "B" : "A")
            for bad in [altered, "", "pst_", "enr_" + token.dropFirst(4), token + "A"] {
                #expect(
                    await isUnauthenticated {
                        _ = try await fixture.signIn.authenticate(token: bad, from: StaffFixture.source)
                    })
            }
            // By default the network may change: phones do that.
            let moved = Source(
                ip: "198.51.100.200", userAgent: StaffFixture.source.userAgent, client: .console, requestID: "r")
            _ = try await fixture.signIn.authenticate(token: token, from: moved)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a session may be bound to a network`(kind: TestDatabase.Kind) async throws {
        var settings = StaffSignIn.Settings()
        settings.network = (24, 48)
        try await with(kind, settings: settings) { fixture, root in
            func from(_ ip: String) -> Source {
                Source(ip: ip, userAgent: StaffFixture.source.userAgent, client: .console, requestID: "r")
            }
            _ = try await fixture.signIn.authenticate(token: root.first.token, from: from("192.0.2.250"))
            #expect(
                await isUnauthenticated {
                    _ = try await fixture.signIn.authenticate(token: root.first.token, from: from("192.0.3.10"))
                })
        }
    }

    @Test(arguments: [
        ("192.0.2.130", 24, 64, "192.0.2.0/24"), ("192.0.2.130", 25, 64, "192.0.2.128/25"),
        ("::ffff:192.0.2.1", 32, 64, "192.0.2.1/32"),
        ("2001:db8:1:2:3::4", 32, 48, "20010db8000100000000000000000000/48"),
        ("fe80::1%eth0", 32, 64, "fe800000000000000000000000000000/64"), ("unix", 32, 64, "unix"),
    ])
    func `addresses are cut to their network`(address: String, v4: Int, v6: Int, expected: String) {
        #expect(NetworkPrefix.of(address, v4: v4, v6: v6) == expected)
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a role ends with its grant, at the next request`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { fixture, root in
            let caller = try await fixture.caller(root.first)
            let ann = try await fixture.invite("ann@example.com", roles: ["support_l1", "executive"], by: caller)
            #expect(try await fixture.caller(ann.first).roles == ["executive", "support_l1"])
            #expect(try await fixture.caller(ann.first).permissions.contains("ticket.view"))

            let now = fixture.test.clock.clock.now
            try await fixture.test.tamper([
                Statement(
                    "UPDATE grants SET expires_at = $1 WHERE staff_id = $2 AND role_id = 'support_l1'",
                    [Value(now + .minutes(10)), .text(ann.id)])
            ])
            fixture.test.clock.advance(.minutes(9))
            #expect(try await fixture.caller(ann.first).permissions.contains("ticket.view"))
            fixture.test.clock.advance(.minutes(1))
            let after = try await fixture.caller(ann.first)
            #expect(after.roles == ["executive"])
            #expect(!after.permissions.contains("ticket.view"))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a deactivated person's session is worth nothing at once`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { fixture, root in
            try await fixture.test.tamper([
                Statement("UPDATE staff SET status = 'deactivated' WHERE id = $1", [.text(root.id)])
            ])
            #expect(await isUnauthenticated { _ = try await fixture.caller(root.first) })
            fixture.test.clock.advance(.seconds(60))
            let (challenge, _) = try await fixture.signIn.begin(
                email: root.email, password: root.password, from: StaffFixture.source)
            let code = root.code(at: fixture.test.clock.clock.now)
            #expect(
                await isUnauthenticated {
                    _ = try await fixture.signIn.finish(challenge: challenge, totp: code, from: StaffFixture.source)
                })
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `signing out ends the session, another one stays, and a stranger's can't be ended`(
        kind: TestDatabase.Kind
    ) async throws {
        try await with(kind) { fixture, root in
            let second = try await fixture.signIn(root)
            let third = try await fixture.signIn(root)
            let ann = try await fixture.invite(
                "ann@example.com", roles: ["support_l1"], by: try await fixture.caller(third))

            try await fixture.signIn.end(second.info, from: StaffFixture.source)
            try await fixture.signIn.end(second.info, from: StaffFixture.source)
            #expect(await isUnauthenticated { _ = try await fixture.caller(second) })
            try await fixture.signIn.end(sessionID: root.first.info.id, of: third.info, from: StaffFixture.source)
            #expect(await isUnauthenticated { _ = try await fixture.caller(root.first) })
            let error = await failure {
                try await fixture.signIn.end(sessionID: ann.first.info.id, of: third.info, from: StaffFixture.source)
            }
            if case .notFound = error {
            } else {
                Issue.record("ended a stranger's session: \(String(describing: error))")
            }
            _ = try await fixture.caller(third)
            _ = try await fixture.caller(ann.first)
            #expect(try await fixture.events("signout").count == 2)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `being seen is written at most once a minute`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { fixture, root in
            fixture.test.clock.advance(.seconds(30))
            _ = try await fixture.caller(root.first)
            let first = try await fixture.signIn.authenticate(token: root.first.token, from: StaffFixture.source).1
            #expect(first.lastSeenAt == root.first.info.createdAt)
            fixture.test.clock.advance(.seconds(30))
            _ = try await fixture.caller(root.first)
            let second = try await fixture.signIn.authenticate(token: root.first.token, from: StaffFixture.source).1
            #expect(second.lastSeenAt == root.first.info.createdAt + .seconds(60))
        }
    }

    // MARK: - Step-up

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a code renews the factor of a session, once`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { fixture, root in
            fixture.test.clock.advance(.minutes(10))
            let now = fixture.test.clock.clock.now
            let code = root.code(at: now)
            try await fixture.signIn.stepUp(root.first.info, code: code, from: StaffFixture.source)
            #expect(try await fixture.caller(root.first).authentication?.mfaAt == now)
            for wrong in [code, "000000"] {
                let fields = try await refusedFields {
                    try await fixture.signIn.stepUp(root.first.info, code: wrong, from: StaffFixture.source)
                }
                #expect(fields == ["/code"])
            }
            #expect(try await fixture.events("stepup.succeeded").count == 1)
            #expect(try await fixture.events("stepup.failed").count == 2)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `guessing codes in a session is slowed down`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { fixture, root in
            var waited = false
            for _ in 0..<8 where !waited {
                waited =
                    await failure {
                        try await fixture.signIn.stepUp(root.first.info, code: "12345", from: StaffFixture.source)
                    }?.wait != nil
            }
            #expect(waited)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a stale factor stops a grave operation until a code is given`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { fixture, root in
            fixture.test.clock.advance(.minutes(6))
            let invitation = StaffFixture.invitation("ann@example.com", roles: ["support_l1"])
            let error = await failure {
                _ = try await fixture.pipeline.run(invitation, by: try await fixture.caller(root.first))
            }
            if case .stepUpRequired = error {} else { Issue.record("ran without a fresh factor") }
            try await fixture.signIn.stepUp(
                root.first.info, code: root.code(at: fixture.test.clock.clock.now), from: StaffFixture.source)
            _ = try await fixture.pipeline.run(invitation, by: try await fixture.caller(root.first))
        }
    }

    // MARK: - Enrolment and own factors

    @Test(arguments: TestDatabase.Kind.allCases)
    func `of ten people with one link, one enrols`(kind: TestDatabase.Kind) async throws {
        try await TestDatabase.with(kind) { test in
            let fixture = try await StaffFixture.make(test)
            let token = try await fixture.bootstrapToken()
            let enrolled = await withTaskGroup(of: Int.self) { group in
                for _ in 0..<10 { group.addTask { (try? await fixture.enrol(token)) == nil ? 0 : 1 } }
                return await group.reduce(0, +)
            }
            #expect(enrolled == 1)
            #expect(try await fixture.count("SELECT COUNT(*) AS count FROM factors") == 3)
            let event = try #require(try await fixture.events("enrolment.completed").first)
            #expect(
                event["changes"]?.array?.compactMap { $0["type"]?.string } == ["staff", "factor", "factor", "factor"])
            #expect(event["retention_class"] == "soc2_iso_7y")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a link that replaces lost factors ends what was signed in with them`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { fixture, root in
            let token = "enr_reset"
            let now = fixture.test.clock.clock.now
            try await fixture.test.database.write { tx in
                tx.enqueue(
                    Statement(
                        """
                        INSERT INTO enrolments (token_hash, staff_id, purpose, state, created_at, expires_at)
                        VALUES ($1, $2, 'reset', 'open', $3, $4)
                        """,
                        [.bytes(sha256(Array(token.utf8))), .text(root.id), Value(now), Value(now + .hours(1))]))
            }
            let again = try await fixture.enrol(token)
            #expect(await failure { _ = try await fixture.caller(root.first) } != nil)
            _ = try await fixture.caller(again.first)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `enrolment refuses a weak password, a wrong code and another link's secret`(kind: TestDatabase.Kind)
        async throws
    {
        try await with(kind) { fixture, root in
            let caller = try await fixture.caller(root.first)
            let token = try StaffFixture.token(
                try await fixture.pipeline.run(
                    StaffFixture.invitation("ann@example.com", roles: ["support_l1"]), by: caller))
            let other = try StaffFixture.token(
                try await fixture.pipeline.run(
                    StaffFixture.invitation("bob@example.com", roles: ["support_l1"]), by: caller))
            let offer = try await fixture.signIn.enrolmentOffer(token: token)
            let foreign = try await fixture.signIn.enrolmentOffer(token: other)
            let now = fixture.test.clock.clock.now
            func code(_ offer: EnrolmentOffer) -> String {
                TOTP.code(secret: Base32.decode(offer.totpSecret) ?? [], at: now)
            }
            func pointers(_ password: String, _ sealed: String, _ code: String) async throws -> [String] {
                try await refusedFields {
                    _ = try await fixture.signIn.enrol(
                        token: token, password: password, sealedSecret: sealed, code: code, from: StaffFixture.source)
                }
            }
            #expect(try await pointers("short", offer.sealedSecret, "000000") == ["/password", "/code"])
            #expect(try await pointers(StaffFixture.password, offer.sealedSecret, "12345") == ["/code"])
            #expect(try await pointers(StaffFixture.password, foreign.sealedSecret, code(foreign)) == ["/code"])
            #expect(try await pointers(StaffFixture.password, offer.sealedSecret, code(offer)) == [])
            // The enrolment code itself can't be used to sign in.
            let (challenge, _) = try await fixture.signIn.begin(
                email: "ann@example.com", password: StaffFixture.password, from: StaffFixture.source)
            #expect(
                await isUnauthenticated {
                    _ = try await fixture.signIn.finish(
                        challenge: challenge, totp: code(offer), from: StaffFixture.source)
                })
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `secrets are sealed at rest and absent from events`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { fixture, root in
            let stored = try await fixture.test.database.read { reader in
                try reader.query(Statement("SELECT kind, secret FROM factors ORDER BY id")).map {
                    (try $0.string("kind"), try $0.string("secret"))
                }
            }
            #expect(stored.map(\.0).sorted() == ["password", "recovery", "totp"])
            for (kind, secret) in stored {
                #expect(!secret.contains("argon2") && !secret.contains(Base32.encode(root.secret)))
                #expect(kind == "recovery" || secret.hasPrefix(fixture.masterKey.fingerprint + "."))
                for code in root.recoveryCodes { #expect(!secret.contains(code)) }
                #expect(
                    try await fixture.count(
                        "SELECT COUNT(*) AS count FROM sealed WHERE members LIKE $1", [.text("%\(secret.prefix(40))%")])
                        == 0)
            }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `new recovery codes need a fresh factor and end the old ones`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { fixture, root in
            let codes = try await fixture.signIn.renewRecoveryCodes(
                root.first.info, by: try await fixture.caller(root.first))
            #expect(codes.count == 10 && Set(codes).isDisjoint(with: root.recoveryCodes))
            func finish(_ code: String) async throws {
                let (challenge, _) = try await fixture.signIn.begin(
                    email: root.email, password: root.password, from: StaffFixture.source)
                _ = try await fixture.signIn.finish(challenge: challenge, recovery: code, from: StaffFixture.source)
            }
            #expect(await isUnauthenticated { try await finish(root.recoveryCodes[0]) })
            try await finish(codes[0])
            let event = try #require(try await fixture.events("factor.renew_recovery").first)
            #expect(event["changes"]?.array?.count == 2)

            fixture.test.clock.advance(.minutes(6))
            let stale = try await fixture.caller(root.first)
            let error = await failure {
                _ = try await fixture.signIn.renewRecoveryCodes(root.first.info, by: stale)
            }
            if case .stepUpRequired = error {} else { Issue.record("renewed with a stale factor") }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `another authenticator app takes the place of the first once it shows a right code`(
        kind: TestDatabase.Kind
    ) async throws {
        try await with(kind) { fixture, root in
            let signIn = fixture.signIn
            let session = root.first.info
            let caller = try await fixture.caller(root.first)
            let offer = try await signIn.authenticatorOffer(session, by: caller)
            let secret = try #require(Base32.decode(offer.totpSecret))
            let wrong = TOTP.code(secret: SecureRandom.bytes(20), at: fixture.test.clock.clock.now)
            let fields = try await refusedFields {
                try await signIn.setAuthenticator(offer.sealedSecret, code: wrong, of: session, by: caller)
            }
            #expect(fields == ["/code"])
            let code = TOTP.code(secret: secret, at: fixture.test.clock.clock.now)
            // Of another session the form is worth nothing.
            let other = try await fixture.signIn(root)
            let stranger = try await fixture.caller(other)
            #expect(
                try await refusedFields {
                    try await signIn.setAuthenticator(offer.sealedSecret, code: code, of: other.info, by: stranger)
                } == ["/code"])
            let now = TOTP.code(secret: secret, at: fixture.test.clock.clock.now)
            try await signIn.setAuthenticator(
                offer.sealedSecret, code: now, of: session, by: try await fixture.caller(root.first))
            let event = try #require(try await fixture.events("factor.set_authenticator").first)
            #expect(event["class"] == "mutation" && event["changes"]?.array?.count == 2)

            // The old app's codes are over, and the code that proved the new one is used up.
            fixture.test.clock.advance(.seconds(60))
            for (secret, isRight) in [(root.secret, false), (secret, true)] {
                let (challenge, _) = try await signIn.begin(
                    email: root.email, password: root.password, from: StaffFixture.source)
                let code = TOTP.code(secret: secret, at: fixture.test.clock.clock.now)
                let error = await failure {
                    _ = try await signIn.finish(challenge: challenge, totp: code, from: StaffFixture.source)
                }
                #expect((error == nil) == isRight)
            }
            // It is the only factor.
            let fresh = try await fixture.caller(root.first)
            guard
                case .conflict(let detail, _) = await failure({
                    try await signIn.removeAuthenticator(of: session, by: fresh)
                })
            else {
                Issue.record("the last factor was removed")
                return
            }
            #expect(detail.contains("only factor"))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `changing the password needs the present one and ends the other sessions`(kind: TestDatabase.Kind) async throws
    {
        try await with(kind) { fixture, root in
            let second = try await fixture.signIn(root)
            let caller = try await fixture.caller(second)
            func change(_ old: String, _ new: String) async throws -> [String] {
                try await refusedFields {
                    try await fixture.signIn.changePassword(second.info, by: caller, old: old, new: new)
                }
            }
            #expect(try await change("not it at all", "a better one altogether") == ["/old"])
            #expect(try await change(root.password, "short") == ["/new"])
            #expect(try await change(root.password, "a better one altogether") == [])
            #expect(await isUnauthenticated { _ = try await fixture.caller(root.first) })
            _ = try await fixture.caller(second)

            fixture.test.clock.advance(.seconds(60))
            func finish(_ password: String) async throws {
                let (challenge, _) = try await fixture.signIn.begin(
                    email: root.email, password: password, from: StaffFixture.source)
                _ = try await fixture.signIn.finish(
                    challenge: challenge, totp: root.code(at: fixture.test.clock.clock.now), from: StaffFixture.source)
            }
            #expect(await isUnauthenticated { try await finish(root.password) })
            try await finish("a better one altogether")
            let outcomes = try await fixture.events("factor.change_password").compactMap { $0["outcome"]?.string }
            #expect(outcomes == ["denied", "applied"])
        }
    }

    @Test func `limits of several grants add up to the highest, and no limit wins`() async throws {
        try await TestDatabase.with(.sqlite) { test in
            let fixture = try await StaffFixture.make(test)
            let root = try await fixture.caller(try await fixture.bootstrap().first)
            let ann = try await fixture.invite("ann@example.com", roles: ["support_l2"], by: root)
            try await test.tamper([
                Statement(
                    "INSERT INTO role_permissions (id, version, role_id, permission, limits) VALUES ('executive:tenant.credit', 1, 'executive', 'tenant.credit', $1)",
                    [.text("[{\"amount\":2000,\"currency\":\"EUR\"}]")]),
                Statement(
                    "INSERT INTO grants (id, version, staff_id, role_id, granted_by, granted_at) VALUES ('grt_x', 1, $1, 'executive', 'test', 0)",
                    [.text(ann.id)]),
                // As the trigger would have marked it.
                Statement("UPDATE policy_state SET mark = 'second'"),
            ])
            // Dollars from the one, euros from the other: what either comes to in the other's currency takes a rate.
            #expect(
                try await fixture.caller(ann.first).permissions.limits(on: "tenant.credit")
                    == [Limit(currency: "EUR", amount: 2000), Limit(currency: "USD", amount: 5000, daily: 5000)])
            try await test.tamper([
                Statement(
                    "UPDATE role_permissions SET limits = $1 WHERE id = 'executive:tenant.credit'",
                    [.text("[{\"amount\":4000,\"currency\":\"USD\"}]")]),
                Statement("UPDATE policy_state SET mark = 'both'"),
            ])
            // More at once from the one, more a day from the other.
            #expect(
                try await fixture.caller(ann.first).permissions.limits(on: "tenant.credit")
                    == [Limit(currency: "USD", amount: 5000, daily: 5000), Limit(currency: "USD", amount: 4000)])
            try await test.tamper([
                Statement("UPDATE role_permissions SET limits = NULL WHERE id = 'executive:tenant.credit'"),
                Statement("UPDATE policy_state SET mark = 'third'"),
            ])
            let open = try await fixture.caller(ann.first).permissions
            #expect(open.contains("tenant.credit") && open.limits(on: "tenant.credit") == nil)
        }
    }
}
