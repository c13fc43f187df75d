import Consoles
import Foundation
import Kernel
import TestSupport
import Testing

/// Passkeys of staff, on both databases, with an authenticator made in Swift.
@Suite struct StaffPasskeyTests {
    private func with(
        _ kind: TestDatabase.Kind, _ body: (StaffFixture, StaffFixture.Person, SoftPasskey) async throws -> Void
    ) async throws {
        try await TestDatabase.with(kind) { test in
            let fixture = try await StaffFixture.make(test)
            let root = try await fixture.bootstrap()
            var passkey = SoftPasskey()
            passkey.handle = Array(root.id.utf8)
            try await body(fixture, root, passkey)
        }
    }

    private func add(
        _ passkey: SoftPasskey, _ name: String = "Laptop", to session: NewSession, _ fixture: StaffFixture
    ) async throws {
        let caller = try await fixture.caller(session)
        let options = try await fixture.signIn.creationOptions(session.info, by: caller)
        try await fixture.signIn.add(try passkey.make(options), named: name, to: session.info, by: caller)
    }

    private func signIn(_ passkey: SoftPasskey, _ fixture: StaffFixture) async throws -> NewSession {
        let options = try await fixture.signIn.signInOptions(visitor: "browser")
        return try await fixture.signIn.signIn(
            try passkey.use(options), visitor: "browser", from: StaffFixture.source)
    }

    /// The sentence at `/passkey` that something is refused with.
    private func refused(_ body: () async throws -> Void) async -> String? {
        if case .invalid(let errors) = await failure(body) { return errors.first?.detail }
        return nil
    }

