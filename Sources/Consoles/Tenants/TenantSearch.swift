import Foundation
import Kernel

/// One box for tenants and their people: exact names first, then beginnings of names, then tenants whose name holds about
/// these words; the first that answers.
public struct TenantSearch: Sendable {
    public enum Tier: String, Sendable {
        case exact, prefix, fuzzy
    }

    public struct Hit: Sendable, Hashable {
        public enum Kind: String, Sendable {
            case tenant, user
        }
        public let kind: Kind
        public let id: String
        public let externalID: String
        /// The tenant's or the person's name; the e-mail of somebody without a name.
        public let title: String
        /// The slug or the e-mail.
        public let handle: String
        /// `active`
        public let status: String
        /// Why it is here: `slug`, `e-mail`, `beginning of the name`.
        public let matched: String

        public var json: JSON {
            .object([
                "type": .string(kind.rawValue), "id": .string(id), "external_id": .string(externalID),
                "name": .string(title), (kind == .tenant ? "slug" : "email"): .string(handle),
                "status": .string(status), "matched": .string(matched),
            ])
        }
    }

    /// `nil` when nothing was found.
    public let tier: Tier?
    public let hits: [Hit]

    public static let most = 50

    /// - Parameter text: as typed; 1 to 200 characters.
    /// - Parameter people: whether the caller may see users; without it they are not even looked for.
    public static func run(_ text: String, people: Bool, in reader: any Reader) throws -> TenantSearch {
        let query = try check(text)
        let exact = try exact(query, people: people, in: reader)
        if !exact.isEmpty { return TenantSearch(tier: .exact, hits: Array(exact.prefix(most))) }
        let prefix = try prefix(query, people: people, in: reader)
        if !prefix.isEmpty { return TenantSearch(tier: .prefix, hits: Array(prefix.prefix(most))) }
        let similar = try FuzzySearch.run(query, in: reader).prefix(most).map { Hit($0, "similar name") }
        return TenantSearch(tier: similar.isEmpty ? nil : .fuzzy, hits: similar)
    }

    /// - Throws: where it is not one line of 1 to 200 characters.
    @discardableResult static func check(_ text: String) throws -> String {
        do throws(FieldError.Reason) {
            return try TextRule.line(1...200).check(text)
        } catch {
            throw OperationError.invalid([FieldError(pointer: "?q", detail: "q \(error.text)")])
        }
    }

    private static func exact(_ query: String, people: Bool, in reader: any Reader) throws -> [Hit] {
        let folded = query.lowercased()
        let statements =
            [TenantQueries.tenants(exactly: query, slug: folded)]
            + (people ? [UserQueries.users(exactly: query, email: folded)] : [])
        let byEmail = MembershipQueries.tenants(ofEmail: folded, limit: most)
        // What will be asked next, as far as that can be told by the looks of what was typed.
        if people, folded.contains("@") { reader.foresee([byEmail]) }
        if query.contains(" ") { reader.foresee(prefixes(query, people: people)) }
        let found = try reader.query(statements)
        let tenants = try found[0].map { try Tenant($0) }
        let users = try found.dropFirst().joined().map { try User($0) }
        var hits = HitList()
        for (matched, isIt) in [
            ("id", { $0.id.hasSameBytes(as: query) }), ("external id", { $0.externalID.hasSameBytes(as: query) }),
            ("slug", { $0.slug.hasSameBytes(as: folded) }),
        ] as [(String, (Tenant) -> Bool)] {
            for tenant in tenants where isIt(tenant) { hits.add(Hit(tenant, matched)) }
        }
        for (matched, isIt) in [
            ("id", { $0.id.hasSameBytes(as: query) }), ("e-mail", { $0.email.hasSameBytes(as: folded) }),
            ("external id", { $0.externalID.hasSameBytes(as: query) }),
        ] as [(String, (User) -> Bool)] {
            for user in users where isIt(user) {
                hits.add(Hit(user, matched))
                // Whoever types a customer's address is looking for the customer.
                let members = matched == "e-mail" ? byEmail : MembershipQueries.tenants(of: user.id, limit: most)
                for row in try reader.query(members) {
                    hits.add(
                        Hit(
                            kind: .tenant, id: try row.string("id"), externalID: try row.string("external_id"),
                            title: try row.string("name"), handle: try row.string("slug"),
                            status: try row.string("status"),
                            matched: "its member \(user.email)"))
                }
            }
        }
        return hits.hits
    }

    private static func prefixes(_ query: String, people: Bool) -> [Statement] {
        let folded = query.lowercased()
        var statements = [
            SearchQueries.tenants(.nameKey, startingWith: NameKey.fold(query), limit: most),
            SearchQueries.tenants(.slug, startingWith: folded, limit: most),
        ]
        if people {
            // With an @ typed, what stands before it is the whole local part already.
            statements.append(
                SearchQueries.users(folded.contains("@") ? .email : .emailLocal, startingWith: folded, limit: most))
        }
        return statements
    }

    private static func prefix(_ query: String, people: Bool, in reader: any Reader) throws -> [Hit] {
        var hits = HitList()
        let found = try reader.query(prefixes(query, people: people))
        for row in found[0] { hits.add(Hit(try Tenant(row), "beginning of the name")) }
        for row in found[1] { hits.add(Hit(try Tenant(row), "beginning of the slug")) }
        for row in found.dropFirst(2).joined() { hits.add(Hit(try User(row), "beginning of the e-mail")) }
        return hits.hits
    }
}

extension TenantSearch.Hit {
    init(_ tenant: Tenant, _ matched: String) {
        self.init(
            kind: .tenant, id: tenant.id, externalID: tenant.externalID, title: tenant.name, handle: tenant.slug,
            status: tenant.status.rawValue, matched: matched)
    }
    init(_ user: User, _ matched: String) {
        self.init(
            kind: .user, id: user.id, externalID: user.externalID, title: user.displayName, handle: user.email,
            status: user.status.rawValue, matched: matched)
    }
}

/// Each tenant and user once, with the first reason.
private struct HitList {
    private(set) var hits: [TenantSearch.Hit] = []
    private var seen: Set<String> = []
    mutating func add(_ hit: TenantSearch.Hit) {
        if seen.insert(hit.id).inserted { hits.append(hit) }
    }
}
