import HTML
import Kernel

/// A request with the names people know its parts by.
struct ApprovalEntry: Sendable {
    let request: ApprovalRequest
    let requesterName: String?
    let targetName: String?

    var json: JSON {
        let request = request
        return JSON.members([
            ("id", .string(request.id)), ("version", .int(request.version)), ("operation", .string(request.operation)),
            ("state", .string(request.state.rawValue)),
            (
                "target",
                request.targetID.map { id in
                    JSON.members([
                        ("type", request.targetType.map(JSON.string)), ("id", .string(id)),
                        ("name", targetName.map(JSON.string)),
                    ])
                }
            ),
            ("requester", .string(request.requester)), ("requester_name", requesterName.map(JSON.string)),
            ("action", request.action), ("plan_digest", .string(request.planDigest)), ("demands", request.demands),
            ("event_id", .string(request.eventID)), ("plan_event_id", .string(request.planEventID)),
            ("round", .int(request.round)), ("created_at", .string(request.createdAt.rfc3339)),
            ("expires_at", .string(request.expiresAt.rfc3339)),
            ("not_before", request.notBefore.map { .string($0.rfc3339) }),
            ("decided_at", request.decidedAt.map { .string($0.rfc3339) }),
            ("execute_at", request.executeAt.map { .string($0.rfc3339) }),
            ("outcome_event_id", request.outcomeEventID.map(JSON.string)),
        ])
    }
}

/// One page of requests, as asked by the API and by the console.
struct ApprovalListing: Sendable {
    /// Which ones.
    enum View: String, CaseIterable, Sendable {
        /// Those the caller could sign.
        case asking
        /// The caller's own.
        case mine
        /// Everybody's that still wait for signatures; for holders of `approval.view`.
        case open
        /// What was decided on: everything for holders of `approval.view`, what they decided for the others.
        case decided
    }

    let view: View
    let entries: [ApprovalEntry]
    let next: String?

    static let parameters: [Read.Parameter] = [
        .limit, .cursor,
        .init(
            "view",
            "Which ones: those you could sign, your own, all that wait (needs approval.view), or those decided on. By default asking.",
            schema: ["type": "string", "enum": .array(View.allCases.map { .string($0.rawValue) })]),
    ]

    static func load(_ call: ReadCall, from reader: any Reader) throws -> ApprovalListing {
        let caller = call.caller
        let seesAll = caller.permissions.contains("approval.view")
        var view = View.asking
        if let text = call.first("view") {
            guard let named = View(rawValue: text) else {
                let words = View.allCases.map(\.rawValue).joined(separator: ", ")
                throw OperationError.invalid([FieldError(pointer: "?view", detail: "view must be one of \(words).")])
            }
            view = named
        }
        if view == .open, !seesAll {
            throw OperationError.forbidden(
                permission: "approval.view",
                detail:
                    "Seeing everybody’s requests needs the permission approval.view, which none of your roles holds.")
        }
        let limit = try call.limit()
        let scope = "approval.list \(view.rawValue)"
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
        let statement =
            switch view {
            case .asking:
                ApprovalListQueries.asking(
                    ApprovalRequest.leaves(of: caller), besides: caller.person, after: position, now: reader.now,
                    limit: limit + 1)
            case .mine: ApprovalListQueries.own(of: caller.person, before: position, limit: limit + 1)
            case .open: ApprovalListQueries.open(after: position, now: reader.now, limit: limit + 1)
            case .decided:
                seesAll
                    ? ApprovalListQueries.decided(before: position, limit: limit + 1)
                    : ApprovalListQueries.signed(by: caller.person, before: position, limit: limit + 1)
            }
        let rows = try reader.query(statement)
        let page = try rows.prefix(limit).map(ApprovalRequest.init)
        var next: String?
        if rows.count > limit, let row = rows.prefix(limit).last, let last = page.last {
            let key: (at: Instant, id: String) =
                switch view {
                case .asking, .open: (last.expiresAt, last.id)
                case .mine: (last.createdAt, last.id)
                case .decided:
                    seesAll
                        ? (last.decidedAt ?? last.createdAt, last.id)
                        : (try row.instant("signed_at"), try row.string("signature_id"))
                }
            next = call.cursors.encode(scope: scope, [.int(key.at.microseconds), .string(key.id)])
        }
        return ApprovalListing(view: view, entries: try ApprovalList.name(page, from: reader), next: next)
    }

    /// Other people's requests tell who asked and about whom; `nil` when there are none.
    var disclosure: Disclosure? {
        guard view != .mine, !entries.isEmpty else { return nil }
        return Disclosure("approval.list", count: entries.count, ids: entries.map(\.request.id))
    }
}

enum ApprovalList {
    /// The first of those somebody could sign.
    static func asking(_ caller: Caller, limit: Int, from reader: any Reader) throws -> [ApprovalEntry] {
        try name(
            reader.query(
                ApprovalListQueries.asking(
                    ApprovalRequest.leaves(of: caller), besides: caller.person, after: nil, now: reader.now,
                    limit: limit)
            ).map(ApprovalRequest.init), from: reader)
    }

    /// A person's own that something may still come of.
    static func own(of person: String, from reader: any Reader) throws -> [ApprovalEntry] {
        try name(
            reader.query(ApprovalListQueries.own(of: person, before: nil, limit: 20)).map(ApprovalRequest.init)
                .filter { $0.state.isDue || $0.isOpen(at: reader.now) }, from: reader)
    }

