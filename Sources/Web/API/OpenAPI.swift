import Kernel

/// The OpenAPI 3.1 document, derived from the declarations and from nothing else.
public enum OpenAPI {
    /// The document of a catalogue, for a golden file: sorted and indented, the same for the same declarations.
    public static func text(_ catalog: Catalog) -> String {
        String(decoding: document(catalog).prettyBytes, as: UTF8.self)
    }

    static func document(_ catalog: Catalog) -> JSON {
        var paths: [String: [String: JSON]] = [:]
        for read in catalog.reads {
            paths[read.path, default: [:]]["get"] = path(read)
            if let export = read.export { paths[read.path + "/export", default: [:]]["get"] = path(read, export) }
        }
        for operation in catalog.operations where !operation.spec.systemOnly {
            paths[operation.apiPath, default: [:]]["post"] = path(operation)
        }
        for source in catalog.evidence { paths[source.path, default: [:]]["get"] = path(source) }
        for (path, method, entry) in fixed(catalog) { paths[path, default: [:]][method] = entry }
        // Every answer says what is left of the limit it was counted by.
        paths = paths.mapValues { $0.mapValues(limited) }
        return [
            "openapi": "3.1.0",
            "info": [
                "title": "Postern", "version": "1",
                "description":
                    .string(
                        "The back office's API. Every operation is carried out through one pipeline: permission, "
                            + "step-up, justification, preview, approval, audit event."),
                "license": ["name": "Apache-2.0", "identifier": "Apache-2.0"],
            ],
            "servers": [["url": "/api/v1"]],
            "security": [["session": []]],
            "tags": .array(tags(catalog).map { ["name": .string($0)] }),
            "paths": .object(paths.mapValues(JSON.object)),
            "components": [
                "securitySchemes": [
                    "session": [
                        "type": "http", "scheme": "bearer",
                        "description":
                            "The token of POST /sessions/totp or /sessions/recovery, or that of a service account or an assistant.",
                    ]
                ],
                "schemas": schemas, "responses": responses, "headers": headers,
                "parameters": [
                    "IdempotencyKey": [
                        "name": "Idempotency-Key", "in": "header",
                        "description":
                            .string(
                                "Chosen by the client: new for a new intention, the same for a retry. Required "
                                    + "unless dry_run=true. Bare or as a quoted structured-field string."),
                        "schema": ["type": "string", "minLength": 1, "maxLength": 257, "pattern": "^[!-~]+$"],
                        "required": false,
                    ],
                    "IfMatch": [
                        "name": "If-Match", "in": "header",
                        "description": .string(
                            "The ETag of the version the client looked at; * is any version there is (RFC 9110), as when "
                                + "it is left out."),
                        "schema": ["type": "string", "pattern": "^(\\*|\"[1-9][0-9]*\")$"], "required": false,
                    ],
                    "RequiredIfMatch": [
                        "name": "If-Match", "in": "header",
                        "description": .string(
                            "The ETag of the version the client looked at. Required unless dry_run=true; * is not taken, "
                                + "since it would overwrite what nobody has looked at."),
                        "schema": ["type": "string", "pattern": "^\"[1-9][0-9]*\"$"], "required": false,
                    ],
                    "Intent": [
                        "name": "intent", "in": "query",
                        "description": "Answer what a passkey is to sign to do this, and change nothing.",
                        "schema": ["type": "boolean", "enum": [true]], "required": false,
                    ],
                    "DryRun": [
                        "name": "dry_run", "in": "query", "description": "Answer what would happen and change nothing.",
                        "schema": ["type": "boolean", "default": false], "required": false,
                    ],
                ],
            ],
        ]
    }

    // MARK: Operations

    /// JSON Schema of an operation's request body.
    static func requestSchema(_ operation: AnyOperation) -> JSON {
        let spec = operation.spec
        let fields = operation.fields()
        var properties: [String: JSON] = [:]
        var required: [JSON] = []
        let needed = fields.filter(\.param.isRequired).map(\.name)
        properties["input"] = .members([
            ("type", "object"), ("additionalProperties", false),
            ("properties", .object(Dictionary(uniqueKeysWithValues: fields.map { ($0.name, $0.param.schema) }))),
            ("required", needed.isEmpty ? nil : .array(needed.map(JSON.string))),
        ])
        if !needed.isEmpty { required.append("input") }
        if !spec.reasonCodes.isEmpty {
            properties["reason_code"] = [
                "type": "string", "enum": .array(spec.reasonCodes.map { .string($0.code) }),
                "description": .string(
                    spec.reasonCodes.map { "\($0.code): \($0.label)" }.joined(separator: "; ") + "."),
            ]
        } else {
            properties["reason_code"] = ["type": "string", "description": "This operation has no reason codes."]
        }
        if case .required(let least) = spec.justification {
            properties["justification"] = [
                "type": "string", "minLength": .int(Int64(least)), "maxLength": longestJustification,
                "description": "Why, in a sentence the next person understands.",
            ]
            required.append("justification")
            if !spec.reasonCodes.isEmpty { required.append("reason_code") }
        } else {
            properties["justification"] = [
                "type": "string", "maxLength": longestJustification, "description": "Why, when it helps others.",
            ]
        }
        properties["ticket"] = [
            "type": "string", "maxLength": longestTicket, "description": "The ticket this belongs to.",
        ]
        if spec.ticketRequired { required.append("ticket") }
        properties["not_before"] = [
            "type": "string", "format": "date-time",
            "description": .string(
                "Should it need approval: not carried out before this, which is at most \(OperationRequest.longestDelay.seconds / 86_400) days away."
            ),
        ]
        if Pipeline.signs(spec) {
            properties["intent"] = signedIntent
        }
        return .members([
            ("type", "object"), ("additionalProperties", false), ("properties", .object(properties)),
            ("required", required.isEmpty ? nil : .array(required)),
        ])
    }

