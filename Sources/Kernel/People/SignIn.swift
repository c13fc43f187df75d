/// A signed-in person's session as the frame shows it.
public struct SessionInfo: Sendable {
    public let id: String
    public let staffID: String
    public let email: String
    public let name: String
    public let mfaAt: Instant
    public let createdAt: Instant
    public let expiresAt: Instant
    public let lastSeenAt: Instant
    public let csrfToken: String
    /// What holds for it in this deployment.
    public let limits: SessionLimits
    public init(
        id: String, staffID: String, email: String, name: String, mfaAt: Instant, createdAt: Instant,
        expiresAt: Instant,
        lastSeenAt: Instant, csrfToken: String, limits: SessionLimits = SessionLimits()
    ) {
        self.limits = limits
        self.id = id
        self.staffID = staffID
        self.email = email
        self.name = name
        self.mfaAt = mfaAt
        self.createdAt = createdAt
        self.expiresAt = expiresAt
        self.lastSeenAt = lastSeenAt
        self.csrfToken = csrfToken
    }
}

/// How long a session lasts, and how old its factor may be for what is of high risk. The shipped values are the longest there
/// are; a deployment may set shorter ones (spec: access §5).
public struct SessionLimits: Sendable, Hashable {
    /// However active it is, a session ends after this.
    public var length: Span
    /// A session nobody used for this long has ended.
    public var idle: Span
    public var stepUpAge: Span
    public init(length: Span = .hours(8), idle: Span = .minutes(30), stepUpAge: Span = Authentication.stepUpAge) {
        self.length = length
        self.idle = idle
        self.stepUpAge = stepUpAge
    }
}

/// Where a sign-in comes from: what throttling, session binding and events look at.
public struct Source: Sendable {
    public let ip: String
    public let userAgent: String
    public let client: Client
    public let requestID: String
    public init(ip: String, userAgent: String, client: Client, requestID: String) {
        self.ip = ip
        self.userAgent = userAgent
        self.client = client
        self.requestID = requestID
    }
}

/// A new session; the token is shown once and only its hash is stored.
public struct NewSession: Sendable {
    public let token: String
    public let info: SessionInfo
    public init(token: String, info: SessionInfo) {
        self.token = token
        self.info = info
    }
}

/// Hashes passwords. Implemented with argon2id in `Credentials`; bounded concurrency, `.tooManyRequests` when the queue is full.
public protocol PasswordHasher: Sendable {
    /// A PHC string.
    func hash(_ password: String) async throws(OperationError) -> String
    func verify(_ password: String, against encoded: String) async throws(OperationError) -> Bool
    /// Takes as long as a real verification; for unknown accounts.
    func verifyDecoy(_ password: String) async throws(OperationError)
}

/// What an enrolment page needs: a fresh TOTP secret that is only stored once a code proves it arrived.
public struct EnrolmentOffer: Sendable {
    public let staffID: String
    public let email: String
    public let name: String
    /// Base32.
    public let totpSecret: String
    /// `otpauth://totp/…`
    public let totpURI: String
    /// Authenticated by the server, so that the form can carry the secret back unchanged.
    public let sealedSecret: String
    public init(
        staffID: String, email: String, name: String, totpSecret: String, totpURI: String, sealedSecret: String
    ) {
        self.staffID = staffID
        self.email = email
        self.name = name
        self.totpSecret = totpSecret
        self.totpURI = totpURI
        self.sealedSecret = sealedSecret
    }
}

/// The staff realm's door: password, then a second factor, then a session. No session before the second factor.
public protocol SignIn: Sendable {
    /// Answers a challenge and the same factors whether or not the pair is right; the second step then fails.
    func begin(email: String, password: String, from source: Source) async throws(OperationError) -> (
        challenge: String, factors: [FactorKind]
    )
    /// A TOTP code works once.
    func finish(challenge: String, totp code: String, from source: Source) async throws(OperationError) -> NewSession
    func finish(challenge: String, recovery code: String, from source: Source) async throws(OperationError)
        -> NewSession
    /// Renews the factor of a session.
    func stepUp(_ session: SessionInfo, code: String, from source: Source) async throws(OperationError)
    func end(_ session: SessionInfo, from source: Source) async throws(OperationError)
    /// Ends another session of the same person.
    func end(sessionID: String, of session: SessionInfo, from source: Source) async throws(OperationError)
    /// Ends all other sessions of the same person.
    func endOthers(than session: SessionInfo, from source: Source) async throws(OperationError)
    /// The caller behind a token, with roles and permissions as of now; `.unauthenticated` when it is unknown, expired,
    /// ended, idle too long, or bound to another user agent or network.
    func authenticate(token: String, from source: Source) async throws(OperationError) -> (Caller, SessionInfo)
    /// The same for what a browser asks by itself: it is no use of the session and keeps it from nothing.
    func recognise(token: String, from source: Source) async throws(OperationError) -> (Caller, SessionInfo)
    /// `.notFound` when the link is unknown, used or expired.
    func enrolmentOffer(token: String) async throws(OperationError) -> EnrolmentOffer
    /// Sets password and TOTP factor at once and answers ten one-time recovery codes, shown once.
    func enrol(token: String, password: String, sealedSecret: String, code: String, from source: Source)
        async throws(OperationError) -> (recoveryCodes: [String], session: NewSession)
    /// New recovery codes for a signed-in person; the old ones stop working. Needs a fresh factor.
    func renewRecoveryCodes(_ session: SessionInfo, by caller: Caller) async throws(OperationError) -> [String]
    /// A secret for an authenticator app of somebody who is signed in. Needs a fresh factor.
    func authenticatorOffer(_ session: SessionInfo, by caller: Caller) async throws(OperationError) -> EnrolmentOffer
    /// The app that shows this code takes the place of the one before it. Needs a fresh factor.
    func setAuthenticator(_ sealedSecret: String, code: String, of session: SessionInfo, by caller: Caller)
        async throws(OperationError)
    /// Needs a fresh factor. Refused when nothing else is left to sign in with.
    func removeAuthenticator(of session: SessionInfo, by caller: Caller) async throws(OperationError)
    /// Needs a fresh factor and the present password; the person's other sessions end.
    func changePassword(_ session: SessionInfo, by caller: Caller, old: String, new: String)
        async throws(OperationError)
}
