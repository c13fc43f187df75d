import Consoles
import Foundation
import Kernel
import TestSupport
import Testing

/// Letting a command line in by a browser, on both databases.
@Suite struct StaffDeviceTests {
    static let machine = Source(ip: "192.0.2.77", userAgent: "postern-cli", client: .cli, requestID: "req_cli")

    private func with(
        _ kind: TestDatabase.Kind, sendsMail: Bool = false, isBoundToNetwork: Bool = false,
        provider: ProviderDouble? = nil,
        _ body: (StaffFixture, StaffFixture.Person, Caller) async throws -> Void
    ) async throws {
        try await TestDatabase.with(kind) { test in
            var settings = StaffSignIn.Settings()
            settings.sendsMail = sendsMail
            if isBoundToNetwork { settings.network = (24, 48) }
            settings.provider = provider.map { StaffProvider(client: $0, consoleURL: "http://localhost:8080") }
            let fixture = try await StaffFixture.make(test, settings: settings)
            let root = try await fixture.bootstrap()
            try await body(fixture, root, try await fixture.caller(root.first))
        }
    }

    private func ask(_ device: DeviceInvitation, _ fixture: StaffFixture) async throws -> DeviceAnswer {
        fixture.test.clock.advance(.seconds(6))
        return try await fixture.signIn.redeem(device: device.device, from: Self.machine)
    }

