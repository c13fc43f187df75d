import Kernel

/// Registers a customer by hand; most come by import or from the product itself.
public enum CreateTenant: Operation {
    public typealias Target = Tenant
    public static let spec = OperationSpec(
        "tenant.create", "Create tenant", summary: "Registers a customer that your product knows under its own id.",
        permission: "tenant.create", risk: .medium)
    public static let creates = true

    public struct Input: OperationInput {
        @Param("Name", .length(1...120), help: "As the customer writes it.") public var name: String
        @Param("Slug", .slug, help: "The short name in addresses; must be unique.") public var slug: String
        @Param("External id", .externalID, help: "Your product's own id of this customer; it can't be changed later.")
        public var externalID: String
        @Param("Status", .choices(["pending", "ready", "active"]), help: "Pending until your product has set it up.")
        public var status = "pending"
        @Param("Plan", help: "The plan it is on, as your product names it.") public var plan: TenantWord
        @Param("Tier", help: "How much care it gets: approval rules look at it.") public var tier = TenantWord(
            "standard")
        @Param("Region", help: "Where its data is kept.") public var region: TenantWord
        @Param("Metadata", .prose(1...30_000), help: "One \"key: value\" per line.") public var metadata:
            TenantMetadata?
        public init() {}
    }

    public static func concerns(_ input: Input) -> String? { input.name }
    public static let declaresConcerns = true

    public static func gather(_ input: Input, _ target: Tenant?, from reader: any Reader) throws -> TenantNames {
        try .look(slug: input.slug, externalID: input.externalID, in: reader)
    }

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Tenant> {
        try call.facts.check()
        let input = call.input
        let tenant = Tenant(
            id: call.fresh.id("ten"), externalID: input.externalID, slug: input.slug, name: input.name,
            status: TenantStatus(rawValue: input.status) ?? .pending, plan: input.plan.word, tier: input.tier.word,
            region: input.region.word, metadata: input.metadata?.values ?? [:], createdAt: call.now, now: call.now)
        return Plan(
            tenant, alsoWrite: [call.history(of: tenant, from: nil)], effects: [.webhook("created", tenant)],
            consequence: "\(tenant.name) is registered as \(tenant.status.withArticle) tenant.")
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("A registered tenant stays in the record. Archive it instead, once it is set up.")
    }
}

extension Call {
    /// The status history line of this call.
    func history(of after: Tenant, from: TenantStatus?) -> Statement {
        TenantQueries.history(
            tenant: after.id, event: eventID, from: from, to: after.status, actor: actor, reasonCode: reasonCode,
            at: now)
    }
}

extension Effect {
    /// The notice to the product; the body is completed at delivery, this holds ids only.
    static func webhook(_ verb: String, _ tenant: Tenant) -> Effect {
        Effect(
            kind: "webhook", name: "tenant.\(verb)", summary: notice("tenant.\(verb)"),
            payload: ["tenant": .string(tenant.id), "status": .string(tenant.status.rawValue)], tenant: tenant.id)
    }
}
