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
        .init(name: "user.created", summary: "A person was registered.", isState: false),
        .init(
            name: "user.updated", summary: "A person's name, e-mail address, status or external id changed.",
            isState: false),
        .init(name: "user.invited", summary: "Somebody was invited to a tenant.", isState: false),
        .init(name: "user.joined", summary: "Somebody is a member of a tenant now.", isState: false),
        .init(name: "user.role_changed", summary: "A member has another role in a tenant.", isState: false),
        .init(name: "user.removed", summary: "Somebody is no member of a tenant any more.", isState: false),
        .init(name: "registry.imported", summary: "An import has ended; it is told once.", isState: false),
    ]

    static let names = all.map(\.name)
    static let states = Set(all.filter(\.isState).map(\.name))
    static let choices = all.map { Field.Choice($0.name, $0.name, note: $0.summary) }

    /// The body: CloudEvents 1.0 in JSON. It holds ids, versions, states and roles, no names: who needs more asks the API with
    /// the id.
    static func body(_ told: Told, source: String) -> [UInt8] {
        var data: [String: JSON] = ["event_id": .string(told.event), "operation_id": .string(told.operation)]
        if let tenant = told.tenant {
            data["tenant"] = JSON.members([
                ("id", .string(tenant)), ("external_id", told.externalID.map(JSON.string)),
                ("version", told.tenantVersion.map(JSON.int)), ("status", told.status.map(JSON.string)),
            ])
        }
        if let user = told.user {
            data["user"] = JSON.members([
                ("id", .string(user.id)), ("external_id", user.externalID.map(JSON.string)),
                ("version", user.version.map(JSON.int)), ("status", user.status.map(JSON.string)),
            ])
        }
        if let membership = told.membership { data["membership"] = membership }
        if let fields = told.fields { data["fields"] = fields }
        if let change = told.change { data["change"] = change }
        if told.name == test { data["webhook"] = .string(told.webhook) }
        return JSON.members([
            ("specversion", "1.0"), ("id", .string(told.id)), ("source", .string(source)),
            ("type", .string(told.name)), ("time", .string(told.at.rfc3339)),
            ("subject", told.subject.map(JSON.string)), ("datacontenttype", "application/json"),
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
        /// Of a person, or of a member.
        var user: Person?
        /// Somebody's place in the tenant, with its version.
        var membership: JSON?
        /// Which fields changed, without their values.
        var fields: JSON?

        /// What it is about, by its path in the API.
        var subject: String? { user.map { "users/\($0.id)" } ?? tenant.map { "tenants/\($0)" } }

        struct Person {
            let id: String
            /// `nil` once nothing is known of them any more.
            let externalID: String?
            /// Of a notice about the person themself.
            let version: Int64?
            let status: String?
        }
    }
}