    static let signedIntent: JSON = {
        let bytes: JSON = ["type": "string", "description": "Bytes as base 64 of the URL alphabet."]
        return [
            "type": "object", "additionalProperties": false, "required": ["nonce", "passkey"],
            "description": .string(
                "The action as a passkey signed it: the nonce that the same request with ?intent=true answered, and what the "
                    + "browser made of its publicKey. Without it a factor used shortly before will do, and the record says "
                    + "so."),
            "properties": [
                "nonce": ["type": "string"],
                "passkey": [
                    "type": "object", "additionalProperties": false,
                    "required": ["id", "client_data", "authenticator_data", "signature"],
                    "properties": [
                        "id": bytes, "client_data": bytes, "authenticator_data": bytes, "signature": bytes,
                        "user_handle": bytes,
                    ],
                ],
            ],
        ]
    }()

    static let longestJustification = JSON.int(Int64(OperationRequest.longestJustification))
    static let longestTicket = JSON.int(Int64(OperationRequest.longestTicket))

    static func path(_ operation: AnyOperation) -> JSON {
        let spec = operation.spec
        var parameters: [JSON] = [
            ["$ref": "#/components/parameters/IdempotencyKey"],
            [
                "$ref": spec.requiresIfMatch
                    ? "#/components/parameters/RequiredIfMatch" : "#/components/parameters/IfMatch"
            ],
            ["$ref": "#/components/parameters/DryRun"],
        ]
        if !operation.creates { parameters.insert(idParameter("id", prefix: operation.targetPrefix), at: 0) }
        var answers: [String: JSON] = [
            operation.creates ? "201" : "200": [
                "description": operation.creates
                    ? "Done; Location names what was made." : "Done, or the preview of it.",
                "headers": JSON.members([
                    ("ETag", header("ETag")), ("Idempotency-Replayed", header("IdempotencyReplayed")),
                    ("Location", operation.creates ? .some(header("Location")) : .none),
                ]),
                "content": [
                    "application/json": [
                        "schema": operation.creates
                            ? ["$ref": "#/components/schemas/Applied"]
                            : [
                                "oneOf": [
                                    ["$ref": "#/components/schemas/Applied"], ["$ref": "#/components/schemas/Preview"],
                                ]
                            ]
                    ]
                ],
            ],
            "202": [
                "description": "Waits for other people; Location names the approval.",
                "headers": [
                    "Location": header("Location"), "Idempotency-Replayed": header("IdempotencyReplayed"),
                ],
                "content": ["application/json": ["schema": ["$ref": "#/components/schemas/Pending"]]],
            ],
        ]
        if operation.creates {
            answers["200"] = [
                "description": "The preview, or done to what was there already.",
                "content": [
                    "application/json": [
                        "schema": [
                            "oneOf": [
                                ["$ref": "#/components/schemas/Applied"], ["$ref": "#/components/schemas/Preview"],
                            ]
                        ]
                    ]
                ],
            ]
        }
        for status in ["400", "401", "403", "409", "413", "415", "422", "423", "429", "500", "503"] {
            answers[status] = problem
        }
        if Pipeline.signs(spec) {
            parameters.append(["$ref": "#/components/parameters/Intent"])
            answers["200"] = asking(answers["200"])
        }
        if !operation.creates { answers["404"] = problem }
        answers["412"] = problem
        if spec.requiresIfMatch { answers["428"] = problem }
        return .members([
            ("operationId", .string(spec.name)), ("summary", .string(spec.title)),
            ("description", .string(spec.summary)),
            ("tags", [.string(operation.targetType)]), ("parameters", .array(parameters)),
            (
                "requestBody",
                [
                    "required": .bool(!requiredMembers(operation).isEmpty),
                    "content": ["application/json": ["schema": requestSchema(operation)]],
                ]
            ),
            ("responses", .object(answers)), ("x-permission", .string(spec.permission)),
            ("x-risk", .string(spec.risk.rawValue)),
        ])
    }

