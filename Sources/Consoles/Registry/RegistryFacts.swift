import Kernel

/// Everything a batch touches, as it is in the database.
public struct RegistryFacts: Sendable {
    var tenants: [String: Tenant] = [:]
    /// slug → the external id and name of the tenant that has it.
    var slugs: [String: (externalID: String, name: String)] = [:]
    /// By e-mail.
    var users: [String: User] = [:]
    var usersByExternalID: [String: User] = [:]
    /// By tenant id and user id.
    var memberships: [Pair: Membership] = [:]
    /// Differences that are or were known, by tenant id and field.
    var drifts: [DriftKey: Drift] = [:]

    struct Pair: Hashable {
        let tenant: String
        let user: String
    }

    struct DriftKey: Hashable {
        let tenant: String
        let field: Drift.Field
    }

    /// Ids in one statement: few enough for every database, many enough for few round trips.
    private static let chunk = 500

    static func gather(_ rows: [RegistryRow], from reader: any Reader) throws -> RegistryFacts {
        try gather(rows.map(RegistryRecord.tenant), from: reader)
    }

    /// Reads in a few round trips for each chunk, however many records there are.
    /// - Parameter people: whom records before these bring or change, where those are not in yet.
    static func gather(
        _ records: [RegistryRecord], after people: ImportedPeople = ImportedPeople(), from reader: any Reader
    ) throws -> RegistryFacts {
        var facts = RegistryFacts()
        var names = Names()
        for record in records { names.add(record) }

        let found = try reader.query(
            statements(names.tenants) { TenantQueries.tenants(by: .externalID, $0) }
                + statements(names.slugs) { TenantQueries.tenants(by: .slug, $0) }
                + statements(names.emails) { UserQueries.users(by: .email, $0) }
                + statements(names.people) { UserQueries.users(by: .externalID, $0) })
        for row in found.joined() {
            if row.columns.positions["slug"] != nil {
                let tenant = try Tenant(row)
                if names.tenants.contains(tenant.externalID) { facts.tenants[tenant.externalID] = tenant }
                if names.slugs.contains(tenant.slug) { facts.slugs[tenant.slug] = (tenant.externalID, tenant.name) }
            } else {
                facts.add(try User(row))
            }
        }
        people.bring(into: &facts, emails: names.emails, externalIDs: names.people)

        var pairs: Set<Pair> = []
        for record in records {
            switch record {
            case .tenant(let row):
                guard let tenant = facts.tenants[row.externalID] else { continue }
                for member in row.people {
                    guard let user = facts.user(member) else { continue }
                    pairs.insert(Pair(tenant: tenant.id, user: user.id))
                }
            case .user: continue
            case .member(let member):
                guard let tenant = facts.tenants[member.tenant], let user = facts.usersByExternalID[member.user] else {
                    continue
                }
                pairs.insert(Pair(tenant: tenant.id, user: user.id))
            }
        }
        let sorted = pairs.sorted { ($0.tenant, $0.user) < ($1.tenant, $1.user) }
        let more = try reader.query(
            statements(sorted) { MembershipQueries.memberships(of: $0.map { (tenant: $0.tenant, user: $0.user) }) }
                + statements(Set(facts.tenants.values.map(\.id)).sorted()) { DriftQueries.drifts(of: $0) })
        for row in more.joined() {
            if row.columns.positions["field"] != nil {
                let drift = try Drift(row)
                facts.drifts[DriftKey(tenant: drift.tenant, field: drift.field)] = drift
            } else {
                let membership = try Membership(row)
                facts.memberships[Pair(tenant: membership.tenant, user: membership.userID)] = membership
            }
        }
        return facts
    }

    /// What the records name.
    private struct Names {
        var tenants: Set<String> = []
        var slugs: Set<String> = []
        var emails: Set<String> = []
        var people: Set<String> = []

        mutating func add(_ record: RegistryRecord) {
            switch record {
            case .tenant(let row):
                tenants.insert(row.externalID)
                slugs.insert(row.slug)
                for member in row.people {
                    emails.insert(member.email)
                    if let id = member.externalID { people.insert(id) }
                }
            case .user(let user):
                people.insert(user.externalID)
                if let email = user.email { emails.insert(email) }
            case .member(let member):
                tenants.insert(member.tenant)
                people.insert(member.user)
            }
        }
    }

    /// The user a member is: by the product's id first, because an address may change.
    func user(_ member: RegistryRow.Member) -> User? {
        member.externalID.flatMap { usersByExternalID[$0] } ?? users[member.email]
    }

    mutating func add(_ user: User) {
        users[user.email] = user
        usersByExternalID[user.externalID] = user
    }

    private static func statements(_ values: Set<String>, _ make: ([String]) -> Statement) -> [Statement] {
        statements(values.sorted(), make)
    }

    private static func statements<T>(_ values: [T], _ make: ([T]) -> Statement) -> [Statement] {
        stride(from: 0, to: values.count, by: chunk).map {
            make(Array(values[$0..<min($0 + chunk, values.count)]))
        }
    }
}
