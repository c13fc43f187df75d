import Kernel

/// Headers, answers and schemas that every path refers to, and the paths that are no operation and no declared read.
extension OpenAPI {
    static let problem: JSON = ["$ref": "#/components/responses/Problem"]

    static func header(_ name: String) -> JSON { ["$ref": .string("#/components/headers/\(name)")] }

    static let limits: [String: JSON] = [
        "RateLimit": header("RateLimit"), "RateLimit-Policy": header("RateLimitPolicy"),
    ]

    /// Adds the headers of the rate limit to every answer of an entry; those of problems are in their component.
    static func limited(_ entry: JSON) -> JSON {
        guard case .object(var members) = entry, let responses = members["responses"]?.object else { return entry }
        members["responses"] = .object(
            responses.mapValues { response in
                guard case .object(var answer) = response, answer["$ref"] == nil else { return response }
                answer["headers"] = .object((answer["headers"]?.object ?? [:]).merging(limits) { own, _ in own })
                return .object(answer)
            })
        return .object(members)
    }

    static let headers: JSON = [
        "ETag": [
            "description": "The resource's version, to be sent back as If-Match.",
            "schema": ["type": "string", "pattern": "^\"[1-9][0-9]*\"$"],
        ],
        "Link": [
            "description": "The next page, rel=\"next\"; absent on the last one.", "schema": ["type": "string"],
        ],
        "Location": ["description": "The path of what was made.", "schema": ["type": "string"]],
        "IdempotencyReplayed": [
            "description": "Present when a stored answer was given again.",
            "schema": ["type": "string", "const": "true"],
        ],
        "RateLimit": [
            "description": "What is left, by policy: r requests, t seconds until all are back. Absent without a limit.",
            "schema": ["type": "string"],
        ],
        "RateLimitPolicy": [
            "description": "How much there is, by policy: q requests in w seconds. Absent without a limit.",
            "schema": ["type": "string"],
        ],
        "RetryAfter": ["description": "Seconds to wait, where waiting helps.", "schema": ["type": "string"]],
    ]

    static let responses: JSON = [
        "Problem": [
            "description": "Not carried out; the body says why (RFC 9457).",
            "headers": .object(limits.merging(["Retry-After": header("RetryAfter")]) { own, _ in own }),
            "content": ["application/problem+json": ["schema": ["$ref": "#/components/schemas/Problem"]]],
        ]
    ]

    static let nullableObject: JSON = ["type": ["object", "null"]]

