import Kernel

/// Who already has a slug or an external id: looked up before a plan is made, so that a preview can say it. The unique
/// indexes decide again at commit.
public struct TenantNames: Sendable {
    public var slugTakenBy: String?
    public var externalIDTakenBy: String?

    /// - Parameter except: the tenant that may keep its own names.
    static func look(
        slug: String?, externalID: String? = nil, except: String? = nil, in reader: any Reader
    ) throws -> TenantNames {
        var statements: [Statement] = []
        if let slug { statements.append(TenantQueries.tenants(by: .slug, [slug])) }
        if let externalID { statements.append(TenantQueries.tenants(by: .externalID, [externalID])) }
        guard !statements.isEmpty else { return TenantNames() }
        let found = try reader.query(statements).flatMap { $0 }.map(Tenant.init).filter { $0.id != except }
        return TenantNames(
            slugTakenBy: found.first { $0.slug == slug }?.name,
            externalIDTakenBy: found.first { $0.externalID == externalID }?.name)
    }

    func check() throws(Refusal) {
        if let slugTakenBy {
            throw .field("slug", "Slug is taken by \"\(slugTakenBy)\"; choose another one.")
        }
        if let externalIDTakenBy {
            throw .field(
                "external_id",
                "External id is taken by \"\(externalIDTakenBy)\": this customer is already registered.")
        }
    }
}
