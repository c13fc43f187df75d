import Kernel

/// What the API answers about people and access.
enum StaffReads {
    static let list = Read(
        "staff.list", summary: "Staff with the roles they hold now.", path: "/staff", permission: "staff.view",
        parameters: [.limit, .cursor], schema: personSchema, isList: true
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
        "session.list", summary: "Your own sessions.", path: "/sessions", permission: nil,
        schema: [
            "type": "object",
            "required": ["id", "current", "client", "user_agent", "ip", "created_at", "last_seen_at", "expires_at"],
            "properties": [
                "id": ["type": "string"], "current": ["type": "boolean"], "client": ["type": "string"],
                "user_agent": ["type": "string"], "ip": ["type": "string"],
                "created_at": ["type": "string", "format": "date-time"],
                "last_seen_at": ["type": "string", "format": "date-time"],
                "expires_at": ["type": "string", "format": "date-time"],
            ],
        ], isList: true
    ) { call, reader in
        let sessions = try SessionRow.load(of: call.caller.person, from: reader)
        return .list(sessions.map { $0.json(current: call.caller.authentication?.session) }, next: nil)
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
        ],
    ]
}