    static let schemas: JSON = [
        "Problem": [
            "type": "object", "required": ["type", "title", "status", "detail", "instance"],
            "properties": [
                "type": ["type": "string", "enum": .array(Problem.Kind.all.map { .string("/problems/\($0.slug)") })],
                "title": ["type": "string"], "status": ["type": "integer"], "detail": ["type": "string"],
                "instance": ["type": "string"],
                "errors": [
                    "type": "array",
                    "items": [
                        "type": "object", "required": ["pointer", "detail"],
                        "properties": ["pointer": ["type": "string"], "detail": ["type": "string"]],
                    ],
                ],
                "required_permission": ["type": "string"],
                "legal_transitions": ["type": "array", "items": ["type": "string"]], "limit": ["type": "string"],
                "retry_after": ["type": "integer"],
            ],
        ],
        "Applied": [
            "type": "object", "required": ["operation", "operation_id", "event_id", "before", "after", "undo"],
            "properties": [
                "operation": ["type": "string"], "operation_id": ["type": "string"], "event_id": ["type": "string"],
                "before": nullableObject, "after": nullableObject, "consequence": ["type": "string"],
                "undo": [
                    "type": ["object", "null"],
                    "properties": [
                        "operation": ["type": "string"], "until": ["type": "string", "format": "date-time"],
                    ],
                ],
                "reveal": [
                    "type": "object", "additionalProperties": ["type": "string"],
                    "description": "Shown once and stored nowhere.",
                ],
            ],
        ],
        "Intent": [
            "type": "object", "required": ["action", "nonce", "publicKey"],
            "description": "publicKey is what navigator.credentials.get takes, bytes as base 64 of the URL alphabet.",
            "properties": [
                "action": ["type": "object"], "nonce": ["type": "string"], "publicKey": ["type": "object"],
            ],
        ],
        "Preview": [
            "type": "object", "required": ["preview", "allowed", "reasons", "effects", "approvals"],
            "properties": [
                "preview": ["const": true], "operation": ["type": "string"], "allowed": ["type": "boolean"],
                "reasons": ["type": "array", "items": ["type": "string"]], "before": nullableObject,
                "after": nullableObject, "also": ["type": "array", "items": ["type": "object"]],
                "effects": ["type": "array", "items": ["type": "object"]],
                "approvals": ["type": "array", "items": ["type": "object"]],
                "consequence": ["type": ["string", "null"]],
                "reversibility": ["type": "string"],
            ],
        ],
        "Pending": [
            "type": "object", "required": ["approval_id", "status", "demands", "expires_at"],
            "properties": [
                "approval_id": ["type": "string"], "status": ["const": "pending"], "operation": ["type": "string"],
                "operation_id": ["type": "string"], "event_id": ["type": "string"],
                "demands": ["type": "array", "items": ["type": "object"]],
                "expires_at": ["type": "string", "format": "date-time"],
            ],
        ],
        "Session": [
            "type": "object", "required": ["token", "expires_at", "staff"],
            "properties": [
                "token": ["type": "string"], "expires_at": ["type": "string", "format": "date-time"],
                "staff": ["$ref": "#/components/schemas/Staff"],
            ],
        ],
        "Staff": [
            "type": "object", "required": ["id", "email", "name", "roles"],
            "properties": [
                "id": ["type": "string"], "email": ["type": "string"], "name": ["type": "string"],
                "roles": ["type": "array", "items": ["type": "string"]],
            ],
        ],
        "Me": [
            "type": "object", "required": ["permissions"],
            "description": "A person with their session, or an account with its owner.",
            "properties": [
                "account": [
                    "type": "object", "required": ["id", "kind", "name", "owner", "expires_at"],
                    "properties": [
                        "id": ["type": "string"], "kind": ["type": "string", "enum": ["service", "assistant"]],
                        "name": ["type": "string"], "owner": ["type": "string"], "expires_at": time,
                    ],
                ],
                "staff": ["$ref": "#/components/schemas/Staff"],
                "permissions": ["type": "array", "items": ["type": "string"]],
                "session": [
                    "type": "object", "required": ["id", "created_at", "expires_at", "mfa_at"],
                    "properties": [
                        "id": ["type": "string"], "created_at": time, "expires_at": time, "mfa_at": time,
                    ],
                ],
            ],
        ],
        "Operation": [
            "type": "object",
            "required": [
                "name", "title", "summary", "target", "method", "path", "permission", "risk", "reason_codes",
                "requires_step_up", "requires_if_match", "ticket_required", "schema", "allowed",
            ],
            "properties": [
                "name": ["type": "string"], "title": ["type": "string"], "summary": ["type": "string"],
                "target": ["type": "string"], "method": ["const": "POST"], "path": ["type": "string"],
                "permission": ["type": "string"],
                "risk": ["type": "string", "enum": .array(Risk.allCases.map { .string($0.rawValue) })],
                "reason_codes": [
                    "type": "array",
                    "items": [
                        "type": "object", "required": ["code", "label"],
                        "properties": ["code": ["type": "string"], "label": ["type": "string"]],
                    ],
                ],
                "requires_step_up": ["type": "boolean"], "requires_if_match": ["type": "boolean"],
                "ticket_required": ["type": "boolean"],
                "schema": ["type": "object", "description": "JSON Schema of the request's body."],
                "allowed": ["type": "boolean", "description": "Whether your grants carry the permission."],
                "why_not": ["type": "string"],
            ],
        ],
        "Receipt": [
            "type": "object", "required": ["leaf", "index", "size", "proof", "checkpoint", "sealed"],
            "properties": [
                "leaf": [
                    "type": "string", "contentEncoding": "base64", "description": "The exact bytes of the event.",
                ],
                "index": ["type": "integer", "minimum": 0], "size": ["type": "integer", "minimum": 1],
                "proof": [
                    "type": "array", "items": ["type": "string", "contentEncoding": "base64"],
                    "description": "The inclusion proof (RFC 9162), from the leaf up.",
                ],
                "checkpoint": ["type": "string", "description": "A signed note (C2SP) of the tree of this size."],
                "sealed": [
                    "type": "object", "description": "The sealed members that still exist, by name.",
                    "additionalProperties": [
                        "type": "object", "required": ["salt", "value"],
                        "properties": ["salt": ["type": "string", "contentEncoding": "base64"], "value": true],
                    ],
                ],
                "erased": [
                    "type": "object", "description": "Members that were erased, with the erasure's event.",
                    "additionalProperties": ["type": "string"],
                ],
                "notice": ["type": "string"],
            ],
        ],
    ]

