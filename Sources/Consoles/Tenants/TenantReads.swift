import Kernel

/// What the API answers about tenants.
enum TenantReads {
    static let list = Read(
        "tenant.list", summary: "Tenants by status, plan, tier and region.", path: "/tenants",
        permission: "tenant.view",
        parameters: TenantFilter.Kind.allCases.map {
            Read.Parameter($0.rawValue, "Only this \($0.rawValue); may be repeated for any of several.")
        } + [
            Read.Parameter(
                "sort", "The order: newest, by name, or last active first.",
                schema: [
                    "type": "string", "enum": .array(TenantSort.allCases.map { .string($0.rawValue) }),
                    "default": "created",
                ]), .limit, .cursor,
        ], schema: itemSchema, isList: true, export: export
    ) { call, reader in
        // Names and states of customers are no personal data: not disclosed one by one.
        let listing = try TenantListing.load(call, from: reader)
        return .list(listing.items.map(\.json), next: listing.next)
    }

    static let export = ListExport(
        permission: "tenant.export",
        columns: [
            "id", "external_id", "slug", "name", "status", "plan", "tier", "region", "created_at",
            "last_activity_at", "version",
        ].map(CSV.Column.member)
    ) { call, _ in
        var query = TenantFilter.Kind.allCases.reduce(into: [String: JSON]()) { query, kind in
            let values = (call.query[kind.rawValue] ?? []).filter { !$0.isEmpty }
            if !values.isEmpty { query[kind.rawValue] = .array(values.map(JSON.string)) }
        }
        query["sort"] = call.first("sort").map(JSON.string)
        return Disclosure("tenant.export", query: .object(query), count: nil)
    }

    static let facets = Read(
        "tenant.facets", summary: "How many tenants have each status, plan, tier and region, as of a moment.",
        path: "/tenant-facets", permission: "tenant.view", schema: TenantFacets.schema
    ) { _, reader in
        let facets = try TenantFacets.load(from: reader)
        return ReadAnswer(["as_of": JSON(facets.countedAt), "facets": .array(facets.json)])
    }

    static let view = Read(
        "tenant.view", summary: "One tenant.", path: "/tenants/{id}", permission: "tenant.view", schema: viewSchema,
        hasVersion: true
    ) { call, reader in
        let tenant = try find(call, in: reader)
        var members = tenant.document.object ?? [:]
        // Its history says it, not its row; left out where none stands.
        if try LegalHold.load(on: tenant.id, from: reader).stands { members["legal_hold"] = .bool(true) }
        return ReadAnswer(
            .object(members), version: tenant.version,
            disclosure: Disclosure(
                "tenant.view", target: ("tenant", tenant.id), tenant: tenant.id, count: 1, ids: [tenant.id]))
    }

    private static let viewSchema: JSON = {
        var schema = Tenant.schema.object ?? [:]
        var properties = schema["properties"]?.object ?? [:]
        properties["legal_hold"] = ["type": "boolean", "description": "True while a legal hold stands."]
        schema["properties"] = .object(properties)
        return .object(schema)
    }()

    static let users = Read(
        "tenant.users", summary: "The members of a tenant.", path: "/tenants/{id}/users", permission: "user.view",
        parameters: [.limit, .cursor], schema: MemberPage.schema, isList: true
    ) { call, reader in
        let tenant = try find(call, in: reader)
        let page = try MemberPage.load(tenant.id, call, from: reader)
        return .list(page.members.map(\.json), next: page.next, disclosure: page.disclosure)
    }

    static let history = Read(
        "tenant.history", summary: "Every status a tenant had, the latest first.", path: "/tenants/{id}/history",
        permission: "tenant.view", parameters: [.limit, .cursor], schema: StatusHistory.schema, isList: true
    ) { call, reader in
        let tenant = try find(call, in: reader)
        let page = try StatusHistory.load(tenant.id, call, from: reader)
        return .list(
            page.json, next: page.next,
            disclosure: Disclosure(
                "tenant.history", target: ("tenant", tenant.id), tenant: tenant.id, count: page.lines.count,
                ids: page.lines.map(\.event)))
    }

    static let activity = Read(
        "tenant.activity", summary: "What was recorded about a tenant, the latest first.",
        path: "/tenants/{id}/activity", permission: "tenant.view", parameters: [.limit, .cursor],
        schema: ActivityPage.schema, isList: true
    ) { call, reader in
        let tenant = try find(call, in: reader)
        let page = try ActivityPage.load(.tenant(tenant.id), call, from: reader)
        return .list(page.json, next: page.next, disclosure: page.disclosure)
    }

