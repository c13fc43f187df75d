import Kernel

/// What a batch of records changes, computed from the records and the facts alone.
struct RegistryBatch {
    private(set) var changes: [Change] = []
    private(set) var history: [Statement] = []
    private(set) var created = 0
    private(set) var updated = 0
    private(set) var unchanged = 0
    /// Control fields that the product says differently, whether that is known already or not.
    private(set) var drifted = 0
    private(set) var opened = 0
    private(set) var closed = 0
    /// What became of each record, by its place in the batch.
    private(set) var outcomes: [Int: Outcome] = [:]

    enum Result: String, Sendable { case created, updated, unchanged }

    struct Outcome: Sendable {
        let result: Result
        let id: String
        /// The control fields that differ.
        let drift: [Drift.Field]
    }

    /// A record that can't be taken, by its place in the batch.
    struct Problem: Error, Hashable {
        let index: Int
        let column: String
        let sentence: String
        /// What the column names is not there.
        var isMissing = false
    }

    private var facts: RegistryFacts
    private var handovers: SlugHandovers
    private let now: Instant
    private let person: String
    private let actor: Actor
    private let event: String
    private let isImport: Bool
    private let id: (_ prefix: String, _ slot: Int) -> String
    private var slot = 0
    private var seen: [String: Int] = [:]
    /// Rows changed more than once in a batch appear once: where their change stands, by id.
    private var places: [String: Int] = [:]

    /// - Parameters:
    ///   - records: all that will be added, so that one may take what another gives up.
    ///   - actor: who tells it, where that is not a part of the system.
    ///   - isImport: how setting a new tenant up ended is where it begins; otherwise it is reported next, and told.
    init(
        _ facts: RegistryFacts, _ records: [RegistryRecord] = [], now: Instant, person: String, actor: Actor? = nil,
        event: String, isImport: Bool = false, id: @escaping (_ prefix: String, _ slot: Int) -> String
    ) {
        self.isImport = isImport
        self.facts = facts
        handovers = SlugHandovers(records, facts)
        self.now = now
        self.person = person
        self.actor = actor ?? .system(person)
        self.event = event
        self.id = id
        // Only a row that comes in hands its slug on, and its members may keep it out.
        var staying: Set<String> = []
        while !handovers.free.isEmpty {
            let found = self.staying(records)
            guard !found.isSubset(of: staying) else { break }
            staying.formUnion(found)
            handovers = SlugHandovers(records, facts, staying: staying)
        }
    }

    /// Customers who were to hand their slug on and would not, by external id.
    private func staying(_ records: [RegistryRecord]) -> Set<String> {
        var trial = self
        for (index, record) in records.enumerated() { try? trial.add(record, at: index) }
        return Set(
            facts.tenants.values.filter { tenant in
                handovers.free.contains(tenant.slug) && trial.facts.tenants[tenant.externalID]?.slug == tenant.slug
            }.map(\.externalID))
    }

    /// Written before the changes: frees slugs that pass from one customer to another, however the changes are ordered.
    var freeing: [Statement] {
        let tenants = changes.compactMap { change in
            (change.after as? Tenant).map { (before: change.before as? Tenant, after: $0) }
        }
        let taken = Set(tenants.map(\.after.slug))
        let ids = tenants.compactMap { tenant in
            tenant.before.flatMap { $0.slug != tenant.after.slug && taken.contains($0.slug) ? $0.id : nil }
        }
        return ids.isEmpty ? [] : [TenantQueries.freeSlugs(of: ids.sorted())]
    }

