import Kernel

/// One page of the log, as asked by the API and by the console.
struct EventList: Sendable {
    /// The filters as typed, by query parameter, so that a page can show them again.
    let typed: [String: String]
    let filter: EventFilter
    let rows: [EventRow]
    /// How far a page that is not full has looked, when there is more to look at; `nil` when it saw everything.
    let lookedTo: Instant?
    /// Cursors, `nil` at the ends.
    let older: String?
    let newer: String?

    static let parameters = ["actor", "tenant", "target", "action", "class", "outcome", "from", "until"]

    /// Reads the filters of the list and of the export; collects every error.
    /// - Throws: `OperationError.invalid` naming the parameters.
    static func filter(_ call: ReadCall, from reader: any Reader) throws -> EventFilter {
        var filter = EventFilter()
        var errors: [FieldError] = []
        func refuse(_ name: String, _ detail: String) { errors.append(FieldError(pointer: "?\(name)", detail: detail)) }

        // People type an address or a slug; scripts send ids.
        if let actor = call.first("actor") {
            filter.actor = actor
            if actor.contains("@") {
                filter.actor = try reader.first(EventQueries.staff(email: actor.lowercased()))?.string("id")
                if filter.actor == nil { refuse("actor", "Nobody of the staff has the e-mail \(actor.prefix(100)).") }
            }
        }
        if let tenant = call.first("tenant") {
            filter.tenant = tenant
            if !Identifier.isValid(tenant, prefix: Tenant.idPrefix) {
                filter.tenant = try reader.first(EventQueries.tenant(slug: tenant.lowercased()))?.string("id")
                if filter.tenant == nil { refuse("tenant", "No tenant has the id or slug \(tenant.prefix(100)).") }
            }
        }
        filter.target = call.first("target")
        filter.action = call.first("action")
        if let text = call.first("class") {
            filter.eventClass = EventClass(rawValue: text)
            if filter.eventClass == nil {
                refuse("class", "class must be one of \(EventClass.allCases.map(\.rawValue).joined(separator: ", ")).")
            }
        }
        if let text = call.first("outcome") {
            filter.outcome = EventOutcome(rawValue: text)
            if filter.outcome == nil {
                refuse(
                    "outcome",
                    "outcome must be one of \(EventOutcome.allCases.map(\.rawValue).joined(separator: ", ")).")
            }
        }
        for name in ["from", "until"] {
            guard let text = call.first(name) else { continue }
            guard let instant = moment(text, endOfDay: name == "until") else {
                refuse(name, "\(name) must be a day like 2026-11-17 or a time like 2026-11-17T14:32:00Z.")
                continue
            }
            if name == "from" { filter.from = instant } else { filter.until = instant }
        }
        guard errors.isEmpty else { throw OperationError.invalid(errors) }
        return filter
    }

    /// A day means its start as `from` and its end as `until`.
    private static func moment(_ text: String, endOfDay: Bool) -> Instant? {
        if let day = Day(text) {
            return Instant(microseconds: Int64(day.daysSince1970 + (endOfDay ? 1 : 0)) * 86_400_000_000)
        }
        return Instant(rfc3339: text)
    }

    static func load(_ call: ReadCall, from reader: any Reader) throws -> EventList {
        let filter = try filter(call, from: reader)
        let limit = try call.limit()
        let scope = "audit.list " + filter.json.canonicalText
        var position: (at: Instant, id: String)?
        var direction = EventQueries.Direction.older
        if let cursor = call.first("cursor") {
            let parts = try call.cursors.decode(cursor, scope: scope)
            guard parts.count == 3, let at = parts[0].int, let id = parts[1].string, let way = parts[2].string else {
                throw OperationError.invalid([
                    FieldError(pointer: "?cursor", detail: "cursor is not one this list gave out.")
                ])
            }
            position = (Instant(microseconds: at), id)
            direction = way == "newer" ? .newer : .older
        }

        var found = try reader.query(EventQueries.namedPage(filter, from: position, direction, limit: limit + 1)).map {
            try EventRow($0)
        }
        let hasMore = found.count > limit
        found = Array(found.prefix(limit))
        // Several filters: there may be more beyond what was looked at.
        let end =
            hasMore || filter.walk.others.isEmpty
            ? nil
            : try reader.first(EventQueries.windowEnd(filter, from: position, direction)).map {
                (at: try $0.instant("at"), id: try $0.string("id"))
            }
        if direction == .newer { found.reverse() }
        let rows = found

        func cursor(_ place: (at: Instant, id: String)?, _ way: String) -> String? {
            place.map {
                call.cursors.encode(scope: scope, [.int($0.at.microseconds), .string($0.id), .string(way)])
            }
        }
        func place(_ row: EventRow?) -> (at: Instant, id: String)? { row.map { ($0.at, $0.id) } }
        // From an empty page one goes back to where it began.
        let oldest = direction == .older ? end ?? place(rows.last) : place(rows.last) ?? position
        let newest = direction == .older ? place(rows.first) ?? position : end ?? place(rows.first)
        let hasOlder = direction == .older ? hasMore || end != nil : true
        let hasNewer = direction == .older ? position != nil : hasMore || end != nil
        var typed: [String: String] = [:]
        for name in parameters { typed[name] = call.first(name) }
        return EventList(
            typed: typed, filter: filter, rows: rows, lookedTo: end?.at,
            older: hasOlder ? cursor(oldest, "older") : nil,
            newer: hasNewer ? cursor(newest, "newer") : nil)
    }

    var disclosure: Disclosure {
        Disclosure(
            "audit.list", tenant: filter.tenant, query: .object(typed.mapValues(JSON.string)), count: rows.count,
            ids: rows.map(\.id),
            subjects: [filter.actor, filter.tenant, filter.target].compactMap { $0 })
    }
}
