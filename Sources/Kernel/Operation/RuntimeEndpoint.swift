/// What a runtime token may be used for.
public enum RuntimeScope: String, Sendable, CaseIterable {
    case registry, flags, impersonation, agents

    /// The permissions of a token with this scope: those of the operations it may run.
    public var permissions: [String] {
        switch self {
        case .registry: ["registry.import", "tenant.view", "user.view"]
        case .flags, .impersonation, .agents: []
        }
    }

    /// Those of a token with all of these scopes.
    public static func permissions(of scopes: [RuntimeScope]) -> Permissions {
        let codes = scopes.flatMap(\.permissions)
        return Permissions(Dictionary(codes.map { ($0, nil) }, uniquingKeysWith: { first, _ in first }))
    }
}

/// Who talks through a runtime token.
public struct RuntimeCaller: Sendable {
    public let caller: Caller
    public let scopes: Set<RuntimeScope>
    public init(caller: Caller, scopes: Set<RuntimeScope>) {
        self.caller = caller
        self.scopes = scopes
    }
}

/// The runtime realm's door: a token is all there is.
public protocol RuntimeDoor: Sendable {
    /// `.unauthenticated` when the token is unknown, revoked or over; `.tooManyRequests` for a source that showed too many
    /// such tokens.
    func authenticate(token: String, from source: Source) async throws(OperationError) -> RuntimeCaller
}

/// What a product asks.
public struct RuntimeCall: Sendable {
    /// Path parameters by name.
    public let path: [String: String]
    /// The members of the body; empty where the endpoint takes none.
    public let body: [String: JSON]
    /// The lines of the body, where the endpoint takes lines.
    public let lines: [[UInt8]]
    /// The version the product saw.
    public let ifMatch: Int64?
    public let idempotencyKey: String?
    public let caller: Caller
    public let pipeline: Pipeline

    public init(
        path: [String: String], body: [String: JSON], lines: [[UInt8]], ifMatch: Int64?, idempotencyKey: String?,
        caller: Caller, pipeline: Pipeline
    ) {
        self.path = path
        self.body = body
        self.lines = lines
        self.ifMatch = ifMatch
        self.idempotencyKey = idempotencyKey
        self.caller = caller
        self.pipeline = pipeline
    }
}

/// What a product is told.
public struct RuntimeAnswer: Sendable {
    public enum Content: Sendable {
        case object(JSON)
        /// One value a line.
        case lines([JSON])
        /// What was to be done waits for people, by a rule of theirs.
        case pending(PendingApproval)
        case nothing
    }
    public let content: Content
    /// True when what was put was not there before.
    public let isCreated: Bool
    /// The resource's version, when it is one resource.
    public let version: Int64?
    public let isReplayed: Bool

    public init(_ content: Content, isCreated: Bool = false, version: Int64? = nil, isReplayed: Bool = false) {
        self.content = content
        self.isCreated = isCreated
        self.version = version
        self.isReplayed = isReplayed
    }
}

/// One thing a product may ask of the runtime listener, as a console declares it.
public struct RuntimeEndpoint: Sendable {
    public enum Verb: String, Sendable { case get, put, post, delete }
    public enum Body: Sendable {
        case none
        /// A JSON object.
        case object
        /// JSON values, one a line, at most so many bytes.
        case lines(atMost: Int)
    }

    public let verb: Verb
    /// `putTenant`: the OpenAPI `operationId`.
    public let name: String
    /// One sentence.
    public let summary: String
    /// JSON Schema of the body, of one line where it takes lines; `nil` without a body.
    public let bodySchema: JSON?
    /// JSON Schema of the answer, of one line where it answers lines; `nil` without one.
    public let answerSchema: JSON?
    /// `/tenants/{external_id}`
    public let path: String
    public let scope: RuntimeScope
    public let body: Body
    /// Staff may have a rule for it, by which it waits for people.
    public let mayWait: Bool
    public let run: @Sendable (RuntimeCall) async throws(OperationError) -> RuntimeAnswer

    public init(
        _ verb: Verb, _ path: String, name: String, summary: String, scope: RuntimeScope, body: Body = .none,
        bodySchema: JSON? = nil, answerSchema: JSON? = nil, mayWait: Bool = false,
        run: @escaping @Sendable (RuntimeCall) async throws(OperationError) -> RuntimeAnswer
    ) {
        self.verb = verb
        self.name = name
        self.summary = summary
        self.bodySchema = bodySchema
        self.answerSchema = answerSchema
        self.path = path
        self.scope = scope
        self.body = body
        self.mayWait = mayWait
        self.run = run
    }
}
