import HTML
import Kernel

/// One page of what was recorded about a tenant, a user or one of the staff, newest first.
struct ActivityPage {
    enum Subject {
        case tenant(String)
        case user(String)
        case staff(String)

        var type: String {
            switch self {
            case .tenant: Tenant.type
            case .user: User.type
            case .staff: Staff.type
            }
        }
        var id: String {
            switch self {
            case .tenant(let id), .user(let id), .staff(let id): id
            }
        }
        func events(before: (at: Instant, id: String)?, limit: Int) -> Statement {
            switch self {
            case .tenant(let id): TenantQueries.activity(of: id, before: before, limit: limit)
            case .user(let id): UserListQueries.activity(of: id, before: before, limit: limit)
            case .staff(let id): StaffQueries.history(of: id, before: before, limit: limit)
            }
        }
    }

    struct Line {
        let event: String
        let at: Instant
        let eventClass: String
        let action: String
        let outcome: String
        let actorKind: String
        let actor: String

        /// A service account or an assistant did it.
        var isByAccount: Bool { Actor.Kind(rawValue: actorKind).map { Actor($0, actor).isAccount } ?? false }
    }

    let subject: Subject
    let lines: [Line]
    /// Names of the staff and of the programs among the actors, by id.
    let names: [String: String]
    let next: String?

    static func load(_ subject: Subject, _ call: ReadCall, from reader: any Reader) throws -> ActivityPage {
        let limit = try call.limit()
        let scope = "\(subject.type).activity/\(subject.id)"
        var before: (at: Instant, id: String)?
        if let cursor = call.first("cursor") {
            let position = try call.cursors.decode(cursor, scope: scope)
            guard position.count == 2, let at = position[0].int, let id = position[1].string else {
                throw OperationError.internalError("a signed cursor of an unknown shape")
            }
            before = (Instant(microseconds: at), id)
        }
        return try load(subject, before: before, limit: limit, from: reader) { line in
            call.cursors.encode(scope: scope, [.int(line.at.microseconds), .string(line.event)])
        }
    }

    /// What `newest` asks.
    static func foreseen(_ limit: Int, of subject: Subject) -> Statement {
        subject.events(before: nil, limit: limit + 1)
    }

    /// The newest lines, for the page of what they are about.
    static func newest(_ limit: Int, of subject: Subject, from reader: any Reader) throws -> ActivityPage {
        try load(subject, before: nil, limit: limit, from: reader) { _ in "" }
    }

    private static func load(
        _ subject: Subject, before: (at: Instant, id: String)?, limit: Int, from reader: any Reader,
        cursor: (Line) -> String
    ) throws -> ActivityPage {
        let rows = try reader.query(subject.events(before: before, limit: limit + 1))
        let lines = try rows.prefix(limit).map(Line.init)
        var names: [String: String] = [:]
        for row in rows {
            if let name = try row.optionalString("actor_name") { names[try row.string("actor_id")] = name }
        }
        let programs = Set(lines.filter(\.isByAccount).map(\.actor)).sorted()
        for row in programs.isEmpty ? [] : try reader.query(EventQueries.accountNames(programs)) {
            names[try row.string("id")] = try row.string("name")
        }
        return ActivityPage(
            subject: subject, lines: lines, names: names,
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
        let ids = lines.map(\.event)
        return switch subject {
        case .tenant(let id):
            Disclosure("tenant.activity", target: (Tenant.type, id), tenant: id, count: ids.count, ids: ids)
        case .user(let id): Disclosure("user.activity", target: (User.type, id), count: ids.count, ids: ids)
        case .staff(let id): Disclosure("staff.view", target: (Staff.type, id), count: ids.count, ids: ids)
        }
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
                let words = ActivityWords(line, name: names[line.actor], catalog: catalog)
                let what: Node =
                    linked
                    ? el("a", .class("what"), .href("/audit/\(line.event)")) { words.what }
                    : el("span", .class("what")) { words.what }
                let isPerson = line.actorKind == Actor.Kind.staff.rawValue
                let who = words.actor.map { actor in
                    el("b") { actor } + Node(words.verb.isEmpty ? " " : " \(words.verb) ")
                }
                return TimelineEntry(
                    at: line.at, personName: isPerson ? words.actor : nil,
                    systemIcon: line.eventClass == "effect" ? "send" : "settings",
                    sentence: (who ?? .none) + what + Node(words.end))
            }, now: now)
    }
}

extension ActivityPage.Line {
    init(_ row: Row) throws {
        self.init(
            event: try row.string("id"), at: try row.instant("at"), eventClass: try row.string("class"),
            action: try row.string("action"), outcome: try row.string("outcome"),
            actorKind: try row.string("actor_type"), actor: try row.string("actor_id"))
    }
}
