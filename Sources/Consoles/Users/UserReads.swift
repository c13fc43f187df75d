import Kernel

/// What the API answers about users.
enum UserReads {
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
    let joinedAt: Instant?

    init(_ row: Row) throws {
        tenant = try row.string("id")
        name = try row.string("name")
        slug = try row.string("slug")
        tenantStatus = try row.string("status")
        plan = try row.string("plan")
        role = try row.string("role")
        status = try row.string("membership_status")
        joinedAt = try row.optionalInstant("joined_at")
    }

    static func load(_ user: String, from reader: any Reader) throws -> [Place] {
        try reader.query(MembershipQueries.tenants(of: user, limit: most)).map(Place.init)
    }

    var json: JSON {
        .object([
            "tenant_id": .string(tenant), "name": .string(name), "slug": .string(slug), "role": .string(role),
            "status": .string(status),
        ])
    }
}
