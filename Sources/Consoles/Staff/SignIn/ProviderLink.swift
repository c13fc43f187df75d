import Kernel

/// Who vouches for staff elsewhere, and what a deployment asks of it.
public struct StaffProvider: Sendable {
    public var client: any IdentityProvider
    /// Where its answers go: the address that is registered there, to the letter.
    public var redirect: String
    /// Where it sends people who signed out there.
    public var farewell: String
    /// Nobody comes in by password or passkey alone.
    public var isRequired = false
    /// Domains of e-mail addresses it may vouch for, in lower case; none: all.
    public var domains: Set<String> = []
    /// What its claims give people; `nil` where they give nothing.
    public var roles: ClaimedRoles?
    public init(client: any IdentityProvider, consoleURL: String) {
        self.client = client
        redirect = consoleURL + Self.path
        farewell = consoleURL + "/signin?out=1"
    }

    public static let path = "/signin/oidc"
}

/// What the provider said of somebody, while they show a factor of their own here and in the session after it.
struct Voucher: Sendable, Hashable {
    /// The account there that is tied to a person here by the factor.
    struct Link: Sendable, Hashable {
        let issuer: String
        let subject: String
        let email: String?
    }

    /// Digest of issuer and subject: what links are found by.
    let subject: String
    /// Digest of issuer and the provider's session.
    let sid: String?
    /// The ID token.
    let token: String
    /// `nil`: the accounts are linked already.
    let links: Link?
    /// What its claims stand for; `nil` where nothing is to be changed by them.
    let roles: Set<String>?

    init(_ identity: ProviderIdentity, links: Bool, roles: Set<String>? = nil) {
        self.roles = roles
        subject = Self.digest("sub", identity.issuer, identity.subject)
        sid = identity.session.map { Self.digest("sid", identity.issuer, $0) }
        token = identity.token
        self.links =
            links ? Link(issuer: identity.issuer, subject: identity.subject, email: identity.email) : nil
    }

    init(subject: String, sid: String?, token: String) {
        self.subject = subject
        self.sid = sid
        self.token = token
        links = nil
        roles = nil
    }

    static func digest(_ kind: String, _ issuer: String, _ value: String) -> String {
        "oidc-" + Base64.encodeURL(sha256(Array("\(kind)\0\(issuer)\0\(value)".utf8)))
    }

    var json: JSON {
        .members([
            ("subject", .string(subject)), ("sid", sid.map(JSON.string)), ("token", .string(token)),
            (
                "links",
                links.map {
                    JSON.members([
                        ("issuer", .string($0.issuer)), ("subject", .string($0.subject)),
                        ("email", $0.email.map(JSON.string)),
                    ])
                }
            ), ("roles", roles.map { .array($0.sorted().map(JSON.string)) }),
        ])
    }

    init?(_ json: JSON) {
        guard let subject = json["subject"]?.string, let token = json["token"]?.string else { return nil }
        roles = json["roles"]?.array.map { Set($0.compactMap(\.string)) }
        self.subject = subject
        sid = json["sid"]?.string
        self.token = token
        if let link = json["links"] {
            guard let issuer = link["issuer"]?.string, let name = link["subject"]?.string else { return nil }
            links = Link(issuer: issuer, subject: name, email: link["email"]?.string)
        } else {
            links = nil
        }
    }
}

extension Factor {
    /// An account at the provider that signs somebody in.
    init(linking voucher: Voucher, _ link: Voucher.Link, to staff: String, named provider: String, at now: Instant) {
        self.init(
            id: Identifier.mint(Factor.idPrefix, at: now), staffID: staff, kind: .oidc, label: provider,
            secret: JSON.members([
                ("issuer", .string(link.issuer)), ("subject", .string(link.subject)),
                ("email", link.email.map(JSON.string)),
            ]).canonicalText, credential: voucher.subject, createdAt: now)
    }

    /// Which account it is, and at which provider.
    var providerAccount: (issuer: String, email: String?)? {
        guard kind == .oidc, let json = try? JSON(parsing: secret), let issuer = json["issuer"]?.string else {
            return nil
        }
        return (issuer, json["email"]?.string)
    }
}
