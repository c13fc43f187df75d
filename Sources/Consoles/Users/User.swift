import Kernel

/// Whether a user may sign in to the product.
public enum UserStatus: String, ParamChoice {
    case active, suspended, deleted
}

/// One person at the customers', who may be a member of several tenants.
public struct User: Entity {
    public static let type = "user"
    public static let idPrefix = "usr"
    public static let table = "users"

    /// `usr_…`
    public let id: String
    public var version: Int64 = 0
    /// The product's own id of the person; Postern's until the product tells its own.
    public var externalID: String
    /// Lower case; unique.
    public var email: String
    /// Empty when nobody told it.
    public var name: String
    public var status: UserStatus
    public let createdAt: Instant
    public var lastLoginAt: Instant?

    public init(
        id: String, externalID: String? = nil, email: String, name: String = "", status: UserStatus = .active,
        createdAt: Instant, lastLoginAt: Instant? = nil
    ) {
        self.id = id
        self.externalID = externalID ?? id
        self.email = email
        self.name = name
        self.status = status
        self.createdAt = createdAt
        self.lastLoginAt = lastLoginAt
    }

    public init(_ row: Row) throws {
        id = try row.string("id")
        version = try row.int("version")
        externalID = try row.string("external_id")
        email = try row.string("email")
        name = try row.string("name")
        guard let status = UserStatus(rawValue: try row.string("status")) else {
            throw StoreError.shape(column: "status")
        }
        self.status = status
        createdAt = try row.instant("created_at")
        lastLoginAt = try row.optionalInstant("last_login_at")
    }

    /// What stands before the `@`, as prefix search looks for it.
    public var emailLocal: String { String(email.prefix { $0 != "@" }) }
    public var tenantID: String? { nil }
    public var subjects: [String] { [id] }
    public var displayName: String { name.isEmpty ? email : name }

    public var document: JSON {
        .object([
            "id": .string(id), "version": .int(version), "external_id": .string(externalID), "email": .string(email),
            "name": .string(name), "status": .string(status.rawValue), "created_at": .string(createdAt.rfc3339),
            "last_login_at": JSON(lastLoginAt),
        ])
    }

    /// JSON Schema of `document`.
    public static let schema: JSON = [
        "type": "object", "required": ["id", "version", "external_id", "email", "name", "status", "created_at"],
        "properties": [
            "id": ["type": "string"], "version": ["type": "integer"], "external_id": ["type": "string"],
            "email": ["type": "string"], "name": ["type": "string"],
            "status": ["type": "string", "enum": .array(UserStatus.allCases.map { .string($0.rawValue) })],
            "created_at": ["type": "string", "format": "date-time"],
            "last_login_at": ["type": ["string", "null"], "format": "date-time"],
        ],
    ]
}
