import Kernel

/// A page of people with what they hold.
struct StaffListing {
    struct Person {
        let staff: Staff
        /// Live ones only.
        let roles: [String]
        let lastSeen: Instant?

        var json: JSON {
            guard case .object(var members) = staff.document else { return .null }
            members["roles"] = .array(roles.map(JSON.string))
            members["last_seen_at"] = JSON(lastSeen)
            return .object(members)
        }
    }

    let people: [Person]
    let next: String?

    static func load(_ call: ReadCall, from reader: any Reader) throws -> StaffListing {
        let limit = try call.limit()
        let scope = "staff.list"
        let after = try call.first("cursor").map { try call.cursors.decode($0, scope: scope).first?.string ?? "" } ?? ""
        let found = try reader.query(Staff.selectAll(after: after, limit: limit + 1)).map(Staff.init)
        let staff = Array(found.prefix(limit))
        guard !staff.isEmpty else { return StaffListing(people: [], next: nil) }
        let rows = try reader.query([Grant.of(staff.map(\.id)), SignInQueries.lastSeen(staff.map(\.id))])
        var roles: [String: [String]] = [:]
        for row in rows[0] {
            let grant = try Grant(row)
            if grant.isLive(at: reader.now) { roles[grant.staffID, default: []].append(grant.role) }
        }
        var seen: [String: Instant] = [:]
        for row in rows[1] { seen[try row.string("staff_id")] = try row.optionalInstant("seen") }
        return StaffListing(
            people: staff.map { Person(staff: $0, roles: (roles[$0.id] ?? []).sorted(), lastSeen: seen[$0.id]) },
            next: found.count > limit ? staff.last.map { call.cursors.encode(scope: scope, [.string($0.id)]) } : nil)
    }

    var disclosure: Disclosure { Disclosure("staff.list", count: people.count, ids: people.map(\.staff.id)) }
}

/// Everything a person's page shows.
struct StaffDetail {
    let staff: Staff
    let grants: [Grant]
    let factors: [Factor]
    let lastSeen: Instant?
    /// Names of those who granted, by id.
    let names: [String: String]

    static func load(_ id: String, from reader: any Reader) throws -> StaffDetail {
        guard let staff = try Staff.load(id, from: reader) else {
            throw OperationError.notFound(
                "There is nobody with the id \(id.prefix(60)). The list of staff is at /staff.")
        }
        let rows = try reader.query([Grant.of([id]), Factor.active(of: id), SignInQueries.lastSeen([id])])
        let grants = try rows[0].map(Grant.init)
        let granters = Set(grants.map(\.grantedBy) + [staff.invitedBy].compactMap { $0 }).sorted()
        var names: [String: String] = [:]
        if !granters.isEmpty {
            for row in try reader.query(Staff.select(granters, lock: false, reader.dialect)) {
                names[try row.string("id")] = try row.string("name")
            }
        }
        return StaffDetail(
            staff: staff, grants: grants, factors: try rows[1].map(Factor.init),
            lastSeen: try rows[2].first?.optionalInstant("seen"), names: names)
    }

    func json(at now: Instant) -> JSON {
        guard case .object(var members) = staff.document else { return .null }
        members["roles"] = .array(Set(grants.filter { $0.isLive(at: now) }.map(\.role)).sorted().map(JSON.string))
        members["grants"] = .array(grants.map(\.document))
        members["factors"] = .array(
            factors.map {
                ["kind": .string($0.kind.rawValue), "label": .string($0.label), "created_at": JSON($0.createdAt)]
            })
        members["last_seen_at"] = JSON(lastSeen)
        return .object(members)
    }

    var disclosure: Disclosure {
        Disclosure("staff.view", target: (Staff.type, staff.id), count: 1, ids: [staff.id])
    }
}

/// One of a person's own sessions.
struct SessionRow {
    let id: String
    let client: String
    let userAgent: String
    let ip: String
    let createdAt: Instant
    let lastSeenAt: Instant
    let expiresAt: Instant

    init(_ row: Row) throws {
        id = try row.string("id")
        client = try row.string("client")
        userAgent = try row.string("user_agent")
        ip = try row.string("ip")
        createdAt = try row.instant("created_at")
        lastSeenAt = try row.instant("last_seen_at")
        expiresAt = try row.instant("expires_at")
    }

    static func load(of staff: String, from reader: any Reader) throws -> [SessionRow] {
        try reader.query(SignInQueries.sessions(of: staff, at: reader.now)).map(SessionRow.init)
    }

    func json(current: String?) -> JSON {
        [
            "id": .string(id), "current": .bool(id == current), "client": .string(client),
            "user_agent": .string(userAgent), "ip": .string(ip), "created_at": JSON(createdAt),
            "last_seen_at": JSON(lastSeenAt), "expires_at": JSON(expiresAt),
        ]
    }
}
