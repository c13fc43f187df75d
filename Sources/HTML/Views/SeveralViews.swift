import Kernel

/// One operation on several things at once, each with an event of its own: what would become of each, and what is asked once for
/// all of them.
public struct SeveralModel: Sendable {
    public struct Target: Sendable {
        public let id: String
        public let name: String
        /// What would happen; `nil` where it can't be done.
        public let consequence: String?
        /// Why it can't be done.
        public let reasons: [String]
        /// What was looked at; `nil` where nothing could be.
        public let version: Int64?
        /// Whether it can be undone, in a sentence; `nil` where it can't be done.
        public let reversibility: String?
        public var isAllowed: Bool { reasons.isEmpty && consequence != nil }
        public init(
            id: String, name: String, consequence: String?, reasons: [String], version: Int64?,
            reversibility: String? = nil
        ) {
            self.id = id
            self.name = name
            self.consequence = consequence
            self.reasons = reasons
            self.version = version
            self.reversibility = reversibility
        }
    }

    public var operation: AnyOperation
    public var targets: [Target]
    /// The page it was asked from.
    public var back: String
    /// What the menu calls where such things are listed.
    public var listTitle = "Home"
    public var listPath = "/"
    public var values: [String: String]
    public var errors: [FieldError]
    public var csrf: String
    public var author: String
    public var idempotencyKey: String
    public var needsCode: Bool
    /// The person has a passkey and confirms with it, and in no other way.
    public var needsPasskey = false
    /// Why it could not be done, in a sentence.
    public var refusal: String?
    public var notice: String?

    public init(
        operation: AnyOperation, targets: [Target], back: String, values: [String: String] = [:],
        errors: [FieldError] = [], csrf: String, author: String, idempotencyKey: String, needsCode: Bool,
        notice: String? = nil
    ) {
        self.operation = operation
        self.targets = targets
        self.back = back
        self.values = values
        self.errors = errors
        self.csrf = csrf
        self.author = author
        self.idempotencyKey = idempotencyKey
        self.needsCode = needsCode
        self.notice = notice
    }

    /// "Keep 3 grants"
    public var heading: String { operation.spec.title(of: targets.count) }
    public var allowed: [Target] { targets.filter(\.isAllowed) }

    /// Whether what can be done can be undone, where that is the same of each.
    var reversibility: String? {
        let sentences = Set(allowed.map(\.reversibility))
        return sentences.count == 1 ? sentences.first ?? nil : nil
    }

    /// The ways back: "Access reviews", then "Grants" where they were ticked on a page below it.
    var crumbs: [(title: String, href: String)] {
        guard back.hasPrefix("\(listPath)/"), let things = operation.spec.several?.noun else {
            return [(listTitle, back.prefix { $0 != "?" } == listPath ? back : listPath)]
        }
        return [(listTitle, listPath), (things.prefix(1).uppercased() + things.dropFirst(), back)]
    }
}

/// What became of each.
public struct SeveralResult: Sendable {
    public struct Line: Sendable {
        public enum Outcome: Sendable { case applied, pending, refused }
        public let name: String
        public let outcome: Outcome
        public let detail: String
        /// The event's id, or the request's.
        public let reference: String?
        public init(name: String, outcome: Outcome, detail: String, reference: String?) {
            self.name = name
            self.outcome = outcome
            self.detail = detail
            self.reference = reference
        }
    }

    /// "Keep 3 grants"
    public let title: String
    public let lines: [Line]
    public let back: String
    /// The person may open events.
    public let linksEvents: Bool
    public init(title: String, lines: [Line], back: String, linksEvents: Bool) {
        self.title = title
        self.lines = lines
        self.back = back
        self.linksEvents = linksEvents
    }

    /// "Keep 3 grants: 2 of 3 done"; what waits for others is not done yet.
    public var heading: String {
        let done = lines.count { $0.outcome == .applied }
        let waiting = lines.count { $0.outcome == .pending }
        let rest = waiting == 0 ? "" : ", \(waiting) \(waiting == 1 ? "waits" : "wait") for approval"
        return "\(title): \(done) of \(lines.count) done\(rest)"
    }
}

