import Kernel

/// Changes what a tenant is called. Its state, plan and region have operations of their own.
public enum UpdateTenant: Operation {
    public typealias Target = Tenant
    public static let spec = OperationSpec(
        "tenant.update", "Edit tenant", summary: "Changes the name, the slug or the metadata of a tenant.",
        permission: "tenant.update", risk: .low, requiresIfMatch: true)

    public struct Input: OperationInput {
        @Param("Name", .length(1...120), help: "As the customer writes it. Leave empty to keep it.")
        public var name: String?
        @Param("Slug", .slug, help: "The short name in addresses; must be unique. Leave empty to keep it.")
        public var slug: String?
        @Param(
            "Metadata", .prose(1...30_000),
            help: "One \"key: value\" per line, all of them. Leave empty to keep them; a single hyphen removes them.")
        public var metadata: TenantMetadata?
        public init() {}
    }

    public static func gather(_ input: Input, _ target: Tenant?, from reader: any Reader) throws -> TenantNames {
        guard let slug = input.slug, slug != target?.slug else { return TenantNames() }
        return try .look(slug: slug, except: target?.id, in: reader)
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Tenant> {
        if call.before.status == .deleted {
            throw .conflict("A deleted tenant can't be edited. Deletion is final.", legal: [])
        }
        try call.facts.check()
        var after = call.before
        if let name = call.input.name { after.name = name }
        if let slug = call.input.slug { after.slug = slug }
        if let metadata = call.input.metadata { after.metadata = metadata.values }
        var changed: [String] = []
        if after.name != call.before.name { changed.append("name") }
        if after.slug != call.before.slug { changed.append("slug") }
        if after.metadata != call.before.metadata { changed.append("metadata") }
        guard !changed.isEmpty else {
            throw .conflict("Nothing would change: every field already has this value. Change at least one.")
        }
        after.updatedAt = call.now
        let words = changed.count == 3 ? "name, slug and metadata" : changed.joined(separator: " and ")
        return Plan(
            after, effects: [.webhook("updated", after)], facts: ["fields": .array(changed.map(JSON.string))],
            consequence: "\(after.name) gets another \(words).")
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        guard let before = done.before else { return .impossible("What it was called before is not known any more.") }
        var input: [String: JSON] = [:]
        for field in ["name", "slug", "metadata"] where before[field] != done.after?[field] {
            input[field] = before[field]
        }
        return .run("tenant.update", input: .object(input))
    }

    public static func prefill(_ target: Tenant) -> [String: JSON] {
        ["name": .string(target.name), "slug": .string(target.slug), "metadata": target.metadataJSON]
    }

    public static func unavailable(_ target: Tenant, now: Instant) -> Unavailable? {
        target.status == .deleted ? Unavailable("deleted tenants can't be edited", note: "Deletion is final.") : nil
    }
}
