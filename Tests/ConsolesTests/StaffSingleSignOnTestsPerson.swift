import Consoles
import Foundation
import Kernel
import TestSupport
import Testing

/// Signing in through an identity provider, by who comes in and links their account, on both databases.
@Suite struct StaffSingleSignOnTestsPerson: SingleSignOnSuite {
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
}
