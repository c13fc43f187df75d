/// Who talks through the token of a service account or an assistant.
public struct AccountCaller: Sendable {
    public let caller: Caller
    /// What the account is called; `caller.displayName` says whose it is.
    public let name: String
    public let expiresAt: Instant
    public init(caller: Caller, name: String, expiresAt: Instant) {
        self.caller = caller
        self.name = name
        self.expiresAt = expiresAt
    }
}

/// The door of service accounts and assistants. They come to the API with a token, and to nothing else.
public protocol AccountDoor: Sendable {
    /// Whether a token is of the kind this door knows.
    func knows(token: String) -> Bool
    /// The caller behind a token, with what its scopes and its owner's roles come to as of now; `.unauthenticated` when it
    /// is unknown, revoked or over, or its owner is not active; `.tooManyRequests` for a source that showed too many such
    /// tokens.
    func authenticate(token: String, from source: Source) async throws(OperationError) -> AccountCaller
}
