import HTML
import Kernel

/// How events are said to people.
enum EventWords {
    static func outcome(_ event: EventRow) -> Node {
        let (word, tone, mark) = words(event)
        return UI.state(word, tone, mark)
    }

    static func outcomeChip(_ event: EventRow) -> Node {
        let (word, tone, mark) = words(event)
        return UI.chip(word, tone, mark)
    }

    private static func words(_ event: EventRow) -> (String, Tone, Glyph) {
        switch event.outcome {
        case "applied" where event.eventClass == EventClass.access.rawValue: ("Served", .plain, .on)
        case "applied": ("Applied", .ok, .on)
        case "requested": ("Requested", .info, .ring)
        case "denied": ("Denied", .danger, .x)
        case "failed": ("Failed", .danger, .x)
        case "blocked": ("Blocked", .warn, .stop)
        default: (DocumentDiff.label(event.outcome), .plain, .on)
        }
    }

    /// "Mira O.", "System bootstrap".
    static func actor(_ event: EventRow) -> String {
        event.actorName
            ?? (event.actorType == Actor.Kind.staff.rawValue
                ? event.actorID : "\(DocumentDiff.label(event.actorType)) \(event.actorID)")
    }

    static func target(_ event: EventRow) -> String {
        event.targetName ?? event.targetID ?? ""
    }

    /// The page of a target, where there is one that this person may open.
    static func path(type: String?, id: String?, for caller: Caller) -> String? {
        guard let type, let id else { return nil }
        let (place, permission): (String, String)
        switch type {
        case "tenant": (place, permission) = ("tenants", "tenant.view")
        case "user": (place, permission) = ("users", "user.view")
        case "segment": (place, permission) = ("segments", "tenant.view")
        case "staff": (place, permission) = ("staff", "staff.view")
        case "approval": (place, permission) = ("approvals", "approval.view")
        case "event": (place, permission) = ("audit", "audit.view")
        case "delivery": (place, permission) = ("deliveries", "delivery.view")
        case "webhook": (place, permission) = ("webhooks", "delivery.view")
        case "approval_rule": (place, permission) = ("approval-rules", "access.view")
        case "role": (place, permission) = ("roles", "access.view")
        case "role_permission": (place, permission) = ("role-permissions", "access.view")
        case "exchange_rate": (place, permission) = ("exchange-rates", "access.view")
        case "setting": (place, permission) = ("settings", "setting.view")
        case "discrepancy": (place, permission) = ("discrepancies", "integrity.view")
        case "drift": (place, permission) = ("drifts", "tenant.view")
        case "runtime_token": (place, permission) = ("runtime-tokens", "runtime_token.view")
        default: return nil
        }
        return caller.permissions.contains(permission) ? "/\(place)/\(id)" : nil
    }

    /// Facts that are no operations, in words.
    static let plain = [
        "approval.evidence": "Fetched the evidence of a request", "approval.list": "Looked through requests",
        "approval.view": "Viewed a request",
        "audit.entries": "Read leaves of the log",
        "audit.export": "Exported events", "audit.list": "Looked through the audit log",
        "audit.receipt": "Fetched a receipt", "audit.undo": "Asked whether an event can be undone",
        "audit.view": "Read an event", "authz.denial_burst": "Many refusals in a short time",
        "authz.denied": "Refused: permission missing", "delivery.queued": "Queued a notice",
        "delivery.sent": "Sent a notice", "delivery.view": "Viewed a delivery",
        "discrepancy.view": "Viewed a row that differs", "webhook.view": "Viewed a webhook",
        "clock.jumped": "The server’s clock was set",
        "drift.list": "Looked at who owns what", "drift.view": "Viewed a difference",
        "enrolment.completed": "Enrolled", "export.end": "Finished an export",
        "factor.change_password": "Changed the password", "factor.renew_recovery": "Made new recovery codes",
        "log.succeeded": "Opened a successor of the log", "operation.result": "Looked at a result again",
        "approval.expired": "A request expired", "approval.failed": "An approved action failed",
        "approval.reopened": "A request needs another signature", "approval.reveal": "Fetched a one-time answer",
        "approval.stale": "A request must be agreed to again", "passkey.add": "Added a passkey",
        "passkey.counter_fell": "Refused a passkey that may be a copy",
        "passkey.remove": "Removed a passkey", "passkey.rename": "Renamed a passkey",
        "recovery_code.used": "Used a recovery code",
        "approval_rule.view": "Viewed a rule", "exchange_rate.view": "Viewed a rate", "role.view": "Viewed a role",
        "role_permission.view": "Viewed what a role may do",
        "policy.lint": "Looked for holes in the policy", "policy.simulate": "Tried a rule on the past",
        "retention.pruned": "Moved events to the archive",
        "runtime_token.refused": "Refused a runtime token", "runtime_token.view": "Viewed a runtime token",
        "recovery.view": "Viewed a recovery", "segment.view": "Viewed a saved view", "setting.view": "Viewed a setting",
        "signin.failed": "Failed sign-in",
        "signin.succeeded": "Signed in", "signin.throttled": "Sign-in held back", "signout": "Signed out",
        "staff.list": "Listed staff", "staff.sessions": "Viewed a colleague’s sessions",
        "staff.view": "Viewed a colleague", "staff_flag.list": "Listed exceptions",
        "staff_flag.view": "Viewed an exception", "stepup.failed": "Failed to use the factor",
        "stepup.succeeded": "Used the factor again", "tenant.activity": "Viewed a tenant’s activity",
        "tenant.history": "Viewed a tenant’s history", "tenant.export": "Exported tenants",
        "tenant.search": "Searched", "tenant.users": "Viewed a tenant’s members",
        "tenant.view": "Viewed a tenant", "user.activity": "Viewed a user’s activity", "user.export": "Exported users",
        "user.list": "Listed users", "user.view": "Viewed a user",
    ]

    /// "Suspend tenant" when the action is an operation, else its words.
    static func action(_ event: EventRow, catalog: Catalog) -> String {
        if let spec = catalog[event.action]?.spec {
            return event.eventClass == EventClass.access.rawValue ? "Preview of: \(spec.title)" : spec.title
        }
        return plain[event.action] ?? event.action
    }

    /// "Suspend tenant: Marlow Freight"
    static func title(_ event: EventRow, catalog: Catalog) -> String {
        let words = action(event, catalog: catalog)
        return event.targetName.map { "\(words): \($0)" } ?? words
    }

    static func client(_ code: String) -> String {
        switch Client(rawValue: code) {
        case .console: "The console"
        case .cli: "The command line"
        case .api: "The API"
        case .slack: "Slack"
        case .worker: "A worker of the server"
        case nil: code
        }
    }

    static func factor(_ code: String) -> String {
        switch FactorKind(rawValue: code) {
        case .password: "password"
        case .totp: "authenticator code"
        case .recovery: "recovery code"
        case .webauthn: "passkey"
        case nil: code
        }
    }

    /// How long it is kept, and by which class.
    static func retention(_ code: String) -> String {
        switch RetentionClass(rawValue: code) {
        case .operational1y: "1 year"
        case .access3y: "3 years"
        case .soc2Iso7y, .financial7y, .erasureProof7y: "7 years"
        case .hipaa6y: "6 years"
        case .euAIA10y: "10 years"
        case .legalHold: "Until the legal hold ends"
        case nil: code
        }
    }

    /// A sealed member's name: "Address" of `actor_ip`.
    static func member(_ name: String) -> String {
        switch name {
        case "actor_ip": "Address"
        case "user_agent": "Browser"
        default: DocumentDiff.label(name)
        }
    }
}
