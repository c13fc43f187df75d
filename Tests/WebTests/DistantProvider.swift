import Kernel

/// An identity provider that lets nobody in and is believed when it says who signed out.
struct DistantProvider: SingleSignOn {
    var provider: String? { "Northwind SSO" }
    var isProviderRequired: Bool { false }

    func startAtProvider(
        visitor: String, next: String?, from source: Source
    ) async throws(OperationError) -> String {
        throw .unauthenticated
    }

    func startLinking(
        _ session: SessionInfo, by caller: Caller, visitor: String
    ) async throws(OperationError) -> String {
        throw .unauthenticated
    }

    func finishAtProvider(
        _ answer: ProviderAnswer, visitor: String, session: SessionInfo?, from source: Source
    ) async throws(OperationError) -> ProviderOutcome {
        throw .unauthenticated
    }

    func finish(
        challenge: String, passkey answer: JSON, visitor: String, from source: Source
    ) async throws(OperationError) -> NewSession {
        throw .unauthenticated
    }

    func unlink(_ factor: String, of session: SessionInfo, by caller: Caller) async throws(OperationError) {}
    func farewell(_ session: SessionInfo) async -> String? { nil }
    func endByProvider(_ token: String, from source: Source) async throws(OperationError) {}
}
