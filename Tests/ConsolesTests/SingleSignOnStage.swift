import Consoles
import Kernel
import TestSupport
import Testing

/// Somebody with an account, and the provider they sign in through.
struct SingleSignOnStage {
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

/// What the suites of signing in through an identity provider share.
protocol SingleSignOnSuite: Sendable {}

extension SingleSignOnSuite {
    func with(
        _ kind: TestDatabase.Kind, domains: Set<String> = [], isRequired: Bool = false, sendsMail: Bool = false,
        claims: [String: Set<String>]? = nil, _ body: (SingleSignOnStage) async throws -> Void
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
            try await body(
                SingleSignOnStage(fixture: fixture, root: try await fixture.bootstrap(), provider: double))
        }
    }

    func sentence(_ outcome: ProviderOutcome) -> String? {
        if case .refused(let sentence, _, _) = outcome { return sentence }
        Issue.record("expected a refusal, got \(outcome)")
        return nil
    }

    func session(_ outcome: ProviderOutcome) throws -> NewSession {
        guard case .session(let session, _) = outcome else { throw StoreError.other("no session but \(outcome)") }
        return session
    }
}
