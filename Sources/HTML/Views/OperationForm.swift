import Kernel

/// The page of one operation: its fields at the left and, once asked for, what it would do at the right.
///
/// It posts to `url` with `action=preview` or `action=confirm`, the fields `input.<name>`, `reason_code`,
/// `justification`, `ticket`, `not_before`, `confirm`, `code`, `passkey` and `nonce`, and the hidden `csrf`, `author`, `idempotency_key`, `version` and, beside a
/// preview, `previewed`: `OperationFormModel.fingerprint` of what the preview looked at. A confirm whose fields have
/// another fingerprint should be answered with a new preview.
public struct OperationFormModel: Sendable {
    /// What the operation is about.
    public struct Target: Sendable {
        public let id: String
        public let name: String
        /// The object's page.
        public let path: String
        /// The list it is in: "Tenants", `/tenants`.
        public let listTitle: String
        public let listPath: String
        /// State chip and tags beside the name.
        public let marks: Node
        /// What must be typed to confirm (`confirmByTyping`): the slug or e-mail.
        public let confirmText: String?
        public init(
            id: String, name: String, path: String, listTitle: String, listPath: String, marks: Node = .none,
            confirmText: String? = nil
        ) {
            self.id = id
            self.name = name
            self.path = path
            self.listTitle = listTitle
            self.listPath = listPath
            self.marks = marks
            self.confirmText = confirmText
        }
    }

    public var operation: AnyOperation
    /// `nil` for an operation that creates its target.
    public var target: Target?
    /// Where the form posts.
    public var url: String
    /// Where "Cancel" leads.
    public var cancelURL: String
    /// Where such things are listed, when there is no target: "Tenants".
    public var listTitle = "Back"
    /// `nil`: where "Cancel" leads.
    public var listPath: String?
    /// What the person typed, by form field name; several values are joined by line feeds.
    public var values: [String: String]
    public var errors: [FieldError]
    /// A refusal that belongs to no field.
    public var refusal: String?
    public var preview: Preview?
    public var csrf: String
    /// Whose text it holds, as the server knows them: a form kept through the end of a session comes back to nobody else.
    public var author = ""
    public var idempotencyKey: String
    public var version: Int64?
    /// The person's factor is too old for this operation, or soon will be: asks for a code in place.
    public var needsCode: Bool
    /// The person can confirm it with a passkey.
    public var hasPasskey = false
    /// Why the fields don't stand as they were: "Somebody changed it meanwhile: look at the new preview."
    public var notice: String?
    /// Choices for fields whose values are only known at run time (roles, owners), by input name.
    public var choices: [String: [Field.Choice]]
    /// The same request for a terminal; empty hides the fold.
    public var cli: String
    public var curl: String
    /// What stands in the fields was typed here and is kept nowhere: leaving asks first.
    public var isFilled = false
    /// All changes are shown, however many.
    public var showsAll = false
    /// Who could sign and is there, where somebody has to.
    public var shift: OnShift?
    /// Whom it tells beside what the preview says.
    public var told: ToldBeside?
    /// What is decided on, in full.
    public var subject: (@Sendable () -> Node)?
    /// What changes by the preview, where that is known already.
    public var groups: [UI.DiffGroup]?
    /// Names of people whose ids may stand in a preview.
    public var names: [String: String] = [:]
    /// The same operation on this target, asked for already and waiting.
    public var waiting: WaitingRequest?
    /// The event this takes back: what is restored is not asked again.
    public var undoes: String?

    public init(
        operation: AnyOperation, target: Target?, url: String, cancelURL: String, values: [String: String] = [:],
        errors: [FieldError] = [], refusal: String? = nil, preview: Preview? = nil, csrf: String,
        idempotencyKey: String,
        version: Int64? = nil, needsCode: Bool = false, notice: String? = nil, choices: [String: [Field.Choice]] = [:],
        cli: String = "", curl: String = ""
    ) {
        self.operation = operation
        self.target = target
        self.url = url
        self.cancelURL = cancelURL
        self.values = values
        self.errors = errors
        self.refusal = refusal
        self.preview = preview
        self.csrf = csrf
        self.idempotencyKey = idempotencyKey
        self.version = version
        self.needsCode = needsCode
        self.notice = notice
        self.choices = choices
        self.cli = cli
        self.curl = curl
    }

