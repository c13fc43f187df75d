import Kernel

/// One console: a folder of operations, reads, entities and pages, and its entry in the menu.
public struct Console: Sendable {
    /// The groups of the left rail, in order.
    public enum Section: String, Sendable, CaseIterable {
        case work = "Work"
        case customers = "Customers"
        case scale = "Scale"
        case ai = "AI"
        case assurance = "Assurance"
    }

    public struct MenuItem: Sendable {
        public let section: Section
        public let title: String
        /// A symbol of `icons.svg`.
        public let icon: String
        public let path: String
        /// Without it the item is absent; `nil` = every signed-in person.
        public let permission: String?
        /// How many things wait there for this person; `nil` for an item without a count. Asked for every page: cheap.
        public let due: (@Sendable (Caller, any Reader) throws -> Int64)?
        /// What `due` is going to ask, so that it travels with what the page asks.
        public let foresees: @Sendable (Caller) -> [Statement]
        public init(
            _ section: Section, _ title: String, icon: String, path: String, permission: String?,
            foresees: @escaping @Sendable (Caller) -> [Statement] = { _ in [] },
            due: (@Sendable (Caller, any Reader) throws -> Int64)? = nil
        ) {
            self.due = due
            self.foresees = foresees
            self.section = section
            self.title = title
            self.icon = icon
            self.path = path
            self.permission = permission
        }
    }

    public let name: String
    public let menu: [MenuItem]
    public let operations: [AnyOperation]
    public let reads: [Read]
    public let entities: [AnyEntityType]
    public let pages: [Page]
    /// What a violated unique index means to the person who typed the value, by index name.
    public let uniqueRules: [String: FieldError]
    /// Choices only known at run time, by operation and field: `staff.invite/roles`.
    public let choices: [String: @Sendable (any Reader) throws -> [Field.Choice]]
    /// Choices that depend on the operation's target, by operation and field, of its id.
    public let targetChoices: [String: @Sendable (String, any Reader) throws -> [Field.Choice]]
    /// What a form about one of its things decides on, by type.
    public let subjects: [String: @Sendable (any Entity, PageCall, any Reader) throws -> FormSubject?]
    /// The search box of the frame for somebody with these permissions; `nil` for who may not search.
    public let search: (@Sendable (Permissions, Catalog) -> SearchBox?)?
    /// What products may ask of the runtime listener.
    public let runtime: [RuntimeEndpoint]
    /// What leaves as a package of evidence.
    public let evidence: [EvidenceSource]
    /// What follows from changes of other consoles' rows.
    public let followers: [Follower]
    /// Those of effects that somebody hears of who asks for them, or heard of, where they were queued already.
    public let reaching: (@Sendable ([Effect], Queuing?, any Reader) throws -> [Effect])?
    /// Its own marks, for the styleguide: the states of its things.
    public let specimens: [Styleguide.Specimen]
    /// The risk of each permission.
    public let risks: [String: Risk]
    /// Reads the filters of the audit log as people type them.
    public let eventFilter: (@Sendable (ReadCall, any Reader) throws -> EventFilter)?
    /// What stands above every page for this person, asked for each by its path: cheap. What it reads is foreseen by the menu.
    public let notice: (@Sendable (Caller, String, any Reader) throws -> Node)?

    public init(
        _ name: String, menu: [MenuItem] = [], operations: [AnyOperation] = [], reads: [Read] = [],
        entities: [AnyEntityType] = [], pages: [Page] = [], uniqueRules: [String: FieldError] = [:],
        choices: [String: @Sendable (any Reader) throws -> [Field.Choice]] = [:],
        targetChoices: [String: @Sendable (String, any Reader) throws -> [Field.Choice]] = [:],
        subjects: [String: @Sendable (any Entity, PageCall, any Reader) throws -> FormSubject?] = [:],
        search: (@Sendable (Permissions, Catalog) -> SearchBox?)? = nil, runtime: [RuntimeEndpoint] = [],
        evidence: [EvidenceSource] = [], followers: [Follower] = [],
        reaching: (@Sendable ([Effect], Queuing?, any Reader) throws -> [Effect])? = nil,
        specimens: [Styleguide.Specimen] = [],
        risks: [String: Risk] = [:],
        eventFilter: (@Sendable (ReadCall, any Reader) throws -> EventFilter)? = nil,
        notice: (@Sendable (Caller, String, any Reader) throws -> Node)? = nil
    ) {
        self.evidence = evidence
        self.followers = followers
        self.reaching = reaching
        self.notice = notice
        self.specimens = specimens
        self.risks = risks
        self.eventFilter = eventFilter
        self.runtime = runtime
        self.search = search
        self.choices = choices
        self.targetChoices = targetChoices
        self.subjects = subjects
        self.name = name
        self.menu = menu
        self.operations = operations
        self.reads = reads
        self.entities = entities
        self.pages = pages
        self.uniqueRules = uniqueRules
    }
}

