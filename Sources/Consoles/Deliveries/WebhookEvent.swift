import HTML
import Kernel

/// What an endpoint can hear of.
public struct WebhookEvent: Sendable {
    /// `tenant.suspended`
    public let name: String
    public let summary: String
    /// Only the newest one of a tenant matters, because it tells a state and not a happening: an earlier one that still waits
    /// is superseded by it.
    public let isState: Bool

    /// Sent by *Send test* only, to one endpoint, whatever it hears.
    static let test = "webhook.test"

    public static let all: [WebhookEvent] = [
        .init(name: "tenant.created", summary: "A tenant was registered.", isState: false),
        .init(name: "tenant.updated", summary: "Name, slug or metadata changed.", isState: true),
        .init(name: "tenant.ready", summary: "The tenant is set up and waits for its first sign-in.", isState: false),
        .init(name: "tenant.onboarding_failed", summary: "A tenant could not be set up.", isState: false),
        .init(name: "tenant.onboarding_requested", summary: "A failed tenant is to be set up again.", isState: false),
        .init(name: "tenant.activated", summary: "The tenant is in use, or has subscribed.", isState: false),
        .init(name: "tenant.expired", summary: "The trial has ended.", isState: false),
        .init(name: "tenant.cancelled", summary: "The subscription has ended.", isState: false),
        .init(
            name: "tenant.plan_change_requested", summary: "Your product is to change the plan and confirm it.",
            isState: false),
        .init(name: "tenant.plan_changed", summary: "The plan is another one now.", isState: false),
        .init(
            name: "tenant.region_change_requested", summary: "Your product is to move the data and confirm it.",
            isState: false),
        .init(name: "tenant.region_changed", summary: "The data is kept elsewhere now.", isState: false),
        .init(
            name: "tenant.change_withdrawn", summary: "A change of plan or region is not wanted any more.",
            isState: false),
        .init(name: "tenant.tier_changed", summary: "The tenant gets more or less care.", isState: false),
        .init(name: "tenant.ownership_transferred", summary: "Another member owns the tenant.", isState: false),
        .init(name: "tenant.suspended", summary: "Nobody of the tenant may sign in.", isState: false),
        .init(name: "tenant.restored", summary: "The tenant is back where it came from.", isState: false),
        .init(name: "tenant.archived", summary: "The tenant is archived.", isState: false),
        .init(name: "tenant.deleted", summary: "The tenant was deleted for good.", isState: false),
        .init(name: "registry.imported", summary: "An import has ended; it is told once.", isState: false),
    ]

    static let names = all.map(\.name)
    static let states = Set(all.filter(\.isState).map(\.name))
    static let choices = all.map { Field.Choice($0.name, $0.name, note: $0.summary) }

    /// The body: CloudEvents 1.0 in JSON. It holds ids, the tenant's version and its status, no names: who needs more asks the
    /// API with the id.
    static func body(_ told: Told, source: String) -> [UInt8] {
        var data: [String: JSON] = ["event_id": .string(told.event), "operation_id": .string(told.operation)]
        if let tenant = told.tenant {
            data["tenant"] = JSON.members([
                ("id", .string(tenant)), ("external_id", told.externalID.map(JSON.string)),
                ("version", told.tenantVersion.map(JSON.int)), ("status", told.status.map(JSON.string)),
            ])
        }
        if let change = told.change { data["change"] = change }
        if told.name == test { data["webhook"] = .string(told.webhook) }
        return JSON.members([
            ("specversion", "1.0"), ("id", .string(told.id)), ("source", .string(source)),
            ("type", .string(told.name)), ("time", .string(told.at.rfc3339)),
            ("subject", told.tenant.map { .string("tenants/\($0)") }), ("datacontenttype", "application/json"),
            ("data", .object(data)),
        ]).canonical
    }

    /// What a body is made of.
    struct Told {
        /// The effect's id: the same for every endpoint.
        let id: String
        let name: String
        let at: Instant
        let event: String
        let operation: String
        let webhook: String
        let tenant: String?
        let externalID: String?
        let tenantVersion: Int64?
        let status: String?
        /// Of which field, from what to what: `{"field": "plan", "from": "pro", "to": "business"}`.
        var change: JSON?
    }
}