    /// "Suspend Acme Robotics": verb and object. Titles that don't end with the noun get the name after a colon.
    public var heading: String {
        let spec = operation.spec
        return target.map { Self.heading(spec, of: $0.name) } ?? spec.title
    }

    /// What is done to whom. A name that has a colon itself stands in quotation marks: "Approve “Invite staff: Ada”".
    static func heading(_ spec: OperationSpec, of name: String) -> String {
        let verb = UI.shortTitle(spec)
        if verb != spec.title { return "\(verb) \(name)" }
        return name.contains(": ") ? "\(verb) “\(name)”" : "\(verb): \(name)"
    }

    /// What the confirm button says; asking others is said too.
    public var confirmTitle: String {
        guard let preview, !preview.approvals.isEmpty else { return heading }
        return "Ask to " + heading.prefix(1).lowercased() + heading.dropFirst()
    }

    /// Whoever has a passkey approves, and asks for what is of high risk, with it and in no other way.
    var isSignedOnly: Bool { hasPasskey && operation.spec.risk >= .high }

    /// The fields that decide what happens, as a digest: everything but proofs of presence (`confirm`, `code`).
    public static func fingerprint(_ values: [String: String]) -> String {
        let deciding = values.filter { name, value in
            !value.isEmpty
                && (name.hasPrefix("input.")
                    || ["reason_code", "justification", "ticket", "not_before"].contains(name))
        }
        return String(sha256(JSON.object(deciding.mapValues(JSON.string)).canonical).hex.prefix(32))
    }

    /// The form field an error belongs to.
    static func fieldName(for pointer: String) -> String? {
        let parts = pointer.split(separator: "/").map(String.init)
        switch parts.first {
        case "input" where parts.count > 1: return "input.\(parts[1])"
        case "reason_code", "justification", "ticket", "not_before", "confirm", "code": return parts[0]
        default: return nil
        }
    }

    /// The fields as drawn, in order.
    public var fields: [Field] {
        let spec = operation.spec
        var out: [Field] = (undoes == nil ? operation.fields() : []).map { field in
            let name = "input.\(field.name)"
            let rules = field.param.rules
            // Where there is nothing to choose from, a line takes what is typed.
            let isLine = if case .line = field.param.control { true } else { false }
            let control: Field.Control =
                if let offered = choices[field.name], !offered.isEmpty || !isLine {
                    if case .choices = field.param.control { .checkboxes(offered) } else { .select(offered) }
                } else {
                    switch field.param.control {
                    case .line: .line
                    case .email: .email
                    case .prose: .prose(rows: 4)
                    case .number: .number
                    case .day: .day
                    case .checkbox: .checkbox
                    case .choice(let words): .select(words.map { Field.Choice($0, $0) })
                    case .choices(let words) where words.isEmpty: .prose(rows: 4)
                    case .choices(let words): .checkboxes(words.map { Field.Choice($0, $0) })
                    }
                }
            return Field(
                name, label: field.param.label, help: field.param.help, control, value: values[name] ?? "",
                error: error(name), isRequired: field.param.isRequired, maximumCharacters: nil,
                placeholder: rules.pattern == .slug ? "lower-case-words" : nil)
        }
        if !spec.reasonCodes.isEmpty {
            out.append(
                Field(
                    "reason_code", label: spec.reasonTitle,
                    help: "Recorded in the log; where it is about a customer, they can read it.",
                    .select(spec.reasonCodes.map { Field.Choice($0.code, $0.label) }),
                    value: values["reason_code"] ?? "", error: error("reason_code"), isRequired: true))
        }
        switch spec.justification {
        case .none: break
        case .optional:
            out.append(justification(minimum: nil))
        case .required(let minimum):
            out.append(justification(minimum: minimum))
        }
        if spec.justification != .none || spec.ticketRequired {
            out.append(
                Field(
                    "ticket", label: "Ticket", help: "Its number, as in NW-4821.", .line, value: values["ticket"] ?? "",
                    error: error("ticket"), isRequired: spec.ticketRequired, autocomplete: "off"))
        }
        // Only what waits for others can be put off.
        let start = values["not_before"] ?? ""
        if preview?.approvals.isEmpty == false || !start.isEmpty {
            out.append(
                Field(
                    "not_before", label: "Not before",
                    help: "UTC, as in 2030-01-31 09:00. Left empty, it is carried out once everybody has agreed.",
                    .line,
                    value: start, error: error("not_before"), autocomplete: "off"))
        }
        return out
    }

