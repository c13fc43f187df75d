import HTML
import Kernel

/// A set of permissions with a name. Additive: a person's permissions are the union over their unexpired grants.
public struct Role: Entity, Hashable {
    public static let type = "role"
    public static let idPrefix = "role"
    public static let table = "roles"

    /// The code, `support_l1`.
    public var id: String
    public var version: Int64
    public var title: String
    public var summary: String

    public init(id: String, version: Int64 = 1, title: String, summary: String) {
        self.id = id
        self.version = version
        self.title = title
        self.summary = summary
    }

    public var tenantID: String? { nil }
    public var subjects: [String] { [] }
    public var displayName: String { title }
    public var document: JSON {
        ["id": .string(id), "version": .int(version), "title": .string(title), "summary": .string(summary)]
    }
}

/// One cell of the permission matrix: a role holds a permission, perhaps up to a limit.
public struct RolePermission: Entity, Hashable {
    public static let type = "role_permission"
    public static let idPrefix = "role_permission"
    public static let table = "role_permissions"

    /// `support_l2:tenant.credit`
    public var id: String
    public var version: Int64
    public var role: String
    public var permission: String
    /// Ceilings per currency in minor units; a currency that is not listed means the strictest of them. `nil`: none.
    public var limits: [Limit]?
    /// It was taken away again.
    public var isRevoked: Bool

    public init(
        role: String, permission: String, limits: [Limit]? = nil, version: Int64 = 1, isRevoked: Bool = false
    ) {
        self.isRevoked = isRevoked
        self.id = "\(role):\(permission)"
        self.version = version
        self.role = role
        self.permission = permission
        self.limits = limits
    }

    public var tenantID: String? { nil }
    public var subjects: [String] { [] }
    /// "Support L2: Give a credit"
    public var displayName: String {
        "\(RoleTitle.of(role)): \(PermissionCatalog[permission]?.title ?? permission)"
    }
    public var document: JSON {
        JSON.members([
            ("id", .string(id)), ("version", .int(version)), ("role", .string(role)),
            ("permission", .string(permission)), ("limits", limits.map(Self.json) ?? .null),
            ("revoked", isRevoked ? .some(true) : .none),
        ])
    }

    /// "45.00 EUR, 50.00 USD (200.00 a day)"
    static func words(_ limits: [Limit]) -> String { limits.map(\.words).joined(separator: ", ") }

    static func json(_ limits: [Limit]) -> JSON { .array(limits.map(\.json)) }

    static func limits(_ json: JSON) -> [Limit]? {
        guard let elements = json.array else { return nil }
        let limits = elements.compactMap { Limit($0) }
        return limits.count == elements.count ? limits : nil
    }
}

/// A person holds a role, perhaps until a time.
public struct Grant: Entity, Hashable {
    public static let type = "grant"
    public static let idPrefix = "grt"
    public static let table = "grants"

    public var id: String
    public var version: Int64
    public var staffID: String
    public var role: String
    /// `stf_…`, or `bootstrap` for the first.
    public var grantedBy: String
    public var grantedAt: Instant
    /// The next request after it is without the role.
    public var expiresAt: Instant?
    public var revokedAt: Instant?
    /// The provider that asked for it: a SCIM token (`sct_…`), or the mark of claims; `nil` where a colleague did.
    public var source: String?
    /// Who was shown that token: it counts as granted by them, too.
    public var tokenHolder: String?

    public init(
        id: String, version: Int64 = 1, staffID: String, role: String, grantedBy: String, grantedAt: Instant,
        expiresAt: Instant? = nil, revokedAt: Instant? = nil, source: String? = nil, tokenHolder: String? = nil
    ) {
        self.source = source
        self.tokenHolder = tokenHolder
        self.id = id
        self.version = version
        self.staffID = staffID
        self.role = role
        self.grantedBy = grantedBy
        self.grantedAt = grantedAt
        self.expiresAt = expiresAt
        self.revokedAt = revokedAt
    }

    public var tenantID: String? { nil }
    public var subjects: [String] { [staffID] }
    public var displayName: String { RoleTitle.of(role) }
    public var document: JSON {
        // Members that came later stand only where there is something.
        .members([
            ("id", .string(id)), ("version", .int(version)), ("staff_id", .string(staffID)), ("role", .string(role)),
            ("granted_by", .string(grantedBy)), ("granted_at", JSON(grantedAt)), ("expires_at", JSON(expiresAt)),
            ("revoked_at", JSON(revokedAt)), ("source", source.map(JSON.string)),
            ("token_holder", tokenHolder.map(JSON.string)),
        ])
    }

    public enum State: Sendable { case inForce, expired, revoked }

    /// One that had run out before it was taken back has expired.
    func state(at now: Instant) -> State {
        if isLive(at: now) { return .inForce }
        if let expiresAt, expiresAt <= (revokedAt ?? now) { return .expired }
        return .revoked
    }

    /// Whether it gives anything at `now`.
    public func isLive(at now: Instant) -> Bool { revokedAt == nil && (expiresAt.map { now < $0 } ?? true) }
}
