import Consoles
import Foundation
import Kernel
import TestSupport
import Testing

/// What an identity provider brings about: roles of its claims, and the end of sessions, on both databases.
@Suite struct StaffSingleSignOnTestsProvider: SingleSignOnSuite {
    private static let meanings: [String: Set<String>] = [
        "agents": ["support_l1"], "tier two": ["support_l2", "support_l1"], "money": ["billing_ops"],
    ]

    /// Roles somebody holds | those that wait for them.
    private func roles(_ id: String, _ stage: SingleSignOnStage) async throws -> String {
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
            let visitor = SingleSignOnStage(fixture: stage.fixture, root: dora, provider: stage.provider)
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
            let visitor = SingleSignOnStage(fixture: stage.fixture, root: dora, provider: stage.provider)
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
