/// An identity provider (OpenID Connect Core 1.0) as signing in uses it. Whatever it answers was verified.
public protocol IdentityProvider: Sendable {
    /// What people call it: "Northwind SSO".
    var name: String { get }
    /// Whom its tokens come from, exactly as they say it.
    var issuer: String { get }

    /// Where the browser is to be sent.
    func address(of question: ProviderQuestion) async throws(ProviderRefusal) -> String
    /// Redeems what the browser came back with, and verifies the token.
    func identity(
        from answer: ProviderAnswer, to question: ProviderQuestion
    ) async throws(ProviderRefusal) -> ProviderIdentity
    /// Where the browser signs out of the provider too; `nil` when that is not possible.
    /// - Parameter token: the ID token of the session that ended.
    func farewell(to token: String, returningTo place: String) async -> String?
    /// Verifies a logout token (OpenID Connect Back-Channel Logout 1.0).
    func logout(_ token: String) async throws(ProviderRefusal) -> ProviderLogout
}

/// What the provider is asked; good for one answer.
public struct ProviderQuestion: Sendable, Hashable {
    /// Comes back with the answer.
    public let state: String
    /// Comes back inside the token.
    public let nonce: String
    /// Proves that whoever redeems the code asked for it (RFC 7636).
    public let verifier: String
    /// Where the answer goes, exactly as the provider knows it.
    public let redirect: String
    public init(state: String, nonce: String, verifier: String, redirect: String) {
        self.state = state
        self.nonce = nonce
        self.verifier = verifier
        self.redirect = redirect
    }
}

/// What the browser brings back from the provider. Anybody may have written it.
public struct ProviderAnswer: Sendable, Hashable {
    public let state: String
    public let code: String?
    /// RFC 6749 §4.1.2.1
    public let error: String?
    /// RFC 9207
    public let issuer: String?
    public init(state: String, code: String?, error: String? = nil, issuer: String? = nil) {
        self.state = state
        self.code = code
        self.error = error
        self.issuer = issuer
    }
}

/// What a verified token says of somebody.
public struct ProviderIdentity: Sendable, Hashable {
    public let issuer: String
    public let subject: String
    public let email: String?
    public let isEmailVerified: Bool
    /// The provider's session, where it names one.
    public let session: String?
    /// The provider says that more than a password was asked for, in one of the words this deployment believes.
    public let usedSecondFactor: Bool
    /// When the person proved at the provider who they are; `nil` when it does not say.
    public let authenticatedAt: Instant?
    /// As it came, for signing out.
    public let token: String
    /// The values of the claim that roles are made of; `nil` when none is looked at, or when it can't be told what it would say.
    public let claimed: Set<String>?
    public init(
        issuer: String, subject: String, email: String? = nil, isEmailVerified: Bool = false, session: String? = nil,
        usedSecondFactor: Bool = false, authenticatedAt: Instant? = nil, token: String = "",
        claimed: Set<String>? = nil
    ) {
        self.claimed = claimed
        self.issuer = issuer
        self.subject = subject
        self.email = email
        self.isEmailVerified = isEmailVerified
        self.session = session
        self.usedSecondFactor = usedSecondFactor
        self.authenticatedAt = authenticatedAt
        self.token = token
    }
}

/// What a verified logout token ends.
public struct ProviderLogout: Sendable, Hashable {
    public let issuer: String
    public let subject: String?
    public let session: String?
    /// The token's id, which counts once.
    public let id: String
    public let expiresAt: Instant
    public init(issuer: String, subject: String?, session: String?, id: String, expiresAt: Instant) {
        self.issuer = issuer
        self.subject = subject
        self.session = session
        self.id = id
        self.expiresAt = expiresAt
    }
}

/// Why the provider's answer lets nobody in.
public struct ProviderRefusal: Error, Sendable, Hashable {
    /// For events and logs: `expired`.
    public let word: String
    /// For the person at the door.
    public let sentence: String
    /// It is about the provider or the way to it, not about the person.
    public let isOutage: Bool
    public init(_ word: String, _ sentence: String, isOutage: Bool = false) {
        self.word = word
        self.sentence = sentence
        self.isOutage = isOutage
    }
}

/// Signing in by an identity provider. Nobody gets an account by it: only people who are staff come in, and no session begins
/// before a second factor, the provider's or one of Postern's own.
public protocol SingleSignOn: Sendable {
    /// What people call the provider; `nil` when there is none.
    var provider: String? { get }
    /// Nobody comes in by password or passkey alone.
    var isProviderRequired: Bool { get }

    /// Begins the way to the provider and answers where the browser is to be sent.
    /// - Parameters:
    ///   - visitor: what this browser alone carries.
    ///   - next: where to go afterwards; a path of the console.
    func startAtProvider(
        visitor: String, next: String?, from source: Source
    ) async throws(OperationError) -> String
    /// The same, to link the provider's account to the person who is signed in. Needs a fresh factor.
    func startLinking(
        _ session: SessionInfo, by caller: Caller, visitor: String
    ) async throws(OperationError) -> String
    /// Ends the way to the provider.
    /// - Parameter session: who is signed in here, if anybody.
    func finishAtProvider(
        _ answer: ProviderAnswer, visitor: String, session: SessionInfo?, from source: Source
    ) async throws(OperationError) -> ProviderOutcome
    /// A passkey as the second factor after the provider.
    func finish(
        challenge: String, passkey answer: JSON, visitor: String, from source: Source
    ) async throws(OperationError) -> NewSession
    /// Needs a fresh factor. Sessions that came by it end, but for this one.
    func unlink(_ factor: String, of session: SessionInfo, by caller: Caller) async throws(OperationError)
    /// Where the browser signs out of the provider too, for a session that came by it.
    func farewell(_ session: SessionInfo) async -> String?
    /// Ends what a logout token of the provider names.
    func endByProvider(_ token: String, from source: Source) async throws(OperationError)
}

/// How the way to the provider ended.
public enum ProviderOutcome: Sendable {
    case session(NewSession, next: String?)
    /// A factor of Postern's own is needed; `links` says that the two accounts are tied together by it.
    case challenge(String, links: Bool, next: String?)
    case linked
    /// `forLink`: it was to be linked to the person who is signed in.
    case refused(String, forLink: Bool, next: String?)
}
