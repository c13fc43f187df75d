import HTML
import Kernel

/// A request with the names people know its parts by.
struct ApprovalEntry: Sendable {
    let request: ApprovalRequest
    let requesterName: String?
    /// Of its target; of what would be made for a tenant, the tenant's.
    let targetName: String?
    /// What it concerns beside its target, or where it has none yet, as the operation says of its fields. They are sealed with the
    /// event: no message tells it.
    var concerns: String?
    /// In the list of what was decided: when it was, or when who looks decided on it. The list is in this order.
    var decidedAt: Instant?

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
            ("concerns", concerns.map(JSON.string)),
            ("requester", .string(request.requester)), ("requester_name", requesterName.map(JSON.string)),
            ("account", request.account.map(JSON.string)),
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
                permission: ApprovalRequest.overview,
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
        let rows: [Row] =
            switch view {
            case .asking: try ApprovalList.asking(caller, after: position, limit: limit + 1, from: reader)
            case .mine:
                try reader.query(
                    caller.isAccount
                        ? ApprovalListQueries.own(ofAccount: caller.actor.id, before: position, limit: limit + 1)
                        : ApprovalListQueries.own(of: caller.person, before: position, limit: limit + 1))
            case .open: try reader.query(ApprovalListQueries.open(after: position, now: reader.now, limit: limit + 1))
            // Programs sign nothing, and what their owner signed is not theirs.
            case .decided where caller.isAccount && !seesAll: []
            case .decided:
                try reader.query(
                    seesAll
                        ? ApprovalListQueries.decided(before: position, limit: limit + 1)
                        : ApprovalListQueries.signed(by: caller.person, before: position, limit: limit + 1))
            }
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
        var entries = try ApprovalList.name(page, from: reader)
        if view == .decided {
            for index in entries.indices {
                entries[index].decidedAt = try seesAll ? page[index].decidedAt : rows[index].instant("signed_at")
            }
        }
        return ApprovalListing(view: view, entries: entries, next: next)
    }

    /// Other people's requests tell who asked and about whom; `nil` when there are none.
    var disclosure: Disclosure? {
        guard view != .mine, !entries.isEmpty else { return nil }
        return Disclosure("approval.list", count: entries.count, ids: entries.map(\.request.id))
    }
}

enum ApprovalList {
    /// The first of those somebody could sign.
    static func asking(
        _ caller: Caller, limit: Int, tellsSealed: Bool = true, from reader: any Reader
    ) throws -> [ApprovalEntry] {
        try name(
            asking(caller, after: nil, limit: limit, from: reader).map(ApprovalRequest.init), tellsSealed: tellsSealed,
            from: reader)
    }