    /// The tenants the records name, as they are afterwards.
    var tenantsByID: [String: Tenant] {
        Dictionary(facts.tenants.values.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// Adds a record. After a problem the batch may be used further: the record left no trace.
    mutating func add(_ record: RegistryRecord, at index: Int) throws(Problem) {
        switch record {
        case .tenant(let row): try add(row, at: index)
        case .user(let user): try add(user, at: index)
        case .member(let member): try add(member, at: index)
        }
    }

    mutating func add(_ row: RegistryRow, at index: Int) throws(Problem) {
        try once("tenant \(row.externalID)", "external_id", at: index)
        let before = facts.tenants[row.externalID]
        if before?.status == .deleted {
            throw Problem(
                index: index, column: "external_id",
                sentence: "belongs to a customer that was deleted for good; it can't be registered again.")
        }
        try check(row, at: index)
        if let holder = facts.slugs[row.slug], holder.externalID != row.externalID, !handovers.take(row.slug) {
            let isStuck = handovers.stuck.contains(holder.externalID)
            throw Problem(
                index: index, column: "slug",
                sentence:
                    "\"\(row.slug)\" is taken by \"\(holder.name)\" (external id \(holder.externalID))\(isStuck ? ", whose own row can't be taken" : "")."
            )
        }
        let countBefore = changeCount
        // The people first: a new tenant names its owner.
        var people: [(member: RegistryRow.Member, user: User)] = []
        for member in row.people { people.append((member, user(for: member))) }
        let owner = row.ownerEmail.flatMap { email in people.first { $0.member.email == email }?.user.id }
        let tenant = place(row, before: before, owner: owner)
        for (member, user) in people {
            join(member, user, tenant, isOwner: user.id == owner && tenant.ownerID == owner)
        }
        facts.tenants[row.externalID] = tenant
        if let before, before.slug != row.slug, facts.slugs[before.slug]?.externalID == row.externalID {
            facts.slugs[before.slug] = nil
            handovers.leave(before.slug)
        }
        facts.slugs[row.slug] = (row.externalID, row.name)
        let result: Result = before == nil ? .created : changeCount > countBefore ? .updated : .unchanged
        note(result, tenant.id, index, drift: before == nil ? [] : drift(row, tenant, owner: owner))
    }

    private mutating func once(_ name: String, _ column: String, at index: Int) throws(Problem) {
        if let first = seen.updateValue(index, forKey: name) {
            throw Problem(index: index, column: column, sentence: "stands in row \(first + 1) already.")
        }
    }

    private mutating func note(_ result: Result, _ id: String, _ index: Int, drift: [Drift.Field] = []) {
        switch result {
        case .created: created += 1
        case .updated: updated += 1
        case .unchanged: unchanged += 1
        }
        outcomes[index] = Outcome(result: result, id: id, drift: drift)
    }

    private mutating func nextID(_ prefix: String) -> String {
        slot += 1
        return id(prefix, slot)
    }

    private mutating func place(_ row: RegistryRow, before: Tenant?, owner: String?) -> Tenant {
        guard let before else {
            var status = row.status ?? (row.onboarding == nil ? .active : .pending)
            if isImport, status == .pending, let onboarding = row.onboarding { status = onboarding.status }
            let tenant = Tenant(
                id: nextID("ten"), externalID: row.externalID, slug: row.slug, name: row.name, status: status,
                plan: row.plan ?? RegistryRow.standardPlan, tier: row.tier ?? RegistryRow.standardTier,
                region: row.region ?? RegistryRow.standardRegion, ownerID: owner, metadata: row.metadata ?? [:],
                createdAt: row.createdAt ?? now, now: now, lastActivityAt: row.lastActivityAt)
            put(.create(tenant))
            history.append(
                TenantQueries.history(
                    tenant: tenant.id, event: event, from: nil, to: tenant.status, actor: actor, reasonCode: nil,
                    at: now))
            return tenant
        }
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
        put(.update(before, to: after))
        return after
    }

    /// Refuses a row that would make one person of two, or bring back somebody who was deleted: before anything of it is put.
    private func check(_ row: RegistryRow, at index: Int) throws(Problem) {
        // Addresses that people of this row give up.
        var left: Set<String> = []
        func column(_ member: RegistryRow.Member) -> String {
            row.members.contains { $0.email == member.email } ? "members" : "owner_email"
        }
        for member in row.people {
            let holder = left.contains(member.email) ? nil : facts.users[member.email]
            let known = member.externalID.flatMap { facts.usersByExternalID[$0] }
            if known == nil, member.externalID != nil, let holder, holder.externalID != holder.id {
                // The address may have been given to somebody else; the product still knows its holder by their own id.
                throw Self.taken(holder, index, column(member))
            }
            guard let before = known ?? holder else { continue }
            if before.status == .deleted {
                throw Problem(
                    index: index, column: column(member),
                    sentence: "\"\(member.email)\" belongs to a user who was deleted; they can't be registered again.")
            }
            if holder == nil { left.insert(before.email) }
        }
    }

    /// Of a row that was checked.
    private mutating func user(for member: RegistryRow.Member) -> User {
        guard let before = facts.user(member) else {
            let user = User(
                id: nextID("usr"), externalID: member.externalID, email: member.email, name: member.name ?? "",
                createdAt: now, lastLoginAt: member.lastLoginAt)
            put(.create(user))
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
        put(.update(before, to: after))
        if after.email != before.email { facts.users[before.email] = nil }
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
            put(.create(membership))
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
        put(.update(before, to: after))
    }

    /// Grows with every change, also with another one of the same row.
    private var changeCount = 0

    /// One change for each row, however often the batch touches it.
    private mutating func put(_ change: Change) {
        changeCount += 1
        if let place = places[change.id] {
            changes[place] = Change(before: changes[place].before, after: change.after)
        } else {
            places[change.id] = changes.count
            changes.append(change)
        }
    }

    // MARK: Users and memberships by themselves

    mutating func add(_ row: RegistryUser, at index: Int) throws(Problem) {
        try once("user \(row.externalID)", "external_id", at: index)
        let holder = row.email.flatMap { facts.users[$0] }
        var known = facts.usersByExternalID[row.externalID]
        if known == nil, let holder {
            // Known by the address alone until now, or somebody else.
            guard holder.externalID == holder.id else { throw Self.taken(holder, index) }
            known = holder
        }
        guard let before = known else {
            guard let email = row.email else {
                throw Problem(index: index, column: "email", sentence: "is needed for a new user.")
            }
            let user = User(
                id: nextID("usr"), externalID: row.externalID, email: email, name: row.name ?? "", createdAt: now,
                lastLoginAt: row.lastLoginAt)
            put(.create(user))
            facts.add(user)
            note(.created, user.id, index)
            return
        }
        if before.status == .deleted {
            throw Problem(
                index: index, column: "external_id",
                sentence: "belongs to a user who was deleted; they can't be registered again.")
        }
        if let holder, holder.id != before.id { throw Self.taken(holder, index) }
        var after = before
        after.externalID = row.externalID
        if let email = row.email { after.email = email }
        if let name = row.name { after.name = name }
        if let seen = row.lastLoginAt, seen > before.lastLoginAt ?? Instant(microseconds: .min) {
            after.lastLoginAt = seen
        }
        guard after.document != before.document else { return note(.unchanged, before.id, index) }
        put(.update(before, to: after))
        if after.email != before.email { facts.users[before.email] = nil }
        facts.add(after)
        note(.updated, after.id, index)
    }

    private static func taken(_ holder: User, _ index: Int, _ column: String = "email") -> Problem {
        Problem(
            index: index, column: column,
            sentence: "\"\(holder.email)\" belongs to another user (external id \(holder.externalID)).")
    }

    mutating func add(_ row: RegistryMember, at index: Int) throws(Problem) {
        try once("member \(row.tenant) \(row.user)", "user", at: index)
        guard let tenant = facts.tenants[row.tenant], tenant.status != .deleted else {
            throw Problem(
                index: index, column: "tenant", sentence: "\"\(row.tenant)\" is no registered customer.",
                isMissing: true)
        }
        guard let user = facts.usersByExternalID[row.user], user.status != .deleted else {
            throw Problem(
                index: index, column: "user", sentence: "\"\(row.user)\" is no registered user.", isMissing: true)
        }
        let pair = RegistryFacts.Pair(tenant: tenant.id, user: user.id)
        guard let before = facts.memberships[pair] else {
            // Somebody who never was a member need not be removed.
            guard row.status != .revoked else { return note(.unchanged, "", index) }
            let membership = Membership(
                id: nextID("mem"), tenant: tenant.id, userID: user.id, role: row.role ?? .member, status: row.status,
                invitedAt: row.status == .invited ? now : nil, joinedAt: row.status == .joined ? now : nil)
            facts.memberships[pair] = membership
            put(.create(membership))
            return note(.created, membership.id, index)
        }
        if row.status == .revoked, tenant.ownerID == user.id {
            throw Problem(
                index: index, column: "user",
                sentence: "\"\(row.user)\" owns this customer. Transfer the ownership in Postern first.")
        }
        var after = before
        if let role = row.role, before.role != .owner { after.role = role }
        if row.status != before.status {
            after.status = row.status
            switch row.status {
            case .invited:
                after.invitedAt = now
                after.revokedAt = nil
            case .joined:
                after.joinedAt = now
                after.revokedAt = nil
            case .revoked: after.revokedAt = now
            }
        }
        guard after.document != before.document else { return note(.unchanged, before.id, index) }
        facts.memberships[pair] = after
        put(.update(before, to: after))
        note(.updated, after.id, index)
    }

    // MARK: Drift

    /// Looks at the control fields a row tells of a tenant that was there before; answers those that differ.
    private mutating func drift(_ row: RegistryRow, _ tenant: Tenant, owner: String?) -> [Drift.Field] {
        let told: [(Drift.Field, String?)] = [
            (.status, row.status?.rawValue), (.plan, row.plan), (.tier, row.tier), (.region, row.region),
            (.owner, owner),
        ]
        var fields: [Drift.Field] = []
        for (field, value) in told {
            guard let value else { continue }
            if field.value(of: tenant) != value {
                fields.append(field)
                drifted += 1
            }
            let key = RegistryFacts.DriftKey(tenant: tenant.id, field: field)
            guard
                let change = Drift.told(
                    value, field, of: tenant, known: facts.drifts[key], source: person, at: now,
                    id: { nextID("drf") }), let after = change.after as? Drift
            else { continue }
            facts.drifts[key] = after
            put(change)
            if after.state == .open { opened += 1 } else { closed += 1 }
        }
        return fields
    }
}
