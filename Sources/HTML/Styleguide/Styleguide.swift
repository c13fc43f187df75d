import Kernel

/// Every component in each of its states: what a page is made of, and what a change to one of them is looked at with. The
/// demo shows it; no other deployment has it.
public struct Styleguide: Sendable {
    /// Its pages, each far below what a page may weigh.
    public enum Section: String, CaseIterable, Sendable {
        case tokens, colours, words, states, buttons, fields, lists, records, layout, operation, outcomes

        public var title: String { rawValue.prefix(1).uppercased() + rawValue.dropFirst() }
        public var path: String { self == .tokens ? "/styleguide" : "/styleguide/\(rawValue)" }
    }

    /// A console's own marks: the states of its things.
    public struct Specimen: Sendable {
        public let title: String
        public let marks: [Node]
        public init(_ title: String, _ marks: [Node]) {
            self.title = title
            self.marks = marks
        }
    }

    let tokens: TokenSheet
    let catalog: Catalog
    let specimens: [Specimen]
    let now: Instant

    public init(tokens: TokenSheet, catalog: Catalog, specimens: [Specimen], now: Instant) {
        self.tokens = tokens
        self.catalog = catalog
        self.specimens = specimens
        self.now = now
    }

    public func page(_ section: Section, theme: Theme?) -> Node {
        UI.title("Styleguide", lead: "Every component in each of its states", trailing: themes(section, theme))
            + UI.tabs(
                label: "Styleguide",
                Section.allCases.map { UI.Tab($0.title, href: $0.path + query(theme), isCurrent: $0 == section) })
            + UI.stack { body(section) }
    }

    private func query(_ theme: Theme?) -> String { theme.map { "?theme=\($0.rawValue)" } ?? "" }

    private func themes(_ section: Section, _ theme: Theme?) -> Node {
        UI.buttonGroup {
            for (title, other) in [("Light", Theme.light), ("Dark", .dark)] {
                UI.linkButton(
                    title, href: section.path + query(other), size: .small,
                    attributes: [.when(theme == other, Attribute("aria-current", "true"))])
            }
        }
    }

    private func body(_ section: Section) -> Node {
        switch section {
        case .tokens: tokensBody
        case .colours: coloursBody
        case .words: wordsBody
        case .states: statesBody
        case .buttons: buttonsBody
        case .fields: fieldsBody
        case .lists: listsBody
        case .records: recordsBody
        case .layout: layoutBody
        case .operation: operationBody
        case .outcomes: outcomesBody
        }
    }

    // MARK: What every section uses

    /// One component, or a few that belong together, under their name.
    func show(_ title: String, _ hint: String? = nil, @NodeBuilder _ body: () -> Node) -> Node {
        UI.panel(title, id: "sg-" + title.lowercased().replacing(" ", with: "-"), hint: hint) { UI.panelBody(body) }
    }

    static let id = "ten_01JA7Q4ZK8N3V0XWB2M6RHTC9E"
    static let event = "evt_01JCXRRK7QHM2V8T5E0ZB6WYND"

    var need: ApprovalNeed {
        ApprovalNeed(
            ApprovalRule(
                id: "sample", operation: "tenant.suspend", condition: .always,
                demand: .allOf([.role(["security"]), .permission("tenant.suspend")]), window: .hours(24),
                cooldown: .hours(24), version: 1, summary: "Suspending many tenants"))
    }

    var effects: [Effect] {
        [
            ("webhook", "Webhook tenant.suspended to the endpoints that ask for it"),
            ("mail", "E-mail to lena.f@acme.example"),
            ("billing", "Refund of 250.00 USD to •4242"), ("other", "A message to the staff channel"),
        ].map { Effect(kind: $0.0, name: "sample", summary: $0.1, payload: .object([:]), tenant: nil) }
    }
}

/// A tenant as the styleguide needs one: operations on tenants are shown with it.
struct SampleTenant: Entity {
    static let type = "tenant"
    static let idPrefix = "ten"
    static let table = "tenants"
    static let columns = "id, version, name, status, plan"

    let id: String
    var version: Int64
    var name: String
    var status: String
    var plan: String

    init(status: String, version: Int64) {
        id = Styleguide.id
        self.version = version
        name = "Acme Robotics"
        self.status = status
        plan = "business"
    }

    init(_ row: Row) throws {
        id = try row.string("id")
        version = try row.int("version")
        name = try row.string("name")
        status = try row.string("status")
        plan = try row.string("plan")
    }

    var tenantID: String? { id }
    var subjects: [String] { [id] }
    var displayName: String { name }
    var values: [Value] { [.text(id), .int(version), .text(name), .text(status), .text(plan)] }
    var document: JSON {
        [
            "id": .string(id), "version": .int(version), "name": .string(name), "status": .string(status),
            "plan": .string(plan),
        ]
    }
}
