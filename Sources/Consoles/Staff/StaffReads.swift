import Kernel

/// What the API answers about people and access.
enum StaffReads {
    static let list = Read(
        "staff.list", summary: "Staff with the roles they hold now.", path: "/staff", permission: "staff.view",
        parameters: StaffFilter.declared + [.limit, .cursor], schema: personSchema, isList: true
    ) { call, reader in
        let listing = try StaffListing.load(call, from: reader)
        return .list(listing.people.map(\.json), next: listing.next, disclosure: listing.disclosure)
    }

    static let view = Read(
        "staff.view", summary: "One person: roles, grants and kinds of factors.", path: "/staff/{id}",
        permission: "staff.view", schema: personSchema, hasVersion: true
    ) { call, reader in
        let detail = try StaffDetail.load(call.path["id"] ?? "", from: reader)
        return ReadAnswer(
            detail.json(at: reader.now), version: detail.staff.version, disclosure: detail.disclosure)
    }

    static let matrix = Read(
        "access.matrix", summary: "Roles, permissions, limits and approval rules as they stand in the tables.",
        path: "/access", permission: "access.view",
        schema: [
            "type": "object", "required": ["roles", "permissions", "rules"],
            "properties": [
                "roles": ["type": "array", "items": ["type": "object"]],
                "permissions": ["type": "array", "items": ["type": "object"]],
                "rules": ["type": "array", "items": ["type": "object"]],
            ],
        ]
    ) { _, reader in
        // Codes and numbers, no personal data.
        ReadAnswer(try AccessMatrix.load(from: reader).json)
    }

    /// One's own, so there is nobody to disclose it to.
    static let sessions = Read(
        "session.list", summary: "Your own sessions, the newest first.", path: "/sessions", permission: nil,
        parameters: [.limit, .cursor], schema: sessionSchema(own: true), isList: true
    ) { call, reader in
        // An account has none, and its owner's are not its business.
        guard !call.caller.isAccount else {
            throw OperationError.forbidden(
                permission: "session.view", detail: "Service accounts and assistants have no sessions.")
        }
        let listing = try SessionListing.load(of: call.caller.person, call, from: reader)
        return .list(
            listing.items.map { $0.json(current: call.caller.authentication?.session) }, next: listing.next)
    }

    static let sessionsOf = Read(
        "staff.sessions", summary: "Sessions of a person that are going on, the newest first.",
        path: "/staff/{id}/sessions", permission: "session.view", parameters: [.limit, .cursor],
        schema: sessionSchema(own: false), isList: true
    ) { call, reader in
        let staff = try StaffDetail.find(call.path["id"] ?? "", from: reader)
        let listing = try SessionListing.load(of: staff.id, call, from: reader)
        return .list(
            listing.items.map(\.json), next: listing.next,
            disclosure: SessionListing.disclosure(of: staff.id, listing.items))
    }

    static let flags = Read(
        "staff_flag.list",
        summary:
            "Exceptions to the roles that are not held together, the newest first: those that wait for their review.",
        path: "/staff-flags", permission: "staff.view", parameters: [StaffFlagListing.stateParameter, .limit, .cursor],
        schema: StaffFlag.schema, isList: true
    ) { call, reader in
        let listing = try StaffFlagListing.load(call, from: reader)
        return .list(listing.items.map(\.document), next: listing.next, disclosure: listing.disclosure)
    }

    /// - Parameter own: with the whole address, and which of them asks.
    private static func sessionSchema(own: Bool) -> JSON {
        var properties: [String: JSON] = [
            "id": ["type": "string"], "client": ["type": "string"], "user_agent": ["type": "string"],
            "network": ["type": "string"], "created_at": ["type": "string", "format": "date-time"],
            "last_seen_at": ["type": "string", "format": "date-time"],
            "expires_at": ["type": "string", "format": "date-time"],
        ]
        if own {
            properties["current"] = ["type": "boolean"]
            properties["ip"] = ["type": "string"]
        }
        return [
            "type": "object", "required": .array(properties.keys.sorted().map(JSON.string)),
            "properties": .object(properties),
        ]
    }

    private static let personSchema: JSON = [
        "type": "object", "required": ["id", "version", "email", "name", "status", "roles", "created_at"],
        "properties": [
            "id": ["type": "string"], "version": ["type": "integer"], "email": ["type": "string"],
            "name": ["type": "string"],
            "status": ["type": "string", "enum": .array(Staff.Status.allCases.map { .string($0.rawValue) })],
            "roles": ["type": "array", "items": ["type": "string"]],
            "last_seen_at": ["type": ["string", "null"], "format": "date-time"],
            "created_at": ["type": "string", "format": "date-time"],
            // Of one person: until its review, everything but what it gives is locked.
            "lock": [
                "type": ["object", "null"],
                "properties": [
                    "breakglass_id": ["type": "string"], "ends_at": ["type": "string", "format": "date-time"],
                    "review_due_at": ["type": ["string", "null"], "format": "date-time"],
                ],
            ],
        ],
    ]
}
