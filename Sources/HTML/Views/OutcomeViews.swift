import Kernel

/// What stands on the page after an operation was done.
public struct OperationResultModel: Sendable {
    /// The inverse operation and its deadline.
    public struct Undo: Sendable {
        public let title: String
        public let until: Instant
        public init(title: String, until: Instant) {
            self.title = title
            self.until = until
        }
    }

    public var applied: Applied
    public var spec: OperationSpec
    /// How this person may take it back; `nil` when they may not or it can't be.
    public var undo: Undo?
    /// The object: name and page; `nil` when it has no page.
    public var target: (name: String, path: String)?
    /// True when a stored outcome was answered again.
    public var replayed: Bool
    public var now: Instant
    /// The person may open the event's page (`audit.view`); otherwise its id stands as text.
    public var linksEvent: Bool
    /// What was queued for somebody, and who was told; `nil` where that is not known any more.
    public var sent: [Effect]?

    /// "Suspend Acme Robotics": what was done, to whom.
    public var heading: String {
        target.map { OperationFormModel.heading(spec, of: $0.name) } ?? spec.title
    }

    public init(
        applied: Applied, spec: OperationSpec, undo: Undo?, target: (name: String, path: String)?, replayed: Bool,
        now: Instant, linksEvent: Bool = true
    ) {
        self.undo = undo
        self.linksEvent = linksEvent
        self.applied = applied
        self.spec = spec
        self.target = target
        self.replayed = replayed
        self.now = now
    }
}

/// What stands on the page when an operation waits for others (202).
public struct PendingResultModel: Sendable {
    public var pending: PendingApproval
    public var spec: OperationSpec
    public var target: (name: String, path: String)?
    /// What it is about, where that has no page; its target otherwise.
    public var name: String?
    public var now: Instant

    /// "Suspend Acme Robotics": what waits.
    public var heading: String {
        guard let name = name ?? target?.name else { return spec.title }
        let verb = UI.shortTitle(spec)
        return verb == spec.title ? "\(verb), \(name)" : "\(verb) \(name)"
    }

    public init(pending: PendingApproval, spec: OperationSpec, target: (name: String, path: String)?, now: Instant) {
        self.pending = pending
        self.spec = spec
        self.target = target
        self.now = now
    }
}

/// A refusal or failure as a page.
public struct ErrorPageModel: Sendable {
    public var status: Int
    public var title: String
    public var detail: String
    /// What to do next.
    public var next: String
    public var requestID: String
    /// Where the way on leads; Home by default.
    public var link: (title: String, href: String)
    /// Offers the list of what the person's roles lack.
    public var linksAbsent = false
    public init(
        status: Int, title: String, detail: String, next: String, requestID: String,
        link: (title: String, href: String) = ("Go to Home", "/")
    ) {
        self.status = status
        self.title = title
        self.detail = detail
        self.next = next
        self.requestID = requestID
        self.link = link
    }

    /// The page of an error.
    /// - Parameter back: the page the person came from, offered where going back helps.
    public init(_ error: OperationError, requestID: String, back: String = "/") {
        let home = ("Go to Home", "/")
        let again = ("Back", back)
        func make(_ status: Int, _ title: String, _ detail: String, _ next: String, _ link: (String, String)) -> Self {
            Self(status: status, title: title, detail: detail, next: next, requestID: requestID, link: link)
        }
        switch error {
        case .unknownOperation(let name):
            self = make(
                404, "There is no such operation", "\"\(name)\" is not an operation of this console.",
                "Start from the object’s page: its buttons are what can be done with it.", home)
        case .unauthenticated:
            self = make(
                401, "You are not signed in", "The session ended or was never there.",
                "Sign in again; you come back to this page.", ("Sign in", "/signin"))
        case .stepUpRequired(let maxAge):
            self = make(
                401, "Your factor is too old",
                "This needs a factor used in the last \(TimeText.span(maxAge)).",
                "Use your authenticator again, then repeat what you did.", again)
        case .forbidden(let permission, let detail):
            self = make(
                403, "You may not do this", detail,
                "It needs the permission \(permission). A super admin can grant a role that has it.", again)
        case .notAsked(let detail):
            self = make(
                403, "Nobody asks you to sign this", detail,
                "Somebody who holds one of these roles has to decide.", ("All requests", "/approvals"))
        case .overLimit(let detail):
            self = make(
                403, "Over your limit", detail,
                "Ask somebody with a higher limit, or make it smaller.", again)
        case .invalid(let errors):
            self = make(
                422, "Some of it can’t be accepted", errors.map(\.detail).joined(separator: " "),
                "Go back, change what is named here and send it again.", again)
        case .conflict(let detail, let legal):
            self = make(
                409, "It can’t be done in this state", detail,
                legal.map {
                    $0.isEmpty ? "Nothing else is possible from here." : "Possible now: \($0.joined(separator: ", "))."
                }
                    ?? "Look at the object again; it may have changed.", again)
        case .locked(let detail):
            self = make(423, "It is locked", detail, "The lock has to be lifted first.", again)
        case .notFound(let detail):
            self = make(
                404, "Nothing is here", detail,
                "Check the address, or search for it by name, id or e-mail.", home)
        case .preconditionFailed(let current):
            self = make(
                412, "Somebody changed it meanwhile", "It is at version \(current) now.",
                "Open it again and look at what changed before you repeat this.", again)
        case .preconditionRequired:
            self = make(
                428, "A version is missing", "This change must name the version it was made for.",
                "Open the form again from the object’s page.", again)
        case .keyMissing, .keyMalformed:
            self = make(
                400, "The form was incomplete", "It came without the key that keeps it from running twice.",
                "Open the form again and repeat what you did.", again)
        case .keyRunning:
            self = make(
                409, "It is already running", "The same form was sent a moment ago and is still being worked on.",
                "Wait a few seconds and load this page again: you get the same answer, and it runs once.", again)
        case .keyReused:
            self = make(
                422, "The form was sent before with other contents", "A form can be sent once.",
                "Open the form again and repeat what you did.", again)
        case .tooManyRequests(let after):
            self = make(
                429, "Too many attempts", "This was tried too often in a short time.",
                "Wait \(TimeText.span(after)) and try again.", again)
        case .unavailable(let detail):
            self = make(
                503, "Postern can’t answer now", detail,
                "Try again in a minute. Nothing was changed unless the audit log says so.", again)
        case .internalError:
            self = make(
                500, "Something went wrong here", "The cause is in the server’s log under the request id below.",
                "Look at the object before you repeat this. If it happens again, pass on the request id.", again)
        }
    }
}

