import HTML
import Kernel

/// A line of an activity as a sentence: "Mira O. suspended **the tenant**", "Mira O. tried to **archive tenant**, and was refused",
/// "**A request expired**".
struct ActivityWords: Equatable {
    /// Who did it; `nil` where nobody did, and the sentence stands alone.
    let actor: String?
    /// Empty where `what` begins with it.
    let verb: String
    /// Leads to the event.
    let what: String
    /// What came of it.
    var end = ""

    /// - Parameter name: of a person or a program, where it is known.
    init(_ line: ActivityPage.Line, name: String?, catalog: Catalog) {
        let spec = catalog[line.action]?.spec
        let outcome = EventOutcome(rawValue: line.outcome)
        let actor = Self.actor(line, name)
        let fact = spec == nil || outcome == .applied ? Self.facts[line.action] : nil
        if line.eventClass != EventClass.access.rawValue, let fact {
            self.init(actor: nil, verb: "", what: outcome == .failed ? Self.failures[line.action] ?? fact : fact)
            return
        }
        if line.eventClass == EventClass.access.rawValue {
            if line.action == "export.end", outcome == .failed {
                self.init(actor: actor, verb: "began", what: "an export", end: ", which was broken off")
            } else if let spec {
                self.init(actor: actor, verb: "previewed", what: "“\(spec.title)”")
            } else if let view = Self.views[line.action] {
                self.init(actor: actor, verb: "viewed", what: view)
            } else {
                self.init(telling: EventWords.plain[line.action] ?? line.action, by: actor)
            }
            return
        }
        guard let spec else {
            if let (verb, what) = Self.deeds[line.action] {
                self.init(actor: actor, verb: verb, what: what)
            } else {
                self.init(telling: EventWords.plain[line.action] ?? line.action, by: actor)
            }
            return
        }
        let attempt = DoneWords.lowered(spec.title)
        switch outcome {
        case .denied: self.init(actor: actor, verb: "tried to", what: attempt, end: ", and was refused")
        case .failed: self.init(actor: actor, verb: "tried to", what: attempt, end: ", which failed")
        case .blocked: self.init(actor: actor, verb: "tried to", what: attempt, end: ", and was held back")
        case .requested: self.init(actor: actor, verb: "asked others to agree to", what: "“\(spec.title)”")
        case .applied, nil:
            if let (verb, what) = Self.deeds[line.action] {
                self.init(actor: actor, verb: verb, what: what)
            } else if spec.systemOnly {
                // What Postern and the product do is not always called by a verb.
                self.init(actor: actor, verb: "carried out", what: "“\(spec.title)”")
            } else {
                self.init(actor: actor, verb: "", what: DoneWords.lowered(DoneWords.past(spec.title)))
            }
        }
    }

    private init(actor: String?, verb: String, what: String, end: String = "") {
        self.actor = actor
        self.verb = verb
        self.what = what
        self.end = end
    }

    /// What the list of actions says: "Signed in", and of what names its own actor "The identity provider listed people".
    private init(telling words: String, by actor: String) {
        let isWhole = words.hasPrefix("The ") || words.hasPrefix("A ")
        self.init(actor: isWhole ? nil : actor, verb: "", what: isWhole ? words : DoneWords.lowered(words))
    }

    /// Whoever did it, as the beginning of a sentence.
    private static func actor(_ line: ActivityPage.Line, _ name: String?) -> String {
        switch Actor.Kind(rawValue: line.actorKind) {
        case .staff: name ?? line.actor
        case .service: name ?? "A service account"
        case .assistant: name ?? "An assistant"
        case .system: EventWords.part(line.actor, doing: line.action)
        case .runtime: "Your product"
        case .tenantAdmin: "An administrator of the tenant"
        case .auditor: "An auditor"
        case nil: DocumentDiff.label(line.actorKind)
        }
    }

