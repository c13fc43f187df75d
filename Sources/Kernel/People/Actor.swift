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

    /// A service account or an assistant.
    public var isAccount: Bool { kind == .service || kind == .assistant }

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
    /// An identity provider vouched for the person (OpenID Connect).
    case oidc
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
    /// Whether it still will be when what is shown now was read and confirmed: a minute later, or half the age that is allowed.
    public var staysFresh: Bool {
        factorAge + min(.minutes(1), Span(microseconds: stepUpAge.microseconds / 2)) <= stepUpAge
    }
}

/// A per-currency ceiling carried by a grant of a permission; amounts in minor units.
public struct Limit: Sendable, Hashable {
    public let currency: String
    /// The most one action may come to.
    public let amount: Int64
    /// The most a person's actions may come to within 24 hours without a second person's signature; `nil`: any amount.
    public let daily: Int64?
    /// Holds in every currency and beside the others: the most a role may come to, whatever is set for it. Never stored.
    public let isCeiling: Bool
    public init(currency: String, amount: Int64, daily: Int64? = nil, isCeiling: Bool = false) {
        self.currency = currency
        self.amount = amount
        self.daily = daily
        self.isCeiling = isCeiling
    }

    /// `nil` for what is no limit.
    public init?(_ json: JSON) {
        guard let currency = json["currency"]?.string, let amount = json["amount"]?.int else { return nil }
        self.init(currency: currency, amount: amount, daily: json["daily"]?.int)
        // One that can't be read is not the same as none.
        if daily == nil, json.object?.keys.contains("daily") == true { return nil }
    }

    public var json: JSON {
        .members([("currency", .string(currency)), ("amount", .int(amount)), ("daily", daily.map(JSON.int))])
    }

    /// "50.00 USD", "50.00 USD (200.00 a day)"
    public var words: String {
        let most = MoneyText.words(amount, currency)
        guard let daily else { return most }
        return "\(most) (\(MoneyText.amount(minor: daily, currency: currency)) a day)"
    }

    /// Whether this allows everything that the other does.
    public func covers(_ other: Limit) -> Bool {
        currency == other.currency && isCeiling == other.isCeiling && amount >= other.amount
            && (daily ?? Int64.max) >= (other.daily ?? Int64.max)
    }
}

/// What a person may do: the union of their unexpired grants, read from the tables for every request.
public struct Permissions: Sendable {
    /// permission code → its limits; `nil` when at least one grant of it carries no limit.
    public let granted: [String: [Limit]?]
    /// The same by role. What one role allows is allowed, whatever another one beside it says.
    private let byRole: [String: [[Limit]]]

    public init(_ granted: [String: [Limit]?]) {
        self.init(granted, byRole: granted.compactMapValues { limits in limits.map { [$0] } })
    }

    private init(_ granted: [String: [Limit]?], byRole: [String: [[Limit]]]) {
        self.granted = granted
        self.byRole = byRole
    }

    /// What several roles give together. A permission that one of them gives without a limit has none.
    public init(union held: [(permission: String, limits: [Limit]?)]) {
        let limits = Dictionary(grouping: held, by: { $0.permission }).mapValues { given -> [[Limit]]? in
            let lists = given.compactMap { $0.limits }.filter { !$0.isEmpty }
            return lists.count == given.count ? lists : nil
        }
        self.init(limits.mapValues { $0.map(Self.highest) }, byRole: limits.compactMapValues { $0 })
    }

    /// The highest in each currency; both, where one allows more at once and the other more a day. Amounts of different
    /// currencies are never compared: that takes a rate.
    private static func highest(_ lists: [[Limit]]) -> [Limit] {
        guard lists.count > 1 else { return lists.first ?? [] }
        let highestFirst = lists.joined().sorted { one, other in
            if one.currency != other.currency { return one.currency < other.currency }
            if one.amount != other.amount { return one.amount > other.amount }
            return (one.daily ?? Int64.max) > (other.daily ?? Int64.max)
        }
        return highestFirst.reduce(into: [Limit]()) { kept, limit in
            if !kept.contains(where: { $0.covers(limit) }) { kept.append(limit) }
        }
    }

    public func contains(_ code: String) -> Bool { granted.keys.contains(code) }
    /// The ceilings on a permission, or `nil` when it is held without any (or not held).
    public func limits(on code: String) -> [Limit]? { granted[code] ?? nil }
    /// The same as each role says it.
    public func limitsByRole(on code: String) -> [[Limit]]? { byRole[code] }

    /// Those of them that are kept, with their limits.
    public func filter(_ isKept: (String) -> Bool) -> Permissions {
        Permissions(granted.filter { isKept($0.key) }, byRole: byRole.filter { isKept($0.key) })
    }

    public static let none = Permissions([:])
}

/// In whose name a part of Postern acts where an outsider tells it what to do.
public struct Mandate: Sendable, Hashable {
    /// What the outsider showed: the id of a SCIM or runtime token. It stands among the facts of every event whose actor it is
    /// not.
    public let token: String
    /// The person who was shown that token, and so could be the outsider: they answer for what it does (spec: access §3, "One
    /// person can't be two").
    public let holder: String
    public init(token: String, holder: String) {
        self.token = token
        self.holder = holder
    }
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
    /// The break-glass of the person that is not reviewed yet; what it locks is left out of `permissions` already.
    public let emergency: Emergency?
    /// Set for a part of Postern that does what an outsider says, and for a product that speaks for itself.
    public let mandate: Mandate?

    public init(
        actor: Actor, person: String, displayName: String, roles: Set<String> = [], permissions: Permissions = .none,
        authentication: Authentication? = nil, client: Client, ip: String? = nil, userAgent: String? = nil,
        requestID: String, emergency: Emergency? = nil, mandate: Mandate? = nil
    ) {
        self.emergency = emergency
        self.mandate = mandate
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

    /// True for a service account or an assistant: a token that somebody's programs hold. It acts for its owner, who is the
    /// `person`, with less than the owner holds (spec: access §3, §5).
    public var isAccount: Bool { actor.isAccount }

    /// Whose idempotency keys these are: the person's, whatever session they use, and each account's own.
    var keyOwner: String { isAccount ? actor.id : person }

    /// True for the product itself, on the runtime listener. Its token's scopes are its permissions; it may run the
    /// operations that no person is offered, and what it puts is the same however often it is put, so that it needs no key.
    public var isRuntime: Bool { actor.kind == .runtime }
}