extension OperationViews {
    public static func several(_ model: SeveralModel) -> Node {
        let spec = model.operation.spec
        let fields = OperationFormModel(
            operation: model.operation, target: nil, url: "", cancelURL: model.back, values: model.values,
            errors: model.errors, csrf: model.csrf, idempotencyKey: model.idempotencyKey
        ).fields
        let count = model.allowed.count
        return UI.crumbs(model.crumbs, here: model.heading)
            + el("div", .class("sheet sheet--page")) {
                el(
                    "form", Attribute("method", "post"), Attribute("action", "/several"), Attribute("data-guard", ""),
                    Attribute("novalidate")
                ) {
                    UI.hiddenField("csrf", model.csrf)
                    UI.hiddenField("author", model.author)
                    UI.hiddenField("idempotency_key", model.idempotencyKey)
                    UI.hiddenField("operation", spec.name)
                    UI.hiddenField("back", model.back)
                    for target in model.targets {
                        UI.hiddenField("id", target.id)
                        // What the page says can't be done is not done either, whatever becomes of it meanwhile.
                        if target.isAllowed, let version = target.version {
                            UI.hiddenField("seen", "\(target.id) \(version)")
                        }
                    }
                    el("header") {
                        el("div") {
                            el("div", .class("title")) { el("h1") { model.heading } }
                            el("p") { spec.several?.summary ?? spec.summary }
                        }
                    }
                    el("div", .class("sheet__body")) {
                        el("div", .class("sheet__form"), Attribute("role", "group"), .label("Fields")) {
                            if let notice = model.notice { UI.banner(.warn, notice, announces: true) }
                            if let refusal = model.refusal { UI.banner(.danger, refusal, announces: true) }
                            if !model.errors.isEmpty {
                                UI.banner(.danger, announces: true) {
                                    el("p") {
                                        el("b") {
                                            model.errors.count == 1
                                                ? "One field needs another look."
                                                : "\(model.errors.count) fields need another look."
                                        }
                                    }
                                    el("ul", .class("errors")) {
                                        for error in model.errors { el("li") { error.detail } }
                                    }
                                }
                            }
                            for field in fields { UI.field(field) }
                        }
                        el(
                            "div", .class("sheet__preview"), .id("preview"), Attribute("role", "region"),
                            .label("Preview")
                        ) {
                            targets(model)
                        }
                    }
                    el("footer") {
                        if model.needsCode, count > 0 {
                            UI.field(
                                Field(
                                    "code", label: "Code from your authenticator",
                                    help:
                                        "Your last factor is too old for this, or will be in a minute. A code works once.",
                                    .code,
                                    error: model.errors.first { $0.pointer == "/code" }?.detail, isRequired: true,
                                    autocomplete: "one-time-code"))
                        }
                        el("p") { "Each is decided and recorded separately." }
                        UI.linkButton("Cancel", href: model.back)
                        if count > 0 {
                            let style: UI.ButtonStyle = spec.isDestructive ? .danger : .primary
                            if model.needsPasskey {
                                el("p", .class("hint"), Attribute("data-passkey-missing")) {
                                    "You confirm this with your passkey, which needs script and a browser that knows passkeys."
                                }
                                // Renews the factor: each of them is a request of its own, so none is what it signs.
                                UI.passkeyButton(
                                    "\(spec.title(of: count)) with passkey", style: style, name: "action",
                                    value: "confirm")
                            } else {
                                UI.button(spec.title(of: count), style: style, name: "action", value: "confirm")
                            }
                        }
                    }
                }
            }
    }

    private static func targets(_ model: SeveralModel) -> Node {
        let refused = model.targets.count - model.allowed.count
        let reversibility = model.reversibility
        let happens = el("section") {
            el("h2") { "What would happen" }
            el("p") { "Nothing has been changed yet." }
            if refused > 0 {
                UI.banner(
                    .warn, refused == 1 ? "1 of them can’t be done." : "\(refused) of them can’t be done.",
                    "The others are done all the same.")
            }
            el("ul", .class("effects")) {
                for target in model.targets {
                    el("li") {
                        UI.glyph(target.isAllowed ? .ring : .x)
                        el("div") {
                            el("p") { target.consequence ?? target.name }
                            for reason in target.reasons { el("p", .class("small muted")) { reason } }
                            if target.isAllowed, reversibility == nil, let sentence = target.reversibility {
                                el("p", .class("small muted")) { sentence }
                            }
                        }
                    }
                }
            }
        }
        guard let reversibility else { return happens }
        return happens
            + el("section") {
                el("h2") { "Whether it can be undone" }
                el("p") { reversibility }
            }
    }

    public static func several(_ result: SeveralResult) -> Node {
        UI.title(result.heading)
            + UI.stack {
                el("section", .class("panel"), .label("What became of each")) {
                    UI.table(
                        caption: "What became of each, \(result.lines.count)",
                        columns: [
                            Column("What", isRowHeader: true) { Node($0.name) },
                            Column("Outcome") { line in
                                switch line.outcome {
                                case .applied: UI.state("Done", .ok, .on)
                                case .pending: UI.state("Waits for approval", .info, .ring)
                                case .refused: UI.state("Refused", .danger, .x)
                                }
                            },
                            Column("How", .wide) { Node($0.detail) },
                            Column("Record", priority: 3) { line in
                                guard let id = line.reference else { return .none }
                                switch line.outcome {
                                case .pending: return el("a", .href("/approvals/\(id)")) { "The request" }
                                case .applied where result.linksEvents:
                                    return el("a", .href("/audit/\(id)")) { "The event" }
                                default: return UI.id(id)
                                }
                            },
                        ], rows: result.lines, density: .plain)
                }
                el("p") { UI.linkButton("Back", href: result.back) }
            }
    }
}
