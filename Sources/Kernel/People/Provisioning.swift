/// What an identity provider asks about people and their roles (SCIM 2.0: RFC 7643, 7644).
public struct ProvisioningCall: Sendable {
    public enum Verb: Sendable { case read, create, replace, change, remove }

    public let verb: Verb
    /// What it is about, below the service's address: `["Users", "stf_…"]`.
    public let path: [String]
    public let query: [String: [String]]
    /// `nil` where nothing was sent.
    public let body: JSON?
    /// The version the provider saw, as it was told.
    public let expected: String?
    /// The version the provider has, which it does not want again.
    public let known: String?
    /// Where the service is, without a slash at the end; resources say where they are.
    public let address: String
    public let caller: Caller

    public init(
        verb: Verb, path: [String], query: [String: [String]], body: JSON?, expected: String?, known: String?,
        address: String, caller: Caller
    ) {
        self.verb = verb
        self.path = path
        self.query = query
        self.body = body
        self.expected = expected
        self.known = known
        self.address = address
        self.caller = caller
    }

    public func first(_ name: String) -> String? { query[name]?.first.flatMap { $0.isEmpty ? nil : $0 } }
}

/// What an identity provider is told.
public enum ProvisioningAnswer: Sendable {
    /// One resource, with its version where it has one.
    case resource(JSON, version: String?, isCreated: Bool)
    case list(JSON)
    /// It has this version already.
    case unchanged(version: String)
    case nothing
}

/// Why an identity provider is refused, in its own words where it has some.
public struct ProvisioningError: Error, Sendable, Hashable {
    public enum Reason: String, Sendable, CaseIterable {
        /// Words of RFC 7644 §3.12.
        case invalidFilter, tooMany, uniqueness, mutability, invalidSyntax, invalidPath, noTarget, invalidValue
        case notFound, notAllowed, conflict, versionMismatch, forbidden, notOffered, tooManyRequests, unavailable,
            internalError
    }
    public let reason: Reason
    public let detail: String
    /// For the log alone: what went wrong inside.
    public let defect: String?
    public let retryAfter: Span?

    public init(_ reason: Reason, _ detail: String, defect: String? = nil, retryAfter: Span? = nil) {
        self.reason = reason
        self.detail = detail
        self.defect = defect
        self.retryAfter = retryAfter
    }
}

/// The provisioning realm's door.
public protocol ProvisioningDoor: Sendable {
    /// `.unauthenticated` when the token is unknown, revoked or over; `.tooManyRequests` for a source that showed too many
    /// such tokens.
    func authenticate(token: String, from source: Source) async throws(OperationError) -> Caller
    func answer(_ call: ProvisioningCall) async throws(ProvisioningError) -> ProvisioningAnswer
}
