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
            ("event_id", .string(request.eventID)), ("created_at", .string(request.createdAt.rfc3339)),
            ("expires_at", .string(request.expiresAt.rfc3339)),
        ])
    }
}

enum ApprovalList {
    static func pending(
        after position: (at: Instant, id: String)? = nil, limit: Int, from reader: any Reader
    ) throws -> [ApprovalEntry] {
        try name(
            reader.query(ApprovalListQueries.pending(after: position, now: reader.now, limit: limit)).map(
                ApprovalListQueries.request), from: reader)
    }

    static func own(of person: String, from reader: any Reader) throws -> [ApprovalEntry] {
        try name(
            reader.query(ApprovalListQueries.pending(of: person, limit: 20)).map(ApprovalListQueries.request),
            from: reader)
    }

    /// The menu counts no further.
    static let mostCounted = 100

    /// What the menu asks for a person: known before the database has said what time it is, by when the session was looked up.
    static func waiting(for caller: Caller) -> Statement? {
        caller.authentication.map {
            ApprovalListQueries.pending(after: nil, now: $0.readAt, limit: mostCounted)
        }
    }

    /// Requests that wait on a target, by operation.
    static func waiting(
        on target: String, for caller: Caller, from reader: any Reader
    ) throws -> [String: WaitingRequest] {
        var found: [String: WaitingRequest] = [:]
        for row in try reader.query(ApprovalListQueries.pending(on: target)) {
            let request = try ApprovalListQueries.request(row)
            guard reader.now < request.expiresAt else { continue }
            found[request.operation] = WaitingRequest(request, for: caller)
        }
        return found
    }

    /// Other people's requests tell who asked and about whom; `nil` when there are none.
    static func disclosure(of entries: [ApprovalEntry]) -> Disclosure? {
        entries.isEmpty
            ? nil : Disclosure("approval.list", count: entries.count, ids: entries.map(\.request.id))
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

/// A request in full: the frozen action, and the values it commits to.
struct ApprovalDetail: Sendable {
    let entry: ApprovalEntry
    let event: EventDetail

    /// - Throws: `OperationError.notFound`; `.forbidden` to whoever neither asked for it, nor could sign it, nor may see all.
    static func load(_ id: String, for caller: Caller, from reader: any Reader) throws -> ApprovalDetail {
        guard Identifier.isValid(id, prefix: "apr"), let row = try reader.first(ApprovalListQueries.one(id)) else {
            throw OperationError.notFound("There is no request \(id.prefix(60)).")
        }
        let entry = try ApprovalList.name([ApprovalListQueries.request(row)], from: reader)[0]
        guard entry.request.isOpen(to: caller) else {
            throw OperationError.forbidden(
                permission: "approval.view", detail: "This is somebody else’s request, and none of your roles signs it."
            )
        }
        return ApprovalDetail(entry: entry, event: try EventDetail.load(entry.request.eventID, from: reader))
    }

    /// Whether every value shown is the one the frozen action commits to.
    var matchesAction: Bool {
        let commitments = entry.request.action["sealed"]?.object ?? [:]
        return event.isIntact
            && commitments.allSatisfy { name, commitment in event.leaf["sealed"]?[name] == commitment }
    }

    /// What it would do, as planned when it was asked for.
    var plan: JSON? { event.value("details")?["plan"] }
    var consequence: String? { event.value("details")?["consequence"]?.string }
    var input: JSON? { event.value("details")?["input"] }

    var json: JSON {
        var body = entry.json.object ?? [:]
        body["consequence"] = JSON(consequence)
        body["input"] = input ?? .null
        body["plan"] = plan ?? .null
        body["justification"] = event.value("justification") ?? .null
        body["ticket"] = event.value("ticket") ?? .null
        body["matches_action"] = .bool(matchesAction)
        return .object(body)
    }

    var disclosure: Disclosure {
        Disclosure(
            "approval.view", target: ("approval", entry.request.id), tenant: event.row.tenantID, count: 1,
            ids: [entry.request.id])
    }
}
