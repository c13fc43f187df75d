import Kernel

/// What the API answers about emergencies.
enum BreakGlassReads {
    static let permission = "breakglass.view"

    static let list = Read(
        "breakglass.list", summary: "Emergencies, the newest first.", path: "/breakglass-sessions",
        permission: permission, parameters: BreakGlassListing.parameters, schema: BreakGlass.schema, isList: true
    ) { call, reader in
        let listing = try BreakGlassListing.load(call, from: reader)
        return .list(listing.entries.map(\.json), next: listing.next, disclosure: listing.disclosure)
    }

    static let view = Read(
        "breakglass.view", summary: "One emergency: who opened it, who agreed, why, and what its review found.",
        path: "/breakglass-sessions/{id}", permission: permission, schema: BreakGlass.schema, hasVersion: true
    ) { call, reader in
        let detail = try BreakGlassDetail.load(call.path["id"] ?? "", from: reader)
        return ReadAnswer(detail.json, version: detail.session.version, disclosure: detail.disclosure)
    }

    static let events = Read(
        "breakglass.events", summary: "Everything its opener did while an emergency was open, the newest first.",
        path: "/breakglass-sessions/{id}/events", permission: permission,
        parameters: [BreakGlassEvents.showParameter, .limit, .cursor],
        schema: [
            "type": "object", "required": ["id", "at", "class", "action", "outcome", "actor"],
            "properties": [
                "id": ["type": "string"], "at": ["type": "string", "format": "date-time"],
                "class": ["type": "string"], "action": ["type": "string"], "outcome": ["type": "string"],
                "actor": ["type": "object"], "tenant": ["type": "string"], "target": ["type": "object"],
                "index": ["type": ["integer", "null"]],
                // Its time is up to 2 seconds before the beginning or after the end: a server's clock may differ so far.
                "outside": [
                    "type": ["string", "null"],
                    "enum": ["before", "after", .null],
                ],
            ],
        ], isList: true
    ) { call, reader in
        let session = try BreakGlassDetail.find(call.path["id"] ?? "", from: reader)
        let events = try BreakGlassEvents.load(session, call, from: reader)
        return .list(events.rows.map(events.json), next: events.next, disclosure: events.disclosure)
    }
}
