import Kernel

/// One with the names people know its parts by.
struct BreakGlassEntry: Sendable {
    let session: BreakGlass
    let personName: String?
    let tenantName: String?

    init(_ row: Row) throws {
        session = try BreakGlass(row)
        personName = try row.optionalString("person_name")
        tenantName = try row.optionalString("tenant_name")
    }

    var person: String { personName ?? session.person }
    var tenant: String { tenantName ?? session.tenant }

    var json: JSON {
        var members = session.document.object ?? [:]
        members["person_name"] = JSON(personName)
        members["tenant_name"] = JSON(tenantName)
        return .object(members)
    }
}

/// A page of emergencies, as asked by the API and by the console.
struct BreakGlassListing: Sendable {
    let filter: BreakGlassQueries.Filter
    let entries: [BreakGlassEntry]
    let next: String?
    /// The tenant everything shown is about, where that is one.
    let tenant: String?

    static let parameters: [Read.Parameter] = [
        .limit, .cursor,
        .init(
            "state", "Those that are open, whose review is owed, or that are reviewed.",
            schema: ["type": "string", "enum": .array(BreakGlass.State.allCases.map { .string($0.rawValue) })]),
        .init("tenant", "Those on one tenant, by its id."), .init("person", "Those one person opened, by their id."),
    ]

    static func load(_ call: ReadCall, from reader: any Reader) throws -> BreakGlassListing {
        let limit = try call.limit()
        var filter = BreakGlassQueries.Filter(tenant: call.first("tenant"), person: call.first("person"))
        if let text = call.first("state") {
            filter.state = BreakGlass.State(rawValue: text)
            guard filter.state != nil else {
                let words = BreakGlass.State.allCases.map(\.rawValue).joined(separator: ", ")
                throw OperationError.invalid([FieldError(pointer: "?state", detail: "state must be one of \(words).")])
            }
        }
        // Whoever is locked sees their own.
        let lock = call.caller.emergency.flatMap { $0.isSolo ? $0 : nil }
        if lock != nil { filter.person = call.caller.person }
        let scope =
            "breakglass.list \(filter.state?.rawValue ?? "") \(filter.tenant ?? "") \(filter.person ?? "")"
        let before = try call.first("cursor").map { try call.cursors.decode($0, scope: scope).first?.string ?? "" }
        let found = try reader.query(BreakGlassQueries.page(filter, before: before, limit: limit + 1))
            .map(BreakGlassEntry.init)
        let entries = Array(found.prefix(limit))
        return BreakGlassListing(
            filter: filter, entries: entries,
            next: found.count > limit
                ? entries.last.map { call.cursors.encode(scope: scope, [.string($0.session.id)]) } : nil,
            tenant: lock?.tenant ?? filter.tenant)
    }

    var disclosure: Disclosure {
        Disclosure("breakglass.list", tenant: tenant, count: entries.count, ids: entries.map(\.session.id))
    }
}

/// One with everything its page and its review need.
struct BreakGlassDetail: Sendable {
    let entry: BreakGlassEntry
    let names: [String: String]
    /// Who agreed to it, and who else can't review it.
    let facts: ReviewBreakGlass.Facts
    /// The request it was opened by.
    let approvalID: String?
    /// When it was asked for; `nil` where no request is there.
    let askedAt: Instant?
    /// As they were given; `nil` once erased.
    let justification: String?
    let ticket: String?

    var session: BreakGlass { entry.session }
    /// Nobody where it was opened alone.
    var signers: [String] { facts.signers }

    static func find(_ id: String, from reader: any Reader) throws -> BreakGlass {
        guard Identifier.isValid(id, prefix: BreakGlass.idPrefix), let found = try BreakGlass.load(id, from: reader)
        else {
            throw OperationError.notFound(
                "There is no break-glass \(id.prefix(60)). The list is at /breakglass-sessions.")
        }
        return found
    }

    static func load(_ id: String, from reader: any Reader) throws -> BreakGlassDetail {
        let session = try find(id, from: reader)
        let rows = try reader.query([
            EventQueries.sealed(session.eventID), BreakGlassQueries.approval(of: session.eventID),
            BreakGlassQueries.one(session.id),
        ])
        guard let named = rows[2].first else { throw OperationError.notFound("There is no break-glass \(id).") }
        let members = try rows[0].first?.json("members")
        let facts = try ReviewBreakGlass.Facts(session, from: reader)
        let people = [session.endedBy, session.reviewedBy].compactMap(\.self) + facts.signers
        return BreakGlassDetail(
            entry: try BreakGlassEntry(named), names: try StaffDetail.names(people, from: reader), facts: facts,
            approvalID: try rows[1].first?.optionalString("approval_id"),
            askedAt: try rows[1].first?.optionalInstant("asked_at"),
            justification: members?["justification"]?["value"]?.string,
            ticket: members?["ticket"]?["value"]?.string)
    }