    private func word(_ answer: DeviceAnswer) -> String {
        switch answer {
        case .session: "session"
        case .pending(let interval): "pending \(interval.seconds)"
        case .slowDown(let interval): "slow down \(interval.seconds)"
        case .denied: "denied"
        case .expired: "expired"
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a machine waits until somebody compares the code, and is that person then`(kind: TestDatabase.Kind)
        async throws
    {
        try await with(kind, sendsMail: true) { fixture, root, caller in
            let begun = try await fixture.signIn.beginDevice(machine: "ann-laptop", from: Self.machine)
            #expect(begun.code.wholeMatch(of: /[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}/) != nil)
            #expect(begun.interval == .seconds(5) && begun.lasts == .minutes(10))
            #expect(word(try await ask(begun, fixture)) == "pending 5")
            let shown = try await fixture.signIn.device(
                code: begun.code.lowercased().replacing("-", with: " "), for: root.first.info, from: StaffFixture.source
            )
            #expect(shown.machine == "ann-laptop" && shown.ip == "192.0.2.77" && shown.client == "cli")
            #expect(!shown.isElsewhere && shown.code == begun.code)
            try await fixture.signIn.approveDevice(code: begun.code, for: root.first.info, by: caller)
            guard case .session(let session) = try await ask(begun, fixture) else {
                throw StoreError.other("no session")
            }
            let (cli, info) = try await fixture.signIn.authenticate(token: session.token, from: Self.machine)
            #expect(cli.person == root.id && cli.authentication?.factors == [.password, .totp])
            // The factor is as old as it was in the browser.
            #expect(info.mfaAt == root.first.info.mfaAt)
            #expect(word(try await ask(begun, fixture)) == "expired", "a code is good once")

            let approved = try #require(try await fixture.events("device.approve").last)
            #expect(approved["class"] == "authn" && approved["facts"]?["method"] == "device")
            #expect(!approved.canonicalText.contains("ann-laptop"))
            let signedIn = try #require(try await fixture.events("signin.succeeded").last)
            #expect(signedIn["client"] == "cli" && signedIn["facts"]?["approved_in"] == .string(root.first.info.id))
            #expect(
                try await fixture.count("SELECT COUNT(*) AS count FROM outbox WHERE name = 'mail.command_line'") == 1)
            // Neither secret is stored as it is.
            for secret in [begun.code.replacing("-", with: ""), begun.device] {
                #expect(
                    try await fixture.count(
                        "SELECT COUNT(*) AS count FROM device_logins WHERE device_hash = $1 OR code_hash = $1",
                        [.bytes(Array(secret.utf8))]) == 0)
            }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `who asks too often is slowed down, and nothing is decided by it`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { fixture, root, caller in
            let begun = try await fixture.signIn.beginDevice(machine: "laptop", from: Self.machine)
            func now() async throws -> String {
                word(try await fixture.signIn.redeem(device: begun.device, from: Self.machine))
            }
            #expect(try await now() == "pending 5")
            #expect(try await now() == "slow down 10")
            fixture.test.clock.advance(.seconds(5))
            #expect(try await now() == "slow down 15")
            fixture.test.clock.advance(.seconds(15))
            #expect(try await now() == "pending 15")
            try await fixture.signIn.approveDevice(code: begun.code, for: root.first.info, by: caller)
            #expect(try await now() == "session")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a machine that is denied, too late or unknown is not let in`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { fixture, root, caller in
            let denied = try await fixture.signIn.beginDevice(machine: "laptop", from: Self.machine)
            try await fixture.signIn.denyDevice(code: denied.code, for: root.first.info, by: caller)
            #expect(word(try await ask(denied, fixture)) == "denied")
            #expect(try await fixture.events("device.deny").last?["outcome"] == "denied")
            let late = try await fixture.signIn.beginDevice(machine: "laptop", from: Self.machine)
            fixture.test.clock.advance(.minutes(10))
            #expect(word(try await ask(late, fixture)) == "expired")
            #expect(word(try await fixture.signIn.redeem(device: "dvs_invented", from: Self.machine)) == "expired")
            let renewed = try await fixture.signIn(root)
            let fresh = try await fixture.caller(renewed)
            guard
                case .invalid = await failure({
                    try await fixture.signIn.approveDevice(code: late.code, for: renewed.info, by: fresh)
                })
            else { throw StoreError.other("approved too late") }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `approving needs a fresh factor, and the session it is done in must go on`(kind: TestDatabase.Kind)
        async throws
    {
        try await with(kind) { fixture, root, caller in
            let begun = try await fixture.signIn.beginDevice(machine: "laptop", from: Self.machine)
            fixture.test.clock.advance(.seconds(301))
            let stale = try await fixture.caller(root.first)
            guard
                case .stepUpRequired = await failure({
                    try await fixture.signIn.approveDevice(code: begun.code, for: root.first.info, by: stale)
                })
            else { throw StoreError.other("approved with an old factor") }
            let session = try await fixture.signIn(root)
            let fresh = try await fixture.caller(session)
            try await fixture.signIn.approveDevice(code: begun.code, for: session.info, by: fresh)
            try await fixture.signIn.end(session.info, from: StaffFixture.source)
            #expect(word(try await ask(begun, fixture)) == "denied")
            let ended = try await fixture.signIn.beginDevice(machine: "laptop", from: Self.machine)
            guard
                case .unauthenticated = await failure({
                    try await fixture.signIn.approveDevice(code: ended.code, for: session.info, by: fresh)
                })
            else { throw StoreError.other("approved in a session that is over") }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `who left meanwhile is let in nowhere, and a secret works from its own network`(kind: TestDatabase.Kind)
        async throws
    {
        try await with(kind, isBoundToNetwork: true) { fixture, root, caller in
            let ann = try await fixture.invite("ann@example.com", roles: ["support_l1"], by: caller)
            let annCaller = try await fixture.caller(ann.first)
            let begun = try await fixture.signIn.beginDevice(machine: "laptop", from: Self.machine)
            try await fixture.signIn.approveDevice(code: begun.code, for: ann.first.info, by: annCaller)
            _ = try await fixture.pipeline.run(
                OperationRequest(
                    operation: "staff.deactivate", target: ann.id, reasonCode: "left",
                    justification: "They left the company.", idempotencyKey: "leave"), by: caller)
            #expect(word(try await ask(begun, fixture)) == "denied")

            let stolen = try await fixture.signIn.beginDevice(machine: "laptop", from: Self.machine)
            try await fixture.signIn.approveDevice(code: stolen.code, for: root.first.info, by: caller)
            let elsewhere = Source(ip: "203.0.113.5", userAgent: "postern-cli", client: .cli, requestID: "r")
            #expect(word(try await fixture.signIn.redeem(device: stolen.device, from: elsewhere)) == "denied")
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `guessing codes is held back by person, a slip of the hand is not`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { fixture, root, _ in
            let begun = try await fixture.signIn.beginDevice(machine: "laptop", from: Self.machine)
            func look(_ code: String) async -> OperationError? {
                await failure {
                    _ = try await fixture.signIn.device(code: code, for: root.first.info, from: StaffFixture.source)
                }
            }
            for text in ["", "BCDF", "BCDF-GHJA", "1234-5678", String(repeating: "B", count: 4000), "ÄÖÜß-BCDF"] {
                guard case .invalid(let errors)? = await look(text) else { throw StoreError.other(text) }
                #expect(errors[0].pointer == "/code" && errors[0].detail.contains("eight letters"))
            }
            for _ in 0..<6 {
                guard case .invalid(let errors)? = await look("BBBB-BBBB") else { throw StoreError.other("no refusal") }
                #expect(errors[0].detail.contains("No command line waits"))
            }
            guard case .tooManyRequests? = await look("BBBB-BBBB") else { throw StoreError.other("not held back") }
            // Nor does the right one help now.
            guard case .tooManyRequests? = await look(begun.code) else { throw StoreError.other("not held back") }
            #expect(try await fixture.events("device.refused").count == 6)
            fixture.test.clock.advance(.seconds(5))
            #expect(await look(begun.code) == nil)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a right code takes back what wrong ones counted`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { fixture, root, caller in
            func mistype(_ times: Int) async throws {
                for _ in 0..<times {
                    let error = await failure {
                        _ = try await fixture.signIn.device(
                            code: "BBBB-BBBB", for: root.first.info, from: StaffFixture.source)
                    }
                    guard case .invalid? = error else { throw StoreError.other("\(String(describing: error))") }
                }
            }
            let begun = try await fixture.signIn.beginDevice(machine: "laptop", from: Self.machine)
            try await mistype(5)
            try await fixture.signIn.approveDevice(code: begun.code, for: root.first.info, by: caller)
            try await mistype(5)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `one network has only so many machines waiting, and a name is one line`(kind: TestDatabase.Kind) async throws {
        try await with(kind) { fixture, _, _ in
            for _ in 0..<20 { _ = try await fixture.signIn.beginDevice(machine: "laptop", from: Self.machine) }
            guard
                case .tooManyRequests = await failure({
                    _ = try await fixture.signIn.beginDevice(machine: "laptop", from: Self.machine)
                })
            else { throw StoreError.other("not held back") }
            _ = try await fixture.signIn.beginDevice(machine: "laptop", from: StaffFixture.source)
            for name in ["", "a\nb", String(repeating: "a", count: 61), "a\u{202E}b"] {
                guard
                    case .invalid(let errors) = await failure({
                        _ = try await fixture.signIn.beginDevice(machine: name, from: StaffFixture.source)
                    })
                else { throw StoreError.other("took \(name)") }
                #expect(errors[0].pointer == "/machine")
            }
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `what ends the browser's session at the provider ends the machine's`(kind: TestDatabase.Kind) async throws {
        let double = ProviderDouble()
        try await with(kind, provider: double) { fixture, root, caller in
            double.says("u-1", mfa: true, at: fixture.test.clock.clock.now, sid: "s-1")
            let address = try await fixture.signIn.startLinking(root.first.info, by: caller, visitor: "b")
            func back(_ address: String, _ session: SessionInfo?) async throws -> ProviderOutcome {
                try await fixture.signIn.finishAtProvider(
                    ProviderAnswer(state: String(address.split(separator: "=").last ?? ""), code: "c"), visitor: "b",
                    session: session, from: StaffFixture.source)
            }
            _ = try await back(address, root.first.info)
            guard
                case .session(let browser, _) = try await back(
                    try await fixture.signIn.startAtProvider(visitor: "b", next: nil, from: StaffFixture.source), nil)
            else { throw StoreError.other("no session") }
            let begun = try await fixture.signIn.beginDevice(machine: "laptop", from: Self.machine)
            try await fixture.signIn.approveDevice(
                code: begun.code, for: browser.info, by: try await fixture.caller(browser))
            guard case .session(let cli) = try await ask(begun, fixture) else { throw StoreError.other("no session") }
            double.ends(
                .success(
                    ProviderLogout(
                        issuer: double.issuer, subject: nil, session: "s-1", id: "j",
                        expiresAt: fixture.test.clock.clock.now + .minutes(5))))
            try await fixture.signIn.endByProvider("t", from: StaffFixture.source)
            guard
                case .unauthenticated = await failure({
                    _ = try await fixture.signIn.authenticate(token: cli.token, from: Self.machine)
                })
            else { throw StoreError.other("the machine's session goes on") }
        }
    }
}
