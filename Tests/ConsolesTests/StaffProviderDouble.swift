import Consoles
import Kernel
import Synchronization
import TestSupport

/// An identity provider that says what a test wants. What it answers is believed, as it is of the real one, which verifies it.
final class ProviderDouble: IdentityProvider {
    private struct State {
        var answer: Result<ProviderIdentity, ProviderRefusal> = .failure(
            ProviderRefusal("none", "Nothing was prepared."))
        var outage: ProviderRefusal?
        var asked: [ProviderQuestion] = []
        var redeemed: [ProviderQuestion] = []
        var logout: Result<ProviderLogout, ProviderRefusal> = .failure(ProviderRefusal("none", "Nothing was prepared."))
    }
    private let state = Mutex(State())

    var name: String { "Northwind SSO" }
    var issuer: String { "https://idp.example" }
    var asked: [ProviderQuestion] { state.withLock { $0.asked } }
    var redeemed: [ProviderQuestion] { state.withLock { $0.redeemed } }

    func says(_ answer: Result<ProviderIdentity, ProviderRefusal>) { state.withLock { $0.answer = answer } }
    func says(
        _ subject: String, email: String? = "root@example.com", verified: Bool = true, mfa: Bool = true,
        at: Instant? = nil, sid: String? = nil, claimed: Set<String>? = nil
    ) {
        says(
            .success(
                ProviderIdentity(
                    issuer: issuer, subject: subject, email: email, isEmailVerified: verified, session: sid,
                    usedSecondFactor: mfa, authenticatedAt: at, token: "id-token-of-\(subject)", claimed: claimed)))
    }
    func isAway(_ refusal: ProviderRefusal?) { state.withLock { $0.outage = refusal } }
    func ends(_ logout: Result<ProviderLogout, ProviderRefusal>) { state.withLock { $0.logout = logout } }

    func address(of question: ProviderQuestion) async throws(ProviderRefusal) -> String {
        let outage = state.withLock { state in
            state.asked.append(question)
            return state.outage
        }
        if let outage { throw outage }
        return "https://idp.example/authorize?state=\(question.state)"
    }

    func identity(
        from answer: ProviderAnswer, to question: ProviderQuestion
    ) async throws(ProviderRefusal) -> ProviderIdentity {
        let prepared = state.withLock { state in
            state.redeemed.append(question)
            return state.answer
        }
        return try prepared.get()
    }

    func farewell(to token: String, returningTo place: String) async -> String? {
        "https://idp.example/logout?id_token_hint=\(token)&post_logout_redirect_uri=\(place)"
    }

    func logout(_ token: String) async throws(ProviderRefusal) -> ProviderLogout {
        try state.withLock { $0.logout }.get()
    }
}
