import HTML
import Kernel

/// The log as people read it.
public enum AuditLogConsole {
    public static let console = Console(
        "Audit log",
        menu: [
            .init(.assurance, "Audit log", icon: "log", path: "/audit", permission: "audit.view")
        ],
        reads: [listEvents, viewEvent],
        pages: [AuditPages.list, AuditPages.detail],
        eventFilter: EventList.filter)

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

    private static let eventSchema: JSON = [
        "type": "object",
        "properties": [
            "id": ["type": "string"], "at": ["type": "string", "format": "date-time"], "class": ["type": "string"],
            "action": ["type": "string"], "outcome": ["type": "string"], "actor": ["type": "object"],
            "tenant": ["type": "string"], "target": ["type": "object"], "index": ["type": ["integer", "null"]],
        ],
    ]

}