    private func passkeys(_ fixture: StaffFixture, _ person: String) async throws -> [JSON] {
        try await fixture.test.database.read { reader in
            try reader.query(
                Statement(
                    "SELECT id, label, status FROM factors WHERE staff_id = $1 AND kind = 'webauthn' ORDER BY created_at, id",
                    [.text(person)])
            ).map {
                [
                    "id": .string(try $0.string("id")), "label": .string(try $0.string("label")),
                    "status": .string(try $0.string("status")),
                ]
            }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a passkey is added, signs in without a password and is recorded as such`(kind: TestDatabase.Kind) async throws
    {
        try await with(kind) { fixture, root, passkey in
            try await add(passkey, to: root.first, fixture)
            let added = try #require(try await fixture.events("passkey.add").last)
            #expect(added["class"] == "mutation" && added["changes"]?.array?.count == 1)
            #expect(added["facts"]?["key_sha256"]?.string == sha256(passkey.cose).hex)
            let factor = try #require(added["facts"]?["factor"]?.string)
            #expect(try await fixture.signIn.registration(of: factor) == added["id"]?.string)
            let session = try await signIn(passkey, fixture)
            let caller = try await fixture.caller(session)
            #expect(caller.person == root.id && caller.authentication?.factors == [.webauthn])
            let event = try #require(try await fixture.events("signin.succeeded").last)
            #expect(event["auth"]?["factors"] == ["webauthn"])
            #expect(!String(decoding: event.canonical, as: UTF8.self).contains(root.email))
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a question is answered once, in time, by whom it was put to, and for what`(kind: TestDatabase.Kind)
        async throws
    {
        try await with(kind) { fixture, root, passkey in
            try await add(passkey, to: root.first, fixture)
            let signIn = fixture.signIn
            let source = StaffFixture.source
            let options = try await signIn.signInOptions(visitor: "browser")
            let answer = try passkey.use(options)
            #expect(
                await refused { _ = try await signIn.signIn(answer, visitor: "another", from: source) }
                    == PasskeyRefusal.challengeForeign.sentence)
            _ = try await signIn.signIn(answer, visitor: "browser", from: source)
            #expect(
                await refused { _ = try await signIn.signIn(answer, visitor: "browser", from: source) }
                    == PasskeyRefusal.challengeUsed.sentence)

            let late = try passkey.use(try await signIn.signInOptions(visitor: "browser"))
            fixture.test.clock.advance(.seconds(301))
            #expect(
                await refused { _ = try await signIn.signIn(late, visitor: "browser", from: source) }
                    == PasskeyRefusal.challengeExpired.sentence)

            // Made for stepping up, used to sign in as the session's own.
            let session = try await self.signIn(passkey, fixture)
            let other = try passkey.use(try await signIn.stepUpOptions(session.info))
            #expect(
                await refused { _ = try await signIn.signIn(other, visitor: session.info.id, from: source) }
                    == PasskeyRefusal.challengePurpose.sentence)
            let invented = try passkey.use(challenge: SecureRandom.bytes(57))
            #expect(
                await refused { _ = try await signIn.signIn(invented, visitor: "browser", from: source) }
                    == PasskeyRefusal.challengeForeign.sentence)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a counter that goes back is refused, recorded and said`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { fixture, root, passkey in
            var passkey = passkey
            passkey.counter = 10
            try await add(passkey, to: root.first, fixture)
            passkey.counter = 11
            _ = try await signIn(passkey, fixture)
            for counter in [11, 3, 0] as [UInt32] {
                passkey.counter = counter
                let copy = passkey
                #expect(
                    await refused { _ = try await signIn(copy, fixture) }
                        == PasskeyRefusal.counter(stored: 11, shown: Int64(counter)).sentence)
            }
            let events = try await fixture.events("passkey.counter_fell")
            #expect(events.count == 3 && events[0]["outcome"] == "blocked" && events[0]["facts"]?["stored"] == 11)
            passkey.counter = 12
            _ = try await signIn(passkey, fixture)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `stepping up takes one's own passkey only, and makes the factor fresh`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { fixture, root, passkey in
            try await add(passkey, to: root.first, fixture)
            let colleague = try await fixture.invite(
                "mira@example.com", roles: ["support_l1"], by: fixture.caller(root.first))
            var others = SoftPasskey()
            others.handle = Array(colleague.id.utf8)
            try await add(others, to: colleague.first, fixture)

            fixture.test.clock.advance(.minutes(6))
            #expect(try await fixture.caller(root.first).authentication?.isFresh == false)
            let wrong = try others.use(try await fixture.signIn.stepUpOptions(root.first.info))
            #expect(
                await refused {
                    try await fixture.signIn.stepUp(root.first.info, with: wrong, from: StaffFixture.source)
                } == PasskeyRefusal.otherPerson.sentence)
            let right = try passkey.use(try await fixture.signIn.stepUpOptions(root.first.info))
            try await fixture.signIn.stepUp(root.first.info, with: right, from: StaffFixture.source)
            let caller = try await fixture.caller(root.first)
            #expect(caller.authentication?.isFresh == true && caller.authentication?.factors == [.webauthn])
            #expect(try await fixture.events("stepup.failed").last?["facts"]?["refusal"] == "other_person")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `adding and removing need a fresh factor, and the last factor stays`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { fixture, root, passkey in
            try await add(passkey, to: root.first, fixture)
            // A code gives and takes no passkeys any more.
            guard case .conflict(let weak, _) = await failure({ try await add(SoftPasskey(), to: root.first, fixture) })
            else {
                Issue.record("a passkey was added with a code")
                return
            }
            #expect(weak.contains("so this takes it"))
            // The same credential again, and one that somebody else has.
            let again = try await signIn(passkey, fixture)
            #expect(
                await refused { try await add(passkey, to: again, fixture) }
                    == PasskeyRefusal.alreadyRegistered.sentence)
            let id = try #require(try await passkeys(fixture, root.id)[0]["id"]?.string)
            let caller = try await fixture.caller(root.first)
            try await fixture.signIn.rename(id, to: "  Old laptop ", of: root.first.info, by: caller)
            #expect(try await passkeys(fixture, root.id)[0]["label"] == "Old laptop")
            for name in ["", String(repeating: "x", count: 61), "a\u{202E}b"] {
                await #expect(throws: OperationError.self) {
                    try await fixture.signIn.rename(id, to: name, of: root.first.info, by: caller)
                }
            }
            fixture.test.clock.advance(.minutes(6))
            let stale = try await fixture.caller(root.first)
            for body in [
                { _ = try await fixture.signIn.creationOptions(root.first.info, by: stale) },
                { try await fixture.signIn.remove(id, of: root.first.info, by: stale) },
            ] as [@Sendable () async throws -> Void] {
                guard case .stepUpRequired = await failure(body) else {
                    Issue.record("no step-up was asked for")
                    continue
                }
            }
            let session = try await signIn(passkey, fixture)
            let fresh = try await fixture.caller(session)
            try await fixture.signIn.remove(id, of: session.info, by: fresh)
            #expect(await refused { _ = try await signIn(passkey, fixture) } == PasskeyRefusal.unknown.sentence)
            #expect(
                await refused { try await add(passkey, to: session, fixture) }
                    == PasskeyRefusal.alreadyRegistered.sentence, "a removed one can't come back under its id")
            guard case .notFound = await failure({ try await fixture.signIn.remove(id, of: session.info, by: fresh) })
            else {
                Issue.record("a passkey was removed twice")
                return
            }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `somebody who enrols with a passkey signs in with it, and keeps it as their last factor`(
        kind: TestDatabase.Kind
    ) async throws {
        try await TestDatabase.with(kind) { test in
            let fixture = try await StaffFixture.make(test)
            let token = try await fixture.bootstrapToken()
            let options = try await fixture.signIn.enrolmentOptions(token: token)
            var passkey = SoftPasskey.eddsa
            passkey.handle = options["user"]?["id"]?.string.flatMap(Base64.decodeURL)
            let answer = try passkey.make(options)
            guard
                case .invalid(let errors) = await failure({
                    _ = try await fixture.signIn.enrol(
                        token: token, password: "short", passkey: answer, named: "", from: StaffFixture.source)
                }), errors.first?.pointer == "/password"
            else {
                Issue.record("a short password was taken")
                return
            }
            let done = try await fixture.signIn.enrol(
                token: token, password: StaffFixture.password, passkey: answer, named: "", from: StaffFixture.source)
            #expect(done.recoveryCodes.count == 10)
            let session = try await signIn(passkey, fixture)
            let caller = try await fixture.caller(session)
            let id = try #require(try await passkeys(fixture, caller.person)[0]["id"]?.string)
            guard
                case .conflict(let detail, _) = await failure({
                    try await fixture.signIn.remove(id, of: session.info, by: caller)
                })
            else {
                Issue.record("the last factor was removed")
                return
            }
            #expect(detail.contains("only factor"))
            // The link is used up.
            guard case .notFound = await failure({ _ = try await fixture.signIn.enrolmentOptions(token: token) }) else {
                Issue.record("a used link asked again")
                return
            }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `nobody locks an account by failing with passkeys, and a source that does is held back`(
        kind: TestDatabase.Kind
    ) async throws {
        try await with(kind) { fixture, root, passkey in
            try await add(passkey, to: root.first, fixture)
            var forged = passkey
            forged.key = SoftPasskey().key
            let wrong = forged
            let elsewhere = StaffSignInTests.elsewhere
            for _ in 0..<31 {
                let options = try await fixture.signIn.signInOptions(visitor: "b")
                _ = await refused {
                    _ = try await fixture.signIn.signIn(try wrong.use(options), visitor: "b", from: elsewhere)
                }
            }
            let options = try await fixture.signIn.signInOptions(visitor: "b")
            guard
                case .tooManyRequests = await failure({
                    _ = try await fixture.signIn.signIn(try passkey.use(options), visitor: "b", from: elsewhere)
                })
            else {
                Issue.record("the source was not held back")
                return
            }
            _ = try await signIn(passkey, fixture)
        }
    }
}
