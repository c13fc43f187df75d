/// Who acts. Leaves carry the type and the id, never a name or an e-mail.
public struct Actor: Sendable, Hashable {
    public enum Kind: String, Sendable, CaseIterable {
        case staff, service, assistant, system
        case tenantAdmin = "tenant_admin"
        case runtime, auditor
    }

    public let kind: Kind
    /// `stf_…` for staff; a fixed word such as `bootstrap`, `import` or `demo` for the system.
    public let id: String

    public init(_ kind: Kind, _ id: String) {
        self.kind = kind
        self.id = id
    }

    public static func system(_ part: String) -> Actor { Actor(.system, part) }

    public var json: JSON { ["type": .string(kind.rawValue), "id": .string(id)] }
}

/// Through which client a request came.
public enum Client: String, Sendable, CaseIterable {
    case console, cli, api, slack, worker
}

/// How a factor was used, by its RFC 8176 style name.
public enum FactorKind: String, Sendable, CaseIterable, Codable {
    case password, totp, recovery, webauthn
}

/// What is known of the sign-in behind a request.
public struct Authentication: Sendable, Hashable {
    public let session: String
    public let factors: [FactorKind]
    /// When a second factor was last used, by the database's clock.
    public let mfaAt: Instant
    /// When this was looked up, by the same clock: the factor's age never compares the clocks of two machines.
    public let readAt: Instant
    /// How old the factor may be for what is of high risk, as the deployment had set it then.
    public let stepUpAge: Span

    /// Where the deployment has set nothing (spec: access §5).
    public static let stepUpAge = Span.minutes(5)

    public init(
        session: String, factors: [FactorKind], mfaAt: Instant, readAt: Instant, stepUpAge: Span = Self.stepUpAge
    ) {
        self.session = session
        self.factors = factors
        self.mfaAt = mfaAt
        self.readAt = readAt
        self.stepUpAge = stepUpAge
    }

    /// How long ago the second factor was used.
    public var factorAge: Span { readAt - mfaAt }
    /// Whether the factor was used recently enough for `high` and `critical` operations, and to change factors.
    public var isFresh: Bool { factorAge <= stepUpAge }
}

/// A per-currency ceiling carried by a grant of a permission; amounts in minor units.
public struct Limit: Sendable, Hashable {
    public let currency: String
    public let amount: Int64
    public init(currency: String, amount: Int64) {
        self.currency = currency
        self.amount = amount
    }
}

/// What a person may do: the union of their unexpired grants, read from the tables for every request.
public struct Permissions: Sendable {
    /// permission code → its limits; `nil` when at least one grant of it carries no limit.
    public let granted: [String: [Limit]?]

    public init(_ granted: [String: [Limit]?]) { self.granted = granted }

    public func contains(_ code: String) -> Bool { granted.keys.contains(code) }
    /// The ceilings on a permission, or `nil` when it is held without any (or not held).
    public func limits(on code: String) -> [Limit]? { granted[code] ?? nil }

    public static let none = Permissions([:])
}

/// The authenticated sender of a request, with everything the pipeline needs to decide and to record.
public struct Caller: Sendable {
    public let actor: Actor
    /// The person the actor belongs to (`stf_…`), or the actor's own id when it belongs to nobody. Idempotency keys and
    /// "never the requester" rules are per person, not per session or token.
    public let person: String
    public let displayName: String
    public let roles: Set<String>
    public let permissions: Permissions
    public let authentication: Authentication?
    public let client: Client
    public let ip: String?
    public let userAgent: String?
    /// `req_…`, echoed as `X-Request-Id`.
    public let requestID: String

    public init(
        actor: Actor, person: String, displayName: String, roles: Set<String> = [], permissions: Permissions = .none,
        authentication: Authentication? = nil, client: Client, ip: String? = nil, userAgent: String? = nil,
        requestID: String
    ) {
        self.actor = actor
        self.person = person
        self.displayName = displayName
        self.roles = roles
        self.permissions = permissions
        self.authentication = authentication
        self.client = client
        self.ip = ip
        self.userAgent = userAgent
        self.requestID = requestID
    }

    /// True for the parts of Postern that act without a person (bootstrap, import, automatic transitions). They pass the
    /// same pipeline; permission and step-up are about people and do not apply.
    public var isSystem: Bool { actor.kind == .system }

    /// True for the product itself, on the runtime listener. Its token's scopes are its permissions; it may run the
    /// operations that no person is offered, and what it puts is the same however often it is put, so that it needs no key.
    public var isRuntime: Bool { actor.kind == .runtime }
}
