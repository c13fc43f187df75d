import Kernel

/// The OpenAPI 3.1 document of the runtime listener, derived from what the consoles declare for products.
public enum RuntimeOpenAPI {
    /// For a golden file: sorted and indented, the same for the same declarations.
    public static func text(_ endpoints: [RuntimeEndpoint]) -> String {
        String(decoding: document(endpoints).prettyBytes, as: UTF8.self)
    }

    static func document(_ endpoints: [RuntimeEndpoint]) -> JSON {
        var paths: [String: [String: JSON]] = [:]
        for endpoint in endpoints { paths[endpoint.path, default: [:]][endpoint.verb.rawValue] = entry(endpoint) }
        return [
            "openapi": "3.1.0",
            "info": [
                "title": "Postern runtime", "version": "1",
                "description": "What your product tells and asks. Docs: docs/connecting-your-saas.md.",
                "license": ["name": "Apache-2.0", "identifier": "Apache-2.0"],
            ],
            "servers": [["url": "/runtime/v1"]],
            "security": [["token": []]],
            "tags": .array(Set(endpoints.map(\.scope.rawValue)).sorted().map { ["name": .string($0)] }),
            "paths": .object(paths.mapValues { .object($0.mapValues(OpenAPI.limited)) }),
            "components": [
                "securitySchemes": [
                    "token": [
                        "type": "http", "scheme": "bearer",
                        "description": "A runtime token (prt_…) with the scope of the request's tag.",
                    ]
                ],
                "schemas": .object(
                    Dictionary(
                        uniqueKeysWithValues: ["Problem", "Pending"].map { ($0, OpenAPI.schemas[$0] ?? .object([:])) })),
                "responses": OpenAPI.responses, "headers": OpenAPI.headers,
                "parameters": [
                    "IdempotencyKey": [
                        "name": "Idempotency-Key", "in": "header", "required": false,
                        "description": .string(
                            "Chosen by the product: the same for a retry. May be left out, because putting the same again "
                                + "changes nothing."),
                        "schema": ["type": "string", "minLength": 1, "maxLength": 257, "pattern": "^[!-~]+$"],
                    ],
                    "IfMatch": [
                        "name": "If-Match", "in": "header", "required": false,
                        "description": "The ETag of the version the product saw; another one is refused with 412.",
                        "schema": ["type": "string", "pattern": "^(\\*|\"[1-9][0-9]*\")$"],
                    ],
                ],
            ],
        ]
    }

    private static func entry(_ endpoint: RuntimeEndpoint) -> JSON {
        var parameters = names(endpoint.path).map { name -> JSON in
            [
                "name": .string(name), "in": "path", "required": true,
                "description": "The product's own id.", "schema": ["type": "string", "pattern": "^[!-~]{1,128}$"],
            ]
        }
        if endpoint.verb != .get {
            parameters.append(["$ref": "#/components/parameters/IdempotencyKey"])
        }
        if endpoint.hasVersion, endpoint.verb == .put {
            parameters.append(["$ref": "#/components/parameters/IfMatch"])
        }
        var answers: [String: JSON] = [:]
        for status in statuses(endpoint) { answers[status] = OpenAPI.problem }
        for (status, sentence) in successes(endpoint) { answers[status] = answer(endpoint, sentence) }
        if endpoint.mayWait { answers["202"] = pending }
        return .members([
            ("operationId", .string(endpoint.name)), ("summary", .string(endpoint.summary)),
            ("tags", [.string(endpoint.scope.rawValue)]),
            ("parameters", parameters.isEmpty ? nil : .array(parameters)), ("requestBody", body(endpoint)),
            ("responses", .object(answers)),
        ])
    }

    /// Where staff have made a rule for what the product does.
    private static let pending: JSON = [
        "description": "Waits for people; Location names the request in the console.",
        "headers": [
            "Location": OpenAPI.header("Location"), "Idempotency-Replayed": OpenAPI.header("IdempotencyReplayed"),
        ],
        "content": ["application/json": ["schema": ["$ref": "#/components/schemas/Pending"]]],
    ]

    private static func names(_ path: String) -> [String] {
        path.split(separator: "/").filter { $0.hasPrefix("{") }.map { String($0.dropFirst().dropLast()) }
    }

    private static func successes(_ endpoint: RuntimeEndpoint) -> [(status: String, sentence: String)] {
        switch endpoint.verb {
        case .get: [("200", "What is here.")]
        case .put: [("200", "It was here; the outcome says whether it changed."), ("201", "It is new.")]
        case .post:
            if case .lines = endpoint.body {
                [("200", "One line for each line of the request.")]
            } else {
                [("200", "What is here now.")]
            }
        case .delete: [("204", "It is not there any more.")]
        }
    }

    private static func statuses(_ endpoint: RuntimeEndpoint) -> [String] {
        var statuses = ["400", "401", "403", "422", "429", "500", "503"]
        if endpoint.path.contains("{") { statuses.append("404") }
        if endpoint.verb != .get { statuses.append("409") }
        if case .none = endpoint.body { return statuses }
        statuses += ["413", "415"]
        if endpoint.hasVersion { statuses.append("412") }
        return statuses
    }

    private static func body(_ endpoint: RuntimeEndpoint) -> JSON? {
        guard let schema = endpoint.bodySchema else { return nil }
        let type: String
        switch endpoint.body {
        case .none: return nil
        case .object: type = "application/json"
        case .lines: type = "application/x-ndjson"
        }
        return ["required": true, "content": .object([type: ["schema": schema]])]
    }

    private static func answer(_ endpoint: RuntimeEndpoint, _ sentence: String) -> JSON {
        var headers: [String: JSON] = [:]
        if endpoint.hasVersion { headers["ETag"] = OpenAPI.header("ETag") }
        if endpoint.verb != .get { headers["Idempotency-Replayed"] = OpenAPI.header("IdempotencyReplayed") }
        var content: JSON?
        if let schema = endpoint.answerSchema {
            if case .lines = endpoint.body {
                content = ["application/x-ndjson": ["schema": schema]]
            } else {
                content = ["application/json": ["schema": schema]]
            }
        }
        return .members([
            ("description", .string(sentence)), ("headers", headers.isEmpty ? nil : .object(headers)),
            ("content", content),
        ])
    }
}

extension RuntimeEndpoint {
    /// It is about one resource that has a version of its own.
    fileprivate var hasVersion: Bool { verb != .delete && path.hasSuffix("{external_id}") }
}