extension OperationViews {
    /// What happened, with the event that proves it and the way back.
    public static func result(_ model: OperationResultModel) -> Node {
        let applied = model.applied
        let event = "/audit/\(applied.eventID)"
        let reference =
            UI.id(applied.operationID, copy: "reference") + UI.sub("Quote it when you ask somebody about this.")
        return UI.title(model.heading) {
            UI.chip("Done", .ok, .check)
        }
            + el("div", .class("split")) {
                UI.stack {
                    UI.banner(.ok, announces: true, action: undo(model)) {
                        el("p") { el("b") { applied.consequence } }
                        el("p") {
                            model.replayed
                                ? "This is the answer to the same form sent before; it ran once. "
                                : ""
                            if model.linksEvent { el("a", .href(event)) { "See the event" } }
                        }
                    }
                    reveal(applied.reveal)
                    el("section", .class("panel"), .label("What changed")) {
                        UI.panelBody { UI.diff(before: applied.before, after: applied.after) }
                    }
                    if let sent = model.sent {
                        UI.panel("What was queued", id: "r-sent") {
                            UI.panelBody {
                                if sent.isEmpty {
                                    el("p", .class("muted")) { "Nothing." }
                                } else {
                                    UI.effects(sent, when: "when it ran")
                                }
                            }
                        }
                    }
                }
                UI.panel(
                    "The record", id: "r-record", actions: UI.proof(.waiting, href: model.linksEvent ? event : nil)
                ) {
                    UI.panelBody {
                        UI.facts([
                            ("Operation", UI.coded(Node(model.spec.title), applied.operation)),
                            (
                                "Event",
                                model.linksEvent
                                    ? el("a", .href(event)) { UI.id(applied.eventID) } : UI.id(applied.eventID)
                            ),
                            ("Reference", reference),
                            (
                                "Undo",
                                model.undo.map { undo in
                                    Node("until \(TimeText.utcMinute(undo.until)), by \(undo.title)")
                                } ?? UI.muted(applied.undo == nil ? "None" : "Not by you, or not any more")
                            ),
                        ])
                        el("p", .class("row")) {
                            if let target = model.target {
                                UI.linkButton("Go to \(target.name)", href: target.path, style: .primary)
                            }
                        }
                    }
                }
            }
    }

    private static func undo(_ model: OperationResultModel) -> Node {
        guard model.undo != nil else { return .none }
        return UI.linkButton("Undo…", href: "/audit/\(model.applied.eventID)/undo", size: .small, icon: "undo")
    }

    /// A page of what an approved operation answered, for who asked.
    /// - Parameter name: what was asked for.
    public static func revealed(_ values: [String: String], of name: String? = nil, back: String) -> Node {
        UI.title(revealedTitle(name))
            + el("div", .class("narrow stack")) {
                reveal(values, id: "ap-reveal", title: "The answer")
                el("p") { UI.linkButton("Back to the request", href: back) }
            }
    }

    /// "Invite staff: nadia@acme.test, shown once"
    public static func revealedTitle(_ name: String?) -> String { name.map { "\($0), shown once" } ?? "Shown once" }