    /// What only proves that the person means it: shown beside the confirm button.
    var proofs: [Field] {
        var out: [Field] = []
        if operation.spec.confirmByTyping, let text = target?.confirmText {
            out.append(
                Field(
                    "confirm", label: "Type \(text) to confirm", help: "This can’t be taken back lightly.", .line,
                    value: values["confirm"] ?? "", error: error("confirm"), isRequired: true, autocomplete: "off",
                    placeholder: text))
        }
        if needsCode {
            out.append(
                Field(
                    "code", label: "Code from your authenticator",
                    help: "Your last factor is too old for this, or will be in a minute. A code works once.", .code,
                    error: error("code"), isRequired: true, autocomplete: "one-time-code"))
        }
        return out
    }

    private func justification(minimum: Int?) -> Field {
        Field(
            "justification", label: "Justification", help: "Whoever approves or audits this reads it.",
            .prose(rows: 4), value: values["justification"] ?? "", error: error("justification"),
            isRequired: minimum != nil, minimumCharacters: minimum)
    }

    private func error(_ name: String) -> String? {
        let found = errors.filter { Self.fieldName(for: $0.pointer) == name }.map(\.detail)
        return found.isEmpty ? nil : found.joined(separator: " ")
    }
}

public enum OperationViews {
    public static func form(_ model: OperationFormModel) -> Node {
        let spec = model.operation.spec
        return crumbs(model)
            + el("div", .class("sheet sheet--page")) {
                el(
                    "form", Attribute("method", "post"), Attribute("action", model.url),
                    Attribute("data-guard", model.isFilled ? "filled" : ""), Attribute("novalidate")
                ) {
                    UI.hiddenField("csrf", model.csrf)
                    UI.hiddenField("author", model.author)
                    UI.hiddenField("idempotency_key", model.idempotencyKey)
                    if let version = model.version ?? model.preview?.version {
                        UI.hiddenField("version", String(version))
                    }
                    if model.preview != nil {
                        UI.hiddenField("previewed", OperationFormModel.fingerprint(model.values))
                    }
                    el("header") {
                        el("div") {
                            el("div", .class("title")) {
                                el("h1") { model.heading }
                                model.target?.marks ?? .none
                            }
                            if let event = model.undoes {
                                el("p") {
                                    "Takes back what "
                                    el("a", .href("/audit/\(event)")) { "this event" }
                                    " recorded. \(spec.summary)"
                                }
                            } else {
                                el("p") { spec.summary }
                            }
                        }
                    }
                    if let subject = model.subject {
                        el("section", .class("sheet__asked"), Attribute("aria-labelledby", "asked")) {
                            el("h2", .id("asked")) { "What was asked for" }
                            subject()
                        }
                    }
                    el("div", .class("sheet__body")) {
                        el("div", .class("sheet__form"), Attribute("role", "group"), .label("Fields")) {
                            summary(of: model)
                            let fields = model.fields
                            if fields.isEmpty { el("p", .class("muted")) { "There is nothing to fill in." } }
                            for field in fields { UI.field(field) }
                            // Before the footer, so that Enter in a field previews and never confirms.
                            el("p", .class("row")) {
                                UI.button(
                                    model.preview == nil ? "Preview" : "Preview again",
                                    style: model.preview == nil ? .primary : .plain, name: "action", value: "preview")
                                if model.preview == nil {
                                    UI.hint("Nothing changes yet.")
                                    UI.linkButton("Cancel", href: model.cancelURL, style: .quiet)
                                }
                            }
                            terminal(model)
                        }
                        el(
                            "div", .class("sheet__preview"), .id("preview"), Attribute("role", "region"),
                            .label("Preview")
                        ) {
                            if let preview = model.preview {
                                self.preview(
                                    preview, spec: spec, showsAll: model.showsAll, shift: model.shift,
                                    told: model.told, groups: model.groups, names: model.names,
                                    isDecision: model.subject != nil)
                            } else {
                                explanation(spec)
                            }
                        }
                    }
                    if let preview = model.preview { footer(model, preview) }
                }
            }
    }