    /// What a person is called; a part of Postern is called so.
    func name(_ id: String) -> String {
        id == session.person ? entry.person : names[id] ?? (id.hasPrefix("stf_") ? id : "Postern")
    }

    var json: JSON {
        var members = entry.json.object ?? [:]
        members["signers"] = .array(
            signers.map { ["person": .string($0), "name": JSON(names[$0])] })
        members["approval_id"] = JSON(approvalID)
        members["justification"] = JSON(justification)
        members["ticket"] = JSON(ticket)
        return .object(members)
    }

    var disclosure: Disclosure {
        Disclosure(
            "breakglass.view", target: (BreakGlass.type, session.id), tenant: session.tenant, count: 1,
            ids: [session.id])
    }
}

/// A page of what the opener did while it was open: every event of theirs from its beginning to its end, whether or not it says
/// that it belongs to it, so that nothing can be left out. What may have been recorded by a clock that differs is listed too, and
/// says so.
struct BreakGlassEvents: Sendable {
    enum Show: String, CaseIterable, Sendable {
        case everything, changes, looks

        var title: String {
            switch self {
            case .everything: "Everything"
            case .changes: "Changes"
            case .looks: "Looks"
            }
        }

        var eventClass: EventClass? {
            switch self {
            case .everything: nil
            case .changes: .mutation
            case .looks: .access
            }
        }
    }

    /// Some events have the clock of their server, which may be this far from the database's (spec: access §5).
    static let tolerance = Span.seconds(2)

    /// On which side of it an event stands that its own time puts outside.
    enum Side: String, Sendable {
        case before, after
    }

    let session: BreakGlass
    let show: Show
    let rows: [EventRow]
    let next: String?
    let disclosure: Disclosure

    static let showParameter = Read.Parameter(
        "show", "Everything, changes alone, or looks alone.",
        schema: [
            "type": "string", "enum": .array(Show.allCases.map { .string($0.rawValue) }), "default": "everything",
        ])

    /// From when to when it was open, by the database's clock.
    static func time(of session: BreakGlass, at now: Instant) -> (from: Instant, until: Instant) {
        (session.openedAt, session.endedAt ?? min(now, session.endsAt))
    }

    /// `nil` for what its time puts within.
    func side(of event: EventRow) -> Side? {
        // Its own beginning and end are recorded a moment after the database was asked for the time.
        let isItsOwn = event.targetID == session.id && event.eventClass == EventClass.mutation.rawValue
        if isItsOwn, event.outcome == EventOutcome.applied.rawValue { return nil }
        if event.at < session.openedAt { return .before }
        return event.at > (session.endedAt ?? session.endsAt) ? .after : nil
    }

    /// An event as the API answers it.
    func json(_ event: EventRow) -> JSON {
        var members = event.json.object ?? [:]
        members["outside"] = JSON(side(of: event)?.rawValue)
        return .object(members)
    }

    static func load(_ session: BreakGlass, _ call: ReadCall, from reader: any Reader) throws -> BreakGlassEvents {
        let limit = try call.limit()
        guard let show = call.first("show").map(Show.init) ?? .everything else {
            let words = Show.allCases.map(\.rawValue).joined(separator: ", ")
            throw OperationError.invalid([FieldError(pointer: "?show", detail: "show must be one of \(words).")])
        }
        var filter = EventFilter()
        filter.eventClass = show.eventClass
        let time = time(of: session, at: reader.now)
        filter.from = time.from - tolerance
        filter.until = time.until + tolerance
        let scope = "breakglass.events \(session.id) \(show.rawValue)"
        var position: (at: Instant, id: String)?
        if let cursor = call.first("cursor") {
            let parts = try call.cursors.decode(cursor, scope: scope)
            guard parts.count == 2, let at = parts[0].int, let id = parts[1].string else {
                throw OperationError.invalid([
                    FieldError(pointer: "?cursor", detail: "cursor is not one this list gave out.")
                ])
            }
            position = (Instant(microseconds: at), id)
        }
        // What their programs did in their name is theirs too.
        let accounts = try reader.query(ServiceAccount.all(of: session.person)).map { try $0.string("id") }
        var found = try ([session.person] + accounts).flatMap { actor in
            filter.actor = actor
            return try reader.query(EventQueries.namedPage(filter, from: position, .older, limit: limit + 1)).map {
                try EventRow($0)
            }
        }
        found.sort { ($0.at, $0.id) > ($1.at, $1.id) }
        let rows = Array(found.prefix(limit))
        return BreakGlassEvents(
            session: session, show: show, rows: rows,
            next: found.count > limit
                ? rows.last.map {
                    call.cursors.encode(scope: scope, [.int($0.at.microseconds), .string($0.id)])
                } : nil,
            disclosure: Disclosure(
                "breakglass.events", target: (BreakGlass.type, session.id), tenant: session.tenant, count: rows.count,
                ids: rows.map(\.id)))
    }
}