    static let search = Read(
        "tenant.search",
        summary:
            "Tenants and users by id, external id, slug or e-mail, or else by how their name, slug or e-mail begins, or else tenants by names that are about the same.",
        path: "/search", permission: "tenant.view",
        parameters: [.init("q", "What to look for.", schema: ["type": "string", "minLength": 1, "maxLength": 200])],
        schema: [
            "type": "object", "required": ["type", "id", "external_id", "name", "status", "matched"],
            "properties": [
                "type": ["type": "string", "enum": ["tenant", "user"]], "id": ["type": "string"],
                "external_id": ["type": "string"], "name": ["type": "string"], "slug": ["type": "string"],
                "email": ["type": "string"],
                "status": ["type": "string"], "matched": ["type": "string"],
            ],
        ], isList: true
    ) { call, reader in
        let query = call.first("q") ?? ""
        let search = try TenantSearch.run(query, people: call.caller.maySeeUsers, in: reader)
        return .list(search.hits.map(\.json), next: nil, disclosure: disclosure(of: query, search.hits))
    }

    static func disclosure(of query: String, _ hits: [TenantSearch.Hit]) -> Disclosure {
        Disclosure(
            "tenant.search", query: ["q": .string(query)], count: hits.count, ids: hits.map(\.id),
            subjects: hits.map(\.id))
    }

    static func find(_ call: ReadCall, in reader: any Reader) throws -> Tenant {
        let id = call.path["id"] ?? ""
        guard let tenant = try Tenant.load(id, from: reader) else {
            throw OperationError.notFound("There is no tenant \(id). Search for its name, slug or external id instead.")
        }
        return tenant
    }

    private static let itemSchema: JSON = [
        "type": "object",
        "required": [
            "id", "version", "external_id", "slug", "name", "status", "plan", "tier", "region", "created_at",
            "last_activity_at",
        ],
        "properties": [
            "id": ["type": "string"], "version": ["type": "integer"], "external_id": ["type": "string"],
            "slug": ["type": "string"], "name": ["type": "string"],
            "status": ["type": "string", "enum": .array(TenantStatus.allCases.map { .string($0.rawValue) })],
            "plan": ["type": "string"], "tier": ["type": "string"], "region": ["type": "string"],
            "created_at": ["type": "string", "format": "date-time"],
            "last_activity_at": ["type": "string", "format": "date-time"],
        ],
    ]
}

/// One page of a tenant's members.
struct MemberPage {
    struct Member {
        let user: String
        let email: String
        let name: String
        let userStatus: String
        let role: String
        let status: String
        let invitedAt: Instant?
        let joinedAt: Instant?
        let lastLoginAt: Instant?

        init(_ row: Row) throws {
            user = try row.string("user_id")
            email = try row.string("email")
            name = try row.string("name")
            userStatus = try row.string("user_status")
            role = try row.string("role")
            status = try row.string("membership_status")
            invitedAt = try row.optionalInstant("invited_at")
            joinedAt = try row.optionalInstant("joined_at")
            lastLoginAt = try row.optionalInstant("last_login_at")
        }

        var json: JSON {
            .object([
                "id": .string(user), "email": .string(email), "name": .string(name), "status": .string(userStatus),
                "role": .string(role), "membership_status": .string(status), "invited_at": JSON(invitedAt),
                "joined_at": JSON(joinedAt), "last_login_at": JSON(lastLoginAt),
            ])
        }
    }

    let tenant: String
    let members: [Member]
    let next: String?

    static func load(_ tenant: String, _ call: ReadCall, from reader: any Reader) throws -> MemberPage {
        let limit = try call.limit()
        let scope = "tenant.users/\(tenant)"
        let after = try call.first("cursor").map { try call.cursors.decode($0, scope: scope).first?.string ?? "" } ?? ""
        let rows = try reader.query(MembershipQueries.members(of: tenant, after: after, limit: limit + 1))
        let members = try rows.prefix(limit).map(Member.init)
        return MemberPage(
            tenant: tenant, members: members,
            next: rows.count > limit ? members.last.map { call.cursors.encode(scope: scope, [.string($0.user)]) } : nil)
    }

    var disclosure: Disclosure {
        // Another page of the same tenant shows other people, so it is another question.
        Disclosure(
            "tenant.users", target: ("tenant", tenant), tenant: tenant,
            query: ["first": .string(members.first?.user ?? "")], count: members.count, ids: members.map(\.user))
    }

