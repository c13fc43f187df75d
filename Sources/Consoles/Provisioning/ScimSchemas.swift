import Kernel

/// What is said of the service itself: its features, its kinds of resources and their attributes (RFC 7643 §5–§7). What stands
/// here is what is kept; other attributes that providers send along are let go.
enum ScimSchemas {
    static let user = "urn:ietf:params:scim:schemas:core:2.0:User"
    static let group = "urn:ietf:params:scim:schemas:core:2.0:Group"
    static let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
    static let list = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
    static let patch = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
    private static let meta = "urn:ietf:params:scim:schemas:core:2.0:"

    /// How many resources a page has at most.
    static let mostResults = 200

    /// One attribute of a resource.
    struct Attribute: Sendable {
        var name: String
        var type = "string"
        var isMany = false
        var help: String
        var isRequired = false
        var isExact = false
        var mutability = "readWrite"
        var uniqueness = "none"
        var subs: [Attribute] = []
        var references: [String] = []
        var canonical: [String] = []

        var isReadOnly: Bool { mutability == "readOnly" }

        var json: JSON {
            JSON.members([
                ("name", .string(name)), ("type", .string(type)), ("multiValued", .bool(isMany)),
                ("description", .string(help)), ("required", .bool(isRequired)),
                ("caseExact", type == "string" || type == "reference" ? .some(.bool(isExact)) : .none),
                ("mutability", .string(mutability)), ("returned", "default"),
                ("uniqueness", type == "complex" || type == "boolean" ? .none : .some(.string(uniqueness))),
                ("subAttributes", subs.isEmpty ? .none : .some(.array(subs.map(\.json)))),
                ("referenceTypes", references.isEmpty ? .none : .some(.array(references.map(JSON.string)))),
                ("canonicalValues", canonical.isEmpty ? .none : .some(.array(canonical.map(JSON.string)))),
            ])
        }
    }

    static let userAttributes: [Attribute] = [
        Attribute(
            name: "userName", help: "What the provider calls the person; the e-mail where nothing else was told.",
            isRequired: true, uniqueness: "server"),
        Attribute(
            name: "name", type: "complex", help: "The parts of the person's name.",
            subs: [
                Attribute(name: "formatted", help: "The whole name, as it is shown."),
                Attribute(name: "familyName", help: "The family name."),
                Attribute(name: "givenName", help: "The given name."),
            ]),
        Attribute(name: "displayName", help: "What colleagues see. Without it the parts of the name are shown."),
        Attribute(
            name: "emails", type: "complex", isMany: true,
            help: "The address the person signs in with. One is kept: the primary one, or the last.", isRequired: true,
            subs: [
                Attribute(name: "value", help: "The address.", isRequired: true, uniqueness: "server"),
                Attribute(name: "type", help: "Always work.", mutability: "readOnly", canonical: ["work"]),
                Attribute(name: "primary", type: "boolean", help: "Always true.", mutability: "readOnly"),
            ]),
        Attribute(
            name: "active", type: "boolean",
            help:
                "False ends every role, session and account of the person at once; true brings whom it ended back without roles.",
            isRequired: true),
        Attribute(
            name: "groups", type: "complex", isMany: true,
            help: "The roles the person holds or is to hold. They change through the groups.", mutability: "readOnly",
            subs: [
                Attribute(name: "value", help: "The role.", isExact: true, mutability: "readOnly"),
                Attribute(
                    name: "$ref", type: "reference", help: "Where it is.", isExact: true, mutability: "readOnly",
                    references: ["Group"]),
                Attribute(name: "display", help: "What it is called.", mutability: "readOnly"),
                Attribute(
                    name: "type", help: "direct, or pending while it waits for somebody to accept it.",
                    mutability: "readOnly", canonical: ["direct", "pending"]),
            ]),
    ]

    static let groupAttributes: [Attribute] = [
        Attribute(
            name: "displayName", help: "What the role is called. Roles are made and named in Postern.",
            isRequired: true,
            mutability: "immutable", uniqueness: "server"),
        Attribute(
            name: "members", type: "complex", isMany: true,
            help: "Who holds the role, or is to hold it once somebody accepts that.",
            subs: [
                Attribute(name: "value", help: "The id of the person.", isExact: true, mutability: "immutable"),
                Attribute(
                    name: "$ref", type: "reference", help: "Where the person is.", isExact: true,
                    mutability: "readOnly", references: ["User"]),
                Attribute(name: "display", help: "What the person is called.", mutability: "readOnly"),
                Attribute(name: "type", help: "Always User.", mutability: "readOnly", canonical: ["User"]),
            ]),
    ]

    /// Attributes of the core and enterprise schemas that are not kept: sent along they are let go, where an attribute nobody
    /// has heard of is an error.
    static let letGo: Set<String> = [
        "nickname", "profileurl", "title", "usertype", "preferredlanguage", "locale", "timezone", "password",
        "phonenumbers", "ims", "photos", "addresses", "entitlements", "roles", "x509certificates", "employeenumber",
        "costcenter", "organization", "division", "department", "manager",
    ]
    static let letGoOfName: Set<String> = ["middlename", "honorificprefix", "honorificsuffix"]

    static func schema(_ id: String, at address: String) -> JSON? {
        switch id {
        case user: schema(user, "User", "Somebody who works here", userAttributes, address)
        case group: schema(group, "Group", "A role, with those who hold it", groupAttributes, address)
        default: nil
        }
    }

    private static func schema(
        _ id: String, _ name: String, _ help: String, _ attributes: [Attribute], _ address: String
    ) -> JSON {
        [
            "schemas": [.string(meta + "Schema")], "id": .string(id), "name": .string(name),
            "description": .string(help), "attributes": .array(attributes.map(\.json)),
            "meta": ["resourceType": "Schema", "location": .string("\(address)/Schemas/\(id)")],
        ]
    }

    static func resourceType(_ id: String, at address: String) -> JSON? {
        let (schema, endpoint, help): (String, String, String)
        switch id {
        case "User": (schema, endpoint, help) = (user, "/Users", "Staff")
        case "Group": (schema, endpoint, help) = (group, "/Groups", "Roles")
        default: return nil
        }
        return [
            "schemas": [.string(meta + "ResourceType")], "id": .string(id), "name": .string(id),
            "endpoint": .string(endpoint), "description": .string(help), "schema": .string(schema),
            "meta": ["resourceType": "ResourceType", "location": .string("\(address)/ResourceTypes/\(id)")],
        ]
    }

    static func configuration(at address: String) -> JSON {
        [
            "schemas": [.string(meta + "ServiceProviderConfig")],
            "patch": ["supported": true],
            "bulk": ["supported": false, "maxOperations": 0, "maxPayloadSize": 0],
            "filter": ["supported": true, "maxResults": .int(Int64(mostResults))],
            "changePassword": ["supported": false], "sort": ["supported": false], "etag": ["supported": true],
            "authenticationSchemes": [
                [
                    "type": "oauthbearertoken", "name": "Bearer token", "primary": true,
                    "description": "A SCIM token made in Postern, sent as Authorization: Bearer.",
                ]
            ],
            "meta": [
                "resourceType": "ServiceProviderConfig", "location": .string("\(address)/ServiceProviderConfig"),
            ],
        ]
    }

    static func listing(_ resources: [JSON], total: Int64, start: Int64 = 1) -> JSON {
        [
            "schemas": [.string(list)], "totalResults": .int(total), "startIndex": .int(start),
            "itemsPerPage": .int(Int64(resources.count)), "Resources": .array(resources),
        ]
    }
}
