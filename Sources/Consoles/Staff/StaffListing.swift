import Kernel

/// A page of people with what they hold.
struct StaffListing {
    struct Person {
        let staff: Staff
        /// Live ones only.
        let grants: [Grant]
        var roles: [String] { grants.map(\.role).sorted() }
        let lastSeen: Instant?

        var json: JSON {
            guard case .object(var members) = staff.document else { return .null }
            members["roles"] = .array(roles.map(JSON.string))
            members["roles_until"] = .object(
                Dictionary(
                    uniqueKeysWithValues: grants.compactMap { grant in grant.expiresAt.map { (grant.role, JSON($0)) } })
            )
            members["last_seen_at"] = JSON(lastSeen)
            return .object(members)
        }
    }

    let filter: StaffFilter
    let people: [Person]
    let next: String?

    /// - Parameter longestAway: see `StaffQueries.page`; only the first page is in this order.
    static func load(_ call: ReadCall, longestAway: Bool = false, from reader: any Reader) throws -> StaffListing {
        let limit = try call.limit()
        let filter = try StaffFilter(call.query)
        let scope = "staff.list"
        let after = try call.first("cursor").map { try call.cursors.decode($0, scope: scope).first?.string ?? "" } ?? ""
        let found = try reader.query(
            StaffQueries.page(filter, after: after, at: reader.now, limit: limit + 1, longestAway: longestAway)
        ).map(Staff.init)
        let staff = Array(found.prefix(limit))
        guard !staff.isEmpty else { return StaffListing(filter: filter, people: [], next: nil) }
        let rows = try reader.query([Grant.of(staff.map(\.id)), SignInQueries.lastSeen(staff.map(\.id))])
        var grants: [String: [Grant]] = [:]
        for row in rows[0] {
            let grant = try Grant(row)
            if grant.isLive(at: reader.now) { grants[grant.staffID, default: []].append(grant) }
        }
        var seen: [String: Instant] = [:]
        for row in rows[1] { seen[try row.string("staff_id")] = try row.optionalInstant("seen") }
        return StaffListing(
            filter: filter,
            people: staff.map { person in
                Person(
                    staff: person, grants: (grants[person.id] ?? []).sorted { $0.role < $1.role },
                    lastSeen: seen[person.id])
            },
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
    let flags: [StaffFlag]
    let recovery: Recovery?
    /// Roles that a provider asks for and that wait.
    let pending: [PendingGrant]
    /// A break-glass of theirs that is open, or not reviewed yet.
    let emergency: BreakGlassEntry?
    /// Names of those who granted, invited, reset or reviewed, by id.
    let names: [String: String]

    static func find(_ id: String, from reader: any Reader) throws -> Staff {
        guard let staff = try Staff.load(id, from: reader) else {
            throw OperationError.notFound(
                "There is nobody with the id \(id.prefix(60)). The list of staff is at /staff.")
        }
        return staff
    }

    static func load(_ id: String, from reader: any Reader) throws -> StaffDetail {
        let staff = try find(id, from: reader)
        let rows = try reader.query([
            Grant.of([id]), Factor.active(of: id), SignInQueries.lastSeen([id]), StaffFlag.of(id),
            Recovery.pending(of: id), PendingGrant.undecided(of: id), BreakGlassQueries.named(of: id),
        ])
        let now = reader.now
        // In force first, then the newest.
        let grants = try rows[0].map(Grant.init).sorted {
            ($0.isLive(at: now) ? 0 : 1, $1.grantedAt, $0.role) < ($1.isLive(at: now) ? 0 : 1, $0.grantedAt, $1.role)
        }
        let flags = try rows[3].map(StaffFlag.init)
        let granters = grants.map(\.grantedBy) + grants.compactMap(\.tokenHolder)
        let people =
            granters + [staff.invitedBy, staff.resetBy].compactMap { $0 }
            + flags.flatMap(StaffFlagListing.people)
        return StaffDetail(
            staff: staff, grants: grants, factors: try rows[1].map(Factor.init),
            lastSeen: try rows[2].first?.optionalInstant("seen"), flags: flags,
            recovery: try rows[4].first.map(Recovery.init),
            pending: try rows[5].map(PendingGrant.init).filter { $0.state == .pending },
            emergency: try rows[6].first.map(BreakGlassEntry.init),
            names: try names(people, from: reader))
    }

    /// Names of staff, by id.
    static func names(_ people: [String], from reader: any Reader) throws -> [String: String] {
        let ids = Set(people.filter { $0.hasPrefix("stf_") }).sorted()
        guard !ids.isEmpty else { return [:] }
        var names: [String: String] = [:]
        for row in try reader.query(Staff.select(ids, lock: false, reader.dialect)) {
            names[try row.string("id")] = try row.string("name")
        }
        return names
    }

    /// What a person or a part of Postern is called.
    func name(_ id: String) -> String { Self.called(id, names) }

    /// What somebody is called who did something: a colleague by their name, and the others for what they are.
    static func called(_ id: String, _ names: [String: String]) -> String {
        if let name = names[id] { return name }
        if [ScimDoor.person, ClaimedRoles.person].contains(id) { return "the identity provider" }
        return id.hasPrefix("\(Staff.idPrefix)_") ? id : "Postern on the server"
    }

    /// What keeps everything else of theirs locked until somebody has reviewed it.
    var lock: BreakGlass? { emergency.flatMap { $0.session.isSolo ? $0.session : nil } }

    func json(at now: Instant) -> JSON {
        guard case .object(var members) = staff.document else { return .null }
        members["roles"] = .array(Set(grants.filter { $0.isLive(at: now) }.map(\.role)).sorted().map(JSON.string))
        members["grants"] = .array(grants.map(\.document))
        members["factors"] = .array(
            factors.map {
                ["kind": .string($0.kind.rawValue), "label": .string($0.label), "created_at": JSON($0.createdAt)]
            })
        members["flags"] = .array(flags.map(\.document))
        members["pending_grants"] = .array(pending.map(\.document))
        members["recovery"] = recovery?.document ?? .null
        members["lock"] =
            lock.map { session in
                JSON.members([
                    ("breakglass_id", .string(session.id)), ("ends_at", JSON(session.endsAt)),
                    ("review_due_at", JSON(session.reviewDueAt)),
                ])
            } ?? .null
        members["last_seen_at"] = JSON(lastSeen)
        return .object(members)
    }

    var disclosure: Disclosure {
        Disclosure("staff.view", target: (Staff.type, staff.id), count: 1, ids: [staff.id])
    }
}