extension Catalog {
    /// Everything the consoles declare.
    public init(_ consoles: [Console]) {
        self.init(
            operations: consoles.flatMap(\.operations), reads: consoles.flatMap(\.reads),
            entities: consoles.flatMap(\.entities),
            uniqueRules: consoles.reduce(into: [:]) { $0.merge($1.uniqueRules) { first, _ in first } },
            eventFilter: consoles.lazy.compactMap(\.eventFilter).first, evidence: consoles.flatMap(\.evidence),
            followers: consoles.flatMap(\.followers), reaching: consoles.lazy.compactMap(\.reaching).first,
            risks: consoles.reduce(into: [:]) { $0.merge($1.risks) { first, _ in first } })
    }
}

/// What a page is asked.
public struct PageCall: Sendable {
    public let path: [String: String]
    public let query: [String: [String]]
    public let caller: Caller
    public let cursors: CursorCodec
    public let catalog: Catalog
    /// The session's token, for forms of the page's own.
    public let csrf: String
    /// What is wrong with a form of the page's own that was just posted; pointers name its fields (`/old`).
    public let errors: [FieldError]
    /// The second factor was used recently enough to change factors and for operations of high risk.
    public let isFactorFresh: Bool
    /// Why passkeys can't be used at the console's address; `nil` when they can.
    public let passkeyHindrance: String?
    /// Who vouches for staff elsewhere, by the name people know; `nil` where nobody does.
    public let provider: String?

    public init(
        path: [String: String], query: [String: [String]], caller: Caller, cursors: CursorCodec, catalog: Catalog,
        csrf: String = "", errors: [FieldError] = [], isFactorFresh: Bool = true,
        passkeyHindrance: String? = nil, provider: String? = nil
    ) {
        self.provider = provider
        self.passkeyHindrance = passkeyHindrance
        self.isFactorFresh = isFactorFresh
        self.errors = errors
        self.path = path
        self.query = query
        self.caller = caller
        self.cursors = cursors
        self.catalog = catalog
        self.csrf = csrf
    }

    public func first(_ name: String) -> String? { query[name]?.first.flatMap { $0.isEmpty ? nil : $0 } }
    public func all(_ name: String) -> [String] { (query[name] ?? []).filter { !$0.isEmpty } }

    /// The same question as a read of the API, so that page and API share one query.
    public var readCall: ReadCall { ReadCall(path: path, query: query, caller: caller, cursors: cursors) }
}

/// What a page answers: what stands inside `<main>`; the frame is added around it.
public struct PageAnswer: Sendable {
    public let title: String
    public let body: Node
    public let disclosure: Disclosure?
    /// Another page of this console that answers better; recorded and then followed instead of showing the body.
    public let redirect: String?
    public init(title: String, body: Node, disclosure: Disclosure? = nil, redirect: String? = nil) {
        self.redirect = redirect
        self.title = title
        self.body = body
        self.disclosure = disclosure
    }
}

/// What a form decides on, as it stands above the fields.
public struct FormSubject: Sendable {
    /// That it was shown.
    public let disclosure: Disclosure
    /// Written with the page.
    public let body: @Sendable () -> Node
    public init(disclosure: Disclosure, body: @escaping @Sendable () -> Node) {
        self.disclosure = disclosure
        self.body = body
    }
}

/// One page of the console, rendered inside a READ ONLY transaction; its disclosure is recorded before it leaves.
public struct Page: Sendable {
    /// `/tenants/{id}`
    public let path: String
    /// Without it 403; `nil` = every signed-in person.
    public let permission: String?
    /// Opens the page as well, for whoever holds this one only.
    public let alternative: String?
    /// The menu path to mark as current.
    public let menuPath: String
    public let render: @Sendable (PageCall, any Reader) throws -> PageAnswer

    public init(
        _ path: String, permission: String?, or alternative: String? = nil, menuPath: String,
        render: @escaping @Sendable (PageCall, any Reader) throws -> PageAnswer
    ) {
        self.path = path
        self.permission = permission
        self.alternative = alternative
        self.menuPath = menuPath
        self.render = render
    }

    /// What opens the page to somebody, or would.
    public func permission(among held: Permissions) -> String? {
        guard let permission, let alternative, !held.contains(permission) else { return permission }
        return held.contains(alternative) ? alternative : permission
    }
}
