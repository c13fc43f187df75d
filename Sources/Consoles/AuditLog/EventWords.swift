import HTML
import Kernel

/// How events are said to people.
enum EventWords {
    static func outcome(_ event: EventRow) -> Node {
        switch event.outcome {
        case "applied" where event.eventClass == EventClass.access.rawValue: UI.state("Served")
        case "applied": UI.state("Applied", .ok)
        case "requested": UI.state("Requested", .info, .ring)
        case "denied": UI.state("Denied", .danger, .x)
        case "failed": UI.state("Failed", .danger, .x)
        case "blocked": UI.state("Blocked", .warn, .stop)
        default: UI.state(event.outcome)
        }
    }

    static func outcomeChip(_ event: EventRow) -> Node {
        switch event.outcome {
        case "applied" where event.eventClass == EventClass.access.rawValue: UI.chip("Served", .plain, .on)
        case "applied": UI.chip("Applied", .ok, .on)
        case "requested": UI.chip("Requested", .info, .ring)
        case "denied": UI.chip("Denied", .danger, .x)
        case "failed": UI.chip("Failed", .danger, .x)
        case "blocked": UI.chip("Blocked", .warn, .stop)
        default: UI.chip(event.outcome)
        }
    }

    /// "Mira O.", "system bootstrap".
    static func actor(_ event: EventRow) -> String {
        event.actorName
            ?? (event.actorType == Actor.Kind.staff.rawValue ? event.actorID : "\(event.actorType) \(event.actorID)")
    }

    static func target(_ event: EventRow) -> String {
        event.targetName ?? event.targetID ?? ""
    }

    /// The page of a target, where there is one.
    static func path(type: String?, id: String?) -> String? {
        guard let type, let id else { return nil }
        switch type {
        case "tenant": return "/tenants/\(id)"
        case "staff": return "/staff/\(id)"
        case "approval": return "/approvals/\(id)"
        case "event": return "/audit/\(id)"
        case "delivery": return "/deliveries/\(id)"
        case "webhook": return "/webhooks/\(id)"
        default: return nil
        }
    }

    /// Facts that are no operations, in words.
    private static let plain = [
        "audit.list": "Looked through the audit log", "audit.view": "Read an event", "audit.export": "Exported events",
        "tenant.view": "Viewed a tenant", "tenant.users": "Viewed members", "tenant.history": "Viewed a history",
        "tenant.search": "Searched", "tenant.list": "Listed tenants", "user.view": "Viewed a user",
        "staff.view": "Viewed a colleague", "staff.list": "Listed staff", "approval.view": "Viewed a request",
        "signin.succeeded": "Signed in", "signin.failed": "Failed sign-in", "signin.ended": "Signed out",
        "delivery.queued": "Queued a notice", "delivery.sent": "Sent a notice",
        "authz.denied": "Refused: permission missing", "authz.denial_burst": "Many refusals in a short time",
    ]

    /// "Suspend Marlow Freight" when the action is an operation, else its name.
    static func title(_ event: EventRow, catalog: Catalog) -> String {
        guard let spec = catalog[event.action]?.spec else {
            let words = plain[event.action] ?? event.action
            return event.targetName.map { "\(words): \($0)" } ?? words
        }
        return event.targetName.map { "\(spec.title): \($0)" } ?? spec.title
    }
}