    /// What was done, as one says it.
    static let deeds: [String: (verb: String, what: String)] = [
        "tenant.create": ("created", "the tenant"), "tenant.update": ("edited", "the tenant"),
        "tenant.suspend": ("suspended", "the tenant"), "tenant.restore": ("restored", "the tenant"),
        "tenant.archive": ("archived", "the tenant"), "tenant.hard_delete": ("deleted for good", "the tenant"),
        "tenant.retry_onboarding": ("set up again", "the tenant"),
        "tenant.transfer_ownership": ("gave another owner to", "the tenant"),
        "tenant.set_note": ("wrote the note on", "the tenant"),
        "tenant.change_tier": ("changed the tier of", "the tenant"),
        "tenant.set_csm": ("named the manager of", "the tenant"),
        "tenant.change_plan": ("asked for another plan of", "the tenant"),
        "tenant.change_region": ("asked to move", "the tenant"),
        "tenant.confirm_change": ("confirmed a change of", "the tenant"),
        "tenant.fail_change": ("recorded a failed change of", "the tenant"),
        "tenant.retry_change": ("retried a change of", "the tenant"),
        "tenant.revert_change": ("gave up a change of", "the tenant"),
        "tenant.mark_ready": ("finished setting up", "the tenant"),
        "tenant.mark_failed": ("could not set up", "the tenant"), "tenant.activate": ("activated", "the tenant"),
        "tenant.expire": ("ended the trial of", "the tenant"), "tenant.convert": ("converted", "the tenant"),
        "tenant.cancel": ("ended the subscription of", "the tenant"),
        "approval.approve": ("agreed to", "a request"), "approval.reject": ("rejected", "a request"),
        "approval.cancel": ("cancelled", "a request"),
        "access_review.start": ("started", "an access review"), "access_review.close": ("closed", "an access review"),
        "access_review.cancel": ("cancelled", "an access review"),
        "access_review.reassign": ("handed on", "what somebody had to review"),
        "access_review_item.keep": ("kept", "a grant in an access review"),
        "access_review_item.revoke": ("revoked", "a grant in an access review"),
        "access_review_plan.change": ("changed", "the schedule of access reviews"),
        "breakglass.review": ("closed the review of", "a break-glass"),
        "staff.bootstrap": ("made the account of", "the first super admin"), "staff.invite": ("invited", "the person"),
        "staff.deactivate": ("deactivated", "the account"), "staff.reactivate": ("reactivated", "the account"),
        "staff.revoke_sessions": ("ended", "the sessions of the account"),
        "staff.reset_factors": ("reset", "the factors of the account"), "staff.grant_role": ("granted", "a role"),
        "staff.revoke_role": ("revoked", "a role"), "staff.change_roles": ("changed", "the roles of the account"),
        "staff.recover": ("asked for", "the recovery of the account"),
        "recovery.cancel": ("cancelled", "the recovery of the account"),
        "staff.provision": ("set up", "the account, as the identity provider asked"),
        "staff.sync_profile": ("brought up to date", "name and address of the account"),
        "staff.deprovision": ("ended", "the account, as the identity provider asked"),
        "staff.provision_role": ("gave", "a role, as the identity provider asked"),
        "staff.withdraw_role": ("took away", "a role, as the identity provider asked"),
        "staff.accept_grant": ("accepted", "a role the identity provider asks for"),
        "staff.dismiss_grant": ("dismissed", "a role the identity provider asks for"),
        "staff_flag.clear": ("closed the review of", "roles held together"),
        "policy.seed": ("wrote", "the access policy it ships with"),
        "registry.put_tenant": ("told of", "the customer"), "registry.put_user": ("told of", "the user"),
        "registry.put_member": ("told of", "a member"), "registry.remove_member": ("ended", "a membership"),
        "registry.put_batch": ("told of", "several customers and users at once"),
        "registry.import_batch": ("imported", "customers"), "registry.finish_import": ("finished", "an import"),
    ]

    /// What happened by itself, or to somebody: nobody who could be named did it.
    static let facts = [
        "approval.expired": "A request expired", "approval.failed": "What was agreed to could not be carried out",
        "approval.reopened": "A request needs another signature",
        "approval.stale": "A request must be agreed to again",
        "access_review.start_planned": "The access review that was due has started",
        "access_review.remind": "The reviewers of an access review were reminded",
        "access_review.escalate": "An access review is overdue",
        "breakglass.expire": "Break-glass ended: its time was over",
        "breakglass.escalate": "The review of a break-glass is overdue",
        "clock.jumped": "The server’s clock was set", "delivery.queued": "A notice was queued",
        "delivery.sent": "A notice was sent", "discrepancy.close": "A row agrees with the log again",
        "discrepancy.report": "A row was found that differs from the log",
        "erasure.completed": "What was sealed about it was erased",
        "oidc.logout": "The identity provider ended the sessions it had opened",
        "oidc.refused": "A single sign-on was refused",
        "passkey.counter_fell": "A passkey that may be a copy was refused",
        "recovery.carry_out": "The recovery of the account was carried out",
    ]

    /// The same where it came to nothing.
    private static let failures = ["delivery.sent": "A notice could not be delivered"]

    private static let views = [
        "tenant.view": "the tenant", "tenant.users": "its members", "tenant.history": "its history",
        "tenant.activity": "its activity", "audit.list": "its events", "audit.view": "an event of it",
        "audit.export": "its events, as an export", "approval.view": "a request about it",
        "user.view": "the user", "user.activity": "the user’s activity", "user.list": "a list of users",
    ]
}
