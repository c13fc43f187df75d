import Kernel

/// Something a person signs in with. The secret is sealed under the master key (password, TOTP), a list of digests
/// (recovery codes) or what is public of a passkey; its document shows only a digest of what is stored.
public struct Factor: Entity, Hashable {
    public static let type = "factor"
    public static let idPrefix = "fct"
    public static let table = "factors"

    public enum Status: String, Sendable, CaseIterable {
        case active
        /// Replaced or taken away; kept because events name it.
        case revoked
    }

    public var id: String
    public var version: Int64
    public var staffID: String
    public var kind: FactorKind
    public var label: String
    /// Never shown, logged or hashed into an event in clear.
    public var secret: String
    /// The id a passkey's authenticator gave it, base 64 of the URL alphabet.
    public var credential: String?
    public var status: Status
    public var createdAt: Instant

    public init(
        id: String, version: Int64 = 1, staffID: String, kind: FactorKind, label: String, secret: String,
        credential: String? = nil, status: Status = .active, createdAt: Instant
    ) {
        self.id = id
        self.version = version
        self.staffID = staffID
        self.kind = kind
        self.label = label
        self.secret = secret
        self.credential = credential
        self.status = status
        self.createdAt = createdAt
    }

    public var tenantID: String? { nil }
    public var subjects: [String] { [staffID] }
    public var displayName: String { label }
    public var document: JSON {
        .members([
            ("id", .string(id)), ("version", .int(version)), ("staff_id", .string(staffID)),
            ("kind", .string(kind.rawValue)), ("label", .string(label)), ("credential", credential.map(JSON.string)),
            ("status", .string(status.rawValue)), ("created_at", JSON(createdAt)),
            ("secret_sha256", .string(sha256(Array(secret.utf8)).hex)),
        ])
    }

    /// What a sealed secret is bound to, so that it can't be moved to another row.
    var sealContext: String { Self.sealContext(id, kind) }
    static func sealContext(_ id: String, _ kind: FactorKind) -> String { "factor:\(id):\(kind.rawValue)" }

    /// The digests of the recovery codes that are left.
    var recoveryDigests: [String] {
        get { (try? JSON(parsing: secret))?.array?.compactMap(\.string) ?? [] }
        set { secret = JSON.array(newValue.map(JSON.string)).canonicalText }
    }
}

extension [Factor] {
    /// What proves most first, and of a kind the oldest.
    var strongestFirst: [Factor] {
        sorted { ($0.kind.rank, $0.createdAt, $0.id) < ($1.kind.rank, $1.createdAt, $1.id) }
    }
}

extension FactorKind {
    /// What can't be given away comes first, then what a device shows, what somebody else vouches for, what is written down,
    /// and what is known.
    fileprivate var rank: Int {
        switch self {
        case .webauthn: 0
        case .totp: 1
        case .oidc: 2
        case .recovery: 3
        case .password: 4
        }
    }
}