    /// An answer that may also be what a passkey is to sign.
    private static func asking(_ answer: JSON?) -> JSON {
        var members = answer?.object ?? [:]
        let schemas = members["content"]?["application/json"]?["schema"]?["oneOf"]?.array ?? []
        members["content"] = [
            "application/json": ["schema": ["oneOf": .array(schemas + [["$ref": "#/components/schemas/Intent"]])]]
        ]
        return .object(members)
    }

    static func requiredMembers(_ operation: AnyOperation) -> [JSON] {
        requestSchema(operation)["required"]?.array ?? []
    }

    // MARK: Reads

    static func path(_ read: Read) -> JSON {
        var parameters: [JSON] = read.path.split(separator: "/").filter { $0.hasPrefix("{") }
            .map { idParameter(String($0.dropFirst().dropLast()), prefix: nil) }
        parameters += read.parameters.map(parameter)
        let schema: JSON =
            read.isList
            ? [
                "type": "object", "required": ["items", "next_cursor"],
                "properties": [
                    "items": ["type": "array", "items": read.schema], "next_cursor": ["type": ["string", "null"]],
                ],
            ] : read.schema
        let isPaged = read.isList && read.parameters.contains { $0.name == "cursor" }
        let own = JSON.members([
            ("ETag", read.hasVersion ? .some(header("ETag")) : .none),
            ("Link", isPaged ? .some(header("Link")) : .none),
        ])
        var answers: [String: JSON] = [
            "200": JSON.members([
                ("description", "The answer."), ("headers", own == .object([:]) ? .none : .some(own)),
                ("content", ["application/json": ["schema": schema]]),
            ])
        ]
        for status in ["400", "401", "403", "404", "422", "429", "500", "503"] { answers[status] = problem }
        return .members([
            ("operationId", .string(read.name)), ("summary", .string(read.summary)),
            ("tags", [.string(String(read.name.prefix { $0 != "." }))]),
            ("parameters", parameters.isEmpty ? nil : .array(parameters)), ("responses", .object(answers)),
            ("x-permission", read.permission.map(JSON.string)),
        ])
    }

    static func path(_ read: Read, _ export: ListExport) -> JSON {
        var answers: [String: JSON] = [
            "200": [
                "description": .string(
                    "Comma-separated values (RFC 4180, UTF-8) of all that match, under a header: "
                        + export.columns.map(\.name).joined(separator: ", ")
                        + ". Text that a spreadsheet would take for a formula has an apostrophe before it."),
                "content": ["text/csv": ["schema": ["type": "string"]]],
            ]
        ]
        for status in ["400", "401", "403", "422", "429", "500", "503"] { answers[status] = problem }
        return .members([
            ("operationId", .string(String(read.name.prefix { $0 != "." }) + ".export")),
            ("summary", .string("The same as a file. \(read.summary)")),
            ("tags", [.string(String(read.name.prefix { $0 != "." }))]),
            ("parameters", .array(read.exportParameters.map(parameter))), ("responses", .object(answers)),
            ("x-permission", .string(export.permission)),
        ])
    }

    static func path(_ source: EvidenceSource) -> JSON {
        var answers: [String: JSON] = [
            "200": [
                "description":
                    "A POSIX archive: manifest.json with digests, rows.json, and the log's receipt of each event. Check it with postern verify evidence.",
                "content": [
                    "application/x-tar": ["schema": ["type": "string", "contentMediaType": "application/x-tar"]]
                ],
            ]
        ]
        for status in ["400", "401", "403", "404", "422", "429", "500", "503"] { answers[status] = problem }
        return [
            "operationId": .string(source.name), "summary": .string("Evidence. \(source.summary)"),
            "tags": [.string(String(source.name.prefix { $0 != "." }))], "parameters": [idParameter("id", prefix: nil)],
            "responses": .object(answers), "x-permission": .string(source.permission),
        ]
    }

    static func parameter(_ parameter: Read.Parameter) -> JSON {
        [
            "name": .string(parameter.name), "in": "query", "description": .string(parameter.summary),
            "schema": parameter.schema, "required": false,
        ]
    }

    static func idParameter(_ name: String, prefix: String?) -> JSON {
        var schema: [String: JSON] = ["type": "string", "minLength": 1]
        if let prefix, !prefix.isEmpty { schema["examples"] = [.string("\(prefix)_01JD3K4M5N6P7Q8R9S0T1V2W3X")] }
        return ["name": .string(name), "in": "path", "required": true, "schema": .object(schema)]
    }

    static func tags(_ catalog: Catalog) -> [String] {
        var names = Set(catalog.reads.map { String($0.name.prefix { $0 != "." }) })
        for operation in catalog.operations where !operation.spec.systemOnly { names.insert(operation.targetType) }
        return names.union(["session", "operations", "audit"]).sorted()
    }
}
