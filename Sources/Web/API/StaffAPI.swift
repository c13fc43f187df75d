import HTTPTypes
import Hummingbird
import Kernel
import NIOCore

/// `/api/v1` of the staff listener.
struct StaffAPI: Sendable {
    let context: WebContext
    let slots = ExportSlots()
    private let openAPI: [UInt8]

    init(_ context: WebContext) {
        self.context = context
        openAPI = OpenAPI.document(context.catalog).prettyBytes
    }

    func routes() -> [Route] {
        sessionRoutes() + readRoutes() + operationRoutes() + eventRoutes() + approvalRoutes() + exportRoutes() + [
            Route(.get, "/api/v1/openapi.json", .api) { exchange in
                try await context.requests.limiting(exchange.client.source) {
                    Response(
                        status: .ok, headers: [.contentType: "application/json", .cacheControl: "public, max-age=300"],
                        body: .init(byteBuffer: ByteBuffer(bytes: openAPI)))
                }
            }
        ]
    }

    /// Who sends a request.
    struct Signed: Sendable {
        let caller: Caller
        let session: SessionInfo
        let token: String
        fileprivate let since = ContinuousClock.now
    }

    /// Who asks, once all of a request is there: a body may take its time, in which a session ends or a role is taken away.
    func asking(_ signed: Signed, _ exchange: Exchange) async throws -> Caller {
        ContinuousClock.now - signed.since < .milliseconds(250)
            ? signed.caller : try await authenticate(exchange, cookieDownload: false).caller
    }

    typealias SignedHandler = @Sendable (Exchange, Signed) async throws -> Response

    /// A route that needs a session by `Authorization: Bearer`.
    /// - Parameter cookieDownload: a browser of the console may also fetch it with its cookie.
    func signed(
        _ method: HTTPRequest.Method, _ path: String, cookieDownload: Bool = false, _ handler: @escaping SignedHandler
    ) -> Route {
        Route(method, "/api/v1" + path, .api) { exchange in
            let signed: Signed
            do {
                signed = try await authenticate(exchange, cookieDownload: cookieDownload)
            } catch {
                // Who is nobody yet is counted by source.
                var problem = Problem(error)
                context.strangers.take(exchange.client.source, cost: 0)?.mark(&problem.headers)
                throw problem
            }
            return try await context.requests.limiting(signed.session.id) { try await handler(exchange, signed) }
        }
    }

    func authenticate(_ exchange: Exchange, cookieDownload: Bool) async throws -> Signed {
        let token: String
        if let authorization = exchange.headers[.authorization] {
            let parts = authorization.split(separator: " ", maxSplits: 1)
            guard parts.count == 2, parts[0].lowercased() == "bearer" else {
                throw Problem.unauthenticated("Send the session's token as Authorization: Bearer.")
            }
            token = String(parts[1].trimmed)
        } else if cookieDownload, let cookie = exchange.cookie(context.configuration.sessionCookie) {
            let site = exchange.headers[.secFetchSite]
            guard site == nil || site == "same-origin" || site == "none" else {
                throw Problem(.formRefused, "Another site asked for this download; open it from the console.")
            }
            token = cookie
        } else if exchange.cookie(context.configuration.sessionCookie) != nil {
            throw Problem.unauthenticated("The API takes no cookie; send the session's token as Authorization: Bearer.")
        } else {
            throw Problem.unauthenticated("Sign in first: POST /api/v1/sessions, then send Authorization: Bearer.")
        }
        guard let (caller, session) = try await context.authenticate(token, exchange, exchange.apiSource) else {
            throw Problem.unauthenticated(
                "This session is unknown, over or ended; sign in again.", error: "invalid_token")
        }
        return Signed(caller: caller, session: session, token: token)
    }

    // MARK: Reads

    private func readRoutes() -> [Route] {
        context.catalog.reads.map { read in
            signed(.get, read.path) { exchange, signed in
                if let export = read.export, Self.wantsCSV(exchange) {
                    try Self.check(exchange, knows: read.exportParameters.map(\.name))
                    return try await self.export(read, export, exchange, signed)
                }
                if read.name == "audit.list", Self.wantsCSV(exchange) {
                    try Self.check(exchange, knows: read.exportParameters.map(\.name))
                    return try await exportEvents(exchange, signed, .csv)
                }
                try Self.check(exchange, knows: read.parameters.map(\.name))
                let call = ReadCall(
                    path: exchange.parameters, query: exchange.query, caller: signed.caller, cursors: context.cursors)
                let answer = try await context.pipeline.read(read.permission, by: signed.caller) { reader in
                    let answer = try read.run(call, reader)
                    return (answer, answer.disclosure)
                }
                var response = Response.json(answer.body)
                if let version = answer.version { response.headers[.eTag] = ETag.text(version) }
                if let next = answer.nextCursor {
                    var query = exchange.query
                    query["cursor"] = [next]
                    response.headers[.link] = "<\(exchange.path)?\(URLText.query(query))>; rel=\"next\""
                }
                return response
            }
        }
    }
}

extension StaffAPI {
    /// Refuses query parameters that aren't there.
    static func check(_ exchange: Exchange, knows names: [String]) throws {
        let wanted = names.isEmpty ? "none" : names.joined(separator: ", ")
        let unknown = exchange.query.keys.filter { !names.contains($0) }.sorted()
        guard unknown.isEmpty else {
            throw Problem.invalid(
                unknown.map { name in
                    FieldError(
                        pointer: "?\(name)", detail: "\"\(name)\" is not a parameter here; known are \(wanted).")
                })
        }
    }
}

extension Problem {
    /// 401 with the challenge RFC 6750 asks for.
    static func unauthenticated(_ detail: String, error: String? = nil) -> Problem {
        var problem = Problem(.signInRequired, detail)
        problem.headers[.wwwAuthenticate] = error.map { "Bearer error=\"\($0)\"" } ?? "Bearer"
        return problem
    }
}
