import Kernel

/// What a product shows on the runtime listener. The token itself is shown once; only its digest is kept.
public struct RuntimeToken: Entity, Hashable {
    public static let type = "runtime_token"
    public static let idPrefix = "rtk"
    public static let table = "runtime_tokens"

    /// `rtk_…`
    public var id: String
    public var version: Int64 = 0
    /// What it is for, in somebody's words.
    public var name: String
    /// How it begins, so that people recognise it.
    public var prefix: String
    /// SHA-256 of the token, hexadecimal. It has 256 random bits, so the digest gives nothing away.
    public var tokenDigest: String
    public var scopes: [RuntimeScope]
    /// `stf_…`, or a part of the system.
    public var createdBy: String
    public var createdAt: Instant
    public var expiresAt: Instant?
    public var revokedAt: Instant?
    /// The reason code it was revoked with.
    public var revokedFor: String?

    public var tenantID: String? { nil }
    public var subjects: [String] { [] }
    public var displayName: String { name }

    public var document: JSON {
        [
            "id": .string(id), "version": .int(version), "name": .string(name), "prefix": .string(prefix),
            "token_sha256": .string(tokenDigest), "scopes": .array(scopes.map { .string($0.rawValue) }),
            "created_by": .string(createdBy), "created_at": JSON(createdAt), "expires_at": JSON(expiresAt),
            "revoked_at": JSON(revokedAt), "revoked_for": JSON(revokedFor),
        ]
    }

    static let schema: JSON = {
        let time: JSON = ["type": ["string", "null"], "format": "date-time"]
        return [
            "type": "object", "required": ["id", "version", "name", "prefix", "scopes", "created_at"],
            "properties": [
                "id": ["type": "string"], "version": ["type": "integer"], "name": ["type": "string"],
                "prefix": ["type": "string"], "token_sha256": ["type": "string"],
                "scopes": [
                    "type": "array",
                    "items": ["type": "string", "enum": .array(RuntimeScope.allCases.map { .string($0.rawValue) })],
                ], "created_by": ["type": "string"], "created_at": ["type": "string", "format": "date-time"],
                "expires_at": time, "revoked_at": time, "revoked_for": ["type": ["string", "null"]],
                "last_used_at": time,
            ],
        ]
    }()

    // MARK: The token's text

    static let textPrefix = "prt_"
    /// `prt_` and 32 bytes in base 64.
    static let textLength = 47

    static func text(of secret: [UInt8]) -> String { textPrefix + Base64.encodeURL(secret) }
    static func digest(_ text: String) -> String { sha256(Array(text.utf8)).hex }
    /// `prt_` and six letters: enough to recognise, nothing to guess from.
    static func shown(_ text: String) -> String { String(text.prefix(10)) }
}

extension RuntimeToken: TokenBearer {
    static let path = "/runtime-tokens"
    var beginning: String { prefix }
    var stopsAt: Instant? { expiresAt }
}