    /// Somebody could fill more leaves than anybody asks for: only those that are asked for are looked up.
    static func asking(
        _ caller: Caller, after position: ApprovalListQueries.Position?, limit: Int, from reader: any Reader
    ) throws -> [Row] {
        let own = Set(ApprovalRequest.leaves(of: caller))
        let leaves = try reader.query(ApprovalListQueries.wanted).map { try $0.string("leaf") }.filter(own.contains)
        guard !leaves.isEmpty else { return [] }
        return try reader.query(
            ApprovalListQueries.asking(
                leaves, besides: caller.person, after: position, now: reader.now, limit: limit))
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

    /// - Parameter tellsSealed: false where it leaves the console, so that nothing sealed is read for it.
    static func name(
        _ requests: [ApprovalRequest], tellsSealed: Bool = true, from reader: any Reader
    ) throws -> [ApprovalEntry] {
        guard !requests.isEmpty else { return [] }
        var targets = Dictionary(grouping: requests.filter { $0.targetID != nil }, by: { $0.targetType ?? "" })
            .mapValues { Set($0.compactMap(\.targetID)) }
        // What a product reports is asked for by its token.
        let tokens = requests.map(\.requester).filter { $0.hasPrefix("\(RuntimeToken.idPrefix)_") }
        if !tokens.isEmpty { targets[RuntimeToken.type, default: []].formUnion(tokens) }
        let staff = Set(requests.map(\.requester)).union(targets[Staff.type] ?? [])
        let tenants = Set(requests.compactMap { $0.targetID == nil ? $0.aboutTenant : nil })
            .union(targets[Tenant.type] ?? [])
        // With its fields a request's whole plan is read: only where they give it its name.
        let unmade = requests.filter { request in
            tellsSealed && Consoles.declared[request.operation]?.declaresConcerns == true
        }.map(\.eventID)
        let found = try reader.query(
            [EventQueries.staffNames(staff.sorted()), EventQueries.tenantNames(tenants.sorted())]
                + (unmade.isEmpty ? [] : [EventQueries.sealed(unmade)]))
        // What is not there yet is called after what was asked for, until that is erased.
        var asked: [String: JSON] = [:]
        for row in found.dropFirst(2).joined() {
            asked[try row.string("event_id")] = try row.json("members")["details"]?["value"]?["input"]
        }
        var names: [String: String] = [:]
        for row in found[0] + found[1] { names[try row.string("id")] = try row.string("name") }
        // Most are about tenants and people. Anything else is one look for each type.
        for (type, ids) in targets where type != Staff.type && type != Tenant.type {
            guard let kind = Consoles.declared.entity(type) else { continue }
            names.merge(try kind.displayNames(ids.sorted(), reader)) { _, name in name }
        }
        return requests.map { request in
            ApprovalEntry(
                // What asks by itself is a part of Postern.
                request: request,
                requesterName: names[request.requester]
                    ?? (request.requester.hasPrefix(Staff.idPrefix) ? nil : "Postern"),
                targetName: (request.targetID ?? request.aboutTenant).flatMap { names[$0] },
                concerns: asked[request.eventID].flatMap { Consoles.declared[request.operation]?.concerns($0) })
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
    /// The event that ended it: by whom, and when.
    var end: EventRow?
    /// What it answered waits to be shown, once, to who asked.
    let hasReveal: Bool
    /// Who could still sign, and who of them is there; `nil` when it takes no signatures.
    let shift: OnShift?
    /// Mail goes out at all.
    var sendsMail = true
    /// What became of the notices and the mail that were queued when it ran; `nil` where it did not.
    var queued: QueuedNotices?
    /// Those whose ids its plan shows, where a page does.
    var people = PeopleNames()
    /// That somebody set the clock: while it may come to something, it is neither carried out nor called expired by that.
    var held: ClockJump?
    /// The event that carried it out.
    var outcome: EventDetail?
    /// Whether that event can be taken back, as far as who looks may know.
    var undo: EventUndo?
    /// Whom it tells in their inboxes when it runs, one sentence each.
    var notices: [String] = []
    /// Who hears of its notices; `nil` where it has none, or comes to nothing.
    var receivers: Receivers?
    /// The staff channel hears of it.
    var sendsSlack = false

    /// - Throws: `OperationError.notFound`; `.forbidden` to whoever neither asked for it, nor could sign it, nor may see all.
    static func load(_ id: String, for caller: Caller, from reader: any Reader) throws -> ApprovalDetail {
        guard Identifier.isValid(id, prefix: "apr"), let row = try reader.first(ApprovalListQueries.one(id)) else {
            throw OperationError.notFound("There is no request \(id.prefix(60)).")
        }
        return try load(ApprovalRequest(row), for: caller, from: reader)
    }

    /// - Parameter request: as this transaction read it.
    static func load(
        _ request: ApprovalRequest, for caller: Caller, from reader: any Reader
    ) throws -> ApprovalDetail {
        try request.checkOpen(to: caller)
        let entry = try ApprovalList.name([request], from: reader)[0]
        let id = request.id
        let held = try request.state.isLive ? ClockJump.open(from: reader) : nil
        let signatures = try ApprovalSignatures(
            of: request, rows: reader.query(ApprovalListQueries.signatures(on: id)), and: [caller.person],
            StaffDirectory(), isClockTrusted: held == nil, from: reader)
        let ending = try request.outcomeEventID.map { try EventDetail.load($0, from: reader) }
        var detail = ApprovalDetail(
            entry: entry, event: try EventDetail.load(request.eventID, from: reader),
            planEvent: request.planEventID == request.eventID
                ? nil : try EventDetail.load(request.planEventID, from: reader),
            signatures: signatures, names: signatures.standings.mapValues(\.name),
            ending: ending.flatMap {
                $0.value("details")?["reason"]?.string ?? $0.value("justification")?.string
                    ?? $0.value("details")?["consequence"]?.string
            },
            end: ending?.row,
            hasReveal: try request.state == .executed && !caller.isAccount && request.requester == caller.person
                && reader.first(ApprovalListQueries.reveal(of: id, at: reader.now)) != nil,
            shift: request.isOpen(at: reader.now)
                ? try Signers.onShift(for: request, signatures: signatures.all, from: reader) : nil,
            sendsMail: try ChannelState.isOn(.mail, reader), held: held)
        if request.state == .executed {
            detail.outcome = ending
            detail.undo = try ending.map {
                try EventUndo.of($0, for: caller, catalog: Consoles.declared, from: reader)
            }
        }
        try detail.foresee(from: reader)
        return detail
    }

    /// Whose signature counts no more, and why, by person. What is over went by how they stood then: nobody's.
    var lapsed: [String: String] {
        guard entry.request.state.isLive else { return [:] }
        return Dictionary(signatures.lapsed.map { ($0.person, $0.reason) }, uniquingKeysWith: { first, _ in first })
    }

    /// Those who agreed: while it may come to something whose signature counts, afterwards who signed.
    var agreed: [Signer] { entry.request.state.isLive ? signatures.counting : signatures.given }

    /// Whether it expired by a clock that nobody set, also where nothing has said so yet.
    func isOverdue(at now: Instant) -> Bool {
        let request = entry.request
        return held == nil && request.state.isOpen && !request.isOpen(at: now)
    }

    /// How it stands: expired also where nothing has said so yet.
    func standing(at now: Instant) -> ApprovalRequest.State { isOverdue(at: now) ? .expired : entry.request.state }

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

    /// The log holds what was asked no more: it went with whoever it was about.
    var isErased: Bool {
        let shown = planEvent ?? event
        guard event.isIntact, shown.isIntact, case .erased? = shown.members["details"] else { return false }
        return true
    }

    /// What it would do, as planned last.
    var plan: JSON? { (planEvent ?? event).value("details")?["plan"] }
    /// What is different since it was signed before.
    var difference: [JSON] { planEvent?.value("details")?["difference"]?.array ?? [] }
    var input: JSON? { event.value("details")?["input"] }

    func json(at now: Instant) -> JSON {
        var body = entry.json.object ?? [:]
        body.merge(planMembers) { _, told in told }
        body["input"] = input ?? .null
        body["plan"] = plan ?? .null
        body["difference"] = .array(difference)
        body["justification"] = event.value("justification") ?? .null
        body["ticket"] = event.value("ticket") ?? .null
        body["matches_action"] = .bool(matchesAction)
        let lapsed = lapsed
        body["signatures"] = .array(
            signatures.all.map { signature in
                var document = signature.document.object ?? [:]
                document["name"] = JSON(names[signature.person])
                document["lapsed"] = lapsed[signature.person].map(JSON.string)
                return .object(document)
            })
        // Nobody is missing from what takes no signatures any more.
        body["still_needed"] = JSON(shift.map { _ in signatures.missing(beside: signatures.counting) })
        body["emergency"] = event.leaf["facts"]?[EventDraft.emergencyFact] ?? .null
        body["has_reveal"] = .bool(hasReveal)
        body["is_overdue"] = .bool(isOverdue(at: now))
        body["ending"] = JSON(ending)
        return .object(body)
    }

    var disclosure: Disclosure {
        Disclosure(
            "approval.view", target: ("approval", entry.request.id), tenant: event.row.tenantID,
            count: 1 + people.users.count, ids: [entry.request.id] + people.users)
    }
}