    /// Requests that wait on a target, by operation.
    static func waiting(
        on target: String, for caller: Caller, from reader: any Reader
    ) throws -> [String: WaitingRequest] {
        var found: [String: WaitingRequest] = [:]
        for row in try reader.query(ApprovalListQueries.live(on: target)) {
            let request = try ApprovalRequest(row)
            found[request.operation] = WaitingRequest(request, for: caller, at: reader.now)
        }
        return found
    }

    static func name(_ requests: [ApprovalRequest], from reader: any Reader) throws -> [ApprovalEntry] {
        guard !requests.isEmpty else { return [] }
        let staff = Set(
            requests.map(\.requester) + requests.compactMap { $0.targetType == "staff" ? $0.targetID : nil })
        let tenants = Set(requests.compactMap { $0.targetType == "tenant" ? $0.targetID : nil })
        let found = try reader.query([
            EventQueries.staffNames(staff.sorted()), EventQueries.tenantNames(tenants.sorted()),
        ])
        var names: [String: String] = [:]
        for row in found[0] + found[1] { names[try row.string("id")] = try row.string("name") }
        return requests.map {
            ApprovalEntry(
                request: $0, requesterName: names[$0.requester], targetName: $0.targetID.flatMap { names[$0] })
        }
    }
}

/// A request in full: the frozen action, the values it commits to, and who has signed.
struct ApprovalDetail: Sendable {
    let entry: ApprovalEntry
    /// What was asked: fields, justification, ticket.
    let event: EventDetail
    /// What it would do, as far as it differs from what was first asked for: the event that says so.
    let planEvent: EventDetail?
    let signatures: ApprovalSignatures
    /// Names of those who signed.
    let names: [String: String]
    /// How it ended, in words.
    let ending: String?
    /// What it answered waits to be shown, once, to who asked.
    let hasReveal: Bool

    /// - Throws: `OperationError.notFound`; `.forbidden` to whoever neither asked for it, nor could sign it, nor may see all.
    static func load(_ id: String, for caller: Caller, from reader: any Reader) throws -> ApprovalDetail {
        guard Identifier.isValid(id, prefix: "apr"), let row = try reader.first(ApprovalListQueries.one(id)) else {
            throw OperationError.notFound("There is no request \(id.prefix(60)).")
        }
        let entry = try ApprovalList.name([ApprovalRequest(row)], from: reader)[0]
        let request = entry.request
        guard request.isOpen(to: caller) else {
            throw OperationError.forbidden(
                permission: "approval.view", detail: "This is somebody else’s request, and none of your roles signs it."
            )
        }
        let signatures = try ApprovalSignatures(
            of: request, rows: reader.query(ApprovalListQueries.signatures(on: id)), and: [caller.person],
            StaffDirectory(), from: reader)
        let ending = try request.outcomeEventID.map { try EventDetail.load($0, from: reader) }
        return ApprovalDetail(
            entry: entry, event: try EventDetail.load(request.eventID, from: reader),
            planEvent: request.planEventID == request.eventID
                ? nil : try EventDetail.load(request.planEventID, from: reader),
            signatures: signatures, names: signatures.standings.mapValues(\.name),
            ending: ending.flatMap {
                $0.value("details")?["reason"]?.string ?? $0.value("justification")?.string
                    ?? $0.value("details")?["consequence"]?.string
            },
            hasReveal: try request.state == .executed && request.requester == caller.person
                && reader.first(ApprovalListQueries.reveal(of: id, at: reader.now)) != nil)
    }

    /// Whether every value shown is the one the frozen action, and the digest the signatures are bound to, commit to.
    var matchesAction: Bool {
        let commitments = entry.request.action["sealed"]?.object ?? [:]
        let shown = planEvent ?? event
        return event.isIntact && shown.isIntact
            && commitments.allSatisfy { name, commitment in event.leaf["sealed"]?[name] == commitment }
            && shown.salted("details").map { salt, details in
                entry.request.commits(to: details["plan"] ?? .null, salt: salt)
            } ?? false
    }

    /// What it would do, as planned last.
    var plan: JSON? { (planEvent ?? event).value("details")?["plan"] }
    var consequence: String? { (planEvent ?? event).value("details")?["consequence"]?.string }
    /// What is different since it was signed before.
    var difference: [JSON] { planEvent?.value("details")?["difference"]?.array ?? [] }
    var input: JSON? { event.value("details")?["input"] }

    var json: JSON {
        var body = entry.json.object ?? [:]
        body["consequence"] = JSON(consequence)
        body["input"] = input ?? .null
        body["plan"] = plan ?? .null
        body["difference"] = .array(difference)
        body["justification"] = event.value("justification") ?? .null
        body["ticket"] = event.value("ticket") ?? .null
        body["matches_action"] = .bool(matchesAction)
        body["signatures"] = .array(
            signatures.all.map { signature in
                var document = signature.document.object ?? [:]
                document["name"] = JSON(names[signature.person])
                return .object(document)
            })
        body["ending"] = JSON(ending)
        return .object(body)
    }

    var disclosure: Disclosure {
        Disclosure(
            "approval.view", target: ("approval", entry.request.id), tenant: event.row.tenantID, count: 1,
            ids: [entry.request.id])
    }
}
