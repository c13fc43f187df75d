import HTML
import Kernel

/// What each person is told in the console.
public enum InboxConsole {
    public static let console = Console(
        "Inbox",
        menu: [
            .init(
                .work, "Inbox", icon: "mail", path: "/inbox", permission: nil,
                foresees: { [InboxQueries.countUnread(of: $0.person)] },
                due: { caller, reader in
                    try reader.first(InboxQueries.countUnread(of: caller.person))?.int("count") ?? 0
                })
        ],
        reads: [list], pages: [InboxPages.list],
        specimens: [
            .init(
                "Notices",
                [(true, false), (false, false), (false, true)].map { InboxPages.state(isUnread: $0.0, isMoot: $0.1) })
        ])

    private static let list = Read(
        "inbox.list",
        summary:
            "What you were told: requests you could sign, what became of yours, emergencies, access reviews, changes of your account. The newest first.",
        path: "/inbox", permission: nil, parameters: InboxListing.parameters, schema: schema, isList: true
    ) { call, reader in
        guard !call.caller.isAccount else { throw OperationError.notAsked("Only people have an inbox.") }
        let listing = try InboxListing.load(call, catalog: Consoles.declared, from: reader)
        return .list(listing.entries.map(\.json), next: listing.next, disclosure: listing.disclosure)
    }

    private static let schema: JSON = [
        "type": "object", "required": ["id", "kind", "title", "event_id", "created_at"],
        "properties": [
            "id": ["type": "string"],
            "kind": ["type": "string", "enum": .array(Notice.Kind.allCases.map { .string($0.rawValue) })],
            "title": ["type": "string"], "detail": ["type": ["string", "null"]], "who": ["type": ["string", "null"]],
            "path": ["type": ["string", "null"]], "about": ["type": ["object", "null"]], "event_id": ["type": "string"],
            "created_at": ["type": "string", "format": "date-time"],
            "read_at": ["type": ["string", "null"], "format": "date-time"], "is_moot": ["type": "boolean"],
        ],
    ]
}
