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

    /// A part of Postern, or for whom it acts, as one says who did something.
    static func part(_ id: String, doing action: String) -> String {
        switch id {
        // What was asked for there is carried out by Postern.
        case RecoveryTurn.actor.id where action == RecoverStaff.spec.name, "bootstrap", "migrate":
            "Somebody on the server’s machine"
        case "signin": "Somebody not signed in"
        case ScimDoor.person: "The identity provider"
        case ImportRun.actor.id: "An import"
        case "product": "Your product"
        default: "Postern"
        }
    }

    /// A permission was missing.
    static let refused = "authz.denied"

    /// What somebody tried, of an event that says it was refused: what it is called would be read as what was done, or as what was
    /// refused for good.
    /// - Parameter operation: what it was, of a refusal that is an event of its own.
    static func attempt(_ event: EventRow, of operation: String? = nil, catalog: Catalog) -> String {
        if event.action == refused {
            if let title = operation.flatMap({ catalog[$0]?.spec.title }) {
                return "Tried to \(DoneWords.lowered(title))"
            }
            return event.actorType == Actor.Kind.staff.rawValue
                ? "Tried what their roles don’t allow" : "Tried what they may not do"
        }
        guard let spec = catalog[event.action]?.spec, event.eventClass != EventClass.access.rawValue else {
            return action(event, catalog: catalog)
        }
        return "Tried to \(DoneWords.lowered(spec.title))"
    }

    /// Who tried it: of a part of Postern, for whom it acts.
    static func trier(_ event: EventRow) -> String {
        event.actorType == Actor.Kind.system.rawValue ? part(event.actorID, doing: event.action) : actor(event)
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
        case "worker": (place, permission) = ("workers", WorkersConsole.permission)
        case "discrepancy": (place, permission) = ("discrepancies", "integrity.view")
        case "drift": (place, permission) = ("drifts", "tenant.view")
        case "service_account": (place, permission) = ("service-accounts", ServiceAccountListing.viewing)
        case "scim_token": (place, permission) = ("scim-tokens", ScimTokenListing.viewing)
        case "access_review": (place, permission) = ("access-reviews", "access_review.view")
        case "compliance_exception": (place, permission) = ("compliance-exceptions", "compliance.view")
        case "runtime_token": (place, permission) = ("runtime-tokens", "runtime_token.view")
        case "breakglass": (place, permission) = ("breakglass-sessions", "breakglass.view")
        default: return nil
        }
        return caller.permissions.contains(permission) ? "/\(place)/\(id)" : nil
    }

    /// Facts that are no operations, in words.
    static let plain = [
        "access_review.export": "Exported the evidence of an access review",
        "access_review.list": "Listed access reviews", "access_review.view": "Viewed an access review",
        "access_review_item.view": "Viewed a grant in a review",
        "access_review_plan.view": "Viewed the schedule of reviews",
        "approval.evidence": "Fetched the evidence of a request", "approval.list": "Looked through requests",
        "approval.view": "Viewed a request",
        "audit.entries": "Read leaves of the log",
        "audit.export": "Exported events", "audit.list": "Looked through the audit log",
        "audit.receipt": "Fetched a receipt", "audit.undo": "Asked whether an event can be undone",
        "audit.view": "Read an event", "authz.denial_burst": "Many refusals in a short time",
        "authz.denied": "Refused: permission missing", "delivery.queued": "Queued a notice",
        "delivery.sent": "Sent a notice", "delivery.view": "Viewed a delivery",
        "device.approve": "Let a command line in", "device.deny": "Turned a command line away",
        "device.refused": "Typed a command line’s code that is none",
        "discrepancy.view": "Viewed a row that differs", "webhook.view": "Viewed a webhook",
        "breakglass.events": "Looked at what was done within break-glass",
        "breakglass.list": "Looked through emergencies", "breakglass.view": "Viewed an emergency",
        "compliance_exception.list": "Listed exceptions to controls",
        "compliance_exception.view": "Viewed an exception to a control",
        "clock.jumped": "The server’s clock was set", "clock_jump.view": "Viewed a clock that was set",
        "drift.list": "Looked at who owns what", "drift.view": "Viewed a difference",
        "enrolment.completed": "Enrolled", "erasure.completed": "Erased what was sealed about it",
        "export.end": "Finished an export",
        "factor.change_password": "Changed the password", "factor.renew_recovery": "Made new recovery codes",
        "factor.set_authenticator": "Set up an authenticator app",
        "factor.remove_authenticator": "Removed the authenticator app",
        "inbox.list": "Read their inbox", "log.succeeded": "Opened a successor of the log",
        "operation.result": "Looked at a result again",
        "oidc.link": "Linked single sign-on", "oidc.logout": "Signed out by the identity provider",
        "oidc.refused": "Refused a single sign-on",
        "oidc.settings_changed": "The settings of single sign-on were changed on the server",
        "oidc.unlink": "Unlinked single sign-on",
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
        "service_account.refused": "Refused a service account’s token",
        "service_account.view": "Viewed a service account",
        "scim_group.list": "The identity provider listed groups",
        "scim_group.view": "The identity provider read a group",
        "scim_token.refused": "Refused a SCIM token", "scim_token.view": "Viewed a SCIM token",
        "scim_user.list": "The identity provider listed people",
        "scim_user.view": "The identity provider read a person",
        "signin.failed": "Failed sign-in", "slack_link.add": "Linked an account of Slack",
        "slack_link.end": "Unlinked an account of Slack",
        "signin.succeeded": "Signed in", "signin.throttled": "Sign-in held back", "signout": "Signed out",
        "staff.list": "Listed staff", "staff.sessions": "Viewed a colleague’s sessions",
        "staff.view": "Viewed a colleague", "staff_flag.list": "Listed roles held together",
        "staff_flag.view": "Viewed roles held together", "stepup.failed": "Failed to use the factor",
        "stepup.succeeded": "Used the factor again", "tenant.activity": "Viewed a tenant’s activity",
        "tenant.history": "Viewed a tenant’s history", "tenant.export": "Exported tenants",
        "tenant.search": "Searched", "tenant.users": "Viewed a tenant’s members",
        "tenant.view": "Viewed a tenant", "user.activity": "Viewed a user’s activity", "user.export": "Exported users",
        "user.list": "Listed users", "user.view": "Viewed a user", "worker.view": "Viewed a worker",
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
        case .oidc: "single sign-on"
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
