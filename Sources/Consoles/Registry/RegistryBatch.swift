import Kernel

/// What a batch of rows changes, computed from the rows and the facts alone.
struct RegistryBatch {
    private(set) var changes: [Change] = []
    private(set) var history: [Statement] = []
    private(set) var created = 0
    private(set) var updated = 0
    private(set) var unchanged = 0
    /// Rows whose owner differs from the one recorded here; control fields are not taken over.
    private(set) var drifted = 0

    /// A row that can't be taken, by its place in the batch.
    struct Problem: Error, Hashable {
        let index: Int
        let column: String
        let sentence: String
    }

    private var facts: RegistryFacts
    private let now: Instant
    private let person: String
    private let event: String
    private let id: (_ prefix: String, _ slot: Int) -> String
    private var slot = 0
    private var seen: [String: Int] = [:]
    /// Users changed more than once in a batch appear once: where their change stands.
    private var userChange: [String: Int] = [:]

    init(
        _ facts: RegistryFacts, now: Instant, person: String, event: String,
        id: @escaping (_ prefix: String, _ slot: Int) -> String
    ) {
        self.facts = facts
        self.now = now
        self.person = person
        self.event = event
        self.id = id
    }

    /// Adds a row. After a problem the batch may be used further: the row left no trace.
    mutating func add(_ row: RegistryRow, at index: Int) throws(Problem) {
        if let first = seen.updateValue(index, forKey: row.externalID) {
            throw Problem(
                index: index, column: "external_id", sentence: "stands in row \(first + 1) already.")
        }
        if let holder = facts.slugs[row.slug], holder.externalID != row.externalID {
            throw Problem(
                index: index, column: "slug",
                sentence: "\"\(row.slug)\" is taken by \"\(holder.name)\" (external id \(holder.externalID)).")
        }
        let before = facts.tenants[row.externalID]
        if before?.status == .deleted {
            throw Problem(
                index: index, column: "external_id",
                sentence: "belongs to a customer that was deleted for good; it can't be registered again.")
        }
        let countBefore = changes.count
        // The people first: a new tenant names its owner.
        var people: [(member: RegistryRow.Member, user: User)] = []
        for member in row.people { people.append((member, user(for: member))) }
        let owner = row.ownerEmail.flatMap { email in people.first { $0.member.email == email }?.user.id }
        let tenant = place(row, before: before, owner: owner)
        for (member, user) in people {
            join(member, user, tenant, isOwner: user.id == owner && tenant.ownerID == owner)
        }
        facts.tenants[row.externalID] = tenant
        facts.slugs[row.slug] = (row.externalID, row.name)
        if before == nil {
            created += 1
        } else if changes.count > countBefore {
            updated += 1
        } else {
            unchanged += 1
        }
    }

    private mutating func nextID(_ prefix: String) -> String {
        slot += 1
        return id(prefix, slot)
    }

    private mutating func place(_ row: RegistryRow, before: Tenant?, owner: String?) -> Tenant {
        guard let before else {
            let tenant = Tenant(
                id: nextID("ten"), externalID: row.externalID, slug: row.slug, name: row.name, status: row.status,
                plan: row.plan, tier: row.tier, region: row.region, ownerID: owner, metadata: row.metadata ?? [:],
                createdAt: row.createdAt ?? now, now: now, lastActivityAt: row.lastActivityAt)
            changes.append(.create(tenant))
            history.append(
                TenantQueries.history(
                    tenant: tenant.id, event: event, from: nil, to: tenant.status, person: person, reasonCode: nil,
                    at: now))
            return tenant
        }
        if let owner, before.ownerID != owner { drifted += 1 }
        var after = before
        after.name = row.name
        after.slug = row.slug
        if let metadata = row.metadata { after.metadata = metadata }
        if let seen = row.lastActivityAt, seen > before.lastActivityAt { after.lastActivityAt = seen }
        guard
            after.name != before.name || after.slug != before.slug || after.metadata != before.metadata
                || after.lastActivityAt != before.lastActivityAt
        else { return before }
        after.updatedAt = now
        changes.append(.update(before, to: after))
        return after
    }

    private mutating func user(for member: RegistryRow.Member) -> User {
        guard let before = facts.user(member) else {
            let user = User(
                id: nextID("usr"), externalID: member.externalID, email: member.email, name: member.name ?? "",
                createdAt: now, lastLoginAt: member.lastLoginAt)
            userChange[user.id] = changes.count
            changes.append(.create(user))
            facts.add(user)
            return user
        }
        var after = before
        if let id = member.externalID, facts.usersByExternalID[id] == nil { after.externalID = id }
        // An address that another person has already stays with them.
        if facts.users[member.email] == nil { after.email = member.email }
        if let name = member.name { after.name = name }
        if let seen = member.lastLoginAt, seen > before.lastLoginAt ?? Instant(microseconds: .min) {
            after.lastLoginAt = seen
        }
        guard after.document != before.document else { return before }
        if let place = userChange[after.id] {
            changes[place] = Change(before: changes[place].before, after: after)
        } else {
            userChange[after.id] = changes.count
            changes.append(.update(before, to: after))
        }
        facts.add(after)
        return after
    }

    private mutating func join(_ member: RegistryRow.Member, _ user: User, _ tenant: Tenant, isOwner: Bool) {
        let pair = RegistryFacts.Pair(tenant: tenant.id, user: user.id)
        // Who owns a tenant is decided here once it exists; an import can't make somebody owner later.
        let role = isOwner ? .owner : member.role == .owner ? nil : member.role
        guard let before = facts.memberships[pair] else {
            let membership = Membership(
                id: nextID("mem"), tenant: tenant.id, userID: user.id, role: role ?? .member, status: .joined,
                joinedAt: now)
            facts.memberships[pair] = membership
            changes.append(.create(membership))
            return
        }
        var after = before
        if let role, before.role != .owner { after.role = role }
        if before.status != .joined {
            after.status = .joined
            after.joinedAt = now
            after.revokedAt = nil
        }
        guard after.document != before.document else { return }
        facts.memberships[pair] = after
        changes.append(.update(before, to: after))
    }
}
