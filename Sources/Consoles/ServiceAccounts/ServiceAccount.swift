import Kernel

/// What programs of a person's use instead of the person: a token with scopes. It does what its owner may do, less what is
/// not among its scopes, and ends with its owner.
public struct ServiceAccount: Entity, Hashable {
    public static let type = "service_account"
    public static let idPrefix = "sva"
    public static let table = "service_accounts"

    public enum Kind: String, ParamChoice {
        /// A program that does what it is told.
        case service
        /// An AI client: it reads and proposes, and a person other than its owner agrees to each proposal.
        case assistant

        var actor: Actor.Kind { self == .assistant ? .assistant : .service }
    }

    /// `sva_…`
    public var id: String
    public var version: Int64 = 0
    /// `stf_…`: who answers for what it does.
    public var ownerID: String
    public var kind: Kind
    /// What it is for, in somebody's words.
    public var name: String
    /// Permissions, in the order of the catalogue.
    public var scopes: [String]
    public var token: AccountToken
    public var createdAt: Instant
    public var expiresAt: Instant
    /// When the token was last replaced.
    public var rotatedAt: Instant?
    public var revokedAt: Instant?
    /// The reason code it was revoked with, or `owner_left`.
    public var revokedFor: String?

    public init(
        id: String, version: Int64 = 1, ownerID: String, kind: Kind, name: String, scopes: [String],
        token: AccountToken, createdAt: Instant, expiresAt: Instant, rotatedAt: Instant? = nil,
        revokedAt: Instant? = nil, revokedFor: String? = nil
    ) {
        self.id = id
        self.version = version
        self.ownerID = ownerID
        self.kind = kind
        self.name = name
        self.scopes = scopes
        self.token = token
        self.createdAt = createdAt
        self.expiresAt = expiresAt
        self.rotatedAt = rotatedAt
        self.revokedAt = revokedAt
        self.revokedFor = revokedFor
    }

    /// It never works again.
    func revoked(for reason: String?, at now: Instant) -> ServiceAccount {
        var after = self
        after.revokedAt = now
        after.revokedFor = reason
        after.token.previous = nil
        return after
    }

    public var tenantID: String? { nil }
    public var subjects: [String] { [ownerID] }
    public var displayName: String { name }

    public var document: JSON {
        let members: [String: JSON] = [
            "id": .string(id), "version": .int(version), "owner_id": .string(ownerID), "kind": .string(kind.rawValue),
            "name": .string(name), "scopes": .array(scopes.map(JSON.string)), "created_at": JSON(createdAt),
            "expires_at": JSON(expiresAt), "rotated_at": JSON(rotatedAt), "revoked_at": JSON(revokedAt),
            "revoked_for": JSON(revokedFor),
        ]
        return .object(members.merging(token.members) { own, _ in own })
    }

    static let schema: JSON = {
        let time: JSON = ["type": ["string", "null"], "format": "date-time"]
        return [
            "type": "object",
            "required": ["id", "version", "owner_id", "kind", "name", "scopes", "prefix", "created_at", "expires_at"],
            "properties": [
                "id": ["type": "string"], "version": ["type": "integer"], "owner_id": ["type": "string"],
                "kind": ["type": "string", "enum": .array(Kind.allCases.map { .string($0.rawValue) })],
                "name": ["type": "string"], "scopes": ["type": "array", "items": ["type": "string"]],
                "prefix": ["type": "string"], "token_sha256": ["type": "string"],
                "previous_sha256": ["type": ["string", "null"]], "previous_until": time,
                "created_at": ["type": "string", "format": "date-time"],
                "expires_at": ["type": "string", "format": "date-time"], "rotated_at": time, "revoked_at": time,
                "revoked_for": ["type": ["string", "null"]], "last_used_at": time,
            ],
        ]
    }()

    /// How its tokens begin.
    static let letters = "psa_"
    /// How many days it may work before its owner says again that it is needed.
    static let longest: Int64 = 366
}

extension ServiceAccount: TokenBearer {
    static let path = "/service-accounts"
    var beginning: String { token.prefix }
    var stopsAt: Instant? { expiresAt }
}
