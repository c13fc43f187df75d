import HTML
import Kernel

/// The log as people read it, and the requests that wait for other people.
public enum AuditLogConsole {
    public static let console = Console(
        "Audit log",
        menu: [
            .init(
                .work, "Approvals", icon: "approve", path: "/approvals", permission: nil,
                foresees: { [ApprovalList.waiting(for: $0)].compactMap { $0 } }, due: waiting),
            .init(.assurance, "Audit log", icon: "log", path: "/audit", permission: "audit.view"),
        ],
        reads: [listEvents, viewEvent, listApprovals, viewApproval],
        pages: [AuditPages.list, AuditPages.detail, ApprovalPages.list, ApprovalPages.detail],
        specimens: [
            .init("Requests", ApprovalRequest.State.allCases.map { ApprovalPages.stateChip($0, expired: false) })
        ],
        eventFilter: EventList.filter)

    /// Requests this person could sign.
    private static let waiting: @Sendable (Caller, any Reader) throws -> Int64 = { caller, reader in
        let statement =
            ApprovalList.waiting(for: caller)
            ?? ApprovalListQueries.pending(after: nil, now: reader.now, limit: ApprovalList.mostCounted)
        return Int64(
            try reader.query(statement).map(ApprovalListQueries.request).count {
                reader.now < $0.expiresAt && $0.canBeFilled(by: caller)
            })
    }

    private static let listEvents = Read(
        "audit.list", summary: "Events of the audit log, newest first.", path: "/audit-events",
        permission: "audit.view",
        parameters: [
            .limit, .cursor,
            .init("actor", "Who did it: an id such as stf_…, or a staff member's e-mail."),
            .init("tenant", "The tenant it belongs to: an id or a slug."),
            .init("target", "The id of what it was done to."),
            .init("action", "The action's name, as in tenant.suspend."),
            .init(
                "class", "What kind of fact it is.",
                schema: ["type": "string", "enum": .array(EventClass.allCases.map { .string($0.rawValue) })]),
            .init(
                "outcome", "How it ended.",
                schema: ["type": "string", "enum": .array(EventOutcome.allCases.map { .string($0.rawValue) })]),
            .init("from", "At or after this day or time."),
            .init("until", "Before this time, or up to the end of this day."),
        ], schema: eventSchema, isList: true
    ) { call, reader in
        let list = try EventList.load(call, from: reader)
        return .list(list.rows.map(\.json), next: list.older, disclosure: list.disclosure)
    }

    private static let viewEvent = Read(
        "audit.view", summary: "One event: its leaf, and the sealed members that still exist.",
        path: "/audit-events/{id}",
        permission: "audit.view", schema: eventSchema
    ) { call, reader in
        let event = try EventDetail.load(call.path["id"] ?? "", from: reader)
        return ReadAnswer(event.json, disclosure: event.disclosure)
    }

    private static let listApprovals = Read(
        "approval.list", summary: "Requests that wait for approval, the soonest to expire first.", path: "/approvals",
        permission: "approval.view", parameters: [.limit, .cursor], schema: approvalSchema, isList: true
    ) { call, reader in
        let limit = try call.limit()
        var position: (at: Instant, id: String)?
        if let cursor = call.first("cursor") {
            let parts = try call.cursors.decode(cursor, scope: "approval.list")
            if let at = parts.first?.int, let id = parts.last?.string { position = (Instant(microseconds: at), id) }
        }
        let found = try ApprovalList.pending(after: position, limit: limit + 1, from: reader)
        let page = Array(found.prefix(limit))
        let next =
            found.count > limit
            ? page.last.map {
                call.cursors.encode(
                    scope: "approval.list", [.int($0.request.createdAt.microseconds), .string($0.request.id)])
            } : nil
        return .list(page.map(\.json), next: next, disclosure: ApprovalList.disclosure(of: page))
    }

    private static let viewApproval = Read(
        "approval.view",
        summary:
            "One request: the frozen action, what it would do and who must agree. For its requester, those who could sign it, and holders of approval.view.",
        path: "/approvals/{id}", permission: nil, schema: approvalSchema, hasVersion: true
    ) { call, reader in
        let detail = try ApprovalDetail.load(call.path["id"] ?? "", for: call.caller, from: reader)
        return ReadAnswer(detail.json, version: detail.entry.request.version, disclosure: detail.disclosure)
    }

    private static let eventSchema: JSON = [
        "type": "object",
        "properties": [
            "id": ["type": "string"], "at": ["type": "string", "format": "date-time"], "class": ["type": "string"],
            "action": ["type": "string"], "outcome": ["type": "string"], "actor": ["type": "object"],
            "tenant": ["type": "string"], "target": ["type": "object"], "index": ["type": ["integer", "null"]],
        ],
    ]

    private static let approvalSchema: JSON = [
        "type": "object",
        "properties": [
            "id": ["type": "string"], "operation": ["type": "string"], "state": ["type": "string"],
            "requester": ["type": "string"], "action": ["type": "object"], "demands": ["type": "array"],
            "expires_at": ["type": "string", "format": "date-time"],
        ],
    ]
}
