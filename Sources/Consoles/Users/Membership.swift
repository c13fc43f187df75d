import Kernel

/// What a member may do inside the product.
public enum MembershipRole: String, ParamChoice {
    case owner, admin, member, billing
}

public enum MembershipStatus: String, ParamChoice {
    case invited, joined, revoked
}

/// A user's place in a tenant.
public struct Membership: Entity {
    public static let type = "membership"
    public static let idPrefix = "mem"
    public static let table = "memberships"

    /// `mem_…`
    public let id: String
    public var version: Int64 = 0
    public let tenant: String
    public let userID: String
    public var role: MembershipRole
    public var status: MembershipStatus
    public var invitedAt: Instant?
    public var joinedAt: Instant?
    public var revokedAt: Instant?

    public init(
        id: String, tenant: String, userID: String, role: MembershipRole, status: MembershipStatus,
        invitedAt: Instant? = nil, joinedAt: Instant? = nil, revokedAt: Instant? = nil
    ) {
        self.id = id
        self.tenant = tenant
        self.userID = userID
        self.role = role
        self.status = status
        self.invitedAt = invitedAt
        self.joinedAt = joinedAt
        self.revokedAt = revokedAt
    }

    public init(_ row: Row) throws {
        id = try row.string("id")
        version = try row.int("version")
        tenant = try row.string("tenant_id")
        userID = try row.string("user_id")
        guard let role = MembershipRole(rawValue: try row.string("role")) else {
            throw StoreError.shape(column: "role")
        }
        guard let status = MembershipStatus(rawValue: try row.string("status")) else {
            throw StoreError.shape(column: "status")
        }
        self.role = role
        self.status = status
        invitedAt = try row.optionalInstant("invited_at")
        joinedAt = try row.optionalInstant("joined_at")
        revokedAt = try row.optionalInstant("revoked_at")
    }

    public var tenantID: String? { tenant }
    public var subjects: [String] { [userID] }
    public var displayName: String { "Membership of \(userID) as \(role.rawValue)" }

    public var document: JSON {
        .object([
            "id": .string(id), "version": .int(version), "tenant_id": .string(tenant), "user_id": .string(userID),
            "role": .string(role.rawValue), "status": .string(status.rawValue), "invited_at": JSON(invitedAt),
            "joined_at": JSON(joinedAt), "revoked_at": JSON(revokedAt),
        ])
    }
}
