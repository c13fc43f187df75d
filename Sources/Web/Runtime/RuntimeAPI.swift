import HTTPTypes
import Hummingbird
import Kernel
import NIOCore

/// `/runtime/v1` of the runtime listener: what the consoles declare for products, behind tokens with scopes.
struct RuntimeAPI: Sendable {
    let context: WebContext
    let door: any RuntimeDoor

    init(_ context: WebContext, door: any RuntimeDoor) {
        self.context = context
        self.door = door
    }

    func routes() -> [Route] {
        let endpoints = context.consoles.flatMap(\.runtime)
        let document = RuntimeOpenAPI.document(endpoints).prettyBytes
        let openAPI = Route(.get, "/runtime/v1/openapi.json", .api) { exchange in
            try await context.requests.limiting(exchange.client.source) {
                Response(
                    status: .ok, headers: [.contentType: "application/json", .cacheControl: "public, max-age=300"],
                    body: .init(byteBuffer: ByteBuffer(bytes: document)))
            }
        }
        return [openAPI]
            + endpoints.map { endpoint in
                Route(Self.method(endpoint.verb), "/runtime/v1" + endpoint.path, .api) { exchange in
                    let known: RuntimeCaller
                    do {
                        known = try await authenticate(exchange)
                    } catch {
                        // Who is nobody yet is counted by source.
                        var problem = Problem(error)
                        context.strangers.take(exchange.client.source, cost: 0)?.mark(&problem.headers)
                        throw problem
                    }
                    return try await context.tokens.limiting(known.caller.person) {
                        try await answer(endpoint, exchange, known)
                    }
                }
            }
    }

    private static func method(_ verb: RuntimeEndpoint.Verb) -> HTTPRequest.Method {
        switch verb {
        case .get: .get
        case .put: .put
        case .post: .post
        case .delete: .delete
        }
    }

    private func authenticate(_ exchange: Exchange) async throws -> RuntimeCaller {
        guard let authorization = exchange.headers[.authorization] else {
            throw Problem.tokenRequired("Send a runtime token as Authorization: Bearer.")
        }
        let parts = authorization.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else {
            throw Problem.tokenRequired("Send the runtime token as Authorization: Bearer.")
        }
        let token = String(parts[1].trimmed)
        let hash = sha256(Array(token.utf8))
        // A product behind the same address is not a stranger.
        if !context.acquainted.contains(hash) { try context.strangers.spend(exchange.client.source, cost: 0) }
        do throws(OperationError) {
            let known = try await door.authenticate(token: token, from: exchange.apiSource)
            context.acquainted.insert(hash)
            return known
        } catch {
            guard case .unauthenticated = error else { throw error }
            context.acquainted.remove(hash)
            _ = context.strangers.take(exchange.client.source)
            throw Problem.tokenRequired("This token is unknown, revoked or expired.", error: "invalid_token")
        }
    }

    private func answer(
        _ endpoint: RuntimeEndpoint, _ exchange: Exchange, _ known: RuntimeCaller
    ) async throws -> Response {
        guard known.scopes.contains(endpoint.scope) else {
            try await context.pipeline.recordDenial(
                "runtime.\(endpoint.scope.rawValue)", operation: nil, by: known.caller)
            throw Problem.scopeMissing(endpoint.scope)
        }
        try StaffAPI.check(exchange, knows: [])
        let key = try exchange.headers[.idempotencyKey].map { try IdempotencyKey.read($0) } ?? nil
        let ifMatch = try ETag.version(ifMatch: exchange.headers[.ifMatch])
        var body: [String: JSON] = [:]
        var lines: [[UInt8]] = []
        switch endpoint.body {
        case .none: break
        case .object: body = try await object(exchange)
        case .lines(let most): lines = try await Self.lines(exchange, atMost: most)
        }
        let answer = try await endpoint.run(
            RuntimeCall(
                path: exchange.parameters, body: body, lines: lines, ifMatch: ifMatch, idempotencyKey: key,
                caller: known.caller, pipeline: context.pipeline))
        var response: Response
        switch answer.content {
        case .object(let json): response = .json(json, status: answer.isCreated ? .created : .ok)
        case .lines(let values):
            var bytes: [UInt8] = []
            for value in values { bytes += value.canonical + [0x0A] }
            response = Response(
                status: .ok, headers: [.contentType: "application/x-ndjson", .cacheControl: "no-store"],
                body: .init(byteBuffer: ByteBuffer(bytes: bytes)))
        case .pending(let pending):
            response = .json(pending.json, status: .accepted)
            response.headers[.location] =
                "\(context.pipeline.settings.consoleURL)/approvals/\(URLText.encode(pending.approvalID))"
        case .nothing: response = .noContent()
        }
        if let version = answer.version { response.headers[.eTag] = ETag.text(version) }
        if answer.isReplayed { response.headers[.idempotencyReplayed] = "true" }
        return response
    }

    private func object(_ exchange: Exchange) async throws -> [String: JSON] {
        let bytes = try await exchange.body()
        guard !bytes.isEmpty else { return [:] }
        let type = exchange.mediaType
        guard type == "application/json" || type.hasSuffix("+json") else {
            var problem = Problem(
                .unsupportedMediaType,
                type.isEmpty
                    ? "Send Content-Type: application/json." : "\(type) is not taken here; send application/json.")
            problem.headers[.accept] = "application/json"
            throw problem
        }
        let json: JSON
        do throws(JSONSyntaxError) {
            json = try JSON(parsing: bytes)
        } catch {
            throw Problem.malformed(error)
        }
        guard let members = json.object else {
            throw Problem.invalid([FieldError(pointer: "", detail: "The body must be a JSON object.")])
        }
        return members
    }

    private static let lineTypes: Set = ["application/x-ndjson", "application/ndjson", "application/jsonl"]

    /// The lines of the body that hold anything.
    private static func lines(_ exchange: Exchange, atMost most: Int) async throws -> [[UInt8]] {
        let bytes = try await exchange.body(limit: most)
        let type = exchange.mediaType
        guard lineTypes.contains(type) else {
            var problem = Problem(
                .unsupportedMediaType,
                "\(type.isEmpty ? "A body without a type" : type) is not taken here; send application/x-ndjson, one JSON object a line."
            )
            problem.headers[.accept] = "application/x-ndjson"
            throw problem
        }
        return bytes.split(separator: 0x0A).map { line in
            line.last == 0x0D ? Array(line.dropLast()) : Array(line)
        }.filter { line in !line.allSatisfy { $0 == 0x20 || $0 == 0x09 } }
    }
}

extension Problem {
    /// 401 of the runtime listener.
    static func tokenRequired(_ detail: String, error: String? = nil) -> Problem {
        var problem = Problem(.tokenRequired, detail)
        problem.headers[.wwwAuthenticate] = error.map { "Bearer error=\"\($0)\"" } ?? "Bearer"
        return problem
    }

    /// 403 that names the scope.
    static func scopeMissing(_ scope: RuntimeScope) -> Problem {
        var problem = Problem(
            .scopeMissing, "This token lacks the scope \(scope.rawValue). Create one that has it, in Postern.")
        problem.requiredPermission = scope.rawValue
        problem.headers[.wwwAuthenticate] = "Bearer error=\"insufficient_scope\", scope=\"\(scope.rawValue)\""
        return problem
    }
}