    static let schema: JSON = [
        "type": "object", "required": ["id", "email", "name", "status", "role", "membership_status"],
        "properties": [
            "id": ["type": "string"], "email": ["type": "string"], "name": ["type": "string"],
            "status": ["type": "string"],
            "role": ["type": "string", "enum": .array(MembershipRole.allCases.map { .string($0.rawValue) })],
            "membership_status": [
                "type": "string", "enum": .array(MembershipStatus.allCases.map { .string($0.rawValue) }),
            ],
            "invited_at": ["type": ["string", "null"], "format": "date-time"],
            "joined_at": ["type": ["string", "null"], "format": "date-time"],
            "last_login_at": ["type": ["string", "null"], "format": "date-time"],
        ],
    ]
}

/// One page of a tenant's status history.
struct StatusHistory {
    struct Line {
        let event: String
        let from: String?
        let to: String
        let actorKind: String
        let actor: String
        let reasonCode: String?
        let at: Instant
        let seq: Int64

        /// Whether somebody may have said why in words of their own.
        var isExplained: Bool { reasonCode != nil || ["staff", "service", "assistant"].contains(actorKind) }

        init(_ row: Row) throws {
            event = try row.string("event_id")
            from = try row.optionalString("from_status")
            to = try row.string("to_status")
            actorKind = try row.string("actor_type")
            actor = try row.string("actor_id")
            reasonCode = try row.optionalString("reason_code")
            at = try row.instant("at")
            seq = try row.int("seq")
        }
    }

    let lines: [Line]
    /// What was said of why, by event; `nil` for who may not see the log, where it is sealed.
    let justifications: [String: String]?
    let next: String?

    var json: [JSON] {
        lines.map { line in
            JSON.members([
                ("event_id", .string(line.event)), ("from", JSON(line.from)), ("to", .string(line.to)),
                ("actor", ["type": .string(line.actorKind), "id": .string(line.actor)]),
                ("reason_code", JSON(line.reasonCode)),
                ("justification", justifications.map { JSON($0[line.event]) }), ("at", .string(line.at.rfc3339)),
            ])
        }
    }

    static func load(_ tenant: String, _ call: ReadCall, from reader: any Reader) throws -> StatusHistory {
        let limit = try call.limit()
        let scope = "tenant.history/\(tenant)"
        var before: (at: Int64, seq: Int64)?
        if let cursor = call.first("cursor") {
            let position = try call.cursors.decode(cursor, scope: scope)
            guard position.count == 2, let at = position[0].int, let seq = position[1].int else {
                throw OperationError.internalError("a signed cursor of an unknown shape")
            }
            before = (at, seq)
        }
        let rows = try reader.query(TenantQueries.history(of: tenant, before: before, limit: limit + 1))
        let lines = try rows.prefix(limit).map(Line.init)
        return StatusHistory(
            lines: lines,
            justifications: call.caller.maySeeLog ? try justifications(of: lines, from: reader) : nil,
            next: rows.count > limit
                ? lines.last.map { call.cursors.encode(scope: scope, [.int($0.at.microseconds), .int($0.seq)]) } : nil)
    }

    private static func justifications(of lines: [Line], from reader: any Reader) throws -> [String: String] {
        let events = Set(lines.filter(\.isExplained).map(\.event)).sorted()
        guard !events.isEmpty else { return [:] }
        var texts: [String: String] = [:]
        for row in try reader.query(TenantQueries.sealedMembers(of: events)) {
            texts[try row.string("event_id")] = try row.json("members")["justification"]?["value"]?.string
        }
        return texts
    }

    static let schema: JSON = [
        "type": "object", "required": ["event_id", "to", "actor", "at"],
        "properties": [
            "event_id": ["type": "string"], "from": ["type": ["string", "null"]], "to": ["type": "string"],
            "actor": ["type": "object", "properties": ["type": ["type": "string"], "id": ["type": "string"]]],
            "reason_code": ["type": ["string", "null"]], "justification": ["type": ["string", "null"]],
            "at": ["type": "string", "format": "date-time"],
        ],
    ]
}

extension Caller {
    /// Whether what events sealed may be shown.
    var maySeeLog: Bool { isSystem || permissions.contains("audit.view") }

    /// Whether names and e-mails of the customers' people may be shown.
    var maySeeUsers: Bool { isSystem || permissions.contains("user.view") }
}
