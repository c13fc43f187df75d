import Kernel

/// What an identity provider shows to tell of people and roles. The token itself is shown once.
public struct ScimToken: Entity, Hashable {
    public static let type = "scim_token"
    public static let idPrefix = "sct"
    public static let table = "scim_tokens"

    public var id: String
    public var version: Int64 = 0
    /// Which provider it is for.
    public var name: String
    public var token: AccountToken
    /// Who was shown the token in force: whoever made it, or last replaced it.
    public var createdBy: String
    /// Who was shown the one before it, which works on for a while.
    public var previousBy: String?
    public var createdAt: Instant
    public var expiresAt: Instant
    public var rotatedAt: Instant?
    public var revokedAt: Instant?
    /// The reason code it was revoked with.
    public var revokedFor: String?

    public init(
        id: String, version: Int64 = 1, name: String, token: AccountToken, createdBy: String, createdAt: Instant,
        expiresAt: Instant, rotatedAt: Instant? = nil, revokedAt: Instant? = nil, revokedFor: String? = nil,
        previousBy: String? = nil
    ) {
        self.previousBy = previousBy
        self.id = id
        self.version = version
        self.name = name
        self.token = token
        self.createdBy = createdBy
        self.createdAt = createdAt
        self.expiresAt = expiresAt
        self.rotatedAt = rotatedAt
        self.revokedAt = revokedAt
        self.revokedFor = revokedFor
    }

    /// Who was shown the token with this digest: the one in force, or the one before it.
    func holder(of digest: String) -> String { digest == token.digest ? createdBy : previousBy ?? createdBy }

    public var tenantID: String? { nil }
    public var subjects: [String] { [] }
    public var displayName: String { name }

    public var document: JSON {
        var members: [String: JSON] = [
            "id": .string(id), "version": .int(version), "name": .string(name), "created_by": .string(createdBy),
            "created_at": JSON(createdAt), "expires_at": JSON(expiresAt), "rotated_at": JSON(rotatedAt),
            "revoked_at": JSON(revokedAt), "revoked_for": JSON(revokedFor),
        ]
        // A member that came later stands only where there is something.
        if let previousBy { members["previous_by"] = .string(previousBy) }
        return .object(members.merging(token.members) { own, _ in own })
    }

    static let schema: JSON = {
        let time: JSON = ["type": ["string", "null"], "format": "date-time"]
        return [
            "type": "object", "required": ["id", "version", "name", "prefix", "created_at", "expires_at"],
            "properties": [
                "id": ["type": "string"], "version": ["type": "integer"], "name": ["type": "string"],
                "prefix": ["type": "string"], "token_sha256": ["type": "string"],
                "previous_sha256": ["type": ["string", "null"]], "previous_until": time,
                "created_by": ["type": "string"], "created_at": ["type": "string", "format": "date-time"],
                "expires_at": ["type": "string", "format": "date-time"], "rotated_at": time, "revoked_at": time,
                "revoked_for": ["type": ["string", "null"]], "previous_by": ["type": "string"], "last_used_at": time,
            ],
        ]
    }()

    /// How its tokens begin.
    static let letters = "psc_"
    /// How many days it may work.
    static let longest: Int64 = 731
}

extension ScimToken: TokenBearer {
    static let path = "/scim-tokens"
    var beginning: String { token.prefix }
    var stopsAt: Instant? { expiresAt }
}