    /// Values that are shown once and stored nowhere.
    private static func reveal(
        _ values: [String: String], id: String = "r-reveal", title: String = "Shown once"
    ) -> Node {
        guard !values.isEmpty else { return .none }
        return UI.panel(title, id: id) {
            UI.panelBody {
                el("p") { "Copy it now: it is stored nowhere and can’t be shown again." }
                UI.facts(
                    values.sorted { $0.key < $1.key }.map { name, value in
                        (
                            DocumentDiff.label(name),
                            el("span", .class("id")) { value }
                                + UI.copyButton(value, label: "Copy the \(name.replacing("_", with: " "))")
                        )
                    })
            }
        }
    }

    /// The request waits: for whom, until when.
    public static func pending(_ model: PendingResultModel) -> Node {
        let pending = model.pending
        let start = pending.needs.compactMap(\.cooldown).max().map { "\(TimeText.exactly($0)) after" } ?? "when"
        return UI.title("\(model.heading): waiting for approval") {
            UI.chip("Waiting", .info, .ring)
        }
            + el("div", .class("split")) {
                UI.stack {
                    UI.banner(.info, announces: true) {
                        el("p") { el("b") { "Nothing has been changed yet." } }
                        el("p") {
                            "It runs \(start) the people below have agreed. If they do not by "
                            "\(TimeText.utcMinute(pending.expiresAt)), it expires and nothing runs."
                        }
                    }
                    UI.panel("Who must agree", id: "p-needs") {
                        UI.panelBody {
                            UI.approvalNeeds(pending.needs)
                            el("p", .class("small muted")) { "Everybody who could sign finds it in their inbox." }
                        }
                    }
                }
                UI.panel("The request", id: "p-record") {
                    UI.panelBody {
                        UI.facts([
                            ("Operation", UI.coded(Node(model.spec.title), pending.operation)),
                            ("Request", UI.id(pending.approvalID)),
                            ("Event", UI.id(pending.eventID)),
                            ("Expires", UI.time(pending.expiresAt, now: model.now)),
                        ])
                        el("p", .class("row")) {
                            UI.linkButton("See the request", href: "/approvals/\(pending.approvalID)", style: .primary)
                            if let target = model.target { UI.linkButton("Go to \(target.name)", href: target.path) }
                        }
                    }
                }
            }
    }

    /// A refusal or failure in words, and the way on. The request id finds it in the server's log.
    public static func error(_ model: ErrorPageModel) -> Node {
        UI.title(model.title, lead: String(model.status))
            + el("div", .class("narrow stack")) {
                el("p", .class("prose")) { model.detail }
                el("p", .class("prose")) { model.next }
                el("p", .class("row")) {
                    UI.linkButton(model.link.title, href: model.link.href)
                    if model.linksAbsent { UI.linkButton("What can’t I do?", href: "/absent", style: .quiet) }
                }
                el("p", .class("small muted")) {
                    "Request "
                    UI.id(model.requestID)
                }
            }
    }

    /// Operations a person's roles never allow, with the permission each one needs.
    public static func absent(_ operations: [AnyOperation], caller: Caller, on type: String?) -> Node {
        let missing = operations.filter {
            !$0.spec.systemOnly && (type == nil || $0.targetType == type)
                && !caller.permissions.contains($0.spec.permission)
        }
        let what =
            type.map { type in
                let label = DocumentDiff.label(type)
                let isSpelled = label.dropFirst().first?.isUppercase == true
                let noun: String = isSpelled ? label : label.prefix(1).lowercased() + label.dropFirst()
                return "\(noun.first.map { "aeio".contains($0) } == true ? "an" : "a") \(noun)"
            } ?? "this console"
        let held = caller.roles.sorted().map(RoleTitle.of).joined(separator: ", ")
        return UI.title("What you can’t do", lead: "with \(what)")
            + el("div", .class("stack")) {
                el("p", .class("prose")) {
                    missing.isEmpty
                        ? "You hold \(held)."
                        : caller.roles.isEmpty
                            ? "You hold no role. A super admin can grant one."
                            : "You hold \(held). These operations need a permission none of them has; a super admin "
                                + "can grant a role that has it."
                }
                if missing.isEmpty {
                    el("div", .class("panel")) {
                        UI.empty("Nothing is missing", "Your roles allow every operation on \(what).")
                    }
                } else {
                    el("section", .class("panel"), .label("Operations you can’t use")) {
                        UI.table(
                            caption: "Operations you can’t use, \(missing.count)",
                            columns: [
                                Column("Operation", isRowHeader: true) { Node($0.spec.title) },
                                Column("What it does", priority: 3) { UI.muted($0.spec.summary) },
                                Column("Needs the permission") { operation in
                                    UI.coded(nil, operation.spec.permission)
                                },
                            ], rows: missing, density: .plain)
                    }
                }
            }
    }
}
