import Kernel

/// A notice with the words people read.
struct InboxEntry: Sendable {
    let notice: Notice
    let title: String
    /// What else there is to know: until when, why, and when it happened where it was told late.
    let detail: String?
    /// Who caused it; `nil` when Postern did, or where its words say who.
    let who: String?
    let path: String?

    var json: JSON {
        JSON.members([
            ("id", .string(notice.id)), ("kind", .string(notice.kind.rawValue)), ("title", .string(title)),
            ("detail", JSON(detail)), ("who", JSON(who)), ("path", JSON(path)),
            ("about", notice.about.map { about -> JSON in ["type": .string(about.type), "id": .string(about.id)] }),
            ("event_id", .string(notice.event)), ("created_at", .string(notice.createdAt.rfc3339)),
            ("read_at", JSON(notice.readAt)), ("is_moot", .bool(notice.isMoot)),
        ])
    }
}

/// One page of a person's own inbox, as asked by the API and by the console.
struct InboxListing: Sendable {
    enum View: String, CaseIterable, Sendable {
        case unread, all
    }

    let view: View
    let entries: [InboxEntry]
    let next: String?

    static let parameters: [Read.Parameter] = [
        .limit, .cursor,
        .init(
            "view", "What is unread, or everything that is kept. By default what is unread.",
            schema: ["type": "string", "enum": .array(View.allCases.map { .string($0.rawValue) })]),
    ]

    static func load(_ call: ReadCall, catalog: Catalog, from reader: any Reader) throws -> InboxListing {
        var view = View.unread
        if let text = call.first("view") {
            guard let named = View(rawValue: text) else {
                throw OperationError.invalid([FieldError(pointer: "?view", detail: "view must be unread or all.")])
            }
            view = named
        }
        let limit = try call.limit()
        let scope = "inbox.list \(view.rawValue) \(call.caller.person)"
        var position: ApprovalListQueries.Position?
        if let cursor = call.first("cursor") {
            let parts = try call.cursors.decode(cursor, scope: scope)
            guard parts.count == 2, let at = parts[0].int, let id = parts[1].string else {
                throw OperationError.invalid([
                    FieldError(pointer: "?cursor", detail: "cursor is not one this list gave out.")
                ])
            }
            position = .init(at: Instant(microseconds: at), id: id)
        }
        let rows = try reader.query(
            InboxQueries.page(
                of: call.caller.person, onlyUnread: view == .unread, before: position, limit: limit + 1))
        var next: String?
        if rows.count > limit, let last = rows.prefix(limit).last {
            next = call.cursors.encode(
                scope: scope, [.int(try last.int("created_at")), .string(try last.string("id"))])
        }
        let notices = try rows.prefix(limit).compactMap { try Notice($0) }
        return InboxListing(
            view: view, entries: try InboxWords.entries(notices, for: call.caller, catalog: catalog, from: reader),
            next: next)
    }

    /// Notices tell who asked and about whom; `nil` when there are none.
    var disclosure: Disclosure? {
        guard !entries.isEmpty else { return nil }
        return Disclosure("inbox.list", count: entries.count, ids: entries.map(\.notice.id))
    }
}
