import HTML
import Kernel

/// One page of what was recorded about a tenant, newest first.
struct TenantActivity {
    struct Line {
        let event: String
        let at: Instant
        let eventClass: String
        let action: String
        let outcome: String
        let actorKind: String
        let actor: String

        init(_ row: Row) throws {
            event = try row.string("id")
            at = try row.instant("at")
            eventClass = try row.string("class")
            action = try row.string("action")
            outcome = try row.string("outcome")
            actorKind = try row.string("actor_type")
            actor = try row.string("actor_id")
        }
    }

    let tenant: String
    let lines: [Line]
    /// Names of the staff among the actors, by id.
    let names: [String: String]
    let next: String?

    static func load(_ tenant: String, _ call: ReadCall, from reader: any Reader) throws -> TenantActivity {
        let limit = try call.limit()
        let scope = "tenant.activity/\(tenant)"
        var before: (at: Instant, id: String)?
        if let cursor = call.first("cursor") {
            let position = try call.cursors.decode(cursor, scope: scope)
            guard position.count == 2, let at = position[0].int, let id = position[1].string else {
                throw OperationError.internalError("a signed cursor of an unknown shape")
            }
            before = (Instant(microseconds: at), id)
        }
        return try load(tenant, before: before, limit: limit, from: reader) { line in
            call.cursors.encode(scope: scope, [.int(line.at.microseconds), .string(line.event)])
        }
    }

    /// The newest lines, for the tenant's page.
    static func newest(_ limit: Int, of tenant: String, from reader: any Reader) throws -> TenantActivity {
        try load(tenant, before: nil, limit: limit, from: reader) { _ in "" }
    }

    private static func load(
        _ tenant: String, before: (at: Instant, id: String)?, limit: Int, from reader: any Reader,
        cursor: (Line) -> String
    ) throws -> TenantActivity {
        let rows = try reader.query(TenantQueries.activity(of: tenant, before: before, limit: limit + 1))
        let lines = try rows.prefix(limit).map(Line.init)
        return TenantActivity(
            tenant: tenant, lines: lines, names: try TenantPage.staffNames(lines.map(\.actor), in: reader),
            next: rows.count > limit ? lines.last.map(cursor) : nil)
    }

    var json: [JSON] {
        lines.map { line in
            JSON.members([
                ("event_id", .string(line.event)), ("at", .string(line.at.rfc3339)),
                ("class", .string(line.eventClass)), ("action", .string(line.action)),
                ("outcome", .string(line.outcome)),
                (
                    "actor",
                    JSON.members([
                        ("type", .string(line.actorKind)), ("id", .string(line.actor)),
                        ("name", names[line.actor].map(JSON.string)),
                    ])
                ),
            ])
        }
    }

    var disclosure: Disclosure {
        Disclosure(
            "tenant.activity", target: ("tenant", tenant), tenant: tenant, count: lines.count, ids: lines.map(\.event))
    }

    static let schema: JSON = [
        "type": "object", "required": ["event_id", "at", "class", "action", "outcome", "actor"],
        "properties": [
            "event_id": ["type": "string"], "at": ["type": "string", "format": "date-time"],
            "class": ["type": "string", "enum": .array(EventClass.allCases.map { .string($0.rawValue) })],
            "action": ["type": "string"],
            "outcome": ["type": "string", "enum": .array(EventOutcome.allCases.map { .string($0.rawValue) })],
            "actor": [
                "type": "object", "required": ["type", "id"],
                "properties": ["type": ["type": "string"], "id": ["type": "string"], "name": ["type": "string"]],
            ],
        ],
    ]

    // MARK: On the page

    /// - Parameter linked: the person may open the events.
    func timeline(catalog: Catalog, linked: Bool, now: Instant) -> Node {
        UI.timeline(
            lines.map { line in
                let name = line.actorKind == Actor.Kind.staff.rawValue ? names[line.actor] ?? line.actor : nil
                let (verb, title) = Self.words(line, catalog)
                let what: Node =
                    linked
                    ? el("a", .class("what"), .href("/audit/\(line.event)")) { title }
                    : el("span", .class("what")) { title }
                let actor = name ?? DocumentDiff.label(line.actorKind)
                return TimelineEntry(
                    at: line.at, personName: name, systemIcon: line.eventClass == "effect" ? "send" : "settings",
                    sentence: el("b") { actor } + Node(" \(verb) ") + what)
            }, now: now)
    }

    /// "Mira O. **suspended** the tenant", "… asked to **delete for good**", "… was refused **Archive tenant**".
    private static func words(_ line: Line, _ catalog: Catalog) -> (verb: String, what: String) {
        let title = catalog[line.action]?.spec.title
        let quoted = title.map { "“\($0)”" }
        let name = quoted ?? views[line.action] ?? EventWords.plain[line.action] ?? line.action
        switch (line.eventClass, line.outcome) {
        case (_, "denied"): return ("was refused", name)
        case (_, "failed"): return ("failed at", name)
        case (_, "blocked"): return ("was blocked from", name)
        case (_, "requested"): return ("asked others to agree to", name)
        case ("access", _): return (title == nil ? "viewed" : "previewed", name)
        default: return deeds[line.action].map { ($0, "the tenant") } ?? ("did", name)
        }
    }

    /// What was done, as one says it.
    private static let deeds = [
        "tenant.create": "created", "tenant.update": "edited", "tenant.suspend": "suspended",
        "tenant.restore": "restored", "tenant.archive": "archived", "tenant.hard_delete": "deleted for good",
        "tenant.retry_onboarding": "set up again",
    ]

    private static let views = [
        "tenant.view": "the tenant", "tenant.users": "its members", "tenant.history": "its history",
        "tenant.activity": "its activity", "audit.list": "its events", "audit.view": "an event of it",
        "audit.export": "its events, as an export", "approval.view": "a request about it",
    ]
}
