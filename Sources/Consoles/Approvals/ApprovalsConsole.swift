import HTML
import Kernel

/// Requests that need a second person, and what people decide about them.
public enum ApprovalsConsole {
    public static let console = Console(
        "Approvals",
        menu: [
            .init(
                .work, "Approvals", icon: "approve", path: "/approvals", permission: nil,
                foresees: { [counted($0)].compactMap(\.self) }, due: waiting)
        ],
        operations: Decisions.all,
        reads: [list, view],
        entities: [
            AnyEntityType(ApprovalRequest.self), AnyEntityType(ApprovalSignature.self),
            AnyEntityType(ExchangeRate.self),
        ],
        pages: [ApprovalPages.list, ApprovalPages.detail],
        subjects: [
            ApprovalRequest.type: { entity, call, reader in
                try (entity as? ApprovalRequest).map { try ApprovalPages.subject($0, call, reader) }
            }
        ],
        specimens: [
            .init("Requests", ApprovalRequest.State.allCases.map { ApprovalPages.stateChip($0, expired: false) })
        ])

    /// Requests this person could sign.
    private static let waiting: @Sendable (Caller, any Reader) throws -> Int64 = { caller, reader in
        try reader.first(counted(caller) ?? asking(caller, at: reader.now))?.int("count") ?? 0
    }

    /// What the menu asks for a person: known before the database has said what time it is, by when the session was looked
    /// up.
    private static func counted(_ caller: Caller) -> Statement? {
        caller.authentication.map { asking(caller, at: $0.readAt) }
    }

    private static func asking(_ caller: Caller, at now: Instant) -> Statement {
        ApprovalListQueries.countAsking(ApprovalRequest.leaves(of: caller), besides: caller.person, now: now)
    }

    private static let list = Read(
        "approval.list",
        summary: "Requests: those you could sign, your own, all that wait, or those decided on.", path: "/approvals",
        permission: nil, parameters: ApprovalListing.parameters, schema: approvalSchema, isList: true
    ) { call, reader in
        let listing = try ApprovalListing.load(call, from: reader)
        return .list(listing.entries.map(\.json), next: listing.next, disclosure: listing.disclosure)
    }

    private static let view = Read(
        "approval.view",
        summary:
            "One request: the frozen action, what it would do and who must agree. For its requester, those who could sign it, and holders of approval.view; a service account sees of its owner's what it asked for itself.",
        path: "/approvals/{id}", permission: nil, schema: approvalSchema, hasVersion: true
    ) { call, reader in
        let detail = try ApprovalDetail.load(call.path["id"] ?? "", for: call.caller, from: reader)
        return ReadAnswer(
            detail.json(at: reader.now), version: detail.entry.request.version, disclosure: detail.disclosure)
    }

    private static let approvalSchema: JSON = [
        "type": "object",
        "properties": [
            "id": ["type": "string"], "operation": ["type": "string"], "state": ["type": "string"],
            "requester": ["type": "string"], "account": ["type": "string"], "action": ["type": "object"],
            "demands": ["type": "array"],
            "plan_digest": ["type": "string"], "round": ["type": "integer"],
            "expires_at": ["type": "string", "format": "date-time"],
            "execute_at": ["type": "string", "format": "date-time"], "signatures": ["type": "array"],
            "concerns": [
                "type": "string",
                "description":
                    "What it is called after beside its target, or where that is not there yet: of the fields, what tells it from others.",
            ],
            "still_needed": [
                "type": ["string", "null"], "description": "Of one request: who must sign yet, in words.",
            ],
            "anew": [
                "type": "object",
                "description":
                    "Of one request: what of its plan is made anew when it runs. values: each with the part of the plan it is in (changes or effects), the places it stands at, and a JSON pointer into each of them; with after_seconds or after_days where it is a time that is counted from then, and without where it is another one each time.",
            ],
            "changes": [
                "type": ["array", "null"],
                "description": "Of one that was carried out: what its event recorded, row by row.",
            ],
            "reversibility": [
                "type": ["string", "null"],
                "description": "Of one request: whether it can be undone once it is done, in words.",
            ],
            "reveals": [
                "type": "array",
                "description": "Names of what is shown once to whoever asked, and to nobody else.",
            ],
            "sent": [
                "type": ["array", "null"],
                "description":
                    "Whom it tells when it runs, or told: kind, name and summary of each. Null where it ran so long ago that the log need not say any more.",
            ],
            "has_reveal": ["type": "boolean", "description": "It has something to show the caller, once."],
            "is_overdue": [
                "type": "boolean",
                "description":
                    "Of one request: the time to sign it is over and its state does not say so yet. It expires, and nothing comes of it.",
            ],
        ],
    ]
}