    /// What changes, with words in the place of what is made when it runs. Who decides on a request decides on what it asks for; the
    /// record of their signature is for whoever checks it.
    public static func groups(_ preview: Preview) -> [UI.DiffGroup] {
        let rows = preview.rows(DocumentDiff.whenItRuns)
        let changes = zip(preview.changes, rows).filter { change, _ in change.type != ApprovalSignature.type }
        return changes.map { change, row in
            changes.count == 1
                ? UI.DiffGroup(title: nil, before: row.before, after: row.after)
                // One that is called by an id it will not have has no name yet.
                : UI.DiffGroup(
                    type: change.type, name: row.id == nil && change.name.contains(change.id) ? nil : change.name,
                    id: row.id, before: row.before, after: row.after)
        }
    }

    /// Asks the form for all changes, of the preview and of what is decided on.
    public static func showAll(_ count: Int) -> Node {
        UI.button("Show all \(Grouped.digits(count))", size: .small, name: "action", value: "preview-all")
    }

    /// What an operation would do: consequence, differences, effects, approvals, undo.
    /// - Parameters:
    ///   - showsAll: also what is beyond the first `UI.atOnce` changes; else a button asks for it.
    ///   - shift: who could sign and is there.
    ///   - told: whom it tells beside its own effects.
    ///   - groups: what `groups` said of it, where that is known already.
    ///   - names: of people, by their ids.
    ///   - isDecision: above it stands what is decided on: of the decision itself only what comes of it is said.
    public static func preview(
        _ preview: Preview, spec: OperationSpec, showsAll: Bool = false, shift: OnShift? = nil,
        told: ToldBeside? = nil, groups: [UI.DiffGroup]? = nil, names: [String: String] = [:],
        isDecision: Bool = false
    ) -> Node {
        var out = Node.none
        if !preview.allowed {
            out =
                out
                + UI.banner(.danger, announces: true) {
                    el("p") { el("b") { "This can’t be done now." } }
                    for reason in preview.reasons { el("p") { reason } }
                }
        }
        if let consequence = preview.consequence {
            out =
                out
                + UI.consequence(
                    consequence, reversibility: preview.allowed ? preview.reversibility : "",
                    isAllowed: preview.allowed)
            if preview.anew.isInConsequence, !isDecision {
                out = out + el("p", .class("small muted")) { MadeAnew.ofConsequence(isPreview: true) }
            }
        }
        let groups = groups ?? Self.groups(preview)
        let signature = preview.changes.first { $0.type == ApprovalSignature.type }
        if !groups.isEmpty {
            out =
                out
                + el("section") {
                    if !isDecision {
                        UI.diff(
                            groups, caption: "What would change", captions: ("Now", "After"),
                            rest: showsAll ? nil : showAll(groups.count), names: names)
                    }
                    if let statement = signature?.after?["statement"] {
                        UI.fold("What your decision is bound to, in full") { UI.json(statement) }
                    }
                }
        }
        if preview.consequence != nil, !isDecision {
            out =
                out
                + el("section") {
                    el("h2") { "What would be sent" }
                    sent(preview, told)
                }
                + el("section") {
                    el("h2") { "Who must agree" }
                    if preview.approvals.isEmpty {
                        el("p", .class("muted")) { "Nobody else." }
                    } else {
                        UI.approvalNeeds(preview.approvals)
                        if let shift { UI.onShift(shift) }
                    }
                }
        }
        return out
    }

    /// What goes out, and who is told, by when.
    private static func sent(_ preview: Preview, _ told: ToldBeside?) -> Node {
        let isAsked = !preview.approvals.isEmpty
        let asking = isAsked ? (told?.asking ?? []) : []
        let done = preview.effects + (told?.done ?? [])
        guard !asking.isEmpty || !done.isEmpty else { return el("p", .class("muted")) { "Nothing." } }
        var out = Node.none
        if !asking.isEmpty { out = out + UI.effects(asking, when: "at once") }
        if !done.isEmpty { out = out + UI.effects(done, when: isAsked ? "after approval" : "at once") }
        return out
    }

