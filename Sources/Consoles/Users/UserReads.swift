import Kernel

/// What the API answers about users.
enum UserReads {
    static let list = Read(
        "user.list", summary: "Users by status, tenant and the beginning of their e-mail address.", path: "/users",
        permission: "user.view",
        parameters: [
            .init("status", "Only this status; may be repeated for any of several."),
            .init("tenant", "Only members of this tenant, by its id or slug."),
            .init("q", "Only addresses that begin like this."), .limit, .cursor,
        ], schema: UserListing.schema, isList: true, export: export
    ) { call, reader in
        let listing = try UserListing.load(call, from: reader)
        return .list(listing.items.map(\.json), next: listing.next, disclosure: listing.disclosure)
    }

    static let export = ListExport(
        permission: "user.export",
        columns: [
            "id", "external_id", "email", "name", "status", "created_at", "last_login_at",
        ].map(CSV.Column.member) + [
            CSV.Column("tenant_ids") { CSV.Cell(words("id", of: $0["tenants"], by: " ")) },
            CSV.Column("tenants") { CSV.Cell(words("name", of: $0["tenants"], by: "; ")) }, .member("version"),
        ]
    ) { call, reader in
        let filter = try UserFilter(call, from: reader)
        // What was typed may be somebody's address: theirs who come first, when it is one.
        let found = filter.beginning == nil ? [] : try UserListing.load(call, from: reader).items.map(\.user.id)
        return Disclosure(
            "user.export", tenant: filter.tenant, query: filter.json, count: nil,
            subjects: found + (filter.tenant.map { [$0] } ?? []))
    }

    private static func words(_ member: String, of tenants: JSON?, by separator: String) -> String? {
        let words = (tenants?.array ?? []).compactMap { $0[member]?.string }
        return words.isEmpty ? nil : words.joined(separator: separator)
    }

    static let activity = Read(
        "user.activity", summary: "What was recorded about a user, the latest first.", path: "/users/{id}/activity",
        permission: "user.view", parameters: [.limit, .cursor], schema: ActivityPage.schema, isList: true
    ) { call, reader in
        let user = try find(call, in: reader)
        let page = try ActivityPage.load(.user(user.id), call, from: reader)
        return .list(page.json, next: page.next, disclosure: page.disclosure)
    }

    static let view = Read(
        "user.view", summary: "One user of your product and the tenants they belong to.", path: "/users/{id}",
        permission: "user.view", schema: schema, hasVersion: true
    ) { call, reader in
        let user = try find(call, in: reader)
        let places = try Place.load(user.id, from: reader)
        var document = user.document.object ?? [:]
        document["memberships"] = .array(places.map(\.json))
        return ReadAnswer(.object(document), version: user.version, disclosure: disclosure(of: user))
    }

    static func find(_ call: ReadCall, in reader: any Reader) throws -> User {
        let id = call.path["id"] ?? ""
        guard let user = try User.load(id, from: reader) else {
            throw OperationError.notFound("There is no user \(id). Search for their e-mail instead.")
        }
        return user
    }

    static func disclosure(of user: User) -> Disclosure {
        Disclosure("user.view", target: ("user", user.id), count: 1, ids: [user.id])
    }

    private static let schema: JSON = {
        var schema = User.schema.object ?? [:]
        var properties = schema["properties"]?.object ?? [:]
        properties["memberships"] = [
            "type": "array",
            "items": [
                "type": "object",
                "properties": [
                    "tenant_id": ["type": "string"], "name": ["type": "string"], "slug": ["type": "string"],
                    "role": ["type": "string"], "status": ["type": "string"],
                    "invited_at": ["type": ["string", "null"], "format": "date-time"],
                    "joined_at": ["type": ["string", "null"], "format": "date-time"],
                    "revoked_at": ["type": ["string", "null"], "format": "date-time"],
                ],
            ],
        ]
        schema["properties"] = .object(properties)
        return .object(schema)
    }()
}

/// A tenant a user belongs to, with their role there.
struct Place {
    /// More than anybody belongs to.
    static let most = 200

    let tenant: String
    let name: String
    let slug: String
    let tenantStatus: String
    let plan: String
    let role: String
    let status: String
    let invitedAt: Instant?
    let joinedAt: Instant?
    let revokedAt: Instant?

    init(_ row: Row) throws {
        tenant = try row.string("id")
        name = try row.string("name")
        slug = try row.string("slug")
        tenantStatus = try row.string("status")
        plan = try row.string("plan")
        role = try row.string("role")
        status = try row.string("membership_status")
        invitedAt = try row.optionalInstant("invited_at")
        joinedAt = try row.optionalInstant("joined_at")
        revokedAt = try row.optionalInstant("revoked_at")
    }

    static func load(_ user: String, from reader: any Reader) throws -> [Place] {
        try reader.query(MembershipQueries.tenants(of: user, limit: most)).map(Place.init)
    }

    var json: JSON {
        .object([
            "tenant_id": .string(tenant), "name": .string(name), "slug": .string(slug), "role": .string(role),
            "status": .string(status), "invited_at": JSON(invitedAt), "joined_at": JSON(joinedAt),
            "revoked_at": JSON(revokedAt),
        ])
    }
}