    static var time: JSON { ["type": "string", "format": "date-time"] }

    /// The export takes the filters of the list.
    static func exportParameters(_ catalog: Catalog) -> [Read.Parameter] {
        guard catalog.eventFilter != nil else { return [] }
        return catalog.reads.first { $0.name == "audit.list" }?.exportParameters ?? []
    }

    /// What is there in every deployment: signing in, the list of operations, what can be done with events.
    static func fixed(_ catalog: Catalog) -> [(path: String, method: String, entry: JSON)] {
        func body(_ properties: [String: JSON]) -> JSON {
            [
                "required": true,
                "content": [
                    "application/json": [
                        "schema": [
                            "type": "object", "additionalProperties": false, "properties": .object(properties),
                            "required": .array(properties.keys.sorted().map(JSON.string)),
                        ]
                    ]
                ],
            ]
        }
        func answers(_ status: String, _ description: String, _ schema: JSON?, _ problems: [String]) -> JSON {
            var out: [String: JSON] = [
                status: .members([
                    ("description", .string(description)),
                    ("content", schema.map { ["application/json": ["schema": $0]] }),
                ])
            ]
            for status in problems { out[status] = problem }
            return .object(out)
        }
        let text: JSON = ["type": "string", "minLength": 1]
        let signInProblems = ["400", "401", "413", "415", "422", "429", "500", "503"]
        let eventID = idParameter("id", prefix: "evt")
        return [
            (
                "/sessions", "post",
                [
                    "operationId": "session.begin", "summary": "Begin to sign in", "tags": ["session"], "security": [],
                    "description":
                        "The answer is the same for a wrong e-mail or password: the second step then fails. 409 where people sign in through an identity provider alone.",
                    "requestBody": body(["email": text, "password": text]),
                    "responses": answers(
                        "200", "Go on with a second factor.",
                        [
                            "type": "object", "required": ["challenge", "factors"],
                            "properties": [
                                "challenge": ["type": "string"],
                                "factors": ["type": "array", "items": ["type": "string"]],
                            ],
                        ], signInProblems + ["409"]),
                ]
            ),
            (
                "/sessions/totp", "post",
                [
                    "operationId": "session.totp", "summary": "Finish with a code", "tags": ["session"], "security": [],
                    "requestBody": body(["challenge": text, "code": text]),
                    "responses": answers("201", "Signed in.", ["$ref": "#/components/schemas/Session"], signInProblems),
                ]
            ),
            (
                "/sessions/recovery", "post",
                [
                    "operationId": "session.recovery", "summary": "Finish with a recovery code", "tags": ["session"],
                    "security": [], "requestBody": body(["challenge": text, "code": text]),
                    "responses": answers("201", "Signed in.", ["$ref": "#/components/schemas/Session"], signInProblems),
                ]
            ),
            (
                "/sessions/device", "post",
                [
                    "operationId": "session.device", "summary": "Ask to be let in by a browser", "tags": ["session"],
                    "security": [],
                    "description":
                        "For a command line: show the person user_code and verification_uri, then ask with device_code (RFC 8628).",
                    "requestBody": body([
                        "machine": [
                            "type": "string", "minLength": 1, "maxLength": 60,
                            "description": "What the machine is called.",
                        ]
                    ]),
                    "responses": answers(
                        "201", "Somebody may let it in now.",
                        [
                            "type": "object",
                            "required": [
                                "device_code", "user_code", "verification_uri", "verification_uri_complete",
                                "expires_in", "expires_at", "interval",
                            ],
                            "properties": [
                                "device_code": ["type": "string"], "user_code": ["type": "string"],
                                "verification_uri": ["type": "string"],
                                "verification_uri_complete": ["type": "string"], "expires_in": ["type": "integer"],
                                "expires_at": ["type": "string", "format": "date-time"],
                                "interval": ["type": "integer", "description": "Seconds between two questions."],
                            ],
                        ], signInProblems),
                ]
            ),
            (
                "/sessions/device/token", "post",
                [
                    "operationId": "session.device_token", "summary": "Ask whether one was let in", "tags": ["session"],
                    "security": [],
                    "description":
                        "400 says by its type what to do: authorization-pending and slow-down ask to wait for Retry-After seconds; access-denied and expired-token are the end.",
                    "requestBody": body(["device_code": text]),
                    "responses": answers("201", "Signed in.", ["$ref": "#/components/schemas/Session"], signInProblems),
                ]
            ),
            (
                "/sessions/step-up", "post",
                [
                    "operationId": "session.step_up", "summary": "Use the second factor again", "tags": ["session"],
                    "requestBody": body(["code": text]),
                    "responses": answers(
                        "204", "The session's factor is fresh.", nil, (signInProblems + ["403"]).sorted()),
                ]
            ),
            (
                "/sessions/current", "delete",
                [
                    "operationId": "session.end", "summary": "Sign out", "tags": ["session"],
                    "responses": answers(
                        "204", "The session is over.", nil, ["400", "401", "403", "429", "500", "503"]),
                ]
            ),
            (
                "/me", "get",
                [
                    "operationId": "session.me", "summary": "Who I am and what I may do", "tags": ["session"],
                    "responses": answers(
                        "200", "The answer.", ["$ref": "#/components/schemas/Me"], ["400", "401", "429", "500", "503"]),
                ]
            ),
            (
                "/operations", "get",
                [
                    "operationId": "operations.list", "summary": "Every operation and whether I may use it",
                    "tags": ["operations"],
                    "responses": answers(
                        "200", "The answer.",
                        [
                            "type": "object", "required": ["items", "next_cursor"],
                            "properties": [
                                "items": ["type": "array", "items": ["$ref": "#/components/schemas/Operation"]],
                                "next_cursor": ["type": "null"],
                            ],
                        ], ["400", "401", "429", "500", "503"]),
                ]
            ),
            (
                "/inbox/{id}/read", "post",
                [
                    "operationId": "inbox.read", "summary": "Mark a notice as read", "tags": ["inbox"],
                    "parameters": [
                        [
                            "name": "id", "in": "path", "required": true, "schema": ["type": "string"],
                            "description": "The notice.",
                        ]
                    ],
                    "responses": answers(
                        "204", "It is read.", nil, ["400", "401", "404", "413", "415", "422", "429", "500", "503"]),
                ]
            ),
            (
                "/inbox/read", "post",
                [
                    "operationId": "inbox.read_all", "summary": "Mark as read what was there at a time",
                    "tags": ["inbox"],
                    "requestBody": body(["until": ["type": "string", "format": "date-time"]]),
                    "responses": answers(
                        "200", "How many were unread.",
                        ["type": "object", "required": ["read"], "properties": ["read": ["type": "integer"]]],
                        ["400", "401", "413", "415", "422", "429", "500", "503"]),
                ]
            ),
            (
                "/approvals/{id}/intent", "post",
                [
                    "operationId": "approval.intent",
                    "summary": "What a passkey is to sign to decide on a request", "tags": ["approval"],
                    "description": .string(
                        "The passkey signs the challenge SHA-256(JCS(action) ‖ nonce). It is good once, for 5 minutes, in this "
                            + "session, and at the console's own address."),
                    "parameters": [
                        [
                            "name": "id", "in": "path", "required": true, "schema": ["type": "string"],
                            "description": "The request.",
                        ]
                    ],
                    "requestBody": body(["decision": ["type": "string", "enum": ["approve", "reject"]]]),
                    "responses": answers(
                        "200", "Hand publicKey to navigator.credentials.get.",
                        ["$ref": "#/components/schemas/Intent"],
                        ["400", "401", "403", "404", "409", "413", "415", "422", "429", "500", "503"]),
                ]
            ),
            (
                "/approvals/{id}/evidence", "get",
                [
                    "operationId": "approval.evidence",
                    "summary": "What was asked, signed and done, with proofs, to verify outside", "tags": ["approval"],
                    "description": .string(
                        "Holds nothing that is erased with a person. Check it with postern verify approval --evidence."),
                    "parameters": [
                        [
                            "name": "id", "in": "path", "required": true, "schema": ["type": "string"],
                            "description": "The request.",
                        ]
                    ],
                    "responses": answers(
                        "200", "The evidence.",
                        [
                            "type": "object", "required": ["version", "approval_id", "key", "receipts"],
                            "properties": [
                                "version": ["type": "integer"], "approval_id": ["type": "string"],
                                "key": ["type": "string"],
                                "receipts": [
                                    "type": "array", "items": ["$ref": "#/components/schemas/Receipt"],
                                ],
                            ],
                        ], ["400", "401", "403", "404", "429", "500", "503"]),
                    "x-permission": "audit.view",
                ]
            ),
            (
                "/approvals/{id}/reveal", "post",
                [
                    "operationId": "approval.reveal",
                    "summary": "Hand the requester, once, what the approved operation answered", "tags": ["approval"],
                    "parameters": [
                        [
                            "name": "id", "in": "path", "required": true, "schema": ["type": "string"],
                            "description": "The request.",
                        ]
                    ],
                    "responses": answers(
                        "200", "Shown once, stored nowhere else.",
                        [
                            "type": "object", "required": ["reveal"],
                            "properties": [
                                "reveal": ["type": "object", "additionalProperties": ["type": "string"]]
                            ],
                        ], ["400", "401", "403", "404", "429", "500", "503"]),
                ]
            ),
            (
                "/audit-events/{id}/undo", "post",
                [
                    "operationId": "audit.undo", "summary": "Take back what an event recorded", "tags": ["audit"],
                    "parameters": [
                        eventID, ["$ref": "#/components/parameters/IdempotencyKey"],
                        ["$ref": "#/components/parameters/IfMatch"], ["$ref": "#/components/parameters/DryRun"],
                        ["$ref": "#/components/parameters/Intent"],
                    ],
                    "requestBody": [
                        "required": false,
                        "content": [
                            "application/json": [
                                "schema": [
                                    "type": "object", "additionalProperties": false,
                                    "properties": [
                                        "reason_code": ["type": "string"],
                                        "justification": ["type": "string", "maxLength": longestJustification],
                                        "ticket": ["type": "string", "maxLength": longestTicket],
                                        "not_before": ["type": "string", "format": "date-time"],
                                        "intent": signedIntent,
                                    ],
                                ]
                            ]
                        ],
                    ],
                    "responses": [
                        "200": [
                            "description": "Taken back, the preview of it, or what is to be signed to do it.",
                            "headers": [
                                "ETag": header("ETag"), "Idempotency-Replayed": header("IdempotencyReplayed"),
                            ],
                            "content": [
                                "application/json": [
                                    "schema": [
                                        "oneOf": [
                                            ["$ref": "#/components/schemas/Applied"],
                                            ["$ref": "#/components/schemas/Preview"],
                                            ["$ref": "#/components/schemas/Intent"],
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
                        "400": problem, "401": problem, "403": problem, "404": problem, "409": problem, "412": problem,
                        "413": problem, "415": problem, "422": problem, "423": problem, "429": problem, "500": problem,
                        "503": problem,
                    ],
                ]
            ),
            (
                "/audit-events/{id}/receipt", "get",
                [
                    "operationId": "audit.receipt", "summary": "An event's receipt, to verify outside",
                    "tags": ["audit"],
                    "parameters": [eventID],
                    "responses": answers(
                        "200", "The receipt.", ["$ref": "#/components/schemas/Receipt"],
                        ["400", "401", "403", "404", "429", "500", "503"]),
                    "x-permission": "audit.view",
                ]
            ),
            (
                "/audit-events/export", "get",
                [
                    "operationId": "audit.export", "summary": "All events that match, one a line", "tags": ["audit"],
                    "parameters": .array(
                        (exportParameters(catalog) + [
                            Read.Parameter(
                                "format",
                                "jsonl holds the proofs; csv is a table with each leaf's index and hash. Without it, as "
                                    + "Accept asks.",
                                schema: ["type": "string", "enum": ["jsonl", "csv"], "default": "jsonl"])
                        ]).map(parameter)),
                    "responses": [
                        "200": [
                            "description": "JSON Lines, or comma-separated values.",
                            "content": [
                                "application/jsonl": ["schema": ["type": "string"]],
                                "text/csv": ["schema": ["type": "string"]],
                            ],
                        ], "400": problem, "401": problem, "403": problem, "422": problem, "429": problem,
                        "500": problem,
                        "503": problem,
                    ], "x-permission": "audit.export",
                ]
            ),
        ]
    }
}