    private static func crumbs(_ model: OperationFormModel) -> Node {
        guard let target = model.target else {
            return UI.crumbs([(model.listTitle, model.listPath ?? model.cancelURL)], here: model.operation.spec.title)
        }
        return UI.crumbs(
            [(target.listTitle, target.listPath), (target.name, target.path)], here: UI.shortTitle(model.operation.spec)
        )
    }

    /// Refusals and every field error, each with a link to its field.
    private static func summary(of model: OperationFormModel) -> Node {
        var out = Node.none
        if let notice = model.notice { out = out + UI.banner(.warn, notice, announces: true) }
        if let waiting = model.waiting {
            out =
                out
                + UI.banner(.info) {
                    el("p") { el("b") { "This was asked for already and waits for approval." } }
                    el("p") {
                        waiting.isOpen
                            ? el("a", .href("/approvals/\(waiting.id)")) { "See the request" } : UI.id(waiting.id)
                    }
                }
        }
        if let refusal = model.refusal { out = out + UI.banner(.danger, refusal, announces: true) }
        guard !model.errors.isEmpty else { return out }
        let shown = Set((model.fields + model.proofs).map(\.name))
        return out
            + UI.banner(.danger, announces: true) {
                el("p") {
                    el("b") {
                        model.errors.count == 1
                            ? "One field needs another look." : "\(model.errors.count) fields need another look."
                    }
                }
                el("ul", .class("errors")) {
                    for error in model.errors {
                        el("li") {
                            if let name = OperationFormModel.fieldName(for: error.pointer), shown.contains(name) {
                                el("a", .href("#" + Field(name, label: "", help: "").id)) { error.detail }
                            } else {
                                "\(error.pointer): \(error.detail)"
                            }
                        }
                    }
                }
            }
    }

    /// Beside the first form: what will be asked and shown.
    private static func explanation(_ spec: OperationSpec) -> Node {
        el("section") {
            el("h2") { "Preview first" }
            el("p") {
                "The preview shows what changes field by field, what is sent, who must agree and whether it can be "
                "undone. Nothing is changed until you confirm."
            }
        }
            + el("section") {
                el("h2") { "This operation" }
                UI.facts(
                    [
                        ("Operation", UI.coded(Node(spec.title), spec.name)),
                        ("Risk", Node(spec.risk.rawValue)),
                        ("Permission", UI.coded(nil, spec.permission)),
                    ], tight: true)
            }
    }

    private static func terminal(_ model: OperationFormModel) -> Node {
        guard !model.cli.isEmpty || !model.curl.isEmpty else { return .none }
        return UI.fold("The same from a terminal") {
            for (title, text) in [("Copy as CLI", model.cli), ("Copy as curl", model.curl)] where !text.isEmpty {
                el("pre", .class("json"), Attribute("tabindex", "0")) { text }
                el("p") { UI.copyTextButton(title, text: text) }
            }
        }
    }

    private static func footer(_ model: OperationFormModel, _ preview: Preview) -> Node {
        el("footer") {
            if preview.allowed {
                let isSigned = model.isSignedOnly
                for field in model.proofs where !isSigned || field.name != "code" { UI.field(field) }
                el("p") {
                    preview.approvals.isEmpty
                        ? preview.reversibility
                        : "Confirming sends the request; it runs when the others have agreed."
                }
                UI.linkButton("Cancel", href: model.cancelURL)
                let style: UI.ButtonStyle =
                    model.operation.spec.isDestructive && preview.approvals.isEmpty ? .danger : .primary
                if isSigned {
                    el("p", .class("hint"), Attribute("data-passkey-missing")) {
                        "You sign this with your passkey, which needs script and a browser that knows passkeys."
                    }
                } else {
                    UI.button(
                        model.confirmTitle, style: model.hasPasskey ? .plain : style, name: "action",
                        value: "confirm")
                }
                if model.hasPasskey {
                    UI.passkeyButton(
                        "\(UI.shortTitle(model.operation.spec)) with passkey", style: style, name: "action",
                        value: "confirm")
                }
            } else {
                el("p") { "Change the fields and preview again, or go back." }
                UI.linkButton("Back", href: model.cancelURL)
            }
        }
    }
}
