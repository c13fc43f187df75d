import HTML
import Kernel

/// One page of the views somebody sees.
struct SegmentListing {
    let segments: [Segment]
    let next: String?

    static func load(_ call: ReadCall, from reader: any Reader) throws -> SegmentListing {
        let limit = try call.limit()
        let scope = "segment.list"
        var after: (name: String, id: String)?
        if let cursor = call.first("cursor") {
            let position = try call.cursors.decode(cursor, scope: scope)
            guard position.count == 2, let name = position[0].string, let id = position[1].string else {
                throw OperationError.internalError("a signed cursor of an unknown shape")
            }
            after = (name, id)
        }
        let found = try reader.query(
            SegmentQueries.seen(by: call.caller.person, after: after, limit: limit + 1)
        ).map(Segment.init)
        let shown = Array(found.prefix(limit))
        return SegmentListing(
            segments: shown,
            next: found.count > limit
                ? shown.last.map { call.cursors.encode(scope: scope, [.string($0.name), .string($0.id)]) } : nil)
    }
}

/// What the API answers about views.
enum SegmentReads {
    static let list = Read(
        "segment.list", summary: "Your saved views of the list of tenants, and those that others share.",
        path: "/segments", permission: "tenant.view", parameters: [.limit, .cursor], schema: Segment.schema,
        isList: true
    ) { call, reader in
        // Filters and their names: no personal data.
        let listing = try SegmentListing.load(call, from: reader)
        return .list(listing.segments.map(\.document), next: listing.next)
    }

    static let view = Read(
        "segment.view", summary: "One saved view.", path: "/segments/{id}", permission: "tenant.view",
        schema: Segment.schema, hasVersion: true
    ) { call, reader in
        let segment = try find(call, in: reader)
        return ReadAnswer(segment.document, version: segment.version)
    }

    static func find(_ call: ReadCall, in reader: any Reader) throws -> Segment {
        let id = call.path["id"] ?? ""
        guard let segment = try Segment.load(id, from: reader), segment.isSeen(by: call.caller) else {
            throw OperationError.notFound("There is no view \(id.prefix(60)) for you. Yours are listed at /segments.")
        }
        return segment
    }
}

enum SegmentPages {
    static let list = Page("/segments", permission: "tenant.view", menuPath: "/tenants") { call, reader in
        let listing = try SegmentListing.load(call.readCall, from: reader)
        let names = try TenantPage.staffNames(listing.segments.map(\.ownerID), in: reader)
        let now = reader.now
        let body =
            UI.crumbs([("Tenants", "/tenants")], here: "Saved views")
            + UI.title("Saved views", lead: "Yours, and those that others share.")
            + el("section", .class("panel"), .label("Views")) {
                if listing.segments.isEmpty {
                    UI.empty(
                        "No views yet", "Filter the list of tenants, then save what you see.",
                        action: UI.linkButton("Go to the list", href: "/tenants"))
                } else {
                    UI.table(
                        caption: "Views, \(listing.segments.count) shown",
                        columns: [
                            Column("View", .clip, isRowHeader: true) { segment in
                                el("a", .href("/segments/\(segment.id)")) { segment.name }
                            },
                            Column("Shows", .clip, priority: 2) { segment in
                                el("a", .href(segment.address)) { segment.view.words }
                            },
                            Column("Whose", priority: 3) { segment in
                                segment.ownerID == call.caller.person
                                    ? Node("Yours") : UI.muted(names[segment.ownerID] ?? segment.ownerID)
                            },
                            Column("Seen by", priority: 3) { segment in
                                segment.isShared ? Node("Everybody") : UI.muted("You alone")
                            },
                            Column("Changed", .number, priority: 4) { UI.time($0.updatedAt, now: now) },
                        ], rows: listing.segments)
                }
            }
            + UI.pages(
                listing.segments.isEmpty
                    ? "" : listing.segments.count == 1 ? "1 view" : "\(listing.segments.count) views",
                first: call.first("cursor") == nil ? nil : "/segments",
                next: listing.next.map { PageAddress(path: "/segments").with("cursor", $0).text })
        return PageAnswer(title: "Saved views", body: body)
    }

    static let view = Page("/segments/{id}", permission: "tenant.view", menuPath: "/tenants") { call, reader in
        let segment = try SegmentReads.find(call.readCall, in: reader)
        let owner = try TenantPage.staffNames([segment.ownerID], in: reader)[segment.ownerID]
        let isOwn = segment.ownerID == call.caller.person
        let now = reader.now
        let body =
            UI.crumbs([("Tenants", "/tenants"), ("Saved views", "/segments")], here: segment.name)
            + UI.title(segment.name, trailing: UI.linkButton("Show these tenants", href: segment.address))
            + UI.keyFacts([
                ("Shows", Node(segment.view.words)), ("Whose", Node(isOwn ? "Yours" : owner ?? segment.ownerID)),
                ("Seen by", Node(segment.isShared ? "Everybody who sees tenants" : "You alone")),
                ("Changed", UI.time(segment.updatedAt, now: now)),
            ])
            + UI.actionBar(
                segment, path: "/segments/\(segment.id)", catalog: call.catalog, caller: call.caller, now: now,
                waiting: try ApprovalList.waiting(on: segment.id, for: call.caller, from: reader))
        return PageAnswer(title: segment.name, body: body)
    }
}

/// Saved views of the list of tenants.
public enum SegmentsConsole {
    public static let console = Console(
        "Saved views",
        operations: [
            AnyOperation(SaveSegment.self), AnyOperation(ShareSegment.self), AnyOperation(DeleteSegment.self),
        ],
        reads: [SegmentReads.list, SegmentReads.view], entities: [AnyEntityType(Segment.self)],
        pages: [SegmentPages.list, SegmentPages.view],
        uniqueRules: [
            "segments_name": FieldError(
                pointer: "/input/name", detail: "Name is taken by another view of yours; choose another one.")
        ])
}
