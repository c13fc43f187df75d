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

    struct Pair: Hashable {
        let tenant: String
        let user: String
    }

    /// Ids in one statement: few enough for every database, many enough for few round trips.
    private static let chunk = 500

    /// Reads in two round trips for each chunk, however many rows there are.
    static func gather(_ rows: [RegistryRow], from reader: any Reader) throws -> RegistryFacts {
        var facts = RegistryFacts()
        let emails = Set(rows.flatMap { $0.people.map(\.email) }).sorted()
        let people = Set(rows.flatMap { $0.members.compactMap(\.externalID) }).sorted()
        let ids = Set(rows.map(\.externalID)).sorted()
        let slugs = Set(rows.map(\.slug)).sorted()

        for row in try all(ids, { TenantQueries.tenants(by: .externalID, $0) }, reader) {
            let tenant = try Tenant(row)
            facts.tenants[tenant.externalID] = tenant
        }
        for row in try all(slugs, { TenantQueries.tenants(by: .slug, $0) }, reader) {
            let tenant = try Tenant(row)
            facts.slugs[tenant.slug] = (tenant.externalID, tenant.name)
        }
        for row in try all(emails, { UserQueries.users(by: .email, $0) }, reader) { facts.add(try User(row)) }
        for row in try all(people, { UserQueries.users(by: .externalID, $0) }, reader) { facts.add(try User(row)) }

        var pairs: [(tenant: String, user: String)] = []
        if !facts.tenants.isEmpty, !facts.users.isEmpty {
            for row in rows {
                guard let tenant = facts.tenants[row.externalID] else { continue }
                for member in row.people {
                    guard let user = facts.user(member) else { continue }
                    pairs.append((tenant.id, user.id))
                }
            }
        }
        for row in try all(pairs, { MembershipQueries.memberships(of: $0) }, reader) {
            let membership = try Membership(row)
            facts.memberships[Pair(tenant: membership.tenant, user: membership.userID)] = membership
        }
        return facts
    }

    /// The user a member is: by the product's id first, because an address may change.
    func user(_ member: RegistryRow.Member) -> User? {
        member.externalID.flatMap { usersByExternalID[$0] } ?? users[member.email]
    }

    mutating func add(_ user: User) {
        users[user.email] = user
        usersByExternalID[user.externalID] = user
    }

    private static func all<T>(
        _ values: [T], _ statement: ([T]) -> Statement, _ reader: any Reader
    ) throws -> [Row] {
        guard !values.isEmpty else { return [] }
        let statements = stride(from: 0, to: values.count, by: chunk).map {
            statement(Array(values[$0..<min($0 + chunk, values.count)]))
        }
        return try reader.query(statements).flatMap { $0 }
    }
}
