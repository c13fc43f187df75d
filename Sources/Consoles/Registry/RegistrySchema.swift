import Kernel

/// JSON Schema of what the product sends and is answered.
enum RegistrySchema {
    private static let text: JSON = ["type": "string"]
    private static let time: JSON = ["type": "string", "format": "date-time"]
    private static let email: JSON = ["type": "string", "format": "email", "maxLength": 254]
    private static let externalID: JSON = ["type": "string", "pattern": "^[!-~]{1,128}$"]
    private static let name: JSON = ["type": "string", "minLength": 1, "maxLength": 120]
    private static let word: JSON = ["type": "string", "pattern": "^[a-z0-9_-]{1,40}$"]

    private static func words<Word: RawRepresentable<String>>(_ words: [Word]) -> JSON {
        ["type": "string", "enum": .array(words.map { .string($0.rawValue) })]
    }

    private static func object(_ members: [String: JSON], required: [String]) -> JSON {
        [
            "type": "object", "additionalProperties": false, "required": .array(required.map(JSON.string)),
            "properties": .object(members),
        ]
    }

    private static let tenantMembers: [String: JSON] = [
        "external_id": externalID, "name": name,
        "slug": ["type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"],
        "metadata": TenantMetadata.schema(.none), "owner_email": email, "created_at": time, "last_activity_at": time,
        "members": [
            "type": "array", "maxItems": .int(Int64(TenantRecord.mostMembers)),
            "items": object(
                [
                    "email": email, "name": name, "external_id": externalID, "role": words(MembershipRole.allCases),
                    "last_login_at": time,
                ], required: ["email"]),
        ],
        "status": words(RegistryRow.importable), "plan": word, "tier": word, "region": word,
        "onboarding": words(RegistryRow.Onboarding.allCases),
    ]
    private static let userMembers: [String: JSON] = [
        "external_id": externalID, "email": email, "name": name, "last_login_at": time,
    ]
    private static let roles = words(MembershipRole.allCases.filter { $0 != .owner })
    private static let memberMembers: [String: JSON] = [
        "role": roles, "status": words(MembershipStatus.allCases),
    ]

    static let tenant = object(tenantMembers, required: ["name", "slug"])
    static let user = object(userMembers, required: [])
    static let member = object(memberMembers, required: [])

    /// One line of a batch.
    static let record: JSON = [
        "oneOf": [
            typed("tenant", tenantMembers, required: ["external_id", "name", "slug"]),
            typed("user", userMembers, required: ["external_id"]),
            typed(
                "member", memberMembers.merging(["tenant": externalID, "user": externalID]) { first, _ in first },
                required: ["tenant", "user"]),
        ]
    ]

    private static func typed(_ kind: String, _ members: [String: JSON], required: [String]) -> JSON {
        object(members.merging(["type": ["const": .string(kind)]]) { first, _ in first }, required: ["type"] + required)
    }

    private static let result: JSON = ["type": "string", "enum": ["created", "updated", "unchanged"]]
    private static let event: JSON = ["type": ["string", "null"]]
    private static let drift: JSON = ["type": "array", "items": words(Drift.Field.allCases)]

    static func put(_ name: String, _ schema: JSON) -> JSON {
        [
            "type": "object", "required": ["outcome", .string(name), "event_id"],
            "properties": .object(["outcome": result, name: schema, "event_id": event, "drift": drift]),
        ]
    }

    static let memberPut: JSON = [
        "type": "object", "required": ["outcome", "tenant", "user", "event_id"],
        "properties": ["outcome": result, "tenant": text, "user": text, "event_id": event],
    ]

    /// The answer to one line of a batch.
    static let outcome: JSON = [
        "type": "object", "required": ["row", "outcome"],
        "properties": [
            "row": ["type": "integer", "minimum": 1],
            "outcome": ["type": "string", "enum": ["created", "updated", "unchanged", "rejected"]],
            "external_id": text, "id": text, "drift": drift,
            "errors": [
                "type": "array",
                "items": [
                    "type": "object", "required": ["pointer", "detail"],
                    "properties": ["pointer": text, "detail": text],
                ],
            ],
        ],
    ]
}
